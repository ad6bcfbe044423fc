"""Latency percentiles: exact while values are few, then certain to 1 % in every distribution.

A `LatencySketch` holds the values themselves up to `exact_max`; from then on a histogram of
exact counts in buckets of ratio 1.01 (`engine.buckets`) and, if asked for, a KLL sketch
(Karnin, Lang, Liberty 2016, k = 200, by Apache DataSketches). **KLL answers, the histogram
bounds it**: counts are exact, so the value of rank ceil(q·n) certainly lies in the bucket that
holds that rank, and the bucket's edges, cut by the exact minimum and maximum, are the stated
interval. KLL alone has no bound in value: it sees ranks, and where two ranks that it cannot
tell apart lie far apart in value, its answer may be off by everything between them.

What KLL answers from outside that bucket is therefore known to be wrong and not used: the
answer is then the place of the rank among the bucket's values, as if these were spread evenly,
and always so without KLL. Error in percent of the true percentile, mean / 95th percentile /
worst, over p50, p95 and p99 of 30 merged cells of 400 values, 40 times (clamped = KLL's answer
moved to the nearest edge of the bucket):

|                           | as here            | without KLL        | clamped            |
| log-normal, sigma 1       | 0.15 / 0.48 / 0.71 | 0.09 / 0.26 / 0.37 | 0.41 / 0.94 / 0.98 |
| log-normal, whole ms      | 0.15 / 0.72 / 0.88 | 0.27 / 0.84 / 0.96 | 0.39 / 0.97 / 0.98 |
| 1.1 % of the calls slow   | 0.17 / 0.48 / 0.84 | 0.11 / 0.43 / 0.50 | 0.27 / 0.84 / 0.97 |
| 5 % time-outs of 30 s     | 0.08 / 0.29 / 0.57 | 0.11 / 0.29 / 0.43 | 0.15 / 0.74 / 0.98 |

Count, sum (whole microseconds), minimum and maximum are exact in every form and after merges in
any order. Bytes of sketches without KLL are a function of the values alone; KLL flips coins, so
its bytes, and its answers within their interval, differ from run to run.

Measured 2026-11-22, one noisy 2-core machine, log-normal values, in µs (bytes for 400 values):

|                           | exact, 200 values | histogram | histogram and KLL |
| add_many of 256           | 8 (one value)     | 19        | 27                |
| merge                     | 1.7 (10 values)   | 1.7       | 7.1               |
| merged of 30, each        | 0.4 (of 8), 4.6   | 1.9       | 5.7               |
| quantiles, three          | 4                 | 12        | 20                |
| dump, load                | 3.0, 3.7          | 2.9, 3.0  | 3.5, 3.8          |
| bytes dumped, in memory   | 1,652, 2,000      | 650, 1,050 | 1,830, 3,600     |
"""

import math
from collections.abc import Iterable, Sequence
from struct import Struct
from typing import Final, NamedTuple, Self
from zlib import crc32

import numpy as np
from datasketches import kll_floats_sketch
from numpy.typing import NDArray

from engine.buckets import (
    COUNT_TYPES,
    EDGES,
    Histogram,
    Place,
    bucket_numbers,
    bucket_numbers_of_few,
)

Values = NDArray[np.float64]

EXACT_MAX: Final = 256
KLL_K: Final = 200
KLL_PARTS_MAX: Final = 8
"""Sketches whose KLLs are merged; of more of them the histogram alone answers.

A KLL costs four times as much to merge as a histogram, and what it adds inside a bucket is less
the more parts there are (docs/decisions/0002-kll-inside-the-bucket.md).
"""

FLOAT32_MAX: Final = float(np.finfo(np.float32).max)
SLACK: Final = 1e-6
"""KLL holds float32: a value on a bucket's edge may come back this much outside of it."""

MICROS_EXACT: Final = float(1 << 53)
"""Up to here a float64 of microseconds is a whole number in int64, and many can be added."""

VERSION: Final = 1
IS_EXACT: Final = 1
KEEPS_KLL: Final = 2
IS_SPARSE: Final = 4
WIDTH_SHIFT: Final = 4
"""Flags of a dump; the bits from WIDTH_SHIFT up index COUNT_TYPES."""

HEADER: Final = Struct("<BBHQQddIIHB")
"""Version, flags, exact_max, count, zeros, min_ms, max_ms, first bucket, buckets, bytes of KLL,
bytes of the sum; then the sum, values or numbers and counts, KLL, and the CRC-32 of it all."""

KLL_BYTES: Final = 2600
"""What a KLL of k = 200 allocates at the most, whatever it has seen."""

NO_VALUES: Final[Values] = np.zeros(0)

FEW: Final = 16
"""Up to so many latencies are taken one by one: of 3 that is a quarter of what arrays cost."""


