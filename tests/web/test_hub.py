"""Connections of the hub: none of them keeps the others waiting, and how they stop."""

import socket
from collections import Counter

import pytest
import trio

from engine.errors import TallymarkError
from web import wire
from web.framing import Head
from web.hub import Hub, Takes
from web.line import STEPS_AT_ONCE, Line
from web.untaken import Untaken
from web.wire import Reply

LARGE = bytes(32 << 20)
"""More than two sockets hold."""

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Large:
    """Answers each request at once, with more than goes out at once."""

    hub: Hub

    def __init__(self) -> None:
        self.is_asked = trio.Event()
        self.answers = 0

    def body_bytes_max(self, _line: Line, _head: Head) -> int:
        return 0

    def take(self, line: Line, head: Head, content: bytes) -> None:
        self.answers += 1
        is_last = line.must_close
        line.answer(self.hub.rendered(Reply(200, (), LARGE), is_last=is_last), is_last=is_last)
        self.is_asked.set()

    def refusal(self, error: TallymarkError, _head: Head | None) -> Reply:
        return wire.refused(error, None)


async def _elsewhere(_line: Line, _head: Head, _behind: bytes) -> bytes | TallymarkError | None:
    raise AssertionError("all is for us")


def _hub(listener: socket.socket, takes: Takes) -> Hub:
    return Hub(
        [listener],
        takes,
        _elsewhere,
        connections_max=10,
        bodies_bytes_max=1 << 20,
        untaken=Untaken(1 << 20),
        body_deadline_s=60,
    )


@pytest.mark.parametrize(
    ("behind", "answers"), [(b"", 1), (b"GET / HT", 1), (GET, 2), (GET + b"GET / HT", 2)]
)
async def test_a_stop_waits_for_an_answer_that_is_on_its_way_and_for_nothing_behind_it(
    nursery: trio.Nursery, behind: bytes, answers: int
) -> None:
    takes = Large()
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    hub = takes.hub = _hub(listener, takes)
    await nursery.start(hub.run)
    received = 0
    with trio.fail_after(60):  # a line that does nothing has 75 seconds
        async with (
            trio.open_nursery() as stopping,
            await trio.open_tcp_stream("127.0.0.1", port) as stream,
        ):
            await stream.send_all(GET + behind)
            await takes.is_asked.wait()
            stopping.start_soon(hub.stop, 3_600)
            async for piece in stream:
                received += len(piece)
    assert received // len(LARGE) == answers == takes.answers
    nursery.cancel_scope.cancel()


@pytest.mark.parametrize("takes_it", [True, False])
async def test_what_is_left_lying_is_counted_until_it_is_taken_or_nobody_wants_it(
    nursery: trio.Nursery, *, takes_it: bool
) -> None:
    takes = Large()
    listener = socket.create_server(("127.0.0.1", 0))
    hub = takes.hub = _hub(listener, takes)
    await nursery.start(hub.run)
    port = listener.getsockname()[1]
    with trio.fail_after(60):
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
            await stream.send_all(GET)
            await takes.is_asked.wait()
            assert 0 < hub.untaken.bytes <= len(LARGE) + 1_000
            received = 0
            while takes_it and received < len(LARGE):
                received += len(await stream.receive_some(1 << 20))
        while hub.untaken.bytes:
            await trio.lowlevel.checkpoint()
    nursery.cancel_scope.cancel()


class Small:
    """Answers each request at once, and counts those of each path."""

    hub: Hub

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()

    def body_bytes_max(self, _line: Line, _head: Head) -> int:
        return 0

    def take(self, line: Line, head: Head, content: bytes) -> None:
        self.answers[head.path] += 1
        is_last = line.must_close
        line.answer(self.hub.rendered(Reply(200, (), b""), is_last=is_last), is_last=is_last)

    def refusal(self, error: TallymarkError, _head: Head | None) -> Reply:
        return wire.refused(error, None)


async def test_requests_that_follow_each_other_keep_nobody_waiting(
    nursery: trio.Nursery,
) -> None:
    takes = Small()
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    hub = takes.hub = _hub(listener, takes)
    many, one = GET.replace(b"/", b"/many", 1), GET.replace(b"/", b"/one", 1)
    count = 1_000  # less than a socket holds, as are their answers
    with socket.create_connection(address) as long, socket.create_connection(address) as short:
        long.sendall(many * count)
        short.sendall(one)
        await nursery.start(hub.run)
        with trio.fail_after(60):
            while not takes.answers["/one"]:
                await trio.lowlevel.checkpoint()
            assert takes.answers["/many"] < count / 2
            while takes.answers["/many"] < count:
                await trio.lowlevel.checkpoint()
    assert takes.answers == {"/many": count, "/one": 1}
    nursery.cancel_scope.cancel()


class Stopping(Small):
    """Answers what is asked of /later in a task, which then has the hub stop."""

    def __init__(self) -> None:
        super().__init__()
        self.has_stopped = trio.Event()

    def take(self, line: Line, head: Head, content: bytes) -> None:
        if head.path == "/later":
            self.hub.start(self._later, line, head)
        else:
            super().take(line, head, content)

    async def _later(self, line: Line, head: Head) -> None:
        super().take(line, head, b"")
        await self.hub.stop(3_600)
        self.has_stopped.set()


async def test_a_stop_ends_who_waits_for_another_turn_with_nothing_left_to_be_asked(
    nursery: trio.Nursery,
) -> None:
    takes = Stopping()
    listener = socket.create_server(("127.0.0.1", 0))
    address = listener.getsockname()
    hub = takes.hub = _hub(listener, takes)
    count = STEPS_AT_ONCE // 2
    with trio.fail_after(60), socket.create_connection(address) as line:
        line.sendall(GET.replace(b"/", b"/later", 1) + GET * count + GET[:9])
        await nursery.start(hub.run)
        await takes.has_stopped.wait()
    assert takes.answers == {"/later": 1, "/": count}
    nursery.cancel_scope.cancel()
