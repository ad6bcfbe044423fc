"""Service executions: counts and error codes are exact, latency percentiles are sketched.

A cell is one service in one category in one hour or day; beside them stands the sum of all
services, so that "everything, 30 days" merges 30 cells and not 30,000. Latencies wait in plain
lists and reach the sketches of hour, day and both sums as one array: one by one costs 18 times
as much. Day cells older than `KLL_DAYS` keep the histogram alone: the same bound of 1 %.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from engine.cells import OTHER, Cells, Dumped, Horizon, Owner, Slots
from engine.quantile import Latencies, LatencySketch, Quantile
from engine.timebucket import Calendar, Span

Fact = tuple[str, str, int, float, str | None]
"""(service, category or '', at_ms, latency_ms, the error code of a failure or '', else None)"""

Key = tuple[str, str]
"""(service, category or '')"""

PENDING_MAX: Final = 256
"""Latencies held back for one array update of the sketches."""

DAY_EXACT_MAX: Final = 256
HOUR_EXACT_MAX: Final = 64
"""Exact values in an hour cell: 512 bytes, beyond which the histogram costs less."""

KLL_DAYS: Final = 35
"""Days whose cells hold a KLL: 2.6 KB each."""

TOTAL_PENDING_MAX: Final = 2_048
"""Latencies of all services held back for one update of the sums."""

WAITING_MAX: Final = 1_024
WAITING_TOTALS_MAX: Final = 32
"""Intakes that hold something back; a question has to bring all of them in, at 20 µs each."""

INTAKES_MAX: Final = 65_536
"""Keys and hours with latencies on the way; more arrive only when much history is imported."""

MERGED_MAX: Final = 4096
"""Remembered merges of cells that have not changed since, 3 to 8 KB each."""

PERCENTILES: Final = (0.5, 0.95, 0.99)

FINISHED_COUNTS_MAX: Final = 4
"""Remembered counts of all services over a set of finished days."""

ALL: Final[Key] = ("", "")

Counts = dict[Key, tuple[int, int]]
"""{key: (executions, failures)}"""

NOTHING: Final = (0, 0)


@dataclass(slots=True)
class ServiceCell:
    """What one service did in one hour or day; executions are `latency.count`."""

    latency: LatencySketch
    failures: int = 0
    failures_by_code: dict[str, int] = field(default_factory=dict)

    def add(self, other: "ServiceCell") -> None:
        self.latency.merge(other.latency)
        self.failures += other.failures
        add_codes(self.failures_by_code, other.failures_by_code)


@dataclass(slots=True, eq=False)
class Intake:
    """Latencies of one hour on their way into the cells that count them.

    Those of a key go into its cells, and on to `total`, the intake of all keys, where they wait
    for others: so its sketches, too, take them by the hundred and not by the few.
    """

    cells: tuple[ServiceCell, ...]
    key: Key
    day: int
    total: "Intake | None"
    pending_ms: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Question:
    """Which services, when, and how much of each; a span is a set of cells.

    previous, buckets, trend  spans of the period before, of the series, of each row's trend
    sort       a count by which the best `limit` rows are chosen here, or None: send all rows
    """

    span: Span
    service: str | None
    category: str | None
    limit: int
    sort: str | None
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
class Image:
    """One shard's answer; nothing in it changes any more.

    rows_all  how many services have executions, also beyond the limit
    """

    rows: list[Row]
    rows_all: int
    total: Part
    previous: Part | None
    series: tuple[Part, ...]


class Services:
    """All executions of the services of one shard."""

    name: Final = "services"

    def __init__(self, calendar: Calendar, *, codes_max: int, categories_max: int) -> None:
        self._calendar = calendar
        self._codes_max = codes_max
        self._categories_max = categories_max
        self._cells: Cells[Key, ServiceCell] = Cells("cell")
        self._sums: Cells[Key, ServiceCell] = Cells("sum")
        self._codes: dict[str, set[str]] = {}
        self._categories: dict[str, set[str]] = {}
        self._labels_changed = False
        self._intakes: dict[int, dict[Key, Intake]] = {}
        self._intakes_made = 0
        self._waiting: deque[Intake] = deque()
        self._totals: dict[int, Intake] = {}
        self._waiting_totals: deque[Intake] = deque()
        self._newest_day = 0
        self._recent_day = 0  # cells of earlier days hold no KLL
        self._late: dict[Key, int] = {}  # how often a finished day of a key has changed
        self._late_flushes = 0
        self._merged: dict[tuple[Key, Span], tuple[tuple[int, int, int], Part]] = {}
        self._finished_counts: dict[tuple[int, ...], tuple[int, Counts]] = {}

    # -- fold ---------------------------------------------------------------------------------

    def fold(self, facts: Iterable[Fact]) -> None:
        """Count the executions in the order given."""
        cut = self._calendar.cut
        hour_now = -1
        intakes: dict[Key, Intake] = {}
        waiting = self._waiting
        for service, category, at_ms, latency_ms, code in facts:
            hour, day = cut(at_ms)
            if hour != hour_now:
                hour_now = hour
                intakes = self._intakes.setdefault(hour, {})
            intake = intakes.get((service, category))
            if intake is None:
                intake = self._intake(service, category, hour=hour, day=day)
                intakes = self._intakes.setdefault(hour, {})
                intakes[service, category] = intake
            pending = intake.pending_ms
            pending.append(latency_ms)
            if code is not None:
                self._fail(intake, code)
            if len(pending) == 1:
                waiting.append(intake)
            elif len(pending) == PENDING_MAX:
                self._flush(intake)
        while len(waiting) > WAITING_MAX:
            self._flush(waiting.popleft())

    def _intake(self, service: str, category: str, *, hour: int, day: int) -> Intake:
        if self._intakes_made >= INTAKES_MAX:
            self._forget_intakes()
        key = (service, self._admitted(service, category))
        of_hour = self._intakes.setdefault(hour, {})
        intake = of_hour.get(key)
        if intake is None:
            cells = tuple(self._targets(self._cells, key, hour, day))
            intake = of_hour[key] = Intake(cells, key, day, self._total(hour, day))
            self._intakes_made += 1
        return intake

    def _total(self, hour: int, day: int) -> Intake:
        total = self._totals.get(hour)
        if total is None:
            cells = tuple(self._targets(self._sums, ALL, hour, day))
            total = self._totals[hour] = Intake(cells, ALL, day, None)
        return total

    def _targets(
        self, cells: Cells[Key, ServiceCell], key: Key, hour: int, day: int
    ) -> Iterator[ServiceCell]:
        in_hour, in_day = cells.at(hour, day)
        if in_hour is not None:
            yield _cell(in_hour, key, exact_max=HOUR_EXACT_MAX, keeps_kll=False)
        if in_day is not None:
            keeps_kll = day > self._newest_day - KLL_DAYS
            yield _cell(in_day, key, exact_max=DAY_EXACT_MAX, keeps_kll=keeps_kll)
        self._newest_day = max(self._newest_day, day)

    def _admitted(self, service: str, category: str) -> str:
        return self._label(self._categories, service, category, self._categories_max)

    def _fail(self, intake: Intake, code: str) -> None:
        code = self._label(self._codes, intake.key[0], code, self._codes_max)
        assert intake.total is not None
        for cell in (*intake.cells, *intake.total.cells):
            cell.failures += 1
            cell.failures_by_code[code] = cell.failures_by_code.get(code, 0) + 1

    def _label(
        self, known: dict[str, set[str]], service: str, label: str, labels_max: int
    ) -> str:
        labels = known.get(service)
        if labels is None:
            labels = known[service] = set()
        if label in labels:
            return label
        if len(labels) >= labels_max:
            label = OTHER
        if label not in labels:
            labels.add(label)
            self._labels_changed = True
        return label

    def _flush(self, intake: Intake) -> None:
        if not intake.pending_ms:
            return  # it was full before it was its turn
        latencies = Latencies.of(intake.pending_ms)
        for cell in intake.cells:
            cell.latency.add(latencies)
        if intake.total is not None:
            self._pass_on(intake.pending_ms, intake.total)
        intake.pending_ms.clear()
        if intake.day != self._newest_day:
            self._late[intake.key] = self._late.get(intake.key, 0) + 1
            self._late_flushes += 1

    def _pass_on(self, values_ms: list[float], total: Intake) -> None:
        if not total.pending_ms:
            self._waiting_totals.append(total)
        total.pending_ms += values_ms
        if len(total.pending_ms) >= TOTAL_PENDING_MAX:
            self._flush(total)
        elif len(self._waiting_totals) > WAITING_TOTALS_MAX:
            self._flush(self._waiting_totals.popleft())

    def settle(self) -> Generator[None, None, None]:
        """Bring what waits into the cells; before every answer and every dump."""
        for waiting in (self._waiting, self._waiting_totals):
            while waiting:
                self._flush(waiting.popleft())
                yield

    def _forget_intakes(self) -> None:
        # They hold cells that a dump no longer counts as changed, or that have expired.
        for _ in self.settle():
            pass
        self._intakes.clear()
        self._totals.clear()
        self._intakes_made = 0

    def expire(self, horizon: Horizon) -> None:
        """Forget cells older than `horizon`, and the KLL of days that are no longer recent."""
        self._forget_intakes()
        self._cells.expire(horizon)
        self._sums.expire(horizon)
        recent = self._newest_day - KLL_DAYS + 1
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

    def image(self, question: Question) -> Generator[None, None, Image]:
        """What this shard knows of the question; yields often, so that the caller may pause."""
        yield from self.settle()
        keys = yield from self._keys(question, question.span)
        before: dict[str, _Counted] = {}
        previous = None
        if question.previous is not None:
            # Services and categories of its own: it may have seen what the period has not.
            before = yield from self._keys(question, question.previous)
            previous = yield from self._over(question, before, question.previous)
        rows = []
        for service, counted in _best(keys, question):
            rows.append(self._row(service, counted, before.get(service), question))
            yield
        total = yield from self._over(question, keys, question.span)
        series = []
        for bucket in question.buckets:
            series.append((yield from self._over(question, keys, bucket)))
        return Image(rows, len(keys), total, previous, tuple(series))

    def executions(self, span: Span) -> tuple[int, int]:
        """(executions, failures) of all services together in whole days, hot as they are."""
        cells = [cells[ALL] for cells in self._sums.within(span)]
        waiting = {*self._waiting, *self._waiting_totals}
        pending = sum(len(intake.pending_ms) for intake in waiting if intake.day in span.days)
        counted = sum(cell.latency.count for cell in cells)
        return counted + pending, sum(cell.failures for cell in cells)

    def _keys(
        self, question: Question, span: Span
    ) -> Generator[None, None, dict[str, "_Counted"]]:
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
        return counted

    def _counts(self, span: Span) -> Generator[None, None, Counts]:
        """Executions and failures by key; those of finished days are remembered together."""
        newest = self._newest_day
        finished = tuple(day for day in span.days if day != newest)
        known = self._finished_counts.get(finished)
        if known is None or known[0] != self._late_flushes:
            counts: Counts = {}
            for day in finished:
                _count_cells(counts, self._cells.days.get(day, {}))
                yield
            if len(self._finished_counts) >= FINISHED_COUNTS_MAX:
                self._finished_counts.clear()
            self._finished_counts[finished] = known = (self._late_flushes, counts)
        counts = dict(known[1])
        running = (newest,) if len(finished) < len(span.days) else ()
        for cells in self._cells.within(Span(days=running, hours=span.hours)):
            _count_cells(counts, cells)
            yield
        return counts

    def _counts_of(self, service: str, span: Span) -> Counts:
        counts: Counts = {}
        keys = [(service, category) for category in self._categories.get(service, ())]
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

    def _part(self, keys: Sequence[Key], span: Span) -> Part:
        parts = [self._part_of_key(key, span) for key in keys]
        return parts[0] if len(parts) == 1 else _merged(parts)

    def _part_of_key(self, key: Key, span: Span) -> Part:
        newest = self._newest_day
        running = _found(self._cells.days, (newest,) if newest in span.days else (), key)
        running += _found(self._cells.hours, span.hours, key)
        # A cell that has not grown has not changed.
        stamp = (self._late.get(key, 0), newest, sum(cell.latency.count for cell in running))
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

    def _count(self, keys: Sequence[Key], span: Span) -> int:
        return sum(
            cell.latency.count
            for cells in self._cells.within(span)
            for key in keys
            if (cell := cells.get(key)) is not None
        )

    # -- keep ---------------------------------------------------------------------------------

    def dump(self, *, full: bool) -> Dumped:
        """The slots that changed since the last dump, or all."""
        self._forget_intakes()
        yield from self._cells.dump(full=full, dumped=_dumped)
        yield from self._sums.dump(full=full, dumped=_dumped)
        if full or self._labels_changed:
            self._labels_changed = False
            yield (
                ("labels", 0),
                [
                    (service, sorted(self._codes.get(service, ())), sorted(categories))
                    for service, categories in self._categories.items()
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
            cells.load(slot, content, loaded=_loaded, merge=ServiceCell.add, owns=owns)
            if slot[0].endswith("/day"):
                self._newest_day = max(self._newest_day, slot[1])

    def _load_labels(
        self, content: Iterable[tuple[str, list[str], list[str]]], owner: Owner
    ) -> None:
        for service, codes, categories in content:
            if owner.key(service):
                self._codes[service] = set(codes)
                self._categories[service] = set(categories)


@dataclass(slots=True)
class _Counted:
    executions: int = 0
    failures: int = 0
    by_key: dict[Key, int] = field(default_factory=dict)


def _count_cells(counts: Counts, cells: dict[Key, ServiceCell]) -> None:
    for key, cell in cells.items():
        executions, failures = counts.get(key, NOTHING)
        counts[key] = (executions + cell.latency.count, failures + cell.failures)


def _cell(
    cells: dict[Key, ServiceCell], key: Key, *, exact_max: int, keeps_kll: bool
) -> ServiceCell:
    cell = cells.get(key)
    if cell is None:
        sketch = LatencySketch(exact_max=exact_max, keeps_kll=keeps_kll)
        cell = cells[key] = ServiceCell(sketch)
    return cell


def _best(counted: dict[str, _Counted], question: Question) -> Iterable[tuple[str, _Counted]]:
    """The rows to send: all, or the best by a count that needs no sketch. Ties go by name."""
    rank = _RANKS.get(question.sort or "")
    if rank is None or len(counted) <= question.limit:
        return counted.items()
    rows = sorted(counted.items())
    rows.sort(key=lambda row: rank(row[1]), reverse=question.descending)
    return rows[: question.limit]


_RANKS: Final = {
    "executions": lambda row: row.executions,
    "errorRate": lambda row: row.failures / row.executions,
    "successRate": lambda row: -row.failures / row.executions,
}


def _found(
    by_number: dict[int, dict[Key, ServiceCell]], numbers: Iterable[int], key: Key
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


def add_codes(into: dict[str, int], other: dict[str, int]) -> None:
    """Add counts by code to others."""
    for code, count in other.items():
        into[code] = into.get(code, 0) + count


def _dumped(cell: ServiceCell) -> tuple[int, dict[str, int], bytes]:
    return cell.failures, cell.failures_by_code, cell.latency.dump()


def _loaded(dumped: tuple[int, dict[str, int], bytes]) -> ServiceCell:
    failures, codes, latency = dumped
    return ServiceCell(LatencySketch.load(latency), failures, dict(codes))
