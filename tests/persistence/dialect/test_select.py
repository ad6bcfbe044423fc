"""Names, groups, orders and limits of a SELECT mean what they mean in ClickHouse."""

import datetime as dt
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from persistence.archive.columns import ANALYTICS_ENGINE
from tests.sqlworkers import Asking, Gone, Refused, written

START = dt.datetime(2025, 10, 1)  # noqa: DTZ001  as the files have it
ROWS: list[dict[str, Any]] = [
    {
        "timestamp": START + dt.timedelta(minutes=17 * n),
        "index1": f"s-{n % 3}",
        "blob2": f"s-{n % 3}",
        "userId": f"u-{n % 7}",
        "latencyMs": float(n),
        "success": n % 5 > 0,
    }
    for n in range(200)
]
BY_SERVICE = Counter(row["blob2"] for row in ROWS)


@pytest.fixture(scope="module")
def files(folder: Path) -> list[str]:
    return [written(folder / "rows.parquet", ROWS)]


def test_star_is_the_44_columns_in_their_order(worker: Asking, files: list[str]) -> None:
    answer = worker.answer('SELECT * FROM "events" ORDER BY "timestamp" LIMIT 1', files)
    assert [column["name"] for column in answer["meta"]] == list(ANALYTICS_ENGINE)
    (row,) = answer["data"]
    assert row["timestamp"] == "2025-10-01 00:00:00"
    assert (row["blob1"], row["blob20"], row["double2"]) == ("service_execution", "", 0.0)


@pytest.mark.parametrize(
    "asked",
    [
        "SELECT blob2 AS s, count() AS n FROM events GROUP BY s ORDER BY s",
        "SELECT blob2 AS s, count() AS n FROM events GROUP BY blob2 ORDER BY s ASC",
        "select blob2 as s, COUNT() as n from events group by 1 order by 1",
        "SELECT s, count() AS n FROM (SELECT blob2 AS s FROM events) GROUP BY s ORDER BY s",
        "SELECT blob2 AS s, sum(_sample_interval) AS n FROM events -- all\n"
        "/* of them */ WHERE s != 'x' GROUP by s ORDER by blob2;",
        "SELECT blob2 AS s, count() AS n FROM events GROUP BY s HAVING n > 0 "
        "ORDER BY s LIMIT ALL",
        "SELECT * FROM (SELECT blob2 AS s, count() AS n FROM events GROUP BY s) ORDER BY s",
    ],
)
def test_an_alias_may_be_used_everywhere(worker: Asking, files: list[str], asked: str) -> None:
    assert worker.rows(asked, files) == [
        {"s": service, "n": str(n)} for service, n in sorted(BY_SERVICE.items())
    ]


def test_an_alias_wins_over_a_column_but_not_where_an_aggregate_has_no_place(
    worker: Asking, files: list[str]
) -> None:
    asked = (
        "SELECT sum(double1) AS double1, max(double1) AS top FROM events WHERE double1 > 100"
    )
    (row,) = worker.rows(asked, files)
    assert row == {"double1": float(sum(range(101, 200))), "top": 199.0}
    asked = "SELECT blob2 AS blob3, blob3 AS blob2 FROM events ORDER BY double1 LIMIT 1"
    assert worker.rows(asked, files) == [{"blob3": "s-0", "blob2": "u-0"}]
    day = "toStartOfDay(timestamp) AS timestamp"
    for by in ("timestamp", "1"):
        asked = f"SELECT {day}, count() AS n FROM events GROUP BY {by} ORDER BY {by} DESC"
        found = worker.rows(asked, files)
        assert [row["timestamp"][:10] for row in found] == [f"2025-10-0{n}" for n in (3, 2, 1)]
    asked = "SELECT 0 - double1 AS double1 FROM events ORDER BY 1 LIMIT 1"
    assert worker.rows(asked, files) == [{"double1": -199.0}]


