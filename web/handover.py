"""One request for Hypercorn, off a connection of ours: its bytes, and not one more.

Hypercorn sees a stream that holds exactly one request. The end of that request is found here,
by the same strict reading as on the fast lane, so the two can never disagree about where the
next one begins; what came behind it goes back to the connection's owner.
"""

from typing import Final

import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Event, Updated
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ConnectionState

from engine.errors import TallymarkError
from web import body
from web.chunks import Chunks
from web.contained import Connection
from web.framing import Head
from web.line import Line

RECEIVE_BYTES: Final = 64 * 1024
WEBSOCKET: Final = "websocket"
"""The one upgrade that the application itself refuses, with a 403."""

_GO_ON: Final = b"HTTP/1.1 100 "
"""How Hypercorn begins what is no answer yet."""


class Handover:
    """Gives requests to Hypercorn, each with a connection for as long as it takes."""

    def __init__(self, app: AppWrapper, settings: HypercornConfig) -> None:
        self._app = app
        self._settings = settings
        self._context = WorkerContext(None)  # never ended: the hub says when a connection ends

    async def __call__(
        self, line: Line, head: Head, behind: bytes
    ) -> bytes | TallymarkError | None:
        """Serve one request; see `web.hub.Elsewhere`."""
        stream = trio.SocketStream(trio.socket.from_stdlib_socket(line.sock))
        request = OneRequest(stream, head, behind)
        await _Served(
            self._app,
            self._settings,
            self._context,
            ConnectionState({}),
            request,  # type: ignore[arg-type]  # has what Hypercorn uses of a stream
        )
        if request.failure is not None and not request.has_sent:
            return request.failure
        return request.left


class _Served(Connection):
    """Hypercorn's side, which says when the answer is out."""

    async def protocol_send(self, event: Event) -> None:
        """As contained, and the request learns that it is answered."""
        await super().protocol_send(event)
        if isinstance(event, Updated) and event.idle:
            assert isinstance(self.stream, OneRequest)
            self.stream.answered()


class OneRequest:
    """A stream in the way of trio.SocketStream, as far as Hypercorn uses one.

    failure   why the body could not be read on; Hypercorn is told that the client has gone
    has_sent  whether any of an answer is out
    """

    def __init__(self, stream: trio.SocketStream, head: Head, behind: bytes) -> None:
        self.socket = stream.socket
        self.failure: TallymarkError | None = None
        self.has_sent = False
        self._stream = stream
        self._opening = as_origin(head)
        self._received = behind
        self._missing = head.length or 0
        self._chunks = Chunks() if head.length is None else None
        self._is_answered = False
        self._is_closed = False
        self._over = trio.Event()
        self._reading = trio.CancelScope()  # while it waits for more of the body

    @property
    def left(self) -> bytes | None:
        """What came behind the request; None where no other request can follow."""
        if self._is_closed or not self._is_answered or self._missing or self._chunks:
            return None
        return self._received

    def answered(self) -> None:
        """The whole answer is out, and the connection may go on."""
        self._is_answered = True
        self._over.set()

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """The next bytes of the request; after its last, the end once it is answered."""
        if self._opening:
            opening, self._opening = self._opening, b""
            return opening
        while self._missing or self._chunks:
            self._must_be_open()
            data = await self._next()
            if data:
                return data
        await self._over.wait()
        self._must_be_open()
        return b""

    def _must_be_open(self) -> None:
        if self._is_closed:
            raise trio.ClosedResourceError

    async def _next(self) -> bytes:
        received, self._received = self._received, b""
        if not received:
            with trio.CancelScope() as self._reading:
                received = bytes(await self._stream.receive_some(RECEIVE_BYTES))
            self._must_be_open()
            if not received:
                raise self._failed(body.cut_off())
        if self._chunks is None:
            data, self._received = received[: self._missing], received[self._missing :]
            self._missing -= len(data)
            return data
        try:
            content = self._chunks.feed(received)
        except TallymarkError as failure:
            raise self._failed(failure) from failure
        data = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
        if self._chunks.is_whole:
            self._received, self._chunks = self._chunks.rest, None
            data += b"0\r\n\r\n"
        return data

    def _failed(self, failure: TallymarkError) -> trio.BrokenResourceError:
        """What Hypercorn is told, which drops the request; the failure is for its owner."""
        self.failure = failure
        return trio.BrokenResourceError(str(failure))

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Send a piece of the answer."""
        self.has_sent = self.has_sent or bytes(data[: len(_GO_ON)]) != _GO_ON
        await self._stream.send_all(data)

    async def send_eof(self) -> None:
        """Nothing: whether the connection ends is for its owner to say."""

    async def aclose(self) -> None:
        """Hypercorn is done with it; unless it has answered before, the connection is over.

        So it is where an answer came before the end of the body: whoever waits for the rest
        waits no longer, and the connection's owner drains it for as long as it sees fit.
        """
        self._is_closed = self._is_closed or not self._is_answered
        self._over.set()
        if self._is_closed:
            self._reading.cancel()


def as_origin(head: Head) -> bytes:
    """The head with a plain path as its target, and without a wish for another protocol."""
    drops_upgrade = head.upgrade is not None and head.upgrade != WEBSOCKET
    if not head.is_absolute and not drops_upgrade:
        return head.raw
    first, *lines = head.raw[:-4].split(b"\r\n")
    version = first.rpartition(b" ")[2]
    dropped = {b"http2-settings", b"upgrade"} if drops_upgrade else set()
    if head.is_absolute:
        dropped.add(b"host")
    target = head.path.encode() + (b"?" + head.query if head.query else b"")
    kept = [line for line in lines if line.partition(b":")[0].lower() not in dropped]
    if head.is_absolute:
        kept.insert(0, b"Host: " + (head.host or "").encode("latin-1"))
    first = b" ".join((head.method.encode(), target, version))
    return b"\r\n".join((first, *kept, b"", b""))
