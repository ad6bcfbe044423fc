"""Sampling on read: how large the sample is, and that weighted answers of it are unbiased."""

import math
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence import sampling
from persistence.dialect.query import Query, Rules, read
from persistence.sampling import FIRST_ROWS, Run
from tests.sqlworkers import NOW, Asking, Refused, many, written

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
    "sumIf(_sample_interval, blob6 = 'error') AS errors, count() AS rows, "
    "avg(latencyMs) AS mean, sumIf(latencyMs, success) AS good, "
    "countIf(latencyMs > 900) AS slow, "
    "quantileExactWeighted(0.9)(double1, _sample_interval) AS p90 "
    "FROM events GROUP BY s ORDER BY s"
)
FIGURES = ("n", "ms", "errors", "rows", "mean", "good", "slow")


def test_what_a_sample_tells_of_all_rows_is_unbiased_and_as_far_off_as_it_says(
    asking: Asking, tmp_path: Path
) -> None:
    off: dict[str, list[float]] = {}
    for seed in range(SEEDS):
        file = many(tmp_path / f"{seed}.parquet", seed, rows=ROWS)
        exact = asking.rows(BY_SERVICE, [file], extra=True)
        found = asking.answer(BY_SERVICE, [file], extra=True, budget_s=NO_TIME_S)
        assert found["sample_interval"] == INTERVAL
        rows = zip(exact, found["data"], found["standard_errors"], strict=True)
        for true, told, errors in rows:
            assert true["s"] == told["s"]
            assert tuple(errors) == FIGURES
            for figure, error in errors.items():
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


BY_WEIGHT = "SELECT _sample_interval AS i, count() AS n FROM events GROUP BY i ORDER BY i"


def test_in_the_superset_a_count_over_part_of_the_rows_is_one_of_all(
    asking: Asking, tmp_path: Path
) -> None:
    file = many(tmp_path / "a.parquet", 1, rows=ROWS)
    rows = asking.rows(BY_WEIGHT, [file], extra=True, budget_s=NO_TIME_S)
    assert [row["i"] for row in rows] == [1, 10]
    assert sum(row["n"] for row in rows) == pytest.approx(ROWS, rel=0.05)


def test_in_the_dialect_of_analytics_engine_each_row_says_for_how_many_it_stands(
    asking: Asking, tmp_path: Path
) -> None:
    file = many(tmp_path / "a.parquet", 1, rows=ROWS)
    answer = asking.answer(BY_WEIGHT, [file], budget_s=NO_TIME_S)
    assert [row["i"] for row in answer["data"]] == [INTERVAL, 10 * INTERVAL]
    read = sum(int(row["n"]) for row in answer["data"])
    assert read == pytest.approx(ROWS / INTERVAL, rel=0.05)
    assert answer["sample_interval"] == INTERVAL
    assert [sorted(column) for column in answer["meta"]] == [["name", "type"]] * 2
    assert "standard_errors" not in answer


def marks(text: str, interval: int = 4) -> list[str | None]:
    query = read(text, Rules(extra=True, bytes_max=10_000, now=NOW, tables=("events",)))
    assert isinstance(query, Query)
    ready = query.ready([], unit=True, quoted_integers=False, interval=interval)
    return [output.mark for output in ready.outputs]


