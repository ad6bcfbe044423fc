"""What all questions share: periods, the cells that cover them, and servers without events."""

from typing import Any

import pytest

from engine.errors import InvalidQuestion, Unanswerable
from tests.harness import House

NOW_MS = 1_794_007_200_000  # 2026-11-06T23:20:00Z
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
CALL = {"eventType": "service_execution", "serviceId": "s", "latencyMs": 1, "success": True}

QUESTIONS: list[dict[str, Any]] = [
    {},
    {"granularity": "hour"},
    {"granularity": "month", "compare": "previous"},
    {"startDate": "2025-10-10", "granularity": "day"},
    {"startDate": "2026-11-06T22:10:00Z", "endDate": "2026-11-06T23:05:00Z"},
    {"startDate": "2026-12-01", "endDate": "2026-12-31", "granularity": "week"},
]
FAMILIES = ["services", "revenue", "marketplace", "experiments", "users"]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("asked", QUESTIONS, ids=str)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_a_server_without_any_event_answers_everything(
    family: str, asked: dict[str, Any], zone: str
) -> None:
    if family == "users" and asked.get("granularity") == "hour":
        asked = {"granularity": "day", "cohorts": "week"}
    answer = getattr(House(timezone=zone), family)(NOW_MS, **asked)
    data = answer["data"]
    if isinstance(data, list):
        assert data == []
    else:
        numbers = {v for v in data.values() if isinstance(v, int | float)}
        assert numbers <= {0}


def test_a_server_without_any_event_has_all_counters_at_0() -> None:
    found = House().counters(NOW_MS)
    assert set(found.values()) == {0}
    assert len(found) == 7 + 3 + 7 * 7


def executions(house: House, now_ms: int = NOW_MS, **asked: Any) -> int:
    return house.services(now_ms, **asked)["total"]["executions"]


def calls_every(step_ms: int, back_ms: int, **settings: Any) -> House:
    """Calls received one by one, every step up to now."""
    house = House(**settings)
    for at_ms in range(NOW_MS - back_ms, NOW_MS + 1, step_ms):
        house.track(at_ms, CALL)
    return house


