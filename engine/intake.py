"""Calls on their way into the cells that count them: what waits, and where it goes.

Latencies wait as plain columns and reach the sketches of hour, day and both sums by the
hundred: one by one costs 18 times as much. Failures are counted at once.
"""

from array import array
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from sys import getsizeof, intern
from typing import Final

import numpy as np

from engine.cells import OTHER, Cells
from engine.columns import Cut, Grouped, Keys, Pair, Table, cut_each
from engine.quantile import Latencies, LatencySketch
from engine.timebucket import Calendar

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
"""Intakes that hold something back; a question has to bring all of them in, at 20 µs each."""

INTAKES_MAX: Final = 65_536
"""Keys and hours with latencies on the way; more arrive only when much history is imported."""

LATENCY_BYTES: Final = 8

INTAKE_BYTES: Final = 400
"""One that holds little: itself, its column, and its places in two dictionaries."""

CELL_BYTES: Final = 56
"""A cell by itself, with what the garbage collector adds to it."""

ALL: Final[Pair] = ("", "")


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

    Those of a pair go into its cells, and on to `total`, the intake of all pairs, where they
    wait for others: so its sketches, too, take them by the hundred and not by the few.
    """

    cells: tuple[ServiceCell, ...]
    pair: Pair
    day: int
    total: "Intake | None"
    pending_ms: "array[float]" = field(default_factory=lambda: array("d"))


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
        self._waiting: deque[Intake] = deque()
        self._totals: dict[int, Intake] = {}
        self._waiting_totals: deque[Intake] = deque()

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
        cuts, which = cut_each(self._calendar, calls[1])
        grouped = Grouped(which * len(keys) + calls[0])
        self._meet(grouped, cuts, keys)
        held = calls[2].take(grouped.order).tobytes()
        waiting = self._waiting
        starts: list[int] = grouped.starts.tolist()
        for code, start, end in zip(grouped.codes, starts, grouped.ends, strict=True):
            cut, number = divmod(code, len(keys))
            intake = self._intake(number, cuts[cut], keys)
            pending = intake.pending_ms
            if not pending:
                waiting.append(intake)
            pending.frombytes(held[LATENCY_BYTES * start : LATENCY_BYTES * end])
            if len(pending) >= PENDING_MAX:
                self._flush(intake)
        for number, at_ms, error in failures:
            self._fail(self._intake(number, self._calendar.cut(at_ms), keys), error)
        while len(waiting) > WAITING_MAX:
            self._flush(waiting.popleft())

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
            # Making it may have let go of all others.
            self._by_number.setdefault(cut[0], {})[number] = intake
        return intake

    def _made_for(self, pair: Pair, cut: Cut) -> Intake:
        if self._made >= INTAKES_MAX:
            self.forget()
        hour, day = cut
        pair = (pair[0], self.categories.admit(*pair))
        of_hour = self._by_pair.setdefault(hour, {})
        intake = of_hour.get(pair)
        if intake is None:
            cells = tuple(self._targets(self._cells, pair, hour, day))
            intake = of_hour[pair] = Intake(cells, pair, day, self._total(hour, day))
            self._made += 1
        return intake

    def _total(self, hour: int, day: int) -> Intake:
        total = self._totals.get(hour)
        if total is None:
            cells = tuple(self._targets(self._sums, ALL, hour, day))
            total = self._totals[hour] = Intake(cells, ALL, day, None)
        return total

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

    def _flush(self, intake: Intake) -> None:
        pending = intake.pending_ms
        if not pending:
            return  # it was full before it was its turn
        latencies = Latencies.of(np.frombuffer(pending, np.float64))  # which is a copy
        for cell in intake.cells:
            cell.latency.add(latencies)
        if intake.total is not None:
            self._pass_on(pending, intake.total)
        del pending[:]
        if intake.day != self.newest_day:
            self.late[intake.pair] = self.late.get(intake.pair, 0) + 1
            self.late_flushes += 1

    def _pass_on(self, values_ms: "array[float]", total: Intake) -> None:
        if not total.pending_ms:
            self._waiting_totals.append(total)
        total.pending_ms.extend(values_ms)
        if len(total.pending_ms) >= TOTAL_PENDING_MAX:
            self._flush(total)
        elif len(self._waiting_totals) > WAITING_TOTALS_MAX:
            self._flush(self._waiting_totals.popleft())

    def waiting_on(self, days: Iterable[int]) -> int:
        """How many calls wait for the sums of these days."""
        waiting = {*self._waiting, *self._waiting_totals}
        return sum(len(intake.pending_ms) for intake in waiting if intake.day in days)

    def settle(self) -> Generator[None, None, None]:
        """Bring what waits into the cells; before every answer and every dump."""
        for waiting in (self._waiting, self._waiting_totals):
            while waiting:
                self._flush(waiting.popleft())
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
