"""The whole service over a real socket, with a month of a marketplace in it.

What it was asked to answer, route by route; and that neither kill -9 nor another number of
shards changes a figure of days that are over.
"""

import datetime as dt
import gzip
import itertools
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.asked import ANSWERS, EVENTS
from tests.server import Server
from web.routes import ROUTES

pytestmark = pytest.mark.slow

Json = Any

METRICS = ("services", "revenue", "marketplace", "experiments", "users")
PERCENTILES = {"p50", "p95", "p99"}

MAY_BE_NULL = {"winner", "day30", "churnRate"}
"""No winner, nobody for 30 days, nobody before; the demonstration has a month and no more."""


def misses(example: Json, answer: Json, path: str = "$") -> Iterator[str]:
    """Where an answer has not the shape of an example; fields of its own are welcome."""
    match example:
        case dict():
            if not isinstance(answer, dict):
                yield f"{path} is no object"
                return
            for key, value in example.items():
                if key not in answer:
                    yield f"{path}.{key} is not there"
                elif answer[key] is not None or key not in MAY_BE_NULL:
                    yield from misses(value, answer[key], f"{path}.{key}")
        case list():
            if not isinstance(answer, list) or not answer:
                yield f"{path} is no list, or empty"
                return
            for place, row in enumerate(answer):
                yield from misses(example[0], row, f"{path}[{place}]")
        case int() | float():
            if isinstance(answer, bool) or not isinstance(answer, int | float):
                yield f"{path} is no number"
        case _:
            if type(answer) is not type(example):
                yield f"{path} is no {type(example).__name__}"


def today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


def back(days: int) -> str:
    return (today() - dt.timedelta(days=days)).isoformat()


# -- what was asked for -----------------------------------------------------------------------


@pytest.mark.parametrize("family", METRICS)
def test_metrics_have_the_shape_of_the_example(marketplace: Server, family: str) -> None:
    asked = {"startDate": f"{back(27)}T00:00:00Z", "endDate": f"{back(-1)}T00:00:00Z"}
    answer = marketplace.client.get(f"/metrics/{family}", params=asked)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert list(misses(ANSWERS["GET", f"/metrics/{family}"], answer.json())) == []
    rows = answer.json()["data"]
    for row in rows if isinstance(rows, list) else [rows]:
        assert row["period"] == f"{back(27)} to {back(-1)}"


def test_of_two_experiments_the_one_with_a_true_difference_has_a_winner(
    marketplace: Server,
) -> None:
    rows = marketplace.client.get("/metrics/experiments").json()["data"]
    assert sorted(row["winner"] is None for row in rows) == [False, True]
    assert all(0 <= row["confidence"] <= 100 for row in rows)


@pytest.mark.parametrize("granularity", ["hour", "day", "week", "month"])
@pytest.mark.parametrize("family", ["services", "revenue", "marketplace"])
def test_series_are_asked_for_by_granularity(
    marketplace: Server, family: str, granularity: str
) -> None:
    asked = {"startDate": back(2), "endDate": back(0), "granularity": granularity}
    answer = marketplace.client.get(f"/metrics/{family}", params=asked).json()
    series = answer["series"] if family == "services" else answer["data"]["series"]
    assert series[0]["start"].startswith(back(2))
    if granularity in ("hour", "day"):
        assert len(series) == {"hour": 72, "day": 3}[granularity]


def test_a_range_before_everything_is_empty_and_never_an_error(marketplace: Server) -> None:
    asked = {"startDate": "2025-10-01T00:00:00Z", "endDate": "2025-10-03T00:00:00Z"}
    for family in METRICS:
        answer = marketplace.client.get(f"/metrics/{family}", params=asked)
        assert answer.status_code == 200, answer.text
    rows = marketplace.client.get("/metrics/services", params=asked).json()["data"]
    assert rows == []


SINGLE = (
    *EVENTS,
    {"eventType": "service_execution", "serviceId": "test", "latencyMs": 100, "success": True},
)
"""One example of each event, and the one that a deployment is tried with."""


@pytest.mark.parametrize("media", ["application/json", "text/plain;charset=UTF-8"])
def test_every_event_is_taken_alone_in_a_batch_and_in_bulk(server: Server, media: str) -> None:
    headers = {"Content-Type": media}
    for event in SINGLE:
        alone = server.client.post("/track", content=json.dumps(event), headers=headers)
        assert (alone.status_code, alone.json()) == (200, {"success": True})
    batch = server.client.post("/track/batch", content=json.dumps(SINGLE), headers=headers)
    assert batch.json() == {"success": True, "count": len(SINGLE)}
    lines = "\n".join(map(json.dumps, SINGLE)).encode()
    packed = headers | {"Content-Encoding": "gzip"}
    bulk = server.client.post("/track/bulk", content=gzip.compress(lines), headers=packed)
    assert bulk.json() == {"success": True, "count": len(SINGLE)}
    assert server.client.get("/health").json()["events"] == 3 * len(SINGLE)
    counters = server.client.get("/counters").json()["data"]
    assert counters["executions:today"] == 6
    assert counters["revenue:today"] == 300


