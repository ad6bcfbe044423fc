"""Which users were active on which days: exact up to a bound, from there on a uniform sample.

Every user has a row; every day has a bit for each row. Distinct users of a stretch of days are
then the bits of an OR, retention and churn those of an AND: 50 bytes per user for 400 days, and
microseconds per question. When there are more users than `rows_max`, those whose hash lies
above a threshold are dropped (it halves each time), and counts are divided by the share that is
left; distinct counts then come from one UserSketch per day, which has seen everybody.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.cardinality import UserSketch
from engine.cells import Dumped, Owner, Slot, Slots
from engine.columns import FEW, Column, Table, column, cut_each, joined
from engine.hashindex import HashIndex
from engine.timebucket import MINUTE_MS, Calendar

Bits = NDArray[np.uint8]
Hashes = NDArray[np.uint64]

PENDING_MAX: Final = 2_048
"""Facts held back for one update by arrays; they wait no longer than the next question."""

RECENT_USERS_MAX: Final = 16_384
"""Users whose row is remembered beside the index: 2 MB a shard."""

SKETCHED_TOGETHER: Final = 1_024
"""Users new to a day who wait for its sketch: one of them costs it as much as all together."""

RECENT_BYTES: Final = 120
"""One of them: its hash, its row, and their place in the dictionary."""

BLOCK_ROWS: Final = 16_384
"""Rows that a snapshot writes together: 200 KB."""

RECENT_MINUTES: Final = 60
"""How far back `active_since` can look after a restart."""

NEVER: Final = np.iinfo(np.int32).max


@dataclass(frozen=True, slots=True)
class Distinct:
    """Distinct users: counted exactly, and beside it those of shards that only estimate."""

    counted: int
    sketch: UserSketch | None


class UserDays:
    """The users of one shard and their active days."""

    def __init__(self, calendar: Calendar, *, rows_max: int) -> None:
        self._calendar = calendar
        self._rows_max = rows_max
        self._threshold = 2**64  # hashes below it are in the sample
        self._index = HashIndex(payload="uint32")
        self._recent_rows: dict[int, int] = {}
        self._rows = 0
        self._hashes = np.zeros(0, np.uint64)
        self._first_day = np.zeros(0, np.int32)
        self._last_minute = np.zeros(0, np.int32)
        self._bits: dict[int, Bits] = {}
        self._sketches: dict[int, UserSketch] = {}
        self._unsketched: dict[int, list[int]] = {}
        self._oldest_day = 0
        self._pending: list[Table] = []
        self._pending_facts = 0
        self._changed: set[Slot] = set()
        self.is_renumbered = False
        """The next dump must be a full one: rows have other numbers than the last one said."""

    # -- fold ---------------------------------------------------------------------------------

    def add(self, active: Table) -> None:
        """Users who were active; rows: their hashes as the bits of an int64, the instants."""
        self._pending.append(active)
        self._pending_facts += active.shape[1]
        if self._pending_facts >= PENDING_MAX:
            self.settle()

    def settle(self) -> None:
        """Bring what waits into the rows; before every answer and every dump."""
        if not self._pending:
            return
        active = joined(self._pending)
        self._pending, self._pending_facts = [], 0
        users, at_ms = active[0].view(np.uint64), active[1]
        if len(at_ms) <= FEW and self._threshold == 2**64:
            self._settle_few(users.tolist(), at_ms.tolist())
        else:
            self._settle_many(users, at_ms)
        while self._rows > self._rows_max:
            self._halve()

    def _settle_few(self, users: Sequence[int], at_ms: Sequence[int]) -> None:
        days = [self._calendar.cut(at)[1] for at in at_ms]
        told = [
            one for one in zip(users, at_ms, days, strict=True) if one[2] >= self._oldest_day
        ]
        rows = self._rows_of([user for user, _, _ in told])
        for row, (user, at, day) in zip(rows, told, strict=True):
            if day < self._first_day.item(row):
                self._first_day[row] = day
                self._changed.add(("users", row // BLOCK_ROWS))
            if at // MINUTE_MS > self._last_minute.item(row):
                self._last_minute[row] = at // MINUTE_MS
            bits, bit = self._day_bits(day), 1 << (row & 7)
            if not bits.item(row >> 3) & bit:
                bits[row >> 3] |= bit
                self._changed.add(("active", day))
                self._sketch_later(day, [user])

    def _settle_many(self, users: Hashes, at_ms: Column) -> None:
        days = self._days_of(at_ms)
        kept = days >= self._oldest_day
        if self._threshold < 2**64:
            sampled = users < np.uint64(self._threshold)
            self._sketch(users[~sampled], days[~sampled])
            kept &= sampled
        if not kept.all():
            users, at_ms, days = users[kept], at_ms[kept], days[kept]
        if not len(users):
            return
        rows = column(self._rows_of(users.tolist()))
        self._mark(rows, days)
        np.minimum.at(self._first_day, rows, days)
        np.maximum.at(self._last_minute, rows, (at_ms // MINUTE_MS).astype(np.int32))

    def _days_of(self, at_ms: Column) -> NDArray[np.int32]:
        cuts, which = cut_each(self._calendar, at_ms)
        return np.array([day for _, day in cuts], np.int32).take(which)

    def _rows_of(self, hashes: list[int]) -> list[int]:
        # Most events come from users who were here just now, and a dict answers quicker than
        # the index, which holds everybody in a tenth of the memory.
        recent = self._recent_rows
        if len(recent) + len(hashes) > RECENT_USERS_MAX:
            recent.clear()
        rows = list(map(recent.get, hashes))
        unknown = [user for user, row in zip(hashes, rows, strict=True) if row is None]
        if unknown:
            unknown = list(dict.fromkeys(unknown))
            found = self._index.rows_of(unknown, new_from=self._rows)
            recent.update(zip(unknown, found, strict=True))
            self._add_rows(
                [u for u, row in zip(unknown, found, strict=True) if row >= self._rows]
            )
            return [recent[user] for user in hashes]
        return rows  # type: ignore[return-value]  # each has a row

    def _add_rows(self, new: Sequence[int]) -> None:
        first = self._rows
        self._rows += len(new)
        self._grow()
        self._hashes[first : self._rows] = new
        for block in range(first // BLOCK_ROWS, (self._rows - 1) // BLOCK_ROWS + 1):
            self._changed.add(("users", block))

    def _grow(self) -> None:
        if self._rows <= len(self._hashes):
            return
        size = max(1024, self._rows + self._rows // 4)
        self._hashes = _resized(self._hashes, size, 0)
        self._first_day = _resized(self._first_day, size, NEVER)
        self._last_minute = _resized(self._last_minute, size, 0)

    def _mark(self, rows: Column, days: NDArray[np.int32]) -> None:
        earlier = rows[days < self._first_day[rows]]
        if len(earlier):
            for block in np.unique(earlier // BLOCK_ROWS).tolist():
                self._changed.add(("users", block))
        for day in np.unique(days).tolist():
            mine = rows[days == day]
            bits = self._day_bits(day)
            known = bits[mine >> 3] >> (mine & 7).astype(np.uint8) & 1
            new = np.unique(mine[known == 0])
            if len(new):
                _set_bits(bits, new)
                self._changed.add(("active", day))
                self._sketch_later(day, self._hashes[new].tolist())

    def _day_bits(self, day: int) -> Bits:
        bits = self._bits.get(day)
        size = (self._rows + 7) // 8
        if bits is None:
            bits = self._bits[day] = np.zeros(size, np.uint8)
        elif len(bits) < size:
            bits = self._bits[day] = _resized(bits, max(size, len(self._hashes) // 8), 0)
        return bits

    def _sketch_of(self, day: int) -> UserSketch:
        sketch = self._sketches.get(day)
        if sketch is None:
            sketch = self._sketches[day] = UserSketch()
        self._changed.add(("distinct", day))
        return sketch

    def _sketch_later(self, day: int, users: Sequence[int]) -> None:
        waiting = self._unsketched.setdefault(day, [])
        waiting += users
        if len(waiting) >= SKETCHED_TOGETHER:
            self._settle_sketches()

    def _settle_sketches(self) -> None:
        """Let the sketches see who waits for them; before anybody looks at one."""
        waiting, self._unsketched = self._unsketched, {}
        for day, users in waiting.items():
            if day >= self._oldest_day:
                self._sketch_of(day).add_many(sorted(users))

    def _sketch(self, users: Hashes, days: NDArray[np.int32]) -> None:
        """Count users that have no row; there is none to tell whether they were here before."""
        for day in sorted(set(days.tolist())):
            if day >= self._oldest_day:
                self._sketch_of(day).add_many(users[days == day].tolist())

    def forget(self, user: int) -> Generator[None, None, None]:
        """Forget one user, in steps: the row stays, empty, until rows are numbered again.

        What a HyperLogLog has seen it goes on counting; it holds nobody.
        """
        self.settle()
        self._settle_sketches()
        self.is_renumbered = True  # no dump before may be read again
        self._recent_rows.pop(user, None)
        row = self._index.remove(user)
        if row is not None:
            self._hashes[row], self._first_day[row], self._last_minute[row] = 0, NEVER, 0
            for bits in self._bits.values():
                if row >> 3 < len(bits):
                    bits[row >> 3] &= ~(1 << (row & 7)) & 0xFF
        yield
        for sketch in self._sketches.values():
            sketch.remove(user)
            yield

    def _halve(self) -> None:
        """Let go of half the users, by hash, so that who stays is a matter of chance."""
        self._threshold //= 2
        self._keep_sampled()

    def _keep_sampled(self) -> None:
        hashes = self._hashes[: self._rows]
        rows = np.flatnonzero((hashes < np.uint64(self._threshold)) & (hashes != 0))
        self._bits = {day: _packed(self._unpacked(day)[rows]) for day in self._bits}
        self._hashes = self._hashes[rows]
        self._first_day = self._first_day[rows]
        self._last_minute = self._last_minute[rows]
        self._rows = len(rows)
        self._recent_rows.clear()
        self._index = HashIndex(payload="uint32")
        self._index.rows_of(self._hashes.tolist(), new_from=0)
        self.is_renumbered = True

    def _unpacked(self, day: int) -> NDArray[np.bool_]:
        bits = np.zeros((self._rows + 7) // 8, np.uint8)
        known = self._bits.get(day)
        if known is not None:
            used = min(len(bits), len(known))
            bits[:used] = known[:used]
        return np.unpackbits(bits, bitorder="little")[: self._rows].astype(np.bool_)

    def expire(self, oldest_day: int) -> None:
        """Forget days before `oldest_day`; rows stay, for their first days may be asked for."""
        self.settle()
        self._oldest_day = oldest_day
        for by_day in (self._bits, self._sketches):
            for day in [day for day in by_day if day < oldest_day]:
                del by_day[day]

    # -- answer -------------------------------------------------------------------------------

    @property
    def sample_rate(self) -> float:
        """The share of users that has rows; 1.0 means that everything is exact."""
        return self._threshold / 2**64

    def memory_bytes(self) -> int:
        """About what rows, days and their sketches occupy."""
        by_row = self._hashes.nbytes + self._first_day.nbytes + self._last_minute.nbytes
        by_day = sum(bits.nbytes for bits in self._bits.values())
        by_day += 8 * sum(map(len, self._unsketched.values()))
        by_day += sum(sketch.memory_bytes() for sketch in self._sketches.values())
        recent = RECENT_BYTES * len(self._recent_rows)
        return by_row + by_day + recent + self._index.memory_bytes()

    def distinct(self, days: Iterable[int]) -> Distinct:
        """Users active on any of these days."""
        self.settle()
        if self._threshold < 2**64:
            self._settle_sketches()
            sketches = [self._sketches[day] for day in days if day in self._sketches]
            return Distinct(0, UserSketch.merged(sketches))
        return Distinct(int(np.bitwise_count(self._any(days)).sum()), None)

    def _any(self, days: Iterable[int]) -> Bits:
        union = np.zeros((self._rows + 7) // 8, np.uint8)
        for day in days:
            bits = self._bits.get(day)
            if bits is not None:
                used = min(len(bits), len(union))
                union[:used] |= bits[:used]
        return union

    def left(self, before: Iterable[int], now: Iterable[int]) -> tuple[int, int]:
        """(users active on the days before, those of them not active on the days of now)."""
        self.settle()
        were = self._any(before)
        gone = were & ~self._any(now)
        return int(np.bitwise_count(were).sum()), int(np.bitwise_count(gone).sum())

    def newcomers(self, days: Sequence[int]) -> dict[int, NDArray[np.int64]]:
        """{day: rows of the users whose first-ever active day it was}."""
        self.settle()
        if not days:
            return {}
        first = self._first_day[: self._rows]
        rows = np.flatnonzero((first >= min(days)) & (first <= max(days)))
        rows = rows[np.argsort(first[rows], kind="stable")]
        edges = np.searchsorted(first[rows], np.array([*days, days[-1] + 1]))
        return {day: rows[edges[i] : edges[i + 1]] for i, day in enumerate(days)}

    def active_of(self, rows: NDArray[np.int64], day: int) -> int:
        """How many of the users with these rows were active on that day."""
        bits = self._bits.get(day)
        if bits is None or not len(rows):
            return 0
        inside = rows[rows >> 3 < len(bits)]
        return int(np.count_nonzero(bits[inside >> 3] >> (inside & 7).astype(np.uint8) & 1))

    def active_since(self, minute: int) -> int:
        """Users with an event in or after that minute (of the epoch), the last hour's alone."""
        self.settle()
        recent = int(np.count_nonzero(self._last_minute[: self._rows] >= minute))
        return round(recent / self.sample_rate)

    def active_in(self, minute: int) -> list[tuple[int, int]]:
        """Those whom `active_since` counts: (hash, the last minute of each)."""
        self.settle()
        rows = np.flatnonzero(self._last_minute[: self._rows] >= minute)
        users, minutes = self._hashes.take(rows), self._last_minute.take(rows)
        return list(zip(users.tolist(), minutes.tolist(), strict=True))

    # -- keep ---------------------------------------------------------------------------------

    def dump(self, *, full: bool) -> Dumped:
        """The slots that changed since the last dump, or all."""
        self.settle()
        self._settle_sketches()
        self.is_renumbered = False
        slots = self._changed
        if full:
            slots = {("users", n) for n in range((self._rows - 1) // BLOCK_ROWS + 1)}
            slots |= {("active", day) for day in self._bits}
            slots |= {("distinct", day) for day in self._sketches}
        self._changed = set()
        for slot in sorted(slots):
            content = self._content(slot)
            if content is not None:
                yield slot, content
        yield ("recent", 0), (str(self._threshold), *self._recent())

    def _content(self, slot: Slot) -> Any:  # noqa: ANN401  # whatever msgpack can hold
        kind, number = slot
        if kind == "users":
            rows = slice(number * BLOCK_ROWS, min(self._rows, (number + 1) * BLOCK_ROWS))
            return _bytes(self._hashes[rows], "<u8"), _bytes(self._first_day[rows], "<i4")
        if kind == "active":
            bits = self._bits.get(number)
            return None if bits is None else bits[: (self._rows + 7) // 8].tobytes()
        sketch = self._sketches.get(number)
        return None if sketch is None else sketch.dump()

    def _recent(self) -> tuple[bytes, bytes]:
        minutes = self._last_minute[: self._rows]
        if not len(minutes):
            return b"", b""
        rows = np.flatnonzero(minutes > int(minutes.max()) - RECENT_MINUTES)
        return _bytes(self._hashes[rows], "<u8"), _bytes(minutes[rows], "<i4")

    def load(self, slots: Slots, owner: Owner) -> None:
        """Take back what one former shard dumped: those of its users that `owner` says."""
        threshold = int(slots[("recent", 0)][0])
        if threshold < self._threshold:  # of the shards before, this one's sample is smaller
            self._threshold = threshold
            self._keep_sampled()
        hashes, first_days = _users(slots)
        there = hashes != 0  # an empty row was somebody who is forgotten
        owned = np.array([owner.hash(h) for h in hashes.tolist()], np.bool_) & there
        # A shard that does not sample knows whose sketches hold whom, so each heir gets a part;
        # else one heir gets the whole, and all heirs sample as it did.
        is_split = threshold == 2**64 and not (owner.unkeyed and (owned | ~there).all())
        mine = owned & (hashes < np.uint64(min(self._threshold, 2**64 - 1)))
        rows = column(self._rows_of(hashes[mine].tolist()))
        if len(rows):
            self._first_day[rows] = first_days[mine]
        for (kind, day), content in slots.items():
            if kind == "active":
                active = _active(np.frombuffer(content, np.uint8), len(hashes))
                self._load_bits(day, rows[active[mine]])
                if is_split:
                    self._sketch_of(day).add_many(hashes[active & owned].tolist())
            elif kind == "distinct" and owner.unkeyed and not is_split:
                parts = [UserSketch.load(content), *filter(None, [self._sketches.get(day)])]
                self._sketches[day] = UserSketch.merged(parts)
        self._load_recent(slots[("recent", 0)], owner)
        self._changed = set()
        self.is_renumbered = self.is_renumbered or not there.all()

    def _load_bits(self, day: int, active_rows: NDArray[np.int64]) -> None:
        if len(active_rows):
            _set_bits(self._day_bits(day), np.sort(active_rows))

    def _load_recent(self, content: tuple[str, bytes, bytes], owner: Owner) -> None:
        hashes = np.frombuffer(content[1], "<u8").tolist()
        minutes = np.frombuffer(content[2], "<i4").tolist()
        for hash64, minute in zip(hashes, minutes, strict=True):
            row = self._index.get(hash64) if owner.hash(hash64) else None
            if row is not None:
                self._last_minute[row] = minute


def _users(slots: Slots) -> tuple[NDArray[np.uint64], NDArray[np.int32]]:
    blocks = [slots[slot] for slot in sorted(slots) if slot[0] == "users"]
    hashes = np.frombuffer(b"".join(block[0] for block in blocks), "<u8").astype(np.uint64)
    first_days = np.frombuffer(b"".join(block[1] for block in blocks), "<i4").astype(np.int32)
    return hashes, first_days


def _active(bits: Bits, rows: int) -> NDArray[np.bool_]:
    """The bits of so many rows, as they were dumped; absent ones are not set."""
    active = np.zeros(rows, np.bool_)
    unpacked = np.unpackbits(bits, bitorder="little")[:rows]
    active[: len(unpacked)] = unpacked
    return active


def _set_bits(bits: Bits, rows: Column) -> None:
    """Set the bits of these rows, at least one of them, ascending, none of them twice."""
    index = rows >> 3
    starts = np.concatenate(([0], (index[1:] != index[:-1]).nonzero()[0] + 1))
    each = np.left_shift(1, rows & 7).astype(np.uint8)
    bits[index[starts]] |= np.bitwise_or.reduceat(each, starts)


def _resized(array: NDArray[Any], size: int, fill: int) -> NDArray[Any]:
    grown = np.full(size, fill, array.dtype)
    grown[: len(array)] = array
    return grown


def _packed(active: NDArray[np.bool_]) -> Bits:
    return np.packbits(active, bitorder="little")


def _bytes(array: NDArray[Any], dtype: str) -> bytes:
    return array.astype(dtype).tobytes()
