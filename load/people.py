"""Who comes to the demonstration marketplace, on which days, and who pays every month.

A person is a pure function of (seed, day of arrival, number on that day), and each of their
days one of (person, day): the window that is asked for changes neither. That is what lets the
demonstration be run again later and add only what has happened since.
"""

import datetime as dt
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from load.catalogue import Service

STAYING_POWER: Final = 0.339
"""Share that has not left for good after t days: (1 + t) ** -STAYING_POWER, 79 % after one."""

VISITS: Final = 0.506
"""Chance that who has not left comes on a day. Active after 1, 7, 30 days: 40, 25, 16 %."""

VISITS_BY_WEEKDAY: Final = (1.08, 1.10, 1.10, 1.08, 1.02, 0.80, 0.82)
ARRIVALS_BY_WEEKDAY: Final = (1.10, 1.12, 1.10, 1.06, 1.00, 0.80, 0.82)

STAY_DAYS_MAX: Final = 45
SUBSCRIPTION_DAYS_MAX: Final = 95
MONTH_DAYS: Final = 30

_SUBSCRIBERS: Final = 0.09
_YEARLY: Final = 0.2
_CANCELS_AT_RENEWAL: Final = 0.12
_FAVOURITES: Final = 3
_UTC_OFFSETS_H: Final = (-8, -6, -5, -5, 0, 1, 1, 2, 5, 8)


class Subscription(NamedTuple):
    """Begun `age_days` after arrival; `payments` are made before it is cancelled."""

    subscription_id: str
    service: Service
    age_days: int
    interval: str
    payments: int

    @property
    def price(self) -> float:
        """For one interval: a year costs ten months."""
        return self.service.price * (10 if self.interval == "year" else 1)


class Person(NamedTuple):
    """One user. `number` differs for every person, `cohort` is the month of arrival."""

    user_id: str
    number: int
    arrival_day: int
    stay_days: int
    utc_offset_h: int
    cohort: str
    favourites: tuple[Service, ...]
    subscription: Subscription | None

    def may_come(self, age_days: int) -> bool:
        """Whether the person has not left; the day's own chance decides the rest."""
        return age_days <= self.stay_days

    def must_come(self, age_days: int) -> bool:
        """Whether something on that day cannot happen without them."""
        plan = self.subscription
        return age_days == 0 or (plan is not None and age_days == plan.age_days)

    def renewal(self, age_days: int) -> int:
        """The number of the payment due on that day, from 2 on; 0 for none."""
        plan = self.subscription
        if plan is None or plan.interval == "year" or age_days <= plan.age_days:
            return 0
        months, days = divmod(age_days - plan.age_days, MONTH_DAYS)
        return months + 1 if days == 0 and months < plan.payments else 0


def arrivals_a_day(users: int, days: int) -> float:
    """How many must arrive so that about `users` different ones are seen within `days`."""
    earlier: float = sum((1 + age) ** -STAYING_POWER for age in range(1, STAY_DAYS_MAX + 1))
    return users / (days + 0.9 * earlier)


def arrivals(
    seed: int, day: int, *, a_day: float, services: tuple[Service, ...], weights: list[float]
) -> list[Person]:
    """The people who come for the first time on `day`, counted from 1970-01-01.

    weights  of the services' popularity, running totals, as `random.choices` takes them
    """
    chance = Random(f"{seed}/{day}")
    expected = a_day * ARRIVALS_BY_WEEKDAY[weekday(day)] * chance.uniform(0.9, 1.1)
    # By a lot of its own: rounded, few users over many days would be none on every one of them.
    count = int(expected + Random(f"{seed}/{day}/part").random())
    cohort = f"{dt.date.fromordinal(dt.date(1970, 1, 1).toordinal() + day):%Y-%m}"
    return list(_people(chance, day, count, cohort, services, weights))


def weekday(day: int) -> int:
    """0 for Monday; day 0, 1970-01-01, was a Thursday."""
    return (day + 3) % 7


def _people(
    chance: Random,
    day: int,
    count: int,
    cohort: str,
    services: tuple[Service, ...],
    weights: list[float],
) -> Iterator[Person]:
    for index in range(count):
        user_id = f"user-{day}-{index}"
        stay_days = int(min(chance.random() ** (-1 / STAYING_POWER) - 1, STAY_DAYS_MAX))
        favourites = tuple(chance.choices(services, cum_weights=weights, k=_FAVOURITES))
        yield Person(
            user_id=user_id,
            number=day * 1_000_003 + index,
            arrival_day=day,
            stay_days=stay_days,
            utc_offset_h=chance.choice(_UTC_OFFSETS_H),
            cohort=cohort,
            favourites=favourites,
            subscription=_subscription(chance, user_id, stay_days, favourites[0]),
        )


def _subscription(
    chance: Random, user_id: str, stay_days: int, service: Service
) -> Subscription | None:
    if chance.random() >= _SUBSCRIBERS:
        return None
    payments = 1
    while payments < 12 and chance.random() >= _CANCELS_AT_RENEWAL:
        payments += 1
    return Subscription(
        subscription_id=user_id.replace("user", "sub"),
        service=service,
        age_days=min(chance.choice((0, 0, 0, 1, 3, 5)), stay_days),
        interval="year" if chance.random() < _YEARLY else "month",
        payments=payments,
    )
