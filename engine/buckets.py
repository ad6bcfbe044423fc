"""Exact counts of non-negative numbers in fixed buckets of ratio 1.01, small and quick to add.

A value's bucket is known for certain, so the value of any rank is known to within 1 %, whatever
the distribution and after any number of merges. Merging adds integers, so its order does not
matter, and equal contents are equal bytes. (The idea is that of HdrHistogram and DDSketch;
fixed edges in place of a computed logarithm make the numbers reproducible on every machine.)

Bucket 0 holds 0 alone, bucket 1 the subnormal numbers, bucket n ≥ 2 the values v with
`EDGES[n] <= v < EDGES[n + 1]`, where EDGES[2] = 2**-1022 and each further edge is the one
before times 1.01, rounded to float64: multiplications alone, so IEEE 754 gives every machine
the same table. The numbers are part of the format on disk: never change them
(`tests/engine/test_buckets.py` pins the table).

Measured 2026-11-22, one noisy 2-core machine, log-normal values (sigma 1) in some 600 buckets:

| numbering 256 values | adding them | adding a histogram | 30 at once, each | three ranks |
| 4.4 µs (by searchsorted 21) | 7.6 µs | 1.4 µs | 1.7 µs | 9 µs |

Memory: one byte a bucket between the lowest and the highest that are in use while no bucket
holds more than 255, then two, four, eight. The two tables take 2.2 MB and 10 ms at import.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[Any]  # uint8, uint16, uint32 or int64: see `COUNT_TYPES`
Numbers = NDArray[np.int32]

RATIO: Final = 1.01
SMALLEST_NORMAL: Final = float(np.finfo(np.float64).tiny)

DENSE_BUCKETS: Final = 4096
"""A span that is always kept as a plain array: 1.01**4096 is 5e17, from 1 ns to 16 years in ms.

