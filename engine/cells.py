"""Cells by time: hours for some days and days for long, and what a shard writes of them.

A *slot* is the smallest piece of state that a snapshot replaces: `(kind, number)`, for instance
all cells of one day. A family hands out the slots that changed since it was last asked, so a
snapshot costs what changed and not what is kept. Read back, the last value of a slot wins.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Generic, NamedTuple, Protocol, TypeVar

from engine.footprint import tables_bytes
from engine.timebucket import Span

K = TypeVar("K")
C = TypeVar("C")

OTHER: Final = "__other__"
"""Where keys beyond a cap are counted together."""

PLACES_MAX: Final = 1_024
"""Hours whose dictionaries are found without looking; live there are one or two."""

Slot = tuple[str, int]
Slots = Mapping[Slot, Any]
"""What one former shard dumped, slot by slot, the last value of each."""

Dumped = Iterator[tuple[Slot, Any]]


class Owner(Protocol):
    """Which keys of what is being loaded belong to the shard that loads it."""

    def key(self, key: str, /) -> bool: ...

    def hash(self, hash64: int, /) -> bool: ...

    @property
    def unkeyed(self) -> bool:
        """Whether it takes what has no key: the sums over all keys of a former shard."""
        ...

    def same(self, key: K, /) -> K:
        """The one object for all keys that are equal to it, as `engine.sharing` has it."""
        ...


class Horizon(NamedTuple):
    """The oldest cells that are still kept; both numbers are included."""

    hour: int
    day: int


class Cells(Generic[K, C]):
    """Cells of one kind by hour and by day; a dictionary of cells for each of either.

    hours, days  {number: {key: cell}}, numbers as `timebucket.Calendar.cut` gives them
    """

    __slots__ = ("_changed", "_name", "_places", "days", "horizon", "hours")

    def __init__(self, name: str) -> None:
        self._name = name
        self.hours: dict[int, dict[K, C]] = {}
        self.days: dict[int, dict[K, C]] = {}
        self.horizon = Horizon(0, 0)
        self._changed: set[Slot] = set()
        self._places: dict[tuple[int, int], tuple[dict[K, C], ...]] = {}

    @property
    def count(self) -> int:
        """How many cells there are."""
        by_number = (*self.hours.values(), *self.days.values())
        return sum(map(len, by_number))

    def memory_bytes(self, of: Callable[[C], int]) -> Iterator[int]:
        """About what the cells, their keys and their dictionaries occupy, to be added up.

        of  what one cell occupies; it is asked of a sample
        """
        for by_number in (self.hours, self.days):
            yield from tables_bytes([by_number[number] for number in sorted(by_number)], of)

    def places(self, cut: tuple[int, int]) -> tuple[dict[K, C], ...]:
        """The dictionaries, none to two, in which an event of this hour and day counts.

        They count as changed until the next dump; do not keep them beyond it.
        """
        places = self._places.get(cut)
        if places is None:
            if len(self._places) >= PLACES_MAX:
                self._places.clear()
            places = tuple(place for place in self.at(*cut) if place is not None)
            self._places[cut] = places
        return places

    def at(self, hour: int, day: int) -> tuple[dict[K, C] | None, dict[K, C] | None]:
        """The hour's and the day's dictionary in which an event counts, marked as changed.

        None for what is older than the horizon: there it is counted no more.
        """
        in_hour = in_day = None
        if hour >= self.horizon.hour:
            self._changed.add((self._name + "/hour", hour))
            in_hour = _made(self.hours, hour)
        if day >= self.horizon.day:
            self._changed.add((self._name + "/day", day))
            in_day = _made(self.days, day)
        return in_hour, in_day

    def within(self, span: Span) -> Iterator[dict[K, C]]:
        """The dictionaries of the cells that cover `span`."""
        for number in span.days:
            if cells := self.days.get(number):
                yield cells
        for number in span.hours:
            if cells := self.hours.get(number):
                yield cells

    def expire(self, horizon: Horizon) -> None:
        """Forget what is older than `horizon`."""
        self.horizon = horizon
        self._places.clear()
        for cells, oldest in ((self.hours, horizon.hour), (self.days, horizon.day)):
            for number in [n for n in cells if n < oldest]:
                del cells[number]

    def dump(self, *, full: bool, dumped: Callable[[C], Any]) -> Dumped:
        """The slots that changed, or all, each with [[key, dumped cell], …]."""
        every = {(self._name + "/hour", n) for n in self.hours}
        every |= {(self._name + "/day", n) for n in self.days}
        slots = every if full else self._changed & every
        self._changed.clear()
        self._places.clear()
        for slot in sorted(slots):
            cells = (self.hours if slot[0].endswith("/hour") else self.days)[slot[1]]
            yield slot, [(key, dumped(cell)) for key, cell in cells.items()]

    def load(
        self,
        slot: Slot,
        content: Iterable[tuple[K, Any]],
        *,
        loaded: Callable[[Any], C],
        merge: Callable[[C, C], None],
        owns: Callable[[K], bool],
        same: Callable[[K], K],
    ) -> None:
        """Take one slot back; the cells of those keys that `owns` says.

        merge(a, b) adds b to a: two former shards may both hold a cell of one key.
        same(key)   the object that stands for all keys equal to it
        """
        unit = slot[0].rpartition("/")[2]
        cells = _made(self.hours if unit == "hour" else self.days, slot[1])
        for key, dumped in content:
            if not owns(key):
                continue
            cell = loaded(dumped)
            if (present := cells.get(key)) is None:
                cells[same(key)] = cell
            else:
                merge(present, cell)


def _made(by_number: dict[int, dict[K, C]], number: int) -> dict[K, C]:
    cells = by_number.get(number)
    if cells is None:
        cells = by_number[number] = {}
    return cells


def add_counts(into: list[int], other: Iterable[int]) -> None:
    """Add a row of counts to another, number by number."""
    for index, count in enumerate(other):
        into[index] += count
