"""Raw bytes against a real process: whatever some do, the others are served, and promptly."""

import contextlib
import gzip
import os
import re
import socket
import struct
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

import httpx
import pytest
import zstandard

from tests.server import Server, wait_until

EVENT: Final = b'{"eventType":"marketplace_view","serviceId":"s-1"}'
HOT: Final = b"POST /track"
COLD: Final = b"POST /dashboards"
STUCK: Final = 250
NEVER_READING: Final = 60
MIB: Final = 2**20
BODY_DEADLINE_S: Final = 3

ROUNDS_MIN: Final = 3
"""Of two requests each, that a client gets through before an attack is over, or its connections
are closed by us. How much longer they take is measured by `make bench-attacks`, in ratios."""

both = pytest.mark.parametrize("target", [HOT, COLD], ids=["lane", "quart"])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "hasty.toml").write_text(f"body_deadline_s = {BODY_DEADLINE_S}\n")
    options = ("--durability", "write", "--config", str(folder / "hasty.toml"))
    with Server(folder / "data", *options) as running:
        yield running
        assert [line for line in running.log if line.get("level") != "info"] == []
        assert running.stop() == 0


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """512 MiB of empty lines, packed by gzip."""
    packer = zlib.compressobj(9, wbits=31)
    return b"".join([*(packer.compress(b"\n" * MIB) for _ in range(512)), packer.flush()])


def connected(server: Server) -> socket.socket:
    port = httpx.URL(server.url).port
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def request(target: bytes, body: bytes = EVENT, *headers: bytes, length: bool = True) -> bytes:
    lines = [target + b" HTTP/1.1", b"Host: localhost", b"Content-Type: application/json"]
    lines += headers
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def all_of(connection: socket.socket) -> bytes:
    """What comes until the other side ends it."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            received += piece
    return received


def statuses(received: bytes) -> list[int]:
    return [int(line[:3]) for line in received.split(b"HTTP/1.1 ")[1:]]


def events(server: Server) -> int:
    return int(server.client.get("/health").json()["events"])


def memory_bytes(server: Server) -> int:
    lines = Path(f"/proc/{server.pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmRSS:")]
    return int(line.split()[1]) * 1024


def open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))


def cpu_s(server: Server) -> float:
    """Processor time of the server so far, which no other process makes longer."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cost_s(server: Server, raw: bytes, times: int) -> float:
    """Processor time of answering a request that ends its connection, so many times."""
    before_s = cpu_s(server)
    for _ in range(times):
        with connected(server) as connection:
            with contextlib.suppress(OSError):
                connection.sendall(raw)
            assert len(statuses(all_of(connection))) == 1
    return cpu_s(server) - before_s


class Healthy:
    """A client that goes on asking as one should; `rounds` of two requests each."""

    def __init__(self, server: Server) -> None:
        self._client = httpx.Client(base_url=server.url, timeout=60, trust_env=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.rounds = 0
        self.refused: list[int] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, failed: object, *_: object) -> None:
        if failed is None:
            wait_until(lambda: self.rounds >= ROUNDS_MIN or not self._thread.is_alive())
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            answers = (
                self._client.post("/track", content=EVENT),
                self._client.get("/metrics/marketplace"),
            )
            self.rounds += 1
            self.refused += [a.status_code for a in answers if a.status_code != 200]

    def must_have_been_served(self) -> None:
        assert self.refused == []
        assert self.rounds >= ROUNDS_MIN


# -- one request at a time ------------------------------------------------------------

