"""`make bench-attacks`: what hostile clients do to the latency of events of others.

    python -m bench.attacks [ROUNDS]

A server takes 1,000 events a second in stretches of five seconds. In every second stretch
hostile clients do one thing as fast as they get answers, or keep hundreds of connections stuck.
What counts is the ratio of two stretches that follow one another, not their times.
"""

import contextlib
import gzip
import os
import platform
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Final, Self

import zstandard

from bench.beside import stretch
from bench.export import served

ROUNDS: Final = 3
HOSTILE: Final = 4
"""Clients that send, and wait for the answer, again and again."""

STUCK: Final = 250
DRIP_S: Final = 0.2
MIB: Final = 2**20
LINES: Final = b"\n" * (256 * MIB)


def request(target: bytes, body: bytes, *headers: bytes, length: int | None = None) -> bytes:
    """Raw bytes that end their connection."""
    lines = [target + b" HTTP/1.1", b"Host: localhost", b"Connection: close", *headers]
    lines.append(b"Content-Length: %d" % (len(body) if length is None else length))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


REPEATED: Final = {
    "gzip bombs of 256 MiB": request(
        b"POST /track/bulk", gzip.compress(LINES, 9), b"Content-Encoding: gzip"
    ),
    "zstd bombs of 256 MiB": request(
        b"POST /track/bulk", zstandard.compress(LINES, 19), b"Content-Encoding: zstd"
    ),
    "nesting 60,000 deep": request(b"POST /track", b"[" * 60_000),
    "nesting in a query": request(b"POST /sql", b"SELECT " + b"(" * 8_000),
    "bodies of a megabyte, invalid": request(b"POST /track", b"{" + b" " * (MIB - 2)),
}
"""{attack: bytes that are sent again and again}"""

DRIPPED: Final = {
    "heads that drip": b"POST /tr",
    "bodies that drip": request(b"POST /track", b"{", length=1_000),
    "bodies that drip, no lane": request(b"POST /dashboards", b"{", length=1_000),
}
"""{attack: what each of STUCK connections begins with}"""


def main() -> None:
    """Print for each attack by which factor the latency of others moves."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    print(f"1,000 events a second in requests of 25, {rounds} pairs of stretches each:")
    with tempfile.TemporaryDirectory() as folder, served(folder) as (process, client):
        seed = 0
        attacks: dict[str, Callable[[], None]] = {}
        port = client.base_url.port
        assert port is not None
        stop = threading.Event()
        for name, raw in REPEATED.items():
            attacks[name] = lambda raw=raw: _repeat(port, raw, stop)
        for name, raw in DRIPPED.items():
            attacks[name] = lambda raw=raw: _drip(port, raw, stop)
        for name, attack in attacks.items():
            hostile = 1 if name in DRIPPED else HOSTILE
            pairs: list[tuple[dict[str, float], dict[str, float]]] = []
            used_s: list[float] = []
            for _ in range(rounds):
                before = stretch(client, folder, seed)
                with _Hostile(attack, hostile, stop):
                    began_s = _cpu_s(process)
                    beside = stretch(client, folder, seed + 1)
                    used_s.append(_cpu_s(process) - began_s)
                seed += 2
                pairs.append((before, beside))
            told = "   ".join(_moved(level, pairs) for level in ("p50", "p99"))
            print(f"  {name:30} {told}   server {median(used_s):5.2f} s of CPU", flush=True)


def _moved(level: str, pairs: list[tuple[dict[str, float], dict[str, float]]]) -> str:
    """A percentile alone and beside, and by which factor it moved from one to the other."""
    alone, beside = (
        median(side[level] for side in sides) for sides in zip(*pairs, strict=True)
    )
    factor = median(after[level] / before[level] for before, after in pairs)
    return f"{level} {alone:6.2f} → {beside:6.2f} ms, × {factor:5.2f}"


class _Hostile:
    """Hostile clients, each in a thread, while the block runs."""

    def __init__(self, attack: Callable[[], None], count: int, stop: threading.Event) -> None:
        self._stop = stop
        self._threads = [threading.Thread(target=attack) for _ in range(count)]

    def __enter__(self) -> Self:
        self._stop.clear()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=60)


def _repeat(port: int, raw: bytes, stop: threading.Event) -> None:
    while not stop.is_set():
        with contextlib.suppress(OSError), _connected(port) as connection:
            connection.sendall(raw)
            while connection.recv(65_536):
                pass


def _drip(port: int, opening: bytes, stop: threading.Event) -> None:
    """Keep STUCK connections open by a letter now and then; who is cut off comes again."""
    with contextlib.ExitStack() as stack:
        stuck: list[socket.socket] = []
        while not stop.is_set():
            with contextlib.suppress(OSError):  # who is not let in comes again, too
                while len(stuck) < STUCK:
                    one = stack.enter_context(_connected(port))
                    one.sendall(opening)
                    stuck.append(one)
            stuck = [one for one in stuck if _takes_more(one)]
            stop.wait(DRIP_S)


def _takes_more(connection: socket.socket) -> bool:
    try:
        connection.send(b"a")
        return not connection.recv(1, socket.MSG_DONTWAIT | socket.MSG_PEEK)
    except BlockingIOError:
        return True
    except OSError:
        return False


def _cpu_s(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load average {load}")
    main()
