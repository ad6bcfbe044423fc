"""Service executions: counts and error codes are exact, latency percentiles are sketched.

A cell is one service in one category in one hour or day; beside the cells stands the sum of all
services, so that "everything, 30 days" merges 30 cells and not 30,000. `engine.intake` says how
calls get into them. Day cells older than `KLL_DAYS` keep the histogram alone: the same bound of
1 %.
"""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from sys import intern
from typing import Final

from engine.cells import OTHER, Cells, Dumped, Horizon, Owner, Slots
from engine.columns import Keys, Pair, Table
from engine.footprint import table_bytes
from engine.intake import ALL, KLL_DAYS, Failure, Intakes, ServiceCell, add_codes
from engine.quantile import LatencySketch, Quantile
from engine.timebucket import Calendar, Span

MERGED_MAX: Final = 4096
"""Remembered merges of cells that have not changed since, 3 to 8 KB each."""

PERCENTILES: Final = (0.5, 0.95, 0.99)

FINISHED_COUNTS_MAX: Final = 4
"""Remembered counts of all services over a set of finished days."""

Counts = dict[Pair, tuple[int, int]]
"""{key: (executions, failures)}"""

NOTHING: Final = (0, 0)


@dataclass(frozen=True, slots=True)
class Question:
    """Which services, when, and how much of each; a span is a set of cells.

    previous, buckets, trend  spans of the period before, of the series, of each row's trend
    sort       one of RANKS, by which the best `limit` rows are chosen here; else all are sent
    """

    span: Span
    service: str | None
    category: str | None
    limit: int
    sort: str
    descending: bool
    buckets: tuple[Span, ...] = ()
    trend: tuple[Span, ...] = ()
    previous: Span | None = None


@dataclass(frozen=True)
class Part:
    """Some executions: how many, how many failed with which code, how long they took."""

    failures: int
    failures_by_code: dict[str, int]
    latency: LatencySketch

    @cached_property
    def percentiles(self) -> tuple[Quantile | None, ...]:
        """Those that every answer tells: p50, p95, p99; None without executions."""
        return self.latency.quantiles(PERCENTILES)

    @property
    def executions(self) -> int:
        return self.latency.count


@dataclass(frozen=True, slots=True)
class Row:
    """One service in the period asked for."""

    service: str
    category: str
    now: Part
    trend: tuple[int, ...]
    previous: Part | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """What decides the place of one service among others."""

    service: str
    executions: int
    failures: int


RANKS: Final[dict[str, Callable[[int, int], float]]] = {
    "executions": lambda executions, _: executions,
    "errorRate": lambda executions, failures: 100 * failures / executions,
    "successRate": lambda executions, failures: 100 * (executions - failures) / executions,
}
"""By what rows can be chosen before anything is merged: (executions, failures) to a number."""


@dataclass(frozen=True, slots=True)
class Image:
    """One shard's answer; nothing in it changes any more.

    rows_all         how many services have executions, also beyond the limit
    next             the first row beyond the limit, None where there is none
    may_be_in_other  whether executions in the category asked for may count in OTHER
    """

    rows: list[Row]
    rows_all: int
    next: "Ranked | None"
    total: Part
    previous: Part | None
    series: tuple[Part, ...]
    may_be_in_other: bool


