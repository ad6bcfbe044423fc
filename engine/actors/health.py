"""What the engine says about itself: rates, depths with their limits, sizes and ages."""

from collections.abc import Sequence
from typing import Self

from msgspec import Struct

from engine.actors.sequencer import Sequencer
from engine.config import Config
from engine.sequence import Sequencing


class QueueHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """Events that wait to be written; `inboxes` are the groups that wait for each shard."""

    depth: int
    limit: int
    peak: int
    bytes: int
    inboxes: list[int]


class JournalHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """The journal; `failure` says why no event is taken until a restart."""

    last_seq: int
    size_bytes: int
    groups: int
    durability: str
    failure: str | None


class SnapshotHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """The newest snapshot: what it covers, and how old it is; null where there is none."""

    seq: int
    age_s: float | None

    @classmethod
    def at(cls, seq: int, written_ms: int | None, now_ms: int) -> Self:
        """The health of a snapshot written at `written_ms`, or of none."""
        age_s = None if written_ms is None else max(0.0, (now_ms - written_ms) / 1000)
        return cls(seq=seq, age_s=age_s)


class Health(Struct, frozen=True, kw_only=True, rename="camel"):
    """All of it; `overCap` counts facts that went to `__other__`, by kind of key.

    Its `subscriptions` are payments that no place was left for, since the start.
    """

    events_per_second: float
    events: int
    duplicates: int
    queue: QueueHealth
    journal: JournalHealth
    snapshot: SnapshotHealth
    over_cap: dict[str, int]


def health_of(
    sequencer: Sequencer,
    sequencing: Sequencing,
    journal_bytes: int,
    config: Config,
    snapshot: SnapshotHealth,
    *,
    events_per_second: float,
    inboxes: Sequence[int],
    subscriptions_refused: int,
) -> Health:
    """Put together what each part says of itself."""
    queue, failure = sequencer.queue, sequencer.failure
    over_cap = sequencing.over_cap()
    if subscriptions_refused:
        over_cap["subscriptions"] = subscriptions_refused
    return Health(
        events_per_second=events_per_second,
        events=sequencing.tally.events,
        duplicates=sequencing.tally.duplicates,
        queue=QueueHealth(
            depth=queue.events,
            limit=config.queue_events_max,
            peak=queue.events_peak,
            bytes=queue.bytes,
            inboxes=list(inboxes),
        ),
        journal=JournalHealth(
            last_seq=sequencer.taken_seq,
            size_bytes=journal_bytes,
            groups=sequencer.groups,
            durability=config.durability,
            failure=None if failure is None else str(failure),
        ),
        snapshot=snapshot,
        over_cap=over_cap,
    )
