"""Events that wait to be dealt together, and what is read of them while they are hot.

Just decoded, an event and its texts lie in the nearest caches; some hundred microseconds later
they do not. So hashes are reckoned, and types told apart, as events come and not as they go.
"""

from collections.abc import Sequence
from typing import Any, Final

from engine.dedup import Run
from engine.events import (
    ABSENT,
    Batch,
    Event,
    ExperimentConversion,
    ExperimentView,
    MarketplaceConversion,
    MarketplaceSearch,
    MarketplaceView,
    RevenueTransaction,
    ServiceExecution,
    UserSession,
    correction_ms,
)
from engine.hashing import hash64_each
from engine.timebucket import MINUTE_MS

DEAL_EVENTS_MAX: Final = 2_048
"""Events that are dealt together: 2 to 3 ms of work."""

Timed = tuple[list[Any], list[int]]
"""(events of one type, the instants they happened at)"""

Timeds = dict[type[Event], Timed]

KINDS: Final[tuple[type[Event], ...]] = (
    ServiceExecution,
    MarketplaceView,
    MarketplaceConversion,
    MarketplaceSearch,
    RevenueTransaction,
    ExperimentView,
    ExperimentConversion,
    UserSession,
)


class Chunk:
    """Events of some records that are dealt together, all received in the same minute.

    received_ms    when the last of them were
    times_ms       instants by our clock
    ids, users     hashes of event ids and users, 0 where there is none
    timeds         the events again, by type
    runs           when the events were received, and how many at a time
    """

    __slots__ = ("events", "ids", "received_ms", "runs", "timeds", "times_ms", "users")

    def __init__(self, received_ms: int) -> None:
        self.received_ms = received_ms
        self.events: list[Event] = []
        self.times_ms: list[int] = []
        self.ids: list[int] = []
        self.users: list[int] = []
        self.timeds: Timeds = {kind: ([], []) for kind in KINDS}
        self.runs: list[Run] = []

    def has_room(self, received_ms: int, count: int) -> bool:
        """Whether so many events more may be dealt with these."""
        is_same_minute = received_ms // MINUTE_MS == self.received_ms // MINUTE_MS
        return is_same_minute and len(self.events) + count <= DEAL_EVENTS_MAX

    def add(self, received_ms: int, events: Sequence[Event], times_ms: Sequence[int]) -> None:
        """Take events of one record."""
        self.received_ms = received_ms
        self.events += events
        self.times_ms += times_ms
        self.ids += hash64_each([event.event_id for event in events])
        self.users += hash64_each([event.user_id for event in events])
        self._sort_in(events, times_ms)
        self.runs.append((received_ms, len(events)))

    def _sort_in(self, events: Sequence[Event], times_ms: Sequence[int]) -> None:
        puts = {kind: (some.append, ms.append) for kind, (some, ms) in self.timeds.items()}
        for event, at_ms in zip(events, times_ms, strict=True):
            put, put_ms = puts[type(event)]
            put(event)
            put_ms(at_ms)

    def drop(self, positions: Sequence[int]) -> None:
        """Forget the events at these positions, which ascend."""
        for position in reversed(positions):
            del self.events[position], self.times_ms[position], self.users[position]
        self.timeds = {kind: ([], []) for kind in KINDS}
        self._sort_in(self.events, self.times_ms)


def instants_ms(batch: Batch, received_ms: int) -> Sequence[int]:
    """The instants of a batch by our clock."""
    skew_ms = correction_ms(received_ms, batch.sent_at_ms)
    if not skew_ms and ABSENT not in batch.times_ms:
        return batch.times_ms
    return [received_ms if at_ms == ABSENT else at_ms + skew_ms for at_ms in batch.times_ms]
