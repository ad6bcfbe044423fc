"""Facts that wait to be dealt together."""

from typing import Final

from engine.columns import Keys
from engine.dedup import Run
from engine.facts import Facts
from engine.timebucket import MINUTE_MS

DEAL_EVENTS_MAX: Final = 2_048
"""Events that are dealt together: about 1.5 ms of work."""


class Chunk:
    """Facts of some records that are dealt together, all received in the same minute.

    received_ms  when the last of them were
    runs         when they were received, and how many at a time
    """

    __slots__ = ("facts", "received_ms", "runs")

    def __init__(self, received_ms: int, keys: Keys) -> None:
        self.received_ms = received_ms
        self.facts = Facts(keys)
        self.runs: list[Run] = []

    def has_room(self, received_ms: int, facts: Facts) -> bool:
        """Whether these may be dealt with those that are here."""
        return (
            received_ms // MINUTE_MS == self.received_ms // MINUTE_MS
            and len(self.facts) + len(facts) <= DEAL_EVENTS_MAX
            and facts.keys is self.facts.keys
        )

    def add(self, received_ms: int, facts: Facts) -> None:
        """Take the facts of one record, or some of them."""
        self.received_ms = received_ms
        self.runs.append((received_ms, len(facts)))
        self.facts.extend(facts)
