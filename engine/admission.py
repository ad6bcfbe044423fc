"""Names that may have figures of their own: the first ones up to a cap, later ones together.

A pair of names that has been admitted is a number, found by one look-up; everything else, such
as a name that is refused, is counted and takes the long way.
"""

from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Any, Final

from engine.cells import OTHER
from engine.codec import pack
from engine.columns import Keys, Pair
from engine.config import Config
from engine.events import (
    Event,
    MarketplaceConversion,
    MarketplaceSearch,
    MarketplaceView,
    RevenueTransaction,
    ServiceExecution,
)
from engine.timebucket import Calendar

PAIRS_MAX: Final = 131_072
"""Pairs that have a number, some 400 bytes each; beyond it numbering starts again."""

NAME_BYTES: Final = 64
PAIR_BYTES: Final = 230
NUMBERED_BYTES: Final = 170
"""A name that is admitted, a pair with its number, and the pair as it was sent."""

COUNTED_BY_CATEGORY: Final = (
    ServiceExecution,
    MarketplaceView,
    MarketplaceConversion,
    MarketplaceSearch,
)

UNNUMBERED: Final = -1

RawPair = tuple[str, str | None]


@dataclass(slots=True)
class Cap:
    """The first `limit` names of a kind; every later one counts as OTHER."""

    limit: int
    names: set[str] = field(default_factory=set)
    added: list[str] = field(default_factory=list)
    refused: int = 0

    def has_room(self, count: int) -> bool:
        """Whether so many new names would all be admitted, or none of them."""
        return len(self.names) + count <= self.limit or len(self.names) >= self.limit

    def meet(self, name: str) -> None:
        """Admit `name` if there is room; a refusal is counted by `admit`, which follows."""
        if name not in self.names and len(self.names) < self.limit:
            self.names.add(name)
            self.added.append(name)

    def admit(self, name: str) -> str:
        """`name`, or OTHER where it is new and there is no room."""
        if name in self.names:
            return name
        if len(self.names) >= self.limit:
            self.refused += 1
            return OTHER
        self.names.add(name)
        self.added.append(name)
        return name


@dataclass(slots=True)
class Terms(Cap):
    """The search terms of one day; `numbers` has the pairs of which no name was refused."""

    numbers: dict[RawPair, int] = field(default_factory=dict)


