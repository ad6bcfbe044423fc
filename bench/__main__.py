"""`make bench`: the costs of engine and archive as tables, with date, machine and load.

python -m bench [ingest] [answers] [archive]
"""

import gc
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Final

from bench.archive import archived
from bench.engine import YARDSTICK, Bench, ingest
from bench.metrics import answers
from web.collecting import tune_collector

EVENTS: Final = 250_000
ROUNDS: Final = 5
ARCHIVED: Final = 600_000
PART_EVENTS: Final = 50_000


def main() -> None:
    """Run every benchmark and print what it found."""
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(f"{now}, {os.cpu_count()} cores {platform.machine()}, Python ", end="")
    print(f"{platform.python_version()}, load average {load}\n")
    tune_collector()
    for name in sys.argv[1:] or _TABLES:
        _TABLES[name]()
        gc.unfreeze()


def _print_archive() -> None:
    print(f"\nArchive, {ARCHIVED:,} events in parts of {PART_EVENTS:,}: CPU in µs an event,")
    print("and as a multiple of msgspec's decoding alone; bytes a row on disk")
    for uuids in (False, True):
        found = archived(ARCHIVED, part_events=PART_EVENTS, uuids=uuids)
        yardstick_us = found.decoding_us
        parts = f"{found.parts_us:5.2f} ×{found.parts_us / yardstick_us:5.2f}"
        joins = f"{found.joining_us:5.2f}"
        merges = f"{found.merging_us:5.2f} ×{found.merging_us / yardstick_us:5.2f}"
        sizes = f"{found.part_bytes:5.1f}, merged {found.merged_bytes:5.1f}"
        name = "UUIDs" if uuids else "short ids"
        print(f"  {name:10} parts {parts}   joined {joins}   sorted {merges}   bytes {sizes}")


def _print_ingest() -> None:
    print(f"Engine alone, {EVENTS:,} events of eight types in groups of 250, {ROUNDS} rounds:")
    print("CPU of this process in µs an event, and as a multiple of msgspec's decoding alone")
    rounds = [ingest(EVENTS) for _ in range(ROUNDS)]
    for stage in rounds[0].us:
        costs = [found.us[stage] for found in rounds]
        ratio = median(found.us[stage] / found.us[YARDSTICK] for found in rounds)
        least = min(costs)
        print(f"  {stage:22} median {median(costs):5.2f}   least {least:5.2f}   ×{ratio:5.2f}")
    rates = [found.replayed_per_s for found in rounds]
    print(f"  {'replay, events/s':22} median {median(rates):9,.0f}   most {max(rates):9,.0f}\n")


def _print_answers() -> None:
    print("GET /metrics/services without HTTP, 300 calls a service and day, encoding included")
    with tempfile.TemporaryDirectory() as folder:
        found = answers(Bench(Path(folder)))
    for question in dict.fromkeys(answered.question for answered in found):
        asked = [answered for answered in found if answered.question == question]
        ms = median(answered.ms for answered in asked)
        slice_ms = max(answered.slice_ms for answered in asked)
        print(f"  {question:30} {ms:7.1f} ms, longest hold of the loop {slice_ms:4.1f} ms")


_TABLES: Final = {
    "ingest": _print_ingest,
    "answers": _print_answers,
    "archive": _print_archive,
}

if __name__ == "__main__":
    main()
