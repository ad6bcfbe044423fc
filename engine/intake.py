"""Calls on their way into the cells that count them: what waits, and where it goes.

Latencies wait as plain columns and reach the sketches of hour, day and both sums by the
hundred; one by one they would cost several times as much. Failures are counted at once. A
question brings in what waits for the rows that it shows, and merely counts what waits for
others.
"""

from array import array
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from sys import getsizeof, intern
from typing import Final

import numpy as np

from engine.cells import OTHER, Cells
from engine.columns import FEW, Cut, Grouped, Keys, Pair, Table, cut_each
from engine.quantile import Latencies, LatencySketch
from engine.timebucket import Calendar, Span

Failure = tuple[int, int, str]
"""(number of the service and category, at_ms, error code or '')"""

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
"""Intakes that hold something back; to bring one in takes 20 µs."""

INTAKES_MAX: Final = 65_536
"""Keys and hours with latencies on the way; more arrive only when much history is imported."""

LATENCY_BYTES: Final = 8

INTAKE_BYTES: Final = 400
"""One that holds little: itself, its column, and its places in two dictionaries."""

CELL_BYTES: Final = 56
"""A cell by itself, with what the garbage collector adds to it."""

ALL: Final[Pair] = ("", "")
NO_CELL: Final = -1


@dataclass(slots=True)
class ServiceCell:
    """What one service did in one hour or day; executions are `latency.count`."""

    latency: LatencySketch
    failures: int = 0
    failures_by_code: dict[str, int] = field(default_factory=dict)

    def memory_bytes(self) -> int:
        """About what it occupies; codes are shared between cells."""
        return CELL_BYTES + getsizeof(self.failures_by_code) + self.latency.memory_bytes()

    def add(self, other: "ServiceCell") -> None:
        """Add all that another cell counts."""
        self.latency.merge(other.latency)
        self.failures += other.failures
        add_codes(self.failures_by_code, other.failures_by_code)


ServiceCells = Cells[Pair, ServiceCell]


@dataclass(slots=True, eq=False)
class Intake:
    """Latencies of one hour on their way into the cells that count them.

    hour, day  of its cells, NO_CELL for one that is older than what is kept
    total      the intake of all pairs, None where this is one
    """

    cells: tuple[ServiceCell, ...]
    pair: Pair
    hour: int
    day: int
    total: "Intake | None"
    pending_ms: "array[float]" = field(default_factory=lambda: array("d"))


Waiting = dict[Intake, None]
"""Intakes that hold something back, in the order in which they began to."""


class Labels:
    """Labels by service: the first `labels_max` of each, later ones together."""

    __slots__ = ("_labels_max", "by_service", "has_changed")

    def __init__(self, labels_max: int) -> None:
        self._labels_max = labels_max
        self.by_service: dict[str, set[str]] = {}
        self.has_changed = False

    def admit(self, service: str, label: str) -> str:
        """`label`, or OTHER where it is new and there is no room."""
        labels = self.by_service.get(service)
        if labels is None:
            labels = self.by_service[service] = set()
        if label in labels:
            return label
        if len(labels) >= self._labels_max:
            label = OTHER
        if label not in labels:
            labels.add(label)
            self.has_changed = True
        return label

    def may_be_in_other(self, service: str, label: str) -> bool:
        """Whether what came under this label may have gone to OTHER for want of room."""
        labels = self.by_service.get(service, ())
        return OTHER in labels and len(labels) >= self._labels_max and label not in labels


