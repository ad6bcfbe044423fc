"""Our answers as Quart sends them: whole, as files, and as streams of server-sent events."""

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from types import TracebackType
from typing import Self

import trio
from msgspec import Struct
from quart import Response, request
from quart.wrappers.response import ResponseBody

from web import packing, wire
from web.headers import DATA_HEADERS
from web.live import GREETING, HEARTBEAT, HEARTBEAT_S, STREAM_MEDIA, Live, Subscriber
from web.loadrun import Course
from web.packing import Headers
from web.wire import Reply


class Answer(Response):
    """A whole answer of ours, as Quart sends it."""

    reply: Reply


def header(name: str) -> str | None:
    """All values of a header of the request, joined; None where it is absent."""
    return ", ".join(request.headers.getlist(name)) or None


def streamed_of(
    pieces: ResponseBody | AsyncIterable[bytes],
    headers: Headers = (("Content-Type", STREAM_MEDIA), *DATA_HEADERS),
) -> Response:
    """A streamed answer."""
    response = Response(pieces)
    response.headers.clear()
    response.headers.extend(headers)
    response.timeout = None  # Quart would end it after a minute
    return response


async def nothing() -> AsyncGenerator[bytes, None]:
    """What HEAD gets in place of a stream, whose length is not known."""
    pieces: tuple[bytes, ...] = ()
    for piece in pieces:
        yield piece


def file_of(pieces: AsyncIterator[bytes], headers: Headers) -> Response:
    """A file as it comes, compressed if the client accepts that."""
    return streamed_of(*packing.streamed(pieces, headers, header("Accept-Encoding")))


async def packed(response: Answer) -> Response:
    """The same answer, compressed if the client accepts that."""
    reply = await packing.packed(response.reply, header("Accept-Encoding"))
    return response if reply is response.reply else response_of(reply)


def response_of(reply: Reply) -> Answer:
    """A whole answer as Quart sends it."""
    response = Answer(reply.body, status=reply.status)
    response.reply = reply
    response.headers.clear()
    response.headers.extend(reply.headers)
    if reply.status not in (204, 304):
        response.headers["Content-Length"] = str(len(reply.body))
    return response


class LiveBody(Subscriber, ResponseBody):
    """The live counters: the greeting, then the newest frame whenever it is read.

    It takes its place among the subscribers when sending begins.
    """

    def __init__(
        self, live: Live, *, keys: tuple[str, ...] | None, interval_ticks: int
    ) -> None:
        super().__init__(keys=keys, interval_ticks=interval_ticks)
        self._live = live
        self._frame: bytes | None = None
        self._news = trio.Event()
        self._is_greeted = False
        self._ended = False

    async def __aenter__(self) -> Self:
        self._live.enter(self)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._live.leave(self)

    # An object of its own and no generator: nobody closes that when the client goes away.
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._ended:
            if not self._is_greeted:
                self._is_greeted = True
                return GREETING
            with trio.move_on_after(HEARTBEAT_S):
                await self._news.wait()
        if self._ended:
            raise StopAsyncIteration
        frame, self._frame, self._news = self._frame, None, trio.Event()
        return frame or HEARTBEAT

    def put(self, frame: bytes) -> None:
        """Put a frame into the one slot."""
        self._frame = frame
        self._news.set()

    def end(self) -> None:
        """End the stream before its next frame."""
        self._ended = True
        self._news.set()


class RunBody(ResponseBody):
    """A run as server-sent events: its seconds one by one, then how it ended."""

    def __init__(self, course: Course) -> None:
        self._course = course
        self._told = 0
        self._has_ended = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    # An object of its own and no generator: nobody closes that when the client goes away.
    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        course = self._course
        while self._told == len(course.seconds) and not course.has_ended.is_set():
            await course.news.wait()
        if self._told < len(course.seconds):
            self._told += 1
            return _frame("second", course.seconds[self._told - 1])
        if self._has_ended:
            raise StopAsyncIteration
        self._has_ended = True
        return _frame("end", course.told())


def _frame(kind: str, content: Struct) -> bytes:
    return b"data: %b\n\n" % wire.encode({"type": kind, kind: content})
