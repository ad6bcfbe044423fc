"""From 64-bit hashes to small numbers: a hash table of flat arrays, asked and filled by batches.

Open addressing over buckets of 8 slots (Knuth, vol. 3, 6.4): a key lies in the first bucket, from
its home on, that had room, and a bucket is filled from the left. So one comparison of the 64
bytes of each home tells of a whole batch which keys are there and where the others belong; the
few whose bucket is full go on to the next one. The lower 30 bits of a hash choose the home, in
their order (not the upper ones, by which samples are taken: those that stay would crowd together).

The table grows in place and without a pause. The homes of a larger table lie in the same order,
only further apart, so it is stretched from its end: buckets from `_boundary` on are laid out anew
already, those before are not, and each call moves the boundary by some thousand slots.

A key whose `PROBED` buckets are all full goes to a dict; by chance there is none, but hashes may
be chosen. While there is one, batches are handled one by one: slower, and never quadratic.
"""

from array import array
from collections.abc import Sequence
from mmap import MAP_ANONYMOUS, MAP_PRIVATE, mmap
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Payloads = NDArray[np.unsignedinteger]
Positions = NDArray[np.int64]

SEGMENTS: Final = 256
"""Parts of the table that `drop_dead` can be asked to look through."""

PLACE_BITS: Final = 30
PLACE_MASK: Final = (1 << PLACE_BITS) - 1
"""30 bits are one digit of a Python int: arithmetic on them is quick."""

SLOTS: Final = 8
"""A bucket is one line of the processor's cache."""

PROBED: Final = 32
"""Buckets where a key may lie; also the slack behind the homes, so that no probe wraps around."""

LOAD_MAX: Final = 0.75
GROWTH: Final = 4 / 3
"""The table grows by so much when so full. Fuller means fewer bytes an id and more buckets that
are full; a smaller step means the same, and that each id is moved more often: 3 times here."""

BUCKETS_MIN: Final = 16
BUCKETS_SMALL: Final = 8_192
"""Up to here it is stretched at once, which takes 2 ms at most, and to twice its size."""

STRETCHED: Final = 1_024
PACE: Final = 2
"""Buckets stretched in one go, and how many for each id of a call: done when the table is some 8 %
fuller than when it began."""

BATCH_MAX: Final = 4_096
BATCH_MIN: Final = 64
"""Fewer are handled one by one: numpy's calls cost 50 µs whatever their number."""

FEW: Final = 12
"""So many of a batch that need another bucket are handled one by one."""

MAPPED_BYTES_MIN: Final = 1 << 18
"""From here on memory is mapped: it then grows by new pages, where copying would be a pause."""


