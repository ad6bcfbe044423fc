"""All connections behind one selector: one task reads, cuts and answers in plain callbacks.

A Trio task per connection costs as much as everything else that is done for a small request
(docs/performance.md has the ratio), so one task waits for one selector that holds them all.
What tasks would give for free is kept by hand in `web.line`: deadlines (swept here),
back-pressure, order, bounded buffers. A request for a hot route goes to `Takes`; any other
goes, with its whole connection, to `Elsewhere`, and the connection comes back after the answer.

The selector is edge-triggered: each connection is registered once, and no system call is spent
on saying whether it may be read at the moment. That needs epoll, so it needs Linux.
"""

import contextlib
import select
import socket
import sys
from collections.abc import Awaitable, Callable, Iterable
from email.utils import formatdate
from http import HTTPStatus
from time import perf_counter, time
from typing import Final, Protocol

import structlog
import trio

from engine.errors import TallymarkError
from web.errors import TooManyConnections
from web.framing import Head, read_head
from web.line import Line, State
from web.untaken import Untaken
from web.wire import Reply

SWEEP_S: Final = 1.0
HOLD_S: Final = 0.002
"""How long connections are served before others of the loop have a turn."""

EVENTS_AT_ONCE: Final = 4
"""Connections that are served between two looks at the clock; to look costs 1 µs."""

ACCEPTED_AT_ONCE: Final = 32

HEADS_KNOWN_MAX: Final = 4_096
HEAD_KNOWN_BYTES_MAX: Final = 1_024
"""Clients repeat their heads byte for byte, so most are read once; that is 4 MB at most."""

if sys.platform == "linux":  # elsewhere the module can be imported, and no Hub be made
    _READ: Final = select.EPOLLIN
    _SEND: Final = select.EPOLLOUT
    _ENDING: Final = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR
    _EVENTS: Final = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLOUT | select.EPOLLET

log = structlog.get_logger()

Elsewhere = Callable[[Line, Head, bytes], Awaitable[bytes | TallymarkError | None]]
"""Serves one request with its connection: (line, head, what was read behind the head).

Returns what was read behind the request; None where it is answered and nothing can follow; the
reason why nothing was answered.
"""


class Takes(Protocol):
    """What the hub asks of whoever takes the hot routes."""

    def body_bytes_max(self, line: Line, head: Head) -> int | None:
        """The bytes that the body of this request may have; None if it is not for a hot route.

        Raises the TallymarkError with which it is refused unread.
        """

    def take(self, line: Line, head: Head, content: bytes) -> None:
        """Answer it, now or later, exactly once."""

    def refusal(self, error: TallymarkError, head: Head | None) -> Reply:
        """The wording of a refusal; without a head its route is not known."""


