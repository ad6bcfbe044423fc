"""The engine alone: CPU per event on the way in, events a second on the way back."""

import gc
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, TypeVar

from bench.events import bodies
from engine import events
from engine.config import Config
from engine.events import AcceptedTimes, Batch, Body
from engine.sequence import Sequencing
from engine.state import ShardState
from engine.timebucket import DAY_MS, HOUR_MS, Calendar
from persistence.journal import Journal
from persistence.recovery import recover

T = TypeVar("T")

GROUP_EVENTS: Final = 250
BATCH_EVENTS: Final = 25


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU microseconds per event of one stage."""

    stage: str
    us: float


class Bench:
    """One engine without actors, on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.config = Config(data=folder, durability="write")
        self.calendar = calendar = Calendar(self.config.timezone)
        self.sequencing = Sequencing(self.config, calendar)
        self.states = [ShardState(self.config, calendar) for _ in range(self.config.shards)]
        self.journal = Journal.open(
            folder / "journal", durability="write", segment_bytes_max=2**26
        )
        self.now_ms = int(time.time() * 1000)

    def decode(self, body: bytes) -> Batch:
        times = AcceptedTimes(self.now_ms - 400 * DAY_MS, self.now_ms + 300_000, self.now_ms)
        return events.decode_many(
            body, events_max=BATCH_EVENTS, times=times, text_bytes_max=2**14
        )

    def decode_all(self, bodies: Sequence[bytes]) -> list[Batch]:
        return [self.decode(body) for body in bodies]

    def append(self, group: list[Batch]) -> None:
        self.journal.append(
            self.journal.last_seq + 1,
            self.now_ms,
            [Body(b.kind, len(b.events), b.body) for b in group],
        )

    def take_and_fold(self, group: list[Batch]) -> None:
        groups = self.sequencing.take(self.now_ms, group)
        for state, part in zip(self.states, groups, strict=True):
            if part.facts:
                state.fold(part)

    def settle(self) -> None:
        """What waits for the next question is paid for by the events that left it."""
        for state in self.states:
            for _ in state.services.settle():
                pass
            state.users.days.settle()


def ingest(count: int) -> tuple[list[Cost], float]:
    """CPU per event by stage and in all, then events a second of a recovery."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        raw = bodies(count, batch=BATCH_EVENTS, seed=1, now_ms=bench.now_ms, spread_ms=HOUR_MS)
        per_group = GROUP_EVENTS // BATCH_EVENTS
        groups = [raw[i : i + per_group] for i in range(0, len(raw), per_group)]
        gc.collect()
        gc.freeze()
        spent = {"decode and validate": 0.0, "journal": 0.0, "sequence and fold": 0.0}
        started = process_time()
        for group in groups:
            batches = _timed(spent, "decode and validate", partial(bench.decode_all, group))
            _timed(spent, "journal", partial(bench.append, batches))
            _timed(spent, "sequence and fold", partial(bench.take_and_fold, batches))
        _timed(spent, "sequence and fold", bench.settle)
        total = process_time() - started
        bench.journal.close()
        costs = [Cost(stage, 1e6 * s / count) for stage, s in spent.items()]
        costs.append(Cost("engine alone", 1e6 * total / count))
        del batches, raw, groups
        return costs, replay(bench.config, count)


def replay(config: Config, count: int) -> float:
    """Events a second from a journal of `count` events, without a snapshot."""
    gc.collect()
    started = perf_counter()
    recovered = recover(config)
    seconds = perf_counter() - started
    assert recovered.report.replayed_events == count
    recovered.journal.close()
    return count / seconds


def _timed(spent: dict[str, float], stage: str, call: Callable[[], T]) -> T:
    started = process_time()
    result = call()
    spent[stage] += process_time() - started
    return result
