"""Trees of texts are kept, so nothing that reads one may change it."""

import datetime as dt
from contextlib import suppress

import pytest

from persistence.dialect import grammar
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.query import Query, Rules

RULES = Rules(
    extra=True,
    bytes_max=100_000,
    now=dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
    tables=("events",),
)


@pytest.mark.parametrize(
    "asked",
    [
        "SELECT blob1 AS b, countIf(double1 > -1.5) AS n FROM events WHERE timestamp > now() - "
        "INTERVAL '1' DAY GROUP BY b HAVING n > 1 ORDER BY n DESC LIMIT 3 OFFSET 1 FORMAT CSV",
        "WITH w AS (SELECT index1 AS i FROM events) SELECT w.i, e.blob1 FROM w JOIN events e "
        "ON w.i = e.index1 WHERE e.blob2 IN (SELECT i FROM w)",
        "SELECT quantileExactWeighted(0.5)(double1, _sample_interval) AS q, topKIf(2)(blob1, "
        "NOT success), CASE WHEN 1 THEN 'a' END FROM events UNION ALL SELECT 1, [], 'b'",
        "SELECT sum(sum(double1)), lag(double1) OVER (ORDER BY timestamp) FROM events",
        "SELECT a AS b, b AS a FROM events",
    ],
)
def test_a_query_leaves_its_tree_as_it_was(asked: str) -> None:
    tree = grammar.parse(asked)
    before = tree.copy()
    for _ in range(2):
        with suppress(InvalidQuery):
            query = Query(tree, RULES)
            query.ready([], unit=False, quoted_integers=True, interval=4)
    assert tree == before


def test_a_text_that_is_asked_again_is_not_parsed_again() -> None:
    asked = "SELECT count() FROM events WHERE blob1 = 'a'"
    assert grammar.parse(asked) is grammar.parse(asked)


def test_trees_of_long_texts_are_not_kept() -> None:
    asked = f"SELECT '{'a' * grammar.KEPT_CHARS_MAX}'"
    assert grammar.parse(asked) == grammar.parse(asked)
    assert grammar.parse(asked) is not grammar.parse(asked)
