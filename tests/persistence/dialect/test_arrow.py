"""FORMAT Arrow: an IPC stream that others read, with the types that `meta` names."""

import datetime as dt
import io
from pathlib import Path

import polars as pl
import pytest
from nanoarrow import ArrayStream, c_array_stream

from persistence.arrow import BATCH_ROWS
from tests.sqlworkers import Asking, Refused, written


def frame(worker: Asking, text: str, files: list[str]) -> pl.DataFrame:
    return pl.read_ipc_stream(io.BytesIO(worker.body(text, files, extra=True)))


def test_values_have_the_types_of_the_query_and_the_names_of_the_user(
    worker: Asking, folder: Path
) -> None:
    moment = dt.datetime(2025, 10, 1, 12, 0, 1)  # noqa: DTZ001  as the files have it
    rows = [{"blob2": "s-é", "latencyMs": 3.5, "timestamp": moment, "success": True}]
    text = """SELECT timestamp AS "at a time", toDateTime(timestamp, 'Asia/Tokyo') AS tokyo,
      toDate(timestamp) AS day, blob2, double1, double2 / 0 AS nothing, _sample_interval AS i,
      5 AS small, -5 AS below, toInt64(7) AS wide, double1 > 1 AS truth, userId
      FROM events FORMAT Arrow"""
    found = frame(worker, text, [written(folder / "arrow.parquet", rows)])
    assert dict(found.schema) == {
        "at a time": pl.Datetime("ms", "UTC"),  # whole seconds; Polars has none
        "tokyo": pl.Datetime("ms", "Asia/Tokyo"),
        "day": pl.Date,
        "blob2": pl.String,
        "double1": pl.Float64,
        "nothing": pl.Float64,
        "i": pl.UInt32,
        "small": pl.UInt8,
        "below": pl.Int8,
        "wide": pl.Int64,
        "truth": pl.UInt8,
        "userId": pl.String,
    }
    utc = moment.replace(tzinfo=dt.UTC)
    row = found.row(0)
    assert (row[0], row[1], row[2]) == (utc, utc, moment.date())
    assert row[3:] == ("s-é", 3.5, None, 1, 5, -5, 7, 1, None)


def test_groups_arrays_and_a_limit_leave_no_column_of_ours(
    worker: Asking, folder: Path
) -> None:
    rows = [{"blob2": f"s-{n % 3}", "userId": f"u-{n}"} for n in range(9)]
    text = """SELECT blob2 AS s, count() AS n, topK(2)(timestamp) AS top FROM events
      GROUP BY s ORDER BY s LIMIT 2 FORMAT ArrowStream"""
    found = frame(worker, text, [written(folder / "groups.parquet", rows)])
    assert found.select("s", "n").rows() == [("s-0", 3), ("s-1", 3)]
    assert found.schema["top"] == pl.List(pl.Datetime("ms"))
    assert found.columns == ["s", "n", "top"]


def test_a_number_that_is_rounded_up_has_a_type_that_holds_it(worker: Asking) -> None:
    text = "SELECT round(253, -2) AS a, ceil(65535, -1) AS b, floor(-128, -1) AS c FORMAT Arrow"
    found = frame(worker, text, [])
    assert found.row(0) == (300, 65_540, -130)
    assert list(found.schema.values()) == [pl.UInt16, pl.UInt32, pl.Int16]


def test_without_rows_there_are_columns(worker: Asking, empty: list[str]) -> None:
    found = frame(
        worker, "SELECT blob1 AS a, count() AS n FROM events GROUP BY a FORMAT Arrow", empty
    )
    assert found.height == 0
    assert found.columns == ["a", "n"]


def test_every_column_and_show_can_be_had(worker: Asking, folder: Path) -> None:
    file = written(folder / "all.parquet", [{"amountMicros": 10**12, "amount": 10.0**6}])
    assert frame(worker, "SELECT *, amountMicros FROM events FORMAT Arrow", [file]).width == 45
    zones = frame(worker, "SHOW TIMEZONES FORMAT Arrow", [])
    assert "Europe/Berlin" in zones["timezone"].to_list()


def test_many_rows_come_whole_and_too_many_are_refused(worker: Asking, folder: Path) -> None:
    file = written(folder / "many.parquet", ({"latencyMs": float(n)} for n in range(3_000)))
    text = "SELECT a.double1 AS x FROM events a JOIN events b ON a.blob1 = b.blob1"
    text += " WHERE b.double1 < 50 FORMAT Arrow"
    body = worker.body(text, [file], extra=True, rows_max=150_000)
    found = pl.read_ipc_stream(io.BytesIO(body))
    assert found.height == 150_000
    assert found["x"].sum() == 50 * sum(range(3_000))
    for limit in ({"rows_max": 149_999}, {"rows_max": 150_000, "bytes_max": 100_000}):
        with pytest.raises(Refused, match="the answer "):
            worker.body(text, [file], extra=True, **limit)


def test_batches_are_small_whatever_the_answer(worker: Asking, folder: Path) -> None:
    file = written(folder / "batches.parquet", ({"latencyMs": float(n)} for n in range(1_000)))
    text = "SELECT a.double1 AS x FROM events a JOIN events b ON a.blob1 = b.blob1"
    text += " WHERE b.double1 < 40 FORMAT Arrow"
    body = worker.body(text, [file], extra=True)
    lengths = [batch.length for batch in c_array_stream(ArrayStream.from_readable(body))]
    assert sum(lengths) == 40_000
    assert max(lengths) <= BATCH_ROWS


def test_analytics_engine_has_no_arrow(worker: Asking) -> None:
    with pytest.raises(Refused, match="unknown format Arrow"):
        worker.body("SELECT 1 AS x FORMAT Arrow")


def test_weights_do_not_stand_in_the_way(worker: Asking, folder: Path) -> None:
    rows = [{"latencyMs": float(n), "_sample_interval": 1 + n // 2} for n in range(4)]
    files = [written(folder / "weighted.parquet", rows)]
    text = "SELECT quantileExactWeighted(0.5)(double1, _sample_interval) AS p FROM events"
    assert frame(worker, f"{text} FORMAT Arrow", files).to_dicts() == [{"p": 2.0}]
