"""Hypercorn's handling of a connection, contained: nothing a client does ends the server.

Hypercorn's own `serve` runs every connection in one nursery and lets exceptions of a single
connection through: a body over the limit that its sender cuts off raises BusyResourceError and
ends the server, with exit code 0 (Hypercorn 0.18). So only its `TCPServer` is used, one per
connection, each contained. tests/web/test_hosting.py and test_main.py send what killed it.
"""

import logging
from contextlib import suppress
from typing import Final

import structlog
import trio
from h2.errors import ErrorCodes
from h2.events import DataReceived, StreamReset
from h2.events import Event as Received
from h2.exceptions import ProtocolError, StreamClosedError
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.events import Body, EndBody, StreamClosed
from hypercorn.protocol.events import Event as Sent
from hypercorn.protocol.h2 import H2Protocol, StreamBuffer
from hypercorn.trio.tcp_server import TCPServer

from engine.config import Config
from web.framing import HEAD_BYTES_MAX
from web.line import IDLE_S

SEND_BYTES: Final = 64 * 1024
SEND_S_MAX: Final = 30
"""How long the other side may take over SEND_BYTES before its connection is given up.

By HTTP/2 also how long it may take nothing of an answer before that answer is given up.
"""

Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

log = structlog.get_logger()


def hypercorn_config(config: Config) -> HypercornConfig:
    """Hypercorn's settings, from ours and what we know of it."""
    settings = HypercornConfig()
    settings.accesslog = None
    settings.errorlog = logging.getLogger("hypercorn.error")  # to where web.logs sends it
    settings.keep_alive_timeout = IDLE_S
    settings.keep_alive_max_requests = 2**31  # a client that keeps its connection costs less
    settings.h11_max_incomplete_size = HEAD_BYTES_MAX
    settings.include_server_header = False
    if config.certfile:
        settings.certfile, settings.keyfile = config.certfile, config.keyfile
    return settings


def transport_of(stream: Stream) -> trio.SocketStream:
    """The stream that has a socket: it is beneath TLS, where there is TLS."""
    return stream.transport_stream if isinstance(stream, trio.SSLStream) else stream


class Connection(TCPServer):
    """Hypercorn's handling of one connection, out of which no failure comes."""

    async def run(self) -> None:
        """Serve to the end. Only cancellation leaves."""
        try:
            await super().run()
        except* trio.BusyResourceError:  # what is described above; no reason to fill the log
            log.debug("connection closed while it was answered")
        except* (UnboundLocalError, UnicodeDecodeError):  # HTTP/2: CONNECT, a method not ASCII
            log.debug("connection closed over a request that Hypercorn cannot read")
        except* Exception as group:
            log.warning("connection failed", exc_info=group)

    async def _read_data(self) -> None:
        """As Hypercorn does it, but a connection that its client has closed is not kept open
        for the rest of its keep-alive time, nor for answers of HTTP/2 that wait for its window.
        """
        if isinstance(speaking := self.protocol.protocol, H2Protocol):
            speaking.__class__ = Http2  # Hypercorn has no place to say which it shall make
        try:
            await super()._read_data()
            await self.idle_task.stop()
        finally:  # whoever is cancelled would wait too: the end of an answer is shielded
            if isinstance(speaking := self.protocol.protocol, H2Protocol):
                for unsent in list(speaking.stream_buffers.values()):
                    await unsent.close()

    async def protocol_send(self, event: Event) -> None:
        """As Hypercorn does it, but a reader that takes nothing loses its connection.

        That a connection is idle is taken down even where the request's task is cancelled
        meanwhile, as Quart-Trio does with its own: else it would stay open for ever.
        """
        if not isinstance(event, RawData):
            with trio.CancelScope(shield=isinstance(event, Updated)):
                await super().protocol_send(event)
            return
        async with self.send_lock:
            try:
                await self._send_in_time(memoryview(event.data))
            except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
                transport_of(self.stream).socket.close()
                await self.protocol.handle(Closed())

    async def _send_in_time(self, data: memoryview) -> None:
        for start in range(0, len(data), SEND_BYTES):
            # Shielded like Hypercorn's own: half an answer must not be followed by another.
            with trio.fail_after(SEND_S_MAX, shield=True):
                await self.stream.send_all(data[start : start + SEND_BYTES])


class Http2(H2Protocol):
    """Hypercorn's HTTP/2, of which one stream harms no other, nor stays for ever."""

    async def stream_send(self, event: Sent) -> None:
        """As Hypercorn does it, but it waits until the client has taken what was sent.

        Hypercorn's own buffer lets an answer go on whenever the window of its client is closed,
        so a slow reader had all of an export, or of the frames of a stream, in our memory.
        """
        unsent = self.stream_buffers.get(event.stream_id)
        if isinstance(event, EndBody) and unsent is not None and not unsent.complete:
            await unsent.push(b"")  # it counts as empty only when its end is sent as well
        await super().stream_send(event)
        if unsent is not None:
            await self._taken_in_time(event.stream_id, unsent)
        if isinstance(event, Body):
            await trio.lowlevel.checkpoint()  # else who sends on to nobody is never told so

    async def _send_data(self, stream_id: int) -> None:
        unsent = self.stream_buffers.get(stream_id)
        await super()._send_data(stream_id)
        if unsent is not None and unsent.complete:
            await unsent.close()  # else who waits for its end may have come too late to be told

    async def _taken_in_time(self, stream_id: int, unsent: StreamBuffer) -> None:
        while left_bytes := len(unsent.buffer):
            with trio.move_on_after(SEND_S_MAX):
                await unsent.drain()
            if len(unsent.buffer) == left_bytes:
                await self._give_up(stream_id, unsent)

    async def _give_up(self, stream_id: int, unsent: StreamBuffer) -> None:
        """Only the stream: a browser has its others on the same connection."""
        await unsent.close()
        with suppress(ProtocolError):  # ended meanwhile
            self.connection.reset_stream(stream_id, ErrorCodes.CANCEL)
            await self._flush()
        await self._window_updated(stream_id)  # whereupon it is found to be closed, and removed
        await super().stream_send(StreamClosed(stream_id=stream_id))

    async def _handle_events(self, events: list[Received]) -> None:
        """As Hypercorn does it, but what comes for a stream that is over ends no connection:
        a body whose request was refused, or a reset of one that is reset at a stop anyway.
        And a connection whose last request was reset is idle.
        """
        for event in events:
            if isinstance(event, DataReceived) and event.stream_id not in self.streams:
                size_bytes = event.flow_controlled_length
                self.connection.acknowledge_received_data(size_bytes, event.stream_id)
                continue
            with suppress(StreamClosedError):
                await super()._handle_events([event])
            if isinstance(event, StreamReset):  # which Hypercorn takes for no end of a request
                await self.send(Updated(idle=self.idle))
        await self._flush()