class Intakes:
    """What waits for the cells of one shard, `cells` by pair and `sums` of all pairs.

    late          {pair: how often a day of it has changed that was finished}
    late_flushes  how often that happened to any
    """

    def __init__(
        self,
        calendar: Calendar,
        cells: ServiceCells,
        sums: ServiceCells,
        *,
        codes_max: int,
        categories_max: int,
    ) -> None:
        self._calendar = calendar
        self._cells = cells
        self._sums = sums
        self.codes = Labels(codes_max)
        self.categories = Labels(categories_max)
        self.newest_day = 0
        self.late: dict[Pair, int] = {}
        self.late_flushes = 0
        self._keys: Keys | None = None
        self._by_number: dict[int, dict[int, Intake]] = {}  # by hour; numbers as in `_keys`
        self._by_pair: dict[int, dict[Pair, Intake]] = {}
        self._made = 0
        self._waiting: dict[int, Waiting] = {}  # by day
        self._waiting_count = 0
        self._totals: dict[int, Intake] = {}
        self._waiting_totals: Waiting = {}

    def memory_bytes(self) -> int:
        """About what the intakes occupy."""
        return INTAKE_BYTES * self._made

    # -- in -----------------------------------------------------------------------------------

    def fold(self, calls: Table, failures: Sequence[Failure], keys: Keys) -> None:
        """Count calls; rows: numbers by `keys`, instants, latencies as bits of a float64.

        The facts may be handed over in any parts: what is admitted goes by their order alone.
        """
        if keys is not self._keys:
            self._keys = keys
            self._by_number.clear()
        if calls.shape[1] <= FEW:
            self._fold_few(calls, keys)
        else:
            self._fold_many(calls, keys)
        for number, at_ms, error in failures:
            self._fail(self._intake(number, self._calendar.cut(at_ms), keys), error)
        while self._waiting_count > WAITING_MAX:
            self._flush(next(iter(self._waiting[min(self._waiting)])))
        while len(self._waiting_totals) > WAITING_TOTALS_MAX:
            self._flush(next(iter(self._waiting_totals)))

    def _fold_few(self, calls: Table, keys: Keys) -> None:
        held = calls[2].tobytes()
        told = zip(calls[0].tolist(), calls[1].tolist(), strict=True)
        for at, (number, at_ms) in enumerate(told):
            cut = self._calendar.cut(at_ms)
            self._take(self._intake(number, cut, keys), held, at, at + 1, PENDING_MAX)
            self._take(self._total(*cut), held, at, at + 1, TOTAL_PENDING_MAX)

    def _fold_many(self, calls: Table, keys: Keys) -> None:
        cuts, which = cut_each(self._calendar, calls[1])
        grouped = Grouped(which * len(keys) + calls[0])
        self._meet(grouped, cuts, keys)
        held = calls[2].take(grouped.order).tobytes()
        starts: list[int] = grouped.starts.tolist()
        for code, start, end in zip(grouped.codes, starts, grouped.ends, strict=True):
            cut, number = divmod(code, len(keys))
            intake = self._intake(number, cuts[cut], keys)
            self._take(intake, held, start, end, PENDING_MAX)
        # Codes ascend by cut first, so what one hour holds lies together.
        ends = np.bincount(which, minlength=len(cuts)).cumsum().tolist()
        for cut, (start, end) in enumerate(pairwise([0, *ends])):
            if start < end:
                total = self._total(*cuts[cut])
                self._take(total, held, start, end, TOTAL_PENDING_MAX)

    def _take(
        self, intake: Intake, held: bytes, start: int, end: int, pending_max: int
    ) -> None:
        pending = intake.pending_ms
        if not pending:
            self._begin_to_wait(intake)
        pending.frombytes(held[LATENCY_BYTES * start : LATENCY_BYTES * end])
        if len(pending) >= pending_max:
            self._flush(intake)

    def _meet(self, grouped: Grouped, cuts: Sequence[Cut], keys: Keys) -> None:
        """Make the intakes that are not there yet, in the order in which their calls came."""
        unknown = []
        starts = grouped.starts.tolist()
        for code, start in zip(grouped.codes, starts, strict=True):
            cut, number = divmod(code, len(keys))
            if number not in self._by_number.get(cuts[cut][0], ()):
                unknown.append((int(grouped.order[start]), number, cuts[cut]))
        for _, number, of_cut in sorted(unknown):
            self._intake(number, of_cut, keys)

    def _intake(self, number: int, cut: Cut, keys: Keys) -> Intake:
        of_hour = self._by_number.get(cut[0])
        if of_hour is None:
            of_hour = self._by_number[cut[0]] = {}
        intake = of_hour.get(number)
        if intake is None:
            intake = self._made_for(keys.pairs[number], cut)
            # Making it may have dropped all others.
            self._by_number.setdefault(cut[0], {})[number] = intake
        return intake

    def _made_for(self, pair: Pair, cut: Cut) -> Intake:
        if self._made >= INTAKES_MAX:
            self.forget()
        pair = (pair[0], self.categories.admit(*pair))
        of_hour = self._by_pair.setdefault(cut[0], {})
        intake = of_hour.get(pair)
        if intake is None:
            intake = of_hour[pair] = self._made_of(self._cells, pair, cut, self._total(*cut))
            self._made += 1
        return intake

    def _total(self, hour: int, day: int) -> Intake:
        total = self._totals.get(hour)
        if total is None:
            total = self._totals[hour] = self._made_of(self._sums, ALL, (hour, day), None)
        return total

    def _made_of(
        self, cells: ServiceCells, pair: Pair, cut: Cut, total: Intake | None
    ) -> Intake:
        hour, day = cut
        oldest = cells.horizon
        return Intake(
            tuple(self._targets(cells, pair, hour, day)),
            pair,
            hour if hour >= oldest.hour else NO_CELL,
            day if day >= oldest.day else NO_CELL,
            total,
        )

    def _targets(
        self, cells: ServiceCells, pair: Pair, hour: int, day: int
    ) -> Iterator[ServiceCell]:
        in_hour, in_day = cells.at(hour, day)
        if in_hour is not None:
            yield _cell(in_hour, pair, exact_max=HOUR_EXACT_MAX, keeps_kll=False)
        if in_day is not None:
            keeps_kll = day > self.newest_day - KLL_DAYS
            yield _cell(in_day, pair, exact_max=DAY_EXACT_MAX, keeps_kll=keeps_kll)
        self.newest_day = max(self.newest_day, day)

    def _fail(self, intake: Intake, code: str) -> None:
        code = intern(self.codes.admit(intake.pair[0], code))  # one text for all cells
        assert intake.total is not None
        for cell in (*intake.cells, *intake.total.cells):
            cell.failures += 1
            cell.failures_by_code[code] = cell.failures_by_code.get(code, 0) + 1

    # -- on into the cells --------------------------------------------------------------------

    def _begin_to_wait(self, intake: Intake) -> None:
        if intake.total is None:
            self._waiting_totals[intake] = None
            return
        self._waiting_count += 1
        of_day = self._waiting.get(intake.day)
        if of_day is None:
            of_day = self._waiting[intake.day] = {}
        of_day[intake] = None

    def _wait_no_more(self, intake: Intake) -> None:
        if intake.total is None:
            del self._waiting_totals[intake]
            return
        self._waiting_count -= 1
        of_day = self._waiting[intake.day]
        del of_day[intake]
        if not of_day:
            del self._waiting[intake.day]

    def _flush(self, intake: Intake) -> None:
        latencies = Latencies.of(np.frombuffer(intake.pending_ms, np.float64))  # a copy
        for cell in intake.cells:
            cell.latency.add(latencies)
        del intake.pending_ms[:]
        self._wait_no_more(intake)
        if intake.total is not None and intake.day != self.newest_day:
            self.late[intake.pair] = self.late.get(intake.pair, 0) + 1
            self.late_flushes += 1

    def waiting_on(self, days: Iterable[int]) -> int:
        """How many calls wait for the sums of these days."""
        waiting = self._waiting_totals
        return sum(len(intake.pending_ms) for intake in waiting if intake.day in days)

    def waiting_in(self, span: Span) -> dict[Pair, int]:
        """How many calls wait for cells of the span, by pair."""
        days, hours = set(span.days), set(span.hours)
        found: dict[Pair, int] = {}
        for intake in chain.from_iterable(self._waiting.values()):
            if intake.day in days or intake.hour in hours:
                found[intake.pair] = found.get(intake.pair, 0) + len(intake.pending_ms)
        return found

    def settle(self) -> Generator[None, None, None]:
        """Bring what waits into the cells; before every dump."""
        yield from self.settle_totals()
        yield from self._settle_those(list(chain.from_iterable(self._waiting.values())))

    def settle_totals(self) -> Generator[None, None, None]:
        """Bring what waits into the sums."""
        yield from self._settle_those(list(self._waiting_totals))

    def settle_late(self) -> Generator[None, None, None]:
        """Bring in what waits for days that are over."""
        for day in [day for day in self._waiting if day != self.newest_day]:
            yield from self._settle_those(list(self._waiting[day]))

    def settle_of(self, pairs: Iterable[Pair]) -> Generator[None, None, None]:
        """Bring in what waits for these pairs."""
        for pair in pairs:
            found = [of_hour[pair] for of_hour in self._by_pair.values() if pair in of_hour]
            yield from self._settle_those([one for one in found if one.pending_ms])

    def _settle_those(self, waiting: Iterable[Intake]) -> Generator[None, None, None]:
        for intake in waiting:
            self._flush(intake)
            yield

    def forget(self) -> None:
        """Let go of the cells: a dump counts them as unchanged, or they expire."""
        for _ in self.settle():
            pass
        self._by_number.clear()
        self._by_pair.clear()
        self._totals.clear()
        self._made = 0


def _cell(
    cells: dict[Pair, ServiceCell], pair: Pair, *, exact_max: int, keeps_kll: bool
) -> ServiceCell:
    cell = cells.get(pair)
    if cell is None:
        sketch = LatencySketch(exact_max=exact_max, keeps_kll=keeps_kll)
        cell = cells[pair] = ServiceCell(sketch)
    return cell


def add_codes(into: dict[str, int], other: dict[str, int]) -> None:
    """Add counts by code to others."""
    for code, count in other.items():
        into[code] = into.get(code, 0) + count
