"""What slow readers leave lying of large answers is bounded, alike on both lanes."""

import json
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import trio

from engine.actors.runtime import Engine
from engine.config import Config
from engine.errors import Overloaded
from tests.living import batch
from tests.web.sockets import Answer, served, wire
from web.app import Application
from web.lane import Lane
from web.untaken import SMALL_BYTES_MAX, Untaken

SERVICES = 400
FIGURES = b"GET /metrics/services?limit=1000 HTTP/1.1\r\nHost: localhost\r\n\r\n"
VIEW = {"eventType": "marketplace_view", "serviceId": "s"}


def test_a_large_answer_needs_room_beside_others_and_none_alone() -> None:
    untaken = Untaken(1_000_000)
    untaken.must_have_room(2_000_000)
    untaken.bytes = 900_000
    untaken.must_have_room(100_000)
    untaken.must_have_room(SMALL_BYTES_MAX)
    with pytest.raises(Overloaded, match="Try again in a second"):
        untaken.must_have_room(100_001)


@pytest.fixture(params=["lane", "quart"])
async def port(
    request: pytest.FixtureRequest, app: Application, engine: Engine, config: Config
) -> AsyncIterator[int]:
    lane = None
    if request.param == "lane":
        lane = Lane(engine, config, app.live, app.meter, app.gate, app.untaken)
    calls = [
        {
            "eventType": "service_execution",
            "serviceId": f"s-{n}",
            "latencyMs": n,
            "success": True,
        }
        for n in range(SERVICES)
    ]
    for first in range(0, SERVICES, 25):
        await engine.accept(batch(*calls[first : first + 25]))
    async with served(app, config, lane) as port:
        yield port


async def answer_to(port: int, raw: bytes) -> Answer:
    async with wire(port) as connection:
        await connection.send(raw)
        return await connection.answer()


def told(path: str, event: dict[str, Any]) -> bytes:
    body = json.dumps(event).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def test_where_too_much_lies_here_only_large_answers_are_refused(
    port: int, app: Application, config: Config
) -> None:
    whole = await answer_to(port, FIGURES)
    assert (whole.status, len(whole.body) > SMALL_BYTES_MAX) == (200, True)
    app.untaken.bytes += config.answers_bytes_max
    for raw in (FIGURES, told("/track/bulk", VIEW)):
        refused = await answer_to(port, raw)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        assert orjson.loads(refused.body)["type"] == "/problems/overloaded"
    assert (await answer_to(port, told("/track", VIEW))).status == 200
    app.untaken.bytes -= config.answers_bytes_max
    assert (await answer_to(port, FIGURES)).status == 200
    assert (await answer_to(port, told("/track/bulk", VIEW))).status == 200
    with trio.fail_after(60):
        while app.untaken.bytes:
            await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("is_taken", [True, False])
async def test_an_answer_of_quart_is_counted_while_it_is_sent(
    app: Application, *, is_taken: bool
) -> None:
    while_sent = []
    to_app, messages = trio.open_memory_channel[dict[str, Any]](1)
    await to_app.send({"type": "http.request", "body": b"", "more_body": False})

    async def send(message: dict[str, Any]) -> None:
        if message.get("body"):
            while_sent.append(app.untaken.bytes - len(message["body"]))
            if not is_taken:
                scope.cancel()
                await trio.sleep_forever()

    asked = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/openapi.json",
        "raw_path": b"/openapi.json",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
    }
    async with app.test_app():
        with trio.fail_after(60), trio.CancelScope() as scope:
            await app(asked, messages.receive, send)  # type: ignore[arg-type]  # plain dicts
    assert while_sent == [0]
    assert app.untaken.bytes == 0


async def test_an_answer_that_another_takes_the_place_of_counts_no_longer(
    app: Application,
) -> None:
    async def fails(_: object) -> None:
        raise RuntimeError("a bug after the answer was made")

    app.after_request_funcs[None].insert(0, fails)  # type: ignore[arg-type]  # runs last
    async with app.test_app() as running:
        answer = await running.test_client().get("/openapi.json")
    assert answer.status_code == 500
    assert app.untaken.bytes == 0


async def test_what_was_changed_is_told_however_much_lies_here(
    app: Application, config: Config
) -> None:
    query = "SELECT 1 -- " + "x" * 3_987
    widget = {"kind": "table", "title": "t", "metric": "sql.rows", "filters": {"sql": query}}
    board = {"name": "n", "type": "custom", "widgets": [widget] * 16}
    async with app.test_app() as running:
        client = running.test_client()
        app.untaken.bytes += config.answers_bytes_max
        made = await client.post("/dashboards", json=board)
        assert (made.status_code, len(await made.get_data()) > SMALL_BYTES_MAX) == (201, True)
        asked = await client.get(made.headers["Location"])
        assert asked.status_code == 503