HIDDEN: Final = request(HOT)
CHUNKED: Final = b"Transfer-Encoding: chunked"
SMUGGLED: Final = {
    "length, then chunks": request(b"%b", b"0\r\n\r\n" + HIDDEN, CHUNKED),
    "chunks, then length": request(
        b"%b", b"0\r\n\r\n" + HIDDEN, CHUNKED, b"Content-Length: 4", length=False
    ),
    "two lengths": request(b"%b", HIDDEN, b"Content-Length: 0"),
    "two lengths in one": request(b"%b", HIDDEN, b"Content-Length: 0, 0", length=False),
    "a length with a sign": request(b"%b", HIDDEN, b"Content-Length: +0", length=False),
    "chunks by another name": request(
        b"%b", b"0\r\n\r\n" + HIDDEN, b"Transfer-Encoding: xchunked", length=False
    ),
    "chunks twice": request(b"%b", b"0\r\n\r\n" + HIDDEN, CHUNKED, CHUNKED, length=False),
    "chunks with a tab": request(
        b"%b", b"0\r\n\r\n" + HIDDEN, b"Transfer-Encoding:\x0bchunked", length=False
    ),
    "a name with a blank": request(
        b"%b", b"0\r\n\r\n" + HIDDEN, b"Transfer-Encoding : chunked", length=False
    ),
    "a folded line": request(
        b"%b", b"0\r\n\r\n" + HIDDEN, b"Transfer-Encoding:\r\n chunked", length=False
    ),
    "a bare line feed": request(b"%b", HIDDEN, b"A: b\nContent-Length: 0"),
    "a size beyond 64 bits": request(
        b"%b", b"10000000000000000\r\n" + HIDDEN, CHUNKED, length=False
    ),
    "a line end within a size": request(
        b"%b", b"0;a=\n0\r\n\r\n" + HIDDEN, CHUNKED, length=False
    ),
}


@both
@pytest.mark.parametrize("name", SMUGGLED)
def test_no_request_is_smuggled_behind_another(
    server: Server, target: bytes, name: str
) -> None:
    before = events(server)
    with connected(server) as connection:
        connection.sendall(SMUGGLED[name].replace(b"%b", target))
        (status,) = statuses(all_of(connection))
    assert status in (400, 501)
    assert events(server) == before


@both
def test_a_body_in_chunks_of_one_byte_is_read_and_a_million_of_them_refused(
    server: Server, target: bytes
) -> None:
    body = EVENT if target == HOT else b'{"name":"Chunks","type":"custom"}'
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    with connected(server) as connection:
        for byte in request(target, chunks, CHUNKED, b"Connection: close", length=False):
            connection.sendall(bytes([byte]))
        assert statuses(all_of(connection)) == [200 if target == HOT else 201]
    with connected(server) as connection:
        with contextlib.suppress(OSError):
            connection.sendall(request(target, b"1\r\n \r\n" * MIB, CHUNKED, length=False))
        assert statuses(all_of(connection)) in ([400], [413], [])


