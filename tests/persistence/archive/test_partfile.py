"""Our Parquet: whatever a column holds, DuckDB and Polars read it as it was."""

import io
import uuid
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import duckdb
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence.archive.columns import FILED, GROUP_ROWS
from persistence.archive.encoding import texts_of
from persistence.archive.gathering import Column, Gathered
from persistence.archive.partfile import Group, file_of, group_of, groups_of, put

ONE_OF_EACH = {
    "searchQuery": st.text(st.characters(exclude_categories=("Cs",)), max_size=300),
    "seq": st.integers(0, 2**63 - 1),
    "_sample_interval": st.integers(0, 2**31 - 1),
    "timestampMillis": st.integers(0, 999),
    "billingIntervalCount": st.integers(-(2**31), 2**31 - 1),
    "resultCount": st.one_of(st.integers(-(2**62), 2**62), st.integers(0, 3)),
    "value": st.floats(allow_nan=False),
    "success": st.booleans(),
    "amountMicros": st.integers(-(10**22) + 1, 10**22 - 1),
    "eventIdUuid": st.uuids(),
}
"""A column of each type, and what it may hold."""

PYTHON = {"DOUBLE": np.float64, "BOOLEAN": np.bool_}
KINDS = {column.name: column.sql_type for column in FILED}


def column_of(name: str, values: Sequence[Any]) -> Column:
    """A column with these values, None where there is none."""
    known = np.array([value is not None for value in values])
    there = [value for value in values if value is not None]
    made: Any
    match KINDS[name]:
        case "VARCHAR":
            made = texts_of(there)
        case "UUID":
            made = b"".join(value.bytes for value in there)
        case "DECIMAL(22,0)":
            made = b"".join(value.to_bytes(16, "big", signed=True) for value in there)
        case sql_type:
            made = np.array(there, PYTHON.get(sql_type, np.int64))
    column = Column()
    if there:
        column.pieces.append((0, known, made))
    return column


def group(rows: int, **columns: Sequence[Any]) -> Group:
    made = {name: column_of(name, values) for name, values in columns.items()}
    return group_of(Gathered(rows, {c.name: made.get(c.name, Column()) for c in FILED}))


def told(groups: Sequence[Group], *names: str) -> list[tuple[Any, ...]]:
    """What Polars reads, which DuckDB reads as well."""
    data = b"".join(file_of(groups))
    frame = pl.read_parquet(io.BytesIO(data), columns=list(names))
    by_polars = frame.select(names).rows()
    listed = ", ".join(f'"{name}"' for name in names)
    with NamedTemporaryFile(suffix=".parquet") as file:
        file.write(data)
        file.flush()
        by_duckdb = duckdb.execute(
            f"SELECT {listed} FROM read_parquet(?)", [file.name]
        ).fetchall()
    plain = [
        tuple(v.bytes if isinstance(v, uuid.UUID) else v for v in row) for row in by_duckdb
    ]
    assert plain == by_polars
    return by_polars


def as_read(value: Any) -> Any:
    return value.bytes if isinstance(value, uuid.UUID) else value


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_values_of_every_type_are_read_as_they_were(name: str) -> None:
    @settings(max_examples=25)
    @given(
        st.lists(st.lists(st.none() | ONE_OF_EACH[name], min_size=1, max_size=9), max_size=3)
    )
    def law(pages: list[list[Any]]) -> None:
        groups = [group(len(page), **{name: page}) for page in pages]
        found = [value for (value,) in told(groups, name)]
        assert found == [as_read(value) for page in pages for value in page]

    law()


@pytest.mark.parametrize(
    "rows", [0, 1, 2, 255, 256, 257, 258, 2_048, 2_049, 2_050, 4_097, 5_000]
)
@pytest.mark.parametrize("bits", [0, 1, 8, 9, 31, 33, 62])
def test_numbers_of_any_width_and_count_are_read_as_they_were(rows: int, bits: int) -> None:
    chance = np.random.default_rng(rows + bits)
    numbers = chance.integers(0, 2**bits, rows, endpoint=True).tolist()
    texts = ["x" * (number % 400) for number in numbers]
    found = told([group(rows, seq=numbers, searchQuery=texts)], "seq", "searchQuery")
    assert found == list(zip(numbers, texts, strict=True))


def test_small_pages_share_a_row_group_and_large_ones_have_their_own(tmp_path: Path) -> None:
    sizes = [3_000] * 20 + [GROUP_ROWS + 1] * 2
    pages = [
        group(size, seq=range(n * 100_000, n * 100_000 + size)) for n, size in enumerate(sizes)
    ]
    put(tmp_path / "a.parquet", pages)
    found = duckdb.execute(
        "SELECT row_group_id, row_group_num_rows, stats_min_value, stats_max_value, "
        "stats_null_count FROM parquet_metadata(?) WHERE path_in_schema = 'seq'",
        [str(tmp_path / "a.parquet")],
    ).fetchall()
    first = -(-GROUP_ROWS // 3_000)
    assert found == [
        (0, first * 3_000, "0", str((first - 1) * 100_000 + 2_999), 0),
        (
            1,
            (20 - first) * 3_000 + GROUP_ROWS + 1,
            str(first * 100_000),
            str(20 * 100_000 + GROUP_ROWS),
            0,
        ),
        (2, GROUP_ROWS + 1, str(21 * 100_000), str(21 * 100_000 + GROUP_ROWS), 0),
    ]
    assert [value for (value,) in told(pages, "seq")] == [
        n * 100_000 + k for n, size in enumerate(sizes) for k in range(size)
    ]


def test_a_column_without_a_value_is_null_in_every_row() -> None:
    names = tuple(column.name for column in FILED)
    assert told([group(3), group(2)], *names) == [(None,) * len(names)] * 5
    assert Decimal(1) == told([group(1, amountMicros=[1])], "amountMicros")[0][0]


def test_pages_of_files_make_another_file_of_the_same_rows(tmp_path: Path) -> None:
    pages = [
        group(3, seq=[5, None, 7], searchQuery=["a", "b", None]),
        group(1),
        group(2, seq=[1, 2]),
    ]
    first, second = b"".join(file_of(pages[:2])), b"".join(file_of(pages[2:]))
    read = [one for data in (first, second) for one in groups_of(data) or []]
    assert told(read, "seq", "searchQuery") == told(pages, "seq", "searchQuery")
    assert b"".join(file_of(read)) == b"".join(file_of(pages))
    duckdb.execute(
        "COPY (SELECT 1 AS seq) TO ? (FORMAT parquet)", [str(tmp_path / "b.parquet")]
    )
    assert groups_of((tmp_path / "b.parquet").read_bytes()) is None


@pytest.mark.parametrize(
    ("ours", "other"), [(b"searchQuery", b"searchQuerz"), (b"seq", b"sep")], ids=str
)
def test_pages_of_other_columns_are_not_taken(ours: bytes, other: bytes) -> None:
    data = b"".join(file_of([group(3, seq=[5, None, 7])]))
    assert groups_of(data) is not None
    assert groups_of(data.replace(ours, other)) is None
