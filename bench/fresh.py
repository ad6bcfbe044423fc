"""`make bench-fresh`: whether SQL sees what was acknowledged, while 50,000 events/s come in.

    python -m bench.fresh [SECONDS]

A question with `fresh=1` counts, so all of that was acknowledged; a second later one without it
must see as many.
"""

import subprocess
import sys
import tempfile
import time
from statistics import median
from typing import Final

import httpx

from bench.export import served

SECONDS: Final = 10
RATE: Final = 50_000
BEGIN_S: Final = 2.0
SEEN_AFTER_S: Final = 1.0
QUESTION: Final = "SELECT count() AS n FROM events"


def main() -> None:
    """Print how long a question that sees everything takes, and what one without that lacks."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with tempfile.TemporaryDirectory() as folder, served(folder) as (_, client):
        words = ("--rate", f"{RATE}/s", "--duration", f"{seconds}s", "--batch", "250")
        with subprocess.Popen(
            [sys.executable, "-m", "web.cli", "load", "run", str(client.base_url), *words],
            stdout=subprocess.DEVNULL,
        ) as load:
            try:
                took_ms, lacking = _watched(load, client)
            finally:
                load.terminate()  # it has ended unless a question failed
        assert load.returncode == 0, "not all events were taken"
        rows = _count(client, "?fresh=1")
    print(f"{rows:,} events at {RATE:,}/s, all in the archive; {len(took_ms)} times:")
    print(f"  fresh=1: median {median(took_ms):.0f} ms, most {max(took_ms):.0f} ms")
    print(f"  without, {SEEN_AFTER_S:g} s later: {max(lacking):,} lacking at the most")


def _watched(
    load: subprocess.Popen[bytes], client: httpx.Client
) -> tuple[list[float], list[int]]:
    """Until the load ends: ms that questions with `fresh=1` took, and what others lacked."""
    took_ms: list[float] = []
    lacking: list[int] = []
    time.sleep(BEGIN_S)
    while load.poll() is None:
        begun = time.perf_counter()
        acknowledged = _count(client, "?fresh=1")
        took_ms.append((time.perf_counter() - begun) * 1_000)
        time.sleep(SEEN_AFTER_S)
        lacking.append(max(0, acknowledged - _count(client, "")))
    return took_ms, lacking


def _count(client: httpx.Client, words: str) -> int:
    reply = client.post(f"/sql{words}", content=QUESTION)
    assert reply.status_code == 200, reply.text
    return int(reply.json()["data"][0]["n"])


if __name__ == "__main__":
    main()
