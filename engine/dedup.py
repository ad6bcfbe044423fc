"""Event ids seen in the window: whether an id is new, for exactly-once counting.

Ids go as 64-bit hashes into a `HashIndex`, marked with the generation in which they came. A
generation ends when it holds a sixteenth of `ids_max` or is a sixteenth of `keep_ms` old, and
is forgotten whole when the younger ones hold `ids_max` ids, or its last id is `keep_ms` old. So
an id is remembered while it is among the last `ids_max` ids and younger than `keep_ms`, and at
the most for a sixteenth more of either and one call. A new id is taken
for a known one when their 64 bits agree: once in 1.8e12 ids while the window holds 10 million.

A deterministic function of the calls (hashes, received_ms): replay answers as live did. When a
generation is forgotten, its ids stay in the table, dead, until their segment is rebuilt; while
there may be dead ids, each call looks through one segment, so that a trickle of events removes
them too.

Measured 2026-11-22, one shared, noisy 2-core machine, ns of processor time an id:

| ids a call | new at 10 million, forgetting others |
| 250        | 440 to 910                           |
| 2,500      | 400                                  |
| 4,096      | 380 to 430                           |

The higher figure is that of calls that also look for dead ids: each takes up to 4 ms more. For
other sizes see `engine.hashindex`. At 10 million ids: 12.3 to 18 bytes each while it fills,
13.4 to 14.3 under steady churn (dead ones included), 8 more for those that wait for a dump;
loading 1.9 s, a full dump 1.3 s.
"""

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from struct import Struct
from typing import Final
from zlib import crc32

import numpy as np

from engine.hashindex import SEGMENTS, HashIndex
from engine.slots import Hashes

GENERATIONS: Final = 16
"""Of each kind, by count and by time: at most 2 × 17 + 1 are alive at once, far below 256."""

SWEPT_A_GENERATION: Final = 48
SWEPT_A_CALL: Final = 2
"""Segments looked through for dead ids. A generation has at least one call, so all 256 are seen
within 128 generations, before a dead one's mark (its serial modulo 256) comes again."""

HELD_MAX: Final = 1.27
"""Times `ids_max` are held at the most, by churn alone. Up to two sixteenths wait to be
forgotten, one where all generations are full. More died in the five generations between two
looks: of the last one all, of the one before 208 of 256 segments, and so on, less what is
looked through while the present generation fills. Under steady churn it is 1.2."""

SORTED_MAX: Final = 32_768
"""Hashes that a dump hands out at a time; to put them in order takes 2 ms."""

HASH_BYTES: Final = 8
PIECES_A_STEP: Final = 8

Run = tuple[int, int]
"""(received_ms, how many ids in a row)"""

MARKS: Final = 256
VERSION: Final = 1
HEADER: Final = Struct("<B?xxQQqqI")
"""Version, whether all ids of the generation follow or only new ones, the oldest serial that is
alive, and of the generation: serial, first and last received_ms, number of hashes. Then these,
8 bytes each, and the CRC-32 of everything."""


@dataclass(slots=True)
class Generation:
    """Ids that came together, and are forgotten together; `unsaved` are in no dump yet."""

    serial: int
    first_ms: int
    last_ms: int
    ids: int = 0
    unsaved: "array[int]" = field(default_factory=lambda: array("Q"))


