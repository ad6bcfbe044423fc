"""What is known of a query before it runs, by which its files and threads are chosen."""

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
