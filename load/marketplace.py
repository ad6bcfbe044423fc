"""The demonstration marketplace: a month of believable events, the same for the same seed.

Forty services, about five thousand users who arrive over time and stay or leave (load.people),
what they do on each day (load.visits), renewals, and two experiments. The last event is the
latest that has "happened" by the given end. Whatever window is asked for, a day's ids are the
same: run again later, a server that still remembers them counts only what is new.

Measured: 223,000 events, of 250 bytes each as JSON, in 2.2 s of CPU.
"""

from collections.abc import Iterator
from operator import itemgetter
from random import Random
from typing import Final, NamedTuple

from load.catalogue import SERVICES as CATALOGUE
from load.errors import LoadError
from load.extent import DAYS, DAYS_MAX, SERVICES_MAX, USERS, USERS_MIN
from load.people import (
    SUBSCRIPTION_DAYS_MAX,
    VISITS,
    VISITS_BY_WEEKDAY,
    Person,
    arrivals,
    arrivals_a_day,
    weekday,
)
from load.visits import DAY_MS, MINUTE_MS, Event, Shop, Trouble, Visit, payment_of

_POPULARITY: Final = 0.8
"""The n-th service is called n ** -_POPULARITY times as often as the first."""

_SHOWN_AGAIN: Final = 0.25
"""Chance that who comes back is shown an experiment's variant once more."""


class Experiment(NamedTuple):
    """Two variants, their true conversion rates, and how long before the end it began.

    `stride` is irrational: multiples of it, less their whole part, are spread so evenly that
    the shares which convert lie closer to the true rates than drawing lots would bring them.
    """

    experiment_id: str
    name: str
    variants: tuple[str, str]
    rates: tuple[float, float]
    began_days_ago: int
    stride: float


EXPERIMENTS: Final = (
    Experiment(
        "checkout-flow", "Checkout flow", ("Two steps", "One page"), (0.124, 0.158), 28,
        0.618033988749895,
    ),
    Experiment(
        "search-ranking", "Search ranking", ("By popularity", "By rating"), (0.22, 0.22), 20,
        0.414213562373095,
    ),
)  # fmt: skip
"""The first has a true difference; the second has none."""