class IdWindow:
    """The ids of the last `keep_ms`, up to the last `ids_max`; what holds, the module says."""

    __slots__ = (
        "_alive",
        "_broom",
        "_generations",
        "_ids",
        "_ids_a_generation",
        "_ids_max",
        "_index",
        "_keep_ms",
        "_unswept",
    )

    def __init__(self, *, ids_max: int, keep_ms: int) -> None:
        assert ids_max >= 1
        assert keep_ms >= GENERATIONS
        self._ids_max = ids_max
        self._keep_ms = keep_ms
        self._ids_a_generation = -(-ids_max // GENERATIONS)
        self._ids = 0  # in the generations that are alive
        self._broom = 0  # the segment that is looked through next
        self._unswept = 0  # segments that are due
        self._index = HashIndex("uint8", foreseen=self._ids_foreseen())
        self._generations: deque[Generation] = deque([Generation(1, 0, 0)])
        self._alive = self._flags()

    def __len__(self) -> int:
        """Ids that are remembered."""
        return self._ids

    def memory_bytes(self) -> int:
        """What the table and the ids that wait for a dump occupy."""
        unsaved = sum(len(generation.unsaved) for generation in self._generations)
        return self._index.memory_bytes() + 8 * unsaved

    def duplicates(
        self, hashes: Sequence[int] | Hashes, received: int | Sequence[Run]
    ) -> list[int]:
        """Remember these ids; the positions, ascending, of those that are remembered already.

        hashes    by `engine.hashing.hash64`; 0 where an event has no id: never known.
                  Of two equal ones in one call the second is known.
        received  epoch ms of all, or of so many of them in turn; a step back counts as the same
                  time as before

        Many at once are the same as each by itself, and cost less.
        """
        keys = np.asarray(hashes, np.uint64)
        if not np.count_nonzero(keys):
            return []
        runs = [(received, len(keys))] if isinstance(received, int) else received
        if self._are_of_one_generation(runs):
            return self._claimed(keys, runs)
        known: list[int] = []
        start = 0
        for received_ms, count in runs:
            end = start + count
            while start < end:
                room = self._ids_a_generation - self._turn(received_ms).ids
                part = keys[start : min(end, start + room)]
                known += [start + at for at in self._claimed(part, [(received_ms, len(part))])]
                start += len(part)
        return known

    def _are_of_one_generation(self, runs: Sequence[Run]) -> bool:
        """Whether none of these ids would begin another generation than the present one."""
        current = self._generations[-1]
        latest_ms = max(received_ms for received_ms, _ in runs)
        count = sum(count for _, count in runs)
        return 0 < current.ids <= self._ids_a_generation - count and not self._is_old(
            current, max(latest_ms, current.last_ms)
        )

    def _claimed(self, keys: Hashes, runs: Sequence[Run]) -> list[int]:
        """As `duplicates`, of ids of the present generation alone."""
        self._sweep()
        generation = self._generations[-1]
        known = self._index.claim(keys, generation.serial % MARKS, self._alive)
        new = int(np.count_nonzero(keys)) - len(known)
        if not new:
            return known
        self._ids += new
        generation.ids += new
        is_new = keys != 0
        is_new[known] = False
        start = 0
        for received_ms, count in runs:
            if received_ms > generation.last_ms and is_new[start : start + count].any():
                generation.last_ms = received_ms
            start += count
        if new < len(keys):
            keys = keys[is_new]
        generation.unsaved.frombytes(keys.tobytes())
        return known

    def dump(self, *, full: bool) -> list[bytes]:
        """Parts for `load`, one a generation: all ids, or those since the last dump.

        Where a part could not be written the next dump must be full. What came before a full
        dump may go, as may parts whose ids are all forgotten.
        """
        return [b"".join(part) for part in self.dumping(full=full) if part]

    def dumping(self, *, full: bool) -> Iterator[list[bytes]]:
        """As `dump`, in steps: the pieces of a part, or none of them yet.

        A full one takes 1.4 s at 10 million ids; of these the ones of one generation are in
        memory a second time.
        """
        for generation in self._generations:
            unsaved, generation.unsaved = generation.unsaved, array("Q")
            if full:
                held = _ascending(self._index.with_payload(generation.serial % MARKS))
            elif unsaved or generation is self._generations[-1]:
                starts = range(0, len(unsaved), SORTED_MAX)
                held = (unsaved[at : at + SORTED_MAX].tobytes() for at in starts)
            else:
                continue
            yield from self._part(generation, held, full=full)

    def load(self, parts: Iterable[bytes]) -> None:
        """Take back dumps, oldest first, in place of what is held; ValueError if it is none."""
        generations: dict[int, Generation] = {}
        oldest = 0
        for part in parts:
            is_whole, oldest_then, generation = _read(part)
            oldest = max(oldest, oldest_then)
            before = generations.get(generation.serial)
            if before is not None and not is_whole:
                generation.unsaved = before.unsaved + generation.unsaved
            generations[generation.serial] = generation
        alive = [generations[serial] for serial in sorted(generations) if serial >= oldest]
        if alive:
            self._take(alive)

    def _part(
        self, generation: Generation, held: Iterator[bytes], *, full: bool
    ) -> Iterator[list[bytes]]:
        """The part in the last step; `held` are its hashes, some at a time."""
        span = (generation.serial, generation.first_ms, generation.last_ms)
        oldest = self._generations[0].serial
        pieces = []
        for piece in held:
            pieces.append(piece)
            yield []
        count = sum(map(len, pieces)) // HASH_BYTES
        pieces.insert(0, HEADER.pack(VERSION, full, oldest, *span, count))
        crc = 0
        for start, piece in enumerate(pieces):
            crc = crc32(piece, crc)
            if start % PIECES_A_STEP == PIECES_A_STEP - 1:
                yield []
        yield [*pieces, crc.to_bytes(4, "little")]

    def _take(self, generations: list[Generation]) -> None:
        """Hold these generations in place of the present ones; their ids are saved."""
        for generation in generations:
            generation.ids = len(generation.unsaved)
        self._generations = deque(generations)
        self._ids = sum(generation.ids for generation in generations)
        self._alive = self._flags()
        # One after the other: to bring all into one order takes them in memory six times.
        foreseen = self._ids_foreseen()
        self._index = HashIndex.for_("uint8", self._ids, foreseen=foreseen)
        for generation in generations:
            hashes, generation.unsaved = generation.unsaved, array("Q")
            self._index.claim(
                np.frombuffer(hashes, np.uint64), generation.serial % MARKS, self._alive
            )

    def _turn(self, received_ms: int) -> Generation:
        """The generation for ids of now; forgets the old ones."""
        current = self._generations[-1]
        now_ms = max(received_ms, current.last_ms)
        if not current.ids:
            current.first_ms = current.last_ms = now_ms
        elif self._is_old(current, now_ms) or current.ids >= self._ids_a_generation:
            current = Generation(current.serial + 1, now_ms, now_ms)
            self._generations.append(current)
            self._forget(now_ms)
            self._unswept = min(self._unswept + SWEPT_A_GENERATION, SEGMENTS)
        return current

    def _is_old(self, generation: Generation, now_ms: int) -> bool:
        return (now_ms - generation.first_ms) * GENERATIONS >= self._keep_ms

    def _sweep(self) -> None:
        for _ in range(min(self._unswept, SWEPT_A_CALL)):
            self._index.drop_dead(self._broom, self._alive)
            self._broom = (self._broom + 1) % SEGMENTS
            self._unswept -= 1

    def _forget(self, now_ms: int) -> None:
        generations = self._generations
        while len(generations) > 1 and (
            self._ids - generations[0].ids >= self._ids_max
            or now_ms - generations[0].last_ms >= self._keep_ms
        ):
            self._ids -= generations.popleft().ids
        self._alive = self._flags()
        assert len(generations) < MARKS // 2

    def _ids_foreseen(self) -> int:
        return int(self._ids_max * HELD_MAX)

    def _flags(self) -> bytes:
        """By mark, whether its generation is alive."""
        flags = bytearray(MARKS)
        for generation in self._generations:
            flags[generation.serial % MARKS] = 1
        return bytes(flags)


def _ascending(found: Iterable[Hashes]) -> Iterator[bytes]:
    """All of the hashes in their order, some SORTED_MAX at a time, some pieces empty."""
    parts = []
    for part in found:
        parts.append(part)
        yield b""
    count = sum(map(len, parts))
    slices = count // SORTED_MAX + 1
    # They are spread evenly, unless they were chosen: then one slice is longer.
    edges = [round(2**64 * n / slices) for n in range(1, slices)]
    cuts = []
    for part in parts:
        ordered = np.sort(part)
        at = ordered.searchsorted(np.array(edges, np.uint64)).tolist()
        cuts.append([ordered[a:b] for a, b in pairwise([0, *at, len(ordered)])])
        yield b""
    for pieces in zip(*cuts, strict=True):
        yield np.sort(np.concatenate(pieces)).tobytes()


def _read(part: bytes) -> tuple[bool, int, Generation]:
    """Whether these are all ids of the generation, the oldest one alive, and the generation."""
    body, crc = part[:-4], part[-4:]
    if len(body) < HEADER.size or crc32(body).to_bytes(4, "little") != crc:
        raise ValueError(f"{len(part)} bytes are no whole part of a window: checksum differs")
    version, is_whole, oldest, serial, first_ms, last_ms, _ = HEADER.unpack_from(body)
    if version != VERSION:
        raise ValueError(f"part of a window of version {version}; this reads {VERSION}")
    hashes = array("Q", body[HEADER.size :])
    return is_whole, oldest, Generation(serial, first_ms, last_ms, 0, hashes)
