"""What one person does in the demonstration marketplace on one day, as events."""

from random import Random
from typing import Any, Final, NamedTuple

from load.catalogue import CURRENCY, FAILING, FRUITLESS, SEARCHES, SLOWED, Service
from load.people import Person

DAY_MS: Final = 86_400_000
MINUTE_MS: Final = 60_000

Event = dict[str, Any]

SECOND_SESSIONS: Final = 0.28
CONVERSIONS: Final = 0.085
"""Chance that a view ends in a purchase."""

FAILED_PAYMENTS: Final = 0.03
TRIED_AGAIN: Final = 0.6
REFUNDS: Final = 0.035
FRUITLESS_SEARCHES: Final = 0.06

SLOWED_BY: Final = 2.2
INCIDENT_ERRORS: Final = 0.31

# Share of a day's sessions that begin in each hour of the person's own clock.
_HOURS: Final = (
    8, 5, 3, 2, 2, 4, 10, 22, 42, 60, 66, 62, 52, 56, 64, 66, 62, 54, 44, 40, 42, 38, 26, 14,
)  # fmt: skip
_ERROR_CODES: Final = (
    (0.35, "TIMEOUT"),
    (0.60, "INVALID_INPUT"),
    (0.80, "RATE_LIMITED"),
    (0.95, "UPSTREAM_ERROR"),
    (1.00, "INTERNAL"),
)
_TIMEOUT_MS: Final = 30_000.0


class Trouble(NamedTuple):
    """Which services are not themselves on a day."""

    slowed: str | None
    failing: str | None

    @classmethod
    def on(cls, day: int, end_day: int) -> "Trouble":
        """One service is slow in the last five days, another failed on two days of them."""
        return cls(
            slowed=SLOWED if end_day - day <= 4 else None,
            failing=FAILING if 2 <= end_day - day <= 3 else None,
        )


class Shop(NamedTuple):
    """What is on offer: `weights` are running totals of popularity."""

    services: tuple[Service, ...]
    weights: list[float]


