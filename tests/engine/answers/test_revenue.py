from decimal import Decimal
from typing import Any

import pytest

from tests.harness import House

NOW_MS = 1_794_007_200_000  # 2026-11-06T23:20:00Z
DAY_MS = 86_400_000
SALE = {
    "eventType": "revenue_transaction",
    "orderId": "o",
    "amount": 100,
    "currency": "USD",
    "serviceId": "s",
}
REFUND = {**SALE, "status": "refunded"}
MONTHLY = {**SALE, "billingInterval": "month", "subscriptionId": "sub"}
ASKED_OF = {"serviceId": "b", "currency": "EUR", "creatorId": "x"}
MONEY = ("gmv", "mrr", "takeRate", "creatorEarnings", "avgOrderValue", "grossGmv", "refunds",
         "fees")  # fmt: skip


def told(*events: dict[str, Any], **settings: Any) -> House:
    return House(**settings).track(NOW_MS, *events)


def figures(house: House, **asked: Any) -> dict[str, Any]:
    return house.revenue(NOW_MS, **asked)["data"]


def test_refunds_are_subtracted_with_their_fee() -> None:
    found = figures(
        told(
            {**SALE, "takeRate": 10},
            {**SALE, "amount": 300, "takeRate": 20},
            {**REFUND, "amount": 50, "takeRate": 20},
            {**SALE, "amount": 999, "status": "failed"},
        )
    )
    assert found["grossGmv"] == 400
    assert found["refunds"] == 50
    assert found["gmv"] == 350
    assert found["fees"] == 10 + 60 - 10
    assert found["creatorEarnings"] == 290
    assert found["takeRate"] == pytest.approx(100 * 60 / 350)
    assert found["transactionCount"] == 2
    assert found["avgOrderValue"] == 200
    assert (found["currency"], found["reason"]) == ("USD", None)


def test_refunds_may_exceed_the_sales_of_a_period() -> None:
    found = figures(told({**SALE, "amount": 10}, {**REFUND, "amount": 30}))
    assert (found["gmv"], found["grossGmv"], found["creatorEarnings"]) == (-20, 10, -20)


@pytest.mark.parametrize(
    ("sold", "back", "rate"), [(50, 10, 410), (10, 50, -350), (20, 20, 20)]
)
def test_the_take_rate_may_leave_percent_where_refunds_have_another(
    sold: int, back: int, rate: int
) -> None:
    found = figures(
        told({**SALE, "takeRate": sold}, {**REFUND, "amount": 90, "takeRate": back})
    )
    assert (found["gmv"], found["takeRate"]) == (10, rate)
    assert found["fees"] == found["gmv"] * rate / 100


def test_what_nothing_divides_is_null() -> None:
    found = figures(told(SALE, REFUND))
    assert (found["gmv"], found["takeRate"], found["avgOrderValue"]) == (0, None, 100)
    found = figures(told(REFUND))
    assert (found["gmv"], found["transactionCount"], found["avgOrderValue"]) == (-100, 0, None)


def test_cents_add_up_to_the_cent() -> None:
    found = figures(told(*[{**SALE, "amount": 0.1, "takeRate": 33.3}] * 1_000))
    assert (found["gmv"], found["fees"]) == (100.0, 33.3)


def test_a_mean_is_divided_once() -> None:
    assert figures(told(*[{**SALE, "amount": 0.1}] * 3))["avgOrderValue"] == 0.1


def test_amounts_of_several_currencies_are_never_added() -> None:
    house = told(SALE, {**SALE, "amount": 9, "currency": "EUR"})
    found = figures(house, granularity="day")
    assert [found[name] for name in MONEY] == [None] * 8
    assert found["transactionCount"] == 2
    assert found["reason"] == (
        "There are amounts in EUR, USD, and no rate is set for EUR: see byCurrency, or set "
        "currency_rates."
    )
    assert {code: one["gmv"] for code, one in found["byCurrency"].items()} == {
        "EUR": 9,
        "USD": 100,
    }
    assert found["topServices"] == [
        {"id": "s", "name": "s", "gmv": None, "transactionCount": 2}
    ]
    assert found["series"][-1]["gmv"] is None
    assert found["series"][-1]["transactionCount"] == 2
    assert figures(house, currency="EUR")["gmv"] == 9


