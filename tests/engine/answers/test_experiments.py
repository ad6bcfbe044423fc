from typing import Any

import pytest

from tests.harness import House

NOW_MS = 1_794_007_200_000  # 2026-11-06T23:20:00Z
DAY_MS = 86_400_000
SHOWN = {"eventType": "experiment_view", "experimentId": "x", "variantIndex": 0}
GOAL = {**SHOWN, "eventType": "experiment_conversion"}


def row(*told: dict[str, Any], **asked: Any) -> dict[str, Any]:
    [found] = House(shards=4).track(NOW_MS, *told).experiments(NOW_MS, **asked)["data"]
    return found


def arms(*counts: tuple[int, int], unit: str | None = "userId") -> list[dict[str, Any]]:
    """(converted, shown) of each variant, every unit another one."""
    told = []
    for variant, (converted, shown) in enumerate(counts):
        for n in range(shown):
            who = {unit: f"{variant}-{n}"} if unit else {}
            told.append({**SHOWN, **who, "variantIndex": variant})
            if n < converted:
                told.append({**GOAL, **who, "variantIndex": variant})
    return told


def test_100_of_1000_against_150_of_1000_is_won_with_a_confidence_of_99_93() -> None:
    found = row(*arms((100, 1000), (150, 1000)))
    assert found["winner"] == 1
    assert found["confidence"] == pytest.approx(99.93, abs=0.005)
    assert found["pValue"] == pytest.approx(0.00072, abs=0.000005)
    a, b = found["variants"]
    assert (a["unitRate"], b["unitRate"], b["conversionRate"]) == (10.0, 15.0, 15.0)
    assert (a["lift"], b["lift"]) == (None, pytest.approx(50.0))
    low, high = b["liftInterval"]
    assert 0 < low < 50 < high
    assert b["interval"][0] < 15 < b["interval"][1]
    assert a["chanceToWin"] + b["chanceToWin"] == pytest.approx(100)
    assert found["alwaysValidP"] > found["pValue"]
    assert found["srm"] == {"p": 1.0, "expected": [1000, 1000], "observed": [1000, 1000]}
    assert (found["unitKind"], found["sampleRate"], found["multipleExposures"]) == (
        "user",
        1,
        0,
    )


def test_a_broken_split_has_no_winner() -> None:
    found = row(*arms((100, 1000), (120, 800)))
    assert found["srm"]["p"] < 0.001
    assert found["pValue"] < 0.05
    assert found["winner"] is None


def test_few_conversions_have_no_winner() -> None:
    assert row(*arms((0, 20), (4, 20)))["winner"] is None


def test_the_winner_is_told_by_its_index() -> None:
    told = [{**e, "variantIndex": e["variantIndex"] + 5} for e in arms((10, 100), (40, 100))]
    found = row(*told)
    assert [variant["index"] for variant in found["variants"]] == [5, 6]
    assert found["winner"] == 6


def test_sessions_are_units_where_there_is_no_user() -> None:
    assert row(*arms((1, 4), (2, 4), unit="sessionId"))["unitKind"] == "session"
    told = [{**SHOWN, "userId": "u"}, {**SHOWN, "sessionId": "s"}]
    assert row(*told)["unitKind"] == "mixed"


def test_without_ids_events_are_counted_and_the_answer_says_so() -> None:
    found = row(*arms((10, 100), (30, 100), unit=None))
    assert found["unitKind"] == "event"
    assert [v["conversionRate"] for v in found["variants"]] == [10.0, 30.0]
    assert found["pValue"] == pytest.approx(0.000407, abs=1e-6)


def test_without_ids_the_figures_of_units_are_those_that_the_statistics_are_of() -> None:
    variants = row(*arms((10, 100), (30, 100), unit=None))["variants"]
    assert [v["units"] for v in variants] == [100, 100]
    assert [v["convertedUnits"] for v in variants] == [10, 30]
    for v in variants:
        assert v["interval"][0] < v["unitRate"] < v["interval"][1]


def test_more_goals_than_views_do_not_break_the_statistics() -> None:
    found = row(*arms((0, 5), unit=None), *[GOAL] * 9)
    assert found["variants"][0]["conversionRate"] == 180.0
    assert found["variants"][0]["unitRate"] == 100.0
    assert found["pValue"] is None


def test_a_goal_without_any_view_is_counted_and_proves_nothing() -> None:
    found = row({**GOAL, "userId": "u", "variantIndex": 1})
    [variant] = found["variants"]
    assert (variant["index"], variant["views"], variant["conversions"]) == (1, 0, 1)
    assert (variant["units"], variant["unitRate"], variant["conversionRate"]) == (0, None, None)
    assert (found["winner"], found["confidence"], found["pValue"]) == (None, None, None)


def test_a_goal_counts_for_the_session_that_saw_it_before_signing_in() -> None:
    found = row({**SHOWN, "sessionId": "s"}, {**GOAL, "userId": "u", "sessionId": "s"})
    assert (found["variants"][0]["units"], found["variants"][0]["convertedUnits"]) == (1, 1)