E, S = "estimate", "sample"
INNER = "(SELECT blob2 AS s, count() AS n, uniq(blob3) AS u FROM events GROUP BY s)"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT 1 AS x, blob2 AS s, count() AS n FROM events GROUP BY s", [None, None, E]),
        ("SELECT count(*) AS a, countIf(double1 > 1) AS b, count(userId) AS c FROM events",
         [E] * 3),
        ("SELECT sum(double1) AS a, avg(double1) AS b, sum(double1) / 2 AS c FROM events",
         [E] * 3),
        ("SELECT quantile(0.5)(double1) AS a, stddevPop(double1) AS b, median(double1) AS c, "
         "quantileExactWeighted(0.5)(double1, _sample_interval) AS d, topK(3)(blob1) AS e "
         "FROM events", [E] * 5),
        ("SELECT uniq(blob3) AS a, count(DISTINCT blob3) AS b, sum(DISTINCT double1) AS c, "
         "min(double1) AS d, max(timestamp) AS e, argMax(blob1, double1) AS f, "
         "any(blob1) AS g, first_value(blob1) AS h, groupArray(blob1) AS i FROM events",
         [S] * 9),
        ("SELECT count() / uniq(blob3) AS x, if(count() > 3, 1, 0) AS y FROM events", [S, E]),
        ("SELECT * FROM (SELECT blob1 AS a, double1 AS b FROM events)", [S, S]),
        ("SELECT count() AS n, sum(a) AS s FROM (SELECT double1 AS a FROM events)", [E, E]),
        ("SELECT count() AS n, sum(a) AS s FROM (SELECT double1 AS a FROM events LIMIT 5)",
         [S, S]),
        ("SELECT count() AS n FROM (SELECT DISTINCT blob3 AS a FROM events)", [S]),
        (f"SELECT s, n, u FROM {INNER}", [None, E, S]),
        (f"SELECT sum(n) AS a, sum(u) AS b, count() AS c, avg(n) AS d, sum(1) AS e, "
         f"sumIf(n, s = 'x') AS f, sumIf(n, n > 1) AS g, count(n) AS h FROM {INNER}",
         [E, S, S, S, S, E, S, S]),
        ("SELECT blob2 AS s, count() / sum(count()) OVER () AS share, "
         "rank() OVER (ORDER BY count()) AS r FROM events GROUP BY s", [None, E, S]),
        ("SELECT sum(double1) OVER (ORDER BY timestamp) AS x FROM events", [S]),
        ("WITH e AS (SELECT double1 AS a FROM events) SELECT sum(a) AS s FROM e", [E]),
        ("SELECT 1 AS a UNION ALL SELECT count() AS a FROM events", [E]),
        ("SELECT 1 AS a UNION ALL SELECT double1 AS a FROM events", [S]),
        ("SELECT count() AS n FROM (SELECT 1 AS a UNION ALL SELECT double1 AS a FROM events)",
         [S]),
        ("SELECT count() AS n FROM events e JOIN (SELECT 'x' AS b) x ON e.blob1 = x.b", [E]),
        ("SELECT 1 AS x, 'a' AS y", [None, None]),
    ],
)  # fmt: skip
def test_each_column_says_what_a_sample_makes_of_it(text: str, told: list[str | None]) -> None:
    assert marks(text) == told
    assert set(marks(text, interval=1)) == {None}


def test_marks_and_errors_stand_beside_the_answer_and_not_in_it(
    asking: Asking, tmp_path: Path
) -> None:
    file = many(tmp_path / "a.parquet", 1, rows=ROWS)
    text = (
        "SELECT index1 AS s, count() AS n, uniq(eventType) AS u, n * 2 AS twice FROM events "
        "GROUP BY s HAVING n > 100 ORDER BY n DESC LIMIT 2"
    )
    answer = asking.answer(text, [file], extra=True, budget_s=NO_TIME_S)
    assert [one.get("sampled") for one in answer["meta"]] == [None, E, S, E]
    assert [list(row) for row in answer["data"]] == [["s", "n", "u", "twice"]] * 2
    assert [list(errors) for errors in answer["standard_errors"]] == [["n"]] * 2
    assert answer["rows_before_limit_at_least"] == 5
    for row in answer["data"]:
        assert row["n"] % INTERVAL == 0
        assert row["twice"] == 2 * row["n"]
    for format_ in ("CSV", "JSONEachRow", "Arrow"):
        body = asking.body(f"{text} FORMAT {format_}", [file], extra=True, budget_s=NO_TIME_S)
        assert b"standard" not in body


def test_a_budget_needs_a_query_that_reads_the_table_once(
    asking: Asking, tmp_path: Path
) -> None:
    file = written(tmp_path / "a.parquet", [{"latencyMs": 1.0}])
    twice = "SELECT count() AS n FROM events WHERE userId IN (SELECT userId FROM events)"
    with pytest.raises(Refused, match="may read the table of events only once") as refused:
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
