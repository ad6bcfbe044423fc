"""The application: every route answers in its shape, and every refusal is a problem."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import orjson
import pytest
from quart.typing import TestClientProtocol as Client

from engine.actors.runtime import Engine
from engine.config import Config
from tests.web.corpus import body_of, cases_that_need
from tests.web.keyed import under
from web.app import create_app
from web.control import Control
from web.service import LateEngine

ELSEWHERE = ("/sql", "/client/v4/")
"""Routes that need processes of their own; tests/web/test_sql.py has their cases."""

JSON = {"Content-Type": "application/json"}
METRICS = ["services", "revenue", "marketplace", "experiments", "users"]


def _is_problem(headers: Any, content: bytes, status: int) -> bool:
    problem = orjson.loads(content)
    return (
        headers["Content-Type"] == "application/problem+json"
        and problem["status"] == status
        and problem["success"] is False
        and problem["type"].startswith("/problems/")
    )


async def test_every_public_bad_input_is_refused_with_a_problem(client: Client) -> None:
    wrong = {}
    for case in cases_that_need(None):
        if case["path"].startswith(ELSEWHERE):
            continue
        path, _, query = case["path"].partition("?")
        reply = await client.open(
            path,
            method=case["method"],
            headers=case["headers"],
            data=body_of(case),
            query_string={k: v[0] for k, v in parse_qs(query, keep_blank_values=True).items()},
        )
        content = await reply.get_data()
        if reply.status_code not in case["expect_status"] or not _is_problem(
            reply.headers, content, reply.status_code
        ):
            wrong[case["id"]] = (reply.status_code, case["why"], content[:200])
    assert wrong == {}


async def test_an_acknowledged_event_is_in_every_answer_that_follows(client: Client) -> None:
    event = {
        "eventType": "service_execution",
        "serviceId": "s-1",
        "latencyMs": 8,
        "success": True,
    }
    reply = await client.post("/track", json=event)
    assert (reply.status_code, await reply.get_data()) == (200, b'{"success":true}')
    services = orjson.loads(await (await client.get("/metrics/services")).get_data())
    assert [row["executions"] for row in services["data"]] == [1]
    counter = await (await client.get("/counters/executions:today")).get_data()
    assert orjson.loads(counter) == {"data": {"key": "executions:today", "value": 1}}


@pytest.mark.parametrize("family", METRICS)
async def test_every_family_answers_with_and_without_events(
    client: Client, family: str
) -> None:
    for query in ("", "?granularity=day&startDate=2025-10-01&endDate=2025-10-03"):
        reply = await client.get(f"/metrics/{family}{query}")
        assert reply.status_code == 200, await reply.get_data()
        assert "data" in orjson.loads(await reply.get_data())


async def test_the_counters_asked_for_are_answered_and_unknown_ones_named(
    client: Client,
) -> None:
    some = await client.get("/counters?keys=views:today,errors:today,views:today")
    assert orjson.loads(await some.get_data())["data"] == {"errors:today": 0, "views:today": 0}
    unknown = await client.get("/counters?keys=views:today,nope")
    assert unknown.status_code == 422
    assert "'nope'" in orjson.loads(await unknown.get_data())["detail"]
    assert (await client.get("/counters/nope")).status_code == 404


async def test_health_and_readiness_of_a_running_engine(client: Client) -> None:
    health = orjson.loads(await (await client.get("/health")).get_data())
    assert health["status"] == "ok"
    assert health["queue"]["limit"] == 50_000
    assert {"version", "uptimeS", "eventsPerSecond", "journal", "snapshot"} <= set(health)
    assert (await client.get("/ready")).status_code == 200


async def test_health_tells_the_settings_by_which_figures_are_read_even_while_it_recovers(
    config: Config, control: Control
) -> None:
    changed = msgspec.structs.replace(config, timezone="Europe/Berlin", load_hooks=True)
    client = create_app(LateEngine(changed), changed, control).test_client()
    health = orjson.loads(await (await client.get("/health")).get_data())
    assert health["settings"] == {
        "timezone": "Europe/Berlin",
        "reportingCurrency": "USD",
        "keepHoursDays": 8,
        "loadRuns": True,
        "keys": False,
    }


async def test_while_it_recovers_it_lives_and_refuses(config: Config, control: Control) -> None:
    client = create_app(LateEngine(config), config, control).test_client()
    health = await client.get("/health")
    assert health.status_code == 200
    assert orjson.loads(await health.get_data())["status"] == "recovering"
    for path in ("/ready", "/metrics/users", "/counters"):
        reply = await client.get(path)
        assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1"), path
    reply = await client.post("/track", data=b"{}", headers=JSON)
    assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")


async def test_who_asks_whether_it_is_ready_is_told_what_each_part_occupies(
    client: Client,
) -> None:
    call = {
        "eventType": "service_execution",
        "serviceId": "s",
        "success": True,
        "latencyMs": 1,
        "eventId": "e",
        "userId": "u",
    }
    assert (await client.post("/track", json=call)).status_code == 200
    for family in ("users", "services"):  # for which what waits is counted
        await client.get(f"/metrics/{family}")
    told = orjson.loads(await (await client.get("/ready")).get_data())["memoryBytes"]
    occupied = {part for part, size in told.items() if size > 0}
    assert {"services", "users", "admission", "eventIds"} <= occupied


async def test_a_stopped_engine_is_not_ready(client: Client, engine: Engine) -> None:
    engine.stop()
    assert (await client.get("/ready")).status_code == 503
    health = orjson.loads(await (await client.get("/health")).get_data())
    assert health["status"] == "stopping"


async def test_a_preflight_lets_pages_of_any_origin_send(client: Client) -> None:
    for path in ("/track", "/track/batch"):
        reply = await client.options(path, headers={"Origin": "https://shop.example"})
        assert reply.status_code == 204
        assert reply.headers["Access-Control-Allow-Origin"] == "*"
        assert reply.headers["Access-Control-Max-Age"] == "86400"
        assert "Content-Type" in reply.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in reply.headers


async def test_pages_of_other_origins_may_not_read_figures(client: Client) -> None:
    reply = await client.get("/metrics/services", headers={"Origin": "https://evil.example"})
    assert not [name for name, _ in reply.headers if name.startswith("Access-Control")]
    preflight = await client.options("/metrics/services")
    assert preflight.status_code == 405


async def test_head_answers_like_get_without_the_body(client: Client) -> None:
    for path in ("/", "/health", "/metrics/services", "/counters", "/openapi.json", "/stream"):
        reply = await client.head(path)
        assert reply.status_code == 200, path


async def test_a_wrong_method_is_told_the_right_ones(client: Client) -> None:
    reply = await client.put("/track", data=b"{}")
    assert reply.status_code == 405
    assert reply.headers["Allow"] == "OPTIONS, POST"
    reply = await client.post("/metrics/services")
    assert reply.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    "path", ["/index.html", "/track/", "/track//batch", "/counters/", "/metrics"]
)
async def test_a_path_is_met_exactly_or_not_found(client: Client, path: str) -> None:
    reply = await client.open(path, method="POST")
    assert reply.status_code == 404
    assert _is_problem(reply.headers, await reply.get_data(), 404)


async def test_a_problem_does_not_repeat_the_query(client: Client) -> None:
    reply = await client.get("/metrics/services?key=tm_w_secret&limit=x")
    assert b"tm_w_secret" not in await reply.get_data()
    assert orjson.loads(await reply.get_data())["instance"] == "/metrics/services"


async def test_a_bug_is_a_problem_without_its_inside(
    engine: Engine, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_clock_ms", lambda: 1 / 0)
    for reply in (
        await client.get("/metrics/services"),
        await client.post("/track", data=b"{}", headers=JSON),
    ):
        content = await reply.get_data()
        assert reply.status_code == 500
        assert _is_problem(reply.headers, content, 500)
        assert b"Zero" not in content
        assert b"line" not in content


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "[::1]:8080", "localhost", "LOCALHOST:1"]
)
async def test_a_local_name_is_ours(client: Client, host: str) -> None:
    assert (await client.get("/ready", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8080",
        "",
        "localhost.evil.example",
        "::1",
        "a b",
        "é",
    ],
)
async def test_another_name_is_refused_so_that_rebinding_does_not_reach_us(
    client: Client, host: str
) -> None:
    for path in ("/metrics/services", "/nope", "/track"):
        reply = await client.get(path, headers={"Host": host})
        assert reply.status_code == 421
        assert _is_problem(reply.headers, await reply.get_data(), 421)


async def test_an_allowed_or_a_public_host_is_ours(
    service: LateEngine, config: Config, control: Control
) -> None:
    headers = {"Host": "Tally.example:443"}
    named = msgspec.structs.replace(config, allowed_hosts=("tally.example",))
    public = msgspec.structs.replace(config, allow_public=True)
    for settings in (named, public):
        client = create_app(service, settings, under(control, settings)).test_client()
        assert (await client.get("/ready", headers=headers)).status_code == 200


async def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not(
    service: LateEngine, config: Config, control: Control
) -> None:
    event = b'{"eventType":"marketplace_view","serviceId":"s-1"}'
    settings = msgspec.structs.replace(config, body_bytes_max=len(event))
    client = create_app(service, settings, control).test_client()
    assert (await client.post("/track", data=event)).status_code == 200
    over = await client.post("/track", data=event + b" ")
    assert over.status_code == 413
    assert over.headers["Access-Control-Allow-Origin"] == "*"


async def test_parameters_arrive_as_they_are_meant(client: Client) -> None:
    url = urlsplit("/metrics/services?serviceId=a%26b&startDate=2025-10-01&endDate=2025-10-02")
    reply = await client.get(f"{url.path}?{url.query}")
    assert orjson.loads(await reply.get_data())["total"]["period"] == "2025-10-01 to 2025-10-02"
