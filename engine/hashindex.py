"""From 64-bit hashes to small numbers: a hash table of plain arrays that grows in small steps.

Open addressing with linear probing (Knuth, vol. 3, 6.4). Of the lower 30 bits of a hash 8
choose one of 256 segments and 22 its home there (not the upper ones, by which samples are
taken: those that stay would crowd together). A full segment is rebuilt by numpy: in order of
their homes the keys go to the slots `maximum.accumulate(home - i) + i`. No probe wraps around:
there is slack behind the homes.

Hashes are uniform, so segments fill alike; their sizes are spread out over one step of growth
at the start, so that they do not all grow at once and the bytes an id stay even.

Measured 2026-11-22, one noisy 2-core machine (reading one item of a list takes 18 ns there),
uint8 payloads, each in ns:

| ids          | new, rebuilding included | known | unknown | bytes an id |
| 100,000      | 590                      | 390   | 400     | 19.6        |
| 1 million    | 850                      | 550   | 490     | 15.5        |
| 10 million   | 1,000                    | 710   | 590     | 15.5        |

Rebuilding a segment of 39,000 (10 million in all) takes 2.1 ms, the longest pause of an insert;
all pairs as arrays 0.4 s, an index made of 10 million pairs 1.7 s.
"""

from array import array
from collections.abc import Sequence
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Payloads = NDArray[np.unsignedinteger]

SEGMENTS: Final = 256
PLACE_MASK: Final = (1 << 30) - 1
"""30 bits are one digit of a Python int: arithmetic on them is quick."""
HOME_BITS: Final = 22
HOME_MASK: Final = (1 << HOME_BITS) - 1

LOAD_MAX: Final = 0.68
LOAD_REBUILT: Final = 0.5
"""A segment is rebuilt when so full, to be only so full. Fuller means fewer bytes an id, longer
probes and, where old ids are dropped as new ones come, more frequent rebuilding."""

HOMES_MIN: Final = 256
HOMES_SMALL: Final = 4096
"""Up to here a segment grows twice as fast: numpy's 30 µs for each rebuilding would be felt."""

SLACK: Final = 16


