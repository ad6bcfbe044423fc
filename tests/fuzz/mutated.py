"""Events changed in one place: most mutations of bytes are no JSON any more, these are."""

import json
import random
from typing import Any, Final

ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, 1, -1, 63, 64, 0.0, -0.0, 1e-320, 1e15, 1e308, 2**31, 2**53 + 1,
    2**63, 99.99999999, 0.1 + 0.2, 1e12, 1_759_492_800_000, "__proto__",
    1_759_492_800_000.5, 1_759_406_400_000,
    "", "a", "\0", "é" * 128, "x" * 256, "x" * 257, "\U0001f600", "__other__", "=",
    "2025-10-03T12:00:00Z", "2025-10-03T12:00:00.123456789+05:45", "2024-02-29", "0001-01-01",
    "USD", "JPY", "ZZZ", "month", "refunded", "failed", "completed", [], {}, [1], {"a": 1},
)  # fmt: skip


def event(data: bytes, size_max: int, seed: int) -> bytes | None:
    """The body behind the first byte, one of its values changed; None where it is no JSON."""
    chance = random.Random(seed)
    try:
        told = json.loads(data[1:])
        places = list(_places(told))
    except (ValueError, RecursionError):
        return None
    if not places:
        return None
    holder, key = chance.choice(places)
    match chance.randrange(4):
        case 0 if isinstance(holder, dict):
            del holder[key]
        case 1 if isinstance(holder, list):
            holder.insert(key, holder[chance.randrange(len(holder))])
        case 2 if isinstance(holder, dict):
            other, its = chance.choice(places)
            holder[chance.choice([key, its]) if isinstance(its, str) else key] = other[its]
        case _:
            holder[key] = chance.choice(ODD)
    try:
        changed = json.dumps(told, ensure_ascii=chance.random() < 0.5).encode()
    except (ValueError, RecursionError):  # a value has become part of itself
        return None
    return data[:1] + changed if len(changed) < size_max else None


def _places(told: Any) -> Any:
    """Every (list or object, index or key) in a value."""
    if isinstance(told, dict | list):
        for key in list(told) if isinstance(told, dict) else range(len(told)):
            yield told, key
            yield from _places(told[key])