class Quantile(NamedTuple):
    """A percentile in ms; the value of its rank certainly lies in [low, high], ends too."""

    value: float
    low: float
    high: float


class Latencies:
    """Some latencies with what several sketches need of them, computed once.

    values_ms  1-d float64, not empty, finite and ≥ 0, our own copy
    """

    __slots__ = ("_histogram", "_numbers", "max_ms", "min_ms", "sum_us", "values_ms")

    def __init__(self, values_ms: Values) -> None:
        self.values_ms = values_ms
        if self.are_few:
            listed: list[float] = values_ms.tolist()
            # NaN is in no order, and where it stands decides what these two say of it.
            assert not any(map(math.isnan, listed)), "a latency is NaN"
            self.min_ms, self.max_ms = min(listed), max(listed)
        else:
            self.min_ms, self.max_ms = float(values_ms.min()), float(values_ms.max())
        assert 0.0 <= self.min_ms <= self.max_ms < math.inf, (
            "a latency is NaN, negative or infinite"
        )
        self.sum_us = _sum_micros(values_ms, self.max_ms)
        self._histogram: tuple[Histogram, int] | None = None
        self._numbers: list[int] | None = None

    @classmethod
    def of(cls, values_ms: Values | Sequence[float]) -> Self:
        """These values; -0.0 becomes 0.0."""
        return cls(np.asarray(values_ms, np.float64) + 0.0)

    @property
    def are_few(self) -> bool:
        """Whether `numbers` is what to ask for, and not `histogram`."""
        return len(self.values_ms) <= FEW

    def numbers(self) -> list[int]:
        """The buckets of the values above 0, reckoned once."""
        if self._numbers is None:
            self._numbers = [n for n in bucket_numbers_of_few(self.values_ms) if n]
        return self._numbers

    def histogram(self) -> tuple[Histogram, int]:
        """(buckets of the values above 0, how many are 0), reckoned once."""
        if self._histogram is None:
            self._histogram = _histogram_of(self.values_ms)
        return self._histogram


