"""`make bench-http`: what an event costs each server over HTTP, and the check at 10,000/s.

All servers are asked in turn, round after round, in alternating order; what counts is the
median of the ratios within a round, for machines drift and ratios stay.
"""

import argparse
import os
import platform
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import trio

from bench.http_servers import FASTAPI, FASTAPI_SYNCED, FLOOR, Served, cpu_s, serving, tallymark
from load.connection import Target
from load.outcome import Outcome
from load.plan import Plan, plan_of
from load.profile import Audience
from load.run import run

SCENARIOS: Final = ((25, 32), (25, 128), (1, 32), (250, 32), (1_000, 32))
"""(events a request, connections)"""

RATE_PER_S: Final = 10_000.0
AUDIENCE: Final = Audience(queries_per_s=50, subscribers=100)
SERVING: Final = "serving"


@dataclass(frozen=True, slots=True)
class Cost:
    """One server in one round: µs of CPU an event by process, and what came through."""

    us: dict[str, float]
    events_per_s: float
    p50_ms: float


def main() -> None:
    """Run what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.http", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="of one server in one round")
    parser.add_argument(
        "--events", type=int, nargs="*", help="a request; all of them if absent"
    )
    parser.add_argument("--steady", action="store_true", help="the check at 10,000 events/s")
    parser.add_argument("--duration", type=float, default=60.0, help="of that check, seconds")
    words = parser.parse_args()
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(f"{now}, {os.cpu_count()} cores {platform.machine()}, Python ", end="")
    print(f"{platform.python_version()}, load average {load}\n")
    with tempfile.TemporaryDirectory() as folder:
        if words.steady:
            _steady(Path(folder), words.duration)
        else:
            _compare(Path(folder), words.rounds, words.seconds, words.events)


def _compare(folder: Path, rounds: int, seconds: float, sizes: list[int] | None) -> None:
    print(f"Closed loop, unique events, {rounds} alternating rounds of {seconds:g} s;")
    print("µs: CPU of the serving process an event, median (least); ×: median of the ratios")
    with serving(folder) as servers:
        for batch, connections in SCENARIOS:
            if not sizes or batch in sizes:
                found: list[dict[str, Cost]] = []
                for number in range(rounds):
                    order = servers if number % 2 == 0 else servers[::-1]
                    found.append(_round(order, batch, connections, seconds))
                _print(found, [one.name for one in servers], batch, connections)


def _round(
    servers: list[Served], batch: int, connections: int, seconds: float
) -> dict[str, Cost]:
    found = {}
    for served in servers:
        cost = _cost(served, batch, connections, seconds)
        if cost is not None:
            found[served.name] = cost
    return found


def _cost(served: Served, batch: int, connections: int, seconds: float) -> Cost | None:
    taken = served.form_of(batch)
    if taken is None:
        return None
    plan = plan_of(
        Target(served.url),
        "steady",
        duration_s=seconds,
        batch=batch,
        connections=connections,
    )
    plan = msgspec.structs.replace(
        plan, closed_loop=True, is_counted=False, form=taken[0], route=taken[1]
    )
    outcome, spent = _run(plan, served.pid)
    assert not outcome.errors, f"{served.name}: {outcome.refused} {outcome.samples}"
    us = {name: 1e6 * cpu / outcome.events for name, cpu in spent.items()}
    return Cost(us, outcome.rate_per_s, outcome.latencies.percentiles["p50"])


def _run(plan: Plan, pid: int) -> tuple[Outcome, dict[str, float]]:
    """The run, and CPU seconds by process of the server while it went on."""
    before = cpu_s(pid)
    outcome = trio.run(run, plan)
    after = cpu_s(pid)
    return outcome, {name: spent - before.get(name, 0.0) for name, spent in after.items()}


def _print(
    rounds: list[dict[str, Cost]], names: list[str], batch: int, connections: int
) -> None:
    print(f"\n{batch} events a request, {connections} connections")
    head = f"  {'':24}{'µs':>15}{'× floor':>10}{'× FastAPI':>11}{'× synced':>10}"
    print(f"{head}{'events/s':>12}{'p50 ms':>9}")
    for name in names:
        costs = [found[name] for found in rounds if name in found]
        if not costs:
            print(f"  {name:24}{'takes no such batch':>27}")
            continue
        us = [cost.us[SERVING] for cost in costs]
        line = f"  {name:24}{median(us):8.2f} ({min(us):.2f})".ljust(41)
        for other, width in ((FLOOR, 10), (FASTAPI, 11), (FASTAPI_SYNCED, 10)):
            line += f"{_ratio(rounds, name, other):{width}.2f}"
        rate = median(cost.events_per_s for cost in costs)
        print(f"{line}{rate:12,.0f}{median(cost.p50_ms for cost in costs):9.2f}")
        for beside in sorted({one for cost in costs for one in cost.us} - {SERVING}):
            spent = median(cost.us.get(beside, 0.0) for cost in costs)
            print(f"    beside it {beside:20} {spent:8.2f} µs")


def _ratio(rounds: list[dict[str, Cost]], name: str, other: str) -> float:
    return median(
        found[name].us[SERVING] / found[other].us[SERVING]
        for found in rounds
        if name in found and other in found
    )


def _steady(folder: Path, duration_s: float) -> None:
    print(f"Open loop, {RATE_PER_S:,.0f} events/s in batches of 25 for {duration_s:g} s, fsync")
    with tallymark(folder / "data", "fsync") as served:
        plan = plan_of(
            Target(served.url), "steady", rate_per_s=RATE_PER_S, duration_s=duration_s
        )
        _hold(plan, served, "alone")
        heard = msgspec.structs.replace(plan.profile, audience=AUDIENCE)
        audience = f"{AUDIENCE.subscribers} subscribers, {AUDIENCE.queries_per_s:g} queries/s"
        _hold(msgspec.structs.replace(plan, profile=heard), served, audience)


def _hold(plan: Plan, served: Served, what: str) -> None:
    outcome, spent = _run(plan, served.pid)
    latencies = outcome.latencies.percentiles
    shown = "  ".join(f"{name} {latencies[name]:.2f}" for name in ("p50", "p99", "p99.9"))
    counts = "exact" if outcome.is_counted_right else "WRONG"
    print(f"\n{what}: {outcome.rate_per_s:,.0f} events/s, {outcome.errors} errors, {counts}")
    print(f"  latency ms {shown}  max {outcome.latencies.max:.2f}")
    for name, cpu in spent.items():
        print(f"  {name:24} {100 * cpu / plan.duration_s:5.1f} % of a core")
    late = outcome.generator.lateness_p99
    print(f"  the generator itself was late by p99 {late:.2f} ms")
    if outcome.reads is not None:
        reads = outcome.reads.latencies
        print(f"  {reads.count:,} queries, p99 {reads.percentiles['p99']:.2f} ms", end=", ")
        print(f"{sum(outcome.reads.errors.values())} failed; {outcome.reads.frames:,} frames")


if __name__ == "__main__":
    main()
