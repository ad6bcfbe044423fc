"""Facts split over the shards: names are numbered and capped, and each fact gets its shard.

It works on columns, one type of event after the other: what numpy and list comprehensions do
for many events at once costs a fraction of what a loop over them does.
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.admission import UNNUMBERED, Admission
from engine.columns import Column, Table, dealt, hashes_column
from engine.events import (
    ExperimentConversion,
    ExperimentView,
    MarketplaceView,
    RevenueTransaction,
    ServiceExecution,
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
)
from engine.group import Group
from engine.hashing import hash64, shard_of
from engine.money import fee_micros, micros, month_micros
from engine.recent import Hashes, RecentUsers
from engine.rollups import counters, experiments, names, revenue
from engine.timebucket import QUARTER_MS, add_interval
from engine.totals import Totals

Timed = Iterable[tuple[Any, int]]
"""(event of one type, its instant)"""

HOMES_MAX: Final = 65_536
"""Experiments and services whose shard is remembered; a look-up costs a fifth of the hash."""

US_ROUNDED_MS_MAX: Final = 1e15
"""From here on a double holds no thousandths, and further on a product would overflow."""

_KEYED_KINDS: Final[NDArray[np.uint8]] = np.arange(KEYED, dtype=np.uint8)


class Dealing:
    """Decides which shard each fact goes to; admits names and numbers pairs on the way.

    recent  users who have been reported as active already
    """

    def __init__(self, admission: Admission, shards: int, totals: Totals) -> None:
        self.recent = RecentUsers()
        self._admission = admission
        self._caps = admission.caps
        self._totals = totals
        self._shards = shards
        self._homes: dict[str, int] = {}

    def fill(self, received_ms: int, groups: Sequence[Group], facts: Facts) -> None:
        """Put these facts, at least one, into the groups, of which there is one per shard."""
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
        self._users(received_ms, hashes_column(facts.users), times_ms, groups)
        self._transactions(timed[SALES - KEYED], groups)
        self._exposures(timed[EXPOSURES - KEYED], groups)
        self._goals(timed[GOALS - KEYED], groups)
        self._labels(facts, groups)
        for group in groups:
            group.count()
        # What has no key joins a message that is sent anyway: one more would cost more.
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
        self._totals.count(
            received_ms, arrived, sizes=counts, ordered_ms=ordered_ms, failed=failed
        )
        for group in groups:
            self._totals.sell(group.sales)
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
        """Calls, views, conversions and searches: rows of number, instant, and one more."""
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
        # 64 shards at the most, so each place is a byte, which numpy sorts quickest.
        places = self._admission.keys.homes(table[0])
        places *= KEYED
        places += np.repeat(_KEYED_KINDS, sizes)
        parts = dealt(table, places, KEYED * self._shards)
        for shard, group in enumerate(groups):
            at = KEYED * shard
            group.calls, group.views, group.conversions, group.searches = parts[at : at + KEYED]

    def _number(self, facts: Facts, table: Table) -> None:
        """Give a number to the pairs that have none yet."""
        unnumbered = chain.from_iterable(facts.unnumbered)
        places = (table[0] == UNNUMBERED).nonzero()[0].tolist()
        for at, event in zip(places, unnumbered, strict=True):
            table[0, at] = self._admission.number_of(event, int(table[1, at]))

    def _failures(self, facts: Facts, calls: Table, groups: Sequence[Group]) -> None:
        home = self._admission.keys.home
        for place, code in facts.failures:
            number, at_ms = int(calls[0, place]), int(calls[1, place])
            groups[home(number)].failures.append((number, at_ms, code))

    def _users(
        self, received_ms: int, hashes: Hashes, at_ms: Column, groups: Sequence[Group]
    ) -> None:
        told = hashes.nonzero()[0]
        if len(told) < len(hashes):
            hashes, at_ms = hashes.take(told), at_ms.take(told)
        news = self.recent.news(hashes, at_ms)
        if not len(news):
            return
        hashes = hashes.take(news)
        table = np.empty((2, len(news)), np.int64)
        table[0] = hashes.view(np.int64)
        table[1] = at_ms.take(news)
        active = zip(hashes.tolist(), table[1].tolist(), strict=True)
        self._totals.active.add(received_ms, active)
        places = (hashes % np.uint64(self._shards)).astype(np.uint8)
        parts = dealt(table, places, self._shards)
        for group, part in zip(groups, parts, strict=True):
            group.active = part

    def _transactions(self, timed: Timed, groups: Sequence[Group]) -> None:
        event: RevenueTransaction
        for event, at_ms in timed:
            if event.status == "failed":
                continue
            service = self._caps["services"].admit(event.service_id)
            creator = event.creator_id and self._caps["creators"].admit(event.creator_id)
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
        admit = self._caps["experiments"].admit
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
        admit = self._caps["experiments"].admit
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
        if name is not None and service in self._caps["services"].names:
            groups[self._home(service)].labels.append((names.SERVICE, service, 0, name))

    def _name_experiment(
        self, event: ExperimentView | ExperimentConversion, groups: Sequence[Group]
    ) -> None:
        experiment, variant = event.experiment_id, event.variant_index
        if experiment not in self._caps["experiments"].names:
            return
        labels = groups[self._home(experiment)].labels
        if event.experiment_name is not None:
            labels.append((names.EXPERIMENT, experiment, 0, event.experiment_name))
        if event.variant_name is not None:
            labels.append((names.VARIANT, experiment, variant, event.variant_name))


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


def _session_unit(session_id: str) -> int:
    # Salted, because a user and a session of the same id are not the same unit.
    return hash64(f"session {session_id}")


def _us(duration_ms: float) -> int:
    if duration_ms > US_ROUNDED_MS_MAX:
        return int(duration_ms) * 1000
    return round(duration_ms * 1000)
