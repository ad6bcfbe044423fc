"""An engine that lives on a data folder, as the server makes it, with disks that can fail.

async with living(config) as life:              # recovered from the folder, and running
    await life.engine.accept(batch(view("s")))
async with living(config, end="crash") as life: # what was not yet kept is lost at the end
    ...
"""

import contextlib
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import msgspec
import trio

from engine import decoding, events
from engine.actors.runtime import Engine
from engine.answers import experiments, marketplace, revenue, services, users
from engine.config import Config
from persistence.files import REAL_DISK, Disk
from persistence.journal import Journal
from persistence.recovery import Recovered, recover
from persistence.snapshot import SnapshotStore
from tests.persistence.faulty_disk import FaultyDisk

NOW_MS = 1_790_078_400_000  # 22 September 2026, 12:00 UTC
ANY_TIME = events.AcceptedTimes(0, 2**53, NOW_MS)

PATIENCE_S = 60
"""When to believe that something hangs; no promise about speed."""


class GatedDisk(FaultyDisk):
    """A disk whose syncs wait while it is held, and which tells when one does."""

    def __init__(self, **faults: Any) -> None:
        super().__init__(**faults)
        self._open_gate = threading.Event()
        self._open_gate.set()
        self._reached = threading.Event()

    def hold(self) -> None:
        self._reached.clear()
        self._open_gate.clear()

    def let_go(self) -> None:
        self._open_gate.set()

    async def reached(self) -> None:
        """Wait until a sync waits."""
        assert await trio.to_thread.run_sync(self._reached.wait, PATIENCE_S)

    def sync(self, handle: int) -> None:
        self._reached.set()
        assert self._open_gate.wait(PATIENCE_S)
        super().sync(handle)


@dataclass
class Clock:
    """The engine's time, which stands still until it is told to move."""

    now_ms: int


@dataclass
class Life:
    """A running engine, its time, and all that it has logged as (event, facts)."""

    engine: Engine
    recovered: Recovered
    clock: Clock
    log: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    _news: trio.Event = field(default_factory=trio.Event)

    def note(self, event: str, **facts: Any) -> None:
        self.log.append((event, facts))
        self._news.set()
        self._news = trio.Event()

    async def next_line(self) -> None:
        """Wait until the engine logs something."""
        await self._news.wait()

    @property
    def logged(self) -> list[str]:
        return [event for event, _ in self.log]


def config_of(folder: Path, **settings: Any) -> Config:
    """Two shards, and no snapshot but on request, at the end, or when a test says so."""
    given = {"shards": 2, "durability": "fsync", "snapshot_interval_s": 10**9} | settings
    return Config(data=folder / "data", **given)


@contextlib.asynccontextmanager
async def living(
    config: Config,
    *,
    end: Literal["stop", "crash"] = "stop",
    journal_disk: Disk = REAL_DISK,
    snapshot_disk: Disk = REAL_DISK,
    now_ms: int = NOW_MS,
    archived_seq: Callable[[], int | None] = lambda: None,
) -> AsyncIterator[Life]:
    """An engine from its recovery to its end; a crash keeps what is on the disk, no more."""
    clock = Clock(now_ms)
    found = recover(config)
    journal, snapshots = found.journal, found.snapshots
    if journal_disk is not REAL_DISK:
        journal.close()
        journal = Journal.open(
            config.data / "journal",
            durability=config.durability,
            segment_bytes_max=config.segment_bytes_max,
            disk=journal_disk,
        )
    if snapshot_disk is not REAL_DISK:
        snapshots = SnapshotStore(config.data / "snapshots", disk=snapshot_disk)
        snapshots.load_newest()
    engine = Engine(
        config,
        found.calendar,
        journal=journal,
        snapshots=snapshots,
        sequencing=found.sequencing,
        states=found.states,
        clock_ms=lambda: clock.now_ms,
        log=lambda event, **facts: life.note(event, **facts),
        snapshot_ms=found.snapshot_ms,
        archived_seq=archived_seq,
    )
    life = Life(engine, found, clock)
    async with trio.open_nursery() as nursery:
        await nursery.start(engine.run)
        yield life
        if end == "stop":
            engine.stop()
        else:
            nursery.cancel_scope.cancel()


def batch(*told: dict[str, Any]) -> events.Batch:
    """What a request with these events becomes."""
    body = json.dumps(told).encode()
    return decoding.decode_many(
        body, events_max=len(told), times=ANY_TIME, text_bytes_max=16_384
    )


def view(service: str = "s", **fields: Any) -> dict[str, Any]:
    """One view of a service."""
    return {"eventType": "marketplace_view", "serviceId": service, **fields}


async def views(engine: Engine) -> int:
    """How many views the engine says it has counted today."""
    counted = (await engine.counters())["views:today"]
    assert isinstance(counted, int)
    return counted


async def everything(engine: Engine) -> dict[str, Any]:
    """The answers of all families as plain values, percentiles left out: they are estimates."""
    month = {"start_date": "2026-08-24", "end_date": "2026-09-22"}
    found = {
        "services": await engine.services(services.Asked(**month, limit=10_000, trend=True)),
        "revenue": await engine.revenue(revenue.Asked(**month, granularity="day")),
        "marketplace": await engine.marketplace(
            marketplace.Asked(**month, granularity="day", limit=10_000)
        ),
        "experiments": await engine.experiments(experiments.Asked()),
        "users": await engine.users(users.Asked(**month, granularity="week")),
        "counters": await engine.counters(),
        "events": engine.health().events,
        "duplicates": engine.health().duplicates,
    }
    plain: dict[str, Any] = _without_percentiles(msgspec.to_builtins(found))
    return plain


def _without_percentiles(value: Any) -> Any:
    if isinstance(value, dict):
        estimates = {"p50", "p95", "p99", "accuracy", "error"}
        return {k: _without_percentiles(v) for k, v in value.items() if k not in estimates}
    if isinstance(value, list):
        return [_without_percentiles(one) for one in value]
    return value
