"""`make bench-sql`: what SQL costs beside DuckDB itself over the same events, not sorted.

    python -m bench.sql [EVENTS [FOLDER]]

The files take minutes to make; a folder keeps them for the next time.

Beside chdb too, where it is installed: `.venv-bench/bin/pip install chdb`, 500 MB. Times are of
the clock, medians of rounds in which all take turns; ratios are what counts. Workers of SQL are
nice, so on a busy machine the ratio of CPU is the one that means something.
"""

import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import duckdb
import orjson
import trio

from bench.http_servers import BENCH_PYTHON
from engine.config import Config
from persistence.archive.columns import SORTED_BY, STORED, SUFFIX, Hidden, filed_of, quoted
from persistence.archive.parquet import MERGED_AS
from web.sql import Asked, Sql

EVENTS: Final = 5_000_000
SERVICES: Final = 1_000
DAYS: Final = 30
ROUNDS: Final = 21
TRIPS: Final = 300
PLAIN: Final = "plain.parquet"
START: Final = "TIMESTAMP '2025-09-01'"

_MADE: Final = {
    "index1": "'service-' || (hash(n) % {services})",
    "timestamp": "date_trunc('second', moment)",
    "timestampMillis": "(epoch_ms(moment) % 1000)::SMALLINT",
    "_sample_interval": "1::UINTEGER",
    "seq": "n",
    "receivedAt": "moment",
    "eventType": "'service_execution'",
    "blob2": "'service-' || (hash(n) % {services})",
    "userId": "'user-' || (hash(n * 3 + 1) % 100000)",
    "sessionId": "'session-' || (hash(n * 3 + 1) % 1000000)",
    "serviceId": "'service-' || (hash(n) % {services})",
    "latencyMs": "round(exp(3 + (hash(n * 7 + 5) % 1000) / 250.0), 1)",
    "success": "hash(n * 5 + 2) % 50 > 0",
    "errorCode": "CASE WHEN hash(n * 5 + 2) % 50 > 0 THEN NULL ELSE 'TIMEOUT' END",
}
"""How the columns of an event number n at its `moment` are made; all others are null."""

QUESTIONS: Final = (
    (
        "one service: count, percentiles, errors",
        "SELECT count() AS n, quantileExactWeighted(0.5)(double1, _sample_interval) AS p50, "
        "quantileExactWeighted(0.95)(double1, _sample_interval) AS p95, "
        "quantileExactWeighted(0.99)(double1, _sample_interval) AS p99, "
        "countIf(blob6 = 'error') / count() AS e FROM events WHERE index1 = 'service-17'",
        "SELECT count(*), quantile_disc(latencyMs, [0.5, 0.95, 0.99]), count(*) FILTER (NOT "
        "success) / count(*) FROM plain WHERE serviceId = 'service-17'",
        "SELECT count(), quantilesExact(0.5, 0.95, 0.99)(latencyMs), countIf(NOT success) / "
        "count() FROM plain WHERE serviceId = 'service-17'",
        0.5,
    ),
    (
        "all 1,000 services: the same",
        "SELECT index1 AS s, count() AS n, quantileExactWeighted(0.5)(double1, "
        "_sample_interval) "
        "AS p50, quantileExactWeighted(0.95)(double1, _sample_interval) AS p95, "
        "quantileExactWeighted(0.99)(double1, _sample_interval) AS p99, "
        "countIf(blob6 = 'error') / count() AS e FROM events GROUP BY s",
        "SELECT serviceId, count(*), quantile_disc(latencyMs, [0.5, 0.95, "
        "0.99]), count(*) FILTER "
        "(NOT success) / count(*) FROM plain GROUP BY serviceId",
        "SELECT serviceId, count(), quantilesExact(0.5, 0.95, 0.99)(latencyMs), countIf(NOT "
        "success) / count() FROM plain GROUP BY serviceId",
        1.2,
    ),
    (
        "distinct users of each day",
        "SELECT toDate(timestamp) AS d, count(DISTINCT blob3) AS u FROM events GROUP BY d",
        "SELECT timestamp::DATE, count(DISTINCT userId) FROM plain GROUP BY 1",
        "SELECT toDate(timestamp), uniqExact(userId) FROM plain GROUP BY 1",
        1.2,
    ),
)
"""What is asked of us, what of DuckDB, what of chdb, and the ratio to DuckDB to reach."""


