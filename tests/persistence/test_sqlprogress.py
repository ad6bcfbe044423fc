"""How far a report of SQL is: told while it runs, never backwards, never whole too early."""

import queue
from pathlib import Path

import duckdb
import pytest

from persistence.sqldatabase import Database, Kind
from persistence.sqlprogress import UNFINISHED, telling
from tests.server import PATIENCE_S
from tests.sqlworkers import MIB, many, query

ROWS = 1_000_000
OFTEN_S = 0.001


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    return many(tmp_path_factory.mktemp("archive") / "a.parquet", 1, rows=ROWS)


def connected(file: str) -> tuple[Database, duckdb.DuckDBPyConnection]:
    database = Database(memory_bytes=256 * MIB, threads=1)
    return database, database.over([file], Kind(tells=True))


def test_rows_that_go_out_as_they_are_read_tell_it_by_the_bytes(file: str) -> None:
    asked = query("SELECT index1, latencyMs FROM events WHERE latencyMs > 1")
    assert asked.streams
    database, connection = connected(file)
    whole = database.bytes_of(connection, [file], asked.read)
    assert 0 < whole < Path(file).stat().st_size  # of some columns
    told: queue.Queue[int] = queue.Queue()
    sql = asked.ready([file], unit=True, quoted_integers=False).sql
    with telling(connection, told.put, reads_bytes=whole, every_s=OFTEN_S):
        result = connection.execute(sql)
        heard = [told.get(timeout=PATIENCE_S)]
        while result.fetchmany(2_048):
            pass
        while heard[-1] < 90:
            heard.append(told.get(timeout=PATIENCE_S))
    assert heard[0] < 90  # what fits between reading and fetching
    assert heard == sorted(set(heard))
    assert heard[-1] <= UNFINISHED


def test_what_has_to_be_done_first_is_told_as_the_database_reckons_it(file: str) -> None:
    asked = query("SELECT count() AS n FROM events a JOIN events b ON a.blob1 = b.blob1")
    assert not asked.streams
    _, connection = connected(file)
    told: queue.Queue[int] = queue.Queue()

    def stop_when_told(percent: int) -> None:
        told.put(percent)
        if percent > 0:
            connection.interrupt()  # 4e10 rows would take minutes

    sql = asked.ready([file], unit=True, quoted_integers=False).sql
    with telling(connection, stop_when_told, every_s=OFTEN_S):
        with pytest.raises(duckdb.InterruptException):
            connection.execute(sql).fetchall()
    assert 0 < list(told.queue)[-1] <= UNFINISHED


@pytest.mark.parametrize(
    ("text", "streams"),
    [
        ("SELECT * FROM events", True),
        ("SELECT a FROM (SELECT blob1 AS a FROM events) WHERE a = 'x'", True),
        ("SELECT blob1 AS a FROM events UNION ALL SELECT blob2 AS a FROM events", True),
        ("SELECT blob1 AS a FROM events ORDER BY a", False),
        ("SELECT blob1 AS a FROM events LIMIT 3", False),
        ("SELECT DISTINCT blob1 AS a FROM events", False),
        ("SELECT count() AS n FROM events", False),
        ("SELECT blob1 AS a FROM events GROUP BY a", False),
        ("SELECT row_number() OVER (ORDER BY timestamp) AS n FROM events", False),
        ("SELECT n FROM (SELECT count() AS n FROM events)", False),
        ("SELECT blob1 AS a FROM events WHERE blob2 IN (SELECT blob2 FROM events)", False),
    ],
)
def test_only_what_chooses_and_shows_rows_is_all_reading(text: str, streams: bool) -> None:
    assert query(text).streams == streams
