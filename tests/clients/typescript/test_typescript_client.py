"""The TypeScript package, packed and installed, against a real server."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.once import must_arrive_once
from tests.clients.typescript.package import PACKAGE, install_into, run
from tests.clients.typescript.types import written
from tests.keys import made
from tests.server import PATIENCE_S, Server, environment

HERE = Path(__file__).parent
TSC = PACKAGE / "node_modules/.bin/tsc"

SENDER = """
import { createClient, trackServiceExecution } from "@tallymark/client";

const [url, events] = process.argv.slice(2);
const drops = [];
const onDrop = (drop) => drops.push(drop);
const client = createClient({ url, queueEventsMax: 20_000, onDrop });
for (let n = 0; n < Number(events); n++) {
  client.track(trackServiceExecution({ serviceId: "once", latencyMs: 1.5, success: true }));
}
const isAllSent = await client.close(600_000);
if (!isAllSent || drops.length > 0) throw new Error(`${drops.length} ${drops[0]?.detail}`);
"""

ASKING = """
import { createClient, trackMarketplaceView, TallymarkError } from "@tallymark/client";

const client = createClient({ url: process.argv[2] });
client.track(trackMarketplaceView({ serviceId: "s-1", sessionId: "u-1" }));
client.track({ eventType: "marketplace_view", serviceId: "" });
await client.flush();
const { data } = await client.marketplace({ granularity: "day" });
const said = { views: data.views, stats: client.stats };
said.families = [
  (await client.services({ limit: 5, trend: true })).rows,
  (await client.revenue()).data.gmv,
  (await client.experiments()).data.length,
  (await client.users({ cohorts: "week" })).data.sessions,
];
said.counter = (await client.counters(["views:today"])).data["views:today"];
said.sql = (await client.sql("SELECT count() AS n FROM events", { fresh: true })).data[0].n;
const told = (error) => [error instanceof TallymarkError, error.status];
said.refusal = await client.sql("SELEKT").catch(told);
said.health = (await client.health()).status;
said.stream = await new Promise((resolve) => {
  const heard = [];
  const live = client.stream({
    keys: ["views:today"],
    onMessage: (message) => {
      heard.push(message.type);
      if (message.type === "update") {
        live.close();
        resolve([...heard, message.counters["views:today"]]);
      }
    },
  });
});
console.log(JSON.stringify(said));
"""

WITH_KEYS = """
import { createClient, trackMarketplaceView } from "@tallymark/client";

const [url, write, read] = process.argv.slice(2);
const drops = [];
const onDrop = ({ detail }) => drops.push(detail.slice(0, 3));
for (const key of [write, read, undefined]) {
  const client = createClient({ url, key, onDrop });
  client.track(trackMarketplaceView({ serviceId: "s-1" }));
  await client.close();
}
const reader = createClient({ url, key: read });
const said = { drops, views: (await reader.marketplace()).data.views };
said.writer = await createClient({ url, key: write }).revenue().catch(({ status }) => status);
said.stream = await new Promise((resolve) => {
  const live = reader.stream({
    onMessage: ({ type, counters }) => {
      if (type !== "update") return;
      live.close();
      resolve(counters["views:today"]);
    },
    onInterruption: resolve,
  });
});
console.log(JSON.stringify(said));
"""

FROM_COMMONJS = """
const { join } = require("node:path");
const { name, exports: parts } = require("./node_modules/@tallymark/client/package.json");

const paths = Object.keys(parts).map((part) => require.resolve(join(name, part)));
const load = process.features.require_module ? (path) => require(path) : (path) => import(path);
Promise.all(paths.map(load)).then((modules) => {
  const names = modules.map((module) => Object.keys(module));
  console.log(JSON.stringify(names.map((all) => all.some((one) => one.startsWith("track")))));
});
"""

COMING_BACK = """
import { createClient } from "@tallymark/client";

