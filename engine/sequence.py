"""From a journal record to one message per shard: duplicates, numbers, caps, split.

Live and replay both call `add` and `deal`, for what lies between the journal and the fold must
be the same computation: it depends on the records in their order and on nothing else, least of
all on how many are dealt at a time (tests/properties/test_engine_laws.py). It works on columns,
one type of event after the other: what numpy and list comprehensions do for many events at once
costs a fraction of what a loop over them does.
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine import erasure
from engine.admission import UNNUMBERED, Admission
from engine.codec import pack, packed_before_bytes, unpack_all
from engine.columns import Column, Table, dealt, hashes_column
from engine.config import Config
from engine.dedup import IdWindow
from engine.erasure import Erase, Erasures, Secret
from engine.events import (
    ABSENT,
    Batch,
    Body,
    Event,
    ExperimentConversion,
    ExperimentView,
    MarketplaceView,
    RevenueTransaction,
    ServiceExecution,
    correction_ms,
)
from engine.facts import (
    CALLS,
    CONVERSIONS,
    EXPOSURES,
    GOALS,
    KEYED,
    KINDS,
    SALES,
    SEARCHES,
    SESSIONS,
    VIEWS,
    Facts,
    Kept,
    read,
)
from engine.hashing import hash64, shard_of
from engine.money import fee_micros, micros, month_micros
from engine.recent import Hashes, RecentUsers
from engine.rollups import counters, experiments, names, revenue
from engine.sharing import Shared
from engine.state import Group
from engine.timebucket import DAY_MS, QUARTER_MS, Calendar, add_interval
from engine.totals import Totals
from engine.waiting import DEAL_EVENTS_MAX, Chunk

Timed = Iterable[tuple[Any, int]]
"""(event of one type, its instant)"""

HOMES_MAX: Final = 65_536
"""Experiments and services whose shard is remembered; a look-up costs a fifth of the hash."""

READ_EVENTS_MIN: Final = 256
"""Events that are read together: of fewer, each costs more than being cold does."""

TAKE_EVENTS_MAX: Final = 1_024
"""Events after which no further batch is taken in the same step: about a millisecond."""

US_ROUNDED_MS_MAX: Final = 1e15
"""From here on a double holds no thousandths, and further on a product would overflow."""

_KEYED_KINDS: Final[NDArray[np.uint8]] = np.arange(KEYED, dtype=np.uint8)


@dataclass(slots=True)
class Tally:
    """What has been taken since the data folder was begun."""

    events: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Forget:
    """What each shard is told of somebody who is erased; `owner` is the shard of the user."""

    user: int
    owner: int


class Sequencing:
    """What must be known of all events before they are split: ids seen, names admitted."""

    def __init__(
        self, config: Config, calendar: Calendar, secret: Secret | None = None
    ) -> None:
        """secret  reads notices; without it there must be none"""
        self._calendar = calendar
        self._secret = secret
        self.erasures = Erasures(config.keep_days)
        self._shards = config.shards
        self._window = IdWindow(
            ids_max=config.dedupe_ids_max, keep_ms=config.dedupe_days * DAY_MS
        )
        self._admission = Admission(config, calendar)
        self.caps = self._admission.caps
        self._recent = RecentUsers()
        self.totals = Totals(calendar, keep_days=config.keep_days)
        self._day = 0
        self._homes: dict[str, int] = {}
        self._waiting: deque[Chunk] = deque()
        self._dealt: deque[list[Group]] = deque()
        self._tally = Tally()

    def memory_bytes(self) -> dict[str, int]:
        """What the event ids that are remembered occupy, and the names that are admitted."""
        return {
            "eventIds": self._window.memory_bytes(),
            "admission": self._admission.memory_bytes(),
        }

    # -- take ---------------------------------------------------------------------------------

    def read(self, received_ms: int, batches: Sequence[Batch]) -> Iterator[Facts]:
        """What the batches of one record say, some at a time; it changes nothing.

        The batches are needed no longer then, and their events had better go: it may be a while
        until what they say is dealt.
        """
        for portion in portions(batches):
            events, times_ms = _told(received_ms, portion)
            for start in range(0, len(events), DEAL_EVENTS_MAX):
                some = slice(start, start + DEAL_EVENTS_MAX)
                yield read(
                    events[some], times_ms[some], self._admission, received_ms=received_ms
                )

    def keep(self, batch: Batch) -> Kept:
        """What one batch says, read before it is known when its record will be written.

        For large requests, whose first events would be cold by then. Their sender's clock must
        not be told, for what it is off by is not known yet either.
        """
        assert batch.sent_at_ms == ABSENT
        body = Body(batch.kind, len(batch.events), batch.body)
        return Kept(body, read(batch.events, batch.times_ms, self._admission, received_ms=None))

    def add(self, received_ms: int, facts: Facts) -> None:
        """Take what was read of a record; it waits to be dealt together with the next ones.

        How many are dealt at a time is of no matter to any answer, and it is a matter of speed:
        of 2,000 events each costs little more than half of what it does of 250.
        """
        self._tally.events += len(facts)
        chunk = self._with_room_for(received_ms, len(facts))
        chunk.read(self._admission)
        chunk.add(received_ms, facts)

    def put_off(self, received_ms: int, batches: Sequence[Batch]) -> None:
        """Take a record of few events, which are read together with those of the next ones.

        To read READ_EVENTS_MIN events takes twice as long as to read a few.
        """
        events, times_ms = _told(received_ms, batches)
        self._tally.events += len(events)
        chunk = self._with_room_for(received_ms, len(events))
        chunk.put_off(received_ms, events, times_ms)
        if len(chunk.unread) >= READ_EVENTS_MIN:
            chunk.read(self._admission)

    def take_in(self, received_ms: int, batches: Sequence[Batch]) -> Iterator[None]:
        """Take a record, in steps between which `deal_due` may be asked."""
        if are_few(batches):
            self.put_off(received_ms, batches)
            yield
            return
        for facts in self.read(received_ms, batches):
            self.add(received_ms, facts)
            yield

    def _with_room_for(self, received_ms: int, events: int) -> Chunk:
        waiting = self._waiting
        if not waiting or not waiting[-1].has_room(received_ms, events):
            waiting.append(Chunk(received_ms, self._admission.keys))
        return waiting[-1]

    @property
    def has_due(self) -> bool:
        """Whether anything can wait no longer."""
        return bool(self._dealt) or len(self._waiting) > 1

    @property
    def has_waiting(self) -> bool:
        """Whether anything was taken that no shard has yet."""
        return bool(self._dealt or self._waiting)

    def deal_due(self) -> Generator[list[Group], None, None]:
        """Split what can wait no longer: all but the last DEAL_EVENTS_MAX events or fewer."""
        while self.has_due:
            yield self._next()

    def deal(self) -> Generator[list[Group], None, None]:
        """Split all that waits, for a question or a dump is next; some ms of work a step."""
        for _ in range(len(self._dealt) + len(self._waiting)):  # not what comes in between
            yield self._next()

    def take(self, received_ms: int, batches: Sequence[Batch]) -> list[Group]:
        """Read one record, of a few events, and split it by itself, at once."""
        assert not self._waiting
        for _ in self.take_in(received_ms, batches):
            pass
        [chunk] = self._waiting
        self._waiting.clear()
        return self._split(chunk)

    def note(self, seq: int, received_ms: int, notice: bytes) -> Forget | None:
        """Take a notice, once all that came before it has been dealt; whom shards forget.

        What comes for the same id from now on is new. Event ids stay known, as bare hashes, so
        that a sender who tries again does not bring back what is gone. Raises WrongKey.
        """
        assert not self._waiting
        assert not self._dealt
        assert self._secret is not None
        said = self._secret.read(notice)
        if isinstance(said, Erase):
            self._recent.forget(said.hash64)
            self.erasures.add(said.name, seq, received_ms)
            return Forget(said.hash64, said.hash64 % self._shards)
        self.erasures.sweep(said.seq, received_ms)
        return None

    @property
    def tally(self) -> Tally:
        """What has been taken, up to the last record."""
        self._catch_up()
        return self._tally

    def over_cap(self) -> dict[str, int]:
        """How many facts went to OTHER, by kind of name; those without any left out."""
        self._catch_up()
        return self._admission.over_cap()

    def _catch_up(self) -> None:
        # Without handing anything out: who asks for a figure sends no groups to shards.
        while self._waiting:
            self._dealt.append(self._split(self._waiting.popleft()))

    def _next(self) -> list[Group]:
        return self._dealt.popleft() if self._dealt else self._split(self._waiting.popleft())

    def _split(self, chunk: Chunk) -> list[Group]:
        """One group for every shard, without the duplicates."""
        chunk.read(self._admission)
        facts = chunk.facts
        duplicates = self._window.duplicates(hashes_column(facts.ids), chunk.runs)
        if duplicates:
            self._tally.duplicates += len(duplicates)
            facts.drop(duplicates)
        self._begin(chunk.received_ms)
        keys = self._admission.keys
        if facts.keys is not keys:
            facts.renumber(keys)
        groups = [Group(chunk.received_ms, keys) for _ in range(self._shards)]
        if len(facts):
            self._fill(chunk.received_ms, groups, facts)
        return groups

    def _begin(self, received_ms: int) -> None:
        self._admission.make_room()
        day = self._calendar.day_of(received_ms)
        if day > self._day:
            self._day = day
            start_ms, end_ms = self._calendar.day_start_ms(day), self._calendar.day_end_ms(day)
            self._admission.begin(day, start_ms, end_ms)
            self._recent.begin(start_ms, end_ms)
            self.totals.begin(day)

    def _fill(self, received_ms: int, groups: Sequence[Group], facts: Facts) -> None:
        times_ms = np.frombuffer(facts.times_ms, np.int64)
        kinds = np.frombuffer(facts.kinds, np.uint8)
        counts: list[int] = np.bincount(kinds, minlength=len(KINDS)).tolist()
        ends = [0, *accumulate(counts)]
        ordered_ms = times_ms.take(kinds.argsort(kind="stable"))
        timed = [
            zip(events, ordered_ms[start:end].tolist(), strict=True)
            for events, (start, end) in zip(facts.others, pairwise(ends[KEYED:]), strict=True)
        ]
        unnumbered = sum(map(len, facts.unnumbered))
        if not self._admission.has_room(sum(counts[KEYED:]), unnumbered):
            self._admission.meet(facts.named())
        self._keyed(facts, counts[:KEYED], ordered_ms, groups)
        self._users(hashes_column(facts.users), times_ms, groups)
        self._transactions(timed[SALES - KEYED], groups)
        self._exposures(timed[EXPOSURES - KEYED], groups)
        self._goals(timed[GOALS - KEYED], groups)
        self._labels(facts, groups)
        for group in groups:
            group.count()
        # What has no key goes where something goes anyhow, for a message costs more.
        anyhow = next((group for group in groups if group.facts), groups[0])
        arrived = counters.Arrived(
            executions=counts[CALLS],
            errors=len(facts.failures),
            views=counts[VIEWS],
            searches=counts[SEARCHES],
            conversions=counts[CONVERSIONS],
            sessions=counts[SESSIONS],
        )
        anyhow.arrived = arrived
        failed = [place for place, _ in facts.failures]
        self.totals.count(
            received_ms, arrived, sizes=counts, ordered_ms=ordered_ms, failed=failed
        )
        for group in groups:
            self.totals.sell(group.sales)
        anyhow.sessions = _sessions(timed[SESSIONS - KEYED])
        anyhow.count()

    def _home(self, key: str) -> int:
        shard = self._homes.get(key)
        if shard is None:
            if len(self._homes) >= HOMES_MAX:
                self._homes.clear()
            shard = self._homes[key] = shard_of(key, self._shards)
        return shard

    def _keyed(
        self, facts: Facts, sizes: Sequence[int], times_ms: Column, groups: Sequence[Group]
    ) -> None:
        """Calls, views, conversions and searches: (number, instant, what else there is)."""
        count = sum(sizes)
        if not count:
            return
        table = np.zeros((3, count), np.int64)
        table[0] = np.concatenate([np.frombuffer(n, np.int64) for n in facts.numbers])
        table[1] = times_ms[:count]
        self._number(facts, table)
        table[2, : sizes[CALLS]] = np.frombuffer(facts.latencies_ms, np.int64)
        table[2, count - sizes[SEARCHES] :] = np.frombuffer(facts.without_result, np.int8)
        self._failures(facts, table, groups)
        # 64 shards at the most: each place is a byte, by which numpy sorts quickest.
        places = self._admission.keys.homes(table[0])
        places *= KEYED
        places += np.repeat(_KEYED_KINDS, sizes)
        parts = dealt(table, places, KEYED * self._shards)
        for shard, group in enumerate(groups):
            at = KEYED * shard
            group.calls, group.views, group.conversions, group.searches = parts[at : at + KEYED]

    def _number(self, facts: Facts, table: Table) -> None:
        """Give the pairs a number that have none yet."""
        unnumbered = chain.from_iterable(facts.unnumbered)
        places = (table[0] == UNNUMBERED).nonzero()[0].tolist()
        for at, event in zip(places, unnumbered, strict=True):
            table[0, at] = self._admission.number_of(event, int(table[1, at]))

    def _failures(self, facts: Facts, calls: Table, groups: Sequence[Group]) -> None:
        home = self._admission.keys.home
        for place, code in facts.failures:
            number, at_ms = int(calls[0, place]), int(calls[1, place])
            groups[home(number)].failures.append((number, at_ms, code))

    def _users(self, hashes: Hashes, at_ms: Column, groups: Sequence[Group]) -> None:
        told = hashes.nonzero()[0]
        if len(told) < len(hashes):
            hashes, at_ms = hashes.take(told), at_ms.take(told)
        news = self._recent.news(hashes, at_ms)
        if not len(news):
            return
        hashes = hashes.take(news)
        table = np.empty((2, len(news)), np.int64)
        table[0] = hashes.view(np.int64)
        table[1] = at_ms.take(news)
        places = (hashes % np.uint64(self._shards)).astype(np.uint8)
        parts = dealt(table, places, self._shards)
        for group, part in zip(groups, parts, strict=True):
            group.active = part

    def _transactions(self, timed: Timed, groups: Sequence[Group]) -> None:
        event: RevenueTransaction
        for event, at_ms in timed:
            if event.status == "failed":
                continue
            service = self.caps["services"].admit(event.service_id)
            creator = event.creator_id and self.caps["creators"].admit(event.creator_id)
            amount = micros(event.amount)
            fee = fee_micros(amount, event.take_rate or 0.0)
            refunded = event.status == "refunded"
            status = revenue.REFUNDED if refunded else revenue.COMPLETED
            groups[self._home(service)].sales.append(
                (service, creator or "", event.currency, at_ms, status, amount, fee)
            )
            until_ms, month = 0, 0
            if not refunded:
                if event.billing_interval is None:
                    continue
                count = event.billing_interval_count or 1
                until_ms = add_interval(at_ms, event.billing_interval, count)
                month = month_micros(amount, event.billing_interval, count)
            subscription = hash64(event.subscription_id or event.order_id)
            groups[subscription % self._shards].payments.append(
                (subscription, at_ms, until_ms, month, event.currency, service, creator or "")
            )

    def _exposures(self, timed: Timed, groups: Sequence[Group]) -> None:
        admit = self.caps["experiments"].admit
        event: ExperimentView
        for event, at_ms in timed:
            experiment = admit(event.experiment_id)
            unit, kind = 0, experiments.NO_UNIT
            if event.user_id is not None:
                unit, kind = hash64(event.user_id), experiments.USER
            elif event.session_id is not None:
                unit, kind = _session_unit(event.session_id), experiments.SESSION
            groups[self._home(experiment)].exposures.append(
                (experiment, event.variant_index, at_ms, unit, kind)
            )

    def _goals(self, timed: Timed, groups: Sequence[Group]) -> None:
        admit = self.caps["experiments"].admit
        event: ExperimentConversion
        for event, at_ms in timed:
            experiment = admit(event.experiment_id)
            user = 0 if event.user_id is None else hash64(event.user_id)
            session = 0 if event.session_id is None else _session_unit(event.session_id)
            groups[self._home(experiment)].goals.append(
                (experiment, event.variant_index, at_ms, user, session)
            )

    def _labels(self, facts: Facts, groups: Sequence[Group]) -> None:
        """Names that events carry, in the order of the events: the latest one stays."""
        for _, event in facts.labelled:
            if isinstance(event, ServiceExecution | MarketplaceView):
                self._name_service(event, groups)
            elif isinstance(event, ExperimentView | ExperimentConversion):
                self._name_experiment(event, groups)

    def _name_service(
        self, event: ServiceExecution | MarketplaceView, groups: Sequence[Group]
    ) -> None:
        service, name = event.service_id, event.service_name
        if name is not None and service in self.caps["services"].names:
            groups[self._home(service)].labels.append((names.SERVICE, service, 0, name))

    def _name_experiment(
        self, event: ExperimentView | ExperimentConversion, groups: Sequence[Group]
    ) -> None:
        experiment, variant = event.experiment_id, event.variant_index
        if experiment not in self.caps["experiments"].names:
            return
        labels = groups[self._home(experiment)].labels
        if event.experiment_name is not None:
            labels.append((names.EXPERIMENT, experiment, 0, event.experiment_name))
        if event.variant_name is not None:
            labels.append((names.VARIANT, experiment, variant, event.variant_name))

    # -- keep ---------------------------------------------------------------------------------

    def dump(self, *, full: bool) -> Generator[bytes, None, None]:
        """What it knows, or what is new since the last dump; empty pieces are mere steps."""
        assert not self._waiting
        assert not self._dealt
        yield pack(("tally", "", (self._tally.events, self._tally.duplicates)))
        yield pack((erasure.KIND, "", self.erasures.dump()))
        yield from self._admission.dump(full=full)
        for part in self._window.dumping(full=full):
            if part:
                yield packed_before_bytes(("ids", ""), sum(map(len, part)))
            yield from part or (b"",)

    def load(self, parts: Iterable[bytes], shared: Shared | None = None) -> None:
        """Take back dumps, oldest first; `shared` has the texts of what is read besides."""
        same = (shared or Shared()).same
        ids: list[bytes] = []
        for part in parts:
            for kind, name, content in unpack_all(part):
                if kind == "tally":
                    self._tally = Tally(*content)
                elif kind == "ids":
                    ids.append(content)
                elif kind == erasure.KIND:
                    self.erasures.load(content)
                else:
                    refused, names = content
                    self._admission.load(kind, name, (refused, map(same, names)))
        self._window.load(ids)


def _sessions(timed: Timed) -> list[tuple[int, int, int]]:
    """(an instant, sessions, µs) for each quarter hour: no cell is cut finer."""
    sums: dict[int, list[int]] = {}
    for event, at_ms in timed:
        quarter = at_ms // QUARTER_MS
        counted = sums.get(quarter)
        if counted is None:
            counted = sums[quarter] = [at_ms, 0, 0]
        counted[1] += 1
        counted[2] += _us(event.duration)
    return [(at_ms, count, us) for at_ms, count, us in sums.values()]


def _told(received_ms: int, batches: Iterable[Batch]) -> tuple[list[Event], list[int]]:
    """The events of some batches, and their instants by our clock, or ABSENT."""
    events: list[Event] = []
    times_ms: list[int] = []
    for batch in batches:
        events += batch.events
        is_corrected = batch.sent_at_ms != ABSENT
        times_ms += instants_ms(batch, received_ms) if is_corrected else batch.times_ms
    return events, times_ms


def are_few(batches: Sequence[Batch]) -> bool:
    """Whether a record of these batches had better be put off."""
    return sum(len(batch.events) for batch in batches) < READ_EVENTS_MIN


def instants_ms(batch: Batch, received_ms: int) -> Sequence[int]:
    """The instants of a batch by our clock."""
    skew_ms = correction_ms(received_ms, batch.sent_at_ms)
    if not skew_ms and ABSENT not in batch.times_ms:
        return batch.times_ms
    return [received_ms if at_ms == ABSENT else at_ms + skew_ms for at_ms in batch.times_ms]


def portions(batches: Sequence[Batch]) -> Iterable[Sequence[Batch]]:
    """The batches of one record in portions, none of which is long to take in one step."""
    if len(batches) == 1:
        return [batches]
    found: list[list[Batch]] = [[]]
    events = 0
    for batch in batches:
        events += len(batch.events)
        if events > TAKE_EVENTS_MAX and found[-1]:
            found.append([])
            events = len(batch.events)
        found[-1].append(batch)
    return found


def _session_unit(session_id: str) -> int:
    # Salted, for a user and a session of the same id are not the same unit.
    return hash64(f"session {session_id}")


def _us(duration_ms: float) -> int:
    if duration_ms > US_ROUNDED_MS_MAX:
        return int(duration_ms) * 1000
    return round(duration_ms * 1000)
