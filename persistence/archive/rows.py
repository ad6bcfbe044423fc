"""From journal records to rows: duplicates, what is too old, thinning, exact money.

A pure function of the records in their order. What is dropped as a duplicate is what
`engine.sequence` drops: the same window of ids, asked with the same calls, portion by portion.
"""

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, get_args

import msgspec

from engine import events
from engine.codec import pack, unpack_all
from engine.config import Config
from engine.dedup import IdWindow
from engine.events import (
    ABSENT,
    Batch,
    Event,
    MarketplaceConversion,
    RevenueTransaction,
    correction_ms,
)
from engine.hashing import hash64_each
from engine.money import fee_micros, micros
from engine.sequence import portions
from engine.timebucket import DAY_MS
from persistence.archive.columns import STORED
from persistence.archive.thinning import Thinning

Row = tuple[Any, ...]

MADE: Final = ("seq", "received_ms", "at_ms", "_sample_interval")
"""What begins every row, whatever its type."""

MONEY: Final = ("amountMicros", "feeMicros")
"""What ends the rows of types that have an amount."""

_KEYS: Final = ("service_id", "experiment_id", "user_id", "session_id", "search_query")
"""The fields of which the first that is there is the index."""


class Kind(NamedTuple):
    """How the events of one type become rows.

    tag      its eventType
    columns  names of what a row holds, as `columns.STORED` has them after those of MADE
    fields   from an event to the fields among them
    key      from an event to its index
    """

    tag: str
    columns: tuple[str, ...]
    fields: Callable[[Any], Row]
    key: Callable[[Any], str]
    has_money: bool


def _kind(event_type: type[Event]) -> Kind:
    names = {field.name for field in msgspec.structs.fields(event_type)}
    held = [column for column in STORED if column.field in names]
    fields = operator.attrgetter(*[str(column.field) for column in held])
    has_money = event_type in (RevenueTransaction, MarketplaceConversion)
    columns = tuple(column.name for column in held) + (MONEY if has_money else ())
    tag = str(event_type.__struct_config__.tag)
    return Kind(tag, columns, fields, _key_of(names), has_money)


def _key_of(names: set[str]) -> Callable[[Any], str]:
    keys = [name for name in _KEYS if name in names]

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


class Taken(NamedTuple):
    """The rows of some records.

    rows      by type of event, in the order of `Kind.columns` after MADE
    first_ms  the earliest instant among them; last_ms the latest; 0 where there are none
    weight    how many events they stand for
    """

    rows: dict[type[Event], list[Row]]
    first_ms: int
    last_ms: int
    weight: int


