"""The ingest function: what it takes, what it refuses, and that taken means counted."""

from typing import Any

import orjson
import pytest

from engine.actors.runtime import Engine
from engine.errors import Overloaded
from tests.web.corpus import body_of, cases_that_need
from web import ingest
from web.ingest import Kind
from web.service import LateEngine
from web.wire import Reply

VIEW = b'{"eventType":"marketplace_view","serviceId":"service-123"}'
SERVED = {kind.value: kind for kind in Kind}


# Limits of bytes are kept by whoever reads the body: test_app sends those and all other cases.
@pytest.mark.parametrize(
    "case",
    [
        case
        for case in cases_that_need(None)
        if case["method"] == "POST"
        and case["path"] in SERVED
        and len(body_of(case)) <= 1_048_576
    ],
    ids=lambda case: case["id"],
)
async def test_bad_input_is_refused_with_the_status_of_its_fault(
    engine: Engine, case: dict[str, Any]
) -> None:
    reply = await ingest.take(
        engine,
        SERVED[case["path"]],
        body_of(case),
        content_type=case["headers"].get("Content-Type"),
        content_encoding=case["headers"].get("Content-Encoding"),
    )
    assert reply.status in case["expect_status"], case["why"]
    assert orjson.loads(reply.body)["success"] is False
    assert (await engine.counters())["executions:today"] == 0


async def test_one_event_is_acknowledged_and_counted(engine: Engine) -> None:
    reply = await ingest.take(engine, Kind.ONE, VIEW, content_type="application/json")
    assert (reply.status, reply.body) == (200, b'{"success":true}')
    assert (await engine.counters())["views:today"] == 1


async def test_a_batch_is_acknowledged_with_its_count(engine: Engine) -> None:
    reply = await ingest.take(engine, Kind.MANY, b"[" + VIEW + b"," + VIEW + b"]")
    assert reply.body == b'{"success":true,"count":2}'
    assert (await engine.counters())["views:today"] == 2


async def test_a_batch_counts_duplicates_in_its_acknowledgement_alone(engine: Engine) -> None:
    event = VIEW[:-1] + b',"eventId":"e-1"}'
    reply = await ingest.take(engine, Kind.MANY, b"[" + event + b"," + event + b"]")
    assert orjson.loads(reply.body)["count"] == 2
    assert (await engine.counters())["views:today"] == 1


async def test_one_bad_event_rejects_the_whole_batch(engine: Engine) -> None:
    reply = await ingest.take(engine, Kind.MANY, b"[" + VIEW + b',{"eventType":"x"}]')
    assert reply.status == 422
    assert [fault["index"] for fault in orjson.loads(reply.body)["errors"]] == [1]
    assert (await engine.counters())["views:today"] == 0


async def test_skipping_keeps_the_good_events_and_lists_the_others(engine: Engine) -> None:
    body = b'[{"eventType":"x"},' + VIEW + b"]"
    reply = await ingest.take(engine, Kind.MANY, body, query=b"onInvalid=skip")
    answer = orjson.loads(reply.body)
    assert (answer["success"], answer["count"]) == (True, 1)
    assert [(one["index"], one["path"]) for one in answer["rejected"]] == [(0, "$.eventType")]
    assert (await engine.counters())["views:today"] == 1


async def test_skipping_every_event_takes_none(engine: Engine) -> None:
    reply = await ingest.take(engine, Kind.MANY, b"[{}]", query=b"onInvalid=skip")
    assert (reply.status, orjson.loads(reply.body)["count"]) == (200, 0)


@pytest.mark.parametrize("query", [b"onInvalid=keep", b"onInvalid=", b"invalid=skip"])
async def test_a_parameter_that_is_not_understood_takes_nothing(
    engine: Engine, query: bytes
) -> None:
    reply = await ingest.take(engine, Kind.MANY, b"[" + VIEW + b"]", query=query)
    assert reply.status == 422
    assert (await engine.counters())["views:today"] == 0


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "application/json; charset=utf-8",
        'Application/JSON;charset="UTF-8"',
        "text/plain;charset=UTF-8",
        "text/plain",
    ],
)
async def test_json_is_read_under_the_names_that_browsers_give_it(
    engine: Engine, content_type: str | None
) -> None:
    reply = await ingest.take(engine, Kind.ONE, VIEW, content_type=content_type)
    assert reply.status == 200


@pytest.mark.parametrize(
    "content_type",
    ["application/x-ndjson", "application/json; charset=latin-1", "json", "text/html"],
)
async def test_other_media_types_are_refused(engine: Engine, content_type: str) -> None:
    reply = await ingest.take(engine, Kind.ONE, VIEW, content_type=content_type)
    assert reply.status == 415


@pytest.mark.parametrize(("encoding", "status"), [("identity", 200), ("gzip", 415)])
async def test_a_packed_body_is_refused(engine: Engine, encoding: str, status: int) -> None:
    reply = await ingest.take(engine, Kind.ONE, VIEW, content_encoding=encoding)
    assert reply.status == status


async def test_pages_of_any_origin_may_read_the_answer_and_send_no_cookie(
    engine: Engine,
) -> None:
    def origins(reply: Reply) -> tuple[str | None, str | None]:
        headers = dict(reply.headers)
        return (
            headers.get("Access-Control-Allow-Origin"),
            headers.get("Access-Control-Allow-Credentials"),
        )

    assert origins(await ingest.take(engine, Kind.ONE, VIEW)) == ("*", None)
    assert origins(await ingest.take(engine, Kind.ONE, b"{")) == ("*", None)
    assert origins(ingest.refused(Overloaded("Full."), Kind.ONE)) == ("*", None)
    assert origins(ingest.PREFLIGHT) == ("*", None)


async def test_pages_of_any_origin_may_read_when_to_send_again(engine: Engine) -> None:
    full = dict(ingest.refused(Overloaded("Full."), Kind.ONE).headers)
    assert "Retry-After" in full["Access-Control-Expose-Headers"].split(", ")
    taken = await ingest.take(engine, Kind.ONE, VIEW)
    assert "Access-Control-Expose-Headers" not in dict(taken.headers)


async def test_before_there_is_an_engine_nothing_is_taken(engine: Engine) -> None:
    late = LateEngine(engine.config)
    refused = await ingest.take(late, Kind.ONE, VIEW)
    assert (refused.status, dict(refused.headers)["Retry-After"]) == (503, "1")
    late.engine = engine
    assert (await ingest.take(late, Kind.ONE, VIEW)).status == 200
