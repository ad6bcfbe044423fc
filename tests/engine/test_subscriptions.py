import random

from engine.subscriptions import PAYMENTS_MAX, Payment, Subscriptions

DAY_MS = 86_400_000


def paid(day: int, *, of: int = 7, month: int = 10, days: int = 30) -> Payment:
    return of, day * DAY_MS, (day + days) * DAY_MS, month, "USD", "s", ""


def refunded(day: int, *, of: int = 7) -> Payment:
    return of, day * DAY_MS, 0, 0, "USD", "s", ""


def kept(*payments: Payment, places_max: int = 100) -> Subscriptions:
    some = Subscriptions(places_max=places_max)
    for payment in payments:
        some.take(payment)
    return some


def recurring(of: Subscriptions, day: int) -> int:
    return sum(payment[3] for payment in of.in_force(day * DAY_MS) if payment is not None)


def test_refunds_of_what_was_never_paid_take_no_place() -> None:
    some = kept(*(refunded(1, of=n) for n in range(5)), places_max=1)
    assert some.take(paid(2, of=9))
    assert not some.take(paid(2, of=8))
    assert (len(some), some.refused, recurring(some, 3)) == (1, 1, 10)


def test_a_refund_ends_a_subscription_though_it_came_before_the_payment() -> None:
    some = kept(refunded(5), paid(1))
    assert [recurring(some, day) for day in (2, 5, 6)] == [10, 10, 0]


def test_refunds_alone_are_bounded_and_the_first_to_come_go() -> None:
    some = kept(refunded(5, of=1), refunded(5, of=2), refunded(5, of=3), places_max=2)
    for subscription in (1, 3):
        some.take(paid(1, of=subscription))
    assert recurring(some, 6) == 10  # the refund of the first one is forgotten


def test_of_one_subscription_the_latest_payments_stay_in_whatever_order_they_came() -> None:
    payments = [paid(day, month=day, days=1) for day in range(PAYMENTS_MAX + 50)]
    expected = payments[50:]
    assert kept(*payments).all() == expected
    random.Random(1).shuffle(payments)
    assert kept(*payments).all() == expected


def test_what_is_told_comes_back_when_it_is_taken_again() -> None:
    some = kept(
        refunded(1), paid(2), refunded(3, of=8), paid(4, of=9), refunded(5, of=9), places_max=2
    )
    back = kept(*some.all(), places_max=2)
    for day in range(40):
        assert recurring(back, day) == recurring(some, day)
    assert back.all() == some.all()
    assert back.refused == 0


def test_what_ended_before_the_oldest_instant_is_forgotten() -> None:
    some = kept(paid(1), refunded(2, of=8), paid(300, of=9))
    some.expire(100 * DAY_MS)
    assert some.all() == [paid(300, of=9)]