@both
@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"eventType":'])
def test_deep_nesting_is_refused(server: Server, target: bytes, opening: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(request(target, opening * 60_000, b"Connection: close"))
        assert statuses(all_of(connection))[0] in (400, 413, 422)
    for path in ("/catalog/services/s", "/sql"):
        answer = server.client.request(
            "PUT" if path != "/sql" else "POST", path, content=opening * 9_000
        )
        assert answer.status_code in (400, 413, 415, 422, 503)


def test_a_bomb_costs_about_what_the_largest_request_taken_does(
    server: Server, bomb: bytes
) -> None:
    close, packed = b"Connection: close", b"Content-Encoding: gzip"
    line = EVENT[:-1] + b',"category":"' + b"c" * 1_500 + b'"}\n'
    allowed = request(b"POST /track/bulk", gzip.compress(line * 10_000), packed, close)
    refused = request(b"POST /track/bulk", bomb, packed, close)
    known = events(server)
    taken_s = cost_s(server, allowed, 4)
    assert events(server) == known + 4 * 10_000
    assert cost_s(server, refused, 4) < 2 * taken_s


def test_nesting_costs_no_more_than_events_of_that_size(server: Server) -> None:
    close = b"Connection: close"
    one = EVENT[:-1] + b',"category":"' + b"c" * 2_300 + b'"}'
    valid = request(b"POST /track/batch", b"[" + b",".join([one] * 25) + b"]", close)
    nested = request(b"POST /track/batch", b"[" * len(valid), close)
    taken_s = cost_s(server, valid, 200)
    assert cost_s(server, nested, 200) < 2 * taken_s


# -- many at once ------------------------------------------------------------


def test_bombs_are_refused_before_they_are_unpacked(server: Server, bomb: bytes) -> None:
    bombs = {
        "gzip": bomb,
        "zstd": zstandard.compress(b"\n" * (512 * MIB)),
        "gzip, gzip": gzip.compress(bomb),
    }
    before, known = memory_bytes(server), events(server)
    with Healthy(server) as healthy:
        for _ in range(8):
            for packing, body in bombs.items():
                raw = request(
                    b"POST /track/bulk", body, b"Content-Encoding: " + packing.encode()
                )
                with connected(server) as connection:
                    with contextlib.suppress(OSError):
                        connection.sendall(raw)
                        connection.shutdown(socket.SHUT_WR)
                    assert set(statuses(all_of(connection))) <= {413, 415}
    healthy.must_have_been_served()
    assert memory_bytes(server) - before < 100 * MIB
    assert events(server) == known + healthy.rounds


def test_who_leaves_early_in_whatever_way_is_forgotten(server: Server) -> None:
    before, known = open_files(server), events(server)
    head = b"%b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{"
    parts = [b"", b"P", head[:20], head % HOT, head % COLD, b"\x16\x03\x01", b"\0" * 100]
    with Healthy(server) as healthy:
        for number in range(STUCK):
            connection = connected(server)
            connection.sendall(parts[number % len(parts)])
            if number % 3 == 0:  # by a reset
                linger = struct.pack("ii", 1, 0)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            elif number % 3 == 1:  # by an end of its own side
                connection.shutdown(socket.SHUT_WR)
                all_of(connection)
            connection.close()
    healthy.must_have_been_served()
    wait_until(lambda: open_files(server) <= before + 2)
    assert events(server) == known + healthy.rounds


def test_hundreds_that_drip_are_cut_off_and_hold_up_nobody(server: Server) -> None:
    before = open_files(server)
    head = b"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n"
    openings = [
        b"POST /tr",  # never a whole head
        HOT + b" HTTP/1.1\r\n" + head,  # never a whole body
        COLD + b" HTTP/1.1\r\n" + head,
        b"POST /track/bulk HTTP/1.1\r\n" + head,
        b"POST /sql HTTP/1.1\r\n" + head,
    ]
    with contextlib.ExitStack() as stack, Healthy(server) as healthy:
        stuck = [stack.enter_context(connected(server)) for _ in range(STUCK)]
        for number, connection in enumerate(stuck):
            connection.sendall(openings[number % len(openings)])
        left = list(stuck)

        def are_gone() -> bool:
            left[:] = [connection for connection in left if _drips(connection)]
            return not left

        wait_until(are_gone, every_s=0.5)
    healthy.must_have_been_served()
    wait_until(lambda: open_files(server) <= before + 2)


def _drips(connection: socket.socket) -> bool:
    """Send one more letter; whether the other side still takes any."""
    try:
        connection.send(b"a")
        connection.setblocking(False)
        try:
            return bool(connection.recv(65_536))
        except BlockingIOError:
            return True
        finally:
            connection.setblocking(True)
    except OSError:
        return False


def test_who_never_reads_costs_little_and_is_let_go(server: Server) -> None:
    files, memory = open_files(server), memory_bytes(server)
    floods = [
        request(b"GET /openapi.json", b"", length=False) * 300,  # 18 MB
        request(HOT, b"{") * 300,
        request(b"GET /stream", b"", length=False),
        request(b"GET /metrics/services?limit=10000", b"", length=False) * 300,
    ]
    with contextlib.ExitStack() as stack, Healthy(server) as healthy:
        for number in range(NEVER_READING):
            connection = stack.enter_context(connected(server))
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionError):
                connection.send(floods[number % len(floods)])
        with connected(server) as last:  # whoever came before is in
            last.sendall(request(b"GET /ready", b"", b"Connection: close", length=False))
            assert statuses(all_of(last)) == [200]
        # What does not fit into the system's buffers is given up; the others are just idle.
        idle = NEVER_READING // len(floods) * 3

        def have_gone() -> bool:
            assert memory_bytes(server) - memory < 150 * MIB
            return open_files(server) <= files + idle + 2

        wait_until(have_gone)
    healthy.must_have_been_served()
    wait_until(lambda: open_files(server) <= files + 2)


def test_hundreds_of_requests_behind_one_another_are_answered_in_order(server: Server) -> None:
    known = events(server)
    one = request(b"GET /counters/views:today", b"", length=False)
    last = request(b"POST /nope", b"", b"Connection: close")
    with connected(server) as connection:
        flood = (request(HOT) + one) * 200 + last
        sender = threading.Thread(target=connection.sendall, args=(flood,))
        sender.start()
        received = all_of(connection)
        sender.join()
    assert statuses(received) == [200] * 400 + [404]
    values = [int(found) for found in re.findall(rb'"value":(\d+)', received)]
    assert values == list(range(values[0], values[0] + 200))
    assert events(server) == known + 200
