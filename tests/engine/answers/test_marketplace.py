from typing import Any

from tests.harness import House

NOW_MS = 1_794_007_200_000  # 2026-11-06T23:20:00Z
VIEW = {"eventType": "marketplace_view", "serviceId": "s"}
BOUGHT = {"eventType": "marketplace_conversion", "serviceId": "s"}
SEARCH = {"eventType": "marketplace_search", "searchQuery": "logo"}


def figures(*told: dict[str, Any], **asked: Any) -> dict[str, Any]:
    return House(shards=3).track(NOW_MS, *told).marketplace(NOW_MS, **asked)["data"]


def test_the_funnel_counts_events() -> None:
    found = figures(SEARCH, SEARCH, VIEW, VIEW, VIEW, VIEW, BOUGHT)
    assert [found[n] for n in ("searches", "views", "conversions")] == [2, 4, 1]
    assert found["conversionRate"] == 25.0


def test_a_conversion_without_any_view_has_no_rate() -> None:
    found = figures(BOUGHT)
    assert (found["conversions"], found["conversionRate"]) == (1, None)
    assert found["topServices"] == []


def test_tops_are_sorted_by_count_and_then_by_name() -> None:
    told = [{**VIEW, "serviceId": name, "category": "c" + name} for name in "badbda"]
    found = figures(*told, {**VIEW, "serviceId": "e", "serviceName": "Eve"}, limit=3)
    assert [(top["id"], top["views"]) for top in found["topServices"]] == [
        ("a", 2), ("b", 2), ("d", 2)
    ]  # fmt: skip
    assert [top["category"] for top in found["topCategories"]] == ["ca", "cb", "cd"]


def test_a_service_goes_by_its_name() -> None:
    found = figures({**VIEW, "serviceName": "Logo design"}, BOUGHT)
    assert found["topServices"] == [{"id": "s", "name": "Logo design", "views": 1}]


def test_searches_without_result_are_those_known_to_have_none() -> None:
    told = [SEARCH, {**SEARCH, "resultCount": 0}, {**SEARCH, "resultCount": 3},
            {**SEARCH, "searchQuery": "", "resultCount": 0}]  # fmt: skip
    assert figures(*told)["topSearches"] == [
        {"query": "logo", "searches": 3, "withoutResult": 1},
        {"query": "", "searches": 1, "withoutResult": 1},
    ]


def test_filters_may_be_combined_and_a_search_is_for_no_service() -> None:
    told = [
        {**VIEW, "category": "a"}, {**VIEW, "category": "b"},
        {**VIEW, "serviceId": "t", "category": "a"}, {**BOUGHT, "category": "a"},
        {**SEARCH, "category": "a"}, SEARCH,
    ]  # fmt: skip

    def counts(**asked: str) -> list[int]:
        found = figures(*told, **asked)
        return [found[name] for name in ("searches", "views", "conversions")]

    assert counts(category="a") == [1, 2, 1]
    assert counts(serviceId="s") == [0, 2, 1]
    assert counts(serviceId="s", category="a") == [0, 1, 1]
    assert counts(serviceId="nobody") == [0, 0, 0]


def test_a_series_has_its_figures_inside_the_data() -> None:
    found = figures(VIEW, SEARCH, BOUGHT, granularity="day", startDate="2026-11-05")
    assert found["series"] == [
        {"start": "2026-11-05T00:00:00+00:00", "searches": 0, "views": 0, "conversions": 0},
        {"start": "2026-11-06T00:00:00+00:00", "searches": 1, "views": 1, "conversions": 1},
    ]
