"""From 64-bit hashes to small numbers: a hash table in flat arrays, queried in batches.

Open addressing over buckets of 8 slots (Knuth, vol. 3, 6.4): a key lies in the first bucket
with room, from its home bucket on, and a bucket is filled from the left. So a single comparison
with the home buckets says for a whole batch which keys are there and where the others belong;
the few whose bucket is full go on to the next one. The lower 30 bits of a hash choose the home,
in their order. (The upper bits choose samples: the keys of a sample would crowd together.)

Measured 2026-11-22, one shared, noisy 2-core machine, `claim`, ns of processor time an id:

| ids a call | new, from 0 to 200,000 | new, beyond | known, of 200,000 | known, of 10 million |
| 25         | 1,150                  | 830         | 640               | 1,100                |
| 250        | 340                    | 310         | 160               | 230                  |
| 1,000      | 230                    | 170         | 90                |                      |
| 2,500      | 225                    | 120         | 80                | 130 to 210           |
| 4,096      | 200                    | 130         | 80                |                      |

`rows_of` takes the same but for small calls (25: 1,500 and 1,200). Bytes an id, of 9 a slot: 14
to 24 while small, 12 to 18 beyond a million. The longest call of 4,096 that also stretches took
2.8 ms below a million ids, 5 ms above.
"""

from array import array
from collections.abc import Sequence
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

from engine.slots import (
    BUCKET,
    BUCKET_BYTES,
    BUCKETS_MIN,
    ONE_8,
    PLACE_BITS,
    PLACE_MASK,
    PROBED,
    PROBED_EACH,
    SLOTS,
    Hashes,
    Payloads,
    Positions,
    Slots,
    flags,
)

SEGMENTS: Final = 256
"""Parts of the table that `drop_dead` can be asked to look through."""

BATCH_MAX: Final = 4_096
BATCH_MIN: Final = 48
"""Fewer are handled one by one: numpy's calls cost 35 µs whatever their number."""

FEW: Final = 8
"""So many of a batch that need another bucket are handled one by one."""

MARKS: Final = 256
LOW_BYTE: Final = np.arange(BATCH_MAX).astype(np.uint8)
HIGH_BYTE: Final = (np.arange(BATCH_MAX) >> 8).astype(np.uint8)
NUMBER: Final = np.arange(BATCH_MAX, dtype=np.uint32)
"""Of a position in a batch."""