def test_rows_can_be_ordered_by_what_is_not_selected(worker: Asking, files: list[str]) -> None:
    found = worker.rows("SELECT blob3 FROM events ORDER BY double1 DESC LIMIT 2", files)
    assert found == [{"blob3": ROWS[199]["userId"]}, {"blob3": ROWS[198]["userId"]}]
    found = worker.rows(
        "SELECT blob2 FROM events GROUP BY blob2 ORDER BY max(double1) DESC, count()", files
    )
    assert [row["blob2"] for row in found] == ["s-1", "s-0", "s-2"]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("0 - double1 AS x FROM events GROUP BY double1 ORDER BY x", range(-199, 1)),
        ("double1 AS x FROM events GROUP BY x ORDER BY 0 - double1", range(199, -1, -1)),
        (
            "intDiv(_sample_interval * double1, 10) * 10 AS x FROM events "
            "GROUP BY intDiv(_sample_interval * double1, 10) ORDER BY x DESC",
            map(str, range(190, -1, -10)),
        ),
        (
            "upper(blob2) AS x FROM events GROUP BY blob2 ORDER BY x DESC",
            ["S-2", "S-1", "S-0"],
        ),
        (
            "blob2 AS x FROM events GROUP BY x ORDER BY if(x = 's-1', 0, 1), x",
            ["s-1", "s-0", "s-2"],
        ),
    ],
)
def test_groups_are_ordered_by_what_is_made_of_what_they_are_grouped_by(
    worker: Asking, files: list[str], asked: str, expected: Iterable[Any]
) -> None:
    found = worker.rows(f"SELECT {asked}", files)
    assert [row["x"] for row in found] == list(expected)


def test_limit_and_offset_cut_the_rows_and_say_how_many_there_were(
    worker: Asking, files: list[str]
) -> None:
    asked = "SELECT blob3 AS u, count() AS n FROM events GROUP BY u ORDER BY u LIMIT 2 OFFSET 3"
    answer = worker.answer(asked, files)
    assert [row["u"] for row in answer["data"]] == ["u-3", "u-4"]
    assert (answer["rows"], answer["rows_before_limit_at_least"]) == (2, 7)
    answer = worker.answer("SELECT double1 FROM events ORDER BY double1 LIMIT 5", files)
    assert answer["rows"] == 5
    assert answer["rows_before_limit_at_least"] >= 5
    answer = worker.answer(
        "SELECT * FROM (SELECT blob1 FROM events) LIMIT 0\nFORMAT JSON", files
    )
    assert (answer["rows"], answer["data"]) == (0, [])
    assert answer["meta"] == [{"name": "blob1", "type": "String"}]


def test_the_order_of_many_rows_survives_threads(folder: Path) -> None:
    rows = [{"latencyMs": float((n * 7919) % 50_000)} for n in range(50_000)]
    files = [written(folder / "many.parquet", rows)]
    with Asking(threads=4) as asking:
        found = asking.rows("SELECT double1 AS x FROM events ORDER BY x", files)
    assert [row["x"] for row in found] == [float(n) for n in range(50_000)]


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata", "America/Havana"])
@pytest.mark.parametrize(("unit", "step"), [("DAY", 1), ("HOUR", 1), ("MINUTE", 15)])
def test_buckets_begin_by_the_clocks_of_their_zone(
    worker: Asking, folder: Path, zone: str, unit: str, step: int
) -> None:
    first = dt.datetime(2025, 10, 31)  # noqa: DTZ001  over the end of summer time
    moments = [first + dt.timedelta(minutes=13 * n) for n in range(500)]
    files = [written(folder / "autumn.parquet", [{"timestamp": one} for one in moments])]
    found = worker.rows(
        f"SELECT toStartOfInterval(timestamp, INTERVAL '{step}' {unit}, '{zone}') AS _bucket, "
        "toDateTime(_bucket, 'Etc/UTC') AS bucket, count() AS n FROM events "
        "GROUP BY _bucket ORDER BY _bucket ASC",
        files,
    )
    rules = ZoneInfo(zone)
    counts: Counter[tuple[str, str]] = Counter()
    for moment in moments:
        local = moment.replace(tzinfo=dt.UTC).astimezone(rules)
        start = local.replace(minute=local.minute // step * step if unit == "MINUTE" else 0)
        if unit == "DAY":
            start = start.replace(hour=0, fold=0)
        utc = start.astimezone(dt.UTC)
        counts[utc.strftime("%F %T"), start.strftime("%F %T")] += 1
    assert [(row["bucket"], row["_bucket"], int(row["n"])) for row in found] == [
        (utc, local, n) for (utc, local), n in sorted(counts.items())
    ]


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Tokyo", "America/Sao_Paulo"])
@pytest.mark.parametrize("unit", ["MONTH", "YEAR"])
def test_long_buckets_begin_at_midnight_of_their_zone(
    worker: Asking, folder: Path, zone: str, unit: str
) -> None:
    first = dt.datetime(2024, 11, 20, 3)  # noqa: DTZ001
    moments = [first + dt.timedelta(hours=37 * n) for n in range(300)]
    files = [written(folder / "long.parquet", [{"timestamp": one} for one in moments])]
    found = worker.rows(
        f"SELECT toUnixTimestamp(toStartOfInterval(timestamp, INTERVAL '1' {unit}, '{zone}')) "
        "AS t, count() AS n FROM events GROUP BY t ORDER BY t",
        files,
    )
    counts: Counter[int] = Counter()
    for moment in moments:
        local = moment.replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone))
        start = dt.datetime(
            local.year, local.month if unit == "MONTH" else 1, 1, tzinfo=ZoneInfo(zone)
        )
        counts[int(start.timestamp())] += 1
    assert [(row["t"], int(row["n"])) for row in found] == sorted(counts.items())


