"""The engine alone: CPU per event on the way in, events a second on the way back."""

import gc
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from time import perf_counter, process_time
from typing import Final, TypeVar

from bench.events import bodies
from engine import decoding, events
from engine.config import Config
from engine.events import AcceptedTimes, Batch, Body, Kind
from engine.group import Group
from engine.sequence import Sequencing
from engine.state import ShardState
from engine.timebucket import DAY_MS, HOUR_MS, Calendar
from persistence.journal import Journal
from persistence.recovery import recover

T = TypeVar("T")

GROUP_EVENTS: Final = 250
BATCH_EVENTS: Final = 25


YARDSTICK: Final = "msgspec alone"
"""The same bodies decoded and nothing else, in the same rounds: machines drift, ratios stay."""

TOTAL: Final = "engine alone"


@dataclass(frozen=True, slots=True)
class Costs:
    """One round: CPU microseconds an event by stage, and how fast a start replays it."""

    us: dict[str, float]
    replayed_per_s: float


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
        return decoding.decode_many(
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
        for _ in self.sequencing.take_in(self.now_ms, group):
            pass
        group.clear()  # as the sequencer lets go of events that it has read
        self.fold(self.sequencing.deal_due())

    def fold(self, dealt: Iterable[list[Group]]) -> None:
        for groups in dealt:
            for state, part in zip(self.states, groups, strict=True):
                if part.facts:
                    state.fold(part)

    def settle(self) -> None:
        """What waits for the next question is paid for by the events that left it."""
        self.fold(self.sequencing.deal())
        for state in self.states:
            for _ in chain(state.settle(), state.services.settle()):
                pass
            state.users.days.settle()


def ingest(count: int) -> Costs:
    """Take `count` events in, then replay their journal."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        raw = bodies(count, batch=BATCH_EVENTS, seed=1, now_ms=bench.now_ms, spread_ms=HOUR_MS)
        per_group = GROUP_EVENTS // BATCH_EVENTS
        groups = [raw[i : i + per_group] for i in range(0, len(raw), per_group)]
        gc.collect()
        gc.freeze()
        spent = dict.fromkeys(
            (YARDSTICK, "decode and validate", "journal", "sequence and fold"), 0.0
        )
        for group in groups:
            # As a socket leaves them: just written, and not read from 50 MB away.
            received = [bytes(memoryview(body)) for body in group]
            _timed(spent, YARDSTICK, partial(_decode_alone, received))
            batches = _timed(spent, "decode and validate", partial(bench.decode_all, received))
            _timed(spent, "journal", partial(bench.append, batches))
            _timed(spent, "sequence and fold", partial(bench.take_and_fold, batches))
        _timed(spent, "sequence and fold", bench.settle)
        bench.journal.close()
        us = {stage: 1e6 * seconds / count for stage, seconds in spent.items()}
        us[TOTAL] = sum(us.values()) - us[YARDSTICK]
        del batches, raw, groups
        return Costs(us, replay(bench.config, count))


def _decode_alone(received: Sequence[bytes]) -> None:
    for body in received:
        events.replay(Kind.ARRAY, body)


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
