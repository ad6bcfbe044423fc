"""Distinct users from 64-bit hashes: exact while they are few, then HyperLogLog to 0.8 %.

A `UserSketch` holds the hashes themselves up to 1,024, sorted, 8 bytes each; from then on a
HyperLogLog of 2**14 registers (Flajolet et al. 2007, with the HIP estimator of Apache
DataSketches). Its answer carries the sketch's own bounds at two standard deviations: 1.3 % for
a sketch that saw its users itself, up to 1.7 % for a merged one, at a level of 95 %.

The registers depend on the users alone; the estimate of a sketch that saw its users itself also
on the order in which they came, and serialised bytes differ after a load: compare estimates
within their error, never bytes.

Measured 2026-11-22, one noisy 2-core machine, in µs:

| adding 25, exact | adding, each of many | merging 30, each | (exact 1,000s) | dump, load |
| 33               | 0.18                 | 18 to 25         | 360            | 3.1, 3.0   |

Bytes: 8 a user while exact, 4 to 8 KB beyond.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Self
from zlib import crc32

import numpy as np
from datasketches import HLL_4, hll_sketch, hll_union
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

EXACT_MAX: Final = 1024
LG_K: Final = 14
STANDARD_DEVIATIONS: Final = 2
LEVEL: Final = 0.95

VERSION: Final = 1
IS_EXACT: Final = 1
HEADER_BYTES: Final = 2
"""Version and flags; then hashes or HyperLogLog, and the CRC-32 of it all."""

NO_HASHES: Final[Hashes] = np.zeros(0, np.uint64)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A distinct count: the truth lies within ±`relative_error` of `count`, with this level.

    An exact count has the error 0.0 and the level 1.0.
    """

    count: int
    relative_error: float
    level: float


class UserSketch:
    """Distinct users of one cell, by `engine.hashing.hash64` of their ids."""

    __slots__ = ("_dumped", "_hashes", "_sketch")

    def __init__(self) -> None:
        self._hashes: Hashes | None = NO_HASHES  # sorted; replaced, never changed
        self._sketch: hll_sketch | None = None
        self._dumped: bytes | None = None  # HyperLogLog as it was loaded, until it changes

    @property
    def is_exact(self) -> bool:
        """Whether the users themselves are held."""
        return self._hashes is not None

    def memory_bytes(self) -> int:
        """About what this sketch occupies, numpy's and HyperLogLog's own parts included."""
        if self._hashes is not None:
            return 180 + self._hashes.nbytes
        return 180 + (len(self._dumped) if self._dumped is not None else 9_000)

    def add_many(self, hashes: Sequence[int]) -> None:
        """Add users, again or for the first time. At most once per user and day, for speed."""
        if not len(hashes):
            return
        if self._hashes is None:
            _update(self._live(), hashes)
            return
        known = np.union1d(self._hashes, np.array(hashes, np.uint64))
        if len(known) <= EXACT_MAX:
            self._hashes = known
        else:
            self._hashes = None
            self._sketch = hll_sketch(LG_K, HLL_4)
            _update(self._sketch, known.tolist())

    def remove(self, user: int) -> bool:
        """Take a user out where the users themselves are held; whether anything changed.

        A HyperLogLog holds nobody, and so nobody can be taken out of it.
        """
        if self._hashes is None:
            return False
        at = int(self._hashes.searchsorted(np.uint64(user)))
        if at == len(self._hashes) or int(self._hashes[at]) != user:
            return False
        self._hashes = np.delete(self._hashes, at)
        return True

    @classmethod
    def merged(cls, parts: Iterable["UserSketch"]) -> Self:
        """A new sketch of the users of all parts, which stay as they are."""
        parts = list(parts)
        exact = [part._hashes for part in parts if part._hashes is not None]
        known = np.unique(np.concatenate(exact)) if exact else NO_HASHES
        sketches = [part._read() for part in parts if part._hashes is None]
        whole = cls()
        if not sketches and len(known) <= EXACT_MAX:
            whole._hashes = known
            return whole
        union = hll_union(LG_K)
        for sketch in sketches:
            union.update(sketch)
        _update(union, known.tolist())
        whole._hashes = None
        whole._sketch = union.get_result(HLL_4)
        return whole

    def estimate(self) -> Estimate:
        """How many users there are."""
        if self._hashes is not None:
            return Estimate(len(self._hashes), 0.0, 1.0)
        sketch = self._read()
        count = sketch.get_estimate()
        above = sketch.get_upper_bound(STANDARD_DEVIATIONS) - count
        below = count - sketch.get_lower_bound(STANDARD_DEVIATIONS)
        return Estimate(round(count), max(above, below) / count, LEVEL)

    def dump(self) -> bytes:
        """Bytes for `load`; what was loaded and has not changed since, unchanged."""
        if self._hashes is not None:
            flags, held = IS_EXACT, self._hashes.tobytes()
        else:
            flags = 0
            held = self._dumped or self._read().serialize_compact()
        body = bytes((VERSION, flags)) + held
        return body + crc32(body).to_bytes(4, "little")

    @classmethod
    def load(cls, data: bytes) -> Self:
        """What `dump` wrote; ValueError if these are not such bytes."""
        body, crc = data[:-4], data[-4:]
        if len(body) < HEADER_BYTES or crc32(body).to_bytes(4, "little") != crc:
            raise ValueError(f"{len(data)} bytes are no whole user sketch: checksum differs")
        if body[0] != VERSION:
            raise ValueError(f"user sketch of version {body[0]}; this reads {VERSION}")
        sketch = cls()
        if body[1] & IS_EXACT:
            sketch._hashes = np.frombuffer(body, "<u8", offset=HEADER_BYTES)
        else:
            sketch._hashes = None
            sketch._dumped = body[HEADER_BYTES:]
        return sketch

    def _read(self) -> hll_sketch:
        """The HyperLogLog to look at: not kept, so that an old day stays as small as it is."""
        if self._sketch is None:
            return hll_sketch.deserialize(self._dumped)
        return self._sketch

    def _live(self) -> hll_sketch:
        """The HyperLogLog to change."""
        self._sketch = self._read()
        self._dumped = None
        return self._sketch


def _update(sketch: hll_sketch | hll_union, hashes: Iterable[int]) -> None:
    update = sketch.update
    for user in hashes:  # it takes no arrays
        update(user)
