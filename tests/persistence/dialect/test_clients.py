"""What real clients send, by their shapes, with right answers computed in Python beside it.

The shapes are those of Counterscale (buckets by zone, pages by LIMIT), the ClickHouse plugin of
Grafana ($timeSeries and $timeFilter written out), Outerbase (SHOW TABLES, SELECT *), gateways
that ask for types by LIMIT 0, and pollers and exporters that alias every column.
"""

import datetime as dt
import math
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pytest

from tests.sqlworkers import Asking, written

DICE = random.Random(7)
START = dt.datetime(2025, 9, 26)  # noqa: DTZ001  as the files have it
ROWS: list[dict[str, Any]] = [
    {
        "timestamp": START + dt.timedelta(seconds=DICE.randrange(7 * 86_400)),
        "eventType": DICE.choice(["marketplace_view", "service_execution"]),
        "index1": DICE.choice(["site-a", "site-a:eu", "site-b"]),
        "blob2": DICE.choice(["/", "/about", "/it's", "/shop"]),
        "userId": f"u-{DICE.randrange(30)}",
        "category": DICE.choice(["de", "fr", "us", None]),
        "latencyMs": round(DICE.uniform(0, 500), 1),
        "success": DICE.random() < 0.8,
        "_sample_interval": DICE.choice([1, 1, 10]),
    }
    for _ in range(1_500)
]
STAMP = "%Y-%m-%d %H:%M:%S"


@pytest.fixture(scope="module")
def files(folder: Path) -> list[str]:
    return [written(folder / "clients.parquet", ROWS)]


def weight(rows: list[dict[str, Any]]) -> int:
    return sum(row["_sample_interval"] for row in rows)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Tokyo", "Etc/UTC"])
def test_counterscale_views_by_day(worker: Asking, files: list[str], zone: str) -> None:
    found = worker.rows(
        f"""
        SELECT SUM(_sample_interval) as count,
        /* a day begins by the clocks of the zone, 00:00 there */
        toStartOfInterval(timestamp, INTERVAL '1' DAY, '{zone}') as _bucket,
        /* output as UTC */
        toDateTime(_bucket, 'Etc/UTC') as bucket
        FROM events
        WHERE timestamp >= toDateTime('2025-09-27 00:00:00')
            AND timestamp < toDateTime('2025-10-02 00:00:00')
            AND index1 = 'site-a'
        GROUP BY _bucket
        ORDER BY _bucket ASC""",
        files,
    )
    counts: Counter[str] = Counter()
    for row in ROWS:
        if row["index1"] == "site-a" and "2025-09-27" <= str(row["timestamp"]) < "2025-10-02":
            local = row["timestamp"].replace(tzinfo=dt.UTC).astimezone(ZoneInfo(zone))
            midnight = local.replace(hour=0, minute=0, second=0)
            counts[midnight.astimezone(dt.UTC).strftime(STAMP)] += row["_sample_interval"]
    assert [(row["bucket"], int(row["count"])) for row in found] == sorted(counts.items())


def test_counterscale_visitors_by_column_in_pages(worker: Asking, files: list[str]) -> None:
    found = worker.rows(
        "SELECT blob5, if(blob6 = 'success', 1, 0) AS isVisit, SUM(_sample_interval) as count, "
        "blob2 AS path FROM events WHERE timestamp >= NOW() - INTERVAL '30' DAY AND blob5 IN "
        "('de', 'fr') AND blob2 = '/it''s' GROUP by blob5, isVisit, blob2 "
        "ORDER BY count DESC, blob5 ASC LIMIT 20",
        files,
    )
    groups = defaultdict(list)
    for row in ROWS:
        if row["category"] in {"de", "fr"} and row["blob2"] == "/it's":
            groups[row["category"], int(row["success"])].append(row)
    expected = [
        {"blob5": category, "isVisit": visit, "count": str(weight(rows)), "path": "/it's"}
        for (category, visit), rows in groups.items()
    ]
    expected.sort(key=lambda row: (-int(row["count"]), row["blob5"]))
    assert found == expected


def test_counterscale_earliest_and_by_hour(worker: Asking, files: list[str]) -> None:
    (found,) = worker.rows(
        "SELECT MIN(timestamp) as earliestEvent, MAX(timestamp) AS latest FROM events", files
    )
    moments = [row["timestamp"] for row in ROWS]
    assert found["earliestEvent"] == min(moments).strftime(STAMP)
    assert found["latest"] == max(moments).strftime(STAMP)


