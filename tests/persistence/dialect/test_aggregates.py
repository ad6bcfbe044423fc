"""Aggregates, weighted ones above all, against plain Python over the same rows."""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.sqlworkers import Asking, Refused, written

DICE = random.Random(11)
ROWS: list[dict[str, Any]] = [
    {
        "blob2": f"s-{DICE.randrange(4)}",
        "userId": f"u-{DICE.randrange(50)}",
        "latencyMs": float(DICE.randrange(1, 400)),
        "success": DICE.random() < 0.9,
        "category": DICE.choice(["a", "b", "b", "c", "c", "c"]),
        "_sample_interval": DICE.choice([1, 1, 2, 5, 40]),
    }
    for _ in range(500)
]


@pytest.fixture(scope="module")
def thinned(folder: Path) -> list[str]:
    return [written(folder / "thinned.parquet", ROWS)]


@pytest.fixture(scope="module")
def whole(folder: Path) -> list[str]:
    rows = [row | {"_sample_interval": 1} for row in ROWS]
    half = len(rows) // 2
    return [
        written(folder / "whole-1.parquet", rows[:half]),
        written(folder / "whole-2.parquet", rows[half:]),
    ]


def quantile(level: float, pairs: Iterable[tuple[float, int]]) -> float:
    """The first value whose running weight reaches ceil(level * total)."""
    ordered = sorted(pairs)
    wanted = math.ceil(level * sum(weight for _, weight in ordered))
    running = 0
    for value, weight in ordered:
        running += weight
        if running >= wanted:
            return value
    raise AssertionError


@pytest.mark.parametrize("level", [0, 0.01, 0.1, 0.25, 0.5, 0.9, 0.95, 0.99, 1])
def test_a_weighted_quantile_is_the_first_value_whose_running_weight_reaches_its_rank(
    worker: Asking, thinned: list[str], whole: list[str], level: float
) -> None:
    weighted = [(row["latencyMs"], row["_sample_interval"]) for row in ROWS]
    alike = [(row["latencyMs"], 1) for row in ROWS]
    for files, pairs in ((thinned, weighted), (whole, alike)):
        for call in (
            f"quantileExactWeighted({level})(double1, _sample_interval)",
            f"quantileWeighted({level}, double1, _sample_interval)",
        ):
            assert worker.value(f"SELECT {call} AS q FROM events", files) == quantile(
                level, pairs
            )


def test_weights_count_within_each_group_and_after_where(
    worker: Asking, thinned: list[str]
) -> None:
    found = worker.rows(
        "SELECT blob2 AS s, quantileExactWeighted(0.9)(double1, _sample_interval) AS q, "
        "quantileExactWeighted(0.5)(double1 * 2, _sample_interval + 1) AS half, count() AS n "
        "FROM events WHERE blob6 = 'success' GROUP BY s ORDER BY s",
        thinned,
    )
    groups = defaultdict(list)
    for row in ROWS:
        if row["success"]:
            groups[row["blob2"]].append((row["latencyMs"], row["_sample_interval"]))
    assert found == [
        {
            "s": service,
            "q": quantile(0.9, pairs),
            "half": 2 * quantile(0.5, [(value, weight + 1) for value, weight in pairs]),
            "n": str(len(pairs)),
        }
        for service, pairs in sorted(groups.items())
    ]


def test_a_weight_of_a_sub_query_counts_as_well(worker: Asking, thinned: list[str]) -> None:
    found = worker.value(
        "SELECT quantileExactWeighted(0.5)(x, w) AS q FROM "
        "(SELECT double1 AS x, _sample_interval AS w FROM events WHERE double1 > 100)",
        thinned,
    )
    pairs = [(row["latencyMs"], row["_sample_interval"]) for row in ROWS]
    assert found == quantile(0.5, [pair for pair in pairs if pair[0] > 100])


MARKS = ["{by}", "{by+}", "{}", "{0}", "{{by}}", "{entries}", "{count}"]