class _Files:
    """The archive of the benchmark: every file, whatever the time."""

    is_found = True

    def __init__(self, files: list[Path]) -> None:
        self._files = files

    def hidden(self) -> Hidden:
        return Hidden("", ())

    def parts(self, start_ms: int, end_ms: int) -> list[Path]:
        return self._files

    async def fresh(self) -> None:
        return


def main() -> None:
    """Print what a round trip costs, and the three questions beside DuckDB."""
    events = int(sys.argv[1]) if len(sys.argv) > 1 else EVENTS
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(f"{now}, {os.cpu_count()} cores {platform.machine()}, ", end="")
    print(f"DuckDB {duckdb.__version__}, load average {load}\n")
    with tempfile.TemporaryDirectory() as folder:
        kept = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(folder)
        if not (kept / PLAIN).exists():
            _make(kept, events)
        elif (found := _events_of(kept / PLAIN)) != events:
            sys.exit(f"{kept} holds {found:,} events and not {events:,}: name another folder.")
        files = sorted(kept.glob(f"*{SUFFIX}"))
        trio.run(partial(_ask, Path(folder), files, kept / PLAIN, events))


def _events_of(plain: Path) -> int:
    (found,) = duckdb.execute(f"SELECT count(*) FROM '{plain}'").fetchall()[0]
    return int(found)


def _make(folder: Path, events: int) -> None:
    """One sorted file a day as the archive has them, and one of all events as they came."""
    columns = ", ".join(
        f"({_MADE.get(column.name, 'NULL').format(services=SERVICES)})::{column.sql_type} "
        f"AS {quoted(column.name)}"
        for column in STORED
    )
    seconds = DAYS * 86_400 / events
    at = f"{START} + to_microseconds((n * {seconds} * 1000000)::BIGINT)"
    source = f"SELECT n, {at} AS moment FROM range({events}) r(n)"
    order = ", ".join(quoted(name) for name in SORTED_BY)
    folder.mkdir(exist_ok=True)
    with duckdb.connect(config={"temp_directory": str(folder)}) as connection:
        for day in range(DAYS):
            first, last = day * events // DAYS, (day + 1) * events // DAYS
            path = folder / f"{day:02}{SUFFIX}"
            day_of = f"({source} WHERE n >= {first} AND n < {last})"
            connection.execute(
                f"COPY (FROM {filed_of(f'(SELECT {columns} FROM {day_of})')} "
                f"ORDER BY {order}) TO '{path}' {MERGED_AS}"
            )
        plain = folder / PLAIN
        connection.execute(f"COPY (SELECT {columns} FROM ({source})) TO '{plain}'")


async def _ask(folder: Path, files: list[Path], plain: Path, events: int) -> None:
    config = Config(data=folder, sql_threads=os.cpu_count() or 2, sql_deadline_s=600)
    log: Callable[..., object] = print
    async with trio.open_nursery() as nursery:
        sql = Sql(config, _Files(files), log=log)
        await nursery.start(sql.run)
        nothing = Sql(config, _Files([]), log=log)
        await nursery.start(nothing.run)
        await _trips(nothing)
        await _questions(sql, plain, events)
        sql.stop()
        nothing.stop()


async def _trips(sql: Sql) -> None:
    print(f"Parse, check, rewrite and round trip, median and 95 of {TRIPS}, no files:")
    for told in ("SELECT {} AS x", QUESTIONS[0][1].replace("17'", "{}'")):
        took_ms = []
        for number in range(100, 100 + TRIPS):  # no text twice, whose tree would be kept
            took_ms.append(await _took_ms(sql, told.format(number)))
        took_ms.sort()
        shown = f"{took_ms[TRIPS // 2]:5.2f} ms   {took_ms[TRIPS * 95 // 100]:5.2f} ms"
        print(f"  {len(told):4} characters   {shown}   (to reach: 4 ms)")


