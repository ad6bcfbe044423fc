"""An application behind a real listener, with the lane and without, and raw bytes to it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import NamedTuple

import trio

from engine.config import Config
from web import hosting
from web.app import Application
from web.hosting import Lane


@asynccontextmanager
async def served(
    app: Application, config: Config, lane: Lane | None = None
) -> AsyncIterator[int]:
    """Serve, and at the end stop as the composition root does; yields the port."""
    stop = trio.Event()
    (listener,) = await hosting.listen("127.0.0.1", 0)
    serve = partial(hosting.serve, app, config, [listener], stop=stop, grace_s=20, lane=lane)
    port = listener.socket.getsockname()[1]
    async with trio.open_nursery() as nursery:
        await nursery.start(serve)
        yield port
        stop.set()
        app.end_streams()


class Answer(NamedTuple):
    """One answer off the wire; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A client that sends what it is told, byte for byte, and reads whole answers."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._received = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def answer(self, *, method: str = "GET") -> Answer:
        """The next answer, as RFC 9112 §6.3 delimits it."""
        with trio.fail_after(60):
            head = await self.until(b"\r\n\r\n")
            first, *lines = head[:-4].decode("latin-1").split("\r\n")
            status = int(first.split()[1])
            pairs = (line.partition(":") for line in lines)
            headers = {name.lower(): value.strip() for name, _, value in pairs}
            if status in (100, 204, 304) or method == "HEAD":
                return Answer(status, headers, b"")
            if headers.get("transfer-encoding") == "chunked":
                return Answer(status, headers, await self._chunks())
            body = await self.exactly(int(headers["content-length"]))
            return Answer(status, headers, body)

    async def end(self) -> bytes:
        """All that still comes before the other side closes."""
        with trio.fail_after(60):
            try:
                while piece := await self.stream.receive_some():
                    self._received += piece
            except trio.BrokenResourceError:
                pass
        rest, self._received = self._received, b""
        return rest

    async def _chunks(self) -> bytes:
        content = b""
        while size := int(await self.until(b"\r\n"), 16):
            content += (await self.exactly(size + 2))[:-2]
        assert await self.exactly(2) == b"\r\n"
        return content

    async def until(self, mark: bytes) -> bytes:
        while mark not in self._received:
            await self._more()
        before, _, self._received = self._received.partition(mark)
        return before + mark

    async def exactly(self, size: int) -> bytes:
        while len(self._received) < size:
            await self._more()
        wanted, self._received = self._received[:size], self._received[size:]
        return wanted

    async def _more(self) -> None:
        piece = await self.stream.receive_some()
        assert piece, f"closed in the middle of an answer, after {self._received[-200:]!r}"
        self._received += piece


@asynccontextmanager
async def wire(port: int) -> AsyncIterator[Wire]:
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        yield Wire(stream)