class HashIndex:
    """Hashes (1 to 2**64 - 1) with a payload each, of type `payload`."""

    __slots__ = (
        "_boundary", "_buckets", "_crowded", "_due", "_key_memory", "_keys", "_keys_one",
        "_old_buckets", "_payload_memory", "_payloads", "_payloads_one", "_rows", "_typecode",
        "_used",
    )  # fmt: skip

    def __init__(self, payload: Literal["uint8", "uint32"]) -> None:
        self._typecode: Literal["B", "I"] = "B" if payload == "uint8" else "I"
        self._crowded: dict[int, int] = {}
        self._used = 0  # slots
        self._old_buckets = 0
        self._boundary = 0  # homes below it, of `_old_buckets`, wait to be stretched
        self._due = 0  # buckets to stretch for ids that came since the last time
        self._allot(BUCKETS_MIN)

    @classmethod
    def of(
        cls, payload: Literal["uint8", "uint32"], hashes: Hashes, payloads: Payloads
    ) -> Self:
        """An index of these pairs; no hash may occur twice."""
        index = cls(payload)
        index._renew(hashes, payloads)
        return index

    def __len__(self) -> int:
        """Hashes held, with those whose payload has died and that were not dropped yet."""
        return self._used + len(self._crowded)

    def memory_bytes(self) -> int:
        """What the arrays and the dict occupy."""
        return self._keys.nbytes + self._payloads.nbytes + 200 * len(self._crowded)

    # -- one by one ---------------------------------------------------------------------------

    def get(self, key: int) -> int | None:
        """The payload of `key`; None if it is unknown."""
        if key in self._crowded:
            return self._crowded[key]
        slot = self._slot(key)
        return self._payloads_one[slot] if slot >= 0 and self._keys_one[slot] else None

    def insert(self, key: int, payload: int) -> None:
        """Give `key` this payload, whether it is known or new."""
        assert key
        self._make_room(1, None)
        self._put_one(key, payload)

    def _slot(self, key: int) -> int:
        """Where `key` is, else the empty slot where it belongs; -1 where there is no room."""
        place = key & PLACE_MASK
        home = place * self._buckets >> PLACE_BITS
        if self._boundary:
            old = place * self._old_buckets >> PLACE_BITS
            if old < self._boundary:
                home = old
        keys = self._keys_one
        for at in range(home * SLOTS, (home + PROBED) * SLOTS, SLOTS):
            bucket = keys[at : at + SLOTS].tolist()
            if key in bucket:
                return at + bucket.index(key)
            if not bucket[-1]:
                return at + bucket.index(0)
        return -1

    def _put_one(self, key: int, payload: int) -> None:
        slot = -1 if key in self._crowded else self._slot(key)
        if slot < 0:
            self._crowded[key] = payload
            return
        if not self._keys_one[slot]:
            self._keys_one[slot] = key
            self._used += 1
        self._payloads_one[slot] = payload

    def _rows_one_by_one(self, hashes: Sequence[int], new_from: int) -> list[int]:
        rows = []
        for key in hashes:
            row = self.get(key)
            if row is None:
                row = new_from
                new_from += 1
                self._put_one(key, row)
            rows.append(row)
        return rows

    def _claim_one_by_one(self, hashes: Sequence[int], payload: int, alive: bytes) -> list[int]:
        known = []
        keys, payloads, crowded = self._keys_one, self._payloads_one, self._crowded
        for position, key in enumerate(hashes):
            if not key:
                continue
            slot = -1 if key in crowded else self._slot(key)
            if slot < 0:
                if alive[crowded.get(key, payload)] and key in crowded:
                    known.append(position)
                else:
                    crowded[key] = payload
            elif not keys[slot]:
                keys[slot] = key
                payloads[slot] = payload
                self._used += 1
            elif alive[payloads[slot]]:
                known.append(position)
            else:
                payloads[slot] = payload
        return known

    # -- by batches ---------------------------------------------------------------------------

    def rows_of(self, hashes: Sequence[int], *, new_from: int) -> list[int]:
        """The payload of each hash; the unknown get `new_from` and upwards, in their order."""
        rows: list[int] = []
        for start in range(0, len(hashes), BATCH_MAX):
            part = hashes[start : start + BATCH_MAX]
            self._make_room(len(part), None)
            used = len(self)
            slots = None
            if len(part) >= BATCH_MIN:
                keys = _array(part)
                slots = self._slots(keys)
            if slots is None:
                rows += self._rows_one_by_one(part, new_from)
            else:
                rows += self._rows_at(keys, slots, new_from).tolist()
            new_from += len(self) - used
        return rows

    def _rows_at(self, keys: Hashes, slots: Positions, new_from: int) -> Positions:
        rows = self._payloads.take(slots).astype(np.int64)
        new = np.flatnonzero(self._keys.take(slots) != keys)
        if len(new):
            firsts = _firsts(keys[new])
            if firsts is None:
                rows[new] = np.arange(new_from, new_from + len(new))
            else:
                number, first = firsts
                rows[new] = new_from + number
                new = new[first]
            self._put(keys[new], slots[new], rows[new].astype(self._payloads.dtype))
        return rows

    def claim(self, hashes: Sequence[int], payload: int, alive: bytes) -> list[int]:
        """Positions of the hashes that are known already; the others get `payload`.

        hashes  0 stands for none: it is skipped and never known
        alive   256 bytes, 1 or 0 by payload: a hash with a dead payload counts as unknown, and
                is dropped when its part of the table is laid out anew; `payload` is alive
        """
        known: list[int] = []
        for start in range(0, len(hashes), BATCH_MAX):
            part = hashes[start : start + BATCH_MAX]
            self._make_room(len(part), alive)
            found = None
            if len(part) >= BATCH_MIN:
                found = self._claim_batch(_array(part), payload, alive)
            if found is None:
                found = self._claim_one_by_one(part, payload, alive)
            known += [start + position for position in found] if start else found
        return known

    def _claim_batch(self, keys: Hashes, payload: int, alive: bytes) -> list[int] | None:
        """As `claim`; None, and nothing done, where the batch cannot be handled as one."""
        positions = None
        if np.count_nonzero(keys) < len(keys):
            positions = np.flatnonzero(keys)
            keys = keys[positions]
        slots = self._slots(keys)
        if slots is None:
            return None
        known = self._keys.take(slots) == keys
        known &= _flags(alive).take(self._payloads.take(slots))
        new = np.flatnonzero(~known)
        if len(new):
            firsts = _firsts(keys[new])
            if firsts is not None:
                known[new] = True
                new = new[firsts[1]]
                known[new] = False
            self._put(keys[new], slots[new], np.full(len(new), payload, np.uint8))
        found = np.flatnonzero(known)
        return (found if positions is None else positions[found]).tolist()

    def _homes(self, keys: Hashes) -> Positions:
        places = keys & np.uint64(PLACE_MASK)
        homes = places * np.uint64(self._buckets) >> np.uint64(PLACE_BITS)
        if self._boundary:
            old = places * np.uint64(self._old_buckets) >> np.uint64(PLACE_BITS)
            homes = np.where(old < np.uint64(self._boundary), old, homes)
        return homes.view(np.int64)

    def _slots(self, keys: Hashes) -> Positions | None:
        """As `_slot`, for all; None where one of them is, or must be, among the crowded."""
        if self._crowded:
            return None
        homes = self._homes(keys)
        slots, full = self._probe(homes, keys)
        for step in range(1, PROBED):
            if len(full) <= FEW:
                break
            slots[full], more = self._probe(homes[full] + step, keys[full])
            full = full[more]
        for position in full.tolist():
            slot = self._slot(int(keys[position]))
            if slot < 0:
                return None
            slots[position] = slot
        return slots

    def _probe(self, buckets: Positions, keys: Hashes) -> tuple[Positions, Positions]:
        """Of each bucket the slot that holds the key or is the first empty one; where neither."""
        rows = self._rows.take(buckets, axis=0)
        fits = rows == keys[:, None]
        fits |= rows == 0
        bytes_of_8 = fits.view("<u8").ravel()
        # The bits below the lowest byte that is set: 8 for each slot before it, 64 if none is.
        before = np.bitwise_count(~bytes_of_8 & (bytes_of_8 - np.uint64(1))) >> 3
        slots = buckets * SLOTS
        slots += before
        return slots, np.flatnonzero(before == SLOTS)

    def _put(self, keys: Hashes, slots: Positions, payloads: Payloads) -> None:
        """Write keys, none twice, to the slots that `_slots` said, and their payloads."""
        held_before = np.count_nonzero(self._keys.take(slots))
        self._keys[slots] = keys
        lost = np.flatnonzero(self._keys.take(slots) != keys)
        if not len(lost):
            self._payloads[slots] = payloads
            self._used += len(keys) - held_before
            return
        # Several wanted one empty slot: the last was written, the others look again.
        won = np.ones(len(keys), np.bool_)
        won[lost] = False
        self._payloads[slots[won]] = payloads[won]
        self._used += len(keys) - held_before - len(lost)
        keys, payloads = keys[lost], payloads[lost]
        again = None
        if BATCH_MIN <= len(lost) <= len(won) * 3 // 4:
            again = self._slots(keys)
        if again is not None:
            self._put(keys, again, payloads)
            return
        for key, payload in zip(keys.tolist(), payloads.tolist(), strict=True):
            self._put_one(key, payload)

    # -- the whole ----------------------------------------------------------------------------

    def drop_dead(self, segment: int, alive: bytes) -> None:
        """Drop the hashes of one of SEGMENTS parts whose payload is not alive.

        With the last part, a table that is nine tenths empty is made anew: at 10 million ids
        that were, it takes some 30 ms.
        """
        buckets = len(self._rows)
        start = self._gap_before(buckets * segment // SEGMENTS)
        end = self._gap_after(buckets * (segment + 1) // SEGMENTS)
        if start < end:
            self._lay_anew(start, end, end, alive, only_if_dead=True)
        if segment < SEGMENTS - 1:
            return
        for key in [key for key, payload in self._crowded.items() if not alive[payload]]:
            del self._crowded[key]
        if self._buckets > BUCKETS_MIN and len(self) * 10 < self._buckets * SLOTS:
            self._renew(*self.pairs())

    def pairs(self) -> tuple[Hashes, Payloads]:
        """All hashes and their payloads, in no order, as copies."""
        used = np.flatnonzero(self._keys)
        keys, payloads = self._keys[used], self._payloads[used]
        if self._crowded:
            crowd = np.fromiter(self._crowded.values(), payloads.dtype)
            keys = np.concatenate([keys, np.fromiter(self._crowded, np.uint64)])
            payloads = np.concatenate([payloads, crowd])
        return keys, payloads

    def _renew(self, keys: Hashes, payloads: Payloads) -> None:
        self._crowded = {}
        self._used = self._old_buckets = self._boundary = self._due = 0
        self._allot(max(BUCKETS_MIN, int(len(keys) * GROWTH / (LOAD_MAX * SLOTS))))
        self._lay(keys, payloads, len(self._rows))

    def _allot(self, buckets: int) -> None:
        """Empty memory for so many buckets."""
        self._key_memory: bytearray | mmap = bytearray()
        self._payload_memory: bytearray | mmap = bytearray()
        self._enlarge(buckets)

    def _enlarge(self, buckets: int) -> None:
        self._buckets = buckets
        slots = (buckets + PROBED) * SLOTS
        # Nothing may look at memory that is enlarged.
        self._keys = self._rows = np.zeros(0, np.uint64)
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
        slots_full = (self._used + count) / LOAD_MAX
        if slots_full <= self._buckets * SLOTS:
            return
        while self._boundary:
            self._stretch(alive)
        self._old_buckets = self._boundary = self._buckets
        self._due = 0
        growth = 2 if self._buckets <= BUCKETS_SMALL else GROWTH
        self._enlarge(int(max(self._buckets * growth, slots_full / SLOTS + 1)))
        while self._boundary and self._old_buckets <= BUCKETS_SMALL:
            self._stretch(alive)

    def _stretch(self, alive: bytes | None) -> None:
        """Move the boundary down: lay out some buckets before it by their new homes."""
        start = self._gap_before(max(self._boundary - STRETCHED, 0))
        end = self._gap_after(self._boundary)
        # From here on there are, or may be, keys that were laid out by new homes.
        limit = max(end, self._boundary * self._buckets // self._old_buckets)
        self._boundary = start
        self._lay_anew(start, end, limit, alive)
        if not start and self._crowded:
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

    def _lay_anew(
        self,
        start: int,
        end: int,
        limit: int,
        alive: bytes | None,
        *,
        only_if_dead: bool = False,
    ) -> None:
        """Take the keys out of buckets [start, end) and lay them out by their homes of now."""
        rows = self._rows[start:end].ravel()
        used = np.flatnonzero(rows)
        payloads = self._payloads[start * SLOTS : end * SLOTS].take(used)
        if alive is not None:
            keep = _flags(alive).take(payloads)
            if not keep.all():
                only_if_dead = False
                payloads, kept = payloads[keep], used[keep]
            else:
                kept = used
        else:
            kept = used
        if only_if_dead:
            return
        keys = rows.take(kept)
        self._used -= len(used)
        self._rows[start:end] = 0
        self._lay(keys, payloads, limit)

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


def _array(hashes: Sequence[int]) -> Hashes:
    return np.frombuffer(array("Q", hashes), np.uint64)  # half the time of np.array


def _flags(alive: bytes) -> NDArray[np.bool_]:
    return np.frombuffer(alive, np.bool_)


def _firsts(keys: Hashes) -> tuple[Positions, Positions] | None:
    """(the number of each among the different ones by appearance, where each appears first).

    None where all are different.
    """
    ordered = np.sort(keys)
    if not (ordered[1:] == ordered[:-1]).any():
        return None
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    appearance = np.argsort(first)
    number = np.empty_like(appearance)
    number[appearance] = np.arange(len(first))
    return number[inverse], first[appearance]


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
    if isinstance(memory, mmap):
        memory.resize(size_bytes)
        return memory
    grown: bytearray | mmap
    if size_bytes < MAPPED_BYTES_MIN:
        grown = bytearray(size_bytes)
    else:
        grown = mmap(-1, size_bytes, MAP_PRIVATE | MAP_ANONYMOUS)
    grown[: len(memory)] = memory
    return grown
