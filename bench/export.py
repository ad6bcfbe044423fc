"""`make bench-export`: how much memory an export of many events takes, in both processes.

    python -m bench.export [EVENTS]

Memory is the peak of what is resident (VmHWM), above that of the server at rest, and of a
process of an export that has been asked nothing. Linux alone.
"""

import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx
import orjson

EVENTS: Final = 1_000_000
BULK: Final = 10_000
REST: Final = (
    "from persistence.exportworker import connected; connected(2**27).execute('SELECT 1'); "
    "print(open('/proc/self/status').read())"
)


def main() -> None:
    """Fill a server, start it anew, export in every format."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory() as folder:
        with served(folder) as (_, client):
            fill(client, events)
        with served(folder) as (pid, client):
            _wait(client)
            rest = subprocess.run(
                [sys.executable, "-c", REST], capture_output=True, text=True, check=True
            )
            worker_rest = _peak(rest.stdout)
            print(f"{events:,} events; above rest, in MiB (clock in s, answer in MB):")
            for format_ in ("csv", "json", "ndjson", "parquet"):
                _measure(client, pid, worker_rest, format_)


def _measure(client: httpx.Client, pid: int, worker_rest: float, format_: str) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")
    rest = _peak(_status(pid))
    began, size, worker = time.perf_counter(), 0, 0.0
    with client.stream("GET", f"/export/events?format={format_}") as reply:
        assert reply.status_code == 200
        for piece in reply.iter_raw():
            size += len(piece)
            worker = max(worker, *map(_worker_peak, _children(pid)), 0.0)
    took_s = time.perf_counter() - began
    server = _peak(_status(pid)) - rest
    print(
        f"  {format_:8} server {server:6.1f}   worker {worker - worker_rest:6.1f}   "
        f"({took_s:.1f} s, {size / 1e6:,.0f} MB)"
    )


@contextmanager
def served(folder: str) -> Iterator[tuple[int, httpx.Client]]:
    """A server with its data below `folder`: its process, and a client of it."""
    words = ("serve", "--data", f"{folder}/data", "--port", "0", "--log-format", "json")
    process = subprocess.Popen(
        [sys.executable, "-m", "web.cli", *words], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    url = ""
    for line in process.stderr:
        event = orjson.loads(line)["event"]
        if event.startswith("listening on "):
            url = event.removeprefix("listening on ")
        if event == "ready":
            break
    try:
        with httpx.Client(base_url=url, timeout=600, trust_env=False) as client:
            yield process.pid, client
    finally:
        process.terminate()
        process.stderr.read()
        process.wait()
        process.stderr.close()


def fill(client: httpx.Client, events: int) -> None:
    """Send so many calls of 1,000 services, and wait until the archive has them."""
    now_ms = time.time_ns() // 1_000_000
    for first in range(0, events, BULK):
        lines = b"\n".join(
            orjson.dumps(
                {
                    "eventType": "service_execution",
                    "eventId": f"{n:032x}",
                    "timestamp": now_ms - n * 500 % 500_000_000,
                    "serviceId": f"service-{n * 7919 % 1000}",
                    "userId": f"user-{n * 104_729 % 100_000}",
                    "sessionId": f"session-{n // 10}",
                    "latencyMs": n % 1000,
                    "success": n % 50 > 0,
                }
            )
            for n in range(first, min(first + BULK, events))
        )
        while client.post("/track/bulk", content=lines).status_code == 503:
            time.sleep(0.1)
    _wait(client)


def _wait(client: httpx.Client) -> None:
    """Until the archive has every event."""
    past = "/export/events?fresh=1&startDate=2020-01-01&endDate=2020-01-01"
    while client.get(past).status_code == 503:
        time.sleep(0.1)


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [int(one) for task in tasks for one in (task / "children").read_text().split()]


def _worker_peak(pid: int) -> float:
    try:
        is_ours = b"exportworker" in Path(f"/proc/{pid}/cmdline").read_bytes()
        return _peak(_status(pid)) if is_ours else 0.0
    except (OSError, StopIteration):
        return 0.0  # it has ended


def _status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def _peak(status: str) -> float:
    line = next(one for one in status.splitlines() if one.startswith("VmHWM"))
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load {os.getloadavg()}")
    main()
