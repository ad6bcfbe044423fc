"""Any text as a query: refused in words, or one SELECT that reads our files and nothing else.

What the dialect makes is looked at again as a tree of DuckDB's own parser: one statement, no
table but those of the query itself, no file function but the one over the archive's files, and
none of the functions that reach out of the database.

The first byte says which dialect; the others are the text.
"""

import datetime as dt
import json
import sys
from collections.abc import Iterator
from typing import Any, Final

import duckdb

from engine.errors import TallymarkError
from persistence.dialect.query import Answered, Rules, read
from persistence.sqlworker import RECURSION_MAX

FILE: Final = "/archive/2025-10-03/a.parquet"
NOW: Final = dt.datetime(2025, 10, 3, 12, tzinfo=dt.UTC)
REACHING_OUT: Final = frozenset(
    (
        "read_text", "read_blob", "read_csv", "read_csv_auto", "read_json", "read_json_auto",
        "read_json_objects", "read_ndjson", "parquet_scan", "parquet_metadata", "glob",
        "sniff_csv", "query", "query_table", "getenv", "duckdb_settings", "duckdb_secrets",
        "pragma_version", "write_log", "sleep_ms", "pg_sleep", "getvariable", "nextval",
        "current_setting", "which_secret", "duckdb_logs", "seq_scan", "arrow_scan",
        "pandas_scan", "python_map_function", "checkpoint", "force_checkpoint",
    )
)  # fmt: skip

WORDS: Final = (
    "SELECT ", " FROM events ", " WHERE ", " GROUP BY ", " ORDER BY ", " LIMIT ", " WITH ",
    " AS ", " AND ", " OR ", " NOT ", " IN (", " BETWEEN ", " LIKE ", " CASE WHEN ", " END",
    " UNION ALL ", " JOIN ", " ON ", " OVER (", " HAVING ", " FORMAT JSON",
    " INTERVAL '1' DAY", "blob1", "double1", "index1", "timestamp", "_sample_interval",
    "count()", "sum(", "now()", "quantileWeighted(0.5)(", "toStartOfInterval(",
    "read_text('/etc/passwd')", "'", "''", "\\", "if(", "avg(", "uniq(", "extract(", "cast(",
    "position(", "toDateTime(", "formatDateTime(", "--", "/*", "*/", "`", ";", "$$", "::",
    "->", "[1,2]", "{a:1}", "1e999", "0x1F", " SETTINGS ",
)  # fmt: skip

_database = duckdb.connect(":memory:")


def check(data: bytes) -> None:
    """The law of the module."""
    if not data:
        return
    sys.setrecursionlimit(RECURSION_MAX)
    text = data[1:].decode("utf-8", "replace")
    rules = Rules(extra=data[0] % 2 == 1, bytes_max=16_384, now=NOW, tables=("events",))
    try:
        query = read(text, rules)
        if isinstance(query, Answered):
            return
        sql = query.ready([FILE], unit=data[0] % 4 < 2, quoted_integers=True).sql
    except TallymarkError as refusal:
        assert 400 <= refusal.status < 500, refusal
        assert str(refusal).isprintable(), "a refusal is one line of text"
        return
    statements = _database.extract_statements(sql)
    assert [one.type for one in statements] == [duckdb.StatementType.SELECT], sql
    _must_stay_inside(sql)


def _must_stay_inside(sql: str) -> None:
    asked = _database.execute("SELECT json_serialize_sql(?)", [sql]).fetchone()
    assert asked is not None
    tree = json.loads(asked[0])
    assert not tree["error"], tree
    ours = {name.lower() for name in _names(tree, "cte_map")}
    for node in _nodes(tree):
        function = str(node.get("function_name", "")).lower()
        assert function not in REACHING_OUT, sql
        if node.get("type") == "TABLE_FUNCTION":
            called = node["function"]["function_name"]
            assert called in ("read_parquet", "unnest", "range", "generate_series"), sql
            if called == "read_parquet":
                files = [text for text in _texts(node["function"]) if "/" in text]
                assert files == [FILE], sql
        if node.get("type") == "BASE_TABLE":
            assert node["table_name"].lower() in ours, sql
            assert not node["schema_name"], sql
            assert not node["catalog_name"], sql


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    if isinstance(tree, dict):
        yield tree
        for part in tree.values():
            yield from _nodes(part)
    elif isinstance(tree, list):
        for part in tree:
            yield from _nodes(part)


def _names(tree: Any, within: str) -> Iterator[str]:
    """The names of all common table expressions."""
    for node in _nodes(tree):
        for entry in (node.get(within) or {}).get("map", ()):
            yield entry["key"]


def _texts(tree: Any) -> Iterator[str]:
    for node in _nodes(tree):
        if node.get("type") == "VALUE_CONSTANT":
            yield str(node["literal"].get("text"))
