"""What an export says is what was there, read back by somebody else's reader."""

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from persistence.archive.columns import STORED
from persistence.exporting import Wanted
from persistence.exportworker import COLUMNS, connected, statement
from persistence.tabular import Format, TextFormat, guarded, pieces
from tests.archives import DAY_MS, EPOCH, House, true_rows
from tests.properties.histories import NOW_MS, history

DOUBLES = {column.name for column in STORED if column.sql_type == "DOUBLE"}
TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.builds(
    str.__add__, st.sampled_from(list("=+-@\t\r\n\"',")), st.text("019.e=,\"\r\n'", max_size=4)
)
CELLS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXTS
)
TABLES = st.integers(1, 4).flatmap(
    lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=5)
)


def cell(value: Any) -> str:
    """What a cell of CSV holds."""
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case str():
            return guarded(value)
        case _:
            return str(value)


def read_csv(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode(), newline="")))


@given(TABLES)
def test_a_table_is_read_back_as_it_was(rows: list[list[Any]]) -> None:
    names = [f"column {place}" for place in range(len(rows[0]) if rows else 1)]
    found: dict[TextFormat, bytes] = {
        one: b"".join(pieces(one, names, rows)) for one in ("csv", "json", "ndjson")
    }
    assert read_csv(found["csv"]) == [names, *([cell(one) for one in row] for row in rows)]
    objects = [dict(zip(names, row, strict=True)) for row in rows]
    assert json.loads(found["json"]) == objects
    assert [json.loads(line) for line in found["ndjson"].splitlines()] == objects


def read_cell(name: str, text: str) -> str | float | None:
    """A cell of events, where what is a number is one."""
    if name not in DOUBLES:
        return text
    return float(text) if text else None


def exported(files: list[str], format_: Format, **filters: Any) -> bytes:
    """An export of these files by the worker's own statement."""
    given = {"start_ms": 0, "end_ms": 2**50, "event_type": None, "service": None, "user": None}
    wanted = Wanted(
        files=tuple(files), format=format_, memory_bytes=2**27, **{**given, **filters}
    )
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "export"
        sql, values = statement(wanted, files, str(output))
        with connected(wanted.memory_bytes) as connection:
            connection.execute(sql, values)
        return output.read_bytes()


def told(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the archive as an export of events has it."""

    def iso(name: str, ms: int = 0) -> str:
        at = row[name].isoformat(timespec="milliseconds")
        return f"{at[:-3]}{ms:03d}Z" if ms else f"{at}Z"

    shown = {name: row[name] for name in COLUMNS if name in row}
    return shown | {
        "timestamp": iso("timestamp", row["timestampMillis"]),
        "receivedAt": iso("receivedAt"),
    }


@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), texts=st.lists(TEXTS, min_size=4, max_size=4))
def test_events_of_any_history_come_out_as_they_went_in(seed: int, texts: list[str]) -> None:
    history_ = history(seed, 60)
    for place, (_, event) in enumerate(history_):
        event["category"] = texts[place % len(texts)]
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.now_ms = NOW_MS
        house.tell(history_)
        files = house.follow().files
        true = [told(row) for row in true_rows(history_)]
        lines = exported(files, "ndjson").splitlines()
        assert sorted(map(json.loads, lines), key=lambda row: row["seq"]) == true
        array = json.loads(exported(files, "json"))
        assert sorted(array, key=lambda row: row["seq"]) == true
        head, *rows = read_csv(exported(files, "csv"))
        assert head == list(COLUMNS)
        rows.sort(key=lambda row: int(row[head.index("seq")]))
        numbers = [[read_cell(*one) for one in zip(COLUMNS, row, strict=True)] for row in rows]
        assert numbers == [
            [row[n] if n in DOUBLES else cell(row[n]) for n in COLUMNS] for row in true
        ]
        frame = pl.read_parquet(exported(files, "parquet")).sort("seq")
        assert frame.columns == list(COLUMNS)
        for name in set(COLUMNS) - {"timestamp", "receivedAt"}:
            assert frame[name].to_list() == [row[name] for row in true], name
        moments = [f"{at.isoformat(timespec='milliseconds')}Z" for at in frame["timestamp"]]
        assert moments == [row["timestamp"] for row in true]


@settings(max_examples=12)
@given(
    seed=st.integers(0, 10**6), edges=st.tuples(st.integers(), st.integers()), data=st.data()
)
def test_filters_and_periods_are_exact_to_the_millisecond(
    seed: int, edges: tuple[int, int], data: st.DataObject
) -> None:
    history_ = history(seed, 60)
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        house.now_ms = NOW_MS
        house.tell(history_)
        files = house.follow().files
        rows = house.rows()
        moments = [_ms(row) for row in rows]
        start_ms, end_ms = sorted(
            data.draw(st.sampled_from(moments)) + e % 3 - 1 for e in edges
        )
        names = {"event_type": "eventType", "service": "serviceId", "user": "userId"}
        name = data.draw(st.sampled_from(sorted(names)))
        value = data.draw(
            st.sampled_from([row[names[name]] for row in rows] + [None, "o'\0\""])
        )
        span = {"start_ms": start_ms, "end_ms": end_ms}
        found = exported(files, "ndjson", **span, **{name: value}).splitlines()
        assert sorted(json.loads(line)["seq"] for line in found) == [
            row["seq"]
            for row, at_ms in zip(rows, moments, strict=True)
            if start_ms <= at_ms < end_ms and value in (None, row[names[name]])
        ]


def _ms(row: dict[str, Any]) -> int:
    since = row["timestamp"] - EPOCH
    return since.days * DAY_MS + since.seconds * 1000 + int(row["timestampMillis"])
