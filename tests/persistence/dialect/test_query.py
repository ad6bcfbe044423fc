"""What is known of a query before it runs, by which its files and threads are chosen."""

import datetime as dt

import pytest

from tests.sqlworkers import query


@pytest.mark.parametrize(
    "where",
    [
        "index1 = 'a'",
        "index1 IN ('a', 'b')",
        "double1 > 1 AND (index1 = 'a' AND timestamp > now() - INTERVAL '1' DAY)",
    ],
)
def test_a_query_that_names_its_values_of_index1_prunes(where: str) -> None:
    assert query(f"SELECT count() FROM events WHERE {where}").prunes
    assert query(f"SELECT n FROM (SELECT count() AS n FROM events WHERE {where})").prunes


@pytest.mark.parametrize(
    "text",
    [
        "SELECT count() FROM events",
        "SELECT count() FROM events WHERE index1 = 'a' OR double1 > 1",
        "SELECT count() FROM events WHERE NOT index1 = 'a'",
        "SELECT count() FROM events WHERE index1 != 'a'",
        "SELECT count() FROM events WHERE index1 = blob1",
        "SELECT count() FROM events WHERE blob1 = 'a'",
        "SELECT count() FROM events WHERE index1 IN (SELECT index1 FROM events)",
        "SELECT 'a' AS index1, count() FROM events WHERE index1 = 'a'",
        "SELECT count() FROM events WHERE index1 = 'a' UNION ALL SELECT count() FROM events",
        "SELECT count() FROM events a JOIN events b ON a.blob3 = b.blob3 WHERE a.index1 = 'x'",
    ],
)
def test_one_that_does_not_name_them_wherever_it_reads_does_not(text: str) -> None:
    assert not query(text).prunes


MIDNIGHT = dt.datetime(2025, 10, 26, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("said", "first"),
    [
        ("timestamp", MIDNIGHT),
        ("toDateTime(timestamp, 'Asia/Tokyo')", MIDNIGHT - dt.timedelta(hours=9)),
        ("toDateTime(timestamp, 'America/New_York')", MIDNIGHT + dt.timedelta(hours=4)),
        ("receivedAt", None),
        ("toStartOfDay(timestamp)", None),
    ],
)
@pytest.mark.parametrize(
    "where",
    [
        "timestamp >= '2025-10-26 00:00:00'",
        "'2025-10-26' <= timestamp AND double1 > 1",
        "timestamp BETWEEN '2025-10-26 00:00:00' AND now()",
        "timestamp = '2025-10-26 00:00:00'",
    ],
)
def test_a_text_names_the_first_moment_by_the_clocks_of_what_it_is_compared_with(
    said: str, first: dt.datetime | None, where: str
) -> None:
    found = query(f"SELECT {said} AS timestamp, count() FROM events WHERE {where} GROUP BY 1")
    assert found.first == first