def test_a_start_inside_an_hour_is_widened_to_it_and_the_range_says_so() -> None:
    house = calls_every(HOUR_MS // 2, 5 * HOUR_MS)  # at 20 and 50 minutes past
    answer = house.services(
        NOW_MS, startDate="2026-11-06T20:30:00Z", endDate="2026-11-06T22:00:00Z"
    )
    assert answer["total"]["executions"] == 4
    assert answer["range"] == {
        "start": "2026-11-06T20:00:00+00:00",
        "end": "2026-11-06T22:00:00+00:00",
        "timezone": "UTC",
    }
    assert answer["total"]["period"] == "2026-11-06 to 2026-11-06"


def test_an_end_in_the_running_hour_means_now() -> None:
    house = calls_every(HOUR_MS // 2, 5 * HOUR_MS)
    for end in ("2026-11-06T23:01:00Z", "2026-11-06T23:20:00Z", "2026-11-06T23:59:59.999Z"):
        assert executions(house, startDate="2026-11-06T22:00:00Z", endDate=end) == 3


def test_an_end_inside_an_hour_that_is_over_is_refused() -> None:
    with pytest.raises(Unanswerable, match="inside an hour of the reporting zone UTC"):
        executions(House(), startDate="2026-11-06T20:00:00Z", endDate="2026-11-06T21:30:00Z")


def test_the_end_of_a_range_is_left_out_and_a_date_is_included_whole() -> None:
    house = House().track(
        NOW_MS,
        {**CALL, "timestamp": "2026-11-04T23:59:59.999Z"},
        {**CALL, "timestamp": "2026-11-05T00:00:00Z"},
    )
    dates = {"startDate": "2026-11-04", "endDate": "2026-11-04"}
    assert executions(house, **dates) == 1
    instants = {"startDate": "2026-11-04T00:00:00Z", "endDate": "2026-11-05T00:00:00Z"}
    assert executions(house, **instants) == 1
    assert executions(house, startDate="2026-11-05", endDate="2026-11-05") == 1


def test_hours_are_told_for_eight_days_and_refused_before() -> None:
    house = calls_every(HOUR_MS, 12 * DAY_MS)
    for back in range(1, 12 * 24):
        end_ms = NOW_MS // HOUR_MS * HOUR_MS - back * HOUR_MS
        asked = {"startDate": str(end_ms - HOUR_MS), "endDate": str(end_ms)}
        if back < 8 * 24:
            assert executions(house, **asked) == 1
        else:
            with pytest.raises(Unanswerable, match="hours are kept since"):
                executions(house, **asked)


def test_whole_days_are_told_long_after_their_hours_are_gone() -> None:
    house = calls_every(HOUR_MS, 30 * DAY_MS)
    assert executions(house, startDate="2026-10-10", endDate="2026-10-10") == 24
    assert executions(house, startDate="2026-10-10", endDate="2026-10-20") == 264


def test_a_late_event_counts_in_its_day_although_its_hour_is_gone() -> None:
    house = House().track(NOW_MS, {**CALL, "timestamp": NOW_MS - 20 * DAY_MS})
    assert executions(house, startDate="2026-10-17", endDate="2026-10-17") == 1


def test_days_are_kept_for_400_days_and_then_forgotten() -> None:
    house = House().track(NOW_MS, CALL)
    later_ms = NOW_MS + 400 * DAY_MS
    house.track(later_ms, CALL)
    assert executions(house, later_ms, startDate="2026-11-06", endDate="2026-11-06") == 1
    house.track(later_ms + DAY_MS, CALL)
    assert (
        executions(house, later_ms + DAY_MS, startDate="2026-11-06", endDate="2026-11-06") == 0
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_a_range_that_begins_before_what_is_kept_says_since_when_that_is(family: str) -> None:
    later_ms = NOW_MS + 401 * DAY_MS
    house = House().track(NOW_MS, CALL)
    asked = {"startDate": "2026-11-06", "endDate": "2026-11-08"}
    answer = getattr(house, family)(later_ms, **asked)
    assert answer["range"] == {
        "start": "2026-11-06T00:00:00+00:00",
        "end": "2026-11-09T00:00:00+00:00",
        "timezone": "UTC",
        "keptSince": "2026-11-07T00:00:00+00:00",
    }
    answer = getattr(house, family)(later_ms, startDate="2026-11-07", endDate="2026-11-08")
    assert "keptSince" not in answer["range"]


@pytest.mark.parametrize("family", ["services", "revenue", "marketplace", "users"])
def test_what_is_kept_only_in_part_is_not_compared_with(family: str) -> None:
    later_ms = NOW_MS + 401 * DAY_MS
    asked = {"startDate": "2026-11-08", "endDate": "2026-11-08", "compare": "previous"}
    assert getattr(House(), family)(later_ms, **asked)["previous"]
    asked = asked | {"endDate": "2026-11-09"}
    with pytest.raises(Unanswerable, match="compare: the period before begins on 2026-11-06"):
        getattr(House(), family)(later_ms, **asked)


def test_what_is_refused_of_a_comparison_says_which_period_it_is_about() -> None:
    asked = {"startDate": "2026-11-06T20:00:00Z", "compare": "previous"}
    with pytest.raises(Unanswerable, match=r"^The range ends at 2026-11-06T21:30:00"):
        House().services(NOW_MS, **asked, endDate="2026-11-06T21:30:00Z")
    asked["startDate"] = "2026-11-01T00:30:00Z"
    told = r"^compare: the period before cannot be answered. .* begins at 2026-10-26T"
    with pytest.raises(Unanswerable, match=told):
        House().services(NOW_MS, **asked, endDate="2026-11-06T23:00:00Z")


def test_churn_is_not_told_where_the_period_before_is_kept_only_in_part() -> None:
    house = House().track(
        NOW_MS, *({**CALL, "userId": "u", "timestamp": NOW_MS + day * DAY_MS} for day in (0, 1))
    )
    later_ms = NOW_MS + 401 * DAY_MS
    for last, expected in (("2026-11-08", 100), ("2026-11-09", None)):
        asked = {"startDate": "2026-11-08", "endDate": last}
        assert house.users(later_ms, **asked)["data"]["churnRate"] == expected


def test_days_of_a_zone_whole_hours_away_are_answered_from_hours() -> None:
    house = House().track(
        NOW_MS,
        {**CALL, "timestamp": "2026-11-05T04:59:59Z"},
        {**CALL, "timestamp": "2026-11-05T05:00:00Z"},
    )
    dates = {"startDate": "2026-11-05", "endDate": "2026-11-05"}
    assert executions(house, **dates, timezone="America/New_York") == 1
    assert executions(house, **dates) == 2


def test_days_of_a_zone_half_an_hour_off_are_refused_and_never_approximated() -> None:
    dates = {"startDate": "2026-11-05", "endDate": "2026-11-05"}
    with pytest.raises(
        Unanswerable, match=r"begins at .* inside an hour of the reporting zone"
    ):
        executions(House(), **dates, timezone="Asia/Kolkata")


def test_a_day_on_which_clocks_go_back_has_25_hours() -> None:
    house = House(timezone="America/New_York")
    for quarter in range(4 * 24 * 3):
        at_ms = 1_793_419_200_000 + quarter * HOUR_MS // 4  # from 2026-10-31T04:00Z
        house.track(at_ms, CALL)
    now_ms = 1_793_419_200_000 + 3 * DAY_MS
    dates = {"startDate": "2026-11-01", "endDate": "2026-11-01"}
    answer = house.services(now_ms, **dates, granularity="hour")
    assert answer["total"]["executions"] == 100
    assert [step["executions"] for step in answer["series"]] == [4] * 25
    starts = [step["start"] for step in answer["series"]]
    assert starts[1:3] == ["2026-11-01T01:00:00-04:00", "2026-11-01T01:00:00-05:00"]


@pytest.mark.parametrize(
    "asked",
    [{"timezone": "Mars/Base"}, {"startDate": "soon"}, {"startDate": "2026-11-07"},
     {"startDate": "2026-11-05", "endDate": "2026-11-04"}, {"startDate": "2024-01-01"}],
)  # fmt: skip
@pytest.mark.parametrize("family", FAMILIES)
def test_what_cannot_be_understood_is_refused(family: str, asked: dict[str, str]) -> None:
    with pytest.raises(InvalidQuestion) as refusal:
        getattr(House(), family)(NOW_MS, **asked)
    assert refusal.value.status == 422


def test_comparing_instants_is_asking_for_as_many_hours_before() -> None:
    house = calls_every(HOUR_MS // 3, 12 * HOUR_MS)
    asked = {"startDate": "2026-11-06T20:15:00Z", "endDate": "2026-11-06T23:20:00Z"}
    answer = house.services(NOW_MS, **asked, compare="previous")
    before = {"startDate": "2026-11-06T16:00:00Z", "endDate": "2026-11-06T20:00:00Z"}
    assert answer["previous"] == house.services(NOW_MS, **before)["total"]
    assert answer["previous"]["executions"] == 12