Wider spans come from hostile or broken clients; they are kept as pairs of number and count
unless a quarter of the span is in use, so that such a cell costs 5 bytes an event at the most.
"""

COUNT_TYPES: Final = tuple(np.dtype(name) for name in ("<u1", "<u2", "<u4", "<i8"))
"""Counts start as the first and widen as they grow. Not uint64: with int64 it makes float64."""

CELL_SHIFT: Final = 45
"""Bits of a float64 below a cell: 7 of the mantissa remain, so that a cell is at most 1/128
wide, narrower than a bucket, and holds one edge at the most."""


def _edges() -> NDArray[np.float64]:
    """Lower edges of all buckets, and infinity as the upper edge of the last."""
    factors = np.full(142_600, RATIO)
    factors[0] = SMALLEST_NORMAL
    with np.errstate(over="ignore"):
        table = np.multiply.accumulate(factors)
    finite = table[np.isfinite(table)]
    return np.concatenate(([0.0, 5e-324], finite, [np.inf]))


EDGES: Final = _edges()
EDGES.setflags(write=False)

# The bucket of the lowest value of each cell, by the upper bits of its float64.
_CELLS: Final = (
    np.searchsorted(
        EDGES,
        (np.arange((0x7FEF_FFFF_FFFF_FFFF >> CELL_SHIFT) + 1) << CELL_SHIFT).view(np.float64),
        side="right",
    )
    - 1
).astype(np.int32)


def bucket_numbers(values: NDArray[np.float64]) -> Numbers:
    """The buckets of `values`, finite and ≥ 0 (not -0.0: its sign bit is set)."""
    numbers = _CELLS.take(values.view(np.int64) >> CELL_SHIFT)
    numbers += EDGES.take(numbers + 1) <= values  # one edge in a cell at the most: exact
    return numbers


_CELLS_ONE: Final = _CELLS.data
_EDGES_ONE: Final = EDGES.data
"""The same memory, of which one element costs a third of what it does of an array."""


def bucket_numbers_of_few(values: NDArray[np.float64]) -> list[int]:
    """The same for so few that what numpy takes to begin is the most of it."""
    numbers = []
    for value, bits in zip(values.tolist(), values.view(np.int64).tolist(), strict=True):
        number = _CELLS_ONE[bits >> CELL_SHIFT]
        numbers.append(number + (_EDGES_ONE[number + 1] <= value))
    return numbers


class Place(NamedTuple):
    """Where a rank lies: `before` values are in lower buckets, `inside` in this one."""

    number: int
    before: int
    inside: int


class Histogram:
    """Counts by bucket number: `counts[i]` is for `first + i`, or for `numbers[i]` if sparse.

    The lowest and the highest bucket are never empty. Which of the two forms is used depends on
    the contents alone, so that equal contents become equal bytes. Sums of counts stay below
    2**63.

    `peak` bounds the largest count from above, so that most additions need no look at them.
    """

    __slots__ = ("counts", "first", "numbers", "peak")

    def __init__(
        self,
        first: int = 0,
        counts: Counts | None = None,
        numbers: Numbers | None = None,
        peak: int = 0,
    ) -> None:
        self.first = first
        self.counts: Counts = np.zeros(0, np.uint8) if counts is None else counts
        self.numbers = numbers
        self.peak = peak

    @property
    def end(self) -> int:
        """One past the highest bucket in use."""
        if self.numbers is not None:
            return int(self.numbers[-1]) + 1
        return self.first + len(self.counts)

    def memory_bytes(self) -> int:
        """What the arrays hold, with 112 bytes of numpy's own for each, and this object."""
        pairs = 0 if self.numbers is None else self.numbers.nbytes + 112
        return 64 + 112 + self.counts.nbytes + pairs

    def copy(self) -> Self:
        """An independent copy; `numbers` is shared, for it is replaced and never changed."""
        return type(self)(self.first, self.counts.copy(), self.numbers, self.peak)

    def add_numbers(self, numbers: Numbers) -> None:
        """Count each of the bucket numbers once."""
        if not len(numbers):
            return
        first = int(numbers.min())
        span = int(numbers.max()) + 1 - first
        if span <= DENSE_BUCKETS:
            counts = np.bincount(numbers - first)
            self.add(Histogram(first, counts, None, int(counts.max())))
        else:
            self._replace_by(_packed(*np.unique(numbers, return_counts=True)))

    def add_few(self, numbers: Iterable[int]) -> None:
        """The same, one by one."""
        for number in numbers:
            at = number - self.first
            if self.numbers is None and 0 <= at < len(self.counts):
                count = self.counts.item(at) + 1
                if count < 1 << 8 * self.counts.itemsize:
                    self.counts[at] = count
                    self.peak = max(self.peak, count)
                    continue
            self.add_numbers(np.array([number], np.int32))

    def add(self, other: "Histogram") -> None:
        """Add the counts of `other`, which stays as it is."""
        start = other.first - self.first
        if (
            self.numbers is None
            and other.numbers is None
            and start >= 0
            and start + len(other.counts) <= len(self.counts)
            and self.peak + other.peak < 1 << 8 * self.counts.itemsize
        ):
            window = self.counts[start : start + len(other.counts)]
            np.add(window, other.counts, out=window, casting="unsafe")
            self.peak += other.peak
        else:
            self._take(Histogram.total((self, other)))

    def _replace_by(self, other: "Histogram") -> None:
        self._take(other if not len(self.counts) else Histogram.total((self, other)))

    def _take(self, other: "Histogram") -> None:
        self.first, self.counts = other.first, other.counts
        self.numbers, self.peak = other.numbers, other.peak

    @classmethod
    def total(cls, parts: Iterable["Histogram"]) -> "Histogram":
        """A new histogram with the counts of all parts, which stay as they are."""
        parts = [part for part in parts if len(part.counts)]
        if not parts:
            return cls()
        first = min(part.first for part in parts)
        end = max(part.end for part in parts)
        if end - first > DENSE_BUCKETS:
            return _packed(*_summed_pairs([part.pairs() for part in parts]))
        total = np.zeros(end - first, np.int64)
        for part in parts:  # sparse parts are wider than DENSE_BUCKETS: none is here
            start = part.first - first
            total[start : start + len(part.counts)] += part.counts
        return _narrowed(first, total)

    def pairs(self) -> tuple[Numbers, NDArray[np.int64]]:
        """The numbers of the buckets in use, ascending, and their counts."""
        if self.numbers is not None:
            return self.numbers, self.counts.astype(np.int64)
        used = np.flatnonzero(self.counts)
        return (used + self.first).astype(np.int32), self.counts[used].astype(np.int64)

    def places(self, ranks: Sequence[int]) -> list[Place]:
        """The buckets that hold the values of these ranks, 1 to the sum of all counts."""
        upto = np.cumsum(self.counts, dtype=np.int64)
        found = []
        for at in upto.searchsorted(ranks).tolist():
            inside = int(self.counts[at])
            number = self.first + at if self.numbers is None else int(self.numbers[at])
            found.append(Place(number, int(upto[at]) - inside, inside))
        return found

    def narrow(self) -> None:
        """Use the smallest counts that fit, so that equal contents are equal bytes."""
        peak = int(self.counts.max()) if len(self.counts) else 0
        self.counts = self.counts.astype(_counts_dtype(peak), copy=False)
        self.peak = peak


def _counts_dtype(peak: int) -> np.dtype[Any]:
    if peak < 1 << 16:
        return COUNT_TYPES[peak >= 1 << 8]
    return COUNT_TYPES[2 + (peak >= 1 << 32)]


def _narrowed(first: int, counts: NDArray[np.int64]) -> Histogram:
    peak = int(counts.max())
    return Histogram(first, counts.astype(_counts_dtype(peak)), None, peak)


def _summed_pairs(
    parts: list[tuple[Numbers, NDArray[np.int64]]],
) -> tuple[Numbers, NDArray[np.int64]]:
    numbers = np.concatenate([part[0] for part in parts])
    counts = np.concatenate([part[1] for part in parts])
    order = np.argsort(numbers, kind="stable")
    numbers, counts = numbers[order], counts[order]
    starts = np.flatnonzero(np.concatenate(([True], numbers[1:] != numbers[:-1])))
    return numbers[starts], np.add.reduceat(counts, starts)


def _packed(numbers: Numbers, counts: NDArray[np.int64]) -> Histogram:
    """The histogram of these pairs, in the form that their contents call for."""
    first = int(numbers[0])
    span = int(numbers[-1]) + 1 - first
    if span <= max(DENSE_BUCKETS, 4 * len(numbers)):
        dense = np.zeros(span, np.int64)
        dense[numbers - first] = counts
        return _narrowed(first, dense)
    packed = _narrowed(first, counts)
    packed.numbers = numbers
    return packed
