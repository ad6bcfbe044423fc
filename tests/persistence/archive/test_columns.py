"""What a query sees: the 44 columns, every field, the right types, and pruned row groups."""

import re
from pathlib import Path

import duckdb
import msgspec
import pytest

from engine import events
from persistence.archive.columns import (
    ANALYTICS_ENGINE,
    NOT_SHOWN,
    SHOWN,
    STORED,
    SUFFIX,
    filed_of,
    literal,
    quoted,
    source_of,
)

SERVICES = 100
ROWS = 100_000
MADE = {
    "index1": f"printf('svc-%03d', i // {ROWS // SERVICES})",
    "timestamp": f"TIMESTAMP '2026-11-01' + INTERVAL (i % {ROWS // SERVICES}) SECOND",
    "timestampMillis": "7",
    "_sample_interval": "1",
    "seq": "i",
    "receivedAt": "TIMESTAMP '2026-11-01'",
    "eventType": "'marketplace_view'",
    "blob2": "'s'",
}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("files") / f"o'ne{SUFFIX}"
    row = ", ".join(
        f"({MADE.get(c.name, 'NULL')})::{c.sql_type} AS {quoted(c.name)}" for c in STORED
    )
    duckdb.connect().execute(
        f"COPY (FROM {filed_of(f'(SELECT {row} FROM range({ROWS}) AS t(i))')}) "
        f"TO {literal(str(path))} "
        f"(FORMAT parquet, ROW_GROUP_SIZE 10240)"
    )
    return str(path)


def select_of(files: list[str], table: str = "events") -> str:
    """Every row of the files, with the columns that a query sees."""
    shown = ", ".join(
        f"{literal(table) if column.name == 'dataset' else column.sql} AS {quoted(column.name)}"
        for column in SHOWN
    )
    return f"SELECT {shown} FROM {source_of(files)}"


def typed(sql: str) -> list[tuple[str, str]]:
    return [(name, str(kind)) for name, kind, *_ in duckdb.connect().execute(sql).description]


def test_without_files_it_is_an_empty_table_of_all_columns_and_types() -> None:
    shown = [(column.name, column.sql_type) for column in SHOWN]
    assert typed(select_of([])) == shown
    assert duckdb.connect().execute(select_of([])).fetchall() == []


def test_with_files_it_has_the_same_columns_and_types(file: str) -> None:
    assert typed(select_of([file])) == typed(select_of([]))
    assert typed(f"SELECT * FROM {source_of([file])}") == [(c.name, c.sql_type) for c in STORED]


def test_the_first_44_columns_are_those_of_analytics_engine() -> None:
    blobs = [f"blob{n}" for n in range(1, 21)]
    doubles = [f"double{n}" for n in range(1, 21)]
    first = ("dataset", "timestamp", "_sample_interval", "index1", *blobs, *doubles)
    assert first == ANALYTICS_ENGINE == tuple(c.name for c in SHOWN)[:44]


def test_every_field_of_every_event_can_be_selected_by_its_own_name() -> None:
    kinds = events.Event.__args__
    fields = {f.encode_name for kind in kinds for f in msgspec.structs.fields(kind)}
    assert fields | {"eventType", "receivedAt", "timestampMs"} <= {c.name for c in SHOWN}


def test_every_stored_column_of_a_field_names_the_attribute_that_it_is_of() -> None:
    kinds = events.Event.__args__
    fields = {f.name: f.encode_name for kind in kinds for f in msgspec.structs.fields(kind)}
    stored = {c.field: c.name for c in STORED if c.field is not None}
    assert stored == {k: v for k, v in fields.items() if k != "timestamp"}
    assert {c.name for c in STORED} >= NOT_SHOWN


def test_what_is_absent_is_never_null_in_the_44(file: str) -> None:
    shown = select_of([file], "it's")
    nulls = " OR ".join(f"{name} IS NULL" for name in ANALYTICS_ENGINE)
    found = duckdb.connect().execute(
        f"SELECT count(*), count(*) FILTER ({nulls}), any_value(blob10), max(timestampMs), "
        f"count(latencyMs) FROM ({shown}) WHERE dataset = 'it''s'"
    )
    last_ms = 1_793_491_200_000 + (ROWS // SERVICES - 1) * 1000 + 7
    assert found.fetchall() == [(ROWS, 0, "false", last_ms, 0)]


@pytest.mark.parametrize(
    ("where", "groups"),
    [
        ("index1 = 'svc-050'", 1),
        ("index1 >= 'svc-090' AND timestamp >= '2026-11-01 00:05:00'::TIMESTAMP", 2),
        ("timestamp >= '2026-11-02'::TIMESTAMP", 0),
    ],
)
def test_filters_on_index_and_time_skip_row_groups(file: str, where: str, groups: int) -> None:
    question = f"SELECT sum(double1) FROM ({select_of([file])}) WHERE {where}"
    plan = duckdb.connect().execute(f"EXPLAIN ANALYZE {question}").fetchall()[0][1]
    scanned = re.search(r"Row Groups Scanned:\s*(\d+) / (\d+)", plan)
    if groups:
        assert scanned is not None, plan
        assert (int(scanned[1]), int(scanned[2])) == (groups, 10)
    else:  # not even a scan is left
        assert "Empty Result" in plan


def test_a_file_whose_name_has_quotes_is_read(file: str) -> None:
    assert "'" in Path(file).name
    assert duckdb.connect().execute(f"SELECT count(*) FROM {source_of([file])}").fetchall() == [
        (ROWS,)
    ]
