"""From a journal record to one message per shard: duplicates, numbers, caps, split.

Live and replay both call `Sequencing.take`, for what lies between the journal and the fold must
be the same computation: it depends on the records in their order and on nothing else.
"""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from engine.cells import OTHER
from engine.codec import pack, unpack_all
from engine.config import Config
from engine.dedup import IdWindow
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
from engine.hashing import hash64, hash64_each, shard_of
from engine.money import fee_micros, micros, month_micros
from engine.rollups import experiments, marketplace, names, revenue
from engine.state import Group
from engine.timebucket import DAY_MS, Calendar, add_interval

HOMES_MAX: Final = 262_144
"""Index keys whose shard is remembered; a look-up costs 40 ns and the hash 200."""

TAKE_EVENTS_MAX: Final = 1_024
"""Events after which no further batch is taken in the same step: about a millisecond."""

US_ROUNDED_MS_MAX: Final = 1e15
"""From here on a double holds no thousandths, and further on a product would overflow."""

Timed = tuple[list[Any], list[int]]
"""(events of one type, the instants they happened at)"""


@dataclass(slots=True)
class Cap:
    """The first `limit` names of a kind; every later one counts as OTHER."""

    limit: int
    names: set[str] = field(default_factory=set)
    added: list[str] = field(default_factory=list)
    refused: int = 0

    def admit(self, name: str) -> str:
        """`name`, or OTHER where it is new and there is no room."""
        if name in self.names:
            return name
        if len(self.names) >= self.limit:
            self.refused += 1
            return OTHER
        self.names.add(name)
        self.added.append(name)
        return name


@dataclass(slots=True)
class Tally:
    """What has been taken since the data folder was begun."""

    events: int = 0
    duplicates: int = 0


