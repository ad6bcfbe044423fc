"""What the sequence hands to a shard: facts by kind, numbered, admitted, no duplicates."""

from dataclasses import dataclass, field
from typing import Final

from engine.columns import Keys, Table
from engine.intake import Failure
from engine.rollups import counters, experiments, names, revenue, users
from engine.subscriptions import Payment

TABLES: Final = ("calls", "views", "conversions", "searches", "active")
LISTS: Final = ("sales", "payments", "exposures", "goals", "sessions", "labels")
ALL_KINDS: Final = (*TABLES, *LISTS)
"""The fields of `Group` that hold facts: as columns, and as objects one by one."""


@dataclass(slots=True)
class Group:
    """One shard's part of the records that are dealt together, in the order of arrival.

    received_ms  when the last of the records was received
    keys         what the numbers of pairs (service and category, or search term) refer to
    calls        rows: numbers of pairs, instants, latencies as the bits of a float64
    failures     (number, instant, error code or '') of the calls that failed
    views, conversions, searches   rows: numbers, instants, and 1 where a search found nothing
    active       rows: hashes of users as the bits of an int64, instants
    arrived      how many events came, by type, and how many of the calls failed
    facts        how many there are; 0 where nothing in these records concerns this shard
    """

    received_ms: int
    keys: Keys
    calls: Table | None = None
    failures: list[Failure] = field(default_factory=list)
    views: Table | None = None
    conversions: Table | None = None
    searches: Table | None = None
    active: Table | None = None
    sales: list[revenue.Fact] = field(default_factory=list)
    payments: list[Payment] = field(default_factory=list)
    exposures: list[experiments.Exposure] = field(default_factory=list)
    goals: list[experiments.Conversion] = field(default_factory=list)
    sessions: list[users.Finished] = field(default_factory=list)
    labels: list[names.Fact] = field(default_factory=list)
    arrived: counters.Arrived | None = None
    facts: int = 0

    def count(self) -> None:
        """Say how many facts there are."""
        tables = (self.calls, self.views, self.conversions, self.searches, self.active)
        self.facts = sum([table.shape[1] for table in tables if table is not None]) + (
            len(self.sales)
            + len(self.payments)
            + len(self.exposures)
            + len(self.goals)
            + len(self.sessions)
            + len(self.labels)
        )
