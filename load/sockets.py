"""Drives a run over HTTP/1.1 with as little work as possible: raw sockets, one selector.

A request is one `send` of bytes joined from fixed parts; an answer is mostly one `recv`, of
which only the status, the length and `success` are looked at. So a generator needs less CPU
than the server that it measures; the worker reports how much in `cpu_s`.
"""

import errno
import select
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from load.driver import NEVER_NS, SECOND_NS, Driver, Interval, Request
from load.payload import Template

RECEIVE_BYTES: Final = 65_536
ANSWER_BYTES_MAX: Final = 1 << 20

SUCCESS: Final = (b'"success":true', b'"success": true')
"""By one of these an answer acknowledges; looked for, and not decoded."""

REOPEN_NS: Final = SECOND_NS // 5
"""Pause before a connection that broke is opened again."""

LONGEST_WAIT_S: Final = 0.1
"""How late a deadline may be noticed."""


class Where(NamedTuple):
    """Whom to send to, and what every request begins with, up to its Content-Length."""

    host: str
    port: int
    head: bytes

    @classmethod
    def of(cls, host: str, port: int, path: str, headers: Sequence[tuple[str, str]]) -> "Where":
        """`headers` without Content-Length."""
        lines = [f"POST {path} HTTP/1.1", *(f"{name}: {text}" for name, text in headers)]
        return cls(host, port, ("\r\n".join(lines) + "\r\nContent-Length: ").encode())


class Answer(NamedTuple):
    """An answer at the beginning of what was received; `size` are the bytes that it took."""

    status: int
    size: int
    body: bytes
    closes: bool


class NotHttp(Exception):
    """What was received is not an answer that this parser reads."""


