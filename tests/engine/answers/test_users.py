from typing import Any

import pytest

from engine.errors import InvalidQuestion, Unanswerable
from tests.harness import House

NOW_MS = 1_794_007_200_000  # 2026-11-06T23:20:00Z
DAY_MS = 86_400_000
VIEW = {"eventType": "marketplace_view", "serviceId": "s"}
SESSION = {"eventType": "user_session", "sessionId": "s", "duration": 60_000}


def active(user: str, *days: str) -> list[dict[str, Any]]:
    return [{**VIEW, "userId": user, "timestamp": f"2026-{day}T12:00:00Z"} for day in days]


def house(*told: list[dict[str, Any]], **settings: Any) -> House:
    return House(**settings).track(NOW_MS, *(event for some in told for event in some))


def figures(of: House, start: str, end: str, **asked: Any) -> dict[str, Any]:
    dates = {"startDate": f"2026-{start}", "endDate": f"2026-{end}"}
    return of.users(NOW_MS, **dates, **asked)["data"]


def test_daily_and_monthly_users_are_told_as_of_the_last_day() -> None:
    told = house(active("a", "10-01", "11-05"), active("b", "11-04"), active("c", "10-08"))
    found = figures(told, "11-04", "11-05")
    assert (found["dau"], found["avgDau"]) == (1, 1.0)
    assert found["mau"] == 3  # 7 October to 5 November
    assert figures(told, "11-07", "11-07")["mau"] == 2
    surely = {"exact": True, "relativeError": 0.0, "level": 1.0}
    assert found["accuracy"]["dau"] == found["accuracy"]["avgDau"] == surely
    assert found["accuracy"]["newUsers"] == {"exact": True, "standardError": 0.0}
    assert found["accuracy"]["churnRate"] == {"exact": True, "standardError": 0.0}


def test_a_user_is_active_on_each_day_of_any_event_of_any_type() -> None:
    told = house([{**SESSION, "userId": "a"}, {**VIEW, "userId": "a"}, VIEW])
    assert figures(told, "11-06", "11-06")["dau"] == 1


def test_retention_is_the_share_of_new_users_active_on_the_nth_day() -> None:
    told = house(
        active("a", "10-01", "10-02", "10-08", "10-31"),
        active("b", "10-01", "10-03"),
        active("c", "10-02", "10-03"),
        active("old", "09-30", "10-02"),
    )
    found = figures(told, "10-01", "10-02")
    assert found["newUsers"] == 3
    assert found["retention"] == {
        "day1": pytest.approx(200 / 3),
        "day7": pytest.approx(100 / 3),
        "day30": pytest.approx(100 / 3),
    }
    assert found["curve"][1] == {"day": 2, "percent": pytest.approx(100 / 3), "users": 3}


def test_only_users_whose_nth_day_is_over_count() -> None:
    told = house(active("a", "11-04", "11-05"), active("b", "11-05", "11-06"))
    found = figures(told, "11-04", "11-05")
    assert found["retention"] == {"day1": 100.0, "day7": None, "day30": None}
    assert found["curve"][0]["users"] == 1  # for b the day after is today


def test_churn_is_the_share_of_the_users_before_that_did_not_come_again() -> None:
    told = house(active("a", "10-01", "10-04"), active("b", "10-02"), active("c", "10-05"))
    assert figures(told, "10-04", "10-06")["churnRate"] == 50.0
    assert figures(told, "10-01", "10-03")["churnRate"] is None


def test_sessions_count_without_a_user_and_their_mean_is_in_milliseconds() -> None:
    told = house([SESSION, {**SESSION, "duration": 0.5}, {**SESSION, "userId": "u"}])
    found = figures(told, "11-06", "11-06")
    assert (found["sessions"], found["dau"]) == (3, 1)
    assert found["avgSessionDuration"] == 120_000.5 / 3


@pytest.mark.parametrize("duration", [0, 1e300, 1.7e308])
def test_a_session_of_any_length_is_told(duration: float) -> None:
    told = house([{**SESSION, "duration": duration}])
    assert figures(told, "11-06", "11-06")["avgSessionDuration"] == duration


def test_cohorts_are_told_by_week() -> None:
    told = house(active("a", "10-12", "10-13"), active("b", "10-18"), active("c", "10-19"))
    [first, second] = figures(told, "10-12", "10-20", cohorts="week")["cohorts"]
    assert (first["week"], first["users"]) == ("2026-10-12", 2)
    assert first["days"][0] == {"day": 1, "percent": 50.0, "complete": True}
    assert first["days"][-1] == {"day": 30, "percent": None, "complete": False}
    assert (second["week"], second["users"]) == ("2026-10-19", 1)


