"""Everything one shard knows: fold a group, image an answer, dump, load, expire."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Final, Protocol

from engine.cells import Dumped, Horizon, Owner, Slot, Slots
from engine.codec import pack
from engine.columns import Keys, Table, joined
from engine.config import Config
from engine.group import ALL_KINDS, LISTS, TABLES, Group
from engine.intake import Failure
from engine.rollups import (
    counters,
    experiments,
    marketplace,
    names,
    revenue,
    services,
    users,
)
from engine.timebucket import DAY_MS, Calendar, Span
from engine.totals import DayTotals

CHUNK_BYTES: Final = 256 * 1024
"""About what a dump gives out at a time, so that the caller may pause between pieces."""

ROWS_MIN: Final = 4_096
"""Facts of one kind and shard in tables that are folded together: 1 to 2 ms of work."""

FACTS_MIN: Final = 1_024
"""The same for facts that are objects, which take more time and memory each."""

SHARE_SLACK: Final = 1.02
"""Hashes do not spread quite evenly over shards: none may sample while the whole need not."""

STATE: Final = "state"
ADVANCED: Final[Slot] = ("advanced", 0)


@dataclass(slots=True)
class _Waiting:
    """Facts of one kind that are folded together: as tables, or one by one."""

    tables: list[Table] = field(default_factory=list)
    facts: list[Any] = field(default_factory=list)
    count: int = 0


@dataclass(frozen=True, slots=True)
class ActiveQuestion:
    """Users who were active in that minute of the epoch, or later."""

    minute: int


Question = (
    services.Question
    | revenue.Question
    | marketplace.Question
    | experiments.Question
    | users.Question
    | ActiveQuestion
)
Image = (
    services.Image | revenue.Image | marketplace.Image | experiments.Image | users.Image | int
)

NEEDED: Final[dict[type[Question], tuple[str, ...]]] = {
    services.Question: ("calls", "labels"),
    revenue.Question: ("sales", "payments", "labels"),
    marketplace.Question: ("views", "conversions", "searches", "labels"),
    experiments.Question: ("exposures", "goals", "labels"),
    users.Question: ("active", "sessions"),
    ActiveQuestion: ("active",),
}
"""What is folded before each kind of question is answered; the rest may go on waiting."""

Names = dict[names.Key, str]
"""{(kind, id, variant): name} for what an image mentions."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What a shard replies; nothing in it changes any more."""

    image: Image
    names: Names


class _Rollup(Protocol):
    @property
    def name(self) -> str: ...

    def expire(self, horizon: Horizon) -> None: ...

    def dump(self, *, full: bool) -> Dumped: ...

    def load(self, slots: Slots, owner: Owner) -> None: ...