def test_a_text_compares_with_a_time(worker: Asking, files: list[str]) -> None:
    for condition in (
        "timestamp >= '2025-10-02 00:00:00'",
        "timestamp >= toDateTime('2025-10-02 00:00:00', 'UTC')",
        "timestamp >= toDateTime(1759363200) AND timestamp <= toDateTime(1790000000)",
        "timestamp > now() - INTERVAL '36' HOUR - INTERVAL '1' SECOND",
        "timestamp BETWEEN '2025-10-02 00:00:00' AND '2026-01-01 00:00:00'",
        "toDate(timestamp) >= '2025-10-02'",
    ):
        expected = sum(row["timestamp"] >= START + dt.timedelta(days=1) for row in ROWS)
        found = worker.value(f"SELECT count() AS n FROM events WHERE {condition}", files)
        assert found == str(expected), condition


def test_formats_have_the_forms_of_clickhouse(worker: Asking, files: list[str]) -> None:
    asked = (
        "SELECT blob2 AS s, count() AS n, max(double1) AS m FROM events GROUP BY s ORDER BY s"
    )
    lines = worker.body(asked + " FORMAT JSONEachRow", files).splitlines()
    assert lines[0] == b'{"s":"s-0","n":"67","m":198.0}'
    assert worker.body(asked + " FORMAT TabSeparated", files) == (
        b"s-0\t67\t198\ns-1\t67\t199\ns-2\t66\t197\n"
    )
    assert worker.body("SELECT 'a\tb\n' AS x, 1 / 0 AS y FORMAT TabSeparated") == (
        b"a\\tb\\n\t\\N\n"
    )
    numbers = "1.5e16 AS a, 1e21 AS b, 0.00001 AS c, -1.5e-6 AS d, 1e-7 AS e, 2.0 AS f"
    assert worker.body(f"SELECT {numbers} FORMAT TabSeparated") == (
        b"15000000000000000\t1e21\t0.00001\t-0.0000015\t1e-7\t2\n"
    )
    csv = worker.body("SELECT 'a,\"b\"' AS x, 1.5 AS y FORMAT CSVWithNames", extra=True)
    assert csv == b'x,y\r\n"a,""b""",1.5\r\n'


def test_integers_of_64_bits_are_texts_where_it_is_asked(
    worker: Asking, files: list[str]
) -> None:
    asked = "SELECT count() AS n, 1 AS small, topK(1)(length(blob2)) AS t FROM events"
    assert worker.rows(asked, files) == [{"n": "200", "small": 1, "t": ["3"]}]
    assert worker.rows(asked, files, quoted=False) == [{"n": 200, "small": 1, "t": [3]}]


