from tests.harness import House

NOW_MS = 1_794_007_200_000  # 2026-11-06T23:20:00Z
DAY_MS = 86_400_000
CALL = {"eventType": "service_execution", "serviceId": "s", "latencyMs": 1, "success": True}
VIEW = {"eventType": "marketplace_view", "serviceId": "s"}
TOLD = [
    {**CALL, "userId": "a"},
    {**CALL, "success": False, "userId": "a"},
    VIEW,
    {**VIEW, "eventType": "marketplace_conversion"},
    {"eventType": "marketplace_search", "searchQuery": ""},
    {"eventType": "user_session", "sessionId": "s", "duration": 1, "userId": "b"},
    {"eventType": "revenue_transaction", "orderId": "o", "amount": 9.5, "currency": "USD",
     "serviceId": "s"},
]  # fmt: skip


def test_today_and_each_of_seven_days_are_counted() -> None:
    yesterday = [{**event, "timestamp": NOW_MS - DAY_MS} for event in TOLD[:2]]
    found = House(shards=4).track(NOW_MS, *TOLD, *yesterday).counters(NOW_MS)
    today = {"executions": 2, "errors": 1, "revenue": 9.5, "views": 1, "searches": 1,
             "conversions": 1, "sessions": 1}  # fmt: skip
    for name, count in today.items():
        assert found[f"{name}:today"] == found[f"{name}:2026-11-06"] == count
    assert found["executions:2026-11-05"] == 2
    assert found["executions:2026-10-31"] == 0
    assert "executions:2026-10-30" not in found


def test_the_last_minutes_go_by_when_events_came() -> None:
    house = House(shards=4).track(NOW_MS, *TOLD)
    found = house.counters(NOW_MS + 4 * 60_000)
    assert (found["executions:5m"], found["errors:5m"], found["activeUsers:5m"]) == (2, 1, 2)
    later = house.counters(NOW_MS + 5 * 60_000)
    assert (later["executions:5m"], later["activeUsers:5m"]) == (0, 0)
    assert later["executions:today"] == 2


def test_today_ends_at_the_midnight_of_the_zone() -> None:
    house = House(timezone="Asia/Kolkata").track(NOW_MS, *TOLD)
    assert house.counters(NOW_MS)["executions:2026-11-07"] == 2
    assert house.counters(NOW_MS + DAY_MS)["executions:today"] == 0


def test_money_that_cannot_be_added_is_null() -> None:
    euro = {**TOLD[-1], "currency": "EUR"}
    assert House().track(NOW_MS, TOLD[-1], euro).counters(NOW_MS)["revenue:today"] is None
    assert House().track(NOW_MS, euro).counters(NOW_MS)["revenue:today"] == 9.5