@pytest.mark.parametrize("extra", [True, False], ids=["superset", "strict"])
@pytest.mark.parametrize("text", MARKS)
def test_a_text_in_what_is_weighted_stays_a_text(
    worker: Asking, folder: Path, text: str, extra: bool
) -> None:
    rows = [
        {"category": category, "latencyMs": 7.0, "_sample_interval": 2}
        for category in (text, text, "other")
    ]
    files = [written(folder / "marks.parquet", rows)]
    # Put in for the text, what is grouped by would end its quotes.
    pattern = "' || nosuchcolumn || '".replace("'", "''")
    key = f"format('{{}}{pattern}', blob5)"
    found = worker.rows(
        f"SELECT {key} AS g, "
        f"quantileExactWeighted(0.5)(if(blob5 = '{text}', 1, double1), _sample_interval) AS q, "
        f"quantileWeighted(0.5, double1, if(blob5 = '{text}', 5, 1)) AS w, "
        f"topKWeighted(1)(format('{{}}{text.replace('{', '{{').replace('}', '}}')}', blob5), "
        f"_sample_interval) AS t FROM events GROUP BY g ORDER BY q",
        files,
        extra=extra,
    )
    assert [(row["g"], row["q"], row["w"], row["t"]) for row in found] == [
        (f"{text}' || nosuchcolumn || '", 1.0, 7.0, [f"{text}{text}"]),
        ("other' || nosuchcolumn || '", 7.0, 7.0, [f"other{text}"]),
    ]


@pytest.mark.parametrize("text", MARKS)
def test_a_text_in_any_other_pattern_of_ours_stays_a_text(
    worker: Asking, thinned: list[str], text: str
) -> None:
    (row,) = worker.rows(
        f"SELECT topK(1)('{text}') AS top, groupArray(1)('{text}') AS listed, "
        f"sumIf(1, '{text}' = lower('{text.lower()}')) AS equal, log(length('{text}')) AS log, "
        f"quantileExactWeighted(0.5)(if('{text}' = '', 1, 2), _sample_interval) AS level, "
        f"uniqIf('{text}', position('{text}' IN '{text}') = 1) AS one FROM events",
        thinned,
        extra=True,
    )
    assert (row["top"], row["listed"], row["level"], row["one"]) == ([text], [text], 2, 1)
    assert row["equal"] == len(ROWS)
    assert row["log"] == pytest.approx(math.log(len(text)))
    found = worker.rows(
        f"SELECT lag('{text}', 1) OVER (PARTITION BY '{text}' ORDER BY double1) AS before, "
        f"sum(length('{text}')) OVER (ORDER BY double1 ROWS 0 PRECEDING) AS letters "
        f"FROM events ORDER BY double1 LIMIT 1 OFFSET 5",
        thinned,
        extra=True,
    )
    assert found == [{"before": text, "letters": len(text)}]


@pytest.mark.parametrize("extra", [True, False], ids=["superset", "strict"])
def test_an_escaped_nul_in_a_pattern_is_no_mark_of_levels(
    worker: Asking, thinned: list[str], whole: list[str], extra: bool
) -> None:
    level = "quantileExactWeighted(0.5)(double1, _sample_interval) AS q"
    escaped = "\\00\\0"
    text = (
        f"SELECT format('{escaped}{{}}', blob2) AS a, "
        f"formatDateTime(toDateTime('2025-10-01 00:00:00'), '{escaped}') AS b, {level} "
        f"FROM events GROUP BY a, b ORDER BY a LIMIT 1"
    )
    for files in (whole, thinned):
        (row,) = worker.rows(text, files, extra=extra)
        assert row["a"] == "\x000\x00s-0"
        assert "0.5" not in row["b"]


def test_what_is_no_number_has_no_weight(worker: Asking, folder: Path) -> None:
    rows = [
        {"latencyMs": value, "_sample_interval": 2} for value in (math.nan, 1.0, 2.0, math.nan)
    ]
    files = [written(folder / "nan.parquet", rows)]
    assert (
        worker.value(
            "SELECT quantileExactWeighted(1)(double1, _sample_interval) AS q FROM events", files
        )
        == 2.0
    )