def test_show_lists_tables_and_the_zone(worker: Asking) -> None:
    assert worker.rows("SHOW TABLES") == [{"dataset": "events", "type": "managed"}]
    assert worker.rows("show timezone format JSON") == [{"timezone": "Etc/UTC"}]


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ("SELECT nope FROM events", 'unable to find type of column: "nope"'),
        ("SELECT Blob1 FROM events", 'unable to find type of column: "Blob1"'),
        ("SELECT * FROM nope", 'unknown table "nope"'),
        ("SELECT blob1, count() FROM events", "neither in GROUP BY nor inside of an aggregate"),
        ("SELECT count() AS n FROM events WHERE n > 1", "cannot stand in WHERE"),
        ("SELECT 1; SELECT 2", "only one statement"),
        ("SELECT 1 FORMAT XML", "unknown format XML"),
        ("SELECT 1 FORMAT CSV", "unknown format CSV"),
        ("SELEC 1", "syntax error at line 1, column 7"),
        ("SELECT 1 AS", 'syntax error at line 1, column 11, near "AS"'),
        ("SELECT 1 FROM events AS", 'syntax error at line 1, column 23, near "AS"'),
        ("SELECT 1 FORMAT", 'syntax error at line 1, column 15, near "FORMAT"'),
        ("SELECT 1 FROM events GROUP", 'syntax error at line 1, column 26, near "GROUP"'),
        ("SELECT 1 FROM events ORDER", 'syntax error at line 1, column 26, near "ORDER"'),
        ("SELECT 1 FROM events OFFSET", 'syntax error at line 1, column 27, near "OFFSET"'),
        ("SELECT 1 FROM events GROUP BY", 'syntax error at line 1, column 29, near "GROUP BY"'),
        ("SELECT 1 FROM events GROUP BY ORDER BY 1", 'near "ORDER BY"'),
        ("SELECT 1 AS x,", 'syntax error at line 1, column 14, near ","'),
        ("SELECT 1,, 2", 'syntax error at line 1, column 10, near ","'),
        ("SELECT , 1", 'syntax error at line 1, column 8, near ","'),
        ("SELECT count() FROM events,", 'syntax error at line 1, column 27, near ","'),
        ("SELECT pow(1,,2)", 'syntax error at line 1, column 14, near ","'),
        ("SELECT blob1 FROM events GROUP BY blob1, ORDER BY 1", 'column 40, near ","'),
        ("SELECT blob1 FROM events HAVING blob1 = 'a'", "HAVING needs GROUP BY"),
        ("SELECT blob1 FROM events ORDER BY count()", '"blob1" is neither in GROUP BY'),
        ("SELECT 1 FROM events WHERE blob1 IN 'a'", "IN takes a list of values in brackets"),
        (
            "SELECT 1 FROM events\nWHERE blob1 = 'x",
            "at line 2, column 15: this ' is not closed",
        ),
        ('SELECT "x FROM events', 'at line 1, column 8: this " is not closed'),
        ("SELECT 1 FROM events WHERE userId = 'it's'", "a comment is not closed"),
        ("SELECT 1 /* x", "a comment is not closed"),
        ("SELECT FROM events", "SELECT without anything to select"),
        ("query=SELECT+1", "syntax error"),
        ('{"query": "SELECT 1"}', "only SELECT and SHOW can be run"),
        ("EXPLAIN SELECT 1", "only SELECT and SHOW can be run, not EXPLAIN"),
        ("SHOW DATABASES", "SHOW takes TABLES, TIMEZONES or TIMEZONE"),
        ("SELECT name FROM system.tables", 'unknown table "system.tables"'),
        ("SELECT 1 FORMAT Arrow", "unknown format Arrow"),
        ("", "the query is empty"),
        ("SELECT count(*) FROM events", "unsupported argument of count"),
        ("SELECT DISTINCT blob1 FROM events", "unsupported in a query: SELECT DISTINCT"),
        ("WITH a AS (SELECT 1) SELECT * FROM a", "unsupported in a query: WITH"),
        ("SELECT 1 UNION ALL SELECT 2", "not UNION"),
        ("SELECT a.blob1 FROM events a JOIN events b ON a.blob1 = b.blob1", "JOIN"),
        ("SELECT 1 FROM events, events", "JOIN"),
        ("SELECT blob1 FROM events WHERE blob1 IN (SELECT blob1 FROM events)", "sub-query"),
        ("SELECT row_number() OVER () FROM events", "a window"),
        ("SELECT blob1 FROM events LIMIT 1 BY blob1", "unsupported in a query"),
        ("SELECT blob1 FROM events SAMPLE 0.1", "unsupported in a query"),
        ("SELECT blob1 FROM events PREWHERE 1", "unsupported in a query"),
        ("SELECT blob1 FROM events SETTINGS max_threads = 1", "unsupported in a query"),
    ],
)
def test_what_the_strict_dialect_has_not_is_refused(
    worker: Asking, files: list[str], asked: str, reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        worker.body(asked, files)
    assert str(refused.value).startswith("Input was invalid: ")
    assert reason in str(refused.value)


@pytest.mark.parametrize("many", ["'²'", "9" * 5_000, f"'{'9' * 19}'", "'-1'", "1.5"])
def test_a_border_of_a_window_that_is_no_number_of_rows_is_refused(
    worker: Asking, files: list[str], many: str
) -> None:
    told = f"SELECT sum(double1) OVER (ORDER BY double1 ROWS {many} PRECEDING) FROM events"
    with pytest.raises(Refused) as refused:
        worker.body(told, files, extra=True)
    assert "the border of a window" in str(refused.value)


JOINED = "(SELECT 1 AS id, 2 AS v) a JOIN (SELECT 1 AS id, 3 AS v) b"

SUPERSET: list[tuple[str, list[dict[str, Any]]]] = [
    ("SELECT count(*) AS n FROM events", [{"n": 200}]),
    ("SELECT uniq(blob3) AS u, uniqExact(userId) AS v FROM events", [{"u": 7, "v": 7}]),
    (
        "WITH by_user AS (SELECT userId, count() AS n FROM events GROUP BY userId) "
        "SELECT max(n) AS most, count() AS users FROM by_user",
        [{"most": 29, "users": 7}],
    ),
    (
        "WITH a AS (SELECT 1 AS x), b AS (SELECT x + 1 AS y FROM a) SELECT y FROM b",
        [{"y": 2}],
    ),
    (
        "SELECT blob2 AS s, rank() OVER (ORDER BY count() DESC) AS r FROM events GROUP BY s "
        "HAVING s = 's-2'",
        [{"s": "s-2", "r": 1}],
    ),
    (
        "SELECT double1 AS x, sum(double1) OVER (ORDER BY double1 ROWS BETWEEN 1 PRECEDING AND "
        "CURRENT ROW) AS two, lag(double1) OVER (ORDER BY double1) AS before FROM events "
        "ORDER BY x LIMIT 2",
        [{"x": 0.0, "two": 0.0, "before": None}, {"x": 1.0, "two": 1.0, "before": 0.0}],
    ),
    ("SELECT 1 AS x, 1 AS x, 2, 2", [{"x": 1, "2": 2}]),
    (f"SELECT * FROM {JOINED} ON a.id = b.id", [{"id": 1, "v": 2, "b.id": 1, "b.v": 3}]),
    (f"SELECT * FROM {JOINED} USING (id)", [{"id": 1, "v": 2, "b.v": 3}]),
    (f"SELECT b.v, a.v FROM {JOINED} USING (id)", [{"b.v": 3, "v": 2}]),
    ("SELECT *, 7 AS v, id FROM (SELECT 1 AS id, 2 AS v) a", [{"id": 1, "a.v": 2, "v": 7}]),
    ("SELECT DISTINCT blob2 FROM events ORDER BY blob2 LIMIT 1", [{"blob2": "s-0"}]),
    ("SELECT DISTINCT(blob2) FROM events ORDER BY blob2 LIMIT 1", [{"blob2": "s-0"}]),
    ("SELECT 1 AS x UNION ALL SELECT 2", [{"x": 1}, {"x": 2}]),
    (
        "SELECT a.s AS s, b.n AS n FROM (SELECT DISTINCT blob2 AS s FROM "
        "events) a JOIN (SELECT "
        "blob2 AS s, count() AS n FROM events GROUP BY s) b ON a.s = b.s ORDER BY s LIMIT 1",
        [{"s": "s-0", "n": 67}],
    ),
    (
        "SELECT count() AS n FROM events WHERE userId IN (SELECT userId FROM events WHERE "
        "latencyMs = 3)",
        [{"n": 29}],
    ),
    (  # by days: a sub-query's type is the one that is compared
        "SELECT noon IN (SELECT toDate('2025-10-01')) AS is_in, noon NOT IN (SELECT "
        "toDate('2025-10-01')) AS is_out, noon IN (toDate('2025-10-01')) AS listed FROM "
        "(SELECT toDateTime('2025-10-01 12:00:00') AS noon)",
        [{"is_in": 1, "is_out": 0, "listed": 0}],
    ),
    ("SELECT CAST(1 AS String) AS a, toString(2.5) AS b, '3'::UInt8 AS c",
     [{"a": "1", "b": "2.5", "c": 3}]),
    ("SELECT coalesce(NULL, 3) AS a, ifNull(NULL, 'x') AS b, isNull(orderId) AS c FROM events "
     "LIMIT 1", [{"a": 3, "b": "x", "c": 1}]),
    (
        "SELECT quantileExact(latencyMs) AS m, quantileExact(0.95)(latencyMs) AS p, "
        "quantileExact(0)(latencyMs) AS lo, quantileExact(1)(latencyMs) AS hi FROM events",
        [{"m": 100.0, "p": 190.0, "lo": 0.0, "hi": 199.0}],
    ),
    ("SELECT median(latencyMs) AS m, quantile(0.5)(latencyMs) AS q FROM events",
     [{"m": 99.5, "q": 99.5}]),
    ("SELECT dateDiff('day', toDateTime('2025-10-01 23:00:00'), "
     "toDateTime('2025-10-02 01:00:00')) "
     "AS d, addDays(today(), 1) AS t", [{"d": 1, "t": "2025-10-04"}]),
    ("SELECT addMonths(toDateTime('2025-10-31 10:00:00', 'Europe/Berlin'), n) AS a, "
     "subtractHours(toDate('2025-10-02'), n) AS b, addDays(toDate('2025-10-01'), n) AS c "
     "FROM (SELECT uniq(blob1) AS n FROM events)",
     [{"a": "2025-11-30 10:00:00", "b": "2025-10-01 23:00:00", "c": "2025-10-02"}]),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "expected"), SUPERSET)
