"""Live figures of all shards together: running totals, counted where events are split.

They equal what the cells of the shards add up to, day by day (`tests/harness.py` compares the
two whenever they are asked for), and no snapshot holds them: at a start they are taken from the
cells, and from then on each event is counted both here and there. So nothing has to be folded
to answer with them.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np

from engine.cells import add_counts
from engine.columns import Column, cut_each
from engine.facts import CALLS, CONVERSIONS, SEARCHES, SESSIONS, VIEWS
from engine.lately import ActiveUsers
from engine.rollups import counters, revenue
from engine.rollups.counters import Arrived, Counters
from engine.timebucket import Calendar


class DayTotals:
    """One day.

    counts      in the order of `rollups.counters.Arrived`
    gmv_micros  {currency: sold, less what was refunded}
    """

    __slots__ = ("counts", "gmv_micros")

    def __init__(
        self, counts: Sequence[int] = Arrived(), gmv_micros: dict[str, int] | None = None
    ) -> None:
        self.counts = list(counts)
        self.gmv_micros = gmv_micros or {}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DayTotals):
            return NotImplemented
        return (self.counts, self.gmv_micros) == (other.counts, other.gmv_micros)

    __hash__ = None  # type: ignore[assignment]  # it grows

    def add(self, other: "DayTotals") -> None:
        """Add all that another counts."""
        add_counts(self.counts, other.counts)
        for currency, micros in other.gmv_micros.items():
            self.sell(currency, micros)

    def sell(self, currency: str, micros: int) -> None:
        """Count money that came in, or went back where it is negative."""
        self.gmv_micros[currency] = self.gmv_micros.get(currency, 0) + micros


class Totals:
    """By the day of the events, and by the minute in which they were received.

    minutes  the last of them
    active   users of those that live figures tell
    """

    def __init__(self, calendar: Calendar, *, keep_days: int) -> None:
        self._calendar = calendar
        self._keep_days = keep_days
        self._oldest_day = 0
        self._days: dict[int, DayTotals] = {}
        self.minutes = Counters()
        self.active = ActiveUsers(counters.LIVE_MINUTES)

    def day(self, day: int) -> DayTotals:
        """The totals of one day; nobody may change them."""
        return self._days.get(day) or DayTotals()

    def take(
        self,
        days: Iterable[tuple[int, DayTotals]],
        minutes: Iterable[Counters],
        active: ActiveUsers,
    ) -> None:
        """Start again with what the shards say about some days and about the last minutes."""
        self._days = {}
        for day, totals in days:
            self._of(day).add(totals)
        self.minutes = Counters()
        for of_shard in minutes:
            self.minutes.take(of_shard)
        self.active = active

    def begin(self, day: int) -> None:
        """It is that day now: forget those that are no longer kept."""
        self._oldest_day = day - self._keep_days
        for old in [known for known in self._days if known < self._oldest_day]:
            del self._days[old]

    def count(
        self,
        received_ms: int,
        arrived: Arrived,
        *,
        sizes: Sequence[int],
        ordered_ms: Column,
        failed: Sequence[int],
    ) -> None:
        """Count events of any days, received together.

        arrived     how many of which kind
        sizes       the same by `facts.KINDS`, of which `ordered_ms` has the instants in turn
        failed      places among the calls
        """
        self.minutes.add(received_ms, arrived)
        first, last = int(ordered_ms.min()), int(ordered_ms.max())
        day = self._calendar.cut(first)[1]
        if day == self._calendar.cut(last)[1]:
            self._add(day, arrived)
            return
        cuts, which = cut_each(self._calendar, ordered_ms)
        starts = [0, *accumulate(sizes)]
        parts = [
            which[starts[kind] : starts[kind + 1]]
            for kind in (CALLS, VIEWS, SEARCHES, CONVERSIONS, SESSIONS)
        ]
        parts.insert(counters.ERRORS, which.take(np.array(failed, np.int64)))
        counted = zip(
            *(np.bincount(part, minlength=len(cuts)).tolist() for part in parts), strict=True
        )
        for (_, day), counts in zip(cuts, counted, strict=True):
            if any(counts):
                self._add(day, counts)

    def _add(self, day: int, counts: Sequence[int]) -> None:
        if day >= self._oldest_day:
            add_counts(self._of(day).counts, counts)

    def sell(self, sales: Iterable[revenue.Fact]) -> None:
        """Count transactions."""
        for _, _, currency, at_ms, status, amount, _ in sales:
            day = self._calendar.cut(at_ms)[1]
            if day >= self._oldest_day:
                sold = amount if status == revenue.COMPLETED else -amount
                self._of(day).sell(currency, sold)

    def _of(self, day: int) -> DayTotals:
        totals = self._days.get(day)
        if totals is None:
            totals = self._days[day] = DayTotals()
        return totals