def test_the_most_frequent_come_first(worker: Asking, thinned: list[str]) -> None:
    counts = Counter(row["category"] for row in ROWS)
    weights: Counter[str] = Counter()
    for row in ROWS:
        weights[row["userId"]] += row["_sample_interval"]
    assert worker.value("SELECT topK(2)(blob5) AS t FROM events", thinned) == [
        category for category, _ in counts.most_common(2)
    ]
    found = worker.value(
        "SELECT topKWeighted(5)(blob3, _sample_interval) AS t FROM events", thinned
    )
    assert [weights[user] for user in found] == [n for _, n in weights.most_common(5)]
    assert len(worker.value("SELECT topK(blob3) AS t FROM events", thinned)) == 10


def test_conditions_stand_in_the_last_argument(worker: Asking, thinned: list[str]) -> None:
    (found,) = worker.rows(
        "SELECT COUNTIF(blob6 = 'error') AS errors, sumIf(_sample_interval, blob5 IN ('a') "
        "AND double1 > 10) AS a, avgIf(double1, blob5 = 'b') AS b, "
        "SUMif(double1, 1 = 2) AS no, "
        "avgIf(double1, 1 = 2) AS never, count(DISTINCT blob3) AS users, "
        "sum(DISTINCT double1) AS d "
        "FROM events",
        thinned,
    )
    in_b = [row["latencyMs"] for row in ROWS if row["category"] == "b"]
    in_a = [row for row in ROWS if row["category"] == "a" and row["latencyMs"] > 10]
    assert found == {
        "errors": str(sum(not row["success"] for row in ROWS)),
        "a": str(sum(row["_sample_interval"] for row in in_a)),
        "b": pytest.approx(sum(in_b) / len(in_b)),
        "no": 0.0,
        "never": None,
        "users": str(len({row["userId"] for row in ROWS})),
        "d": sum({row["latencyMs"] for row in ROWS}),
    }


def test_nothing_counts_as_nothing(worker: Asking, empty: list[str]) -> None:
    assert worker.rows(
        "SELECT count() AS n, sum(double1) AS s, sum(_sample_interval) AS i, "
        "avg(double1) AS a, "
        "topK(3)(blob1) AS t FROM events",
        empty,
    ) == [{"n": "0", "s": 0.0, "i": "0", "a": None, "t": []}]
    assert worker.rows("SELECT blob1, count() AS n FROM events GROUP BY blob1", empty) == []


def test_arguments_of_extremes_are_found(worker: Asking, thinned: list[str]) -> None:
    slowest = max(row["latencyMs"] for row in ROWS)
    fastest = min(row["latencyMs"] for row in ROWS)
    (found,) = worker.rows(
        "SELECT argMax(blob2, double1) AS slow, argMin(blob2, double1) AS fast, "
        "min(double1) AS low, MAX(double1) AS high FROM events",
        thinned,
    )
    assert found["slow"] in {row["blob2"] for row in ROWS if row["latencyMs"] == slowest}
    assert found["fast"] in {row["blob2"] for row in ROWS if row["latencyMs"] == fastest}
    assert (found["low"], found["high"]) == (fastest, slowest)


def test_first_and_last_follow_the_order_of_the_query(
    worker: Asking, thinned: list[str]
) -> None:
    for call, order in (("first_value", "ASC"), ("last_value", "DESC")):
        asked = f"SELECT {call}(double1) AS x FROM events ORDER BY double1 {order}"
        assert worker.value(asked, thinned) == min(row["latencyMs"] for row in ROWS)


def test_a_sum_beyond_64_bits_is_refused_as_that_and_one_of_doubles_goes_on(
    worker: Asking, folder: Path
) -> None:
    micros = 5 * 10**18  # five trillion of a currency, as rupiahs or rials come to in a month
    rows = [{"amountMicros": micros, "amount": micros / 1e6}] * 2
    file = written(folder / "rich.parquet", rows)
    with pytest.raises(Refused, match="beyond what its type holds: integers have 64 bits"):
        worker.rows("SELECT sum(amountMicros) AS n FROM events", [file], extra=True)
    total = worker.rows("SELECT sum(amount) AS n FROM events", [file], extra=True)
    assert total == [{"n": 1e13}]