def test_the_superset_has_more(
    worker: Asking, files: list[str], asked: str, expected: list[dict[str, Any]]
) -> None:
    assert worker.rows(asked, files, extra=True) == expected


def test_first_and_last_of_a_window_follow_its_own_order(
    worker: Asking, files: list[str]
) -> None:
    window = "(PARTITION BY blob2 ORDER BY double1 {}ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING)"
    for way, step in (("", 3), ("DESC ", -3)):
        asked = (
            f"SELECT double1 AS x, first_value(double1) OVER {window.format(way)} AS a, "
            f"last_value(double1) OVER {window.format(way)} AS b "
            f"FROM events ORDER BY blob3, double1 DESC"
        )
        for row in worker.rows(asked, files, extra=True):
            inside = [row["x"] - step, row["x"], row["x"] + step]
            inside = [one for one in inside if 0 <= one < 200]
            assert (row["a"], row["b"]) == (inside[0], inside[-1])


def test_first_and_last_are_values_that_there_are(worker: Asking, folder: Path) -> None:
    rows = [{"category": one, "latencyMs": n} for n, one in enumerate([None, "a", "b", None])]
    files = [written(folder / "ends.parquet", rows)]
    two = "first_value(category){over} AS a, last_value(category){over} AS b"
    asked = f"SELECT {two.format(over='')} FROM events ORDER BY latencyMs"
    assert worker.rows(asked, files) == [{"a": "a", "b": "b"}]
    over = " OVER (ORDER BY latencyMs ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)"
    asked = f"SELECT DISTINCT {two.format(over=over)} FROM events"
    assert worker.rows(asked, files, extra=True) == [{"a": "a", "b": "b"}]