# -- live -------------------------------------------------------------------------------------


def test_the_stream_greets_and_then_tells_the_counters(marketplace: Server) -> None:
    with marketplace.client.stream("GET", "/stream") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()
        blocks = (list(itertools.takewhile(bool, lines)) for _ in range(3))
        greeting, (retry,), (name, data) = blocks  # each ends with an empty line
    assert greeting == ['data: {"type":"connected"}']
    assert retry.startswith("retry: ")
    update = json.loads(data.removeprefix("data: "))
    assert name == f"id: {update['timestamp']}"
    assert update.keys() == {"type", "timestamp", "counters"}
    assert update["type"] == "update"
    assert isinstance(update["timestamp"], int)
    assert {"executions:today", "revenue:today"} <= update["counters"].keys()
    assert all(isinstance(n, int | float) for n in update["counters"].values())


def test_every_counter_is_answered_alone_too(marketplace: Server) -> None:
    everything = marketplace.client.get("/counters").json()["data"]
    assert f"executions:{back(1)}" in everything
    key = f"revenue:{back(1)}"
    alone = marketplace.client.get(f"/counters/{key}").json()
    assert alone == {"data": {"key": key, "value": everything[key]}}


@pytest.mark.parametrize("days", [0, 1, 6])
def test_the_counters_of_a_day_are_the_figures_of_that_day(
    marketplace: Server, days: int
) -> None:
    day = back(days)
    counters = marketplace.client.get("/counters").json()["data"]
    told = {
        family: marketplace.client.get(
            f"/metrics/{family}", params={"startDate": day, "endDate": day}
        ).json()
        for family in METRICS
    }
    total = told["services"]["total"]
    assert counters[f"executions:{day}"] == total["executions"]
    assert counters[f"errors:{day}"] == sum(total["errors"].values())
    assert counters[f"revenue:{day}"] == told["revenue"]["data"]["gmv"]
    for name in ("views", "searches", "conversions"):
        assert counters[f"{name}:{day}"] == told["marketplace"]["data"][name]
    assert counters[f"sessions:{day}"] == told["users"]["data"]["sessions"]


@pytest.mark.parametrize("granularity", ["hour", "day", "week", "month"])
def test_a_series_adds_up_to_the_whole(marketplace: Server, granularity: str) -> None:
    start = back(6) if granularity == "hour" else back(29)
    asked = {"startDate": start, "endDate": back(1), "granularity": granularity}
    services, revenue, activity = (
        marketplace.client.get(f"/metrics/{family}", params=asked).json()
        for family in ("services", "revenue", "marketplace")
    )
    executions = services["total"]["executions"]
    assert sum(step["executions"] for step in services["series"]) == executions
    assert sum(row["executions"] for row in services["data"]) == executions
    figures = [(revenue["data"], ("transactionCount",))]
    figures += [(activity["data"], ("searches", "views", "conversions"))]
    for data, names in figures:
        for name in names:
            assert sum(step[name] for step in data["series"]) == data[name]
    gmv = sum(round(step["gmv"] * 1_000_000) for step in revenue["data"]["series"])
    assert gmv == round(revenue["data"]["gmv"] * 1_000_000)


# -- routes -----------------------------------------------------------------------------------

ALWAYS = [
    route
    for route in ROUTES
    if "sql" not in route.path
    and "/queries/" not in route.path
    and not route.path.startswith(("/load/", "/ui/"))
    and route.path not in ("/export/events", "/users/{userId}")
]
"""Routes that need no archive, setting, page or erasure; the others have tests of their own."""

GETS = [route.path for route in ALWAYS if route.method == "GET"]


def reached(server: Server, path: str) -> str:
    """The path of a route, with something behind it that is there."""
    path = path.replace("{key}", "executions:today").replace("{id}", "revenue")
    if path.startswith("/catalog/"):
        server.client.put("/catalog/services/revenue", json={"name": "Money"})
        server.client.put("/catalog/experiments/revenue", json={"name": "Money"})
    if "{report}" in path:
        made = server.client.post("/exports", json={"family": "services"}).json()
        while server.client.get(f"/exports/{made['id']}").json()["finishedAt"] is None:
            time.sleep(0.05)
        path = path.replace("{report}", made["id"])
    if path.startswith("/embed/"):
        family = path.rpartition("/")[2]
        metric = "counters.views:today" if family == "counters" else family
        if "/metrics/" not in path and family != "counters":
            metric = "users"
        widget = {"kind": "table", "title": "", "metric": metric}
        name = f"For {path}"
        made = server.client.post("/dashboards", json={"name": name, "widgets": [widget]})
        key = made.json()["data"]["id"]
        share = server.client.post(f"/dashboards/{key}/share").json()["data"]
        path = path.replace("{dashboard}", key) + f"?token={share['token']}"
        path += "&keys=views:today" if family == "counters" else ""
    return path