class Services:
    """All executions of the services of one shard."""

    name: Final = "services"

    def __init__(self, calendar: Calendar, *, codes_max: int, categories_max: int) -> None:
        self._cells: Cells[Pair, ServiceCell] = Cells("cell")
        self._sums: Cells[Pair, ServiceCell] = Cells("sum")
        self._intakes = Intakes(
            calendar,
            self._cells,
            self._sums,
            codes_max=codes_max,
            categories_max=categories_max,
        )
        self._recent_day = 0  # cells of earlier days hold no KLL
        self._merged: dict[tuple[Pair, Span], tuple[tuple[int, int, int], Part]] = {}
        self._finished_counts: dict[tuple[int, ...], tuple[int, Counts]] = {}

    def fold(self, calls: Table, failures: Sequence[Failure], keys: Keys) -> None:
        """Count calls, as `intake.Intakes.fold` takes them."""
        self._intakes.fold(calls, failures, keys)

    def settle(self) -> Generator[None, None, None]:
        """Bring what waits into the cells; before every dump."""
        return self._intakes.settle()

    def expire(self, horizon: Horizon) -> None:
        """Forget cells older than `horizon`, and the KLL of days that are no longer recent."""
        self._intakes.forget()
        self._cells.expire(horizon)
        self._sums.expire(horizon)
        recent = self._intakes.newest_day - KLL_DAYS + 1
        for cells in (self._cells.days, self._sums.days):
            for day in [day for day in cells if self._recent_day <= day < recent]:
                for cell in cells[day].values():
                    cell.latency = cell.latency.without_kll()
        self._recent_day = recent
        self._merged.clear()
        self._finished_counts.clear()

    # -- answer -------------------------------------------------------------------------------

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self._cells.count + self._sums.count

    def memory_bytes(self) -> Iterator[int]:
        """About what the cells occupy, and what is on its way into them, to be added up."""
        yield self._intakes.memory_bytes()
        yield from self._cells.memory_bytes(ServiceCell.memory_bytes)
        yield from self._sums.memory_bytes(ServiceCell.memory_bytes)

    def merges_bytes(self) -> int:
        """About what the merges occupy that are remembered for the next question."""
        return table_bytes(self._merged, lambda known: known[1].latency.memory_bytes())

    def image(self, question: Question) -> Generator[None, None, Image]:
        """What this shard knows of the question; yields often, so that the caller may pause."""
        yield from self._settle_for(question)
        keys, may_be_in_other = yield from self._keys(question, question.span)
        before: dict[str, _Counted] = {}
        previous = None
        if question.previous is not None:
            # Services and categories of its own: it may have seen what the period has not.
            before, might_have_been = yield from self._keys(question, question.previous)
            may_be_in_other |= might_have_been
            previous = yield from self._over(question, before, question.previous)
        best, beyond = _best(keys, question)
        for service, counted in best:
            yield from self._intakes.settle_of(counted.by_key)
            if service in before:
                yield from self._intakes.settle_of(before[service].by_key)
        rows = []
        for service, counted in best:
            rows.append(self._row(service, counted, before.get(service), question))
            yield
        total = yield from self._over(question, keys, question.span)
        series = []
        for bucket in question.buckets:
            series.append((yield from self._over(question, keys, bucket)))
        return Image(rows, len(keys), beyond, total, previous, tuple(series), may_be_in_other)

    def _settle_for(self, question: Question) -> Generator[None, None, None]:
        """What is told of all services together; what waits for one of them is counted."""
        yield from self._intakes.settle_totals()
        yield from self._intakes.settle_late()
        if question.service is not None:
            yield from self._intakes.settle_of(self._pairs_of(question.service))
        elif question.category is not None:
            yield from self.settle()

    def executions(self, span: Span) -> tuple[int, int]:
        """(executions, failures) of all services together in whole days, hot as they are."""
        cells = [cells[ALL] for cells in self._sums.within(span)]
        counted = sum(cell.latency.count for cell in cells)
        return counted + self._intakes.waiting_on(span.days), sum(
            cell.failures for cell in cells
        )

    def _keys(
        self, question: Question, span: Span
    ) -> Generator[None, None, tuple[dict[str, "_Counted"], bool]]:
        """What was counted by service, and whether more of it may be in OTHER."""
        if question.service is None:
            counts = yield from self._counts(span)
        else:
            counts = self._counts_of(question.service, span)
        counted: dict[str, _Counted] = {}
        for key, (executions, failures) in counts.items():
            service, category = key
            if question.category is not None and category != question.category:
                continue
            of_service = counted.get(service)
            if of_service is None:
                of_service = counted[service] = _Counted()
            of_service.executions += executions
            of_service.failures += failures
            of_service.by_key[key] = executions
        yield
        return counted, self._may_be_in_other(counts, question.category)

    def _may_be_in_other(self, counts: Counts, category: str | None) -> bool:
        if category in (None, OTHER):
            return False
        return any(
            label == OTHER and self._intakes.categories.may_be_in_other(service, category)
            for service, label in counts
        )

    def _counts(self, span: Span) -> Generator[None, None, Counts]:
        """Executions and failures by key; those of finished days are remembered together."""
        newest = self._intakes.newest_day
        finished = tuple(day for day in span.days if day != newest)
        known = self._finished_counts.get(finished)
        if known is None or known[0] != self._intakes.late_flushes:
            counts: Counts = {}
            for day in finished:
                _count_cells(counts, self._cells.days.get(day, {}))
                yield
            if len(self._finished_counts) >= FINISHED_COUNTS_MAX:
                self._finished_counts.clear()
            self._finished_counts[finished] = known = (self._intakes.late_flushes, counts)
        counts = dict(known[1])
        running = (newest,) if len(finished) < len(span.days) else ()
        still = Span(days=running, hours=span.hours)
        for cells in self._cells.within(still):
            _count_cells(counts, cells)
            yield
        for key, waiting in self._intakes.waiting_in(still).items():
            executions, failures = counts.get(key, NOTHING)
            counts[key] = (executions + waiting, failures)
        return counts

    def _pairs_of(self, service: str) -> list[Pair]:
        categories = self._intakes.categories.by_service.get(service, ())
        return [(service, category) for category in categories]

    def _counts_of(self, service: str, span: Span) -> Counts:
        counts: Counts = {}
        keys = self._pairs_of(service)
        for cells in self._cells.within(span):
            _count_cells(counts, {key: cells[key] for key in keys if key in cells})
        return counts

    def _row(
        self,
        service: str,
        counted: "_Counted",
        before: "_Counted | None",
        question: Question,
    ) -> Row:
        keys = list(counted.by_key)
        earlier = list(before.by_key) if before else []
        previous = question.previous
        return Row(
            service=service,
            category=max(keys, key=lambda key: (counted.by_key[key], key))[1],
            now=self._part(keys, question.span),
            trend=tuple(self._count(keys, span) for span in question.trend),
            previous=None if previous is None else self._part(earlier, previous),
        )

    def _over(
        self, question: Question, keys: dict[str, "_Counted"], span: Span
    ) -> Generator[None, None, Part]:
        """All rows in one: from the sums, or from the services that the filter leaves."""
        if question.service is None and question.category is None:
            part = _merged(cells[ALL] for cells in self._sums.within(span))
            yield
            return part
        parts = []
        for counted in keys.values():
            parts.append(self._part(list(counted.by_key), span))
            yield
        return _merged(parts)

    def _part(self, keys: Sequence[Pair], span: Span) -> Part:
        parts = [self._part_of_key(key, span) for key in keys]
        return parts[0] if len(parts) == 1 else _merged(parts)

    def _part_of_key(self, key: Pair, span: Span) -> Part:
        newest = self._intakes.newest_day
        running = _found(self._cells.days, (newest,) if newest in span.days else (), key)
        running += _found(self._cells.hours, span.hours, key)
        # A cell that has not grown has not changed.
        stamp = (
            self._intakes.late.get(key, 0),
            newest,
            sum(cell.latency.count for cell in running),
        )
        known = self._merged.get((key, span))
        if known is not None and known[0] == stamp:
            return known[1]
        finished = tuple(day for day in span.days if day != newest)
        parts: list[ServiceCell | Part] = [*running]
        if finished and (running or newest in span.days):
            parts.append(self._part_of_key(key, Span(days=finished, hours=())))
        else:
            parts += _found(self._cells.days, finished, key)
        part = _merged(parts)
        if len(self._merged) >= MERGED_MAX:
            self._merged.clear()
        self._merged[key, span] = (stamp, part)
        return part

    def _count(self, keys: Sequence[Pair], span: Span) -> int:
        return sum(
            cell.latency.count
            for cells in self._cells.within(span)
            for key in keys
            if (cell := cells.get(key)) is not None
        )

    # -- keep ---------------------------------------------------------------------------------

    def dump(self, *, full: bool) -> Dumped:
        """The slots that changed since the last dump, or all."""
        self._intakes.forget()
        yield from self._cells.dump(full=full, dumped=_dumped)
        yield from self._sums.dump(full=full, dumped=_dumped)
        yield from self._dumped_labels(full=full)

    def _dumped_labels(self, *, full: bool) -> Dumped:
        codes, categories = self._intakes.codes, self._intakes.categories
        if full or codes.has_changed or categories.has_changed:
            codes.has_changed = categories.has_changed = False
            yield (
                ("labels", 0),
                [
                    (service, sorted(codes.by_service.get(service, ())), sorted(labels))
                    for service, labels in categories.by_service.items()
                ],
            )

    def load(self, slots: Slots, owner: Owner) -> None:
        """Take back what one former shard dumped: those of its keys that `owner` says."""
        for slot, content in slots.items():
            if slot[0] == "labels":
                self._load_labels(content, owner)
                continue
            if slot[0].startswith("cell/"):
                cells, owns = self._cells, lambda key: owner.key(key[0])
            else:
                cells, owns = self._sums, lambda _: owner.unkeyed
            cells.load(
                slot,
                content,
                loaded=_loaded,
                merge=ServiceCell.add,
                owns=owns,
                same=owner.same,
            )
            if slot[0].endswith("/day"):
                self._intakes.newest_day = max(self._intakes.newest_day, slot[1])

    def _load_labels(
        self, content: Iterable[tuple[str, list[str], list[str]]], owner: Owner
    ) -> None:
        for service, codes, categories in content:
            if owner.key(service):
                same = owner.same(service)
                self._intakes.codes.by_service[same] = set(map(intern, codes))
                self._intakes.categories.by_service[same] = set(map(owner.same, categories))


