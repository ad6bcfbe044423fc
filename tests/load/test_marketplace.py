"""The demonstration marketplace: the same for the same seed, and as believable as designed."""

import datetime as dt
import math
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import msgspec
import pytest

from engine.decoding import decode_many
from engine.events import AcceptedTimes
from load import marketplace
from load.catalogue import FAILING, SERVICES, SLOWED
from load.errors import LoadError
from load.extent import DAYS, DAYS_MAX, USERS_MIN
from load.marketplace import EXPERIMENTS, generate
from load.visits import DAY_MS

END_MS = int(dt.datetime(2026, 3, 18, 17, 40, tzinfo=dt.UTC).timestamp() * 1000)
TODAY = END_MS // DAY_MS
Events = list[dict[str, Any]]


@pytest.fixture(scope="module")
def events() -> Events:
    return list(generate(2025, END_MS))


@pytest.fixture(scope="module")
def active_days(events: Events) -> dict[str, set[int]]:
    days: dict[str, set[int]] = defaultdict(set)
    for event in events:
        if "userId" in event:
            days[event["userId"]].add(event["timestamp"] // DAY_MS)
    return days


def of(events: Events, event_type: str) -> Events:
    return [event for event in events if event["eventType"] == event_type]


def percent_active_after(active_days: dict[str, set[int]], days: int, newest: int) -> float:
    """Of the users who were first seen in the window's second week or later."""
    begun = {user: min(seen) for user, seen in active_days.items()}
    cohort = [user for user, day in begun.items() if TODAY - 22 <= day <= TODAY - newest]
    assert len(cohort) > 500
    return 100 * sum(begun[user] + days in active_days[user] for user in cohort) / len(cohort)


def test_the_same_seed_gives_the_same_events() -> None:
    small = {"days": 3, "users": 200}
    assert list(generate(7, END_MS, **small)) == list(generate(7, END_MS, **small))
    assert list(generate(7, END_MS, **small)) != list(generate(8, END_MS, **small))


def test_run_again_later_it_adds_only_what_has_happened_since() -> None:
    before = list(generate(7, END_MS, days=3, users=200))
    later = list(generate(7, END_MS + 3_600_000, days=3, users=200))
    assert later[: len(before)] == before
    assert len(later) > len(before)


def test_on_the_next_day_what_both_windows_hold_has_the_same_ids() -> None:
    before = {e["eventId"] for e in generate(7, END_MS, days=5, users=200)}
    next_day = list(generate(7, END_MS + DAY_MS, days=5, users=200))
    # The window's first day lacks what the day before it left over for it.
    first_ms, end_ms = (TODAY - 3) * DAY_MS, END_MS
    shared = [e["eventId"] for e in next_day if first_ms <= e["timestamp"] <= end_ms]
    known = sum(event_id in before for event_id in shared)
    assert known / len(shared) > 0.99


def test_events_come_in_the_order_of_time_up_to_the_end(events: Events) -> None:
    at_ms = [event["timestamp"] for event in events]
    assert at_ms == sorted(at_ms)
    assert at_ms[0] >= marketplace.first_ms(END_MS, DAYS)
    assert END_MS - 120_000 < at_ms[-1] <= END_MS


def test_every_event_has_an_id_of_its_own(events: Events) -> None:
    assert len({event["eventId"] for event in events}) == len(events)


def test_every_event_is_one_that_the_server_takes(events: Events) -> None:
    body = msgspec.json.encode(events)
    times = AcceptedTimes(END_MS - 400 * DAY_MS, END_MS, now_ms=END_MS)
    batch = decode_many(body, events_max=len(events), times=times, text_bytes_max=1 << 30)
    assert len(batch.events) == len(events)


def test_a_month_is_large_enough_to_look_at_and_small_enough_to_post(events: Events) -> None:
    assert 150_000 <= len(events) <= 250_000
    assert set(Counter(event["eventType"] for event in events)) == {
        "service_execution", "revenue_transaction", "marketplace_search", "marketplace_view",
        "marketplace_conversion", "experiment_view", "experiment_conversion", "user_session",
    }  # fmt: skip


def test_about_five_thousand_users_and_all_forty_services_are_seen(
    events: Events, active_days: dict[str, set[int]]
) -> None:
    assert abs(len(active_days) - 5_000) < 150
    assert len({event["serviceId"] for event in of(events, "service_execution")}) == 40
    assert len({service.category for service in SERVICES}) == 7


def test_users_stay_as_designed(active_days: dict[str, set[int]]) -> None:
    assert percent_active_after(active_days, 1, newest=2) == pytest.approx(40, abs=5)
    assert percent_active_after(active_days, 7, newest=8) == pytest.approx(26, abs=5)
    assert percent_active_after(active_days, 14, newest=15) == pytest.approx(21, abs=5)


def test_weekends_and_nights_are_quieter(events: Events) -> None:
    by_day = Counter(event["timestamp"] // DAY_MS for event in events)
    whole = [day for day in by_day if TODAY - 30 < day < TODAY]
    weekend = [by_day[day] for day in whole if (day + 3) % 7 >= 5]
    weekdays = [by_day[day] for day in whole if (day + 3) % 7 < 5]
    assert sum(weekend) / len(weekend) < 0.85 * sum(weekdays) / len(weekdays)
    by_hour = Counter(event["timestamp"] // 3_600_000 % 24 for event in events)
    assert by_hour[15] > 1.7 * by_hour[4]


def test_the_funnel_narrows_as_designed(events: Events) -> None:
    views = len(of(events, "marketplace_view"))
    conversions = of(events, "marketplace_conversion")
    searches = of(events, "marketplace_search")
    assert 7 < 100 * len(conversions) / views < 11
    fruitless = sum(event["resultCount"] == 0 for event in searches)
    assert 4 < 100 * fruitless / len(searches) < 8


def test_every_conversion_has_its_payment(events: Events) -> None:
    paid = {e["orderId"] for e in of(events, "revenue_transaction") if "status" not in e}
    assert all(event["orderId"] in paid for event in of(events, "marketplace_conversion"))


def test_money_has_one_currency_subscriptions_refunds_and_failures(events: Events) -> None:
    payments = of(events, "revenue_transaction")
    assert {event["currency"] for event in payments} == {"USD"}
    assert {event.get("billingInterval") for event in payments} == {None, "month", "year"}
    status = Counter(event.get("status", "completed") for event in payments)
    assert 1 < 100 * status["refunded"] / len(payments) < 5
    assert 1 < 100 * status["failed"] / len(payments) < 5


def test_some_subscriptions_renew_and_some_are_cancelled() -> None:
    payments = of(list(generate(3, END_MS, days=70, users=1_000)), "revenue_transaction")
    paid_ms: dict[str, list[int]] = defaultdict(list)
    for event in payments:
        if event.get("billingInterval") == "month" and "status" not in event:
            paid_ms[event["subscriptionId"]].append(event["timestamp"])
    renewed = [times for times in paid_ms.values() if len(times) > 1]
    assert len(renewed) > 10
    assert all(
        28 * DAY_MS < later - earlier < 32 * DAY_MS
        for times in renewed
        for earlier, later in pairwise(times)
    )
    lapsed = [times for times in paid_ms.values() if times[-1] < END_MS - 33 * DAY_MS]
    assert lapsed


def test_refunds_and_renewals_make_nobody_active(events: Events) -> None:
    conversions = {event["orderId"] for event in of(events, "marketplace_conversion")}
    for event in of(events, "revenue_transaction"):
        is_renewal = "subscriptionId" in event and event["orderId"] not in conversions
        if event.get("status") == "refunded" or (is_renewal and "status" not in event):
            assert "userId" not in event


def shown_and_converted(events: Events, experiment_id: str) -> list[tuple[int, int]]:
    """(units, converted units) of each variant, as the service counts them."""
    variant: dict[str, int] = {}
    converted: set[str] = set()
    for event in events:
        if event.get("experimentId") == experiment_id:
            user = event["userId"]
            if event["eventType"] == "experiment_view":
                assert variant.setdefault(user, event["variantIndex"]) == event["variantIndex"]
            elif user in variant:
                converted.add(user)
    return [
        (
            sum(index == shown for shown in variant.values()),
            sum(index == shown and user in converted for user, shown in variant.items()),
        )
        for index in (0, 1)
    ]


def p_value(table: list[tuple[int, int]]) -> float:
    """Two-sided, of two shares with the pooled normal approximation."""
    (n0, c0), (n1, c1) = table
    pooled = (c0 + c1) / (n0 + n1)
    z = (c1 / n1 - c0 / n0) / math.sqrt(pooled * (1 - pooled) * (1 / n0 + 1 / n1))
    return math.erfc(abs(z) / math.sqrt(2))


def test_one_experiment_is_decided_and_the_other_is_not(events: Events) -> None:
    different, alike = EXPERIMENTS
    table = shown_and_converted(events, different.experiment_id)
    for (units, converted), rate in zip(table, different.rates, strict=True):
        assert units > 1_500
        assert converted / units == pytest.approx(rate, abs=0.012)
    assert p_value(table) < 0.01
    assert p_value(shown_and_converted(events, alike.experiment_id)) > 0.05


def test_variants_are_shown_to_equal_shares(events: Events) -> None:
    for experiment in EXPERIMENTS:
        (first, _), (second, _) = shown_and_converted(events, experiment.experiment_id)
        # The service withholds a winner where such a split has p < 0.001: 3.29 sigma.
        assert abs(first - second) < 3 * math.sqrt(first + second)


def test_one_service_has_become_slow_and_one_had_an_incident(events: Events) -> None:
    calls = of(events, "service_execution")

    def median_ms(service_id: str, first: int, last: int) -> float:
        found = sorted(
            e["latencyMs"]
            for e in calls
            if e["serviceId"] == service_id and first <= e["timestamp"] // DAY_MS <= last
        )
        return found[len(found) // 2]

    def error_percent(service_id: str, first: int, last: int) -> float:
        found = [
            e["success"]
            for e in calls
            if e["serviceId"] == service_id and first <= e["timestamp"] // DAY_MS <= last
        ]
        return 100 * found.count(False) / len(found)

    assert median_ms(SLOWED, TODAY - 4, TODAY) > 1.6 * median_ms(SLOWED, TODAY - 30, TODAY - 5)
    assert error_percent(FAILING, TODAY - 3, TODAY - 2) > 15
    assert error_percent(FAILING, TODAY - 30, TODAY - 4) < 5


def test_failed_calls_have_codes_and_good_ones_have_none(events: Events) -> None:
    calls = of(events, "service_execution")
    assert all(event["success"] is ("errorCode" not in event) for event in calls)
    codes = {event.get("errorCode") for event in calls}
    assert {"TIMEOUT", "RATE_LIMITED", "INVALID_INPUT"} < codes


@pytest.mark.parametrize(("users", "days"), [(USERS_MIN, 30), (100, 30), (150, DAYS_MAX)])
def test_few_users_are_about_as_many_as_asked_for(users: int, days: int) -> None:
    seen = {
        (seed, event["userId"])
        for seed in range(4)
        for event in generate(seed, END_MS, days=days, users=users)
        if "userId" in event
    }
    assert len(seen) == pytest.approx(4 * users, rel=0.2)


@pytest.mark.parametrize(
    "wrong", [{"days": 0}, {"days": 400}, {"services": 41}, {"users": USERS_MIN - 1}]
)
def test_numbers_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(LoadError, match="The demonstration takes"):
        generate(1, END_MS, **wrong)
