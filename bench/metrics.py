"""Questions: how long GET /metrics/services takes for one and for a thousand services."""

import time
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Final

import numpy as np
import trio

from bench.engine import Bench
from bench.events import CATEGORIES
from engine.actors.runtime import Engine
from engine.answers.services import Asked
from engine.columns import Keys
from engine.hashing import shard_of
from engine.timebucket import DAY_MS
from persistence.snapshot import SnapshotStore
from web.collecting import tune_collector
from web.wire import pieces

SERVICES: Final = 1_000
DAYS: Final = 30
CALLS_A_DAY: Final = 300
"""Above 256, so that every cell holds a KLL and a histogram: the dear case."""

ROUNDS: Final = 5


@dataclass(frozen=True, slots=True)
class Answered:
    """One question: milliseconds to the encoded answer, and the longest hold of the loop."""

    question: str
    ms: float
    slice_ms: float


def fill(bench: Bench) -> None:
    """Fold DAYS of calls of SERVICES services, ending now."""
    rng = np.random.default_rng(7)
    keys = Keys(len(bench.states))
    today_ms = bench.now_ms - bench.now_ms % DAY_MS
    for service in range(SERVICES):
        service_id = f"service-{service:04}"
        number = keys.number((service_id, CATEGORIES[service % len(CATEGORIES)]))
        family = bench.states[shard_of(service_id, len(bench.states))].services
        for day in range(DAYS):
            latencies = rng.lognormal(5, 0.6, CALLS_A_DAY)
            start_ms = today_ms - (DAYS - 1 - day) * DAY_MS
            step_ms = (min(DAY_MS, bench.now_ms - start_ms) - 1) // CALLS_A_DAY
            calls = np.empty((3, CALLS_A_DAY), np.int64)
            calls[0] = number
            calls[1] = start_ms + np.arange(CALLS_A_DAY) * step_ms
            calls[2] = latencies.view(np.int64)
            family.fold(calls, (), keys)


async def ask(engine: Engine, question: str, asked: Asked) -> Answered:
    """Ask once, while another task looks how long it is kept from running."""
    longest = 0.0
    async with trio.open_nursery() as nursery:

        async def look() -> None:
            nonlocal longest
            before = perf_counter()
            while True:
                await trio.lowlevel.checkpoint()
                now = perf_counter()
                longest = max(longest, now - before)
                before = now

        nursery.start_soon(look)
        await trio.lowlevel.checkpoint()
        started = perf_counter()
        for _ in pieces(await engine.services(asked)):
            await trio.lowlevel.checkpoint()
        seconds = perf_counter() - started
        nursery.cancel_scope.cancel()
    return Answered(question, 1000 * seconds, 1000 * longest)


async def _answers(bench: Bench) -> list[Answered]:
    engine = Engine(
        bench.config,
        bench.calendar,
        journal=bench.journal,
        snapshots=SnapshotStore(bench.config.data / "snapshots"),
        sequencing=bench.sequencing,
        states=bench.states,
        clock_ms=lambda: int(time.time() * 1000),
        log=lambda *_, **__: None,
    )
    month = time.strftime("%Y-%m-%d", time.gmtime(bench.now_ms / 1000 - (DAYS - 1) * 86_400))
    one = Asked(service_id="service-0042", start_date=month)
    all_of_them = Asked(start_date=month, limit=SERVICES)
    found = []
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        found.append(await ask(engine, "one service, 30 days, cold", one))
        for _ in range(ROUNDS):
            found.append(await ask(engine, "one service, 30 days, warm", one))
        found.append(await ask(engine, "1,000 services, 30 days, cold", all_of_them))
        for _ in range(ROUNDS):
            found.append(await ask(engine, "1,000 services, 30 days, warm", all_of_them))
        nursery.cancel_scope.cancel()
    return found


def answers(bench: Bench) -> list[Answered]:
    """Each question asked cold once and then ROUNDS times warm, of a filled bench."""
    fill(bench)
    bench.settle()
    tune_collector()
    return trio.run(partial(_answers, bench))