const client = createClient({ url: process.argv[2] });
const alive = setInterval(() => {}, 1000); // the timers of the client keep nothing alive
const live = client.stream({
  onMessage: ({ type }) => console.log(type),
  onInterruption: () => console.log("interrupted"),
});
process.stdin.on("end", () => (live.close(), clearInterval(alive))).resume();
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of an application into which the tarball was installed."""
    folder = tmp_path_factory.mktemp("installed")
    install_into(folder)
    return folder


def test_it_needs_nothing_else(installed: Path) -> None:
    packages = [path.name for path in (installed / "node_modules").iterdir()]
    assert [name for name in packages if not name.startswith(".")] == ["@tallymark"]


def test_commonjs_gets_every_part_of_it(installed: Path) -> None:
    (installed / "common.cjs").write_text(FROM_COMMONJS)
    assert json.loads(run("node", "common.cjs", cwd=installed)) == [True] * 6


def test_its_types_are_those_of_the_service(server: Server) -> None:
    assert (PACKAGE / "src/api.ts").read_text() == written(server), "run `make client-types`"


def test_the_examples_of_the_collectors_compile_and_send(
    installed: Path, server: Server
) -> None:
    folder = installed / "seed"
    shutil.copytree(HERE / "seed", folder)
    options = ("--strict", "--target", "es2022", "--module", "nodenext", "--outDir", "out")
    sources = [path.name for path in sorted(folder.glob("*.ts"))]
    run(str(TSC), *options, *sources, cwd=folder)
    run("node", "run.mjs", server.url, cwd=folder)
    ask = server.client.get
    (row,) = ask("/metrics/services?serviceId=service-123").json()["data"]
    assert (row["executions"], row["latency"]["p50"]) == (1, pytest.approx(245, rel=0.01))
    assert ask("/metrics/revenue").json()["data"]["creatorEarnings"] == 85
    figures = ask("/metrics/marketplace").json()["data"]
    assert [figures[name] for name in ("searches", "views", "conversions")] == [1, 1, 1]
    (experiment,) = ask("/metrics/experiments").json()["data"]
    assert experiment["variants"][-1]["conversions"] == 1
    assert ask("/metrics/users").json()["data"]["sessions"] == 1


def test_every_event_arrives_once_through_faults_and_a_killed_server(
    installed: Path, server: Server
) -> None:
    (installed / "sender.mjs").write_text(SENDER)
    must_arrive_once(server, ["node", "sender.mjs"], cwd=installed, env=environment())


def test_it_shows_its_key_to_send_to_ask_and_to_listen(installed: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write, read = made(data, "write"), made(data, "read")
    (installed / "keyed.mjs").write_text(WITH_KEYS)
    with Server(data) as server:
        told = run("node", "keyed.mjs", server.url, write, read, cwd=installed)
    said = json.loads(told.splitlines()[-1])
    assert said == {"drops": ["403", "401"], "views": 1, "writer": 403, "stream": 1}


def test_it_asks_every_question(installed: Path, tmp_path: Path) -> None:
    (installed / "asking.mjs").write_text(ASKING)
    with Server(tmp_path / "data", "--archive") as server:
        said = json.loads(run("node", "asking.mjs", server.url, cwd=installed).splitlines()[-1])
    assert said == {
        "views": 1,
        "stats": {"queued": 0, "delivered": 1, "dropped": 1},
        "families": [0, 0, 0, 0],
        "counter": 1,
        "sql": 1,
        "refusal": [True, 422],
        "health": "ok",
        "stream": ["connected", "update", 1],
    }


def test_a_stream_comes_back_after_a_restart_of_the_server(
    installed: Path, tmp_path: Path
) -> None:
    (installed / "coming_back.mjs").write_text(COMING_BACK)
    with Server(tmp_path / "data") as server:
        port = server.url.rpartition(":")[2]
        with subprocess.Popen(
            ["node", "coming_back.mjs", server.url],
            cwd=installed,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as listener:
            assert listener.stdin is not None
            assert listener.stdout is not None
            heard = iter(listener.stdout)
            assert next(heard) == "connected\n"
            server.kill()
            assert "interrupted\n" in heard
            with Server(tmp_path / "data", "--port", port):
                assert "connected\n" in heard
                listener.stdin.close()
                assert listener.wait(PATIENCE_S) == 0
