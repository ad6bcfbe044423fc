"""`make bench-sql`: what SQL costs beside DuckDB itself over the same events, not sorted.

    python -m bench.sql [EVENTS]

Times are of the clock, medians of rounds in which both take turns; ratios are what counts.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median
from typing import Final

import duckdb
import orjson
import trio

from engine.config import Config
from persistence.archive.columns import SORTED_BY, STORED, SUFFIX, filed_of, quoted
from persistence.archive.parquet import ROW_GROUP_ROWS
from web.sql import Asked, Sql

EVENTS: Final = 5_000_000
SERVICES: Final = 1_000
DAYS: Final = 30
ROUNDS: Final = 7
TRIPS: Final = 300
START: Final = "TIMESTAMP '2025-09-01'"

_FORMAT: Final = (
    f"(FORMAT parquet, COMPRESSION zstd, PARQUET_VERSION v2, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
)

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
        1.2,
    ),
    (
        "distinct users of each day",
        "SELECT toDate(timestamp) AS d, count(DISTINCT blob3) AS u FROM events GROUP BY d",
        "SELECT timestamp::DATE, count(DISTINCT userId) FROM plain GROUP BY 1",
        1.2,
    ),
)
"""What is asked of us, what of DuckDB, and the ratio to reach."""


class _Files:
    """The archive of the benchmark: every file, whatever the time."""

    is_ready = True

    def __init__(self, files: list[Path]) -> None:
        self._files = files

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
        files, plain = _made(Path(folder), events)
        trio.run(partial(_ask, Path(folder), files, plain, events))


def _made(folder: Path, events: int) -> tuple[list[Path], Path]:
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
    files = []
    with duckdb.connect(config={"temp_directory": str(folder)}) as connection:
        for day in range(DAYS):
            first, last = day * events // DAYS, (day + 1) * events // DAYS
            path = folder / f"{day:02}{SUFFIX}"
            day_of = f"({source} WHERE n >= {first} AND n < {last})"
            connection.execute(
                f"COPY (FROM {filed_of(f'(SELECT {columns} FROM {day_of})')} "
                f"ORDER BY {order}) TO '{path}' {_FORMAT}"
            )
            files.append(path)
        plain = folder / "plain.parquet"
        connection.execute(f"COPY (SELECT {columns} FROM ({source})) TO '{plain}'")
    return files, plain


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
    for told in ("SELECT 1 AS x", QUESTIONS[0][1]):
        took_ms = []
        for _ in range(TRIPS):
            took_ms.append(await _took_ms(sql, told))
        took_ms.sort()
        shown = f"{took_ms[TRIPS // 2]:5.2f} ms   {took_ms[TRIPS * 95 // 100]:5.2f} ms"
        print(f"  {len(told):4} characters   {shown}   (to reach: 4 ms)")


async def _questions(sql: Sql, plain: Path, events: int) -> None:
    print(f"\n{events:,} events, {DAYS} days, {SERVICES:,} services, {ROUNDS} rounds:")
    with duckdb.connect() as connection:
        connection.execute(f"CREATE VIEW plain AS SELECT * FROM read_parquet('{plain}')")
        for name, ours, theirs, goal in QUESTIONS:
            pairs = []
            for _ in range(ROUNDS):
                begun = time.perf_counter()
                connection.execute(theirs).fetchall()
                direct_ms = (time.perf_counter() - begun) * 1_000
                pairs.append((await _took_ms(sql, ours), direct_ms))
            ratio = median(one / other for one, other in pairs)
            one, other = (median(side) for side in zip(*pairs, strict=True))
            print(
                f"  {name:40} {one:7.1f} ms   DuckDB {other:7.1f} ms   "
                f"×{ratio:4.2f} (to reach: {goal})"
            )


async def _took_ms(sql: Sql, told: str) -> float:
    begun = time.perf_counter()
    answer = await sql.answer(Asked(text=told, extra=True, quoted=False))
    took_ms = (time.perf_counter() - begun) * 1_000
    assert "data" in orjson.loads(answer.body)
    return took_ms


if __name__ == "__main__":
    main()
