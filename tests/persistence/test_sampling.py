"""Sampling on read: how large the sample is, and that weighted answers of it are unbiased."""

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence import sampling
from persistence.sampling import FIRST_ROWS, Run
from tests.sqlworkers import Asking, Refused, many, written

SEEDS = 30
ROWS = 140_000
INTERVAL = 4
"""Of the first sample of so many rows."""

NO_TIME_S = 1e-6
"""A budget that is over when the first sample is."""


@pytest.fixture(scope="module")
def asking() -> Iterator[Asking]:
    with Asking() as worker:
        yield worker


BY_SERVICE = (
    "SELECT index1 AS s, sum(_sample_interval) AS n, sum(_sample_interval * double1) AS ms, "
    "sumIf(_sample_interval, blob6 = 'error') AS errors, "
    "quantileExactWeighted(0.9)(double1, _sample_interval) AS p90 "
    "FROM events GROUP BY s ORDER BY s"
)
ERRORS = """SELECT index1, sqrt(3 * sum(_sample_interval ** 2.0)),
  sqrt(3 * sum((_sample_interval * latencyMs) ** 2)),
  sqrt(3 * sum(_sample_interval ** 2.0) FILTER (NOT success))
FROM read_parquet(?) GROUP BY 1 ORDER BY 1"""
"""Standard errors of sums over one row of four: each row's weight squared times 4 - 1."""


def test_weighted_answers_over_a_sample_are_unbiased_over_seeds(
    asking: Asking, tmp_path: Path
) -> None:
    off: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        file = many(tmp_path / f"{seed}.parquet", seed, rows=ROWS)
        exact = asking.rows(BY_SERVICE, [file], extra=True)
        found = asking.answer(BY_SERVICE, [file], extra=True, budget_s=NO_TIME_S)
        assert found["sample_interval"] == INTERVAL
        errors = duckdb.execute(ERRORS, [file]).fetchall()
        for true, told, (service, *of) in zip(exact, found["data"], errors, strict=True):
            for figure, error in zip(("n", "ms", "errors"), of, strict=True):
                assert true["s"] == told["s"] == service
                off.setdefault(figure, []).append((told[figure] - true[figure]) / error)
            assert abs(told["p90"] - true["p90"]) < 25  # of 1,000 evenly spread
        Path(file).unlink()
    for figure, errors_of in off.items():
        assert max(map(abs, errors_of)) < 4.5, figure
        assert abs(fmean(errors_of)) < 4 / math.sqrt(len(errors_of)), figure
        spread = math.sqrt(fmean(error**2 for error in errors_of))
        assert 0.7 < spread < 1.3, figure  # as far off as is told, not less either


def test_with_time_enough_all_rows_are_read(asking: Asking, tmp_path: Path) -> None:
    file = many(tmp_path / "a.parquet", 1, rows=ROWS)
    found = asking.answer(BY_SERVICE, [file], extra=True, budget_s=20)
    assert found.pop("sample_interval") == 1
    assert found == asking.answer(BY_SERVICE, [file], extra=True)


def test_an_answer_over_part_of_the_rows_says_so_in_each_row(
    asking: Asking, tmp_path: Path
) -> None:
    file = many(tmp_path / "a.parquet", 1, rows=ROWS)
    kinds = asking.rows(
        "SELECT _sample_interval AS i, count() AS n FROM events GROUP BY i ORDER BY i",
        [file],
        extra=True,
        budget_s=NO_TIME_S,
    )
    assert [row["i"] for row in kinds] == [INTERVAL, 10 * INTERVAL]
    assert sum(row["n"] for row in kinds) == pytest.approx(ROWS / INTERVAL, rel=0.05)


def test_a_budget_needs_a_query_that_reads_the_table_once(
    asking: Asking, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.parquet", [{"latencyMs": 1.0}])
    twice = "SELECT count() AS n FROM events WHERE userId IN (SELECT userId FROM events)"
    with pytest.raises(Refused, match="reads the table of events once") as refused:
        asking.body(twice, [file], extra=True, budget_s=1)
    assert refused.value.status == 422
    assert asking.answer("SELECT 1 AS x", extra=True, budget_s=1)["data"] == [{"x": 1}]


@given(st.integers(0, 10**12))
def test_the_first_sample_has_few_rows_and_not_too_few(rows: int) -> None:
    interval = sampling.first(rows)
    assert interval.bit_count() == 1
    assert rows / interval < FIRST_ROWS
    assert interval == 1 or rows / interval >= FIRST_ROWS / 2


@given(st.integers(1, 30), st.floats(0, 5), st.floats(1e-9, 1e-3), st.floats(0, 20, width=32))
def test_a_run_that_is_begun_would_be_over_in_time(
    power: int, reading_s: float, row_s: float, left_s: float
) -> None:
    """Where a run takes a part that is always there, and one that goes with the rows."""
    rows = FIRST_ROWS << power

    def takes(interval: int) -> float:
        return reading_s + row_s * rows / interval

    runs: list[Run] = []
    interval: int | None = sampling.first(rows)
    while interval is not None:
        seconds = takes(interval)
        assert not runs or (interval < runs[-1].interval and seconds <= left_s)
        left_s -= seconds if runs else 0
        runs.append(Run(interval, seconds))
        interval = sampling.following(runs, left_s)
    if runs[-1].interval > 1:
        assert 2 * sampling.CAUTION * takes(runs[-1].interval) > left_s
