"""What one cell of history means: text to number, boolean or instant, else a ValueError."""

import datetime as dt
import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

Cell = str | float | int | bool | None
"""A text of a CSV file, or a scalar of a JSON document."""

TRUE: Final = ("true", "t", "yes", "y", "1")
FALSE: Final = ("false", "f", "no", "n", "0")
INSTANTS_CACHED: Final = 1 << 16

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS: Final = dt.timedelta(milliseconds=1)


def text(cell: Cell) -> str:
    """A cell as text; of JSON as JSON would write it, and nothing for null."""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return "" if cell is None else str(cell)


def number(factor: float, *, is_integer: bool) -> Callable[[Cell], float | int]:
    """Reads a finite number and multiplies it."""

    def convert(cell: Cell) -> float | int:
        if isinstance(cell, bool) or cell is None:
            raise ValueError("expected a number")
        try:
            value = float(cell) * factor
        except ValueError:
            raise ValueError("expected a number") from None
        if not math.isfinite(value):
            raise ValueError("expected a finite number")
        if not is_integer:
            return value
        if not value.is_integer():
            raise ValueError("expected a whole number")
        return int(value)

    return convert


def boolean(true: Sequence[str], false: Sequence[str]) -> Callable[[Cell], bool]:
    """Reads the words for true and for false, in upper or lower case."""
    meaning = {word.lower(): False for word in false} | {word.lower(): True for word in true}

    def convert(cell: Cell) -> bool:
        said = meaning.get(text(cell).lower())
        if said is None:
            raise ValueError(f"expected one of {', '.join(meaning)}")
        return said

    return convert


def instant(form: str, zone: ZoneInfo, shift_days: int) -> Callable[[Cell], int]:
    """Reads a time as epoch ms.

    form        "iso", "epoch_s", "epoch_ms", or a format of strptime
    zone        of times without an offset
    shift_days  are added to the date in `zone`; the time of the day stays
    """
    parse = _parser(form)
    shift = dt.timedelta(days=shift_days)

    # Histories say the same minute many times over: a hit costs 0.1 µs, strptime alone 6 µs.
    @lru_cache(maxsize=INSTANTS_CACHED, typed=True)
    def convert(cell: Cell) -> int:
        at = parse(cell)
        if at.tzinfo is None:
            at = at.replace(tzinfo=zone)
        if shift_days:
            at = at.astimezone(zone) + shift
        return (at.astimezone(dt.UTC) - _EPOCH) // _MS

    return convert


def _parser(form: str) -> Callable[[Cell], dt.datetime]:
    unit_s = {"epoch_s": 1.0, "epoch_ms": 0.001}.get(form)

    def parse(cell: Cell) -> dt.datetime:
        if unit_s is not None and not isinstance(cell, bool) and cell is not None:
            try:
                return _EPOCH + dt.timedelta(seconds=float(cell) * unit_s)
            except ValueError:
                raise ValueError(f"expected a number, for the format is {form}") from None
        try:
            if form == "iso":
                return dt.datetime.fromisoformat(text(cell))
            return dt.datetime.strptime(text(cell), form)  # noqa: DTZ007  # the caller adds it
        except ValueError:
            raise ValueError(f"expected a time in the format {form}") from None

    return parse