def parse(data: bytes | bytearray) -> Answer | None:
    """The answer that `data` begins with; None while it is not there whole.

    Reads answers with a Content-Length, which those of Tallymark have, and those without a
    body. Raises NotHttp.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        if len(data) > ANSWER_BYTES_MAX:
            raise NotHttp("no end of the header")
        return None
    head = bytes(data[: end + 2]).lower()
    if not head.startswith(b"http/1."):
        raise NotHttp("the answer is not HTTP/1")
    try:
        status = int(head[9:12])
        size_bytes = _length(head, status)
    except ValueError:
        raise NotHttp("an answer without a status or a length") from None
    whole = end + 4 + size_bytes
    if whole > ANSWER_BYTES_MAX:
        raise NotHttp("the answer is longer than any of Tallymark")
    if len(data) < whole:
        return None
    closes = b"\r\nconnection: close\r\n" in head or head.startswith(b"http/1.0")
    return Answer(status, whole, bytes(data[end + 4 : whole]), closes)


def _length(head: bytes, status: int) -> int:
    at = head.find(b"\r\ncontent-length:")
    if at < 0:
        if status in (204, 304):
            return 0
        raise ValueError
    return int(head[at + 17 : head.find(b"\r\n", at + 17)])


class _Connection:
    """One kept connection; `request` is what it carries, `unsent` what of it is not out yet."""

    __slots__ = ("free_ns", "received", "request", "socket", "unsent")

    def __init__(self, opened: socket.socket) -> None:
        self.socket = opened
        self.request: Request | None = None
        self.unsent: memoryview | None = None
        self.received = bytearray()
        self.free_ns = 0


class Sending:
    """One worker's connections, and the loop that keeps them busy."""

    def __init__(
        self,
        where: Where,
        templates: Sequence[Template],
        *,
        connections: int,
        timeout_s: float,
    ) -> None:
        self._where = where
        self._parts = [
            (b"%b%d\r\n\r\n%b" % (where.head, one.size_bytes, one.parts[0]), *one.parts[1:])
            for one in templates
        ]
        self._timeout_ns = int(timeout_s * SECOND_NS)
        self._selector = selectors.DefaultSelector()
        self._busy: set[_Connection] = set()
        self._free: deque[_Connection] = deque()
        self._to_open = connections
        self._opening: set[socket.socket] = set()
        self._open_ns = 0
        self._address: tuple[int, Any] | None = None

    def open(self, patience_s: float) -> None:
        """Open all connections; raises OSError where that cannot be within the time."""
        found = socket.getaddrinfo(self._where.host, self._where.port, type=socket.SOCK_STREAM)
        failure: OSError = OSError(errno.ECONNREFUSED, "Connection refused")
        for family, _, _, _, address in found:
            self._address = family, address
            try:
                while self._to_open:
                    opened = socket.socket(family, socket.SOCK_STREAM)
                    opened.settimeout(patience_s)
                    opened.connect(address)
                    self._to_open -= 1
                    self._add(opened)
                return
            except OSError as error:
                failure = error
        raise failure

    def run(
        self,
        driver: Driver,
        *,
        start_ns: int,
        give_up_ns: int,
        settled_ns: int,
        on_interval: Callable[[Interval], None],
    ) -> None:
        """Keep the run until it is over, or has had its time; then settle what was lost.

        start_ns     of `time.monotonic_ns`, which all processes of a machine share
        give_up_ns   after which nothing that is due is sent, and nothing waited for
        settled_ns   after which what is still lost stays unknown
        on_interval  called once a second from here: must be quick
        """
        second = 0
        for until_ns in (give_up_ns, settled_ns):
            if until_ns == settled_ns:
                driver.give_up(time.monotonic_ns())
                driver.settle()
            while not driver.is_over and (now_ns := time.monotonic_ns()) < until_ns:
                if now_ns >= start_ns + (second + 1) * SECOND_NS:
                    on_interval(driver.interval(second))
                    second = (now_ns - start_ns) // SECOND_NS
                    self._sweep(driver, now_ns)
                self._fill(driver)
                self._wait(driver, until_ns)
                self._reopen(time.monotonic_ns())
            for connection in list(self._busy):
                self._break(driver, connection, "no answer when the run ended")
        on_interval(driver.interval(second))

    def close(self) -> None:
        """Close all connections."""
        for connection in (*self._free, *self._busy):
            connection.socket.close()
        for opening in self._opening:
            opening.close()
        self._selector.close()

    # -- connections --------------------------------------------------------------------------

    def _add(self, opened: socket.socket) -> None:
        opened.setblocking(False)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(opened)
        connection.free_ns = time.monotonic_ns()
        self._selector.register(opened, selectors.EVENT_READ, connection)
        self._free.append(connection)

    def _drop(self, connection: _Connection, now_ns: int) -> None:
        self._selector.unregister(connection.socket)
        connection.socket.close()
        self._to_open += 1
        self._open_ns = max(self._open_ns, now_ns)

    def _break(self, driver: Driver, connection: _Connection, reason: str) -> None:
        """Give up a connection, and with it the request on it."""
        now_ns = time.monotonic_ns()
        self._drop(connection, now_ns)
        self._open_ns = now_ns + REOPEN_NS
        if connection.request is None:
            self._free.remove(connection)
            return
        self._busy.discard(connection)
        driver.lose(connection.request, reason, now_ns)

    def _reopen(self, now_ns: int) -> None:
        if not self._to_open or now_ns < self._open_ns:
            return
        assert self._address is not None
        family, address = self._address
        while self._to_open:
            self._to_open -= 1
            opening = socket.socket(family, socket.SOCK_STREAM)
            opening.setblocking(False)
            self._opening.add(opening)
            opening.connect_ex(address)  # what comes of it, SO_ERROR says
            self._selector.register(opening, selectors.EVENT_WRITE, opening)

    def _opened(self, opening: socket.socket) -> None:
        self._selector.unregister(opening)
        self._opening.discard(opening)
        if opening.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
            self._add(opening)
            return
        opening.close()
        self._to_open += 1
        self._open_ns = time.monotonic_ns() + REOPEN_NS

    def _sweep(self, driver: Driver, now_ns: int) -> None:
        for connection in list(self._busy):
            request = connection.request
            if request is not None and now_ns - request.sent_ns > self._timeout_ns:
                self._break(driver, connection, "no answer in time")

    # -- requests and answers -----------------------------------------------------------------

    def _fill(self, driver: Driver) -> None:
        while self._free and driver.next_ns <= (now_ns := time.monotonic_ns()):
            connection = self._free.popleft()
            request = driver.take(now_ns, connection.free_ns)
            connection.request = request
            self._busy.add(connection)
            self._send(driver, connection, request.stamp.join(self._parts[request.template]))

    def _send(self, driver: Driver, connection: _Connection, data: bytes | memoryview) -> None:
        try:
            sent = connection.socket.send(data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._break(driver, connection, error.strerror or "broken")
            return
        is_waiting = connection.unsent is not None
        connection.unsent = memoryview(data)[sent:] if sent < len(data) else None
        if is_waiting != (connection.unsent is not None):
            wanted = selectors.EVENT_READ
            if connection.unsent is not None:
                wanted |= selectors.EVENT_WRITE
            self._selector.modify(connection.socket, wanted, connection)

    def _wait(self, driver: Driver, until_ns: int) -> None:
        """Wait until something can be done, and read what has come."""
        wait_s = LONGEST_WAIT_S
        if self._free and driver.next_ns != NEVER_NS:
            now_ns = time.monotonic_ns()
            wait_s = min(wait_s, (min(driver.next_ns, until_ns) - now_ns) / SECOND_NS)
        # epoll counts in milliseconds, which would be added to the latencies; select in µs.
        if wait_s > 0:
            select.select([self._selector.fileno()], (), (), wait_s)
        for key, mask in self._selector.select(0):
            if isinstance(key.data, socket.socket):
                self._opened(key.data)
                continue
            connection = key.data
            if mask & selectors.EVENT_WRITE and connection.unsent is not None:
                self._send(driver, connection, connection.unsent)
            if mask & selectors.EVENT_READ:
                self._read(driver, connection)

    def _read(self, driver: Driver, connection: _Connection) -> None:
        try:
            data: bytes | bytearray = connection.socket.recv(RECEIVE_BYTES)
        except BlockingIOError:
            return
        except (OSError, ValueError):  # the second where it was closed a moment ago
            data = b""
        if not data:
            if connection.socket.fileno() >= 0:
                self._break(driver, connection, "the connection was closed unanswered")
            return
        if connection.received:
            connection.received += data
            data = connection.received
        try:
            answer = parse(data)
        except NotHttp as why:
            self._break(driver, connection, str(why))
            return
        if answer is None:
            if data is not connection.received:
                connection.received += data
        elif connection.request is None or len(data) > answer.size:
            self._break(driver, connection, "an answer that nobody asked for")
        else:
            self._answered(driver, connection, connection.request, answer)

    def _answered(
        self, driver: Driver, connection: _Connection, request: Request, answer: Answer
    ) -> None:
        now_ns = time.monotonic_ns()
        if answer.status == 200 and any(word in answer.body for word in SUCCESS):
            driver.acknowledge(request, now_ns)
        else:
            detail = answer.body[:500].decode(errors="replace")
            driver.refuse(request, str(answer.status), detail, now_ns)
        self._busy.discard(connection)
        connection.request, connection.free_ns = None, now_ns
        connection.received.clear()
        if answer.closes:
            self._drop(connection, now_ns)
        else:
            self._free.append(connection)
