"""Seeded bodies for benchmarks: a live mixture, about 250 bytes an event as JSON."""

from collections.abc import Iterator
from random import Random
from typing import Final

import orjson

from load.mixture import CATEGORIES, Event, generate
from load.profile import Data

DATA: Final = Data()
LABEL: Final = "bench"

__all__ = ["CATEGORIES", "bodies", "timed"]


def timed(count: int, *, seed: int, now_ms: int, spread_ms: int) -> Iterator[Event]:
    """`count` events with id and timestamp, from the last `spread_ms`."""
    chance = Random(seed)
    for number, event in enumerate(generate(count, chance=chance, label=LABEL, data=DATA)):
        event_id = f"{seed:08x}-{chance.getrandbits(48):012x}-{number:012x}"
        timestamp = now_ms - chance.randrange(spread_ms)
        yield {"eventId": event_id, "timestamp": timestamp} | event


def bodies(count: int, *, batch: int, seed: int, now_ms: int, spread_ms: int) -> list[bytes]:
    """The same as JSON arrays of `batch` events."""
    found: list[bytes] = []
    pending: list[Event] = []
    for event in timed(count, seed=seed, now_ms=now_ms, spread_ms=spread_ms):
        pending.append(event)
        if len(pending) == batch:
            found.append(orjson.dumps(pending))
            pending = []
    return found
