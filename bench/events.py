"""Seeded bodies for benchmarks: a live mixture, about 250 bytes an event as JSON."""

from random import Random
from typing import Final

import orjson

from load.mixture import CATEGORIES, Event, generate
from load.profile import Data

DATA: Final = Data()
LABEL: Final = "bench"

__all__ = ["CATEGORIES", "bodies"]


def bodies(count: int, *, batch: int, seed: int, now_ms: int, spread_ms: int) -> list[bytes]:
    """JSON arrays of `batch` events, `count` in all, from the last `spread_ms`."""
    chance = Random(seed)
    found: list[bytes] = []
    pending: list[Event] = []
    for number, event in enumerate(generate(count, chance=chance, label=LABEL, data=DATA)):
        event_id = f"{seed:08x}-{chance.getrandbits(48):012x}-{number:012x}"
        timestamp = now_ms - chance.randrange(spread_ms)
        pending.append({"eventId": event_id, "timestamp": timestamp} | event)
        if len(pending) == batch:
            found.append(orjson.dumps(pending))
            pending = []
    return found
