"""How long it takes to take a person out of an archive: every file read, and written anew.

    python -m bench.erasure [--rows 5000000] [--days 30] [--users 200000]

Rows are made by DuckDB, sorted and packed as the archive's own; the person has rows in every
file, which is the worst that one can have. Printed: what each part costs, and rows a second.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

import duckdb

from engine.erasure import KEY_BYTES, Secret
from persistence.archive.columns import SORTED_BY, STORED, filed_of, literal, quoted
from persistence.archive.erasing import Eraser
from persistence.archive.manifest import Tombstone
from persistence.archive.parquet import MERGED_AS, Merger
from persistence.archive.rows import Tally
from persistence.archive.store import ArchiveStore, made

PERSON = "user-7"
DAY_MS = 86_400_000
FIRST_DAY_MS = 1_788_220_800_000  # 1 September 2026

ROW = {
    "index1": "'svc-' || (hash(i) % 1000)",
    "timestamp": "make_timestamp({day_ms} * 1000 + (i % 86400) * 1000000)",
    "timestampMillis": "i % 1000",
    "_sample_interval": "1",
    "seq": "{first} + i",
    "receivedAt": "make_timestamp({day_ms} * 1000 + (i % 86400) * 1000000)",
    "eventType": "'service_execution'",
    "blob2": "'svc-' || (hash(i) % 1000)",
    "eventId": "uuid()",
    "userId": "'user-' || (hash(i + {first}) % {users})",
    "sessionId": "uuid()",
    "serviceId": "'svc-' || (hash(i) % 1000)",
    "latencyMs": "random() * 1000",
    "success": "i % 50 > 0",
    "executionId": "uuid()",
}


def fill(store: ArchiveStore, *, rows: int, days: int, users: int) -> int:
    """A file for each day; the last number."""
    connection = duckdb.connect(config={"threads": "1"})
    order = ", ".join(map(quoted, SORTED_BY))
    each = rows // days
    with Merger(store.temp) as merger:
        for day in range(days):
            day_ms, first = FIRST_DAY_MS + day * DAY_MS, day * each + 1
            columns = ", ".join(
                f"({ROW.get(c.name, 'NULL')})::{c.sql_type} AS {quoted(c.name)}" for c in STORED
            ).format(day_ms=day_ms, first=first, users=users)
            date = time.strftime("%Y-%m-%d", time.gmtime(day_ms // 1000))
            name = store.free_name(date, first, first + each - 1)
            path = store.folder / name
            path.parent.mkdir(exist_ok=True)
            source = filed_of(f"(SELECT {columns} FROM range({each}) AS t(i))")
            connection.execute(
                f"COPY (SELECT * FROM {source} ORDER BY {order}) TO {literal(str(path))} "
                f"{MERGED_AS}"
            )
            tally = Tally(events=(day + 1) * each, rows=(day + 1) * each)
            store.advance(first + each - 1, tally, made(name, merger.content(path), day_ms))
    return days * each


def main() -> None:
    """Print what it costs."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--users", type=int, default=200_000)
    asked = parser.parse_args()
    secret = Secret(bytes(KEY_BYTES))
    name = secret.name_of(PERSON).hex()
    print(f"load average {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="tallymark-bench-") as folder:
        store = ArchiveStore(Path(folder), grace_s=0)
        last_seq = fill(store, rows=asked.rows, days=asked.days, users=asked.users)
        size_mb = store.manifest.size_bytes / 1e6
        print(f"{last_seq:,} rows in {len(store.manifest.files)} files, {size_mb:,.0f} MB")
        with Merger(store.temp) as merger:
            started = time.perf_counter()
            for file in store.manifest.files:
                merger.users_named(store.path_of(file), [name], secret.salt)
            _tell("finding by the hash alone", time.perf_counter() - started, last_seq)
            store.advance(
                last_seq + 1, store.manifest.tally, None, Tombstone(name, last_seq + 1)
            )
            eraser = Eraser(store, secret.salt)
            started, cpu = time.perf_counter(), time.process_time()
            while eraser.step(merger, now_ms=FIRST_DAY_MS):
                pass
            store.sweep()
            eraser.step(merger, now_ms=FIRST_DAY_MS)
            took_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu
        assert not store.manifest.erasing
        _tell("erasing, every file written anew", took_s, last_seq)
        print(f"  of it processor time {cpu_s:,.1f} s; {store.manifest.erased:,} rows went")


def _tell(what: str, seconds: float, rows: int) -> None:
    rate = rows / seconds
    at_100_m = 1e8 / rate / 60
    print(f"{what}: {seconds:,.1f} s, {rate:,.0f} rows/s; 100 M rows: {at_100_m:,.1f} minutes")


if __name__ == "__main__":
    main()
