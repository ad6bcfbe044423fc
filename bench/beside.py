"""`make bench-beside`: what a heavy query does to the latency of events that come meanwhile.

    python -m bench.beside [EVENTS]

A server with so many events takes 1,000 a second, 25 a request, in stretches of five seconds.
In every second stretch another client asks for percentiles of all services again and again.
"""

import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from statistics import median
from typing import Any, Final, Self

import httpx

from bench.export import fill, served

EVENTS: Final = 500_000
ROUNDS: Final = 5
RATE: Final = "1000/s"
DURATION: Final = "5s"
QUERY: Final = (
    "SELECT serviceId, uniq(userId) AS users, quantileExactWeighted(0.5)(latencyMs, 1) AS p50, "
    "quantileExactWeighted(0.99)(latencyMs, 1) AS p99 FROM events GROUP BY serviceId"
)


def main() -> None:
    """Print p50 and p99 of each stretch, and by how much p99 moves."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    with tempfile.TemporaryDirectory() as folder, served(folder) as (_, client):
        fill(client, events)
        print(f"{events:,} events, {RATE} in requests of 25, {ROUNDS} rounds of {DURATION}:")
        alone, beside, queries = [], [], 0
        for number in range(ROUNDS):
            alone.append(stretch(client, folder, 2 * number))
            with _Asking(client) as asking:
                beside.append(stretch(client, folder, 2 * number + 1))
            queries += asking.answered
    for level in ("p50", "p99"):
        one, other = (median(one[level] for one in side) for side in (alone, beside))
        moved = median(b[level] - a[level] for a, b in zip(alone, beside, strict=True))
        print(
            f"  {level}   alone {one:7.2f} ms   beside {other:7.2f} ms   moved {moved:+7.2f} ms"
        )
    print(f"  {queries} queries were answered meanwhile")


def stretch(client: httpx.Client, folder: str, seed: int) -> dict[str, Any]:
    """Percentiles of the latency of events, sent for DURATION, in milliseconds."""
    told = Path(folder) / "load.json"
    words = ("--rate", RATE, "--duration", DURATION, "--batch", "25", "--no-check")
    labels = ("--seed", str(seed), "--label", f"beside-{seed}", "--json", str(told))
    subprocess.run(
        [sys.executable, "-m", "web.cli", "load", "run", str(client.base_url), *words, *labels],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    found: dict[str, Any] = json.loads(told.read_text())["latencies"]["percentiles"]
    return found


class _Asking:
    """Another client that asks the query again and again."""

    def __init__(self, client: httpx.Client) -> None:
        self.answered = 0
        self._url = client.base_url
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx.Client(base_url=self._url, timeout=60, trust_env=False) as client:
            while not self._stop.is_set():
                reply = client.post("/sql", content=QUERY)
                assert reply.status_code == 200, reply.text
                self.answered += 1


if __name__ == "__main__":
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    print(f"Python {platform.python_version()}, {os.cpu_count()} CPUs, load average {load}")
    main()
