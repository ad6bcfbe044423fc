"""The listener: what clients may do to it, and how it ends."""

import errno
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest
import structlog
import trio
import trustme
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import DataReceived, Event, ResponseReceived, StreamEnded, StreamReset
from h2.settings import SettingCodes, Settings
from hypercorn.typing import ASGIFramework, ASGIReceiveCallable, ASGISendCallable, Scope
from quart import request
from quart_trio import QuartTrio

from engine.config import Config
from engine.errors import TallymarkError
from web import contained, hosting, wire
from web.framing import Head
from web.hub import Hub
from web.line import Line
from web.untaken import Untaken
from web.wire import Reply

E = TypeVar("E", bound=Event)

GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class App:
    """Answers at once without reading; `/wait` when told to, `/endless` until cut off.

    sent_bytes  what of endless answers was taken off it
    """

    def __init__(self) -> None:
        self.may_answer = trio.Event()
        self.is_asked = trio.Event()
        self.is_cut_off = trio.Event()
        self.sent_bytes = 0

    async def __call__(
        self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        if scope["type"] == "lifespan":
            for stage in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{stage}.complete"})
            return
        self.is_asked.set()
        status = 413 if scope["method"] == "POST" else 200
        if scope["path"] == "/wait":
            await self.may_answer.wait()
        await send({"type": "http.response.start", "status": status, "headers": []})
        if scope["path"] == "/endless":
            await self._send_for_ever(receive, send)
        body = b"waited" if scope["path"] == "/wait" else b""
        await send({"type": "http.response.body", "body": body, "more_body": False})

    async def _send_for_ever(
        self, receive: ASGIReceiveCallable, send: ASGISendCallable
    ) -> None:
        async with trio.open_nursery() as nursery:

            async def until_gone() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                self.is_cut_off.set()
                nursery.cancel_scope.cancel()

            nursery.start_soon(until_gone)
            while True:
                body = bytes(65_536)
                await send({"type": "http.response.body", "body": body, "more_body": True})
                self.sent_bytes += len(body)


class NothingHot:
    """A lane without routes: every request goes elsewhere, and its connection comes back."""

    hub: Hub

    def __init__(self) -> None:
        self.untaken = Untaken(1)

    def body_bytes_max(self, _line: Line, _head: Head) -> None:
        return None

    def take(self, line: Line, head: Head, content: bytes) -> None:
        raise AssertionError("nothing is for us")

    def refusal(self, error: TallymarkError, _head: Head | None) -> Reply:
        return wire.refused(error, None)


@pytest.fixture(params=["with the lane", "Hypercorn alone"], autouse=True)
def lane(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything here holds both ways."""
    made = NothingHot if request.param == "with the lane" else lambda: None
    monkeypatch.setattr(Served, "lane", staticmethod(made))


class Served:
    """An app behind a listener, within a nursery."""

    lane: Callable[[], NothingHot | None] = lambda: None

    def __init__(
        self, nursery: trio.Nursery, config: Config, grace_s: float, app: ASGIFramework
    ) -> None:
        self.app = app
        self.stop = trio.Event()
        self.ended = trio.Event()
        self._nursery, self._config, self._grace_s = nursery, config, grace_s

    async def start(self) -> "Served":
        self._listeners = await hosting.listen("127.0.0.1", 0)
        self.url = hosting.url_of(self._listeners[0])
        await self._nursery.start(self._run)
        return self

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", int(self.url.rsplit(":", 1)[1]))

    async def status(self, request: bytes = GET) -> int:
        async with await self.connect() as stream:
            await stream.send_all(request)
            return int((await stream.receive_some()).split()[1])

    async def _run(self, task_status: trio.TaskStatus[None]) -> None:
        await hosting.serve(
            self.app,
            self._config,
            self._listeners,
            stop=self.stop,
            grace_s=self._grace_s,
            lane=self.lane(),
            task_status=task_status,
        )
        self.ended.set()


async def _serve(
    nursery: trio.Nursery,
    config: Config | None = None,
    grace_s: float = 5.0,
    app: ASGIFramework | None = None,
) -> Served:
    return await Served(nursery, config or Config(), grace_s, app or App()).start()


def _cut_off_bodies(url: str, times: int) -> None:
    """Announce more than is taken, send a little of it, and hang up: 413 and 400 meet."""
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9999999\r\n\r\n"
    for _ in range(times):
        port = int(url.rsplit(":", 1)[1])
        with (
            suppress(ConnectionResetError),
            socket.create_connection(("127.0.0.1", port)) as one,
        ):
            one.sendall(head + b"few")
            one.shutdown(socket.SHUT_WR)
            while one.recv(65_536):
                pass


async def test_no_client_can_end_the_listener_by_cutting_off_a_refused_body(
    nursery: trio.Nursery,
) -> None:
    # Uncontained, the listener is dead after 1 to 10 of these: Quart's own limit answers while
    # Hypercorn's parser complains. Our application has a limit of its own that avoids it.
    app = QuartTrio(__name__)
    app.config["MAX_CONTENT_LENGTH"] = 1_024

    @app.post("/")
    async def take() -> bytes:
        return await request.get_data()

    served = await _serve(nursery, app=app)
    await trio.to_thread.run_sync(_cut_off_bodies, served.url, 200)
    assert await served.status() == 405


async def test_no_client_can_end_the_listener_by_a_reset(nursery: trio.Nursery) -> None:
    served = await _serve(nursery)
    half = b"POST /wait HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n1"
    for beginning in (b"", GET, half, b"\x16\x03"):
        stream = await served.connect()
        if beginning:
            await stream.send_all(beginning)
        reset_on_close = struct.pack("ii", 1, 0)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset_on_close)
        stream.socket.close()
    assert await served.status() == 200


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\x00" * 100,
        b"GET / HTTP/1.1\r\n" + b"A: " + b"a" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\nrubbish",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nrubbish that is no frame",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%ff%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
async def test_no_client_can_end_the_listener_by_rubbish(
    nursery: trio.Nursery, rubbish: bytes
) -> None:
    served = await _serve(nursery)
    async with await served.connect() as stream:
        await stream.send_all(rubbish)
        await stream.send_eof()
        with trio.move_on_after(1):
            while await stream.receive_some():
                pass
    assert await served.status() == 200


async def test_stopping_lets_an_open_request_finish_and_closes_what_is_idle(
    nursery: trio.Nursery,
) -> None:
    served = await _serve(nursery)
    async with await served.connect() as waiting, await served.connect() as idle:
        await waiting.send_all(GET.replace(b"/", b"/wait", 1))
        await served.app.is_asked.wait()
        served.stop.set()
        assert await idle.receive_some() == b""
        served.app.may_answer.set()
        assert (await waiting.receive_some()).startswith(b"HTTP/1.1 200")
        await served.ended.wait()


async def test_stopping_accepts_no_further_connections(nursery: trio.Nursery) -> None:
    served = await _serve(nursery)
    served.stop.set()
    await served.ended.wait()
    with pytest.raises(OSError, match="connect"):
        await served.connect()


async def test_what_is_still_open_after_the_grace_is_cut_off(nursery: trio.Nursery) -> None:
    served = await _serve(nursery, grace_s=0.0)
    async with await served.connect() as waiting, await served.connect() as deaf:
        await deaf.send_all(GET.replace(b"/", b"/endless", 1))  # and never reads the answer
        await waiting.send_all(GET.replace(b"/", b"/wait", 1))
        await served.app.is_asked.wait()
        await trio.testing.wait_all_tasks_blocked(0.05)
        served.stop.set()
        with trio.fail_after(30):
            await served.ended.wait()


async def test_a_reader_that_takes_nothing_loses_its_connection(
    nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contained, "SEND_S_MAX", 0.1)
    served = await _serve(nursery)
    async with await served.connect() as deaf:
        await deaf.send_all(GET.replace(b"/", b"/endless", 1))
        with trio.fail_after(30):
            await served.app.is_cut_off.wait()
        # Its number is free, and the next connection has it: who clears up must not take that.
        for _ in range(3):
            assert await served.status() == 200


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def secure(authority: trustme.CA, tmp_path: Path) -> Config:
    files = (tmp_path / "certificate.pem", tmp_path / "key.pem")
    issued = authority.issue_cert("127.0.0.1")
    issued.cert_chain_pems[0].write_to_path(files[0])
    issued.private_key_pem.write_to_path(files[1])
    return Config(certfile=str(files[0]), keyfile=str(files[1]))


async def test_over_tls_too_a_reader_that_takes_nothing_loses_its_connection(
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
    secure: Config,
    authority: trustme.CA,
) -> None:
    monkeypatch.setattr(contained, "SEND_S_MAX", 0.1)
    served = await _serve(nursery, secure)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with structlog.testing.capture_logs() as lines:
        plain = await served.connect()
        async with trio.SSLStream(plain, trust, server_hostname="127.0.0.1") as deaf:
            await deaf.send_all(GET.replace(b"/", b"/endless", 1))
            with trio.fail_after(30):
                await served.app.is_cut_off.wait()
            await trio.aclose_forcefully(deaf)
    assert lines == []


class Http2:
    """A client by HTTP/2: `speaking` says what, `send` sends it, `until` tells what came."""

    def __init__(self, stream: trio.SSLStream[trio.SocketStream], window_bytes: int) -> None:
        self._stream = stream
        self._told: list[Event] = []
        self.speaking = H2Connection()
        self.speaking.local_settings = Settings(
            client=True, initial_values={SettingCodes.INITIAL_WINDOW_SIZE: window_bytes}
        )
        self.speaking.initiate_connection()

    def ask(self, path: bytes, *, method: bytes = b"GET", is_whole: bool = True) -> int:
        """Say the head of a request; the number of its stream."""
        number = self.speaking.get_next_available_stream_id()
        rest = [(b":scheme", b"https"), (b":authority", b"127.0.0.1")]
        head = [(b":method", method), (b":path", path), *rest]
        self.speaking.send_headers(number, head, end_stream=is_whole)
        return number

    async def send(self) -> None:
        """Send what was said."""
        await self._stream.send_all(self.speaking.data_to_send())

    async def until(self, kind: type[E], number: int) -> E:
        """The next of this kind that comes for this stream, within 30 s."""
        with trio.fail_after(30):
            while True:
                while self._told:
                    event = self._told.pop(0)
                    if isinstance(event, kind) and getattr(event, "stream_id", 0) == number:
                        return event
                received = await self._stream.receive_some()
                assert received, "the connection was closed"
                self._told += self.speaking.receive_data(bytes(received))
                await self.send()


@asynccontextmanager
async def _by_http_2(
    served: Served, authority: trustme.CA, *, window_bytes: int = 65_535
) -> AsyncIterator[Http2]:
    """window_bytes  what a stream may send before more is granted"""
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    trust.set_alpn_protocols(["h2"])
    plain = await served.connect()
    async with trio.SSLStream(
        plain, trust, server_hostname="127.0.0.1", https_compatible=True
    ) as stream:
        yield Http2(stream, window_bytes)
        await trio.aclose_forcefully(stream)


async def test_an_answer_that_nothing_is_taken_of_is_given_up_and_others_beside_it_are_not(
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
    secure: Config,
    authority: trustme.CA,
) -> None:
    monkeypatch.setattr(contained, "SEND_S_MAX", 0.1)
    served = await _serve(nursery, secure)
    with structlog.testing.capture_logs() as lines:
        async with _by_http_2(served, authority, window_bytes=0) as client:
            other, deaf = client.ask(b"/wait"), client.ask(b"/endless")
            await client.send()
            assert (await client.until(StreamReset, deaf)).error_code == ErrorCodes.CANCEL
            await served.app.is_cut_off.wait()
            assert served.app.sent_bytes <= 65_536  # what is not taken does not pile up
            client.speaking.increment_flow_control_window(100, other)
            await client.send()
            served.app.may_answer.set()
            await client.until(StreamEnded, other)
    assert lines == []


async def test_an_answer_that_is_taken_in_drops_is_not_given_up(
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
    secure: Config,
    authority: trustme.CA,
) -> None:
    monkeypatch.setattr(contained, "SEND_S_MAX", 0.5)
    served = await _serve(nursery, secure)
    async with _by_http_2(served, authority, window_bytes=0) as client:
        number = client.ask(b"/endless")
        long_enough = trio.current_time() + 3 * contained.SEND_S_MAX
        while trio.current_time() < long_enough:
            client.speaking.increment_flow_control_window(1, number)
            await client.send()
            assert len((await client.until(DataReceived, number)).data) == 1
        assert not served.app.is_cut_off.is_set()


@pytest.mark.parametrize("who_resets", ["client", "server"])
async def test_a_connection_without_a_request_left_is_closed_though_its_client_stays(
    nursery: trio.Nursery,
    monkeypatch: pytest.MonkeyPatch,
    secure: Config,
    authority: trustme.CA,
    who_resets: str,
) -> None:
    monkeypatch.setattr(contained, "SEND_S_MAX", 0.1 if who_resets == "server" else 1_000)
    monkeypatch.setattr(contained, "IDLE_S", 0.1)
    served = await _serve(nursery, secure)
    async with _by_http_2(served, authority, window_bytes=0) as client:
        number = client.ask(b"/endless")
        await client.send()
        if who_resets == "client":
            await client.until(ResponseReceived, number)
            client.speaking.reset_stream(number)
            await client.send()
        with pytest.raises(AssertionError, match="closed"):
            await client.until(ResponseReceived, 0)


async def test_what_comes_for_a_request_that_is_answered_already_harms_no_other(
    nursery: trio.Nursery, secure: Config, authority: trustme.CA
) -> None:
    served = await _serve(nursery, secure)
    with structlog.testing.capture_logs() as lines:
        async with _by_http_2(served, authority) as client:
            early = client.ask(b"/", method=b"POST", is_whole=False)
            await client.send()
            await client.until(StreamEnded, early)
            for _ in range(8):  # together more than the window of the connection
                client.speaking.send_data(early, bytes(16_000))
                later = client.ask(b"/")
                await client.send()
                await client.until(StreamEnded, later)
    assert lines == []


@pytest.mark.parametrize("what", ["reset", "body"])
async def test_what_comes_while_it_stops_harms_no_answer_under_way(
    nursery: trio.Nursery, secure: Config, authority: trustme.CA, what: str
) -> None:
    served = await _serve(nursery, secure)
    with structlog.testing.capture_logs() as lines:
        async with _by_http_2(served, authority) as client:
            first = client.ask(b"/wait")
            await client.send()
            await served.app.is_asked.wait()
            served.stop.set()
            await trio.testing.wait_all_tasks_blocked()
            late = client.ask(b"/", method=b"POST", is_whole=False)
            if what == "reset":
                client.speaking.reset_stream(late)
            else:
                client.speaking.send_data(late, b"{}", end_stream=True)
            client.speaking.ping(bytes(8))
            await client.send()
            await trio.testing.wait_all_tasks_blocked(0.05)
            served.app.may_answer.set()
            await client.until(StreamEnded, first)
        await served.ended.wait()
    assert lines == []


async def test_a_failure_of_the_applications_own_tasks_ends_the_server() -> None:
    async def app(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        raise KeyError("a bug")

    listeners = await hosting.listen("127.0.0.1", 0)
    with pytest.RaisesGroup(
        pytest.RaisesExc(RuntimeError, match="own tasks"), flatten_subgroups=True
    ):
        await hosting.serve(app, Config(), listeners, stop=trio.Event(), grace_s=1)


async def test_a_connection_beyond_the_limit_is_refused_and_may_come_back(
    nursery: trio.Nursery,
) -> None:
    served = await _serve(nursery, Config(connections_max=1))
    async with await served.connect() as only:
        await only.send_all(GET)
        assert (await only.receive_some()).startswith(b"HTTP/1.1 200")
        assert await served.status() == 503
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert await served.status() == 200


async def test_a_port_in_use_is_said_in_one_line() -> None:
    (listener,) = await hosting.listen("127.0.0.1", 0)
    async with listener:
        port = listener.socket.getsockname()[1]
        with pytest.raises(hosting.CannotListen) as caught:
            await hosting.listen("127.0.0.1", port)
    assert str(caught.value) == (
        f"Cannot listen on 127.0.0.1:{port}: another process uses the port. Stop it, or choose "
        f"another with --port."
    )
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno == errno.EADDRINUSE


async def test_a_url_carries_the_real_port_and_brackets_an_ipv6_address() -> None:
    for host, start in (("127.0.0.1", "http://127.0.0.1:"), ("::1", "http://[::1]:")):
        (listener,) = await hosting.listen(host, 0)
        async with listener:
            url = hosting.url_of(listener)
            assert url == f"{start}{listener.socket.getsockname()[1]}"