class HashIndex:
    """Hashes (1 to 2**64 - 1) with a payload each, of type `payload`."""

    __slots__ = ("_homes", "_keys", "_payloads", "_room", "_typecode")

    def __init__(self, payload: Literal["uint8", "uint32"]) -> None:
        self._typecode = typecode = "B" if payload == "uint8" else "I"
        # One list entry a segment. Arrays end in an empty slot, where every probe stops.
        self._keys: list[array[int]] = []
        self._payloads: list[array[int]] = []
        self._homes: list[int] = []
        self._room: list[int] = []  # insertions left until the segment is rebuilt
        for segment in range(SEGMENTS):
            homes = round(HOMES_MIN * _stagger(segment))
            self._keys.append(array("Q", bytes(8 * (homes + SLACK))))
            self._payloads.append(array(typecode, [0]) * (homes + SLACK))
            self._homes.append(homes)
            self._room.append(int(homes * LOAD_MAX))

    @classmethod
    def of(
        cls, payload: Literal["uint8", "uint32"], hashes: Hashes, payloads: Payloads
    ) -> Self:
        """An index of these pairs; no hash may occur twice."""
        index = cls(payload)
        places = hashes & np.uint64(PLACE_MASK)
        order = np.argsort(places)
        hashes, payloads, places = hashes[order], payloads[order], places[order]
        starts = np.arange(1, SEGMENTS, dtype=np.uint64) << np.uint64(HOME_BITS)
        bounds = [0, *np.searchsorted(places, starts).tolist(), len(hashes)]
        for segment in range(SEGMENTS):
            part = slice(bounds[segment], bounds[segment + 1])
            index._fill(segment, hashes[part], payloads[part], _stagger(segment))
        return index

    def __len__(self) -> int:
        """Hashes held, with those whose payload has died and that no rebuilding dropped yet."""
        return sum(int(n * LOAD_MAX) for n in self._homes) - sum(self._room)

    def memory_bytes(self) -> int:
        """What the arrays and lists occupy."""
        width = 8 + array(self._typecode).itemsize
        return SEGMENTS * (4 * 8 + 2 * 80 + 2 * 32) + width * sum(map(len, self._keys))

    def get(self, key: int) -> int | None:
        """The payload of `key`; None if it is unknown."""
        segment, at = self._place(key)
        return self._payloads[segment][at] if self._keys[segment][at] else None

    def rows_of(self, hashes: Sequence[int], *, new_from: int) -> list[int]:
        """The payload of each hash; the unknown get `new_from` and upwards, in their order."""
        all_keys, all_payloads, all_homes = self._keys, self._payloads, self._homes
        rows = []
        for key in hashes:  # as in `claim`
            place = key & PLACE_MASK
            segment = place >> HOME_BITS
            keys = all_keys[segment]
            at = (place & HOME_MASK) * all_homes[segment] >> HOME_BITS
            held = keys[at]
            while held and held != key:
                at += 1
                held = keys[at]
            if held:
                rows.append(all_payloads[segment][at])
            else:
                self._insert_at(segment, at, key, new_from, None)
                rows.append(new_from)
                new_from += 1
        return rows

    def insert(self, key: int, payload: int) -> None:
        """Give `key` this payload, whether it is known or new."""
        segment, at = self._place(key)
        if self._keys[segment][at]:
            self._payloads[segment][at] = payload
        else:
            self._insert_at(segment, at, key, payload, None)

    def claim(self, hashes: Sequence[int], payload: int, alive: bytes) -> list[int]:
        """Positions of the hashes that are known already; the others get `payload`.

        hashes  0 stands for none: it is skipped and never known
        alive   256 bytes, 1 or 0 by payload: a hash with a dead payload counts as unknown, and
                is dropped when its segment is rebuilt
        """
        all_keys, all_payloads = self._keys, self._payloads
        all_homes, all_room = self._homes, self._room
        known = []
        # `_place` and `_insert_at` written out: two calls an id spared, of 60 ns each.
        for position, key in enumerate(hashes):
            place = key & PLACE_MASK
            segment = place >> HOME_BITS
            homes = all_homes[segment]
            keys = all_keys[segment]
            at = (place & HOME_MASK) * homes >> HOME_BITS
            held = keys[at]
            while held and held != key:
                at += 1
                held = keys[at]
            if held:
                payloads = all_payloads[segment]
                if alive[payloads[at]]:
                    known.append(position)
                else:
                    payloads[at] = payload
            elif key:
                room = all_room[segment]
                if room and at < homes:
                    keys[at] = key
                    all_payloads[segment][at] = payload
                    all_room[segment] = room - 1
                else:
                    self._insert_at(segment, at, key, payload, alive)
        return known

    def drop_dead(self, segment: int, alive: bytes) -> None:
        """Rebuild one segment without the hashes whose payload is not alive, if it has any."""
        keys, payloads = self._pairs(segment)
        keep = _flags(alive)[payloads]
        if not keep.all():
            self._fill(segment, keys[keep], payloads[keep], 1.0)

    def pairs(self) -> tuple[Hashes, Payloads]:
        """All hashes and their payloads, in no order, as copies."""
        parts = [self._pairs(segment) for segment in range(SEGMENTS)]
        return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])

    def _place(self, key: int) -> tuple[int, int]:
        """The segment of `key`, and its slot there or the empty one where it belongs."""
        place = key & PLACE_MASK
        segment = place >> HOME_BITS
        keys = self._keys[segment]
        at = (place & HOME_MASK) * self._homes[segment] >> HOME_BITS
        while keys[at] and keys[at] != key:
            at += 1
        return segment, at

    def _insert_at(
        self, segment: int, at: int, key: int, payload: int, alive: bytes | None
    ) -> None:
        """Put a new key into the empty slot `at`, or where it belongs after rebuilding."""
        assert key
        while not self._room[segment] or at == len(self._keys[segment]) - 1:
            keys, payloads = self._pairs(segment)
            if alive is not None:
                keep = _flags(alive)[payloads]
                keys, payloads = keys[keep], payloads[keep]
            self._fill(segment, keys, payloads, 1.0)
            _, at = self._place(key)
        self._keys[segment][at] = key
        self._payloads[segment][at] = payload
        self._room[segment] -= 1

    def _pairs(self, segment: int) -> tuple[Hashes, Payloads]:
        keys = np.frombuffer(self._keys[segment], np.uint64)
        used = np.flatnonzero(keys)
        return keys[used], np.frombuffer(self._payloads[segment], self._typecode)[used]

    def _fill(self, segment: int, keys: Hashes, payloads: Payloads, fuller: float) -> None:
        """Replace a segment: LOAD_REBUILT times `fuller` of its homes will be in use."""
        homes = round(len(keys) / (LOAD_REBUILT * fuller))
        if homes < HOMES_SMALL:
            homes = max(homes * 3 // 2, HOMES_MIN)
        home = (keys & np.uint64(HOME_MASK)).astype(np.int64)
        order = np.argsort(home, kind="stable")  # nearly sorted already: quick
        home = home[order] * homes >> HOME_BITS
        steps = np.arange(len(keys))
        at = np.maximum.accumulate(home - steps) + steps
        slots = max(homes, int(at[-1]) + 1 if len(at) else 0) + SLACK
        new_keys = array("Q", bytes(8 * slots))
        new_payloads = array(self._typecode, [0]) * slots
        np.frombuffer(new_keys, np.uint64)[at] = keys[order]
        np.frombuffer(new_payloads, self._typecode)[at] = payloads[order]
        self._keys[segment] = new_keys
        self._payloads[segment] = new_payloads
        self._homes[segment] = homes
        self._room[segment] = int(homes * LOAD_MAX) - len(keys)


def _flags(alive: bytes) -> NDArray[np.bool_]:
    return np.frombuffer(alive, np.bool_)


def _stagger(segment: int) -> float:
    """1 up to LOAD_MAX / LOAD_REBUILT, evenly spread over the segments in powers."""
    return float((LOAD_MAX / LOAD_REBUILT) ** (segment / SEGMENTS))
