"""One listener whose connections Hypercorn serves, and which none of them can end.

Hypercorn's own `serve` runs every connection in one nursery, and lets exceptions of a single
connection through: a body over the limit, cut off by its sender, raises BusyResourceError and
ends the server, with exit code 0 (Hypercorn 0.18). So only its `TCPServer` is used, one for a
connection, each contained. tests/web/test_hosting.py and test_main.py send what killed it.
"""

import contextlib
import errno
import logging
import socket
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app

from engine.config import Config
from engine.errors import TallymarkError

BACKLOG: Final = 1_024
"""Connections that the system holds until we accept them."""

KEEP_ALIVE_S: Final = 75
"""For how long a connection may do nothing. Also all the time that a request's head has."""

HEAD_BYTES_MAX: Final = 16 * 1024
"""Request line and headers together; more is answered with 431 or 400."""

SEND_BYTES: Final = 64 * 1024
SEND_S_MAX: Final = 30
"""How long the other side may take over SEND_BYTES before its connection is given up."""

_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\n"
    b"Content-Length: 0\r\nRetry-After: 1\r\nConnection: close\r\n\r\n"
)

log = structlog.get_logger()


class CannotListen(TallymarkError):
    """The address is taken, not ours, or not permitted; the message says which."""

    title = "Cannot listen"


async def listen(host: str, port: int) -> list[trio.SocketListener]:
    """Open `port` of every address that `host` means. Raises CannotListen."""
    try:
        return await trio.open_tcp_listeners(port, host=host, backlog=BACKLOG)
    except OSError as error:
        raise CannotListen(f"Cannot listen on {host}:{port}: {_reason(error)}") from error


def url_of(listener: trio.SocketListener) -> str:
    """Where it can be reached, with the port that the system chose if it was asked to."""
    host, port = listener.socket.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    app: ASGIFramework,
    config: Config,
    listeners: Sequence[trio.SocketListener],
    *,
    stop: trio.Event,
    grace_s: float,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop`, then accept nothing more and return when the open requests are done.

    app      started (`lifespan`) before the first connection, shut down after the last
    grace_s  seconds after `stop` in which open requests may finish; then they are cut off

    Idle connections are closed at `stop`. The listeners are closed on return.
    """
    hypercorn_config = _hypercorn_config()
    wrapped = wrap_app(app, hypercorn_config.wsgi_max_body_size, "asgi")
    lifespan = Lifespan(wrapped, hypercorn_config, {})
    async with trio.open_nursery() as nursery:
        await nursery.start(_live, lifespan, stop)
        await lifespan.wait_for_startup()
        connections = Connections(wrapped, hypercorn_config, config.connections_max)
        async with trio.open_nursery() as open_connections:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(
                    partial(
                        trio.serve_listeners,
                        connections.handle,
                        list(listeners),
                        handler_nursery=open_connections,
                    )
                )
                task_status.started()
                await stop.wait()
                accepting.cancel_scope.cancel()
            await connections.end(grace_s)
            open_connections.cancel_scope.cancel()
        await lifespan.wait_for_shutdown()
        nursery.cancel_scope.cancel()


class Connections:
    """All open connections: how many there may be, and how they end."""

    def __init__(
        self, app: AppWrapper, hypercorn_config: HypercornConfig, connections_max: int
    ) -> None:
        self._app = app
        self._hypercorn_config = hypercorn_config
        self._connections_max = connections_max
        self._context = WorkerContext(None)
        self._open: set[trio.SocketStream] = set()
        self._none_open = trio.Event()
        self._none_open.set()

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one connection until its end, whatever comes over it. Raises nothing."""
        if len(self._open) >= self._connections_max:
            await _refuse(stream)
            return
        if not self._open:
            self._none_open = trio.Event()
        self._open.add(stream)
        try:
            await Connection(
                self._app,
                self._hypercorn_config,
                self._context,
                ConnectionState({}),
                stream,  # type: ignore[arg-type]  # annotated as TLS alone, made for both
            )
        finally:
            self._open.remove(stream)
            if not self._open:
                self._none_open.set()

    async def end(self, grace_s: float) -> None:
        """Let what is under way finish within `grace_s`, then close what is still open."""
        await self._context.terminated.set()
        with trio.move_on_after(grace_s):
            await self._none_open.wait()
        if self._open:
            log.warning("connections cut off", connections=len(self._open))
        for stream in self._open:
            stream.socket.close()  # cancelling would not reach what is shielded


class Connection(TCPServer):
    """Hypercorn's handling of one connection, which keeps to itself what goes wrong with it."""

    async def run(self) -> None:
        """Serve to the end. Only cancellation leaves."""
        try:
            await super().run()
        except* trio.BusyResourceError:  # what is described above; no reason to fill the log
            log.debug("connection closed while it was answered")
        except* Exception as group:
            log.warning("connection failed", exc_info=group)

    async def _read_data(self) -> None:
        """As Hypercorn does it, but a connection that its client has closed is not kept open
        for the rest of its keep-alive time.
        """
        await super()._read_data()
        await self.idle_task.stop()

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
                self.stream.socket.close()
                await self.protocol.handle(Closed())

    async def _send_in_time(self, data: memoryview) -> None:
        for start in range(0, len(data), SEND_BYTES):
            # Shielded like Hypercorn's own: half an answer must not be followed by another.
            with trio.fail_after(SEND_S_MAX, shield=True):
                await self.stream.send_all(data[start : start + SEND_BYTES])


async def _live(
    lifespan: Lifespan, stop: trio.Event, *, task_status: trio.TaskStatus[None]
) -> None:
    """The life of the application's own tasks, which Hypercorn would let die in silence."""
    await lifespan.handle_lifespan(task_status=task_status)
    if not stop.is_set():
        raise RuntimeError("the application's own tasks have ended, the log says why")


async def _refuse(stream: trio.SocketStream) -> None:
    with trio.move_on_after(1):
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(_FULL)
    await trio.aclose_forcefully(stream)


def _hypercorn_config() -> HypercornConfig:
    config = HypercornConfig()
    config.accesslog = None
    config.errorlog = logging.getLogger("hypercorn.error")  # to where web.logs sends it
    config.keep_alive_timeout = KEEP_ALIVE_S
    config.keep_alive_max_requests = 2**31  # a client that keeps its connection costs less
    config.h11_max_incomplete_size = HEAD_BYTES_MAX
    config.include_server_header = False
    return config


def _reason(error: OSError) -> str:
    match error:
        case socket.gaierror():
            return "the name has no address."
        case OSError(errno=errno.EADDRINUSE):
            return "another process uses the port. Stop it, or choose another with --port."
        case OSError(errno=errno.EADDRNOTAVAIL):
            return "this machine does not have that address."
        case OSError(errno=errno.EACCES):
            return "ports below 1024 need privileges; choose another with --port."
        case _:
            return f"{error.strerror or error}."