def test_null_comes_last_unless_it_is_said(worker: Asking, folder: Path) -> None:
    files = [written(folder / "nulls.parquet", [{"category": one} for one in ("a", None, "b")])]
    for order, expected in (
        ("", ["a", "b", None]),
        ("DESC", ["b", "a", None]),
        ("NULLS FIRST", [None, "a", "b"]),
        ("DESC NULLS FIRST", [None, "b", "a"]),
        ("DESC NULLS LAST", ["b", "a", None]),
    ):
        found = worker.rows(f"SELECT category FROM events ORDER BY category {order}", files)
        assert [row["category"] for row in found] == expected, order
        asked = f"row_number() OVER (ORDER BY category {order}) AS n"
        asked = f"SELECT category, {asked} FROM events ORDER BY n"
        found = worker.rows(asked, files, extra=True)
        assert [row["category"] for row in found] == expected, order


def test_a_null_among_the_values_hides_nobody_who_is_not_in_them(
    worker: Asking, folder: Path
) -> None:
    rows = [{"userId": one, "latencyMs": 1.0} for one in ("a", "b", None)]
    rows += [{"userId": one, "latencyMs": 2.0} for one in ("b", None)]
    files = [written(folder / "hidden.parquet", rows)]
    for values in ("'b', NULL", "SELECT userId FROM events WHERE latencyMs = 2"):
        for word, expected in (("IN", {"b"}), ("NOT IN", {"a"})):
            asked = f"SELECT DISTINCT userId FROM events WHERE userId {word} ({values})"
            found = worker.rows(asked, files, extra=True)
            assert {row["userId"] for row in found} == expected, asked
    for word, n in (("IN", 1), ("NOT IN", 4)):
        asked = f"SELECT count() AS n FROM events WHERE 'a' {word} (userId, category)"
        assert worker.value(asked, files) == str(n)


