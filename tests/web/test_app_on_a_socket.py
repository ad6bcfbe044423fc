"""The application over a real connection: what only Hypercorn and the kernel can get wrong."""

import orjson
import pytest
import trio

from engine.config import Config
from tests.web.sockets import served, wire
from web.app import Application
from web.live import STREAM_MEDIA

EVENT = b'{"eventType":"marketplace_view","serviceId":"s-1"}'


async def exchanged(port: int, *sent: bytes) -> tuple[int, bytes]:
    """Send everything before reading anything; the status and body of the answer."""
    received = b""
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        for piece in sent:
            await stream.send_all(piece)
        while piece := await stream.receive_some():
            received += piece
    head, _, content = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), content


def head(request: bytes, *headers: bytes) -> bytes:
    lines = (request + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def test_a_large_body_is_refused_by_an_answer_that_arrives(
    app: Application, config: Config
) -> None:
    async with served(app, config) as port:
        for length in (b"Content-Length: 4000000", b"Transfer-Encoding: chunked"):
            body = bytes(4_000_000)
            if length.startswith(b"Transfer"):
                body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            status, content = await exchanged(port, head(b"POST /track", length), body)
            assert status == 413
            assert orjson.loads(content)["type"] == "/problems/too-large"


async def test_a_body_that_nobody_reads_does_not_cost_the_answer(
    app: Application, config: Config
) -> None:
    length = b"Content-Length: 4000000"
    async with served(app, config) as port:
        for request, expected in ((b"POST /nope", 404), (b"PUT /track", 405)):
            status, content = await exchanged(port, head(request, length), bytes(4_000_000))
            assert status == expected
            assert orjson.loads(content)["status"] == expected


async def test_a_body_byte_by_byte_is_read_whole(app: Application, config: Config) -> None:
    length = b"Content-Length: %d" % len(EVENT)
    async with served(app, config) as port:
        pieces = [EVENT[i : i + 1] for i in range(len(EVENT))]
        assert await exchanged(port, head(b"POST /track", length), *pieces) == (
            200,
            b'{"success":true}',
        )


async def test_a_problem_has_its_length_and_head_has_no_body(
    app: Application, config: Config
) -> None:
    async with served(app, config) as port:
        assert await exchanged(port, head(b"HEAD /nope")) == (404, b"")
        assert await exchanged(port, head(b"HEAD /stream")) == (200, b"")
        status, content = await exchanged(port, head(b"GET /counters/%00%ff%2f..%2f"))
        assert (status, orjson.loads(content)["status"]) == (404, 404)


async def test_head_of_a_stream_does_not_say_that_it_is_empty(
    app: Application, config: Config
) -> None:
    async with served(app, config) as port, wire(port) as connection:
        await connection.send(b"HEAD /stream HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2)
        for _ in range(2):  # the connection goes on
            answer = await connection.answer(method="HEAD")
            assert (answer.status, answer.headers["content-type"]) == (200, STREAM_MEDIA)
            assert "content-length" not in answer.headers


@pytest.mark.parametrize("name", [b"evil.example", b"\xff", b"[::1"])
async def test_a_strange_host_is_refused_before_anything_is_read_from_it(
    app: Application, config: Config, name: bytes
) -> None:
    request = b"GET /metrics/services HTTP/1.1\r\nConnection: close\r\nHost: %b\r\n\r\n" % name
    async with served(app, config) as port:
        status, _ = await exchanged(port, request)
        assert status == 421


async def test_an_open_stream_does_not_hold_up_a_stop(app: Application, config: Config) -> None:
    received = b""
    async with trio.open_nursery() as nursery:
        reading = trio.Event()

        async def listen(port: int) -> None:
            nonlocal received
            async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                await stream.send_all(head(b"GET /stream?interval=10"))
                while piece := await stream.receive_some():
                    received += piece
                    if b"connected" in received:
                        reading.set()

        async with served(app, config) as port:
            nursery.start_soon(listen, port)
            await reading.wait()
    assert received.endswith(b"0\r\n\r\n")  # ended by us, not cut off


async def test_a_websocket_is_refused(app: Application, config: Config) -> None:
    asked = (
        b"GET /stream HTTP/1.1",
        b"Host: localhost",
        b"Connection: Upgrade",
        b"Upgrade: websocket",
        b"Sec-WebSocket-Version: 13",
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    async with served(app, config) as port:
        status, _ = await exchanged(port, b"\r\n".join(asked) + b"\r\n\r\n")
        assert status == 403