def test_a_series_has_users_as_of_the_last_day_of_each_step() -> None:
    told = house(active("a", "10-12", "10-18"), active("b", "10-13"), active("c", "10-19"))
    series = figures(told, "10-12", "10-20", granularity="week")["series"]
    assert series == [
        {
            "start": "2026-10-12T00:00:00+00:00",
            "dau": 1,
            "mau": 2,
            "newUsers": 2,
            "sessions": 0,
        },
        {
            "start": "2026-10-19T00:00:00+00:00",
            "dau": 0,
            "mau": 3,
            "newUsers": 1,
            "sessions": 0,
        },
    ]


def test_steps_are_days_of_the_reporting_zone_and_none_counts_twice() -> None:
    told = house(active("a", "11-01"), active("b", "11-02"), [SESSION])
    asked = {"startDate": "2026-11-01T00:00:00Z", "endDate": "2026-11-03T00:00:00Z"}
    found = told.users(NOW_MS, **asked, timezone="Asia/Kolkata", granularity="day")["data"]
    assert [step["newUsers"] for step in found["series"]] == [1, 1]


def test_instants_are_widened_to_their_days() -> None:
    told = house(active("a", "11-05"))
    answer = told.users(
        NOW_MS, startDate="2026-11-05T15:00:00Z", endDate="2026-11-05T16:00:00Z"
    )
    assert answer["data"]["dau"] == 1
    assert answer["range"]["start"] == "2026-11-05T00:00:00+00:00"
    assert answer["range"]["end"] == "2026-11-06T00:00:00+00:00"


def test_days_of_another_zone_are_refused_with_the_zones_that_can_be_asked_in() -> None:
    with pytest.raises(Unanswerable) as caught:
        figures(House(), "11-01", "11-02", timezone="Asia/Kolkata")
    assert str(caught.value) == (
        "Users are counted by days of the reporting zone UTC, and days of Asia/Kolkata begin "
        "at another time. Choose UTC as the time zone, or one whose days begin when those of "
        "UTC do."
    )
    for zone in ("UTC", "Africa/Abidjan", "Atlantic/Reykjavik"):
        assert figures(House(), "11-01", "11-02", timezone=zone)["dau"] == 0


def test_users_are_not_told_by_the_hour() -> None:
    with pytest.raises(InvalidQuestion, match="users are counted by day"):
        figures(House(), "11-01", "11-02", granularity="hour")


def test_beyond_the_bound_rates_come_from_a_sample_and_say_how_sure_they_are() -> None:
    some = [active(f"u{n}", "10-01", *(["10-02"] if n % 4 == 0 else [])) for n in range(4_000)]
    told = house(*some, users_exact_max=1_000, shards=1)
    found = figures(told, "10-01", "10-01")
    assert found["accuracy"]["retention"]["exact"] is False
    error = found["accuracy"]["retention"]["standardError"]["day1"]
    assert abs(found["retention"]["day1"] - 25) < 4 * error
    assert abs(found["newUsers"] - 4_000) < 600
    dau = found["accuracy"]["dau"]
    assert (dau["exact"], dau["level"]) == (False, 0.95)
    assert abs(found["dau"] - 4_000) < 2 * dau["relativeError"] * 4_000


def test_of_many_samples_the_truth_is_within_two_standard_errors_of_nearly_all() -> None:
    off: dict[str, list[float]] = {"newUsers": [], "day1": [], "churnRate": []}
    for seed in range(40):
        back = [["10-01", "10-02"] if n % 25 == 0 else ["10-01"] for n in range(400)]
        some = [active(f"{seed}-{n}", *days) for n, days in enumerate(back)]
        told = house(*some, users_exact_max=100, shards=2)
        first, second = (figures(told, day, day) for day in ("10-01", "10-02"))
        accuracy, churn = first["accuracy"], second["accuracy"]["churnRate"]
        new, day1 = accuracy["newUsers"], accuracy["retention"]["standardError"]["day1"]
        assert (new["exact"], churn["exact"]) == (False, False)
        off["newUsers"].append((first["newUsers"] - 400) / new["standardError"])
        off["day1"].append((first["retention"]["day1"] - 4) / day1)
        off["churnRate"].append((second["churnRate"] - 96) / churn["standardError"])
    for name, found in off.items():
        assert sum(abs(z) <= 2 for z in found) >= 34, name


def test_the_mean_of_sketched_days_says_how_exact_it_is() -> None:
    told = house(*[active(f"u{n}", "10-01") for n in range(4_000)], users_exact_max=100)
    found = figures(told, "10-01", "10-02")
    error = found["accuracy"]["avgDau"]
    assert (error["exact"], error["level"]) == (False, 0.95)
    assert abs(found["avgDau"] - 2_000) < 2 * error["relativeError"] * 2_000
