"""Facts as columns: numbered keys, tables dealt out to shards, and grouped by cell and key.

Tuples cost as much to make and to take apart as the facts in them cost to count, and thousands
of waiting tuples lie scattered over megabytes; numpy handles columns of 64-bit integers many at
a time.
"""

from array import array
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.ma  # np.unique imports it when it is first called, and the loop waits for 8 ms
from numpy.typing import NDArray

from engine.hashing import shard_of
from engine.timebucket import QUARTER_MS, Calendar

FEW: Final = 32
"""So many facts are taken one by one: arrays cost 50 to 100 µs before they save anything."""

Column = NDArray[np.int64]
Table = NDArray[np.int64]
"""A fact a column: shape (rows, facts); floats and unsigned numbers lie in it bit by bit."""

Pair = tuple[str, str]
"""(service or search query, category or '')"""

Cut = tuple[int, int]
"""(hour, day), as `timebucket.Calendar.cut` gives them"""

QUARTERS_MAX: Final = 4_096
"""A stretch of time (43 days) whose cuts are laid out in a row, used or not."""

RADIX_MAX: Final = 1 << 16
"""Below it numpy sorts by radix, some times quicker."""


class Keys:
    """Pairs as small numbers, each with the shard that owns its first name.

    A group of facts carries numbers, and the `Keys` by which to read them.
    """

    __slots__ = ("_homes", "_numbers", "_shards", "pairs")

    def __init__(self, shards: int) -> None:
        self._shards = shards
        self._numbers: dict[Pair, int] = {}
        self._homes = bytearray()
        self.pairs: list[Pair] = []

    def __len__(self) -> int:
        return len(self.pairs)

    def number(self, pair: Pair) -> int:
        """The number of a pair, a new one if it has none yet."""
        number = self._numbers.get(pair)
        if number is None:
            number = self._numbers[pair] = len(self.pairs)
            self.pairs.append(pair)
            self._homes.append(shard_of(pair[0], self._shards))
        return number

    def home(self, number: int) -> int:
        """The shard of one number."""
        return self._homes[number]

    def homes(self, numbers: Column) -> NDArray[np.uint8]:
        """The shard of each number."""
        # A view, to be let go before the next pair: while there is one it cannot grow.
        return np.frombuffer(self._homes, np.uint8).take(numbers)


def column(numbers: Sequence[int]) -> Column:
    """Integers as a column; a third of what np.array takes."""
    return np.frombuffer(array("q", numbers), np.int64)


def hashes_column(digests: bytes | bytearray) -> NDArray[np.uint64]:
    """What `hashing.digests` says as a column of unsigned integers."""
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def dealt(table: Table, places: NDArray[np.uint8], count: int) -> list[Table | None]:
    """The facts of each of `count` places, in their order; None where there are none."""
    ordered = table.take(np.argsort(places, kind="stable"), axis=1)
    ends = np.bincount(places, minlength=count).cumsum().tolist()
    return [
        ordered[:, start:end] if start < end else None
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def joined(tables: Sequence[Table]) -> Table:
    """The facts of several tables, in their order."""
    return tables[0] if len(tables) == 1 else np.concatenate(tables, axis=1)


def cut_each(calendar: Calendar, at_ms: Column) -> tuple[list[Cut], Column]:
    """The hours and days that hold these instants, and for each instant which one does."""
    quarters = at_ms // QUARTER_MS
    first, last = int(quarters.min()), int(quarters.max())
    if last - first >= QUARTERS_MAX:
        used, inverse = np.unique(quarters, return_inverse=True)
        cuts, numbers = _numbered(calendar, used.tolist())
        return cuts, numbers.take(inverse)
    cuts, numbers = _numbered(calendar, range(first, last + 1))
    return cuts, numbers.take(quarters - first)


def _numbered(calendar: Calendar, quarters: Sequence[int]) -> tuple[list[Cut], Column]:
    of_quarters = [calendar.cut(quarter * QUARTER_MS) for quarter in quarters]
    numbers = {cut: number for number, cut in enumerate(dict.fromkeys(of_quarters))}
    return list(numbers), column([numbers[cut] for cut in of_quarters])


class Grouped:
    """Facts in the order of their codes; those of one code in the order they came in.

    order   positions, such that `codes.take(order)` ascends
    codes   the distinct ones
    starts  where each begins in that order; `ends`, where it ends
    """

    __slots__ = ("codes", "ends", "order", "starts")

    def __init__(self, codes: Column) -> None:
        """codes  not empty, none of them negative"""
        narrow = codes.astype(np.uint16) if int(codes.max()) < RADIX_MAX else codes
        self.order = np.argsort(narrow, kind="stable")
        ordered = narrow.take(self.order)
        self.starts = np.concatenate(([0], (ordered[1:] != ordered[:-1]).nonzero()[0] + 1))
        self.codes: list[int] = ordered.take(self.starts).tolist()
        self.ends: list[int] = [*self.starts[1:].tolist(), len(codes)]

    def counts(self) -> list[int]:
        """How many facts each code has."""
        found: list[int] = np.diff(self.starts, append=len(self.order)).tolist()
        return found

    def sums(self, values: Column) -> list[int]:
        """The sum of the values of each code."""
        found: list[int] = np.add.reduceat(values.take(self.order), self.starts).tolist()
        return found
