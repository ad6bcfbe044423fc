from engine.cells import Horizon
from engine.rollups.revenue import (
    COMPLETED,
    REFUNDED,
    Image,
    Question,
    Revenue,
    Sales,
    merged,
)
from engine.subscriptions import Payment
from engine.timebucket import DAY_MS, FAR_MS, Calendar, Span
from tests.harness import run
from tests.owners import Everything

UTC = Calendar("UTC")
DAY = 740_000
START_MS = UTC.day_start_ms(DAY)
SUB = 7


def revenue(subscriptions_max: int = 100) -> Revenue:
    return Revenue(UTC, subscriptions_max=subscriptions_max)


def paid(day: int, *, days: int, month: int = 10, subscription: int = SUB) -> Payment:
    """A payment on the n-th day for so many days, worth `month` micros a month."""
    at_ms = START_MS + day * DAY_MS
    return subscription, at_ms, at_ms + days * DAY_MS, month, "USD", "s", ""


def refunded(day: int, subscription: int = SUB) -> Payment:
    return subscription, START_MS + day * DAY_MS, 0, 0, "USD", "s", ""


def image(of: Revenue, day: int = 0, days: tuple[int, ...] = (DAY,)) -> Image:
    """What is told of `days`, and of recurring revenue at the end of the n-th day."""
    at_ms = START_MS + (day + 1) * DAY_MS
    return run(of.image(Question(Span(days, ()), None, None, None, at_ms)))


def recurring(of: Revenue, day: int) -> int:
    return image(of, day).mrr_micros.get("USD", 0)


def dump(of: Revenue, *, full: bool) -> dict:
    return dict(of.dump(full=full))


def test_sales_and_refunds_are_kept_apart() -> None:
    some = revenue()
    some.fold(
        [
            ("s", "", "USD", START_MS, COMPLETED, 100, 10),
            ("s", "", "USD", START_MS, REFUNDED, 30, 3),
        ]
    )
    sales = image(some).now["USD"]
    assert sales == Sales(1, 100, 10, 30, 1, 3)
    assert (sales.gmv_micros, sales.fees_micros) == (70, 7)


def test_payments_that_come_late_take_their_place() -> None:
    some = revenue()
    some.fold_payments([paid(60, days=30, month=3), paid(0, days=30, month=1)])
    some.fold_payments([paid(30, days=30, month=2)])
    assert [recurring(some, day) for day in (0, 29, 30, 59, 60)] == [1, 1, 2, 2, 3]


def test_what_a_refund_ended_does_not_come_back_when_the_refund_expires() -> None:
    some = revenue()
    some.fold_payments([paid(0, days=800), refunded(1)])
    some.expire(Horizon(0, DAY + 402))
    assert recurring(some, 402) == 0


def test_what_a_later_payment_replaced_does_not_come_back_when_that_expires() -> None:
    some = revenue()
    some.fold_payments([paid(0, days=800), paid(1, days=30)])
    some.expire(Horizon(0, DAY + 402))
    assert recurring(some, 402) == 0


def test_a_payment_still_in_force_outlives_the_horizon() -> None:
    some = revenue()
    some.fold_payments([paid(0, days=10, month=1), paid(9, days=800, month=2)])
    some.expire(Horizon(0, DAY + 402))
    assert [recurring(some, day) for day in (402, 810, 811)] == [2, 2, 0]


def test_subscriptions_beyond_the_bound_are_not_taken_and_known_ones_are() -> None:
    some = revenue(subscriptions_max=1)
    some.fold_payments([paid(0, days=30, subscription=n, month=n) for n in (1, 2, 1)])
    assert recurring(some, 0) == 1


def test_changes_and_the_whole_come_back_from_dumps() -> None:
    some = revenue()
    some.fold([("s", "c", "USD", START_MS, COMPLETED, 2**70, 10)])
    some.fold_payments([paid(0, days=30, month=1)])
    slots = dump(some, full=True)
    some.fold_payments([paid(40, days=30, month=2, subscription=8), refunded(20)])
    slots |= dump(some, full=False)
    some.fold_payments([paid(25, days=60, month=5)])
    slots |= dump(some, full=False)
    back = revenue()
    back.load(slots, Everything())
    for day in (0, 20, 25, 41):
        assert image(back, day) == image(some, day)
    assert image(back).now["USD"].gross_micros == 2**70
    again = revenue()
    again.load(dump(back, full=True), Everything())
    assert image(again, 41) == image(some, 41)


def test_an_interval_without_end_counts_as_long_as_there_are_dates() -> None:
    some = revenue()
    some.fold_payments([(SUB, START_MS, FAR_MS, 1, "USD", "s", "")])
    assert recurring(some, 40_000) == 1


def test_images_of_several_shards_add_up_by_currency() -> None:
    parts = []
    for currency, amount in (("USD", 1), ("EUR", 2), ("USD", 4)):
        some = revenue()
        some.fold([("s", "", currency, START_MS, COMPLETED, amount, 0)])
        parts.append(image(some))
    whole = merged(parts)
    assert {code: sales.gross_micros for code, sales in whole.now.items()} == {
        "USD": 5,
        "EUR": 2,
    }
    assert whole.by_service["s"] == whole.now