class LatencySketch:
    """Latencies of one cell.

    exact_max  so many values are held as they are (8 bytes each)
    keeps_kll  whether KLL (1.2 to 2.3 KB) joins the histogram beyond that

    Beyond `exact_max` the KLL covers all values or is absent: merging with a sketch that is
    beyond its own `exact_max` and has none drops it, and sets `keeps_kll` to False, for good.
    """

    __slots__ = (
        "_histogram",
        "_kll",
        "_values",
        "_zeros",
        "count",
        "exact_max",
        "keeps_kll",
        "max_ms",
        "min_ms",
        "sum_us",
    )

    def __init__(self, exact_max: int = EXACT_MAX, *, keeps_kll: bool = True) -> None:
        self.exact_max = exact_max
        self.keeps_kll = keeps_kll
        self.count = 0
        self.sum_us = 0
        self.min_ms = math.inf
        self.max_ms = 0.0
        self._values: Values | None = NO_VALUES  # replaced, never changed; None once spilled
        self._zeros = 0  # latencies of 0, which the histogram does not hold
        self._histogram = Histogram()
        self._kll: kll_floats_sketch | None = None

    @property
    def is_exact(self) -> bool:
        """Whether the values themselves are held, so that percentiles are exact."""
        return self._values is not None

    @property
    def avg_ms(self) -> float | None:
        """The mean in ms of values rounded to a microsecond each; None without values."""
        if not self.count:
            return None
        return min(max(self.sum_us / (1000 * self.count), self.min_ms), self.max_ms)

    def memory_bytes(self) -> int:
        """About what this sketch occupies, numpy's and Python's own parts included."""
        fixed = 280  # the slots, and the numbers they refer to
        values = 0 if self._values is None else 112 + self._values.nbytes
        histogram = self._histogram.memory_bytes() if self._values is None else 100
        return fixed + values + histogram + KLL_BYTES * (self._kll is not None)

    def add_many(self, values_ms: Values | Sequence[float]) -> None:
        """Add latencies in ms, finite and ≥ 0 (`engine.events` has refused all others)."""
        if len(values_ms):
            self.add(Latencies.of(values_ms))

    def add(self, latencies: "Latencies") -> None:
        """As `add_many`, of what may be added to several sketches; it stays as it is."""
        values = latencies.values_ms
        self._add_totals(len(values), latencies.sum_us, latencies.min_ms, latencies.max_ms)
        self._hold(values, latencies)

    def merge(self, other: "LatencySketch") -> None:
        """Add all that `other` holds; it stays as it is."""
        assert other is not self
        self._add_totals(other.count, other.sum_us, other.min_ms, other.max_ms)
        if other._values is not None:
            self._hold(other._values)
            return
        self._spill()
        self._zeros += other._zeros
        self._histogram.add(other._histogram)
        if self._kll is not None and other._kll is not None:
            self._kll.merge(other._kll)
        else:
            self._kll, self.keeps_kll = None, False

    @classmethod
    def merged(cls, parts: Iterable["LatencySketch"]) -> Self:
        """A new sketch of all that the parts hold, which stay as they are.

        It is exact up to EXACT_MAX values while all parts are; beyond that it has a KLL where
        all parts that are not exact have one, and they are no more than KLL_PARTS_MAX, and
        where no part is exact and wants none.
        """
        parts = [part for part in parts if part.count]
        spilled = [part for part in parts if part._values is None]
        keeps_kll = all(part.keeps_kll for part in spilled or parts)
        whole = cls(keeps_kll=keeps_kll and len(spilled) <= KLL_PARTS_MAX)
        for part in parts:
            whole._add_totals(part.count, part.sum_us, part.min_ms, part.max_ms)
        if spilled:
            whole._spill()
            whole._zeros = sum(part._zeros for part in spilled)
            whole._histogram = Histogram.total([part._histogram for part in spilled])
            if whole._kll is not None:
                for part in spilled:
                    whole._kll.merge(part._kll)
        exact = [part._values for part in parts if part._values is not None]
        if exact:
            whole._hold(np.concatenate(exact))
        return whole

    def without_kll(self) -> Self:
        """A copy that holds values or the histogram alone, and never gets a KLL again."""
        return self._twin(keeps_kll=False)

    def copy(self) -> Self:
        """An independent copy."""
        return self._twin(keeps_kll=self.keeps_kll)

    def quantile(self, q: float) -> Quantile | None:
        """The percentile of rank ceil(q·count), 0 ≤ q ≤ 1; None where there are no values."""
        return self.quantiles((q,))[0]

    def quantiles(self, qs: Sequence[float]) -> tuple[Quantile | None, ...]:
        """`quantile` of each of `qs`; many at once cost little more than one."""
        if not self.count:
            return (None,) * len(qs)
        if self.min_ms == self.max_ms:
            return (_certain(self.min_ms),) * len(qs)
        ranks = [min(max(math.ceil(q * self.count), 1), self.count) for q in qs]
        if self._values is not None:
            ordered = np.sort(self._values)
            return tuple(_certain(float(ordered[rank - 1])) for rank in ranks)
        places = self._histogram.places([max(rank - self._zeros, 1) for rank in ranks])
        guesses: Sequence[float | None] = (None,) * len(qs)
        if self._kll is not None:
            guesses = self._guesses(ranks)
        return tuple(map(self._answer, ranks, places, guesses))

    def dump(self) -> bytes:
        """Bytes for `load`; without KLL the same for the same values, in whatever order."""
        kll = b"" if self._kll is None else self._kll.serialize()
        flags = KEEPS_KLL * self.keeps_kll
        if self._values is not None:
            flags |= IS_EXACT
            arrays = np.sort(self._values).tobytes()
            held = self.count
        else:
            histogram = self._histogram
            histogram.narrow()
            flags |= COUNT_TYPES.index(histogram.counts.dtype) << WIDTH_SHIFT
            arrays = histogram.counts.tobytes()
            held = len(histogram.counts)
            if histogram.numbers is not None:
                flags |= IS_SPARSE
                arrays = histogram.numbers.tobytes() + arrays
        total = self.sum_us.to_bytes((self.sum_us.bit_length() + 7) // 8, "little")
        counted = (self.count, self._zeros, self.min_ms, self.max_ms)
        lengths = (self._histogram.first, held, len(kll), len(total))
        header = HEADER.pack(VERSION, flags, self.exact_max, *counted, *lengths)
        body = b"".join((header, total, arrays, kll))
        return body + crc32(body).to_bytes(4, "little")

    @classmethod
    def load(cls, data: bytes) -> Self:
        """What `dump` wrote; ValueError if these are not such bytes."""
        body, crc = data[:-4], data[-4:]
        if len(body) < HEADER.size or crc32(body).to_bytes(4, "little") != crc:
            raise ValueError(f"{len(data)} bytes are no whole latency sketch: checksum differs")
        version, flags, exact_max, count, zeros, low, high, *lengths = HEADER.unpack_from(body)
        if version != VERSION:
            raise ValueError(f"latency sketch of version {version}; this reads {VERSION}")
        first, held, kll_bytes, sum_bytes = lengths
        sketch = cls(exact_max, keeps_kll=bool(flags & KEEPS_KLL))
        at = HEADER.size + sum_bytes
        sum_us = int.from_bytes(body[HEADER.size : at], "little")
        sketch._add_totals(count, sum_us, low, high)
        if flags & IS_EXACT:
            sketch._values = np.frombuffer(body, "<f8", held, at).copy()
            return sketch
        sketch._values = None
        sketch._zeros = zeros
        sketch._histogram = _histogram_at(body, at, flags, first, held)
        if kll_bytes:
            sketch._kll = kll_floats_sketch.deserialize(body[-kll_bytes:])
        return sketch

    def _add_totals(self, count: int, sum_us: int, low: float, high: float) -> None:
        self.count += count
        self.sum_us += sum_us
        if low < self.min_ms:
            self.min_ms = low
        if high > self.max_ms:
            self.max_ms = high

    def _hold(self, values: Values, latencies: "Latencies | None" = None) -> None:
        """Take in values that the totals already count; `latencies` if they came as these."""
        if self._values is not None and self.count <= self.exact_max:
            self._values = np.concatenate((self._values, values))
            return
        self._spill()
        if latencies is not None and latencies.are_few:
            self._histogram.add_few(latencies.numbers())
            self._zeros += len(values) - len(latencies.numbers())
        else:
            histogram, zeros = latencies.histogram() if latencies else _histogram_of(values)
            self._zeros += zeros
            self._histogram.add(histogram)
        if self._kll is not None:
            if self.max_ms > FLOAT32_MAX:
                values = np.minimum(values, FLOAT32_MAX)
            self._kll.update(values.astype(np.float32))

    def _spill(self) -> None:
        """Go over from values to histogram and KLL, unless that is done."""
        values = self._values
        if values is None:
            return
        self._values = None
        if self.keeps_kll:
            self._kll = kll_floats_sketch(KLL_K)
        if len(values):
            self._hold(values)

    def _twin(self, *, keeps_kll: bool) -> Self:
        twin = type(self)(self.exact_max, keeps_kll=keeps_kll)
        twin._add_totals(self.count, self.sum_us, self.min_ms, self.max_ms)
        twin._values = self._values
        twin._zeros = self._zeros
        twin._histogram = self._histogram.copy()
        if keeps_kll and self._kll is not None:
            twin._kll = _kll_copy(self._kll)
        return twin

    def _guesses(self, ranks: Sequence[int]) -> list[float]:
        # Of a copy: the sorted view that a question builds stays, 16 bytes an item.
        shares = [rank / self.count for rank in ranks]
        return [float(f"{x:.7g}") for x in _kll_copy(self._kll).get_quantiles(shares, True)]

    def _answer(self, rank: int, place: Place, guess: float | None) -> Quantile:
        if rank <= self._zeros:
            return ZERO
        if rank == self.count:
            return _certain(self.max_ms)
        low = max(float(EDGES[place.number]), self.min_ms)
        high = min(float(EDGES[place.number + 1]), self.max_ms)
        if guess is None or not low * (1 - SLACK) <= guess <= high * (1 + SLACK):
            inside = rank - self._zeros - place.before
            guess = low + (high - low) * ((inside - 0.5) / place.inside)
        return Quantile(min(max(guess, low), high), low, high)


def _histogram_at(body: bytes, at: int, flags: int, first: int, held: int) -> Histogram:
    numbers = None
    if flags & IS_SPARSE:
        numbers = np.frombuffer(body, "<i4", held, at).copy()
        at += numbers.nbytes
    # Copies, for counts change in place and `body` need not live as long as the sketch. The
    # largest count is not looked for: it fills its type at the most.
    counts = np.frombuffer(body, COUNT_TYPES[flags >> WIDTH_SHIFT], held, at).copy()
    return Histogram(first, counts, numbers, (1 << 8 * counts.itemsize) - 1)


ZERO: Final = Quantile(0.0, 0.0, 0.0)


def _certain(value: float) -> Quantile:
    return Quantile(value, value, value)


def _kll_copy(kll: kll_floats_sketch) -> kll_floats_sketch:
    return kll_floats_sketch.deserialize(kll.serialize())


def _histogram_of(values_ms: Values) -> tuple[Histogram, int]:
    numbers = bucket_numbers(values_ms)
    above = numbers[numbers > 0]
    histogram = Histogram()
    histogram.add_numbers(above)
    return histogram, len(numbers) - len(above)


def _sum_micros(values_ms: Values, high_ms: float) -> int:
    """The sum of each value's microseconds, rounded half to even; exact for any float64."""
    if len(values_ms) > FEW and high_ms * 1000.0 * len(values_ms) < MICROS_EXACT:
        return int(np.rint(values_ms * 1000.0).sum())  # whole numbers below 2**53: exact
    return sum(map(_micros, values_ms.tolist()))


def _micros(value_ms: float) -> int:
    scaled = value_ms * 1000.0
    return round(scaled) if scaled < math.inf else int(value_ms) * 1000