class ShardState:
    """The families of one shard, and the horizon up to which they remember.

    All that changes it is `fold` and `load`, and both are functions of their arguments alone:
    the replay of a journal leads to the same state as the events themselves did.
    """

    def __init__(self, config: Config, calendar: Calendar) -> None:
        share = SHARE_SLACK / config.shards if config.shards > 1 else 1.0
        self._config = config
        self._calendar = calendar
        self._keys = Keys(config.shards)
        self._failures: list[Failure] = []
        self._waiting = {name: _Waiting() for name in ALL_KINDS}
        self._hour = -1
        self._advanced_ms = 0
        self.is_new_share = False
        """The next dump must be a full one: what it holds was dumped by other shards."""
        self.services = services.Services(
            calendar,
            codes_max=config.service_error_codes_max,
            categories_max=config.service_categories_max,
        )
        self.revenue = revenue.Revenue(
            calendar, subscriptions_max=round(share * config.subscriptions_max)
        )
        self.marketplace = marketplace.Marketplace(calendar)
        self.experiments = experiments.Experiments(
            calendar, units_max=config.experiment_units_max
        )
        self.users = users.Users(calendar, users_max=round(share * config.users_exact_max))
        self.names = names.Names()
        self.counters = counters.Counters()
        self._families: tuple[_Rollup, ...] = (
            self.services,
            self.revenue,
            self.marketplace,
            self.experiments,
            self.users,
            self.names,
            self.counters,
        )
        self._folds: dict[str, Callable[[Any], None]] = {
            "calls": self._fold_calls,
            "views": self._fold_views,
            "conversions": self._fold_conversions,
            "searches": self._fold_searches,
            "active": self.users.days.add,
            "sales": self.revenue.fold,
            "payments": self.revenue.fold_payments,
            "exposures": self.experiments.fold_exposures,
            "goals": self.experiments.fold_conversions,
            "sessions": self.users.fold_sessions,
            "labels": self.names.fold,
        }

    # -- fold ---------------------------------------------------------------------------------

    def fold(self, group: Group) -> None:
        """Count one group, now or together with the next ones: at the latest for a question.

        What a family's calls cost is paid once for ROWS_MIN of its facts.
        """
        self._advance(group.received_ms)
        if group.arrived is not None:
            self.counters.add(group.received_ms, group.arrived)
        if group.keys is not self._keys:
            self._settle_all()
            self._keys = group.keys
        self._failures += group.failures
        for name in TABLES:
            table = getattr(group, name)
            if table is not None:
                waiting = self._waiting[name]
                waiting.tables.append(table)
                waiting.count += table.shape[1]
                if waiting.count >= ROWS_MIN:
                    self._fold_waiting(name)
        for name in LISTS:
            facts = getattr(group, name)
            if facts:
                waiting = self._waiting[name]
                waiting.facts += facts
                waiting.count += len(facts)
                if waiting.count >= FACTS_MIN:
                    self._fold_waiting(name)

    def settle(self, kinds: Iterable[str] = ALL_KINDS) -> Generator[None, None, None]:
        """Fold what waits, a kind of facts a step; of all kinds before every dump."""
        for name in kinds:
            if self._waiting[name].count:
                self._fold_waiting(name)
                yield

    def _settle_all(self) -> None:
        for _ in self.settle():
            pass

    def _fold_waiting(self, name: str) -> None:
        waiting, self._waiting[name] = self._waiting[name], _Waiting()
        self._folds[name](joined(waiting.tables) if waiting.tables else waiting.facts)

    def _fold_calls(self, calls: Table) -> None:
        failures, self._failures = self._failures, []
        self.services.fold(calls, failures, self._keys)

    def _fold_views(self, views: Table) -> None:
        self.marketplace.fold_looks(views, marketplace.VIEWS, self._keys)

    def _fold_conversions(self, conversions: Table) -> None:
        self.marketplace.fold_looks(conversions, marketplace.CONVERSIONS, self._keys)

    def _fold_searches(self, searches: Table) -> None:
        self.marketplace.fold_searches(searches, self._keys)

    def _advance(self, received_ms: int) -> None:
        # By the time of receipt, which the journal holds, and never by a clock: a replay
        # forgets what was forgotten.
        hour, day = self._calendar.cut(received_ms)
        if hour > self._hour:
            self._settle_all()
            self._hour = hour
            self._advanced_ms = received_ms
            oldest_hour, _ = self._calendar.cut(
                received_ms - self._config.keep_hours_days * DAY_MS
            )
            horizon = Horizon(oldest_hour, day - self._config.keep_days)
            for family in self._families:
                family.expire(horizon)

    def forget(self, user: int, *, owns: bool) -> Generator[None, None, None]:
        """Let go of everything that is known of one user, by hash; yields often, as `image`.

        owns  facts about this user come to this shard; experiments ask for every shard
        """
        yield from self.settle()
        yield from self.experiments.forget(user)
        if owns:
            yield from self.users.forget(user)

    # -- answer -------------------------------------------------------------------------------

    def image(self, question: Question) -> Generator[None, None, Answered]:
        """This shard's part of an answer; yields often, so that the caller may pause.

        Between the first step and the last no group may be folded.
        """
        yield from self.settle(NEEDED[type(question)])
        image: Image
        mentioned: Iterable[str] = ()
        match question:
            case services.Question():
                image = yield from self.services.image(question)
                mentioned = [row.service for row in image.rows]
            case revenue.Question():
                image = yield from self.revenue.image(question)
                mentioned = image.by_service
            case marketplace.Question():
                image = yield from self.marketplace.image(question)
                mentioned = image.views
            case experiments.Question():
                image = yield from self.experiments.image(question)
                return Answered(image, self._experiment_names(image))
            case users.Question():
                image = yield from self.users.image(question)
            case ActiveQuestion():
                image = self.users.days.active_since(question.minute)
        return Answered(image, self._service_names(mentioned))

    def _service_names(self, mentioned: Iterable[str]) -> Names:
        found = ((service, self.names.get(names.SERVICE, service)) for service in mentioned)
        return {(names.SERVICE, service, 0): name for service, name in found if name}

    def _experiment_names(self, image: experiments.Image) -> Names:
        found: Names = {}
        for experiment, answered in image.experiments.items():
            name = self.names.get(names.EXPERIMENT, experiment)
            if name:
                found[names.EXPERIMENT, experiment, 0] = name
            for variant in answered.variants:
                name = self.names.get(names.VARIANT, experiment, variant)
                if name:
                    found[names.VARIANT, experiment, variant] = name
        return found

    def totals_of(self, day: int) -> DayTotals:
        """What the cells of one day add up to."""
        self._settle_all()
        span = Span(days=(day,), hours=())
        activity = self.marketplace.activity(span)
        counts = counters.Arrived(
            *self.services.executions(span),
            views=activity.views,
            searches=activity.searches,
            conversions=activity.conversions,
            sessions=self.users.sessions(span).count,
        )
        sales = self.revenue.sales(span)
        return DayTotals(counts, {code: sold.gmv_micros for code, sold in sales.items()})

    def active_in(self, minute: int) -> list[tuple[int, int]]:
        """Users with an event in or after that minute: (hash, the last minute of each)."""
        self._settle_all()
        return self.users.days.active_in(minute)

    # -- keep ---------------------------------------------------------------------------------

    @property
    def needs_full_dump(self) -> bool:
        """Whether a dump of changes alone would not say enough."""
        self._settle_all()  # what waits may be what makes it so
        return (
            self.is_new_share or self.users.needs_full_dump or self.experiments.needs_full_dump
        )

    def dump(self, *, full: bool) -> Generator[bytes, None, None]:
        """The state, or what changed since the last dump, in pieces of about CHUNK_BYTES.

        Some are empty: a step of work after which the caller may pause.
        """
        self.is_new_share = False
        for _ in chain(self.settle(), self.services.settle()):
            yield b""
        pieces = [pack((STATE, ADVANCED, self._advanced_ms))]
        size = 0
        for family in self._families:
            for slot, content in family.dump(full=full):
                pieces.append(pack((family.name, slot, content)))
                size += len(pieces[-1])
                if size >= CHUNK_BYTES:
                    yield b"".join(pieces)
                    pieces, size = [], 0
        yield b"".join(pieces)

    def load(self, dumped: dict[str, dict[Slot, Any]], owner: Owner) -> None:
        """Take back what one former shard dumped, by slot: the keys that are `owner`'s."""
        for family in self._families:
            family.load(dumped.get(family.name, {}), owner)
        # Cells that had expired since they were dumped come back with it, and go again.
        advanced_ms = dumped[STATE][ADVANCED]
        if advanced_ms:
            self._hour = -1
            self._advance(max(self._advanced_ms, advanced_ms))