async def _questions(sql: Sql, plain: Path, events: int) -> None:
    print(f"\n{events:,} events, {DAYS} days, {SERVICES:,} services, {ROUNDS} rounds:")
    with duckdb.connect() as connection, _chdb(plain) as of_chdb:
        connection.execute(f"CREATE VIEW plain AS SELECT * FROM read_parquet('{plain}')")
        for name, *questions, goal in QUESTIONS:
            rounds: list[tuple[float, float, float]] = []
            cpu: list[tuple[float, float]] = []
            for number in range(ROUNDS):
                service = f"'service-{17 + number}'"  # a worker keeps the tree of a text
                ours, theirs, chdbs = (
                    text.replace("'service-17'", service) for text in questions
                )
                begun, begun_cpu = time.perf_counter(), time.process_time()
                connection.execute(theirs).fetchall()
                direct_cpu = time.process_time() - begun_cpu
                direct_ms = (time.perf_counter() - begun) * 1_000
                begun_cpu = _cpu_s(sql)
                took_ms = await _took_ms(sql, ours)
                cpu.append((_cpu_s(sql) - begun_cpu, direct_cpu))
                rounds.append((took_ms, direct_ms, of_chdb(chdbs)))
            one, other, third = (median(side) for side in zip(*rounds, strict=True))
            print(f"  {name}, to reach: ×{goal}")
            print(
                f"    {one:7.1f} ms   DuckDB {other:7.1f} ms ×{_ratio(rounds):4.2f}, of CPU "
                f"×{_ratio(cpu):4.2f}   chdb {third:7.1f} ms "
                f"×{_ratio([(mine, its) for mine, _, its in rounds]):4.2f}"
            )


def _ratio(pairs: Sequence[tuple[float, ...]]) -> float:
    return median(pair[0] / pair[1] for pair in pairs)


def _cpu_s(sql: Sql) -> float:
    """Seconds of CPU that this process and the workers have used, in all their threads."""
    threads = [
        thread
        for pid in sql.process_ids
        for thread in Path(f"/proc/{pid}/task").glob("*/schedstat")
    ]
    return time.process_time() + sum(int(one.read_text().split()[0]) for one in threads) / 1e9


@contextmanager
def _chdb(plain: Path) -> Iterator[Callable[[str], float]]:
    """From a question to the milliseconds that chdb takes for it; infinity without chdb."""
    has_it = "import importlib.util as i, sys; sys.exit(i.find_spec('chdb') is None)"
    if not BENCH_PYTHON.exists() or subprocess.run([BENCH_PYTHON, "-c", has_it]).returncode:
        print("  (without chdb: .venv-bench does not have it)")
        yield lambda _: math.inf
        return
    process = subprocess.Popen(
        [BENCH_PYTHON, "-m", "bench.sql_chdb"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process as chdb:
        assert chdb.stdin is not None
        assert chdb.stdout is not None
        to_it, from_it = chdb.stdin, chdb.stdout
        print(f"  (ClickHouse of chdb: {from_it.readline().strip()})")

        def took_ms(question: str) -> float:
            told = question.replace("FROM plain", f"FROM file('{plain}', Parquet)")
            to_it.write(json.dumps(f"{told} FORMAT Null") + "\n")
            to_it.flush()
            return float(from_it.readline())

        yield took_ms


async def _took_ms(sql: Sql, told: str) -> float:
    begun = time.perf_counter()
    answer = await sql.answer(Asked(text=told, extra=True, quoted=False))
    took_ms = (time.perf_counter() - begun) * 1_000
    assert "data" in orjson.loads(answer.body)
    return took_ms


if __name__ == "__main__":
    main()
