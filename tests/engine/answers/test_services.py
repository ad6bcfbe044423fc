import pytest

from engine.answers import services
from engine.answers.common import Frame, plan
from engine.errors import InvalidQuestion
from engine.hashing import shard_of
from tests.harness import House, run

NOW_MS = 1_794_007_200_000  # 2026-11-06T23:20:00Z
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
CALL = {"eventType": "service_execution", "serviceId": "s", "latencyMs": 10, "success": True}
FAILED = {**CALL, "success": False}


def house(*told: dict, **settings: object) -> House:
    return House(**settings).track(NOW_MS, *told)


def test_a_single_call_is_all_percentiles_and_certain() -> None:
    [row] = house({**CALL, "latencyMs": 12.5}).services(NOW_MS)["data"]
    assert row["executions"] == 1
    assert row["latency"] == {"p50": 12.5, "p95": 12.5, "p99": 12.5, "avg": 12.5, "max": 12.5}
    assert row["accuracy"] == {
        "exact": True,
        "p50": [12.5, 12.5],
        "p95": [12.5, 12.5],
        "p99": [12.5, 12.5],
    }
    assert (row["errorRate"], row["successRate"], row["errors"]) == (0.0, 100.0, {})


def test_percentiles_are_the_value_of_rank_ceil_qn() -> None:
    told = [{**CALL, "latencyMs": n} for n in range(1, 101)]
    latency = house(*told).services(NOW_MS)["total"]["latency"]
    assert latency == {"p50": 50, "p95": 95, "p99": 99, "avg": 50.5, "max": 100}


@pytest.mark.parametrize("latency", [0, -0.0, 1e300, 1.7e308, 5e-324])
def test_a_strange_latency_is_told_as_it_is(latency: float) -> None:
    told = house(*[{**CALL, "latencyMs": latency}] * 300).services(NOW_MS)["total"]
    for name in ("p50", "p95", "p99", "max"):
        assert told["latency"][name] == latency
    assert told["latency"]["avg"] == pytest.approx(latency, rel=1e-12, abs=1e-3)


def test_failed_calls_count_in_latencies_and_by_code() -> None:
    told = [
        CALL,
        {**FAILED, "latencyMs": 30, "errorCode": "E"},
        {**FAILED, "errorCode": ""},
        FAILED,
    ]
    [row] = house(*told).services(NOW_MS)["data"]
    assert (row["errorRate"], row["successRate"]) == (75.0, 25.0)
    assert row["errors"] == {"E": 1, "(none)": 2}
    assert row["latency"]["avg"] == 15.0


def test_a_code_that_reads_like_no_code_is_added_to_it() -> None:
    told = [FAILED, {**FAILED, "errorCode": "(none)"}]
    assert house(*told).services(NOW_MS)["total"]["errors"] == {"(none)": 2}


def test_an_error_code_on_a_success_is_no_error() -> None:
    told = house({**CALL, "errorCode": "E"}).services(NOW_MS)["total"]
    assert (told["errors"], told["errorRate"]) == ({}, 0.0)


def test_a_row_shows_the_category_in_which_most_calls_were() -> None:
    told = [{**CALL, "category": name} for name in ("b", "a", "b")]
    [row] = house(*told, {**CALL, "serviceId": "t"}).services(NOW_MS, serviceId="s")["data"]
    assert (row["category"], row["executions"]) == ("b", 3)


@pytest.mark.parametrize(
    ("categories", "shown"),
    [(("a", None, None), None), (("a", "a", None), "a"), (("b", "a", None), "b")],
)
def test_calls_without_a_category_compete_like_those_of_one(
    categories: tuple[str | None, ...], shown: str | None
) -> None:
    told = [{**CALL, "category": name} for name in categories]
    [row] = house(*told).services(NOW_MS)["data"]
    assert row["category"] == shown


def test_a_service_goes_by_its_latest_name_else_by_its_id() -> None:
    told = house({**CALL, "serviceName": "Old"}, {**CALL, "serviceId": "t"})
    told.track(
        NOW_MS, {"eventType": "marketplace_view", "serviceId": "s", "serviceName": "New"}
    )
    rows = told.services(NOW_MS, sort="serviceId")["data"]
    assert [(row["serviceId"], row["serviceName"]) for row in rows] == [
        ("s", "New"),
        ("t", "t"),
    ]


def calls_of(**executions: int) -> House:
    told = [
        {**CALL, "serviceId": service, "latencyMs": n + 1, "success": n > 0 or service != "b"}
        for service, count in executions.items()
        for n in range(count)
    ]
    return house(*told, shards=4)


@pytest.mark.parametrize(
    ("sort", "order"),
    [
        ("-executions", "cabd"), ("executions", "abdc"), ("-errorRate", "bacd"),
        ("errorRate", "acdb"), ("successRate", "bacd"), ("-successRate", "acdb"),
        ("-p95", "cabd"), ("p50", "abdc"), ("-max", "cabd"), ("serviceId", "abcd"),
        ("-serviceId", "dcba"), ("serviceName", "abcd"), ("avg", "abdc"), ("category", "abcd"),
    ],
)  # fmt: skip
def test_rows_are_sorted_as_asked_and_ties_by_id(sort: str, order: str) -> None:
    told = calls_of(d=2, c=3, b=2, a=2)
    rows = told.services(NOW_MS, sort=sort)["data"]
    assert "".join(row["serviceId"] for row in rows) == order
    best = told.services(NOW_MS, sort=sort, limit=2)
    assert "".join(row["serviceId"] for row in best["data"]) == order[:2]
    assert best["rows"] == 4
    assert best["total"]["executions"] == 9