def test_variants_and_experiments_have_names() -> None:
    named = {**SHOWN, "experimentName": "Button", "variantName": "Red"}
    found = row(named, *({**SHOWN, "variantIndex": n} for n in (1, 25, 26, 63)))
    assert (found["experimentId"], found["experimentName"]) == ("x", "Button")
    assert [variant["name"] for variant in found["variants"]] == [
        "Red", "Variant B", "Variant Z", "Variant AA", "Variant BL"
    ]  # fmt: skip
    assert row(SHOWN)["experimentName"] == "x"


def test_without_dates_an_experiment_is_told_since_its_start() -> None:
    house = House().track(
        NOW_MS,
        {**SHOWN, "userId": "u", "timestamp": "2026-09-01T10:00:00Z"},
        {**GOAL, "userId": "u", "timestamp": "2026-10-01T10:00:00Z"},
    )
    answer = house.experiments(NOW_MS)
    assert "range" not in answer
    [found] = answer["data"]
    assert found["startedAt"] == "2026-09-01T10:00:00+00:00"
    assert found["period"] == "2026-09-01 to 2026-11-06"
    assert found["variants"][0]["convertedUnits"] == 1


def test_a_unit_belongs_to_the_range_of_its_first_exposure() -> None:
    house = House().track(
        NOW_MS,
        {**SHOWN, "userId": "u", "timestamp": "2026-11-01T10:00:00Z"},
        {**SHOWN, "userId": "u", "timestamp": "2026-11-03T10:00:00Z"},
        {**GOAL, "userId": "u", "timestamp": "2026-11-03T11:00:00Z"},
    )

    def counts(day: str) -> dict[str, Any]:
        [found] = house.experiments(NOW_MS, startDate=day, endDate=day)["data"]
        return found["variants"][0]

    first, third = counts("2026-11-01"), counts("2026-11-03")
    assert (first["views"], first["units"], first["convertedUnits"]) == (1, 1, 1)
    assert (third["views"], third["conversions"], third["units"]) == (1, 1, 0)


def test_an_experiment_without_events_in_the_range_is_not_listed() -> None:
    house = House().track(NOW_MS, {**SHOWN, "timestamp": "2026-11-01T10:00:00Z"})
    assert house.experiments(NOW_MS, startDate="2026-11-02")["data"] == []
    assert house.experiments(NOW_MS, experimentId="nothing")["data"] == []


def test_experiments_are_listed_the_latest_first() -> None:
    told = [
        {**SHOWN, "experimentId": name, "timestamp": NOW_MS - back * DAY_MS}
        for name, back in (("b", 1), ("a", 1), ("old", 9), ("new", 0))
    ]
    rows = House(shards=4).track(NOW_MS, *told).experiments(NOW_MS)["data"]
    assert [found["experimentId"] for found in rows] == ["new", "a", "b", "old"]


def test_units_and_days_that_are_still_needed_are_told() -> None:
    told = [{**event, "timestamp": NOW_MS - 2 * DAY_MS} for event in arms((10, 100), (12, 100))]
    found = row(*told)
    assert found["unitsNeeded"] == 14_751  # Fleiss: 10 % against 11 %, power 80 %
    assert found["daysNeeded"] == 294  # at 50 units a day


def test_experiments_beyond_the_cap_are_counted_together_and_not_compared() -> None:
    second = [{**event, "experimentId": "y"} for event in arms((100, 1000), (200, 1000))]
    house = House(experiments_max=1, shards=1).track(NOW_MS, SHOWN).track(NOW_MS, *second)
    rows = {row["experimentId"]: row for row in house.experiments(NOW_MS)["data"]}
    found = rows["__other__"]
    assert [variant["unitRate"] for variant in found["variants"]] == [10.0, 20.0]
    nothing = ("winner", "confidence", "pValue", "alwaysValidP", "unitsNeeded", "daysNeeded")
    assert [found[name] for name in nothing] == [None] * len(nothing)
    assert found["srm"] == {"p": None, "expected": [], "observed": []}
    for variant in found["variants"]:
        assert (variant["lift"], variant["chanceToWin"]) == (None, None)


def test_no_day_is_named_for_units_that_will_never_be_kept() -> None:
    told = [{**event, "timestamp": NOW_MS - 2 * DAY_MS} for event in arms((10, 100), (12, 100))]

    def days_needed(units_max: int) -> int | None:
        house = House(experiment_units_max=units_max).track(NOW_MS, *told)
        [found] = house.experiments(NOW_MS)["data"]
        assert found["unitsNeeded"] is not None
        days: int | None = found["daysNeeded"]
        return days

    assert days_needed(2 * 14_751) == 294
    assert days_needed(2 * 14_751 - 1) is None
    assert days_needed(100) is None


def test_beyond_the_bound_units_are_a_sample_whose_rate_is_told() -> None:
    house = House(experiment_units_max=100).track(NOW_MS, *arms((50, 500), (100, 500)))
    [found] = house.experiments(NOW_MS)["data"]
    assert found["sampleRate"] == 0.125 or found["sampleRate"] == 0.0625
    assert sum(variant["units"] for variant in found["variants"]) <= 100
    assert [variant["views"] for variant in found["variants"]] == [500, 500]