class Visit:
    """The events of one person on one day, gathered in the order they are thought of.

    Ids are made of person, day and place in the list, so the same day gives the same ids.
    Nothing here may draw from `chance` more or less often for being near the window's end.
    """

    def __init__(
        self, person: Person, day: int, chance: Random, shop: Shop, trouble: Trouble, seed: int
    ) -> None:
        self.events: list[Event] = []
        self._person = person
        self._day = day
        self._chance = chance
        self._shop = shop
        self._trouble = trouble
        self._id = f"demo-{seed}-{person.user_id}-{day}"
        self._session_id = ""
        self._at_ms = 0

    def happen(self) -> int:
        """Gather the day; returns epoch ms of the first session's begin."""
        chance = self._chance
        sessions = 1 + (chance.random() < SECOND_SESSIONS)
        first_ms = 0
        for number in range(sessions):
            begin_ms = self._begin_ms()
            first_ms = first_ms or begin_ms
            self._session(f"s-{self._person.user_id[5:]}-{self._day}-{number}", begin_ms)
        return first_ms

    def subscribe(self) -> None:
        """The first payment of the person's subscription, with the view that led to it."""
        plan = self._person.subscription
        assert plan is not None
        self._view(plan.service)
        self._order(plan.service, plan.price, {
            "billingInterval": plan.interval, "subscriptionId": plan.subscription_id,
        })  # fmt: skip

    def _begin_ms(self) -> int:
        hour = self._chance.choices(range(24), weights=_HOURS)[0] - self._person.utc_offset_h
        return self._day * DAY_MS + hour % 24 * 3_600_000 + self._chance.randrange(3_600_000)

    def _session(self, session_id: str, begin_ms: int) -> None:
        chance = self._chance
        self._session_id, self._at_ms = session_id, begin_ms
        # Searching and buying first, then the calls of the services one uses.
        for _ in range(chance.choice((0, 0, 0, 1, 1, 2))):
            self._search()
        for _ in range(chance.choice((0, 0, 1, 1, 2, 3))):
            service = self._any_service()
            self._view(service)
            if chance.random() < CONVERSIONS:
                self._order(service, service.price, {})
        for _ in range(min(int(chance.expovariate(0.4)), 12)):
            self._execute(chance.choice(self._person.favourites))
        self._later(2_000, 90_000)
        self._add("user_session", {
            "duration": self._at_ms - begin_ms, "cohort": self._person.cohort,
        })  # fmt: skip

    def _any_service(self) -> Service:
        return self._chance.choices(self._shop.services, cum_weights=self._shop.weights)[0]

    def _search(self) -> None:
        self._later(1_000, 30_000)
        category = self._any_service().category
        query, found = self._chance.choice(SEARCHES[category]), self._chance.randint(1, 9)
        if self._chance.random() < FRUITLESS_SEARCHES:
            query, found = self._chance.choice(FRUITLESS), 0
        self._add("marketplace_search", {
            "searchQuery": query, "resultCount": found, "category": category,
        })  # fmt: skip

    def _view(self, service: Service) -> None:
        self._later(2_000, 60_000)
        self._add("marketplace_view", {
            "serviceId": service.service_id, "serviceName": service.name,
            "category": service.category,
        })  # fmt: skip

    def _order(self, service: Service, amount: float, billing: Event) -> None:
        """A payment, its failures, and days later perhaps a refund."""
        chance = self._chance
        self._later(20_000, 120_000)
        order_id = f"ord-{self._session_id[2:]}-{len(self.events)}"
        payment = payment_of(service, order_id, amount) | billing
        if chance.random() < FAILED_PAYMENTS:
            self._add("revenue_transaction", payment | {"status": "failed"})
            if chance.random() >= TRIED_AGAIN:
                return
            self._later(60_000, 300_000)
        self._add("revenue_transaction", payment)
        self._add("marketplace_conversion", {
            "serviceId": service.service_id, "category": service.category, "orderId": order_id,
            "amount": amount, "currency": CURRENCY,
        })  # fmt: skip
        if chance.random() < REFUNDS:
            # By the staff: no userId, for a refund is not the user's being active.
            later_ms = self._at_ms + int(chance.uniform(1, 5) * DAY_MS)
            self.events.append({
                "eventType": "revenue_transaction",
                "eventId": f"{self._id}-{len(self.events)}",
                "timestamp": later_ms, **payment, "status": "refunded",
            })  # fmt: skip

    def _execute(self, service: Service) -> None:
        chance = self._chance
        self._later(500, 20_000)
        is_failing = service.service_id == self._trouble.failing
        errors = INCIDENT_ERRORS if is_failing else service.errors_percent / 100
        fate, tail = chance.random(), chance.random()
        latency_ms = service.median_ms * chance.lognormvariate(0.0, service.sigma)
        if tail < service.tail_percent / 100:
            latency_ms *= 5 + 3_500 * tail / service.tail_percent
        if service.service_id == self._trouble.slowed:
            latency_ms *= SLOWED_BY
        fields: Event = {
            "serviceId": service.service_id, "serviceName": service.name,
            "category": service.category, "success": fate >= errors,
            "latencyMs": round(min(latency_ms, _TIMEOUT_MS), 1),
        }  # fmt: skip
        if fate < errors:
            place = 0.9 if is_failing else fate / errors
            code = next(code for share, code in _ERROR_CODES if place < share)
            fields["errorCode"] = code
            if code == "TIMEOUT":
                fields["latencyMs"] = _TIMEOUT_MS
        self._add("service_execution", fields)

    def _later(self, least_ms: int, most_ms: int) -> None:
        self._at_ms += self._chance.randrange(least_ms, most_ms)

    def _add(self, event_type: str, fields: Event) -> None:
        self.events.append({
            "eventType": event_type,
            "eventId": f"{self._id}-{len(self.events)}",
            "timestamp": self._at_ms,
            "userId": self._person.user_id,
            "sessionId": self._session_id,
            **fields,
        })  # fmt: skip


def payment_of(service: Service, order_id: str, amount: float) -> Event:
    """The fields that every payment for a service carries."""
    return {
        "orderId": order_id,
        "amount": amount,
        "currency": CURRENCY,
        "serviceId": service.service_id,
        "category": service.category,
        "takeRate": service.take_percent,
        "creatorId": service.creator_id,
    }
