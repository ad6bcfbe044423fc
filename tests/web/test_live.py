"""The stream: what comes first, what comes each second, and what a slow reader costs."""

import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from engine.actors.runtime import Engine
from engine.config import Config
from engine.errors import InvalidQuestion, NotReady, Overloaded
from tests.web.sockets import served
from web.app import Application, create_app
from web.control import Control
from web.errors import TooManyStreams
from web.lane import Lane
from web.line import STREAM_SEND_S
from web.live import GREETING, HEARTBEAT, KEYS_MAX, Live, Subscriber, wanted
from web.responses import LiveBody
from web.service import LateEngine

NOW_MS = 1_696_291_200_000


class Count:
    """Counters of which one says how often they were asked for."""

    def __init__(self) -> None:
        self.asked = 0
        self.is_ready = True

    async def __call__(self) -> dict[str, int | float | None]:
        if not self.is_ready:
            raise NotReady("Recovering.")
        self.asked += 1
        return {"asked": self.asked, "revenue:today": None}


@asynccontextmanager
async def running(count: Count, *, subscribers_max: int = 3) -> AsyncIterator[Live]:
    live = Live(
        count, lambda: NOW_MS, is_welcome=lambda _: True, subscribers_max=subscribers_max
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(live.run)
        yield live
        live.end()


def figures(frame: bytes) -> dict[str, int | float | None]:
    update = orjson.loads(frame.partition(b"data: ")[2])
    assert update["type"] == "update"
    return update["counters"]


async def read(subscriber: Subscriber, frames: int) -> list[bytes]:
    async with subscriber as stream:
        found = []
        async for frame in stream:
            found.append(frame)
            if len(found) == frames:
                break
        return found


async def test_a_stream_begins_as_its_users_know_it(autojump_clock: MockClock) -> None:
    async with running(Count()) as live:
        greeting, update = await read(LiveBody(live, keys=None, interval_ticks=1), 2)
    assert greeting.startswith(b'data: {"type":"connected"}\n\n')
    assert b"retry: 2000\n\n" in greeting
    assert update == (
        b"id: 1696291200000\n"
        b'data: {"type":"update","timestamp":1696291200000,'
        b'"counters":{"asked":1,"revenue:today":null}}\n\n'
    )


async def test_a_frame_comes_each_second(autojump_clock: MockClock) -> None:
    async with running(Count()) as live:
        started = trio.current_time()
        await read(LiveBody(live, keys=None, interval_ticks=1), 1 + 5)
        assert trio.current_time() - started == pytest.approx(5)


async def test_the_first_frame_comes_at_once_and_the_others_at_the_interval(
    autojump_clock: MockClock,
) -> None:
    async with running(Count()) as live:
        started = trio.current_time()
        await read(LiveBody(live, keys=None, interval_ticks=10), 1 + 1)
        assert trio.current_time() - started == pytest.approx(1)
        await read(LiveBody(live, keys=None, interval_ticks=10), 1 + 3)
        assert trio.current_time() - started == pytest.approx(1 + 21)


async def test_a_tick_asks_once_and_encodes_once_for_all(autojump_clock: MockClock) -> None:
    count = Count()
    async with running(count) as live:
        both: list[list[bytes]] = []

        async def listen() -> None:
            both.append(await read(LiveBody(live, keys=("asked",), interval_ticks=1), 3))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            nursery.start_soon(listen)
    first, second = both
    assert figures(first[1]) == {"asked": 1}
    assert all(one is other for one, other in zip(first[1:], second[1:], strict=True))
    assert count.asked == 2


async def test_nothing_is_asked_while_nobody_listens(autojump_clock: MockClock) -> None:
    count = Count()
    async with running(count) as live:
        await trio.sleep(60)
        assert count.asked == 0
        await read(LiveBody(live, keys=None, interval_ticks=1), 2)
        await trio.sleep(60)
        assert count.asked == 1
        await read(LiveBody(live, keys=None, interval_ticks=1), 2)
        assert count.asked == 2


async def test_a_slow_reader_finds_the_newest_frame_and_no_other(
    autojump_clock: MockClock,
) -> None:
    async with running(Count()) as live, LiveBody(live, keys=None, interval_ticks=1) as stream:
        frames = aiter(stream)
        assert await anext(frames) == GREETING
        await trio.sleep(30.5)
        assert figures(await anext(frames))["asked"] == 30
        assert figures(await anext(frames))["asked"] == 31


async def test_a_silent_engine_is_bridged_by_heartbeats(autojump_clock: MockClock) -> None:
    count = Count()
    count.is_ready = False
    async with running(count) as live, LiveBody(live, keys=None, interval_ticks=10) as stream:
        frames = aiter(stream)
        await anext(frames)
        started = trio.current_time()
        assert await anext(frames) == HEARTBEAT
        assert trio.current_time() - started <= 15
        count.is_ready = True
        assert figures(await anext(frames))["asked"] == 1
        assert trio.current_time() - started <= 15


async def test_places_are_limited_and_given_back(autojump_clock: MockClock) -> None:
    async with running(Count(), subscribers_max=1) as live:
        live.must_have_room()
        async with LiveBody(live, keys=None, interval_ticks=1):
            with pytest.raises(TooManyStreams) as refusal:
                live.must_have_room()
            assert refusal.value.status == 503
            # One who got past the check at the same moment as another is sent away.
            async with LiveBody(live, keys=None, interval_ticks=1) as late:
                assert [frame async for frame in late] == []
        assert live.subscribers == 0
        live.must_have_room()


async def test_who_leaves_twice_takes_nobody_elses_frames(autojump_clock: MockClock) -> None:
    async with running(Count()) as live:
        gone = LiveBody(live, keys=None, interval_ticks=1)
        await read(gone, 2)
        await trio.sleep(60)
        live.leave(gone)
        _, update = await read(LiveBody(live, keys=None, interval_ticks=1), 2)
        assert figures(update)["asked"] == 2


async def test_the_end_ends_every_stream_at_once(autojump_clock: MockClock) -> None:
    async with running(Count()) as live:
        found: list[bytes] = []

        async def listen() -> None:
            async with LiveBody(live, keys=None, interval_ticks=10) as stream:
                found.extend([frame async for frame in stream])

        async with trio.open_nursery() as nursery:
            nursery.start_soon(listen)
            await wait_all_tasks_blocked()
            started = trio.current_time()
            live.end()
        assert trio.current_time() == started
        assert found == [GREETING]
        with pytest.raises(Overloaded):
            live.must_have_room()


def test_keys_are_a_set() -> None:
    assert wanted("b,a,b") == ("a", "b")
    assert wanted(None) is None
    assert len(wanted(",".join(map(str, range(KEYS_MAX)))) or ()) == KEYS_MAX


@pytest.mark.parametrize("keys", ["a,", ",", " ", ",".join(map(str, range(KEYS_MAX + 1)))])
def test_keys_that_are_no_names_are_refused(keys: str) -> None:
    with pytest.raises(InvalidQuestion, match="keys: Expected 1 to 100 names"):
        wanted(keys)


# -- through the application ----------------------------------------------------------------


async def test_a_stream_shows_an_event_that_was_acknowledged(app: Application) -> None:
    async with app.test_app() as served:
        client = served.test_client()
        await client.post("/track", json={"eventType": "marketplace_view", "serviceId": "s-1"})
        async with client.request("/stream?keys=views:today") as connection:
            received = b""
            while received.count(b"data: ") < 2:
                received += await connection.receive()
            app.end_streams()
    assert connection.status_code == 200
    assert connection.headers["Content-Type"] == "text/event-stream"
    assert connection.headers["Cache-Control"] == "no-store"
    assert received.startswith(b'data: {"type":"connected"}\n\n')
    assert received.endswith(b'"counters":{"views:today":1}}\n\n')


@pytest.mark.parametrize("query", ["interval=0", "interval=11", "keys=nope", "keys=", "x=1"])
async def test_a_stream_that_is_not_understood_is_refused(app: Application, query: str) -> None:
    reply = await app.test_client().get(f"/stream?{query}")
    assert reply.status_code == 422


async def test_a_stream_may_begin_before_there_is_an_engine(
    engine: Engine, config: Config, control: Control
) -> None:
    late = LateEngine(config)
    app = create_app(late, config, control)
    async with app.test_app() as served:
        async with served.test_client().request("/stream?keys=views:today") as connection:
            assert await connection.receive() == GREETING
            late.engine = engine
            assert figures(await connection.receive()) == {"views:today": 0}
            app.end_streams()


async def test_a_client_that_goes_gives_its_place_back(app: Application) -> None:
    to_app, received_by_app = trio.open_memory_channel[dict[str, Any]](1)
    to_client, received_by_client = trio.open_memory_channel[dict[str, Any]](0)
    request = app.test_client().request("/stream")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(app, request.scope, received_by_app.receive, to_client.send)
        await received_by_client.receive()
        assert (await received_by_client.receive())["body"] == GREETING
        assert app.live.subscribers == 1
        await to_app.send({"type": "http.disconnect"})
    assert app.live.subscribers == 0


async def until(claim: Callable[[], bool]) -> None:
    """Let time go by, which costs none, until it holds: the system has buffers to fill."""
    for _ in range(10_000):
        if claim():
            return
        await trio.sleep(STREAM_SEND_S / 2)
    raise AssertionError("it never came true")


async def test_a_reader_that_takes_nothing_for_half_a_minute_loses_its_place(
    app: Application, engine: Engine, config: Config, autojump_clock: MockClock
) -> None:
    async with served(
        app, config, Lane(engine, config, app.live, app.meter, app.gate, app.untaken)
    ) as port:
        sock = trio.socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        with sock:
            await sock.connect(("127.0.0.1", port))
            await sock.send(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await until(lambda: app.live.subscribers == 1)
            await until(lambda: app.live.subscribers == 0)