def test_the_one_other_currency_is_told_as_such() -> None:
    found = figures(told({**SALE, "currency": "EUR"}))
    assert (found["currency"], found["gmv"], found["reason"]) == ("EUR", 100, None)


def test_a_rate_makes_one_currency_of_two() -> None:
    house = told(
        {**SALE, "takeRate": 10},
        {**SALE, "amount": 9, "currency": "EUR"},
        {**MONTHLY, "amount": 10, "currency": "EUR"},
        currency_rates={"EUR": Decimal("1.10")},
    )
    found = figures(house)
    assert (found["currency"], found["reason"]) == ("USD", None)
    assert found["gmv"] == 100 + 9.9 + 11
    assert found["mrr"] == 11
    assert found["byCurrency"]["EUR"]["gmv"] == 19


def test_what_subscriptions_are_paid_in_says_nothing_of_sales_in_one_currency() -> None:
    yearly = {**MONTHLY, "billingInterval": "year", "amount": 120, "currency": "EUR"}
    house = House().track(NOW_MS - 40 * DAY_MS, yearly).track(NOW_MS, SALE)
    found = figures(house, granularity="day")
    assert (found["currency"], found["gmv"], found["avgOrderValue"]) == ("USD", 100, 100)
    assert [step["gmv"] for step in found["series"]] == [0, 0, 0, 0, 0, 0, 100]
    assert [top["gmv"] for top in found["topServices"]] == [100]
    assert found["mrr"] is None
    assert found["reason"] == (
        "Recurring revenue is in EUR, the other figures are in USD, and no rate is set for "
        "EUR: see byCurrency, or set currency_rates."
    )
    assert {code: one["mrr"] for code, one in found["byCurrency"].items()} == {
        "EUR": 10,
        "USD": 0,
    }
    assert house.counters(NOW_MS)["revenue:today"] == found["series"][-1]["gmv"]


def test_recurring_revenue_alone_is_told_in_its_one_currency() -> None:
    house = House().track(NOW_MS - 10 * DAY_MS, {**MONTHLY, "currency": "EUR"})
    found = figures(house)
    assert (found["currency"], found["mrr"], found["gmv"]) == ("EUR", 100, 0)
    assert found["reason"] is None


def test_filters_each_alone_and_with_a_currency() -> None:
    house = told(
        {**SALE, "serviceId": "a", "creatorId": "x", "amount": 1},
        {**SALE, "serviceId": "b", "creatorId": "x", "amount": 2},
        {**SALE, "serviceId": "b", "amount": 4, "currency": "EUR"},
    )
    assert figures(house, serviceId="a")["gmv"] == 1
    assert figures(house, creatorId="x")["gmv"] == 3
    assert figures(house, currency="EUR")["gmv"] == 4
    assert figures(house, serviceId="nobody")["gmv"] == 0
    tops = {name: figures(house, **{name: of})["topServices"] for name, of in ASKED_OF.items()}
    assert {name: [top["id"] for top in found] for name, found in tops.items()} == {
        "serviceId": ["b"],
        "currency": ["b"],
        "creatorId": [],  # sums are by service or by creator, and not by both
    }
    assert figures(house, serviceId="b", currency="EUR")["byCurrency"].keys() == {"EUR"}
    assert figures(house, serviceId="b", currency="EUR")["gmv"] == 4
    assert figures(house, serviceId="b", currency="USD")["gmv"] == 2
    assert figures(house, creatorId="x", currency="EUR")["transactionCount"] == 0
    assert figures(house, creatorId="x", currency="USD")["gmv"] == 3


def test_top_services_are_those_with_the_most_gmv() -> None:
    house = told(
        {**SALE, "serviceId": "a", "amount": 10},
        {**SALE, "serviceId": "b", "amount": 30},
        {**REFUND, "serviceId": "b", "amount": 25},
        {**SALE, "serviceId": "c", "amount": 7},
        shards=4,
    )
    tops = figures(house, limit=2)["topServices"]
    assert [(top["id"], top["gmv"]) for top in tops] == [("a", 10), ("c", 7)]


# -- recurring revenue ------------------------------------------------------------------------


def mrr(house: House, end_date: str, start_date: str | None = None) -> float:
    data = house.revenue(NOW_MS, startDate=start_date or end_date, endDate=end_date)["data"]
    return data["mrr"]


