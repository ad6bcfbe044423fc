"""Rates and durations as people write them: `10000/s`, `10k/s`, `60s`, `5m`, `10ms`."""

import re
from typing import Final

from load.errors import LoadError

_NUMBER: Final = re.compile(r"(\d+(?:\.\d+)?)([a-zµ]*)(/s)?")
_MULTIPLES: Final = {"": 1.0, "k": 1e3, "m": 1e6}
_SECONDS: Final = {
    "": 1.0,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
}


class InvalidQuantity(LoadError):
    """A rate, a duration or a threshold that cannot be read; says what is expected."""


def rate_per_s(text: str) -> float:
    """Events a second; above 0. Raises InvalidQuantity."""
    found = _NUMBER.fullmatch(text.strip().lower())
    if found is None or found[2] not in _MULTIPLES or float(found[1]) <= 0:
        raise InvalidQuantity(f"{text!r} is not a rate: expected for example 10000/s or 10k/s.")
    return float(found[1]) * _MULTIPLES[found[2]]


def duration_s(text: str) -> float:
    """Seconds; a bare number is seconds. Raises InvalidQuantity."""
    found = _NUMBER.fullmatch(text.strip().lower())
    if found is None or found[2] not in _SECONDS or found[3] or float(found[1]) <= 0:
        raise InvalidQuantity(
            f"{text!r} is not a duration: expected for example 60s, 5m or 500ms."
        )
    return float(found[1]) * _SECONDS[found[2]]
