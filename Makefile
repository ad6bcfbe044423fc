# Tallymark: `make help` lists what there is to do.

PYTHONS := python3.11 python3.12 python3.13 python3.14 python3
PY ?= $(or $(firstword $(foreach name,$(PYTHONS),$(shell command -v $(name) 2>/dev/null))),python3)
BIN := .venv/bin
ENV := .venv/.stamp
E2E := .venv/.stamp-e2e
BENCH_ENV := .venv-bench/.stamp
AXE := tests/browser/node_modules/.stamp
TS_CLIENT := clients/typescript/node_modules/.stamp
PAYLOAD := clients/payload/node_modules/.stamp
SITE := examples/payload-site
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
LOCK := $(BIN)/pip-compile --quiet --upgrade --no-header --no-annotate --strip-extras \
	--no-emit-index-url --no-emit-find-links --no-emit-trusted-host

UI := web/static/index.html
UI_SOURCES := $(shell find web/ui -name node_modules -prune -o -type f -print 2>/dev/null)
NODE_MIN := 20
HAS_NODE = node -e 'process.exit(+(parseInt(process.versions.node) < $(NODE_MIN)))' 2>/dev/null \
	&& command -v npm >/dev/null

FUZZ_S ?= 600

.PHONY: help env run ui page test test-browser test-clients test-payload payload-packages payload-demo fuzz client-types lint format bench bench-beside bench-erasure bench-export bench-http bench-sql bench-stream bench-counters bench-memory bench-page bench-fresh bench-attacks lock clean
.DELETE_ON_ERROR:

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

env: $(ENV) ## Create .venv with the command tallymark and the development tools

run: $(ENV) page ## Serve on http://127.0.0.1:8080, data in ./data
	@exec $(BIN)/tallymark serve --data data

ui: ## Build the page at / (needs Node 20 or newer)
	@$(HAS_NODE) || { \
		echo "The page needs Node $(NODE_MIN) or newer with npm: install it (https://nodejs.org," \
			"or your system's packages) and run make ui again." >&2; exit 1; }
	@$(MAKE) --no-print-directory $(UI)

# Without Node the service does all it does but show the page, and says so at /.
page:
	@if $(HAS_NODE); then $(MAKE) --silent --no-print-directory $(UI); fi

$(UI): $(UI_SOURCES)
	@echo "Building the page ..."
	@cd web/ui && npm ci --silent && npm run --silent build
	@touch $@

test: lint ## Run all checks and tests but those of the clients, proxies and in a browser
	@$(BIN)/pytest -q -n auto --maxprocesses 4 --dist loadfile

.PHONY: test-long test-crash soak
test-long: $(ENV) ## Crash the engine ten thousand times on a simulated disk (minutes)
	@$(BIN)/pytest -q -n auto --maxprocesses 4 tests/simulation/long

