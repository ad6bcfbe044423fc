"""What a start makes of dumps: the states of the shards there are now, and live figures of all.

State is kept by key and not by shard, so there may be more or fewer shards than when it was
dumped: every shard then takes its share of what each former one knew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from engine.cells import Slot
from engine.codec import unpack_all
from engine.config import Config
from engine.hashing import shard_of
from engine.lately import ActiveUsers
from engine.rollups import counters
from engine.sharing import Shared
from engine.state import ShardState
from engine.timebucket import MINUTE_MS, Calendar
from engine.totals import Totals

K = TypeVar("K")

TOTALS_DAYS: Final = 14
"""Days before a start whose live figures are known: more than are shown, because a clock may be
put back."""


def resolved(parts: Iterable[bytes]) -> dict[str, dict[Slot, Any]]:
    """{family: {slot: its last content}} of one shard's dumps, oldest first."""
    slots: dict[str, dict[Slot, Any]] = {}
    for part in parts:
        for family, slot, content in unpack_all(part):
            slots.setdefault(family, {})[slot] = content
    return slots


@dataclass(frozen=True, slots=True)
class Whole:
    """The owner of everything that its former self dumped: the number of shards is the same."""

    shared: Shared = field(default_factory=Shared)
    unkeyed: bool = True

    def same(self, key: K, /) -> K:
        return self.shared.same(key)

    def key(self, key: str, /) -> bool:
        return True

    def hash(self, hash64: int, /) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Share:
    """The owner of one share where the number of shards has changed."""

    shard: int
    shards: int
    shared: Shared

    def same(self, key: K, /) -> K:
        return self.shared.same(key)

    @property
    def unkeyed(self) -> bool:
        return self.shard == 0

    def key(self, key: str, /) -> bool:
        return shard_of(key, self.shards) == self.shard

    def hash(self, hash64: int, /) -> bool:
        return hash64 % self.shards == self.shard


def restore(
    states: Sequence[ShardState],
    former: Iterable[dict[str, dict[Slot, Any]]],
    *,
    formerly: int,
    shared: Shared | None = None,
) -> None:
    """Load what former shards dumped into fresh `states`, as many as there are now.

    former    of each in turn what `resolved` says; never all of them are in memory together
    formerly  how many they are
    shared    the texts of what has been read besides
    """
    shared = shared or Shared()
    if len(states) == formerly:
        for state, dumped in zip(states, former, strict=True):
            state.load(dumped, Whole(shared))
        return
    for dumped in former:
        for shard, state in enumerate(states):
            state.load(dumped, Share(shard, len(states), shared))
    for state in states:
        state.is_new_share = True


def begin_totals(
    totals: Totals,
    states: Sequence[ShardState],
    config: Config,
    calendar: Calendar,
    now_ms: int,
) -> None:
    """Take what live figures tell from the cells; of tomorrow there may be some already."""
    today = calendar.day_of(now_ms)
    days = range(today - TOTALS_DAYS, today + 2)
    totals.take(
        ((day, state.totals_of(day)) for day in days for state in states),
        (state.counters for state in states),
        _active(states, config, now_ms),
    )


def _active(states: Sequence[ShardState], config: Config, now_ms: int) -> ActiveUsers:
    """Who was active in the last minutes; not known where shards hold a sample of users."""
    active = ActiveUsers(counters.LIVE_MINUTES)
    first = now_ms // MINUTE_MS - counters.LIVE_MINUTES + 1
    active.lose(first - 1)
    for state in states:
        known = state.active_in(first)
        if state.users.days.sample_rate < 1:
            active.lose((now_ms + config.future_ms_max) // MINUTE_MS)
        active.add(now_ms, ((user, minute * MINUTE_MS) for user, minute in known))
    return active