@pytest.mark.parametrize(
    ("interval", "count", "a_month"),
    [("month", 1, 120), ("month", 3, 40), ("year", 1, 10), ("year", 2, 5),
     ("day", 1, 3650), ("week", 1, 521.428571)],
)  # fmt: skip
def test_recurring_revenue_is_normalised_to_a_month(
    interval: str, count: int, a_month: float
) -> None:
    paid = {**SALE, "amount": 120, "billingInterval": interval, "billingIntervalCount": count}
    assert figures(told(paid))["mrr"] == a_month


def test_one_time_sales_do_not_recur() -> None:
    assert figures(told(SALE))["mrr"] == 0


def test_a_payment_counts_for_its_interval_and_three_days_of_grace() -> None:
    house = told({**MONTHLY, "timestamp": "2026-09-10T12:00:00Z"})
    expected = {
        "2026-09-09": 0,
        "2026-09-10": 100,
        "2026-10-09": 100,
        "2026-10-12": 100,  # ends on the 13th at 12:00, and the 13th begins before that
        "2026-10-13": 0,
    }
    assert {day: mrr(house, day) for day in expected} == expected


def test_a_refund_ends_a_subscription_and_the_next_payment_begins_it_again() -> None:
    house = told(
        {**MONTHLY, "timestamp": "2026-09-10T12:00:00Z"},
        {**MONTHLY, "timestamp": "2026-10-10T12:00:00Z", "amount": 150},
        {**REFUND, "subscriptionId": "sub", "timestamp": "2026-10-15T12:00:00Z", "amount": 150},
        {**MONTHLY, "timestamp": "2026-10-20T12:00:00Z", "amount": 80},
    )
    expected = {"2026-09-30": 100, "2026-10-14": 150, "2026-10-15": 0, "2026-10-20": 80}
    assert {day: mrr(house, day) for day in expected} == expected


def test_of_a_payment_and_a_refund_at_one_instant_the_refund_is_the_later() -> None:
    back = {**REFUND, "subscriptionId": "sub"}
    assert figures(told(MONTHLY, back))["mrr"] == 0
    assert figures(told(back, MONTHLY))["mrr"] == 0


def test_of_two_payments_at_one_instant_that_of_the_later_service_and_creator_counts() -> None:
    for field in ("serviceId", "creatorId"):
        pair = [{**MONTHLY, field: who} for who in ("a", "b")]
        for payments in (pair, pair[::-1]):
            house = told(*payments)
            assert figures(house, **{field: "b"})["mrr"] == figures(house)["mrr"] == 100
            assert figures(house, **{field: "a"})["mrr"] == 0


def test_a_subscription_without_an_id_goes_by_its_order() -> None:
    paid = {**SALE, "billingInterval": "month"}
    assert figures(told(paid, {**paid, "orderId": "p"}, paid))["mrr"] == 200


def test_a_failed_payment_neither_begins_nor_ends_anything() -> None:
    assert figures(told(MONTHLY, {**MONTHLY, "status": "failed", "amount": 1}))["mrr"] == 100


def test_recurring_revenue_of_one_service_creator_and_currency() -> None:
    house = told(
        {**MONTHLY, "creatorId": "x"},
        {**MONTHLY, "subscriptionId": "t", "serviceId": "t", "amount": 7, "currency": "EUR"},
    )
    assert figures(house, serviceId="t")["mrr"] == 7
    assert figures(house, creatorId="x")["mrr"] == 100
    assert figures(house, currency="EUR")["mrr"] == 7
    assert {c: one["mrr"] for c, one in figures(house)["byCurrency"].items()} == {
        "EUR": 7,
        "USD": 100,
    }


def test_recurring_revenue_lasts_although_nothing_was_sold_in_the_period() -> None:
    house = told({**MONTHLY, "timestamp": NOW_MS - 20 * DAY_MS, "currency": "EUR"})
    found = figures(house)
    assert (found["gmv"], found["mrr"], found["currency"]) == (0, 100, "EUR")


def test_recurring_revenue_is_never_told_for_later_than_today() -> None:
    house = told({**MONTHLY, "timestamp": "2026-10-08T00:00:00Z"})  # until 11 November
    assert mrr(house, "2026-12-31", start_date="2026-11-01") == 100