test-crash: $(ENV) ## Kill, starve and damage real servers (about ten minutes; root for a small disk)
	@$(BIN)/pytest -q -o faulthandler_timeout=600 tests/crash/*.py tests/crash/long

.PHONY: test-proxies
test-proxies: $(ENV) ## Run the recipes of nginx and Caddy in docs/operations.md (needs both)
	@$(BIN)/pytest -q tests/proxies

soak: $(ENV) ## Load a server and watch its memory, queue and latencies (ARGS="--minutes 60 --rate 3000")
	@$(BIN)/python -m tests.soak $(ARGS)

test-browser: $(E2E) ui $(AXE) $(TS_CLIENT) ## Run the tests in a real browser (needs chromium and Node 20)
	@cd web/ui && npm test --silent
	@$(BIN)/pytest -q -n 2 --dist loadfile tests/browser

test-clients: $(ENV) $(TS_CLIENT) ## Run the tests of the client libraries (needs Node 20)
	@cd clients/typescript && npm run --silent check && npm test --silent
	@$(BIN)/pytest -q -n 2 --dist loadfile tests/clients

test-payload: $(E2E) $(AXE) $(PAYLOAD) ## Run the tests of the package for Payload, its site in a real browser too (minutes)
	@cd clients/payload && npm run --silent check && npm test --silent
	@$(BIN)/pytest -q -o faulthandler_timeout=900 tests/payload

payload-packages: $(PAYLOAD) ## Pack what the example site of Payload installs
	@rm -rf $(SITE)/packages && mkdir $(SITE)/packages
	@npm pack --silent --pack-destination $(SITE)/packages ./clients/typescript ./clients/payload >/dev/null

payload-demo: $(ENV) payload-packages ## Start Tallymark, demonstration data and a site of Payload (minutes at first)
	@cd $(SITE) && npm ci --silent
	@exec $(BIN)/python $(SITE)/demo.py

fuzz: $(ENV) ## Fuzz each reader of foreign bytes, then the whole interface, FUZZ_S seconds each (600)
	@$(BIN)/python -m tests.fuzz --seconds $(FUZZ_S)
	@$(BIN)/python -m tests.fuzz.api --seconds $(FUZZ_S)

client-types: $(ENV) $(TS_CLIENT) ## Write the TypeScript client's types anew from /openapi.json
	@$(BIN)/python -m tests.clients.typescript.types > clients/typescript/src/api.ts

lint: $(ENV) ## Run the checks alone: ruff, mypy, import-linter
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/mypy
	@MYPYPATH=clients/python/src $(BIN)/mypy -p tallymark_client
	@$(BIN)/lint-imports --no-logo

format: $(ENV) ## Put all code into the house format
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/ruff format --quiet

bench: $(ENV) ## Measure CPU per event, events per second and latencies (ARGS=archive: that alone)
	@$(BIN)/python -m bench $(ARGS)

bench-beside: $(ENV) ## Measure how a heavy query moves the latency of events
	@$(BIN)/python -m bench.beside $(ARGS)
bench-attacks: $(ENV) ## Measure how hostile clients move the latency of events of others
	@$(BIN)/python -m bench.attacks $(ARGS)
bench-fresh: $(ENV) ## Measure whether SQL sees what was acknowledged, at 50,000 events a second
	@$(BIN)/python -m bench.fresh $(ARGS)
bench-http: $(ENV) $(BENCH_ENV) ## Measure the service over HTTP beside FastAPI and a bare responder (ARGS=--steady: at 10,000/s)
	@$(BIN)/python -m bench.http $(ARGS)
bench-erasure: $(ENV) ## Measure how long it takes to erase a person from an archive of 5 million rows
	@$(BIN)/python -m bench.erasure $(ARGS)
bench-export: $(ENV) ## Measure the memory of an export of a million events
	@$(BIN)/python -m bench.export
bench-sql: $(ENV) ## Measure SQL beside DuckDB itself over the same events (ARGS="5000000 DIR": files are kept there)
	@$(BIN)/python -m bench.sql $(ARGS)
bench-stream: $(ENV) $(BENCH_ENV) ## Measure what subscribers of the live stream cost, beside two others
	@$(BIN)/python -m bench.stream $(ARGS)
bench-counters: $(ENV) ## Measure questions for live counters at 10,000 events a second
	@$(BIN)/python -m bench.counters $(ARGS)
bench-memory: $(ENV) ## Measure what the state occupies by part (ARGS=--whole: with 1,000 services; minutes)
	@$(BIN)/python -m bench.memory $(ARGS)
bench-page: $(E2E) ui ## Measure the page in a real browser: requests, bytes, first figures, a thousand services
	@$(BIN)/python -m bench.page $(ARGS)

lock: $(ENV) ## Pin the newest versions that the .in files allow (Python 3.11, Linux)
	@$(LOCK) -o requirements.lock requirements.in
	@$(LOCK) -o requirements-dev.lock requirements-dev.in
	@$(LOCK) -o requirements-e2e.lock requirements-e2e.in
	@$(LOCK) -o requirements-bench.lock requirements-bench.in

clean: ## Remove the environment and what the tools left behind; ./data stays
	@rm -rf .venv .venv-bench build dist web/static web/ui/node_modules tests/browser/node_modules clients/*/node_modules clients/*/dist clients/*/*.tgz examples/payload-site/node_modules examples/payload-site/.next examples/payload-site/packages .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Without isolation the package is built by the hatchling that the lock pins.
$(ENV): requirements.lock requirements-dev.lock pyproject.toml
	@command -v $(PY) >/dev/null || { \
		echo "Tallymark needs Python 3.11 or newer, and there is no $(PY). Install it," \
			"or name another: make $(MAKECMDGOALS) PY=python3.12" >&2; exit 1; }
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Tallymark needs Python 3.11 or newer; $(PY) is older, or does not run. Install one," \
			"or name another: make $(MAKECMDGOALS) PY=/path/to/python3" >&2; exit 1; }
	@echo "Creating .venv (about a minute) ..."
	@$(PY) -m venv .venv
	@$(PIP) install -r requirements.lock -r requirements-dev.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(E2E): $(ENV) requirements-e2e.lock
	@echo "Installing what drives the browser ..."
	@$(PIP) install -r requirements-e2e.lock
	@touch $@

$(TS_CLIENT): clients/typescript/package-lock.json
	@$(HAS_NODE) || { echo "The TypeScript client needs Node $(NODE_MIN) or newer with npm." >&2; exit 1; }
	@cd clients/typescript && npm ci --silent
	@touch $@

# It takes the client as npm would install it: built.
$(PAYLOAD): clients/payload/package-lock.json $(TS_CLIENT)
	@echo "Installing Payload, for its package (a minute or two) ..."
	@cd clients/typescript && npm run --silent build
	@cd clients/payload && npm ci --silent
	@touch $@

$(AXE): tests/browser/package-lock.json
	@cd tests/browser && npm ci --silent
	@touch $@

# What we measure ourselves against has an environment of its own: nothing of it can be imported
# by the service or its tests, and no range of it bends what requirements.lock pins.
$(BENCH_ENV): requirements-bench.lock
	@echo "Creating .venv-bench ..."
	@$(PY) -m venv .venv-bench
	@.venv-bench/bin/python -m pip -qq --disable-pip-version-check install -r $<
	@touch $@
