"""Buckets of slots for 64-bit hashes, one by one: the memory under `HashIndex`, and its growth.

A table grows in place and without a pause. The homes of a larger table lie in the same order,
only further apart, so the table is stretched from its end: buckets from `_boundary` on have
been laid out anew, those before it have not, and each call moves the boundary by some thousand
slots.

A key whose PROBED buckets are all full goes to a dict; by chance there is none, but hashes may
be chosen. While there is one, batches are handled one by one: slower, and never quadratic.

On Linux the mapped memory of a table grows by `mremap`; elsewhere it is copied, with a pause.
"""

import sys
from collections.abc import Iterator
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from struct import Struct
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Payloads = NDArray[np.unsignedinteger]
Positions = NDArray[np.int64]

PLACE_BITS: Final = 30
PLACE_MASK: Final = (1 << PLACE_BITS) - 1
"""30 bits are one digit of a Python int: arithmetic on them is quick."""

KEY_BYTES: Final = 8
MASK_64: Final = np.uint64(PLACE_MASK)
BITS_64: Final = np.uint64(PLACE_BITS)
ONE_8: Final = np.uint8(1)

SLOTS: Final = 8
"""Of a bucket: one line of the cache; `_probe` makes a byte of them, a bit for each."""
BUCKET: Final = Struct("@8Q")
BUCKET_BYTES: Final = BUCKET.size

PROBED: Final = 256
"""Buckets where a key may lie, and the slack behind the homes, so that no probe wraps around.
At a load of 0.83 so many are full in a row once in some e^29 cases."""
PROBED_EACH: Final = 8
"""So many are looked at in turn, the rest of PROBED together."""

CROWD_BY_CHANCE: Final = 64
"""So few without room get another chance when the table has grown; more have been chosen."""

LOAD_MAX: Final = 0.75
LOAD_MAX_SMALL: Final = 0.66
LOAD_MADE: Final = 0.6
LOAD_FORESEEN: Final = 0.8
GROWTH_SMALL: Final = 2.0
GROWTH: Final = 1.5
"""When so full, the table grows by so much. Fuller means fewer bytes an id and more buckets
that are full; a smaller step means that each id is moved more often, twice here. So full as
LOAD_FORESEEN is a table only that holds all that was foreseen, which mostly is less."""

BUCKETS_MIN: Final = 8
BUCKETS_AT_ONCE: Final = 2048
"""Up to here it is stretched at once: 1 ms."""
BUCKETS_SMALL: Final = 131072
"""Up to here by GROWTH_SMALL."""

STRETCHED: Final = 1024
PACE: Final = 2
"""Buckets stretched in one go, and how many for each id of a call: it is done when the table
holds some 8 % more than when it began."""

CHUNK_SLOTS: Final = 1 << 17
"""Slots whose hashes are handed out at a time: 2 ms."""

MAPPED_BYTES_MIN: Final = 1 << 18
"""From here on memory is mapped: it then grows by new pages, where copying would be a pause."""


