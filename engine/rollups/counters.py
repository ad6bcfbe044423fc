"""The last minutes: how many events of each kind were received in each of them."""

from typing import Final, NamedTuple

from engine.cells import Dumped, Horizon, Owner, Slots, add_counts
from engine.timebucket import MINUTE_MS

MINUTES_MAX: Final = 60
"""Minutes that are kept, the running one included."""
LIVE_MINUTES: Final = 5
"""Of them, those that the live figures tell."""

EXECUTIONS, ERRORS, VIEWS, SEARCHES, CONVERSIONS, SESSIONS = range(6)
WIDTH: Final = 6


class Arrived(NamedTuple):
    """Events of one record, in the order of the constants above."""

    executions: int = 0
    errors: int = 0
    views: int = 0
    searches: int = 0
    conversions: int = 0
    sessions: int = 0


class Counters:
    """A ring of minutes by time of receipt: it shows what arrives, whenever that happened."""

    name: Final = "counters"

    def __init__(self) -> None:
        self._minutes: dict[int, list[int]] = {}

    def add(self, received_ms: int, arrived: Arrived) -> None:
        """Count the events of one record."""
        minute = received_ms // MINUTE_MS
        known = self._minutes.get(minute)
        if known is None:
            known = self._minutes[minute] = [0] * WIDTH
            for old in [m for m in self._minutes if m <= minute - MINUTES_MAX]:
                del self._minutes[old]
        add_counts(known, arrived)

    def take(self, other: "Counters") -> None:
        """Add all that another has counted."""
        for minute, counts in other._minutes.items():
            add_counts(self._minutes.setdefault(minute, [0] * WIDTH), counts)

    def last(self, minutes: int, *, now_ms: int) -> list[int]:
        """What was received in the last `minutes` minutes, the running one included.

        Minutes to come are those of a clock that was set back since.
        """
        running = now_ms // MINUTE_MS
        totals = [0] * WIDTH
        for minute, counts in self._minutes.items():
            if running - minutes < minute <= running:
                add_counts(totals, counts)
        return totals

    def expire(self, horizon: Horizon) -> None:
        """Minutes leave by themselves."""

    def dump(self, *, full: bool) -> Dumped:
        """All minutes, whether `full` or not: they are few."""
        yield ("minutes", 0), list(self._minutes.items())

    def load(self, slots: Slots, owner: Owner) -> None:
        """Take back what one former shard dumped."""
        if owner.unkeyed:
            for minute, counts in slots[("minutes", 0)]:
                add_counts(self._minutes.setdefault(minute, [0] * WIDTH), counts)