def first_ms(end_ms: int, days: int) -> int:
    """Midnight, UTC, with which the first of `days` whole days before today begins."""
    return (end_ms // DAY_MS - days) * DAY_MS


def generate(
    seed: int,
    end_ms: int,
    *,
    days: int = DAYS,
    services: int = SERVICES_MAX,
    users: int = USERS,
) -> Iterator[Event]:
    """Events of `days` whole days and of the last day up to `end_ms`, in the order of time.

    end_ms    epoch ms; no event is later
    services  1 to SERVICES_MAX
    users     about how many different ones are seen, USERS_MIN and more

    Raises LoadError where the numbers are out of range. Memory: the events of one day.
    """
    if not (1 <= days <= DAYS_MAX and 1 <= services <= SERVICES_MAX and users >= USERS_MIN):
        raise LoadError(
            f"The demonstration takes 1 to {DAYS_MAX} days, 1 to {SERVICES_MAX} services and "
            f"{USERS_MIN} users and more, not {days}, {services} and {users}."
        )
    return _stream(_World(seed, end_ms // DAY_MS, days, services, users), end_ms)


def _stream(world: "_World", end_ms: int) -> Iterator[Event]:
    by_time = itemgetter("timestamp", "eventId")
    pending: list[Event] = []
    for day in range(world.end_day - world.days, world.end_day + 1):
        pending += world.events_of(day)
        pending.sort(key=by_time)
        # What a day begins may go on after midnight, and a refund comes days later.
        until_ms = min((day + 1) * DAY_MS, end_ms + 1)
        due = sum(event["timestamp"] < until_ms for event in pending)
        yield from pending[:due]
        pending = pending[due:]


class _World:
    """The people who are about, and what they do on a day."""

    def __init__(self, seed: int, end_day: int, days: int, services: int, users: int) -> None:
        self.end_day = end_day
        self.days = days
        self._seed = seed
        self._a_day = arrivals_a_day(users, days + 1)
        self._shop = Shop(CATALOGUE[:services], _running_totals(services))
        self._arrived: dict[int, list[Person]] = {}

    def events_of(self, day: int) -> list[Event]:
        """Everything that begins on a day, in no order."""
        events: list[Event] = []
        trouble = Trouble.on(day, self.end_day)
        for person in self._people_about(day):
            age_days = day - person.arrival_day
            if person.must_come(age_days) or person.may_come(age_days):
                events += self._visit(person, day, trouble)
            if payment := person.renewal(age_days):
                events.append(self._renewal(person, day, payment))
        return events

    def _people_about(self, day: int) -> Iterator[Person]:
        self._arrived.pop(day - SUBSCRIPTION_DAYS_MAX - 1, None)
        for arrival_day in range(day - SUBSCRIPTION_DAYS_MAX, day + 1):
            people = self._arrived.get(arrival_day)
            if people is None:
                people = self._arrived[arrival_day] = arrivals(
                    self._seed, arrival_day, a_day=self._a_day,
                    services=self._shop.services, weights=self._shop.weights,
                )  # fmt: skip
            yield from people

    def _visit(self, person: Person, day: int, trouble: Trouble) -> list[Event]:
        age_days = day - person.arrival_day
        chance = Random(f"{self._seed}/{person.user_id}/{day}")
        comes = chance.random() < VISITS * VISITS_BY_WEEKDAY[weekday(day)]
        if not (comes or person.must_come(age_days)):
            return []
        lots = [chance.random() for _ in range(2 * len(EXPERIMENTS))]
        visit = Visit(person, day, chance, self._shop, trouble, self._seed)
        first_ms = visit.happen()
        plan = person.subscription
        if plan is not None and plan.age_days == age_days:
            visit.subscribe()
        for number, experiment in enumerate(EXPERIMENTS):
            is_shown = age_days == 0 or lots[2 * number] < _SHOWN_AGAIN
            if is_shown and self.end_day - day <= experiment.began_days_ago:
                delay_ms = (30 + int(150 * lots[2 * number + 1])) * MINUTE_MS
                visit.events += self._shown(experiment, number, person, first_ms, delay_ms)
        return visit.events

    def _shown(
        self, experiment: Experiment, number: int, person: Person, at_ms: int, delay_ms: int
    ) -> list[Event]:
        variant = (person.number >> number) & 1
        day = at_ms // DAY_MS
        fields: Event = {
            "userId": person.user_id,
            "sessionId": f"s-{person.user_id[5:]}-{day}-0",
            "experimentId": experiment.experiment_id,
            "experimentName": experiment.name,
            "variantIndex": variant,
            "variantName": experiment.variants[variant],
        }
        event_id = f"demo-{self._seed}-{person.user_id}-{day}-{experiment.experiment_id}"
        shown: list[Event] = [
            {
                "eventType": "experiment_view",
                "eventId": event_id,
                "timestamp": at_ms,
                **fields,
            }
        ]
        if person.number * experiment.stride % 1 < experiment.rates[variant]:
            shown.append(
                {
                    "eventType": "experiment_conversion",
                    "eventId": f"{event_id}-goal",
                    "timestamp": at_ms + delay_ms,
                    **fields,
                }
            )
        return shown

    def _renewal(self, person: Person, day: int, payment: int) -> Event:
        """Made without the person being there: no userId, for paying is not being active."""
        plan = person.subscription
        assert plan is not None
        chance = Random(f"{self._seed}/{plan.subscription_id}/{payment}")
        order_id = f"ord-{plan.subscription_id}-{payment}"
        return {
            "eventType": "revenue_transaction",
            "eventId": f"demo-{self._seed}-{order_id}",
            "timestamp": day * DAY_MS + chance.randrange(DAY_MS),
            **payment_of(plan.service, order_id, plan.price),
            "billingInterval": plan.interval,
            "subscriptionId": plan.subscription_id,
        }


def _running_totals(services: int) -> list[float]:
    totals: list[float] = []
    total = 0.0
    for rank in range(1, services + 1):
        # A step of 11 through the catalogue mixes the categories among the popular ones.
        total += ((rank * 11) % SERVICES_MAX + 1) ** -_POPULARITY
        totals.append(total)
    return totals