class Slots:
    """Hashes (1 to 2**64 - 1) with a payload each, in buckets of slots."""

    __slots__ = (
        "_boundary", "_buckets", "_buckets_foreseen", "_crowded", "_due", "_key_memory",
        "_keys", "_keys_one", "_old_buckets", "_payload_memory", "_payloads", "_payloads_one",
        "_rows", "_typecode", "_used",
    )  # fmt: skip

    def __init__(
        self, payload: Literal["uint8", "uint32"], *, foreseen: int | None = None
    ) -> None:
        """foreseen  hashes for which memory is to suffice exactly, when it has grown so far"""
        self._buckets_foreseen = 0
        if foreseen is not None:
            self._buckets_foreseen = _buckets_for(foreseen, LOAD_FORESEEN)
        self._typecode: Literal["B", "I"] = "B" if payload == "uint8" else "I"
        self._crowded: dict[int, int] = {}
        self._used = 0  # slots
        self._old_buckets = 0
        self._boundary = 0  # homes below it, of `_old_buckets`, wait to be stretched
        self._due = 0  # buckets to stretch for ids that came since the last time
        self._allot(BUCKETS_MIN)

    def __len__(self) -> int:
        """Hashes held, with those whose payload has died and that were not dropped yet."""
        return self._used + len(self._crowded)

    def memory_bytes(self) -> int:
        """What the arrays and the dict occupy."""
        return self._keys.nbytes + self._payloads.nbytes + 200 * len(self._crowded)

    def _slot(self, key: int) -> int:
        """Where `key` is, else the empty slot where it belongs; -1 where there is no room."""
        place = key & PLACE_MASK
        home = place * self._buckets >> PLACE_BITS
        if self._boundary:
            old = place * self._old_buckets >> PLACE_BITS
            if old < self._boundary:
                home = old
        return self._slot_between(key, home * SLOTS, (home + PROBED) * SLOTS)

    def _slot_between(self, key: int, start: int, end: int) -> int:
        """As `_slot`, where the buckets before `start` are full of others."""
        memory = self._key_memory
        middle = min(start + PROBED_EACH * SLOTS, end)
        for at in range(start, middle, SLOTS):
            bucket = BUCKET.unpack_from(memory, at * KEY_BYTES)
            if key in bucket:
                return at + bucket.index(key)
            if not bucket[-1]:
                return at + bucket.index(0)
        keys = self._keys[middle:end]
        fits = ((keys == np.uint64(key)) | (keys == 0)).nonzero()[0]
        return middle + int(fits[0]) if len(fits) else -1

    def _put_one(self, key: int, payload: int) -> None:
        slot = -1 if key in self._crowded else self._slot(key)
        if slot < 0:
            self._crowded[key] = payload
            return
        if not self._keys_one[slot]:
            self._keys_one[slot] = key
            self._used += 1
        self._payloads_one[slot] = payload

    def _homes(self, keys: Hashes) -> Positions:
        places = keys & MASK_64
        homes = places * np.uint64(self._buckets) >> BITS_64
        if self._boundary:
            old = places * np.uint64(self._old_buckets) >> BITS_64
            homes = np.where(old < np.uint64(self._boundary), old, homes)
        return homes.view(np.int64)

    def chunks(self) -> Iterator[tuple[Hashes, Payloads]]:
        """The same as `pairs`, some CHUNK_SLOTS at a time."""
        for start in range(0, len(self._keys), CHUNK_SLOTS):
            used = start + self._keys[start : start + CHUNK_SLOTS].nonzero()[0]
            yield self._keys[used], self._payloads[used]
        crowd = np.fromiter(self._crowded.values(), self._payloads.dtype)
        yield np.fromiter(self._crowded, np.uint64), crowd

    def with_payload(self, payload: int) -> Iterator[Hashes]:
        """The hashes that have this payload, a stretch of the table at a time, in no order."""
        for start in range(0, len(self._keys), CHUNK_SLOTS):
            at = (self._payloads[start : start + CHUNK_SLOTS] == payload).nonzero()[0]
            keys = self._keys[start : start + CHUNK_SLOTS].take(at)
            yield keys[keys != 0]
        crowd = [key for key, held in self._crowded.items() if held == payload]
        yield np.array(crowd, np.uint64)

    def pairs(self) -> tuple[Hashes, Payloads]:
        """All hashes and their payloads, in no order, as copies."""
        keys, payloads = zip(*self.chunks(), strict=True)
        return np.concatenate(keys), np.concatenate(payloads)

    def _renew(self, keys: Hashes, payloads: Payloads) -> None:
        self._empty(len(keys))
        self._lay(keys, payloads, len(self._rows))

    def _empty(self, count: int) -> None:
        """Hold nothing, with memory for so many."""
        self._crowded = {}
        self._used = self._old_buckets = self._boundary = self._due = 0
        buckets = max(BUCKETS_MIN, int(count / (LOAD_MADE * SLOTS)))
        if _buckets_for(count, LOAD_FORESEEN) <= self._buckets_foreseen:
            buckets = min(buckets, self._buckets_foreseen)
        self._allot(buckets)

    def _allot(self, buckets: int) -> None:
        """Empty memory for so many buckets."""
        self._key_memory: bytearray | mmap = bytearray()
        self._payload_memory: bytearray | mmap = bytearray()
        self._enlarge(buckets)

    def _enlarge(self, buckets: int) -> None:
        self._buckets = buckets
        slots = (buckets + PROBED) * SLOTS
        # Nothing may look at memory that is enlarged.
        self._keys = np.zeros(0, np.uint64)
        self._rows: NDArray[np.uint64] = self._keys
        self._payloads = np.zeros(0, self._typecode)
        self._keys_one = self._payloads_one = memoryview(b"")
        self._key_memory = _grown(self._key_memory, 8 * slots)
        self._payload_memory = _grown(self._payload_memory, self._payloads.itemsize * slots)
        self._keys = np.frombuffer(self._key_memory, np.uint64)
        self._rows = self._keys.reshape(-1, SLOTS)
        self._payloads = np.frombuffer(self._payload_memory, self._typecode)
        self._keys_one = memoryview(self._key_memory).cast("Q")
        self._payloads_one = memoryview(self._payload_memory).cast(self._typecode)

    def _make_room(self, count: int, alive: bytes | None) -> None:
        """Let so many keys come; stretch some more of the table where that has begun."""
        if self._boundary:
            self._due += PACE * count
            while self._boundary and self._due >= STRETCHED:
                self._stretch(alive)
                self._due -= STRETCHED
        is_small = self._buckets <= BUCKETS_SMALL
        used = self._used + count
        load_max = LOAD_MAX_SMALL if is_small else LOAD_MAX
        if self._buckets == self._buckets_foreseen and not is_small:
            load_max = LOAD_FORESEEN
        if used <= load_max * SLOTS * self._buckets:
            return
        while self._boundary:
            self._stretch(alive)
        self._old_buckets = self._boundary = self._buckets
        self._due = 0
        growth = GROWTH_SMALL if is_small else GROWTH
        buckets = max(int(self._buckets * growth), _buckets_for(used))
        if max(self._buckets + PROBED, _buckets_for(used)) < self._buckets_foreseen < buckets:
            buckets = self._buckets_foreseen
        self._enlarge(buckets)
        while self._boundary and self._old_buckets <= BUCKETS_AT_ONCE:
            self._stretch(alive)

    def _stretch(self, alive: bytes | None) -> None:
        """Move the boundary down: lay out some buckets before it by their new homes."""
        start = self._gap_before(max(self._boundary - STRETCHED, 0))
        end = self._gap_after(self._boundary)
        # From here on there are, or may be, keys that were laid out by new homes.
        limit = max(end, self._boundary * self._buckets // self._old_buckets)
        self._boundary = start
        self._lay_anew(start, end, limit, alive)
        if not start and 0 < len(self._crowded) <= CROWD_BY_CHANCE:
            crowded, self._crowded = self._crowded, {}
            for key, payload in crowded.items():
                self._put_one(key, payload)

    def _gap_before(self, bucket: int) -> int:
        """The last one up to `bucket` where no key from before it lies."""
        keys = self._keys_one
        while bucket and keys[bucket * SLOTS - 1]:
            bucket -= 1
        return bucket

    def _gap_after(self, bucket: int) -> int:
        """The first one from `bucket` on where no key from before it lies."""
        keys, buckets = self._keys_one, len(self._rows)
        while bucket and bucket < buckets and keys[bucket * SLOTS - 1]:
            bucket += 1
        return bucket

    def _lay_anew(self, start: int, end: int, limit: int, alive: bytes | None) -> None:
        """Take the keys out of buckets [start, end) and lay them out by their homes of now."""
        keys = self._rows[start:end].ravel()
        used = keys.nonzero()[0]
        payloads = self._payloads[start * SLOTS : end * SLOTS].take(used)
        self._used -= len(used)
        if alive is not None:
            keep = flags(alive).take(payloads)
            used, payloads = used[keep], payloads[keep]
        keys = keys.take(used)
        self._rows[start:end] = 0
        self._lay(keys, payloads, limit)

    def _has_dead(self, start: int, end: int, alive: bytes) -> bool:
        """In these buckets."""
        slots = slice(start * SLOTS, end * SLOTS)
        are_alive = flags(alive).take(self._payloads[slots])
        are_alive |= self._keys[slots] == 0
        return int(np.count_nonzero(are_alive)) < len(are_alive)

    def _lay(self, keys: Hashes, payloads: Payloads, limit: int) -> None:
        """Write keys that are new to buckets before `limit`, which are empty where they go."""
        homes = self._homes(keys)
        order = _order(homes)
        first = homes[order] * SLOTS
        steps = np.arange(len(keys))
        at = np.maximum.accumulate(first - steps) + steps
        fitting = 0
        if len(keys) and (at - first).max() < (PROBED - 1) * SLOTS:
            fitting = int(np.searchsorted(at, limit * SLOTS))
            self._keys[at[:fitting]] = keys[order[:fitting]]
            self._payloads[at[:fitting]] = payloads[order[:fitting]]
            self._used += fitting
        rest = order[fitting:]
        for key, payload in zip(keys[rest].tolist(), payloads[rest].tolist(), strict=True):
            self._put_one(key, payload)


def _buckets_for(count: int, load: float = LOAD_MAX) -> int:
    return int(count / (load * SLOTS)) + 1


def flags(alive: bytes) -> NDArray[np.bool_]:
    """Of each payload whether it is alive."""
    return np.frombuffer(alive, np.bool_)


def _order(homes: Positions) -> Positions:
    """A stable order by home; numpy sorts 16 bits by radix, some times quicker."""
    if not len(homes):
        return homes
    low = homes.min()
    if homes.max() - low < 1 << 16:
        return np.argsort((homes - low).astype(np.uint16), kind="stable")
    return np.argsort(homes, kind="stable")


def _grown(memory: bytearray | mmap, size_bytes: int) -> bytearray | mmap:
    """The same with zeros behind, or a copy."""
    if isinstance(memory, mmap) and sys.platform == "linux":
        memory.resize(size_bytes)
        return memory
    grown: bytearray | mmap
    if size_bytes < MAPPED_BYTES_MIN:
        grown = bytearray(size_bytes)
    else:
        grown = mmap(-1, size_bytes, MAP_PRIVATE | MAP_ANONYMOUS)
    grown[: len(memory)] = memory
    return grown
