"""The listeners, and the life of what serves them: lane and Hypercorn, or only Hypercorn."""

import contextlib
import errno
import select
import socket
import ssl
from collections.abc import Sequence
from functools import partial
from typing import Final

import structlog
import trio
from hypercorn.config import Config as HypercornConfig
from hypercorn.trio.lifespan import Lifespan
from hypercorn.trio.worker_context import WorkerContext
from hypercorn.typing import AppWrapper, ASGIFramework, ConnectionState
from hypercorn.utils import wrap_app

from engine.config import Config
from engine.errors import TallymarkError
from web.contained import Connection, Stream, hypercorn_config, transport_of
from web.handover import Handover
from web.hub import Hub
from web.lane import Lane

BACKLOG: Final = 1_024
"""Connections that the system holds until we accept them."""

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


def url_of(listener: trio.SocketListener, *, secure: bool = False) -> str:
    """Where it can be reached, with the port that the system chose if it was asked to."""
    host, port = listener.socket.getsockname()[:2]
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def serve(
    app: ASGIFramework,
    config: Config,
    listeners: Sequence[trio.SocketListener],
    *,
    stop: trio.Event,
    grace_s: float,
    lane: Lane | None = None,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until `stop`, then accept nothing more and return when the open requests are done.

    app      started (`lifespan`) before the first connection, shut down after the last
    grace_s  seconds after `stop` in which open requests may finish; then they are cut off
    lane     takes the hot requests, where the system has epoll and there is no TLS; without
             it, the application gets all of them

    Idle connections are closed at `stop`. The listeners are closed on return.
    """
    settings = hypercorn_config(config)
    wrapped = wrap_app(app, settings.wsgi_max_body_size, "asgi")
    lifespan = Lifespan(wrapped, settings, {})
    async with trio.open_nursery() as nursery:
        await nursery.start(_live, lifespan, stop)
        await lifespan.wait_for_startup()
        if lane is None or settings.ssl_enabled or not hasattr(select, "epoll"):
            connections = Connections(wrapped, settings, config.connections_max)
            serving = connections.serve(
                _secured(listeners, settings), stop, grace_s, task_status
            )
        else:
            hub = _hub(wrapped, settings, config, listeners, lane)
            serving = _serve_hub(hub, stop, grace_s, task_status)
        await serving
        await lifespan.wait_for_shutdown()
        nursery.cancel_scope.cancel()


def _secured(
    listeners: Sequence[trio.SocketListener], settings: HypercornConfig
) -> Sequence[trio.SocketListener | trio.SSLListener[trio.SocketStream]]:
    """The listeners behind TLS, where a certificate is configured. Raises CannotListen."""
    try:
        tls = settings.create_ssl_context()
    except (OSError, ssl.SSLError) as error:
        files = f"{settings.certfile}, or its key {settings.keyfile}"
        reason = error.strerror or error  # which of the two it was nobody says
        raise CannotListen(f"The certificate {files}, cannot be used: {reason}.") from error
    if tls is None:
        return listeners
    return [trio.SSLListener(listener, tls, https_compatible=True) for listener in listeners]


def _hub(
    app: AppWrapper,
    settings: HypercornConfig,
    config: Config,
    listeners: Sequence[trio.SocketListener],
    lane: Lane,
) -> Hub:
    hub = lane.hub = Hub(
        [socket.socket(fileno=one.socket.detach()) for one in listeners],
        lane,
        Handover(app, settings),
        connections_max=config.connections_max,
        bodies_bytes_max=config.bodies_bytes_max,
        untaken=lane.untaken,
        body_deadline_s=config.body_deadline_s,
    )
    return hub


async def _serve_hub(
    hub: Hub, stop: trio.Event, grace_s: float, task_status: trio.TaskStatus[None]
) -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(hub.run)
        task_status.started()
        await stop.wait()
        await hub.stop(grace_s)
        nursery.cancel_scope.cancel()


class Connections:
    """All open connections of Hypercorn's own: how many there may be, and how they end."""

    def __init__(
        self, app: AppWrapper, settings: HypercornConfig, connections_max: int
    ) -> None:
        self._app = app
        self._settings = settings
        self._connections_max = connections_max
        self._context = WorkerContext(None)
        self._open: set[Stream] = set()
        self._none_open = trio.Event()
        self._none_open.set()

    async def serve(
        self,
        listeners: Sequence[trio.SocketListener | trio.SSLListener[trio.SocketStream]],
        stop: trio.Event,
        grace_s: float,
        task_status: trio.TaskStatus[None],
    ) -> None:
        """Accept until `stop`, then let what is under way finish."""
        async with trio.open_nursery() as open_connections:
            async with trio.open_nursery() as accepting:
                accepting.start_soon(
                    partial(
                        trio.serve_listeners,
                        self.handle,
                        list(listeners),
                        handler_nursery=open_connections,
                    )
                )
                task_status.started()
                await stop.wait()
                accepting.cancel_scope.cancel()
            await self.end(grace_s)
            open_connections.cancel_scope.cancel()

    async def handle(self, stream: Stream) -> None:
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
                self._settings,
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
            transport_of(stream).socket.close()  # cancelling would not reach what is shielded


async def _live(
    lifespan: Lifespan, stop: trio.Event, *, task_status: trio.TaskStatus[None]
) -> None:
    """The life of the application's own tasks, which Hypercorn would let die in silence."""
    await lifespan.handle_lifespan(task_status=task_status)
    if not stop.is_set():
        raise RuntimeError("the application's own tasks have ended, the log says why")


async def _refuse(stream: Stream) -> None:
    with trio.move_on_after(1):
        with contextlib.suppress(trio.BrokenResourceError):
            await stream.send_all(_FULL)
    await trio.aclose_forcefully(stream)


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
