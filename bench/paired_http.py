"""`python -m bench.paired_http PATH`: another checkout's server against this one's, in turns.

Both serve in processes of their own, and one client asks them in turns, a few hundred requests
each time, so that who else uses the machine slows both alike. What counts is the median of the
ratios of CPU of a turn of both.
"""

import argparse
import os
import selectors
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from bench.events import bodies
from load.payload import Form
from tests.server import ROOT, Server

TURN_EVENTS: Final = 5_000
SPREAD_MS: Final = 10_000
RECEIVE_BYTES: Final = 4_096


class Client:
    """A closed loop: on each connection the next request follows upon an answer."""

    def __init__(self, url: str, connections: int) -> None:
        host, _, port = url.removeprefix("http://").partition(":")
        self._selector = selectors.DefaultSelector()
        for _ in range(connections):
            sock = socket.create_connection((host, int(port)))
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._selector.register(sock, selectors.EVENT_READ)

    def send(self, requests: Sequence[bytes]) -> None:
        """Send all of them, and return when all are answered."""
        left = iter(requests)
        under_way = 0
        for key in self._selector.get_map().values():
            under_way += _sent(key.fileobj, left)
        while under_way:
            for key, _ in self._selector.select():
                answer = key.fileobj.recv(RECEIVE_BYTES)  # type: ignore[union-attr]
                assert answer.startswith(b"HTTP/1.1 200"), answer
                under_way += _sent(key.fileobj, left) - 1


def _sent(sock: object, left: Iterator[bytes]) -> int:
    request = next(left, None)
    if request is None:
        return 0
    assert isinstance(sock, socket.socket)
    sock.sendall(request)
    return 1


def _requests(batch: int, turn: int) -> list[bytes]:
    """One turn's requests, with ids of their own."""
    form = Form.of(batch)
    now_ms = int(time.time() * 1000)
    made = bodies(TURN_EVENTS, batch=batch, seed=turn, now_ms=now_ms, spread_ms=SPREAD_MS)
    found = []
    for body in made:
        content = body
        if form is not Form.ARRAY:
            content = body[1:-1].replace(b"},{", b"}\n{")
        head = f"POST {form.route} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        head += f"Content-Type: {form.media_type}\r\nContent-Length: {len(content)}\r\n\r\n"
        found.append(head.encode() + content)
    return found


def _cpu_s(pid: int) -> float:
    return time.clock_gettime((~pid << 3) | 2)  # as clock_getcpuclockid(3) says


@contextmanager
def _serving(tree: Path, folder: Path, durability: str) -> Iterator[Server]:
    server = Server(
        folder / "data", "--durability", durability, variables={"PYTHONPATH": str(tree)}
    )
    with server:
        here = f"/proc/{server.pid}/environ"
        assert f"PYTHONPATH={tree}\0".encode() in Path(here).read_bytes()
        yield server


def compare(
    trees: Sequence[Path], *, batch: int, connections: int, turns: int, durability: str
) -> list[list[float]]:
    """CPU of each server in each turn, µs an event."""
    found: list[list[float]] = [[] for _ in trees]
    with ExitStack() as stack:
        sides = []
        for number, tree in enumerate(trees):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            server = stack.enter_context(_serving(tree, folder, durability))
            sides.append((number, server.pid, Client(server.url, connections)))
        for turn in range(turns):
            requests = _requests(batch, turn)
            for number, pid, client in sides if turn % 2 else reversed(sides):
                before = _cpu_s(pid)
                client.send(requests)
                found[number].append(1e6 * (_cpu_s(pid) - before) / TURN_EVENTS)
    return found


def main() -> None:
    """Print what an event costs each, and how they compare."""
    parser = argparse.ArgumentParser(prog="python -m bench.paired_http", description=__doc__)
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("--batch", type=int, default=25, help="events a request")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--turns", type=int, default=100, help=f"of {TURN_EVENTS} events each")
    parser.add_argument("--durability", default="fsync")
    words = parser.parse_args()
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    before, now = compare(
        [words.other.resolve(), ROOT],
        batch=words.batch,
        connections=words.connections,
        turns=words.turns,
        durability=words.durability,
    )
    ratios = sorted(b / a for a, b in zip(before, now, strict=True))
    quarter = len(ratios) // 4
    print(f"{words.batch} a request, {words.connections} connections, load {load}")
    for name, us in (("before", before), ("now", now)):
        print(f"{name:7} {median(us):5.2f} µs an event (least {min(us):.2f})")
    middle = f"{ratios[quarter]:.3f} to {ratios[-quarter - 1]:.3f}"
    print(f"ratio   {median(ratios):.3f} (the middle half {middle})")


if __name__ == "__main__":
    main()