def test_limits_of_an_answer_are_kept(worker: Asking, files: list[str]) -> None:
    asked = "SELECT blob1 FROM events"
    assert len(worker.rows(asked, files, rows_max=200)) == 200
    with pytest.raises(Refused, match="more than 199 rows"):
        worker.body(asked, files, rows_max=199)
    size = len(worker.body(asked, files))
    assert len(worker.body(asked, files, bytes_max=size)) == size
    with pytest.raises(Refused, match=f"larger than {size - 1} bytes"):
        worker.body(asked, files, bytes_max=size - 1)


def test_limits_of_a_text_are_kept(worker: Asking) -> None:
    text = "SELECT 1 AS x"
    assert worker.value(text, text_bytes_max=len(text)) == 1
    with pytest.raises(Refused) as refused:
        worker.body(text, text_bytes_max=len(text) - 1)
    assert refused.value.status == 413
    assert worker.value("SELECT " + "(" * 60 + "1" + ")" * 60) == 1
    with pytest.raises(Refused, match="more than 60 nested brackets"):
        worker.body("SELECT " + "(" * 61 + "1" + ")" * 61)


def test_a_file_that_is_gone_is_told_from_a_query_that_is_wrong(worker: Asking) -> None:
    with pytest.raises(Gone):
        worker.body("SELECT blob1 FROM events", ["/nowhere/at/all.parquet"])


