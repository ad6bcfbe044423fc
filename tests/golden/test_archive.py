"""The schema of the archive's files: the same for good, and read by others than us."""

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl

from persistence.archive.columns import FILED
from tests.archives import NOW_MS, House, view

SCHEMA = Path(__file__).parent / "archive-v2.txt"
DOCS = Path(__file__).parents[2] / "docs" / "formats" / "archive.md"

EVENT_ID = uuid.UUID("0b8f9f0c-6d5e-4c11-9a63-0d2f43a7e1bb")
EVENTS = [
    view("s-2", userId="u-1", timestamp=NOW_MS - 1, eventId=str(EVENT_ID)),
    {
        "eventType": "revenue_transaction", "orderId": "o", "amount": 19.99, "currency": "USD",
        "serviceId": "s-1", "takeRate": 15, "timestamp": "2026-09-22T11:00:00.250Z",
    },
]  # fmt: skip


def file_of(folder: Path) -> str:
    house = House(folder)
    house.track(NOW_MS, *EVENTS)
    (file,) = house.follow().files
    return file


def test_the_schema_of_a_file_is_what_it_was_in_version_2(tmp_path: Path) -> None:
    found = duckdb.connect().execute(
        "SELECT name, type, logical_type FROM parquet_schema(?) OFFSET 1", [file_of(tmp_path)]
    )
    lines = [
        " ".join(str(word) for word in row if word is not None) for row in found.fetchall()
    ]
    assert "\n".join(lines) + "\n" == SCHEMA.read_text()


def test_the_document_lists_every_column_with_its_type() -> None:
    text = DOCS.read_text()
    assert [c.name for c in FILED if f"| `{c.name}` | {c.sql_type} |" not in text] == []


def test_polars_reads_a_file_without_us(tmp_path: Path) -> None:
    frame = pl.read_parquet(file_of(tmp_path))
    assert frame.columns == [column.name for column in FILED]
    frame = frame.sort("index1")
    assert frame["index1"].to_list() == ["s-1", "s-2"]
    assert frame["timestamp"].to_list() == [
        dt.datetime(2026, 9, 22, 11, 0),  # noqa: DTZ001  UTC, without saying so
        dt.datetime(2026, 9, 22, 11, 59, 59),  # noqa: DTZ001
    ]
    assert frame["timestampMillis"].to_list() == [250, 999]
    assert frame["amount"].to_list() == [19.99, None]
    assert frame["amountMicros"].to_list() == [Decimal(19_990_000), None]
    assert frame["feeMicros"].to_list() == [Decimal(2_998_500), None]
    assert frame["userId"].to_list() == [None, "u-1"]
    assert [uuid.UUID(bytes=one) for one in frame["eventIdUuid"].drop_nulls()] == [EVENT_ID]
    assert frame["_sample_interval"].sum() == 2


def test_duckdb_reads_all_files_of_a_folder_without_us(tmp_path: Path) -> None:
    file_of(tmp_path)
    question = f"""SELECT "serviceId", count(*), sum(amount) FROM
        read_parquet('{tmp_path}/archive/*/*.parquet') GROUP BY 1 ORDER BY 1"""
    assert duckdb.connect().execute(question).fetchall() == [
        ("s-1", 1, 19.99),
        ("s-2", 1, None),
    ]
