"""Names of a database service: fetched behind the answers, and never waited for."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from engine.config import Config
from engine.rollups import names
from web.lookup import FAILURES_MAX, PAUSE_S, Breaker, LookUp, Overlay


class Source:
    """A service that names services: answers each path as `answer` says, and counts."""

    def __init__(self, answer: Callable[[str], bytes | None]) -> None:
        self.paths: list[str] = []
        self._answer = answer
        self.asked = trio.Event()

    async def serve(self, stream: trio.SocketStream) -> None:
        async with stream:
            while head := await stream.receive_some():
                path = head.split()[1].decode()
                self.paths.append(path)
                self.asked.set()
                answer = self._answer(path)
                if answer is None:  # says nothing, for ever
                    await trio.sleep_forever()
                await stream.send_all(answer)


def ok(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


@asynccontextmanager
async def looking_up(source: Source, **settings: int) -> AsyncIterator[LookUp]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, source.serve, 0)
        port = listeners[0].socket.getsockname()[1]
        url = f"http://127.0.0.1:{port}/services/{{id}}?fields=name"
        look_up = LookUp(Config(data=Path("unused"), db_url=url, **settings))
        nursery.start_soon(look_up.run)
        yield look_up
        nursery.cancel_scope.cancel()


async def named(look_up: LookUp, service: str) -> str:
    """The name, once it has come."""
    with trio.fail_after(60):
        while (name := look_up.name(service)) is None:
            await trio.lowlevel.checkpoint()
        return name


async def test_a_name_is_there_for_the_next_answer_and_asked_for_once() -> None:
    source = Source(lambda path: ok(b'{"name":"Image Generator"}'))
    async with looking_up(source) as look_up:
        assert look_up.name("a b/c") is None
        assert await named(look_up, "a b/c") == "Image Generator"
        assert look_up.name("a b/c") == "Image Generator"
        await wait_all_tasks_blocked()
    assert source.paths == ["/services/a%20b%2Fc?fields=name"]


async def test_a_wrapped_name_is_one_too() -> None:
    source = Source(lambda path: ok(b'{"data":{"name":"Wrapped"}}'))
    async with looking_up(source) as look_up:
        assert await named(look_up, "a") == "Wrapped"


@pytest.mark.parametrize(
    "answer",
    [
        ok(b"{}", b"404 Not Found"),
        ok(b"no JSON"),
        ok(b'{"name":5}'),
        ok(b'{"name":""}'),
        ok(b"[1]"),
    ],
)
async def test_what_has_no_name_is_not_asked_for_again(answer: bytes) -> None:
    source = Source(
        lambda path: answer if path.startswith("/services/a") else ok(b'{"name":"b"}')
    )
    async with looking_up(source) as look_up:
        look_up.name("a")
        await named(look_up, "b")
        for _ in range(3):
            assert look_up.name("a") is None
            await wait_all_tasks_blocked()
    assert source.paths.count("/services/a?fields=name") == 1


@pytest.mark.parametrize("service", ["", ".", "..", "__other__"])
async def test_an_id_that_would_ask_for_another_path_is_not_asked_for(service: str) -> None:
    source = Source(lambda path: ok(b'{"name":"x"}'))
    async with looking_up(source) as look_up:
        look_up.name(service)
        await named(look_up, "b")
    assert source.paths == ["/services/b?fields=name"]


async def test_no_more_names_are_remembered_than_may_be() -> None:
    source = Source(lambda path: ok(b'{"name":"x"}'))
    async with looking_up(source, db_names_max=2) as look_up:
        for service in ("a", "b", "c"):
            await named(look_up, service)
        assert look_up.name("b") == look_up.name("c") == "x"
        assert look_up.name("a") is None


async def test_a_source_that_says_nothing_holds_nobody_up() -> None:
    source = Source(lambda path: None)
    async with looking_up(source, db_timeout_ms=10, db_names_max=2) as look_up:
        for service in map(str, range(10)):  # more than may wait
            assert look_up.name(service) is None
        await source.asked.wait()


async def test_a_source_that_fails_is_left_alone_and_what_was_known_stays() -> None:
    failing = False
    source = Source(lambda path: ok(b"", b"500 Broken") if failing else ok(b'{"name":"known"}'))
    async with looking_up(source, db_ttl_s=3_600) as look_up:
        await named(look_up, "a")
        failing = True
        with trio.fail_after(60):
            while not look_up._breaker.is_open:
                look_up.name("b")
                await trio.lowlevel.checkpoint()
        asked = len(source.paths)
        look_up.name("b")
        await wait_all_tasks_blocked()
        assert len(source.paths) == asked
        assert look_up.name("a") == "known"


def test_pauses_grow_until_the_source_answers(autojump_clock: trio.testing.MockClock) -> None:
    async def main() -> None:
        breaker = Breaker()
        for _ in range(FAILURES_MAX - 1):
            breaker.failed("no")
        assert not breaker.is_open
        for pause_s in (PAUSE_S, 2 * PAUSE_S, 4 * PAUSE_S):
            breaker.failed("no")
            assert breaker.is_open
            await trio.sleep(pause_s - 0.1)
            assert breaker.is_open
            await trio.sleep(0.2)
            assert not breaker.is_open
            breaker.begin()
            assert breaker.is_open  # one look-up tries, the others wait for what it finds
        breaker.succeeded()
        assert not breaker.is_open

    trio.run(main, clock=autojump_clock)


async def test_the_catalog_wins_over_the_source_and_the_source_over_events() -> None:
    catalog = {(names.SERVICE, "a", 0): "catalog"}
    carried = {(names.SERVICE, key, 0): "event" for key in ("a", "b", "c")}
    source = Source(
        lambda path: ok(b'{"name":"source"}') if "/c" not in path else ok(b"{}", b"404 No")
    )
    async with looking_up(source) as look_up:
        overlay = Overlay(catalog, look_up, carried)
        await named(look_up, "b")
        found = [overlay.get((names.SERVICE, key, 0), key) for key in ("a", "b", "c", "d")]
        assert found == ["catalog", "source", "event", "d"]
        assert overlay.get((names.VARIANT, "e", 1)) is None
