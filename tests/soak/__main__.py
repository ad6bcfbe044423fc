"""A server under mixed load for minutes or hours: does memory level off, do queues drain?

    make soak ARGS="--minutes 60 --rate 3000"

Writers, fifty questions a second and a hundred subscribers (profile `mixed` of `tallymark
load`) against a server of its own with an archive; each row is a sample. Ends with 0 when the
load's own check counted every event, memory has levelled off, and the queue is empty at last.
A merge of much comes seldom, so of the archive what counts is the level between them.
Bounds that would be reached after days are set lower, so that they are reached here.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

from prometheus_client.parser import text_string_to_metric_families

from persistence.archive.parquet import MEMORY_MB
from tests.server import ROOT, Server, environment

SETTINGS = """
dedupe_ids_max = 200_000
snapshot_interval_s = 10
segment_bytes_max = 8_388_608
"""

LEVEL_MAX = 1.10
LEVEL_MB = 16.0
"""The most of the last quarter may be this much, times and plus, above that of the second."""

Level = Callable[[list[float]], float]
"""Megabytes of some samples to the one figure that stands for them."""


class Sample(NamedTuple):
    """Memory of the server and of its archive's process, and how the server does."""

    at_s: int
    server_mb: float
    archive_mb: float
    events: int
    queue_events: int
    inbox_groups: int
    journal_mb: float
    open_files: int
    question_ms: float


def resident_mb(pid: int) -> float:
    """0 where there is no such process just now."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmRSS:")]
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def sampled(server: Server, started_s: float) -> Sample:
    text = server.client.get("/metrics/prometheus").raise_for_status().text
    found = {s.name: s.value for f in text_string_to_metric_families(text) for s in f.samples}
    asked_s = time.monotonic()
    server.client.get("/metrics/services").raise_for_status()
    question_ms = (time.monotonic() - asked_s) * 1000
    archive = server.client.get("/health").raise_for_status().json()["archive"]
    return Sample(
        at_s=round(time.monotonic() - started_s),
        server_mb=round(resident_mb(server.pid), 1),
        archive_mb=round(resident_mb(archive["process"] or 0), 1),
        events=int(found["tallymark_events_total"]),
        queue_events=int(found["tallymark_queue_events"]),
        inbox_groups=int(found["tallymark_inbox_groups"]),
        journal_mb=round(found["tallymark_journal_bytes"] / 2**20, 1),
        open_files=int(found["process_open_fds"]),
        question_ms=round(question_ms, 1),
    )


def samples(
    server: Server, load: "subprocess.Popen[bytes]", interval_s: float
) -> Iterator[Sample]:
    """One each interval while the load lasts."""
    started_s = time.monotonic()
    while load.poll() is None:
        yield sampled(server, started_s)
        time.sleep(interval_s)
    yield sampled(server, started_s)


def has_levelled_off(values_mb: list[float], level: Level = max) -> bool:
    """Whether the last quarter is no higher than the second, but for a little.

    level  of a quarter: its maximum, or what is there between peaks that come and go
    """
    quarter = max(1, len(values_mb) // 4)
    second, last = values_mb[quarter : 2 * quarter], values_mb[-quarter:]
    return level(last) <= level(second) * LEVEL_MAX + LEVEL_MB


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=int, default=2_000, help="events a second")
    parser.add_argument("--interval", type=float, default=5, help="seconds between samples")
    parser.add_argument("--csv", type=Path, help="where the samples are kept")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tallymark-soak-") as name:
        folder = Path(name)
        settings = folder / "soak.toml"
        settings.write_text(SETTINGS)
        with Server(folder / "data", "--config", str(settings), "--archive") as server:
            load = subprocess.Popen(
                [
                    *(sys.executable, "-m", "web.cli", "load", "run", server.url),
                    *("--profile", "mixed", "--rate", f"{asked.rate}/s"),
                    *("--duration", f"{round(asked.minutes * 60)}s"),
                ],
                cwd=ROOT,
                env=environment(),
            )
            found = []
            for sample in samples(server, load, asked.interval):
                found.append(sample)
                print(*(f"{key}={value}" for key, value in sample._asdict().items()))
            code = server.stop()
    if asked.csv:
        with asked.csv.open("w", newline="") as file:
            csv.writer(file).writerows([Sample._fields, *found])
    archive_mb = [s.archive_mb for s in found]
    said = {
        "the load's own check": load.returncode == 0,
        "a clean stop": code == 0,
        "memory of the server levels off": has_levelled_off([s.server_mb for s in found]),
        "memory of the archive levels off between merges": has_levelled_off(archive_mb, median),
        "a merge stays within its bound": max(archive_mb) <= median(archive_mb) + MEMORY_MB,
        "the queue is empty in the end": found[-1].queue_events == 0,
        "open files do not grow": found[-1].open_files <= found[len(found) // 4].open_files + 8,
    }
    for what, holds in said.items():
        print("yes" if holds else "NO ", what)
    return 0 if all(said.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
