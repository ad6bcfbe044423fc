"""From journal records to rows: duplicates, what is too old, thinning, exact money.

A pure function of the records in their order, however many are taken at once. It drops the same
duplicates as `engine.sequence`, because the same window is given the same ids.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import compress, pairwise
from typing import Any, Final, NamedTuple, get_args

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine import events
from engine.codec import pack, unpack_all
from engine.columns import column, hashes_column
from engine.config import Config
from engine.dedup import IdWindow
from engine.events import (
    Batch,
    Event,
    MarketplaceConversion,
    RevenueTransaction,
    instants_ms,
)
from engine.hashing import digests, hash64_each
from engine.money import fee_micros, micros
from engine.timebucket import DAY_MS
from persistence.archive.columns import STORED, Stored
from persistence.archive.thinning import Thinning

Numbers = NDArray[np.int64]

MONEY: Final = ("amountMicros", "feeMicros")
"""Columns of the types that have an amount, made of it."""

OWNERS: Final = ("service_id", "experiment_id")
"""The fields of which the first that a type has is `blob2`, and the index."""

SENDERS: Final = ("user_id", "session_id", "search_query")
"""The fields of which the first that is present is the index, if there is no owner."""


class Kind(NamedTuple):
    """How the events of one type become rows.

    tag      its eventType
    columns  of `columns.STORED`, those that are fields of the type
    key      from an event to its index
    """

    tag: str
    columns: tuple[Stored, ...]
    key: Callable[[Any], str]
    has_money: bool


def _kind(event_type: type[Event]) -> Kind:
    names = {field.name for field in msgspec.structs.fields(event_type)}
    columns = tuple(column for column in STORED if column.field in names)
    return Kind(
        tag=str(event_type.__struct_config__.tag),
        columns=columns,
        key=_key_of(names),
        has_money=event_type in (RevenueTransaction, MarketplaceConversion),
    )


def _key_of(names: set[str]) -> Callable[[Any], str]:
    keys = [name for name in (*OWNERS, *SENDERS) if name in names]

    def key(event: Event) -> str:
        for name in keys:
            found: str | None = getattr(event, name)
            if found is not None:
                return found
        return ""

    return key


KINDS: Final[Mapping[type[Event], Kind]] = {one: _kind(one) for one in get_args(Event)}


def key_of(event: Event) -> str:
    """What `index1` holds."""
    return KINDS[type(event)].key(event)


class Tally(msgspec.Struct):
    """What became of the events that the archive has passed.

    events      all of them
    duplicates  dropped, since their id was known
    too_old     dropped, since older than raw rows are kept
    thinned     left out; other rows stand for them
    rows        written
    """

    events: int = 0
    duplicates: int = 0
    too_old: int = 0
    thinned: int = 0
    rows: int = 0


class Told(NamedTuple):
    """A record of the journal, decoded."""

    first_seq: int
    received_ms: int
    batches: Sequence[Batch]


class Taken(NamedTuple):
    """The events of some records that become rows, in their order.

    times_ms, received_ms, seqs  of each: when it happened and when it came, and its number
    weights  how many events each stands for
    """

    events: Sequence[Event]
    times_ms: Numbers
    received_ms: Numbers
    seqs: Numbers
    weights: Numbers

    def span(self) -> "Span":
        """What is known of them when they are gone."""
        if not self.events:
            return Span(0, 0, 0, 0)
        return Span(
            rows=len(self.events),
            weight=int(self.weights.sum()),
            first_ms=int(self.times_ms.min()),
            last_ms=int(self.times_ms.max()),
        )

    def only(self, kept: NDArray[np.bool_]) -> "Taken":
        """Those that are kept."""
        if kept.all():
            return self
        numbers = (column[kept] for column in self[1:])
        return Taken(list(compress(self.events, kept)), *numbers)


class Span(NamedTuple):
    """How many rows, for how many events, from when to when; 0 where there are none."""

    rows: int
    weight: int
    first_ms: int
    last_ms: int


class Taking:
    """What must be known of all records before: ids seen, the running second, the tally."""

    def __init__(self, config: Config) -> None:
        self.tally = Tally()
        self._window = IdWindow(
            ids_max=config.dedupe_ids_max, keep_ms=config.dedupe_days * DAY_MS
        )
        self._raw_keep_ms = config.raw_keep_days * DAY_MS
        self._thinning: Thinning[Event] = Thinning(config.thin_above_per_s, key_of)

    def take(self, told: Sequence[Told]) -> Taken:
        """The rows of some records; many at once are the same as each by itself."""
        fresh = self._fresh(told)
        young = fresh.times_ms >= fresh.received_ms - self._raw_keep_ms
        kept = young & (fresh.weights > 0)
        self.tally.too_old += int(np.count_nonzero(~young))
        self.tally.thinned += int(np.count_nonzero(young & ~kept))
        self.tally.rows += int(np.count_nonzero(kept))
        return fresh.only(kept)

    def pass_by(self, told: Sequence[Told]) -> None:
        """Remember records whose rows are written already."""
        self._fresh(told)

    def pass_notice(self) -> None:
        """Pass a notice: what is dumped from here on names nobody who was there before."""
        self._thinning.begin_anew()

    def know(self, event_ids: Sequence[str], received_ms: int) -> None:
        """Remember ids of rows that are there, when the window itself is lost."""
        if event_ids:
            self._window.duplicates(hash64_each(event_ids), received_ms)

    def _fresh(self, told: Sequence[Told]) -> Taken:
        """The events that were not seen before; 0 as the weight of what is thinned out."""
        events: list[Event] = []
        times_ms: list[int] = []
        counts = []
        for record in told:
            before = len(events)
            for batch in record.batches:
                events += batch.events
                times_ms += instants_ms(batch, record.received_ms)
            counts.append(len(events) - before)
        self.tally.events += len(events)
        received_ms = [record.received_ms for record in told]
        seqs = [
            np.arange(count) + one.first_seq for one, count in zip(told, counts, strict=True)
        ]
        arrived = Taken(
            events,
            column(times_ms),
            np.repeat(np.array(received_ms, np.int64), counts),
            np.concatenate(seqs) if seqs else np.empty(0, np.int64),
            np.ones(len(events), np.int64),
        )
        ids = hashes_column(digests([event.event_id for event in events]))
        runs = list(zip(received_ms, counts, strict=True))
        duplicates = self._window.duplicates(ids, runs)
        self.tally.duplicates += len(duplicates)
        kept = np.full(len(events), True)
        kept[duplicates] = False
        fresh = arrived.only(kept)
        self._thin(fresh, told)
        return fresh

    def _thin(self, fresh: Taken, told: Sequence[Told]) -> None:
        """Set the weights, record by record."""
        starts = np.searchsorted(fresh.seqs, [record.first_seq for record in told]).tolist()
        for record, (start, end) in zip(
            told, pairwise([*starts, len(fresh.events)]), strict=True
        ):
            bodies = [(batch.kind, batch.body) for batch in record.batches]
            seqs = fresh.seqs[start:end]
            weights = self._thinning.weights(
                fresh.events[start:end],
                seqs,
                record.received_ms,
                partial(_again, bodies, seqs - record.first_seq),
            )
            if weights is not None:
                fresh.weights[start:end] = weights

    # -- keep ---------------------------------------------------------------------------------

    def dump(self, *, full: bool) -> list[bytes]:
        """The ids seen, or those since the last dump; for `load`."""
        return [pack(part) for part in self._window.dump(full=full)]

    def meta(self) -> dict[str, Any]:
        """The rest of it, small; for `load`."""
        return {"thinning": self._thinning.dump()}

    def load(self, parts: Sequence[bytes], meta: Mapping[str, Any]) -> None:
        """Take back dumps, oldest first, and what `meta` said with the last one."""
        self._window.load([one for part in parts for one in unpack_all(part)])
        self._thinning.load(meta["thinning"])


def _again(bodies: Sequence[tuple[int, bytes]], places: Numbers) -> list[Event]:
    """The events at these places of the bodies."""
    told = [event for kind, body in bodies for event in events.replay(kind, body).events]
    return [told[place] for place in places.tolist()]


def money_of(event: Event) -> tuple[int | None, int | None]:
    """Amount and fee in exact millionths, None where absent."""
    assert isinstance(event, RevenueTransaction | MarketplaceConversion)
    if event.amount is None:
        return None, None
    amount = micros(event.amount)
    rate = event.take_rate if isinstance(event, RevenueTransaction) else None
    return amount, None if rate is None else fee_micros(amount, rate)


def batches_of(bodies: Sequence[events.Body]) -> Iterator[Batch]:
    """The batches that were accepted as these bodies, notices left out.

    Raises as `events.replay` does.
    """
    return (
        events.replay(body.kind, body.data)
        for body in bodies
        if body.kind != events.Kind.NOTICE
    )
