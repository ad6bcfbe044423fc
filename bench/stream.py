"""`make bench-stream`: what subscribers of the live stream cost, beside two made with FastAPI.

One process serves, another holds all connections and reads. CPU is that of the serving process
alone, by the system's account; the spread is what the reader sees, its own work included.
"""

import argparse
import os
import platform
import re
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]
OTHER_PYTHON: Final = ROOT / ".venv-bench/bin/python"
SERVERS: Final = ("tallymark", "encoded once", "sse-starlette")
SETTLE_S: Final = 3.0
REQUEST: Final = b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n"
TIMESTAMP: Final = re.compile(rb'"timestamp": ?(\d+)')
TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
CONNECTS_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class Found:
    """One server with some subscribers.

    cpu_percent       of one core
    spreads_ms        for each frame, from the first to the last subscriber that got it
    bytes_each        resident memory of the server by which a subscriber made it grow
    frames_per_s      that all subscribers together got
    """

    cpu_percent: float
    spreads_ms: list[float]
    bytes_each: float
    frames_per_s: float


def main() -> None:
    """Run what the command line asks for, and print it."""
    parser = argparse.ArgumentParser(prog="python -m bench.stream", description=__doc__)
    parser.add_argument("--subscribers", type=int, nargs="*", default=[2_000, 5_000])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--servers", nargs="*", choices=SERVERS, default=list(SERVERS))
    words = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(f"{now}, {os.cpu_count()} cores {platform.machine()}, Python ", end="")
    print(f"{platform.python_version()}, load average {load}")
    print(f"One frame a second for {words.seconds:g} s\n")
    for subscribers in words.subscribers:
        for name in words.servers:
            with serving(name, subscribers) as (process, port):
                _print(name, subscribers, measured(process, port, subscribers, words.seconds))


def _print(name: str, subscribers: int, found: Found) -> None:
    spreads = sorted(found.spreads_ms)
    median, worst = spreads[len(spreads) // 2], spreads[-1]
    print(
        f"  {subscribers:6,} × {name:14} {found.cpu_percent:5.1f} % of a core   "
        f"first to last: median {median:6.1f} ms, most {worst:6.1f} ms   "
        f"{found.bytes_each / 1024:5.1f} KB each   {found.frames_per_s:7,.0f} frames/s"
    )


@contextmanager
def serving(name: str, subscribers: int) -> Iterator[tuple[int, int]]:
    """Start a server; yields its process and port."""
    with tempfile.TemporaryDirectory() as folder:
        if name == "tallymark":
            words = [sys.executable, "-m", "web.cli", "serve", "--port", "0"]
            words += ["--data", folder, "--durability", "none", "--log-format", "json"]
            more = {"TALLYMARK_STREAM_SUBSCRIBERS_MAX": str(subscribers)}
            ready = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")
        else:
            kind = "sse" if name == "sse-starlette" else "once"
            # As a module: beside a script of this folder `http` would be ours, not Python's.
            words, more = [str(OTHER_PYTHON), "-m", "bench.stream_fastapi", kind], {}
            ready = re.compile(r"^(\d+)$")
        server = subprocess.Popen(
            words,
            cwd=ROOT,
            env=os.environ | more,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert server.stdout is not None
            found = None
            while found is None:
                line = server.stdout.readline()
                assert line, f"{name} has ended"
                found = ready.search(line)
            yield server.pid, int(found[1])
        finally:
            server.kill()
            server.wait()


def measured(process: int, port: int, subscribers: int, seconds: float) -> Found:
    """Connect all, let it settle, and watch."""
    with selectors.DefaultSelector() as selector:
        before_bytes = resident_bytes(process)
        connections = [connected(port, selector, n) for n in range(subscribers)]
        read(selector, SETTLE_S)
        cpu_s, started = cpu_seconds(process), time.monotonic()
        arrivals = read(selector, seconds)
        took_s = time.monotonic() - started
        cpu_s = cpu_seconds(process) - cpu_s
        grown_bytes = resident_bytes(process) - before_bytes
        for connection in connections:
            connection.close()
    # The first and the last frame may have been seen by some alone.
    frames = [arrivals[at] for at in sorted(arrivals)][1:-1]
    return Found(
        cpu_percent=100 * cpu_s / took_s,
        spreads_ms=[1000 * (last - first) for first, last, _ in frames],
        bytes_each=grown_bytes / subscribers,
        frames_per_s=sum(count for _, _, count in arrivals.values()) / took_s,
    )


def connected(port: int, selector: selectors.BaseSelector, number: int) -> socket.socket:
    """One more subscriber."""
    connection = socket.create_connection(("127.0.0.1", port))
    connection.sendall(REQUEST)
    connection.setblocking(False)
    selector.register(connection, selectors.EVENT_READ)
    if number % CONNECTS_AT_ONCE == 0:
        read(selector, 0.1)
    return connection


def read(
    selector: selectors.BaseSelector, seconds: float
) -> dict[bytes, tuple[float, float, int]]:
    """Read what comes; {timestamp of a frame: (first, last arrival, how many got it)}."""
    arrivals: dict[bytes, tuple[float, float, int]] = {}
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            assert isinstance(key.fileobj, socket.socket)
            content = key.fileobj.recv(65_536)
            assert content, "the server has ended a stream"
            now = time.monotonic()
            for stamp in TIMESTAMP.findall(content):
                first, _, count = arrivals.get(stamp, (now, now, 0))
                arrivals[stamp] = first, now, count + 1
    return arrivals


def cpu_seconds(process: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS_PER_S


def resident_bytes(process: int) -> int:
    """Memory of a process that is in RAM."""
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    main()