class HashIndex(Slots):
    """Hashes (1 to 2**64 - 1) with a payload each, of type `payload`."""

    __slots__ = ()

    @classmethod
    def of(
        cls,
        payload: Literal["uint8", "uint32"],
        hashes: Hashes,
        payloads: Payloads,
        *,
        foreseen: int | None = None,
    ) -> Self:
        """An index of these pairs; no hash may occur twice."""
        index = cls(payload, foreseen=foreseen)
        index._renew(hashes, payloads)
        return index

    @classmethod
    def for_(cls, payload: Literal["uint8", "uint32"], count: int, *, foreseen: int) -> Self:
        """An empty index that has memory for so many."""
        index = cls(payload, foreseen=foreseen)
        index._empty(count)
        return index

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

    def remove(self, key: int) -> int | None:
        """Forget `key`; its payload, None where it is unknown."""
        if key in self._crowded:
            return self._crowded.pop(key)
        slot = self._slot(key)
        if slot < 0 or not self._keys_one[slot]:
            return None
        payload: int = self._payloads_one[slot]
        # What lies behind it, up to the next gap, may have gone by its bucket while that was
        # full: it is laid out anew.
        bucket = slot // SLOTS
        start, end = self._gap_before(bucket), self._gap_after(bucket + 1)
        self._keys_one[slot] = 0
        self._used -= 1
        self._lay_anew(start, end, end, None)
        return payload

    def _rows_one_by_one(self, hashes: Sequence[int], new_from: int) -> list[int]:
        rows = []
        keys, payloads, crowded = self._keys_one, self._payloads_one, self._crowded
        for key in hashes:
            slot = -1 if key in crowded else self._slot(key)
            if slot >= 0 and keys[slot]:
                rows.append(payloads[slot])
            elif slot >= 0:
                keys[slot] = key
                payloads[slot] = new_from
                self._used += 1
                rows.append(new_from)
                new_from += 1
            else:
                row = crowded.setdefault(key, new_from)
                new_from += row == new_from
                rows.append(row)
        return rows

    def _claim_one_by_one(self, hashes: Sequence[int], payload: int, alive: bytes) -> list[int]:
        known = []
        new = 0
        keys, payloads, crowded = self._keys_one, self._payloads_one, self._crowded
        memory, read = self._key_memory, BUCKET.unpack_from
        buckets, old_buckets, boundary = self._buckets, self._old_buckets, self._boundary
        for position, key in enumerate(hashes):
            # `_slot` written out for the first bucket: two calls an id spared, of 80 ns each.
            place = key & PLACE_MASK
            home = place * buckets >> PLACE_BITS
            if boundary and place * old_buckets >> PLACE_BITS < boundary:
                home = place * old_buckets >> PLACE_BITS
            bucket = read(memory, home * BUCKET_BYTES)
            if key in bucket and key:
                slot = home * SLOTS + bucket.index(key)
                if alive[payloads[slot]]:
                    known.append(position)
                else:
                    payloads[slot] = payload
            elif not key:
                continue
            elif bucket[-1] or (crowded and key in crowded):
                if self._is_known(key, payload, alive):
                    known.append(position)
            else:
                slot = home * SLOTS + bucket.index(0)
                keys[slot] = key
                payloads[slot] = payload
                new += 1
        self._used += new
        return known

    def _is_known(self, key: int, payload: int, alive: bytes) -> bool:
        """Whether `key` is there, its payload alive; otherwise it is now."""
        held = self.get(key)
        if held is not None and alive[held]:
            return True
        self._put_one(key, payload)
        return False

    def rows_of(self, hashes: Sequence[int], *, new_from: int) -> list[int]:
        """The payload of each hash; the unknown get `new_from` and upwards, in their order."""
        rows: list[int] = []
        for start in range(0, len(hashes), BATCH_MAX):
            part = hashes[start : start + BATCH_MAX]
            self._make_room(len(part), None)
            used = len(self)
            found = None
            if len(part) >= BATCH_MIN:
                found = self._rows_batch(_array(part), new_from)
            if found is None:
                found = self._rows_one_by_one(part, new_from)
            rows += found
            new_from += len(self) - used
        return rows

    def _rows_batch(self, keys: Hashes, new_from: int) -> list[int] | None:
        """As `rows_of`; None, and nothing done, where the batch cannot be handled as one."""
        slots = self._slots(keys)
        if slots is None:
            return None
        rows = self._payloads.take(slots)
        new = (self._keys.take(slots) != keys).nonzero()[0]
        if len(new):
            is_first, at = self._enter(keys[new], slots[new])
            count = int(np.count_nonzero(is_first))
            numbers = np.arange(new_from, new_from + count, dtype=rows.dtype)
            self._payloads[at[is_first]] = numbers
            self._used += count - len(self._crowded)
            rows[new] = self._payloads.take(at)
            for position in (at < 0).nonzero()[0].tolist():
                key = int(keys[new[position]])
                if is_first[position]:
                    self._crowded[key] = new_from + int(is_first[:position].sum())
                rows[new[position]] = self._crowded[key]
        answer: list[int] = rows.tolist()
        return answer

    def claim(self, hashes: Sequence[int] | Hashes, payload: int, alive: bytes) -> list[int]:
        """Positions of the hashes that are known already; the others get `payload`.

        hashes  0 stands for none: it is skipped and never known
        alive   256 bytes, 1 or 0 by payload: a hash with a dead payload counts as unknown, and
                is dropped when its part of the table is laid out anew; `payload` is alive
        """
        known: list[int] = []
        keys = np.asarray(hashes, np.uint64)
        for start in range(0, len(keys), BATCH_MAX):
            part = keys[start : start + BATCH_MAX]
            self._make_room(len(part), alive)
            found = None
            if len(part) >= BATCH_MIN:
                found = self._claim_batch(part, payload, alive)
            if found is None:
                found = self._claim_one_by_one(part.tolist(), payload, alive)
            known += [start + position for position in found] if start else found
        return known

    def _claim_batch(self, keys: Hashes, payload: int, alive: bytes) -> list[int] | None:
        """As `claim`; None, and nothing done, where the batch cannot be handled as one."""
        positions = None
        if np.count_nonzero(keys) < len(keys):
            positions = keys.nonzero()[0]
            keys = keys[positions]
        slots = self._slots(keys)
        if slots is None:
            return None
        held = self._keys.take(slots)
        known = held == keys
        if np.count_nonzero(known):
            known &= flags(alive).take(self._payloads.take(slots))
        new = (~known).nonzero()[0]
        if len(new):
            is_first, at = self._enter(keys[new], slots[new])
            self._payloads[at] = payload
            added = int(np.count_nonzero(is_first & (held[new] == 0)))
            self._used += added - len(self._crowded)
            for key in self._crowded:  # there were none before
                self._crowded[key] = payload
            known[new] = ~is_first
        found = known.nonzero()[0]
        answer: list[int] = (found if positions is None else positions[found]).tolist()
        return answer

    def _slots(self, keys: Hashes) -> Positions | None:
        """As `_slot`, for all; None where one of them is, or must be, among the crowded."""
        if self._crowded:
            return None
        homes = self._homes(keys)
        slots, full = self._probe(homes, keys)
        for step in range(1, PROBED_EACH):
            if len(full) <= FEW:
                break
            slots[full], more = self._probe(homes[full] + step, keys[full])
            full = full[more]
        if len(full):
            starts, ends = slots[full].tolist(), ((homes[full] + PROBED) * SLOTS).tolist()
            rest = list(map(self._slot_between, keys[full].tolist(), starts, ends))
            if -1 in rest:
                return None
            slots[full] = rest
        return slots

    def _probe(self, buckets: Positions, keys: Hashes) -> tuple[Positions, Positions]:
        """The slot of each bucket that has the key or is its first empty one; where none is."""
        rows = self._rows.take(buckets, axis=0)
        fits = rows == keys[:, None]
        fits |= rows == 0
        masks = np.packbits(fits.ravel(), bitorder="little")
        # The zeros below the lowest bit that is set; 8 if none is.
        before = np.bitwise_count(~masks & (masks - ONE_8))
        return buckets * SLOTS + before, (before == SLOTS).nonzero()[0]

    def _enter(self, keys: Hashes, slots: Positions) -> tuple[NDArray[np.bool_], Positions]:
        """Write unknown keys to the slots that `_slots` said, or others where these are taken.

        Returns whether each is the first of equal ones, and where it is; -1 among the crowded.
        """
        self._keys[slots] = keys
        has = self._keys.take(slots) == keys
        if np.count_nonzero(has) == len(keys):
            return self._are_first(slots), slots
        # Several different ones wanted one empty slot: one has it, the others look again.
        is_first, lost = has, ~has
        is_first[is_first] = self._are_first(slots[is_first])
        slots = slots.copy()
        rest = keys[lost]
        again = None
        if BATCH_MIN <= len(rest) <= len(keys) * 3 // 4:
            again = self._slots(rest)
        if again is None:
            is_first[lost], slots[lost] = self._enter_one_by_one(
                rest.tolist(), slots[lost].tolist()
            )
        else:
            is_first[lost], slots[lost] = self._enter(rest, again)
        return is_first, slots

    def _enter_one_by_one(
        self, keys: list[int], taken: list[int]
    ) -> tuple[list[bool], list[int]]:
        """The slot of each was empty a moment ago, and was taken."""
        all_keys = self._keys_one
        are_first, slots = [], []
        for key, slot in zip(keys, taken, strict=True):
            at = slot
            end = (slot // SLOTS + 1) * SLOTS  # mostly the next slot is empty
            while at < end and (held := all_keys[at]) and held != key:
                at += 1
            if at == end:
                at = self._slot(key)
            if at < 0:
                are_first.append(key not in self._crowded)
                self._crowded[key] = 0
            else:
                are_first.append(not all_keys[at])
                all_keys[at] = key
            slots.append(at)
        return are_first, slots

    def _are_first(self, slots: Positions) -> NDArray[np.bool_]:
        """Whether no slot before is the same; the payloads there are overwritten."""
        # Each leaves its number. Written from the last one on, the first of equal ones finds
        # its own again; a byte tells numbers apart up to 256, beyond two are left in turn.
        count = len(slots)
        is_byte = self._typecode == "B"
        stamp = LOW_BYTE[:count] if is_byte else NUMBER[:count]
        self._payloads[slots] = stamp
        are_first: NDArray[np.bool_] = self._payloads.take(slots) == stamp
        if np.count_nonzero(are_first) == count <= MARKS:
            return are_first
        self._payloads[slots[::-1]] = stamp[::-1]
        are_first = self._payloads.take(slots) == stamp
        if is_byte:
            stamp = HIGH_BYTE[:count]
            self._payloads[slots[::-1]] = stamp[::-1]
            are_first &= self._payloads.take(slots) == stamp
        return are_first

    def drop_dead(self, segment: int, alive: bytes) -> None:
        """Drop the hashes of one of SEGMENTS parts whose payload is not alive.

        With the last part, a table that is nine tenths empty is rebuilt: at 10 million ids
        that were, it takes some 30 ms.
        """
        buckets = len(self._rows)
        start = self._gap_before(buckets * segment // SEGMENTS)
        end = self._gap_after(buckets * (segment + 1) // SEGMENTS)
        if start < end and self._has_dead(start, end, alive):
            self._lay_anew(start, end, end, alive)
        if segment < SEGMENTS - 1:
            return
        for key in [key for key, payload in self._crowded.items() if not alive[payload]]:
            del self._crowded[key]
        if self._buckets > BUCKETS_MIN and len(self) * 10 < self._buckets * SLOTS:
            # Without the dead, which are not spread evenly: some parts were looked through.
            keys, payloads = self.pairs()
            keep = flags(alive).take(payloads)
            self._renew(keys[keep], payloads[keep])


def _array(hashes: Sequence[int]) -> Hashes:
    return np.frombuffer(array("Q", hashes), np.uint64)  # half the time of np.array
