"""The archive: CPU and bytes an event, written as parts and merged, with ids that are UUIDs."""

import gc
import json
import random
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any, Final

from bench.events import timed
from engine import events
from engine.config import Config
from engine.events import Body, Kind
from engine.timebucket import DAY_MS
from persistence.archive import merging
from persistence.archive.archiver import Archiver
from persistence.archive.parquet import Merger
from persistence.journal import Journal

USERS: Final = 20_000
BATCH_EVENTS: Final = 25
GROUP_EVENTS: Final = 250
GROUP_MS: Final = 5
"""Between two groups: 50,000 events a second, so that nothing is thinned."""


@dataclass(frozen=True, slots=True)
class Archived:
    """CPU microseconds an event, and bytes a row once all is merged.

    decoding  msgspec alone, over the same bodies: the yardstick
    parts     following, decoding, duplicates, columns, Parquet
    joining   of parts to a file, page by page
    merging   of all files to one, which sorts its rows
    """

    decoding_us: float
    parts_us: float
    joining_us: float
    merging_us: float
    part_bytes: float
    merged_bytes: float


def with_uuids(count: int, *, seed: int, now_ms: int) -> Iterator[dict[str, Any]]:
    """The mixture of `generate`, all ids of people, sessions, events and calls UUIDs."""
    rng = random.Random(seed)
    users = [_uuid(rng) for _ in range(USERS)]
    sessions = [[_uuid(rng) for _ in range(7)] for _ in range(USERS)]
    for event in timed(count, seed=seed, now_ms=now_ms, spread_ms=3_600_000):
        user = rng.randrange(USERS)
        event |= {"eventId": _uuid(rng), "userId": users[user]}
        event["sessionId"] = rng.choice(sessions[user])
        if "executionId" in event:
            event["executionId"] = _uuid(rng)
        yield event


def archived(count: int, *, part_events: int, uuids: bool) -> Archived:
    """Archive `count` events in parts of `part_events`, and merge them."""
    bodies = _bodies(count, uuids=uuids)
    with tempfile.TemporaryDirectory() as folder:
        return _archived(Path(folder), bodies, part_events)


def _bodies(count: int, *, uuids: bool) -> list[bytes]:
    """What is sent. The events themselves are gone then: where they lie about, those that are
    decoded get what memory is left between them, and cost nearly twice as much."""
    now_ms = int(time.time() * 1000)
    if uuids:
        told = with_uuids(count, seed=1, now_ms=now_ms)
    else:
        told = timed(count, seed=1, now_ms=now_ms, spread_ms=3_600_000)
    found = list(told)
    return [
        json.dumps(found[n : n + BATCH_EVENTS], separators=(",", ":")).encode()
        for n in range(0, count, BATCH_EVENTS)
    ]


def _archived(folder: Path, bodies: list[bytes], part_events: int) -> Archived:
    config = Config(data=folder, durability="write")
    journal = Journal.open(folder / "journal", durability="write")
    now_ms = int(time.time() * 1000)
    group = GROUP_EVENTS // BATCH_EVENTS
    for n in range(0, len(bodies), group):
        records = [Body(Kind.ARRAY, BATCH_EVENTS, body) for body in bodies[n : n + group]]
        journal.append(journal.last_seq + 1, now_ms + n * GROUP_MS // group, records)
    count = journal.last_seq
    gc.disable()  # as the archive's process does
    started = process_time()
    for body in bodies:
        events.replay(Kind.ARRAY, body)
    decoding = process_time() - started
    archiver = Archiver(
        config, journal_seq=count, clock_ms=lambda: now_ms, log=lambda *_, **__: None
    )
    started = process_time()
    for seq in range(part_events, count + 1, part_events):
        archiver.follow(seq)
    parts = process_time() - started
    part_bytes = archiver.store.manifest.size_bytes
    with Merger(archiver.store.temp) as merger:
        joining_us = _merging_us(archiver, merger, now_ms)
        merging_us = _merging_us(archiver, merger, now_ms + 2 * DAY_MS)
    gc.enable()
    manifest = archiver.store.manifest
    assert manifest.rows == count
    return Archived(
        decoding_us=decoding / count * 1e6,
        parts_us=parts / count * 1e6,
        joining_us=joining_us,
        merging_us=merging_us,
        part_bytes=part_bytes / count,
        merged_bytes=manifest.size_bytes / count,
    )


def _merging_us(archiver: Archiver, merger: Merger, now_ms: int) -> float:
    """CPU of all that is due, µs a row that is written anew."""
    rewritten = 0
    started = process_time()
    while due := merging.due(archiver.store.manifest.files, now_ms):
        rewritten += sum(file.rows for file in due.files)
        archiver.store.change(merger, due, now_ms=now_ms)
    return (process_time() - started) / rewritten * 1e6 if rewritten else 0.0


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(int=rng.getrandbits(128), version=4))