class Sequencing:
    """What must be known of all events before they are split: ids seen, names admitted."""

    def __init__(self, config: Config, calendar: Calendar) -> None:
        self._calendar = calendar
        self._shards = config.shards
        self._window = IdWindow(
            ids_max=config.dedupe_ids_max, keep_ms=config.dedupe_days * DAY_MS
        )
        self.caps = {
            "services": Cap(config.services_max),
            "creators": Cap(config.creators_max),
            "experiments": Cap(config.experiments_max),
            "categories": Cap(config.categories_max),
        }
        self._terms_max = config.search_terms_per_day_max
        self._terms: dict[int, Cap] = {}  # by day
        self._day = 0
        self._keep_days = config.keep_days
        self._homes: dict[str, int] = {}
        self.tally = Tally()
        self._routes: dict[type[Event], Callable[[Timed, Sequence[Group]], None]] = {
            ServiceExecution: self._executions,
            RevenueTransaction: self._transactions,
            MarketplaceSearch: self._searches,
            MarketplaceView: self._views,
            MarketplaceConversion: self._purchases,
            ExperimentView: self._exposures,
            ExperimentConversion: self._goals,
            UserSession: self._sessions,
        }

    def memory_bytes(self) -> int:
        """What the event ids that are remembered occupy."""
        return self._window.memory_bytes()

    # -- take ---------------------------------------------------------------------------------

    def take(self, received_ms: int, batches: Iterable[Batch]) -> list[Group]:
        """Split the batches of one record, less the duplicates: one group for every shard."""
        self._forget_terms(received_ms)
        events, times_ms = self._fresh(received_ms, batches)
        groups = [Group(received_ms) for _ in range(self._shards)]
        by_type: dict[type[Event], Timed] = {}
        user_ids: list[str] = []
        user_ms: list[int] = []
        for event, at_ms in zip(events, times_ms, strict=True):
            timed = by_type.get(type(event))
            if timed is None:
                timed = by_type[type(event)] = ([], [])
            timed[0].append(event)
            timed[1].append(at_ms)
            user = event.user_id
            if user is not None:
                user_ids.append(user)
                user_ms.append(at_ms)
        for kind, timed in by_type.items():
            self._routes[kind](timed, groups)
        shards = self._shards
        for hashed, at_ms in zip(hash64_each(user_ids), user_ms, strict=True):
            group = groups[hashed % shards]
            group.user_hashes.append(hashed)
            group.user_ms.append(at_ms)
        return groups

    def _fresh(
        self, received_ms: int, batches: Iterable[Batch]
    ) -> tuple[list[Event], list[int]]:
        """Events that were not seen before, and their instants by our clock."""
        events: list[Event] = []
        times_ms: list[int] = []
        for batch in batches:
            skew_ms = correction_ms(received_ms, batch.sent_at_ms)
            events += batch.events
            if skew_ms or ABSENT in batch.times_ms:
                times_ms += [
                    received_ms if at_ms == ABSENT else at_ms + skew_ms
                    for at_ms in batch.times_ms
                ]
            else:
                times_ms += batch.times_ms
        self.tally.events += len(events)
        ids = [event.event_id for event in events]
        known = [text for text in ids if text is not None]
        if not known:
            return events, times_ms
        hashes = hash64_each(known)
        if len(known) < len(ids):
            with_id = iter(hashes)
            hashes = [0 if text is None else next(with_id) for text in ids]
        duplicates = self._window.duplicates(hashes, received_ms)
        if duplicates:
            self.tally.duplicates += len(duplicates)
            for position in reversed(duplicates):
                del events[position], times_ms[position]
        return events, times_ms

    def _forget_terms(self, received_ms: int) -> None:
        day = self._calendar.cut(received_ms)[1]
        if day > self._day:
            self._day = day
            for old in [known for known in self._terms if known < day - self._keep_days]:
                del self._terms[old]

    def _home(self, key: str) -> int:
        shard = self._homes.get(key)
        if shard is None:
            if len(self._homes) >= HOMES_MAX:
                self._homes.clear()
            shard = self._homes[key] = shard_of(key, self._shards)
        return shard

    def _executions(self, timed: Timed, groups: Sequence[Group]) -> None:
        services, categories = self.caps["services"], self.caps["categories"]
        known_services, known_categories = services.names, categories.names
        homes = self._homes
        event: ServiceExecution
        for event, at_ms in zip(*timed, strict=True):
            service = event.service_id
            if service not in known_services:
                service = services.admit(service)
            category = event.category or ""
            if category and category not in known_categories:
                category = categories.admit(category)
            shard = homes.get(service)
            group = groups[self._home(service) if shard is None else shard]
            failure = None if event.success else event.error_code or ""
            group.executions.append((service, category, at_ms, event.latency_ms, failure))
            if event.service_name is not None and service is not OTHER:
                group.labels.append((names.SERVICE, service, 0, event.service_name))

    def _transactions(self, timed: Timed, groups: Sequence[Group]) -> None:
        event: RevenueTransaction
        for event, at_ms in zip(*timed, strict=True):
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
            subscription = hash64(event.subscription_id or event.order_id)
            until_ms, month = 0, 0
            if not refunded:
                if event.billing_interval is None:
                    continue
                count = event.billing_interval_count or 1
                until_ms = add_interval(at_ms, event.billing_interval, count)
                month = month_micros(amount, event.billing_interval, count)
            groups[subscription % self._shards].payments.append(
                (subscription, at_ms, until_ms, month, event.currency, service, creator or "")
            )

    def _searches(self, timed: Timed, groups: Sequence[Group]) -> None:
        event: MarketplaceSearch
        for event, at_ms in zip(*timed, strict=True):
            query = self._term(event.search_query, self._calendar.cut(at_ms)[1])
            category = event.category and self.caps["categories"].admit(event.category)
            nothing = 1 if event.result_count == 0 else 0
            key = event.user_id or event.session_id or event.search_query
            groups[self._home(key)].searches.append((query, category or "", at_ms, nothing))

    def _term(self, query: str, day: int) -> str:
        cap = self._terms.get(day)
        if cap is None:
            cap = self._terms[day] = Cap(self._terms_max)
        return cap.admit(query)

    def _views(self, timed: Timed, groups: Sequence[Group]) -> None:
        self._looks(timed, groups, marketplace.VIEWS)

    def _purchases(self, timed: Timed, groups: Sequence[Group]) -> None:
        self._looks(timed, groups, marketplace.CONVERSIONS)

    def _looks(self, timed: Timed, groups: Sequence[Group], index: int) -> None:
        services, categories = self.caps["services"], self.caps["categories"]
        for event, at_ms in zip(*timed, strict=True):
            service = services.admit(event.service_id)
            category = event.category and categories.admit(event.category)
            group = groups[self._home(service)]
            group.looks.append((service, category or "", at_ms, index))
            named = index == marketplace.VIEWS and event.service_name is not None
            if named and service is not OTHER:
                group.labels.append((names.SERVICE, service, 0, event.service_name))

    def _exposures(self, timed: Timed, groups: Sequence[Group]) -> None:
        event: ExperimentView
        for event, at_ms in zip(*timed, strict=True):
            group, experiment = self._experiment(event, groups)
            unit, kind = 0, experiments.NO_UNIT
            if event.user_id is not None:
                unit, kind = hash64(event.user_id), experiments.USER
            elif event.session_id is not None:
                unit, kind = _session_unit(event.session_id), experiments.SESSION
            group.exposures.append((experiment, event.variant_index, at_ms, unit, kind))

    def _goals(self, timed: Timed, groups: Sequence[Group]) -> None:
        event: ExperimentConversion
        for event, at_ms in zip(*timed, strict=True):
            group, experiment = self._experiment(event, groups)
            user = 0 if event.user_id is None else hash64(event.user_id)
            session = 0 if event.session_id is None else _session_unit(event.session_id)
            group.conversions.append((experiment, event.variant_index, at_ms, user, session))

    def _experiment(
        self, event: ExperimentView | ExperimentConversion, groups: Sequence[Group]
    ) -> tuple[Group, str]:
        experiment = self.caps["experiments"].admit(event.experiment_id)
        group = groups[self._home(experiment)]
        if experiment is OTHER:
            return group, experiment
        if event.experiment_name is not None:
            group.labels.append((names.EXPERIMENT, experiment, 0, event.experiment_name))
        if event.variant_name is not None:
            variant = (names.VARIANT, experiment, event.variant_index, event.variant_name)
            group.labels.append(variant)
        return group, experiment

    def _sessions(self, timed: Timed, groups: Sequence[Group]) -> None:
        event: UserSession
        for event, at_ms in zip(*timed, strict=True):
            group = groups[self._home(event.user_id or event.session_id)]
            group.sessions.append((at_ms, _us(event.duration)))

    # -- keep ---------------------------------------------------------------------------------

    def dump(self, *, full: bool) -> Generator[bytes, None, None]:
        """What it knows, or what is new since the last dump; empty pieces are mere steps."""
        yield pack(("tally", "", (self.tally.events, self.tally.duplicates)))
        for kind, cap in self.caps.items():
            yield from _dumped_cap("cap", kind, cap, full=full)
        for day, cap in self._terms.items():
            yield from _dumped_cap("terms", str(day), cap, full=full)
        for part in self._window.dumping(full=full):
            yield pack(("ids", "", part)) if part else b""

    def load(self, parts: Iterable[bytes]) -> None:
        """Take back dumps, oldest first."""
        ids: list[bytes] = []
        for part in parts:
            for kind, name, content in unpack_all(part):
                if kind == "tally":
                    self.tally = Tally(*content)
                elif kind == "ids":
                    ids.append(content)
                else:
                    cap = self.caps[name] if kind == "cap" else self._terms_of(int(name))
                    cap.names.update(content[1])
                    cap.refused = content[0]
        self._window.load(ids)

    def _terms_of(self, day: int) -> Cap:
        cap = self._terms.get(day)
        if cap is None:
            cap = self._terms[day] = Cap(self._terms_max)
        return cap


def portions(batches: Sequence[Batch]) -> Iterable[Sequence[Batch]]:
    """The batches of one record in the portions in which live and replay both take them."""
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


def _dumped_cap(kind: str, name: str, cap: Cap, *, full: bool) -> Iterable[bytes]:
    known = sorted(cap.names) if full else cap.added
    cap.added = []
    if known or cap.refused:
        yield pack((kind, name, (cap.refused, known)))