ASKED = {"executions": 30, "-errorRate": 20, "successRate": 20, "-executions": 10, "-p95": 10}


@pytest.mark.parametrize("is_spread", [True, False])
@pytest.mark.parametrize("sort", ASKED)
def test_the_shares_of_the_shards_are_enough_or_are_known_not_to_be(
    sort: str, *, is_spread: bool
) -> None:
    names = [f"s{n}" for n in range(400) if is_spread or shard_of(f"s{n}", 8) == 3]
    told = house(
        *(
            {**CALL, "serviceId": name, "success": n % 7 < call}
            for n, name in enumerate(names)
            for call in range(n * n % 11 + 1)
        ),
        shards=8,
    )
    asked = services.Asked(sort=sort, limit=ASKED[sort])
    frame = Frame(told.calendar, told.config, NOW_MS)
    planned = plan(asked, frame)
    images, known = told.images(services.question(planned, asked, frame, shards=8))
    sent = sum(len(image.rows) for image in images)
    is_enough = services.is_enough(asked, images)
    assert is_enough == (is_spread or sort == "-p95")
    if is_enough:
        assert sent < len(names) or sort == "-p95"
        answer = run(services.answer(planned, asked, images, known))
        whole = told.services(NOW_MS, sort=sort, limit=ASKED[sort])
        assert [row.service_id for row in answer.data] == [
            row["serviceId"] for row in whole["data"]
        ]


def test_an_unknown_sort_is_refused() -> None:
    with pytest.raises(
        InvalidQuestion, match=r"sort: 'speed' is not known\. Accepted are exec"
    ):
        House().services(NOW_MS, sort="speed")


def test_a_service_in_one_of_its_categories_is_answered() -> None:
    told = house(
        {**CALL, "serviceId": "s", "category": "a", "latencyMs": 10},
        {**FAILED, "serviceId": "s", "category": "a"},
        {**CALL, "serviceId": "s", "category": "b"},
        {**CALL, "serviceId": "t", "category": "a"},
    )
    answer = told.services(NOW_MS, serviceId="s", category="a", granularity="day", trend=True)
    (row,) = answer["data"]
    assert (row["serviceId"], row["category"], row["executions"]) == ("s", "a", 2)
    assert (answer["total"]["executions"], answer["total"]["errorRate"]) == (2, 50)
    assert sum(step["executions"] for step in answer["series"]) == sum(row["trend"]) == 2
    nothing = told.services(NOW_MS, serviceId="t", category="b")
    assert (nothing["data"], nothing["total"]["executions"]) == ([], 0)


def test_an_unknown_service_has_no_rows_and_a_total_of_nothing() -> None:
    answer = house(CALL).services(NOW_MS, serviceId="nobody", granularity="day", trend=True)
    assert (answer["data"], answer["rows"], answer["total"]["executions"]) == ([], 0, 0)
    assert answer["total"]["latency"] == dict.fromkeys(("p50", "p95", "p99", "avg", "max"))
    assert answer["total"]["errorRate"] is None
    assert [step["executions"] for step in answer["series"]] == [0] * 7


def test_a_series_has_empty_steps_and_starts_of_the_zone() -> None:
    told = house({**CALL, "timestamp": NOW_MS - 2 * DAY_MS}, FAILED, timezone="Asia/Kolkata")
    series = told.services(NOW_MS, startDate="2026-11-04", granularity="day")["series"]
    assert [(s["start"], s["executions"], s["errors"], s["p50"]) for s in series] == [
        ("2026-11-04T00:00:00+05:30", 0, 0, None),
        ("2026-11-05T00:00:00+05:30", 1, 0, 10.0),
        ("2026-11-06T00:00:00+05:30", 0, 0, None),
        ("2026-11-07T00:00:00+05:30", 1, 1, 10.0),
    ]


def test_comparing_sees_what_only_the_period_before_has_seen() -> None:
    earlier_ms = NOW_MS - DAY_MS
    told = house(
        {**CALL, "category": "new"},
        {**CALL, "category": "old", "timestamp": earlier_ms},
        {**FAILED, "serviceId": "gone", "category": "old", "timestamp": earlier_ms},
    )
    answer = told.services(NOW_MS, startDate="2026-11-06", compare="previous")
    assert answer["previous"]["executions"] == 2
    [row] = answer["data"]
    assert row["previous"] == {"executions": 1, "errorRate": 0.0, "p95": 10.0}
    of_old = told.services(NOW_MS, startDate="2026-11-06", compare="previous", category="old")
    assert (of_old["data"], of_old["previous"]["executions"]) == ([], 2)
    of_one = told.services(NOW_MS, startDate="2026-11-06", compare="previous", serviceId="s")
    assert of_one["previous"]["executions"] == 1


def test_error_codes_beyond_the_cap_of_a_service_count_together() -> None:
    told = [{**FAILED, "errorCode": f"E{n}"} for n in range(5)]
    found = house(*told, service_error_codes_max=3).services(NOW_MS)["total"]["errors"]
    assert sum(found.values()) == 5
    assert found["__other__"] == 2


def test_categories_beyond_the_cap_of_a_service_count_together() -> None:
    told = [{**CALL, "category": f"c{n}"} for n in range(5)]
    some = house(*told, service_categories_max=3)
    assert some.services(NOW_MS)["total"]["executions"] == 5
    assert some.services(NOW_MS, category="__other__")["total"]["executions"] == 2
    assert some.services(NOW_MS, category="c1")["total"]["executions"] == 1
