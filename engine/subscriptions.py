"""Subscriptions: what was paid and refunded for each, so that MRR is known for any past day.

One row per payment. A refund without a payment may belong to a one-time order, or have arrived
before its payment: such refunds are remembered, up to a number of their own, and take no place
of a subscription.
"""

from collections.abc import Generator, Sequence
from sys import getsizeof
from typing import Final

from engine.footprint import table_bytes
from engine.timebucket import DAY_MS

Payment = tuple[int, int, int, int, str, str, str]
"""(subscription's hash64, at_ms, until_ms, month_micros, currency, service, creator or '');
a refund has until_ms 0."""

GRACE_MS: Final = 3 * DAY_MS
"""How long after its interval a payment still counts as recurring revenue."""

PAYMENTS_MAX: Final = 1_024
"""Payments and refunds remembered of one subscription, the latest ones: paid daily, more than
two years."""

STEP: Final = 512
"""Subscriptions that are looked at between two pauses."""


class Subscriptions:
    """The subscriptions that one shard owns, at the most `places_max` of them.

    refused  payments of subscriptions for which there was no place, since the start
    """

    def __init__(self, *, places_max: int) -> None:
        self._places_max = places_max
        self._payments: dict[int, list[Payment]] = {}  # by subscription, in their order
        self._refunds: dict[int, list[Payment]] = {}  # where nothing is known to be paid
        self.refused = 0

    def __len__(self) -> int:
        """How many there are for which something was paid."""
        return len(self._payments)

    def memory_bytes(self) -> int:
        """About what their payments and refunds occupy."""
        return sum(table_bytes(kept, _bytes) for kept in (self._payments, self._refunds))

    def take(self, payment: Payment) -> bool:
        """Remember a payment or refund; whether it is remembered."""
        subscription = payment[0]
        known = self._payments.get(subscription)
        if known is None:
            if not payment[2]:
                self._refund(payment)
                return True
            if len(self._payments) >= self._places_max:
                self.refused += 1
                return False
            known = self._payments[subscription] = self._refunds.pop(subscription, [])
        _put(known, payment)
        return True

    def _refund(self, payment: Payment) -> None:
        refunds = self._refunds.get(payment[0])
        if refunds is None:
            if len(self._refunds) >= self._places_max:
                del self._refunds[next(iter(self._refunds))]  # the oldest to come
            refunds = self._refunds[payment[0]] = []
        _put(refunds, payment)

    def expire(self, oldest_ms: int) -> None:
        """Forget what tells nothing of instants from `oldest_ms` on."""
        for kept in (self._payments, self._refunds):
            for subscription, payments in list(kept.items()):
                if payments[0][1] < oldest_ms:
                    payments = _since(payments, oldest_ms)
                    if payments:
                        kept[subscription] = payments
                    else:
                        del kept[subscription]

    def in_force(self, at_ms: int) -> Generator[Payment | None, None, None]:
        """The payments that make recurring revenue at `at_ms`; None for a step of work."""
        for index, payments in enumerate(self._payments.values()):
            if index % STEP == 0:
                yield None
            last = _last_before(payments, at_ms)
            if last is not None and at_ms < last[2] + GRACE_MS:
                yield last

    def all(self) -> list[Payment]:
        """Every payment and refund that is remembered, in the order to take them back."""
        kept = (*self._payments.values(), *self._refunds.values())
        return [payment for payments in kept for payment in payments]


def _bytes(payments: list[Payment]) -> int:
    """The list and its payments, which are alike; an id is a text of its own in each."""
    numbers, texts = payments[0][:4], payments[0][4:]
    each = getsizeof(payments[0]) + sum(map(getsizeof, (*numbers[1:], *texts)))
    return getsizeof(payments) + len(payments) * each


def _put(payments: list[Payment], payment: Payment) -> None:
    payments.append(payment)
    if len(payments) > 1 and _order(payments[-2]) > _order(payment):
        payments.sort(key=_order)  # it came late
    if len(payments) > PAYMENTS_MAX:
        del payments[0]


def _order(payment: Payment) -> tuple[object, ...]:
    """By time, a refund last: where instants are equal, the order of arrival tells nothing."""
    return payment[1], payment[2] == 0, *payment[2:]


def _since(payments: list[Payment], oldest_ms: int) -> list[Payment]:
    """What tells of instants from `oldest_ms` on: the last payment before it, and all later.

    What the last one had ended before must not come back when that is let go itself.
    """
    earlier = sum(1 for payment in payments if payment[1] < oldest_ms)
    in_force = earlier and payments[earlier - 1][2] + GRACE_MS >= oldest_ms
    return payments[earlier - 1 if in_force else earlier :]


def _last_before(payments: Sequence[Payment], at_ms: int) -> Payment | None:
    """The payment in force at `at_ms`: the latest one before it unless a refund came after."""
    for payment in reversed(payments):
        if payment[1] < at_ms:
            return payment if payment[2] else None
    return None
