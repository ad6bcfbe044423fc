"""`make bench-counters`: how long a question for live counters takes while events come in.

Beside Tallymark a bare responder is asked as often, by the same process and at the same time:
what it takes is the machine's and the asker's, and what lies between them is ours. Latencies
count from the moment at which a question was due, so that one which had to wait is not hidden.
"""

import argparse
import os
import platform
import tempfile
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec
import trio

from bench.http_servers import Served, cpu_s, floor, tallymark
from load.connection import Connection, Endpoint, Target
from load.outcome import Outcome
from load.plan import plan_of
from load.run import run

PATHS: Final = ("/counters", "/counters/executions:today")
BESIDE: Final = "bare responder"
ASKERS: Final = 8
EVERY_S: Final = 0.16
"""Between two questions of one asker: 50 a second for each of them, over eight connections."""

SETTLE_S: Final = 2.0

Latencies = dict[str, list[float]]


def main() -> None:
    """Run what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.counters", description=__doc__)
    parser.add_argument("--rate", type=float, default=10_000.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    words = parser.parse_args()
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(f"{now}, {os.cpu_count()} cores {platform.machine()}, Python ", end="")
    print(f"{platform.python_version()}, load average {load}")
    with tempfile.TemporaryDirectory() as folder:
        with tallymark(Path(folder) / "data", "fsync") as served, floor() as bare:
            before = cpu_s(served.pid)["serving"]
            outcome, found = trio.run(_measured, served, bare, words.rate, words.seconds)
            spent = cpu_s(served.pid)["serving"] - before
    print(f"{outcome.rate_per_s:,.0f} events/s acknowledged for {words.seconds:g} s", end=", ")
    print(f"{outcome.errors} errors; serving {100 * spent / words.seconds:.0f} % of a core\n")
    for what, latencies_ms in found.items():
        print(f"  {what:28} {_told(latencies_ms)}")


async def _measured(
    served: Served, bare: Served, rate: float, seconds: float
) -> tuple[Outcome, Latencies]:
    plan = plan_of(Target(served.url), "steady", rate_per_s=rate, duration_s=seconds)
    plan = msgspec.structs.replace(plan, is_counted=False)
    found: Latencies = {}
    async with trio.open_nursery() as nursery:
        targets = [*((served.url, path, path) for path in PATHS), (bare.url, "/", BESIDE)]
        for url, path, name in targets:
            for asker in range(ASKERS):
                latencies_ms = found.setdefault(name, [])
                nursery.start_soon(_ask, url, path, asker * EVERY_S / ASKERS, latencies_ms)
        outcome = await run(plan)
        nursery.cancel_scope.cancel()
    return outcome, found


async def _ask(url: str, path: str, later_s: float, latencies_ms: list[float]) -> None:
    connection = Connection(Endpoint.of(Target(url)))
    await trio.sleep(SETTLE_S + later_s)
    due_s = trio.current_time()
    while True:
        await trio.sleep_until(due_s)
        answer = await connection.get(path)
        assert answer.status == 200, answer
        latencies_ms.append(1000 * (trio.current_time() - due_s))
        due_s += EVERY_S


def _told(latencies_ms: Iterable[float]) -> str:
    found = sorted(latencies_ms)
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "most": 1.0}
    told = (f"{name} {found[int(at * (len(found) - 1))]:7.2f}" for name, at in shares.items())
    return f"{'  '.join(told)} ms  of {len(found):,}"


if __name__ == "__main__":
    main()