@pytest.mark.parametrize(
    "text",
    [
        "count()",
        "SUM(_sample_interval)",
        "count(DISTINCT blob1)",
        "sumIf(double1, blob1 = 'x' AND blob2 <> 'y')",
        "quantileExactWeighted(0.5)(double1, _sample_interval)",
        "if(double1 > 1, 'a', 'b')",
        "position('b' IN blob1)",
        "extract(YEAR FROM timestamp)",
        "blob1 NOT IN ('a', 'it''s')",
        "double1 NOT BETWEEN 1 AND 2",
        "blob1 NOT LIKE 'a%'",
        "NOT double1",
        "toStartOfInterval(timestamp, INTERVAL '1' DAY, 'Etc/UTC')",
        "(1 + 2) * 3",
        "CASE WHEN double1 > 1 THEN 'a' ELSE 'b' END",
    ],
)
def test_a_column_without_an_alias_is_called_what_was_written(
    worker: Asking, empty: list[str], text: str
) -> None:
    answer = worker.answer(
        f"SELECT {text} FROM events GROUP BY blob1, double1, timestamp", empty
    )
    assert [column["name"] for column in answer["meta"]] == [text]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT user_id FROM events", 'column: "user_id"; did you mean "userId"?'),
        ("SELECT Blob1 FROM events", 'column: "Blob1"; did you mean "blob1"?'),
        ("SELECT blob FROM events", 'column: "blob"; did you mean "blob1"?'),
        ("SELECT count() AS total FROM events ORDER BY totl", 'did you mean "total"?'),
        (
            'SELECT count() FROM events WHERE blob1 = "service_execution"',
            'column: "service_execution"; a text stands in single quotes',
        ),
        ("SELECT count() FROM event", 'unknown table "event"; did you mean "events"?'),
        ("SELECT toDateTme(1)", 'unknown function: "toDateTme"; did you mean "toDateTime"?'),
        ("SELECT COUNTIFF(1 = 1) FROM events", 'did you mean "countIf"?'),
        ("SELECT uniqq(blob1) FROM events", 'unknown function: "uniqq"; did you mean "uniq"?'),
        ("SELECT toDateTime(0, 'europe/berlin')", '; did you mean "Europe/Berlin"?'),
        ("SELECT toDateTime(0, 'Mars')", '"Mars"; SHOW TIMEZONES lists them all'),
        ("SELECT lag(double1) FROM events", "lag needs a window: lag(...) OVER (ORDER BY ...)"),
        (
            "SELECT rank() OVER (ORDER BY double1) AS r FROM events WHERE r = 1",
            "a window cannot stand in WHERE: filter in a query around it",
        ),
        ("SELECT blob1 AS a, blob2 AS a FROM events", 'the alias "a" stands for two things'),
        (
            "SELECT a FROM (SELECT blob1 AS a, blob2 AS a FROM events) FORMAT CSV",
            'the alias "a" stands for two things',
        ),
        (
            "SELECT * FROM (SELECT 1 AS id, 2 AS v) JOIN (SELECT 1 AS id, 3 AS v) USING (id)",
            'two columns are called "v"; AS gives one of them another name',
        ),
        ("WITH 5 AS k SELECT k", "WITH takes names and sub-queries"),
    ],
)
def test_a_refusal_says_what_may_be_meant(
    worker: Asking, empty: list[str], text: str, told: str
) -> None:
    with pytest.raises(Refused) as refused:
        worker.body(text, empty, extra=True)
    assert told in str(refused.value)


def test_nothing_of_the_superset_is_proposed_to_the_strict_dialect(
    worker: Asking, empty: list[str]
) -> None:
    with pytest.raises(Refused) as refused:
        worker.body("SELECT uniqq(blob1) FROM events", empty)
    assert str(refused.value).endswith('unknown function: "uniqq"')


def test_a_comma_may_stand_where_clickhouse_lets_it(worker: Asking, files: list[str]) -> None:
    asked = "SELECT count() AS n, FROM events WHERE blob2 IN ('s-0', 's-1',)"
    assert worker.rows(asked, files) == [{"n": "134"}]


def test_no_rows_make_no_group_whatever_they_are_grouped_by(
    worker: Asking, files: list[str]
) -> None:
    asked = "SELECT {key} AS k, count() AS n FROM events WHERE blob2 = '{of}' GROUP BY k"
    for key in ("'all'", "1 + 1", "blob2"):
        assert worker.rows(asked.format(key=key, of="s-9"), files) == []
    assert worker.rows(asked.format(key="'all'", of="s-0"), files) == [{"k": "all", "n": "67"}]


def test_texts_are_joined_in_the_superset(worker: Asking) -> None:
    assert worker.value("SELECT 'a' || 'b' || 1 AS x", extra=True) == "ab1"
    assert worker.value("SELECT 'a' || NULL AS x", extra=True) is None
    with pytest.raises(Refused, match=r"unsupported expression type: \|\|"):
        worker.body("SELECT 'a' || 'b' AS x")


@pytest.mark.parametrize("name", ["quantile(0.5)", "median"])
def test_a_quantile_between_two_integers_is_a_double(
    worker: Asking, folder: Path, name: str
) -> None:
    files = [written(folder / "between.parquet", [{"variantIndex": n} for n in (1, 2)])]
    answer = worker.answer(f"SELECT {name}(variantIndex) AS q FROM events", files, extra=True)
    assert (answer["meta"][0]["type"], answer["data"]) == ("Float64", [{"q": 1.5}])


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("SELECT blob1 FROM events LIMIT 1 BY blob1", "unsupported in a query: LIMIT BY"),
        ("SELECT quantiles(0.5)(double1) FROM events", 'unknown function: "quantiles"'),
    ],
)
def test_what_is_unknown_is_named_as_it_was_written(
    worker: Asking, empty: list[str], text: str, told: str
) -> None:
    with pytest.raises(Refused, match=told):
        worker.body(text, empty, extra=True)