class Taking:
    """What must be known of all records before: ids seen, the running second, the tally."""

    def __init__(self, config: Config) -> None:
        self.tally = Tally()
        self._window = IdWindow(
            ids_max=config.dedupe_ids_max, keep_ms=config.dedupe_days * DAY_MS
        )
        self._raw_keep_ms = config.raw_keep_days * DAY_MS
        self._thinning: Thinning[Event] = Thinning(config.thin_above_per_s, key_of)

    def take(self, first_seq: int, received_ms: int, batches: Sequence[Batch]) -> Taken:
        """The rows of one record."""
        found, times_ms, seqs = self._fresh(first_seq, received_ms, batches)
        weights = self._thinning.weights(found, seqs, received_ms)
        oldest_ms = received_ms - self._raw_keep_ms
        if weights is not None or min(times_ms, default=oldest_ms) < oldest_ms:
            return self._picked(found, times_ms, seqs, weights, received_ms)
        self.tally.rows += len(found)
        rows = _rows(found, times_ms, seqs, received_ms)
        return Taken(rows, min(times_ms, default=0), max(times_ms, default=0), len(found))

    def _picked(
        self,
        found: Sequence[Event],
        times_ms: Sequence[int],
        seqs: Sequence[int],
        weights: Sequence[int] | None,
        received_ms: int,
    ) -> Taken:
        """The rows of what is young enough and was not thinned out."""
        oldest_ms = received_ms - self._raw_keep_ms
        by_weight: dict[int, tuple[list[Event], list[int], list[int]]] = {}
        for place, (event, at_ms) in enumerate(zip(found, times_ms, strict=True)):
            if at_ms < oldest_ms:
                self.tally.too_old += 1
            elif not (weight := 1 if weights is None else weights[place]):
                self.tally.thinned += 1
            else:
                self.tally.rows += 1
                alike = by_weight.setdefault(weight, ([], [], []))
                alike[0].append(event)
                alike[1].append(at_ms)
                alike[2].append(seqs[place])
        rows: dict[type[Event], list[Row]] = {}
        for weight, alike in by_weight.items():
            for kind, more in _rows(*alike, received_ms, weight).items():
                rows.setdefault(kind, []).extend(more)
        kept_ms = [at_ms for _, of_weight, _ in by_weight.values() for at_ms in of_weight]
        total = sum(weight * len(alike[0]) for weight, alike in by_weight.items())
        return Taken(rows, min(kept_ms, default=0), max(kept_ms, default=0), total)

    def pass_by(self, received_ms: int, batches: Sequence[Batch]) -> None:
        """Remember a record whose rows are written already."""
        found, _, seqs = self._fresh(0, received_ms, batches)
        self._thinning.weights(found, seqs, received_ms)

    def pass_notice(self) -> None:
        """Pass a notice: what is dumped from here on names nobody who was there before."""
        self._thinning.begin_anew()

    def know(self, event_ids: Sequence[str], received_ms: int) -> None:
        """Remember ids of rows that are there, when the window itself is lost."""
        if event_ids:
            self._window.duplicates(hash64_each(event_ids), received_ms)

    def _fresh(
        self, first_seq: int, received_ms: int, batches: Sequence[Batch]
    ) -> tuple[list[Event], list[int], Sequence[int]]:
        """Events that were not seen before, their instants by our clock, their numbers."""
        found: list[Event] = []
        times_ms: list[int] = []
        seqs: list[int] = []
        for portion in portions(batches):
            more, more_ms, more_seqs = self._fresh_of(first_seq, received_ms, portion)
            first_seq += sum(len(batch.events) for batch in portion)
            found += more
            times_ms += more_ms
            seqs += more_seqs
        return found, times_ms, seqs

    def _fresh_of(
        self, first_seq: int, received_ms: int, portion: Sequence[Batch]
    ) -> tuple[list[Event], list[int], Sequence[int]]:
        """The same of what is asked of the window at once."""
        found: list[Event] = []
        times_ms: list[int] = []
        for batch in portion:
            skew_ms = correction_ms(received_ms, batch.sent_at_ms)
            found += batch.events
            times_ms += [
                received_ms if at_ms == ABSENT else at_ms + skew_ms for at_ms in batch.times_ms
            ]
        self.tally.events += len(found)
        seqs: Sequence[int] = range(first_seq, first_seq + len(found))
        ids = [event.event_id for event in found]
        known = [text for text in ids if text is not None]
        if not known:
            return found, times_ms, seqs
        hashes = hash64_each(known)
        if len(known) < len(ids):
            with_id = iter(hashes)
            hashes = [0 if text is None else next(with_id) for text in ids]
        duplicates = self._window.duplicates(hashes, received_ms)
        if duplicates:
            self.tally.duplicates += len(duplicates)
            seqs = list(seqs)
            for place in reversed(duplicates):
                del found[place], times_ms[place], seqs[place]
        return found, times_ms, seqs

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


def _rows(
    found: Sequence[Event],
    times_ms: Sequence[int],
    seqs: Sequence[int],
    received_ms: int,
    weight: int = 1,
) -> dict[type[Event], list[Row]]:
    """Each event as a row that stands for `weight`, by type."""
    by_type: dict[type[Event], tuple[list[Event], list[int], list[int]]] = {}
    for event, at_ms, seq in zip(found, times_ms, seqs, strict=True):
        alike = by_type.get(type(event))
        if alike is None:
            alike = by_type[type(event)] = ([], [], [])
        alike[0].append(event)
        alike[1].append(at_ms)
        alike[2].append(seq)
    rows: dict[type[Event], list[Row]] = {}
    for kind, (of_kind, of_kind_ms, of_kind_seqs) in by_type.items():
        fields = map(KINDS[kind].fields, of_kind)
        if KINDS[kind].has_money:
            fields = map(operator.add, fields, map(_money, of_kind))
        rows[kind] = [
            (seq, received_ms, at_ms, weight, *rest)
            for seq, at_ms, rest in zip(of_kind_seqs, of_kind_ms, fields, strict=True)
        ]
    return rows


def _money(event: Event) -> Row:
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