@pytest.mark.parametrize("path", GETS)
def test_head_is_get_without_the_body(marketplace: Server, path: str) -> None:
    path = reached(marketplace, path)
    with marketplace.client.stream("GET", path) as whole:
        media = whole.headers["content-type"]
        assert whole.status_code == 200
    head = marketplace.client.head(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == media


def assert_problem(answer: httpx.Response, status: int) -> None:
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == status
    assert problem["success"] is False
    assert problem["type"].startswith("/problems/")
    assert problem["title"]
    assert problem["detail"]


@pytest.mark.parametrize("path", ["/nothing", "/metrics", "/metrics/nothing", "/track/"])
def test_an_unknown_path_is_a_problem(marketplace: Server, path: str) -> None:
    assert_problem(marketplace.client.get(path), 404)


@pytest.mark.parametrize("path", sorted({route.path for route in ALWAYS}))
def test_a_wrong_method_is_a_problem_that_names_the_right_ones(
    marketplace: Server, path: str
) -> None:
    answer = marketplace.client.patch(path.replace("{key}", "executions:today"))
    assert_problem(answer, 405)
    allowed = {method.strip() for method in answer.headers["allow"].split(",")}
    assert {route.method for route in ROUTES if route.path == path} <= allowed


@pytest.mark.parametrize(
    ("path", "parameter"),
    [
        ("/metrics/services?granularity=minute", "granularity"),
        ("/metrics/services?startDate=yesterday", "startDate"),
        ("/metrics/services?limit=0", "limit"),
        ("/metrics/users?granularity=hour", "granularity"),
        ("/metrics/revenue?unknown=1", "unknown"),
        ("/metrics/revenue?currency=usd", "currency"),
        ("/metrics/revenue?creatorId=c&serviceId=s", "creatorId"),
        (f"/metrics/users?compare=previous&startDate={back(300)}", "compare"),
        ("/metrics/services?startDate=2020-01-01&endDate=2026-01-01", "startDate"),
        ("/counters?keys=nothing", "nothing"),
    ],
)
def test_what_cannot_be_asked_is_a_problem_that_names_the_parameter(
    marketplace: Server, path: str, parameter: str
) -> None:
    answer = marketplace.client.get(path)
    assert_problem(answer, 422)
    assert parameter in answer.json()["detail"]


def test_the_description_lists_every_route(marketplace: Server) -> None:
    paths = marketplace.client.get("/openapi.json").json()["paths"]
    told = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert {(route.method, route.path) for route in ROUTES} <= told


# -- the same figures after a restart ---------------------------------------------------------


def closed_questions(server: Server) -> list[str]:
    """Questions about days that are over, of all families, and by every filter."""
    month = f"startDate={back(28)}&endDate={back(1)}&compare=previous"
    days = f"startDate={back(4)}&endDate={back(2)}"
    services = server.client.get(f"/metrics/services?{month}").json()["data"]
    service, category = services[0]["serviceId"], services[0]["category"]
    return [
        f"/metrics/services?{month}&granularity=day&trend=true&limit=10000",
        f"/metrics/services?{month}&sort=-errorRate",  # by p95, near ties may swap places
        f"/metrics/services?{days}&granularity=hour&serviceId={service}",
        f"/metrics/services?{month}&category={category}",
        f"/metrics/revenue?{month}&granularity=day&limit=10000",
        f"/metrics/revenue?{days}&granularity=hour&serviceId={service}",
        f"/metrics/marketplace?{month}&granularity=week&limit=10000",
        f"/metrics/marketplace?{days}&granularity=hour&category={category}",
        f"/metrics/experiments?startDate={back(28)}&endDate={back(1)}",
        f"/metrics/users?{month}&granularity=day&cohorts=week",
    ]


def closed_answers(server: Server, questions: list[str]) -> list[Json]:
    answers = [server.client.get(question) for question in questions]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    found = [without_estimates(answer.json()) for answer in answers]
    for question, answer in zip(questions, found, strict=True):
        if "sort=-p95" in question:  # so near each other, estimates may change places
            answer["data"].sort(key=lambda row: row["serviceId"])
    return found


def without_estimates(value: Json) -> Json:
    """A percentile's estimate may differ after a replay; its interval, `accuracy`, may not."""
    if isinstance(value, list):
        return [without_estimates(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: one if key == "accuracy" else without_estimates(one)
        for key, one in value.items()
        if key == "accuracy" or key not in PERCENTILES
    }


def test_kill_9_and_a_restart_change_no_figure(marketplace: Server) -> None:
    questions = closed_questions(marketplace)
    before = closed_answers(marketplace, questions)
    marketplace.kill()
    marketplace.start()
    assert closed_answers(marketplace, questions) == before


def test_another_number_of_shards_changes_no_figure(marketplace: Server) -> None:
    questions = closed_questions(marketplace)
    before = closed_answers(marketplace, questions)
    assert marketplace.stop() == 0
    try:
        with Server(marketplace.data, "--shards", "3", "--durability", "write") as other:
            assert closed_answers(other, questions) == before
            other.kill()
    finally:
        marketplace.start()
    assert closed_answers(marketplace, questions) == before