class Hub:
    """The connections of some listeners.

    listeners          listening sockets, which become the hub's
    connections_max    beyond it a connection is refused
    bodies_bytes_max   of all bodies received and not answered yet; beyond it one is refused
    untaken            counts what of answers has not gone out yet
    """

    def __init__(
        self,
        listeners: Iterable[socket.socket],
        takes: Takes,
        elsewhere: Elsewhere,
        *,
        connections_max: int,
        bodies_bytes_max: int,
        untaken: Untaken,
        body_deadline_s: float,
    ) -> None:
        self.body_deadline_s = body_deadline_s
        self.untaken = untaken
        self.now_s = trio.current_time()
        self.is_stopping = False
        self._listeners = {listener.fileno(): listener for listener in listeners}
        self._takes = takes
        self._elsewhere = elsewhere
        self._connections_max = connections_max
        self._bodies_bytes_max = bodies_bytes_max
        self._bodies_bytes = 0
        self._lines: dict[int, Line] = {}
        self._heads: dict[bytes, Head] = {}
        self._date = b""
        self._none_open = trio.Event()
        self._poller = select.epoll()
        self._nursery: trio.Nursery | None = None
        self.body_bytes_max = takes.body_bytes_max
        self.take = takes.take

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._lines)

    # -- life ---------------------------------------------------------------------------------

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Accept and serve until cancelled; after that nothing is open any more."""
        try:
            for listener in self._listeners.values():
                listener.setblocking(False)
            self._listen()
            async with trio.open_nursery() as nursery:
                self._nursery = nursery
                nursery.start_soon(self._sweep)
                task_status.started()
                await self._poll()
        finally:
            self._close_listeners()
            self.cut_off()
            self._poller.close()

    async def stop(self, grace_s: float) -> None:
        """Accept nothing more; let what is under way be answered within `grace_s`."""
        self.is_stopping = True
        self._close_listeners()
        for line in list(self._lines.values()):
            if line.is_idle:
                line.close()
        with trio.move_on_after(grace_s):
            while self._lines:
                self._none_open = trio.Event()
                await self._none_open.wait()
        if self._lines:
            log.warning("connections cut off", connections=len(self._lines))
            self.cut_off()

    def cut_off(self) -> None:
        """Close every connection, whatever is under way."""
        for line in list(self._lines.values()):
            line.close()

    async def _poll(self) -> None:
        while True:
            await trio.lowlevel.wait_readable(self._poller.fileno())
            self.now_s = trio.current_time()
            pause_at = perf_counter() + HOLD_S
            # Until nothing is there: more comes in the meantime, and a turn of the loop costs
            # ten times as much as looking once more.
            while self._serve_some() and perf_counter() < pause_at:
                pass

    def _serve_some(self) -> int:
        events = self._poller.poll(0, EVENTS_AT_ONCE)
        for number, what in events:
            line = self._lines.get(number)
            if line is not None:
                line.ready(
                    can_read=what & _READ,
                    is_ending=what & _ENDING,
                    can_send=what & _SEND,
                )
            elif number in self._listeners:
                self._accept(self._listeners[number])
        return len(events)

    async def _sweep(self) -> None:
        while True:
            await trio.sleep(SWEEP_S)
            now_s = self.now_s = trio.current_time()
            self._date = b""
            self._listen()
            for line in [line for line in self._lines.values() if line.deadline < now_s]:
                line.late()

    # -- connections --------------------------------------------------------------------------

    def _listen(self) -> None:
        """Accept connections; resumes where accepting had been given up for a moment."""
        for listener in self._listeners.values():
            with contextlib.suppress(FileExistsError):
                self._poller.register(listener, select.EPOLLIN)

    def _accept(self, listener: socket.socket) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                sock, _ = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:  # no file is free: try again with the next sweep
                log.warning("accepting failed", reason=error.strerror)
                self._poller.unregister(listener)
                return
            sock.setblocking(False)
            if len(self._lines) >= self._connections_max:
                self._turn_away(sock)
                continue
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            line = Line(self, sock)
            self._lines[line.number] = line
            self._poller.register(sock, _EVENTS)

    def _turn_away(self, sock: socket.socket) -> None:
        full = TooManyConnections(f"All {self._connections_max} connections are taken.")
        with contextlib.suppress(OSError):
            sock.send(self.refusal(full, None))
            sock.shutdown(socket.SHUT_WR)
        sock.close()

    def _close_listeners(self) -> None:
        for listener in self._listeners.values():
            listener.close()
        self._listeners.clear()

    def forget(self, line: Line) -> None:
        """The line is about to be closed."""
        # Closed elsewhere, its socket may have given its number to a newer line.
        if self._lines.get(line.number) is line:
            del self._lines[line.number]
        if not self._lines:
            self._none_open.set()

    def start(self, work: Callable[..., Awaitable[None]], *arguments: object) -> None:
        """Run what has to wait for something in a task of the hub; it must contain itself."""
        assert self._nursery is not None
        self._nursery.start_soon(work, *arguments)

    def send_elsewhere(self, line: Line, head: Head, behind: bytes) -> None:
        """Let somebody else serve this request; meanwhile nothing of the line happens here."""
        self._poller.unregister(line.sock)
        self.start(self._be_elsewhere, line, head, behind)

    async def _be_elsewhere(self, line: Line, head: Head, behind: bytes) -> None:
        try:
            left = await self._elsewhere(line, head, behind)
        except BaseException:
            line.close()
            raise
        if line.state is State.CLOSED or line.sock.fileno() < 0:
            line.close()
            return
        self._poller.register(line.sock, _EVENTS)
        if isinstance(left, TallymarkError):
            line.refuse(left)
        elif left is None or line.must_close:
            line.end()
        else:
            line.give_back(left)

    # -- what lines share ---------------------------------------------------------------------

    def read_head(self, raw: bytes) -> Head:
        """The head, known from before or read now."""
        head = self._heads.get(raw)
        if head is None:
            head = read_head(raw)
            if len(raw) <= HEAD_KNOWN_BYTES_MAX:
                if len(self._heads) >= HEADS_KNOWN_MAX:
                    self._heads.clear()
                self._heads[raw] = head
        return head

    def reserve(self, size: int) -> None:
        """Count bytes that are held. Raises TooManyConnections where they are too many."""
        if self._bodies_bytes and self._bodies_bytes + size > self._bodies_bytes_max:
            raise TooManyConnections("Too many bodies are under way. Try again in a second.")
        self._bodies_bytes += size

    def release(self, size: int) -> None:
        """It is held no longer."""
        self._bodies_bytes -= size

    @property
    def date(self) -> bytes:
        """Now, as HTTP writes it; the same object for a second."""
        if not self._date:
            self._date = formatdate(time(), usegmt=True).encode()
        return self._date

    def refusal(self, error: TallymarkError, head: Head | None) -> bytes:
        """The last words on a connection."""
        return self.rendered(self._takes.refusal(error, head), is_last=True)

    def rendered(self, reply: Reply, *, is_last: bool) -> bytes:
        """An answer as bytes."""
        lines = [b"HTTP/1.1 %d %b" % (reply.status, HTTPStatus(reply.status).phrase.encode())]
        lines += [f"{name}: {value}".encode("latin-1") for name, value in reply.headers]
        lines.append(b"Content-Length: %d\r\nDate: %b" % (len(reply.body), self.date))
        if is_last:
            lines.append(b"Connection: close")
        return b"\r\n".join((*lines, b"", reply.body))