class Admission:
    """All caps of a data folder, and the numbers of pairs."""

    def __init__(self, config: Config, calendar: Calendar) -> None:
        self._calendar = calendar
        self._shards = config.shards
        self._keep_days = config.keep_days
        self._terms_max = config.search_terms_per_day_max
        self._terms: dict[int, Terms] = {}  # by day
        self._numbers: dict[RawPair, int] = {}  # of services, where nothing is refused
        self._today: tuple[int, int, int] = (0, 0, 0)
        self.keys = Keys(config.shards)
        self.caps = {
            "services": Cap(config.services_max),
            "creators": Cap(config.creators_max),
            "experiments": Cap(config.experiments_max),
            "categories": Cap(config.categories_max),
        }

    def begin(self, day: int, start_ms: int, end_ms: int) -> None:
        """Begin the day [start_ms, end_ms), on which most searches now fall; drops old ones."""
        self._today = (day, start_ms, end_ms)
        for old in [known for known in self._terms if known < day - self._keep_days]:
            del self._terms[old]

    def make_room(self) -> None:
        """Start numbering again if there are too many; groups keep the numbers they have."""
        if len(self.keys) >= PAIRS_MAX:
            self.keys = Keys(self._shards)
            self._numbers.clear()
            for terms in self._terms.values():
                terms.numbers.clear()

    def has_room(self, named: int, unnumbered: int) -> bool:
        """Whether so many new names would all be admitted, or none; else their order decides.

        named       events that carry a name, and no pair that may have a number
        unnumbered  events whose pair has none
        """
        return (
            self.caps["services"].has_room(named + unnumbered)
            and self.caps["experiments"].has_room(named)
            and self.caps["categories"].has_room(unnumbered)
        )

    def meet(self, events: Sequence[Event]) -> None:
        """Admit names of several types of event in the order of the events."""
        for event in events:
            for kind, field_name in (
                ("services", "service_id"),
                ("experiments", "experiment_id"),
                ("categories", "category"),
            ):
                name = getattr(event, field_name, None)
                if name and _may_name(event, kind):
                    self.caps[kind].meet(name)

    # -- pairs --------------------------------------------------------------------------------

    def numbered(self, events: Sequence[Any]) -> list[int | None]:
        """The number of each event's service and category, None where it has none yet.

        It changes nothing, and what it says stays true for as long as `keys` are the same.
        """
        get = self._numbers.get
        return [get((event.service_id, event.category)) for event in events]

    def numbered_searches(
        self, events: Sequence[MarketplaceSearch], times_ms: Sequence[int]
    ) -> list[int | None]:
        """The same of each event's search term, as admitted on its day, and category."""
        day, start_ms, end_ms = self._today
        if min(times_ms) >= start_ms and max(times_ms) < end_ms:
            get = self._numbers_on(day).get
            return [get((event.search_query, event.category)) for event in events]
        by_day = map(self._numbers_on, map(self._calendar.day_of, times_ms))
        return [
            numbers.get((event.search_query, event.category))
            for event, numbers in zip(events, by_day, strict=True)
        ]

    def _numbers_on(self, day: int) -> dict[RawPair, int]:
        terms = self._terms.get(day)
        return {} if terms is None else terms.numbers

    def number_of(self, event: Any, at_ms: int) -> int:  # noqa: ANN401  # of four types
        """The number of one event's pair, which gets one now if it has none yet."""
        if isinstance(event, MarketplaceSearch):
            return self._search(event, self._calendar.day_of(at_ms))
        return self._number(
            self.caps["services"], self._numbers, event.service_id, event.category
        )

    def _number(
        self, cap: Cap, numbers: dict[RawPair, int], name: str, category: str | None
    ) -> int:
        admitted = cap.admit(name)
        label = self.caps["categories"].admit(category) if category else ""
        pair: Pair = (admitted, label)
        number = self.keys.number(pair)
        if admitted is not OTHER and label is not OTHER:
            numbers[name, category] = number
        return number

    def _search(self, event: MarketplaceSearch, day: int) -> int:
        terms = self.terms_of(day)
        number = terms.numbers.get((event.search_query, event.category))
        if number is None:
            number = self._number(terms, terms.numbers, event.search_query, event.category)
        return number

    def terms_of(self, day: int) -> Terms:
        """The terms that were admitted on a day."""
        terms = self._terms.get(day)
        if terms is None:
            terms = self._terms[day] = Terms(self._terms_max)
        return terms

    def over_cap(self) -> dict[str, int]:
        """How many facts went to OTHER, by kind of name; search terms of the days kept."""
        refused = {kind: cap.refused for kind, cap in self.caps.items()}
        refused["searchTerms"] = sum(terms.refused for terms in self._terms.values())
        return {kind: count for kind, count in refused.items() if count}

    def may_be_in_other(self, kind: str, name: str) -> bool:
        """Whether facts under this name may have gone to OTHER, which nobody can tell apart."""
        cap = self.caps[kind]
        return cap.refused > 0 and name not in cap.names and name != OTHER

    def memory_bytes(self) -> int:
        """About what the names that are admitted and the pairs that are numbered occupy."""
        caps = (*self.caps.values(), *self._terms.values())
        numbers = sum(len(terms.numbers) for terms in self._terms.values()) + len(self._numbers)
        return (
            sum(getsizeof(cap.names) + NAME_BYTES * len(cap.names) for cap in caps)
            + PAIR_BYTES * len(self.keys)
            + NUMBERED_BYTES * numbers
        )

    # -- keep ---------------------------------------------------------------------------------

    def dump(self, *, full: bool) -> Generator[bytes, None, None]:
        """The names that were admitted, or those since the last dump."""
        for kind, cap in self.caps.items():
            yield from _dumped("cap", kind, cap, full=full)
        for day, terms in self._terms.items():
            yield from _dumped("terms", str(day), terms, full=full)

    def load(self, kind: str, name: str, content: tuple[int, Iterable[str]]) -> None:
        """Take back what was dumped of one cap."""
        cap = self.caps[name] if kind == "cap" else self.terms_of(int(name))
        cap.refused = content[0]
        cap.names.update(content[1])


def _may_name(event: Event, kind: str) -> bool:
    """Whether this event's name of that kind is one that figures are kept of."""
    if isinstance(event, RevenueTransaction):
        return event.status != "failed" and kind == "services"
    is_of_cells = isinstance(event, COUNTED_BY_CATEGORY)
    return is_of_cells if kind == "categories" else True


def _dumped(kind: str, name: str, cap: Cap, *, full: bool) -> Iterable[bytes]:
    known = sorted(cap.names) if full else cap.added
    cap.added = []
    if known or cap.refused:
        yield pack((kind, name, (cap.refused, known)))