def test_grafana_time_series_with_a_weighted_average(worker: Asking, files: list[str]) -> None:
    first, last, step = 1_758_931_200, 1_759_276_800, 3_600
    found = worker.rows(
        f"SELECT (intDiv(toUInt32(timestamp), {step}) * {step}) * 1000 as t, blob2 as label, "
        "SUM(_sample_interval * double1) / SUM(_sample_interval) as average_metric FROM events "
        f"WHERE timestamp >= toDateTime({first}) AND timestamp <= toDateTime({last}) "
        "GROUP BY label, t ORDER BY t, label",
        files,
    )
    groups = defaultdict(list)
    for row in ROWS:
        seconds = int(row["timestamp"].replace(tzinfo=dt.UTC).timestamp())
        if first <= seconds <= last:
            groups[seconds // step * step * 1000, row["blob2"]].append(row)
    assert [(int(row["t"]), row["label"]) for row in found] == sorted(groups)
    for row in found:
        rows = groups[int(row["t"]), row["label"]]
        expected = math.fsum(one["latencyMs"] * one["_sample_interval"] for one in rows)
        assert row["average_metric"] == pytest.approx(expected / weight(rows))


def test_grafana_cloudflare_page_by_minute(worker: Asking, files: list[str]) -> None:
    answer = worker.answer(
        "SELECT intDiv(toUInt32(timestamp), 60) * 60 AS t, blob1 AS label, "
        "SUM(_sample_interval) "
        "AS n FROM events WHERE timestamp >= toDateTime(1758844800) GROUP BY "
        "blob1, t ORDER BY t",
        files,
        quoted=True,
    )
    assert answer["meta"][0] == {"name": "t", "type": "UInt64"}
    assert sum(int(row["n"]) for row in answer["data"]) == weight(ROWS)
    assert all(int(row["t"]) % 60 == 0 for row in answer["data"])


def test_outerbase_lists_tables_and_shows_one(worker: Asking, files: list[str]) -> None:
    assert [row["dataset"] for row in worker.rows("SHOW TABLES")] == ["events"]
    answer = worker.answer(
        'SELECT * FROM "events" WHERE blob2 = \'/shop\' ORDER BY "timestamp" DESC LIMIT 50',
        files,
    )
    stamps = [row["timestamp"] for row in answer["data"]]
    assert stamps == sorted(stamps, reverse=True)
    assert len(stamps) == 50
    assert {row["type"] for row in answer["meta"]} == {
        "String",
        "DateTime",
        "UInt32",
        "Float64",
    }


def test_a_gateway_asks_for_types_first_and_then_for_lines(
    worker: Asking, files: list[str]
) -> None:
    query = (
        "SELECT blob2 AS p, count() AS n, avg(double1) AS a FROM events GROUP BY p ORDER BY p"
    )
    answer = worker.answer(f"SELECT * FROM ({query}) LIMIT 0\nFORMAT JSON", files)
    kinds = {column["name"]: column["type"] for column in answer["meta"]}
    assert kinds == {"p": "String", "n": "UInt64", "a": "Float64"}
    lines = worker.body(f"{query}\nFORMAT JSONEachRow", files).splitlines()
    counts = Counter(row["blob2"] for row in ROWS)
    assert [(row["p"], row["n"]) for row in map(orjson.loads, lines)] == [
        (path, str(n)) for path, n in sorted(counts.items())
    ]


def test_a_metrics_page_with_conditions_and_a_sub_query(
    worker: Asking, files: list[str]
) -> None:
    (found,) = worker.rows(
        "SELECT SUM(_sample_interval) AS total, SUMIf(_sample_interval, blob6 "
        "= 'error' AND blob5 "
        "NOT IN ('us', '')) AS errors, count(DISTINCT blob3) AS users, "
        "quantileExactWeighted(0.5)(double1, _sample_interval) AS p50, "
        "quantileExactWeighted(0.95)(double1, _sample_interval) AS p95 FROM events "
        "WHERE (index1 = 'site-a' OR index1 LIKE 'site-a:%') "
        "AND timestamp > NOW() - INTERVAL '7' DAY - INTERVAL '12' HOUR",
        files,
    )
    rows = [row for row in ROWS if row["index1"].startswith("site-a")]
    errors = [row for row in rows if not row["success"] and row["category"] in {"de", "fr"}]
    ordered = sorted((row["latencyMs"], row["_sample_interval"]) for row in rows)

    def quantile(level: float) -> float:
        running = 0
        for value, of_it in ordered:
            running += of_it
            if running >= math.ceil(level * weight(rows)):
                return value
        raise AssertionError

    assert found == {
        "total": str(weight(rows)),
        "errors": str(weight(errors)),
        "users": str(len({row["userId"] for row in rows})),
        "p50": quantile(0.5),
        "p95": quantile(0.95),
    }
    (found,) = worker.rows(
        "SELECT countIf(last - first < 86400 * 3) AS shortLived, count() AS users FROM "
        "(SELECT blob3 AS user, toUnixTimestamp(min(timestamp)) AS first, "
        "toUnixTimestamp(max(timestamp)) AS last FROM events GROUP BY user LIMIT ALL)",
        files,
    )
    spans = defaultdict(list)
    for row in ROWS:
        spans[row["userId"]].append(row["timestamp"])
    short = [one for one in spans.values() if max(one) - min(one) < dt.timedelta(days=3)]
    assert found == {"shortLived": str(len(short)), "users": str(len(spans))}


def test_a_poller_aliases_every_column_and_names_the_zone(
    worker: Asking, files: list[str]
) -> None:
    found = worker.rows(
        "SELECT timestamp AS ts, blob2 AS path, double1 AS ms FROM events WHERE timestamp > "
        "toDateTime('2025-09-30 00:00:00', 'UTC') AND timestamp < "
        "toDateTime('2025-09-30 06:00:00',"
        " 'UTC') ORDER BY ts, ms LIMIT 20000",
        files,
    )
    expected = sorted(
        (row["timestamp"].strftime(STAMP), row["latencyMs"], row["blob2"])
        for row in ROWS
        if "2025-09-30 00:00:00" < str(row["timestamp"]) < "2025-09-30 06:00:00"
    )
    assert [(row["ts"], row["ms"], row["path"]) for row in found] == expected
