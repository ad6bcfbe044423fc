"""Marketplace activity: searches, views and conversions, by service, category and search term.

All counts are exact. A cell of looks is one service in one category, a cell of searches one
term in one category; the number of either is capped before it comes here.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

from engine.cells import Cells, Dumped, Horizon, Owner, Slot, Slots, add_counts
from engine.columns import FEW, Cut, Grouped, Keys, Table, cut_each
from engine.footprint import counts_bytes
from engine.timebucket import Calendar, Span

Key = tuple[str, str]
"""(service or search query, category or '')"""

Counted = tuple[Cut, Key, int, int]
"""(cell, key, facts of it there, sum of what else they say)"""

VIEWS, CONVERSIONS = range(2)
SEARCHES, WITHOUT_RESULT = range(2)
ALL: Final = ""

K = TypeVar("K")


@dataclass(frozen=True, slots=True)
class Question:
    """Which activity: all, of one service, of one category, or of one in the other."""

    span: Span
    service: str | None
    category: str | None
    buckets: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Activity:
    """Events counted."""

    searches: int = 0
    views: int = 0
    conversions: int = 0

    def __add__(self, other: "Activity") -> "Activity":
        return Activity(
            self.searches + other.searches,
            self.views + other.views,
            self.conversions + other.conversions,
        )


@dataclass(frozen=True, slots=True)
class Image:
    """One shard's answer.

    views       {service: views}
    categories  {category: [views]}
    terms       {search query: [searches, searches without result]}
    """

    now: Activity
    series: tuple[Activity, ...]
    views: dict[str, int]
    categories: dict[str, int]
    terms: dict[str, list[int]]


class Marketplace:
    """Searches, views and conversions of one shard."""

    name: Final = "marketplace"

    def __init__(self, calendar: Calendar) -> None:
        self._calendar = calendar
        self._looks: Cells[Key, list[int]] = Cells("look")
        self._searches: Cells[Key, list[int]] = Cells("search")
        self._sums: Cells[str, list[int]] = Cells("sum")  # [searches, views, conversions]

    def fold_looks(self, looks: Table, index: int, keys: Keys) -> None:
        """Count views or conversions, as `index` says; rows: numbers by `keys`, instants."""
        for cut, key, count, _ in self._counted(looks, 1 + index, keys):
            for cells in self._looks.places(cut):
                counts = cells.get(key)
                if counts is None:
                    counts = cells[key] = [0, 0]
                counts[index] += count

    def fold_searches(self, searches: Table, keys: Keys) -> None:
        """Count searches; rows: numbers by `keys`, instants, 1 where nothing was found."""
        for cut, key, count, without_result in self._counted(searches, 0, keys):
            for cells in self._searches.places(cut):
                counts = cells.get(key)
                if counts is None:
                    counts = cells[key] = [0, 0]
                counts[SEARCHES] += count
                counts[WITHOUT_RESULT] += without_result

    def _counted(self, facts: Table, of_sums: int, keys: Keys) -> Iterator[Counted]:
        """By cell and pair, and in the sums."""
        counted = self._one_by_one if facts.shape[1] <= FEW else self._grouped
        for cut, number, count, total in counted(facts, len(keys)):
            for cells in self._sums.places(cut):
                cells.setdefault(ALL, [0, 0, 0])[of_sums] += count
            yield cut, keys.pairs[number], count, total

    def _one_by_one(self, facts: Table, _: int) -> Iterator[tuple[Cut, int, int, int]]:
        for number, at_ms, value in facts.T.tolist():
            yield self._calendar.cut(at_ms), number, 1, value

    def _grouped(self, facts: Table, keys: int) -> Iterator[tuple[Cut, int, int, int]]:
        """(cell, number of the pair, facts, sum of their third row)"""
        cuts, which = cut_each(self._calendar, facts[1])
        grouped = Grouped(which * keys + facts[0])
        counted = zip(grouped.codes, grouped.counts(), grouped.sums(facts[2]), strict=True)
        for code, count, total in counted:
            cut, number = divmod(code, keys)
            yield cuts[cut], number, count, total

    def expire(self, horizon: Horizon) -> None:
        """Forget cells older than `horizon`."""
        self._looks.expire(horizon)
        self._searches.expire(horizon)
        self._sums.expire(horizon)

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self._looks.count + self._searches.count + self._sums.count

    def memory_bytes(self) -> Iterator[int]:
        """About what the cells occupy, to be added up."""
        yield from self._looks.memory_bytes(counts_bytes)
        yield from self._searches.memory_bytes(counts_bytes)
        yield from self._sums.memory_bytes(counts_bytes)

    def image(self, question: Question) -> Generator[None, None, Image]:
        """What this shard knows of the question; yields between pieces of work."""
        now = yield from self._activity(question, question.span)
        series = []
        for bucket in question.buckets:
            series.append((yield from self._activity(question, bucket)))
        views: dict[str, int] = {}
        categories: dict[str, int] = {}
        terms: dict[str, list[int]] = {}
        for cells in self._looks.within(question.span):
            _count_views(question, cells, views, categories)
            yield
        if question.service is None:
            for cells in self._searches.within(question.span):
                _count_terms(question, cells, terms)
                yield
        return Image(now, tuple(series), views, categories, terms)

    def activity(self, span: Span) -> Activity:
        """All searches, views and conversions in the cells of `span`."""
        totals = [0, 0, 0]
        for cells in self._sums.within(span):
            add_counts(totals, cells[ALL])
        return Activity(*totals)

    def _activity(self, question: Question, span: Span) -> Generator[None, None, Activity]:
        if question.service is None and question.category is None:
            return self.activity(span)
        looks = [0, 0]
        searches = [0, 0]
        for cells in self._looks.within(span):
            for (service, category), counts in cells.items():
                if question.service in (None, service) and question.category in (
                    None,
                    category,
                ):
                    add_counts(looks, counts)
            yield
        if question.service is None:  # a search is for no service
            for cells in self._searches.within(span):
                for (_, category), counts in cells.items():
                    if question.category == category:
                        add_counts(searches, counts)
                yield
        return Activity(searches[SEARCHES], looks[VIEWS], looks[CONVERSIONS])

    def dump(self, *, full: bool) -> Dumped:
        """The slots that changed since the last dump, or all."""
        yield from self._looks.dump(full=full, dumped=list)
        yield from self._searches.dump(full=full, dumped=list)
        yield from self._sums.dump(full=full, dumped=list)

    def load(self, slots: Slots, owner: Owner) -> None:
        """Take back what one former shard dumped: those of its keys that `owner` says."""
        for slot, content in slots.items():
            if slot[0].startswith("look/"):
                _load(self._looks, slot, content, owner, lambda key: owner.key(key[0]))
            elif slot[0].startswith("search/"):
                _load(self._searches, slot, content, owner, lambda key: owner.key(key[0]))
            else:
                _load(self._sums, slot, content, owner, lambda _: owner.unkeyed)


def _load(
    cells: Cells[K, list[int]],
    slot: Slot,
    content: Iterable[tuple[K, list[int]]],
    owner: Owner,
    owns: Callable[[K], bool],
) -> None:
    same = owner.same
    cells.load(slot, content, loaded=list, merge=add_counts, owns=owns, same=same)


def _count_views(
    question: Question,
    cells: dict[Key, list[int]],
    views: dict[str, int],
    categories: dict[str, int],
) -> None:
    for (service, category), counts in cells.items():
        if question.service in (None, service) and question.category in (None, category):
            views[service] = views.get(service, 0) + counts[VIEWS]
            if category:
                categories[category] = categories.get(category, 0) + counts[VIEWS]


def _count_terms(
    question: Question, cells: dict[Key, list[int]], terms: dict[str, list[int]]
) -> None:
    for (query, category), counts in cells.items():
        if question.category in (None, category):
            known = terms.get(query)
            if known is None:
                terms[query] = list(counts)
            else:
                add_counts(known, counts)


def merged(images: Sequence[Image]) -> Image:
    """All shards' answers in one."""
    views: dict[str, int] = {}
    categories: dict[str, int] = {}
    terms: dict[str, list[int]] = {}
    for image in images:
        for service, count in image.views.items():
            views[service] = views.get(service, 0) + count
        for category, count in image.categories.items():
            categories[category] = categories.get(category, 0) + count
        for query, counts in image.terms.items():
            add_counts(terms.setdefault(query, [0, 0]), counts)
    return Image(
        now=sum((i.now for i in images), Activity()),
        series=tuple(
            sum(bucket, Activity()) for bucket in zip(*(i.series for i in images), strict=True)
        ),
        views=views,
        categories=categories,
        terms=terms,
    )
