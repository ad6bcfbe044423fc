"""`python -m tests.fuzz.api --seconds N`: Schemathesis asks a server all that it describes.

Valid and invalid requests are made from /openapi.json, one by one and as sequences. No answer
may be a failure of the server, or anything that is not described; after all of it the server
is up, has logged no failure, and counts one more event as it should.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from tests.server import ROOT, Server

CHECKS: Final = (
    "not_a_server_error",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "status_is_described",
    "a_refusal_is_a_problem",
)
ENDLESS: Final = ("/stream", "/embed/{dashboard}/stream")
"""Their first byte is no end; tests/web/test_lane.py has what they are asked."""


def main() -> int:
    """Run it; 0 where all held."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.api", description=__doc__)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, help="of a run that is to be repeated")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        with Server(data, "--durability", "write", "--archive") as server:
            code = _schemathesis(server.url, told.seconds, told.seed)
            _must_be_well(server)
    return code


def _schemathesis(url: str, seconds: int, seed: int | None) -> int:
    words = [
        str(Path(sys.executable).with_name("schemathesis")),
        *("run", f"{url}/openapi.json", "--no-color"),
        *("--phases", "coverage,fuzzing,stateful", "--max-time", str(seconds)),
        *("--continue-on-failure", "--request-timeout", "30", "--warnings", "off"),
        *("--checks", ",".join(CHECKS)),
        *(word for path in ENDLESS for word in ("--exclude-path", path)),
        *(("--seed", str(seed)) if seed is not None else ()),
    ]
    kept = {name: value for name, value in os.environ.items() if "TALLYMARK_" not in name}
    hooks = {"SCHEMATHESIS_HOOKS": "tests.fuzz.api_laws", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryDirectory() as elsewhere:  # it leaves files where it runs
        return subprocess.run(words, cwd=elsewhere, env=kept | hooks, check=False).returncode


def _must_be_well(server: Server) -> None:
    """It runs as it did before."""
    before = server.client.get("/health").json()["events"]
    event = {"eventType": "marketplace_view", "serviceId": "the-last"}
    assert server.client.post("/track", json=event).status_code == 200
    assert server.client.get("/health").json()["events"] == before + 1
    failures = [line for line in server.log if line.get("level") not in ("info", "debug")]
    failures = [line for line in failures if not _is_told_its_asker(line)]
    assert not failures, failures
    assert server.stop() == 0


def _is_told_its_asker(line: dict[str, Any]) -> bool:
    """A report may be asked for whose question turns out to have no answer."""
    return line["event"] == "report failed" and "reason" in line


if __name__ == "__main__":
    sys.exit(main())