@dataclass(slots=True)
class _Counted:
    executions: int = 0
    failures: int = 0
    by_key: dict[Pair, int] = field(default_factory=dict)


def _count_cells(counts: Counts, cells: dict[Pair, ServiceCell]) -> None:
    for key, cell in cells.items():
        executions, failures = counts.get(key, NOTHING)
        counts[key] = (executions + cell.latency.count, failures + cell.failures)


def _best(
    counted: dict[str, _Counted], question: Question
) -> tuple[Collection[tuple[str, _Counted]], Ranked | None]:
    """The rows to send, and the first that is not sent. Ties go by name."""
    rank = RANKS.get(question.sort)
    if rank is None or len(counted) <= question.limit:
        return counted.items(), None
    rows = sorted(counted.items())
    rows.sort(
        key=lambda row: rank(row[1].executions, row[1].failures), reverse=question.descending
    )
    service, of_next = rows[question.limit]
    return rows[: question.limit], Ranked(service, of_next.executions, of_next.failures)


def _found(
    by_number: dict[int, dict[Pair, ServiceCell]], numbers: Iterable[int], key: Pair
) -> list[ServiceCell]:
    return [
        cell
        for number in numbers
        if (cells := by_number.get(number)) is not None and (cell := cells.get(key)) is not None
    ]


def _merged(parts: Iterable[ServiceCell | Part]) -> Part:
    failures = 0
    codes: dict[str, int] = {}
    sketches = []
    for part in parts:
        if part.failures:
            failures += part.failures
            add_codes(codes, part.failures_by_code)
        sketches.append(part.latency)
    return Part(failures, codes, LatencySketch.merged(sketches))


def merged(parts: Sequence[Part]) -> Part:
    """The same executions as all `parts` together."""
    return parts[0] if len(parts) == 1 else _merged(parts)


def _dumped(cell: ServiceCell) -> tuple[int, dict[str, int], bytes]:
    return cell.failures, cell.failures_by_code, cell.latency.dump()


def _loaded(dumped: tuple[int, dict[str, int], bytes]) -> ServiceCell:
    failures, codes, latency = dumped
    by_code = {intern(code): count for code, count in codes.items()}
    return ServiceCell(LatencySketch.load(latency), failures, by_code)
