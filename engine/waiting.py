"""Facts that wait to be dealt together."""

from collections.abc import Sequence
from typing import Final

from engine.admission import Admission
from engine.columns import Keys
from engine.dedup import Run
from engine.events import ABSENT, Event
from engine.facts import Facts, read
from engine.timebucket import MINUTE_MS

DEAL_EVENTS_MAX: Final = 4_096
"""Events that are dealt together: about 2 ms of work."""


class Chunk:
    """Facts of some records that are dealt together, all received in the same minute.

    received_ms  when the last of them were
    runs         when they were received, and how many at a time
    unread       events whose facts are still to be read; they come after `facts`
    """

    __slots__ = ("_times_ms", "facts", "received_ms", "runs", "unread")

    def __init__(self, received_ms: int, keys: Keys) -> None:
        self.received_ms = received_ms
        self.facts = Facts(keys)
        self.runs: list[Run] = []
        self.unread: list[Event] = []
        self._times_ms: list[int] = []

    def __len__(self) -> int:
        return len(self.facts) + len(self.unread)

    def has_room(self, received_ms: int, events: int) -> bool:
        """Whether so many more may be dealt together with these."""
        is_same_minute = received_ms // MINUTE_MS == self.received_ms // MINUTE_MS
        return is_same_minute and len(self) + events <= DEAL_EVENTS_MAX

    def add(self, received_ms: int, facts: Facts) -> None:
        """Take the facts of one record, or some of them."""
        assert not self.unread
        if facts.keys is not self.facts.keys:
            facts.renumber(self.facts.keys)
        self.received_ms = received_ms
        self.runs.append((received_ms, len(facts)))
        self.facts.extend(facts)

    def put_off(
        self, received_ms: int, events: Sequence[Event], times_ms: Sequence[int]
    ) -> None:
        """Take the events of one record, to be read later."""
        self.received_ms = received_ms
        self.runs.append((received_ms, len(events)))
        self.unread += events
        self._times_ms += [received_ms if at_ms == ABSENT else at_ms for at_ms in times_ms]

    def read(self, admission: Admission) -> None:
        """Read what was put off."""
        if not self.unread:
            return
        if self.facts.keys is not admission.keys:
            self.facts.renumber(admission.keys)
        facts = read(self.unread, self._times_ms, admission, received_ms=None)
        self.facts.extend(facts)
        self.unread, self._times_ms = [], []
