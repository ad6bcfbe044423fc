"""Which instance of the database a query gets, and when it is gone."""

from pathlib import Path

import duckdb
import pytest

from persistence.archive.columns import source_of
from persistence.sqldatabase import Database, Kind
from tests.sqlworkers import MIB, written


@pytest.fixture
def database() -> Database:
    return Database(memory_bytes=256 * MIB, threads=1)


def rows(connection: duckdb.DuckDBPyConnection, file: str) -> int:
    ((found,),) = connection.execute(f"SELECT count(*) FROM {source_of([file])}").fetchall()
    return int(found)


def test_kinds_of_queries_over_the_same_files_keep_their_instances(
    database: Database, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.parquet", [{}, {}])
    whole, pruning = database.over([file]), database.over([file], Kind(prunes=True))
    assert whole is not pruning
    assert database.over([file]) is whole
    assert database.over([file], Kind(prunes=True)) is pruning
    assert rows(whole, file) == rows(pruning, file) == 2


def test_other_files_close_all_of_them(database: Database, tmp_path: Path) -> None:
    file, other = (written(tmp_path / f"{name}.parquet", [{}]) for name in "ab")
    kinds = (Kind(), Kind(prunes=True), Kind(tells=True))
    held = [database.over([file], kind) for kind in kinds]
    now = database.over([other])
    assert rows(now, other) == 1
    for connection in held:
        with pytest.raises(duckdb.ConnectionException):
            connection.execute("SELECT 1")


@pytest.mark.parametrize("kind", [Kind(), Kind(prunes=True), Kind(tells=True)], ids=str)
def test_each_is_locked_to_its_files(database: Database, tmp_path: Path, kind: Kind) -> None:
    file, other = (written(tmp_path / f"{name}.parquet", [{}]) for name in "ab")
    connection = database.over([file], kind)
    assert rows(connection, file) == 1
    with pytest.raises(duckdb.PermissionException):
        rows(connection, other)
    with pytest.raises(duckdb.InvalidInputException, match="lock"):
        connection.execute("SET async_threads = 4")
    threads = connection.execute("SELECT current_setting('async_threads')").fetchall()
    assert threads == [(0 if kind.prunes else 1,)]
