"""Hostile queries: each is refused or ended, the process lives on, and no file was touched."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.server import ROOT
from tests.sqlworkers import MIB, SUFFIX, Asking, Ended, Refused, written

EVENTS = f"events{SUFFIX}"
OTHER = f"other{SUFFIX}"

SECRET = "the-secret-that-no-answer-holds"

FILES_AND_NETWORK = [
    "SELECT * FROM read_text('{secret}')",
    "SELECT * FROM read_blob('{secret}')",
    "SELECT * FROM read_csv('{secret}')",
    "SELECT * FROM read_csv_auto('{secret}')",
    "SELECT * FROM read_json('{secret}')",
    "SELECT * FROM read_parquet('{parquet}')",
    "SELECT * FROM parquet_scan('{parquet}')",
    "SELECT * FROM parquet_metadata('{parquet}')",
    "SELECT * FROM parquet_schema('{parquet}')",
    "SELECT * FROM sniff_csv('{secret}')",
    "SELECT * FROM glob('/**')",
    "SELECT * FROM '{secret}'",
    'SELECT * FROM "{secret}"',
    "SELECT * FROM `{secret}`",
    "SELECT * FROM '{parquet}'",
    'SELECT * FROM "{parquet}"',
    "SELECT * FROM 'https://example.org/x.parquet'",
    'SELECT * FROM "https://example.org/x.parquet"',
    'SELECT * FROM "s3://bucket/x.parquet"',
    "SELECT * FROM read_parquet('https://example.org/x.parquet')",
    "SELECT * FROM file('{secret}', 'CSV')",
    "SELECT * FROM url('http://127.0.0.1/', CSV, 'x String')",
    "SELECT * FROM s3('http://127.0.0.1/x')",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM mysql('h', 'd', 't', 'u', 'p')",
    "SELECT * FROM postgresql('h', 'd', 't', 'u', 'p')",
    "SELECT * FROM sqlite_scan('{secret}', 't')",
    "SELECT * FROM executable('x', 'TSV', 'a String')",
    "SELECT * FROM '/proc/self/environ'",
    "SELECT * FROM '../../../etc/passwd'",
    "SELECT file('{secret}')",
    "SELECT read_text('{secret}')",
    "SELECT content FROM read_text('{secret}')",
    "SELECT (SELECT content FROM read_text('{secret}'))",
    "SELECT 1 WHERE EXISTS (SELECT * FROM read_text('{secret}'))",
    "SELECT 1 IN (SELECT content FROM read_text('{secret}'))",
    "WITH a AS (SELECT * FROM read_text('{secret}')) SELECT * FROM a",
    "WITH events AS (SELECT * FROM read_text('{secret}')) SELECT * FROM events",
    "SELECT * FROM (SELECT * FROM read_text('{secret}'))",
    "SELECT 1 UNION ALL SELECT content FROM read_text('{secret}')",
    "SELECT a.blob1 FROM events a JOIN read_text('{secret}') b ON 1 = 1",
    "SELECT sum(length(content)) OVER () FROM read_text('{secret}')",
    "FROM read_text('{secret}')",
    "FROM '{secret}' SELECT *",
    "TABLE events",
]
STATEMENTS = [
    "DROP TABLE events",
    "DROP VIEW events",
    "CREATE TABLE x (a INT)",
    "CREATE TABLE x AS SELECT 1",
    "CREATE VIEW x AS SELECT 1",
    "CREATE OR REPLACE VIEW events AS SELECT 1",
    "CREATE TEMP VIEW events AS SELECT 1",
    "CREATE MACRO f(a) AS a + 1",
    "CREATE FUNCTION f AS (a) -> a + 1",
    "CREATE SECRET s (TYPE s3)",
    "CREATE TYPE t AS ENUM ('a')",
    "CREATE SEQUENCE s",
    "CREATE SCHEMA s",
    "CREATE DATABASE d",
    "ALTER TABLE events ADD COLUMN x INT",
    "INSERT INTO events VALUES (1)",
    "UPDATE events SET blob1 = ''",
    "DELETE FROM events",
    "TRUNCATE TABLE events",
    "MERGE INTO events USING events ON 1 = 1 WHEN MATCHED THEN DELETE",
    "COPY events TO '{out}'",
    "COPY (SELECT 1) TO '{out}' (FORMAT csv)",
    "COPY events FROM '{secret}'",
    "EXPORT DATABASE '{out}'",
    "IMPORT DATABASE '{out}'",
    "ATTACH '{out}'",
    "ATTACH ':memory:' AS m",
    "DETACH memory",
    "USE memory",
    "INSTALL httpfs",
    "LOAD httpfs",
    "SET memory_limit = '100GB'",
    "SET enable_external_access = true",
    "SET VARIABLE x = 1",
    "RESET memory_limit",
    "PRAGMA database_list",
    "PRAGMA version",
    "PRAGMA memory_limit = '100GB'",
    "CALL pragma_version()",
    "BEGIN",
    "COMMIT",
    "PREPARE p AS SELECT 1",
    "EXECUTE p",
    "DEALLOCATE p",
    "VACUUM",
    "CHECKPOINT",
    "ANALYZE",
    "EXPLAIN SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "DESCRIBE events",
    "DESCRIBE SELECT 1",
    "SUMMARIZE events",
    "VALUES (1)",
    "SHOW DATABASES",
    "SHOW ALL TABLES",
    "SHOW CREATE TABLE events",
    "SHOW TABLES FROM system",
    "SHOW PROCESSLIST",
    "SYSTEM SHUTDOWN",
    "KILL QUERY WHERE 1",
    "GRANT ALL ON *.* TO me",
    "OPTIMIZE TABLE events",
    "PIVOT events ON blob1 USING count(*)",
    "UNPIVOT events ON blob1 INTO NAME a VALUE b",
    "SELECT 1 INTO OUTFILE '{out}'",
    "SELECT 1 INTO x",
    "SELECT 1; DROP TABLE events",
    "SELECT 1;SELECT 2",
    "DROP TABLE events; SELECT 1",
    "SELECT 1 -- \n; DROP TABLE events",
    "SELECT 1 /* ; */; DROP TABLE events",
    "SELECT 1 FORMAT JSON; SELECT 2",
    "SHOW TABLES; SELECT 1",
    "/* SELECT 1 */ DROP TABLE events",
    "-- SELECT 1\nDROP TABLE events",
    "/*! DROP TABLE events */",
]
FUNCTIONS_AND_TABLES = [
    "SELECT getenv('HOME')",
    "SELECT \"getenv\"('HOME')",
    "SELECT `getenv`('HOME')",
    "SELECT system.getenv('HOME')",
    "SELECT main.getenv('HOME')",
    "SELECT current_setting('memory_limit')",
    "SELECT getvariable('x')",
    "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM \"query\"('SELECT 1')",
    "SELECT * FROM query_table('events')",
    "SELECT * FROM duckdb_settings()",
    "SELECT * FROM duckdb_views()",
    "SELECT * FROM duckdb_functions()",
    "SELECT * FROM duckdb_secrets()",
    "SELECT * FROM duckdb_tables()",
    "SELECT * FROM duckdb_tables",
    "SELECT * FROM pragma_version()",
    "SELECT * FROM information_schema.tables",
    "SELECT * FROM sqlite_master",
    "SELECT * FROM pg_catalog.pg_class",
    "SELECT * FROM system.tables",
    "SELECT * FROM system.numbers LIMIT 10",
    "SELECT * FROM numbers(10)",
    "SELECT * FROM range(10)",
    "SELECT * FROM generate_series(1, 10)",
    "SELECT * FROM repeat_row(1, num_rows = 10)",
    "SELECT * FROM unnest([1, 2])",
    "SELECT * FROM s1",
    "SELECT * FROM events_",
    "SELECT * FROM memory.main.events",
    "SELECT * FROM main.events",
    "SELECT * FROM x.events",
    "SELECT s1.blob1 FROM events",
    "SELECT c0 FROM (SELECT 1 AS x)",
    "SELECT one FROM (SELECT 1)",
    "SELECT version()",
    "SELECT pg_sleep(100)",
    "SELECT sleep(100)",
    "SELECT sleep_ms(100000)",
    "SELECT write_log('x')",
    "SELECT nextval('s')",
    "SELECT txid_current()",
    "SELECT current_user",
    "SELECT current_database()",
    "SELECT current_schemas(true)",
    "SELECT in_search_path('a', 'b')",
    "SELECT hash(1)",
    "SELECT random()",
    "SELECT uuid()",
    "SELECT error('x')",
    "SELECT add_parquet_key('a', 'b')",
    "SELECT getDatabase()",
    "SELECT hostName()",
    "SELECT dictGet('a', 'b', 1)",
    "SELECT joinGet('a', 'b', 1)",
    "SELECT evalMLMethod(1)",
    "SELECT repeat('a', 2000000000)",
    "SELECT lpad('a', 2000000000, 'b')",
    "SELECT rpad('a', 2000000000, 'b')",
    "SELECT printf('%2000000000d', 1)",
    "SELECT format('{:2000000000}', 1)",
    "SELECT format('{0:>2000000000}', 'a')",
    "SELECT range(200000000)",
    "SELECT list_sort(range(200000000))",
    "SELECT levenshtein('a', 'b')",
    "SELECT editDistance('a', 'b')",
    "SELECT regexp_replace('a', 'b', 'c')",
    "SELECT replaceAll(blob1, '', 'x') FROM events",
    "SELECT arrayMap(x -> x, [1])",
    "SELECT list_transform([1], x -> x)",
    "SELECT [x for x in [1]]",
    "SELECT {{'a': 1}}",
    "SELECT (1, 2)",
    "SELECT [1, 2]",
    "SELECT COLUMNS('blob.*') FROM events",
    "SELECT * EXCEPT (blob1) FROM events",
    "SELECT * EXCLUDE (blob1) FROM events",
    "SELECT * REPLACE (1 AS blob1) FROM events",
    "SELECT $1",
    "SELECT ?",
    "SELECT :x",
    "SELECT @x",
    "SELECT {{x:String}}",
    "SELECT $$text$$",
    "SELECT $tag$text$tag$",
    "SELECT x'41'",
    "SELECT 1::JSON",
    "SELECT blob1->'$.x' FROM events",
    "SELECT blob1::BLOB FROM events",
    "SELECT CAST(blob1 AS Array(String)) FROM events",
    "SELECT TRY(1 / 0)",
    "SELECT blob1 COLLATE NOCASE FROM events",
    "SELECT count() FILTER (WHERE 1 = 1) FROM events",
    "SELECT sum(1) OVER w FROM events WINDOW w AS ()",
    "SELECT blob1 FROM events QUALIFY 1 = 1",
    "SELECT blob1, count() FROM events GROUP BY ROLLUP (blob1)",
    "SELECT blob1, count() FROM events GROUP BY CUBE (blob1)",
    "SELECT blob1, count() FROM events GROUP BY ALL",
    "SELECT blob1, count() FROM events GROUP BY blob1 WITH TOTALS",
    "SELECT blob1 FROM events ORDER BY ALL",
    "SELECT blob1 FROM events ORDER BY blob1 WITH FILL",
    "SELECT blob1 FROM events LIMIT 10%",
    "SELECT blob1 FROM events LIMIT (SELECT 1)",
    "SELECT blob1 FROM events LIMIT -1",
    "SELECT blob1 FROM events FETCH FIRST 1 ROWS ONLY",
    "SELECT blob1 FROM events FOR UPDATE",
    "SELECT blob1 FROM events FINAL",
    "SELECT blob1 FROM events TABLESAMPLE 1%",
    "SELECT blob1 FROM events ARRAY JOIN blob2 AS x",
    "SELECT blob1 FROM events, LATERAL (SELECT 1)",
    "SELECT blob1 FROM events NATURAL JOIN events",
    "SELECT blob1 FROM events ASOF JOIN events ON 1 = 1",
    "SELECT a.blob1 FROM events a CROSS JOIN events b",
    "SELECT a.blob1 FROM events a FULL JOIN events b ON a.blob1 = b.blob1",
    "SELECT blob1 FROM events UNION SELECT blob1 FROM events",
    "SELECT blob1 FROM events INTERSECT SELECT blob1 FROM events",
    "SELECT blob1 FROM events EXCEPT SELECT blob1 FROM events",
    "WITH RECURSIVE r AS (SELECT 1 n UNION ALL SELECT n + 1 FROM r) SELECT * FROM r",
    "WITH r AS (SELECT n + 1 FROM r) SELECT * FROM r",
    "WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a",
    "WITH a AS MATERIALIZED (SELECT 1) SELECT * FROM a",
    "SELECT /*+ hint */ 1 FROM nothing",
    "SELECT 1 FROM events WHERE blob1 = (SELECT blob1 FROM events)",
    "SELECT (SELECT 1)",
    "SELECT EXISTS (SELECT 1)",
    "SELECT blob1 FROM events WHERE blob1 = ANY (SELECT 1)",
    "SELECT 'a' 'b'",
    "SELECT ''' OR 1 = 1 --",
    'SELECT "a""b" FROM events',
    "SELECT \u201cblob1\u201d FROM events",
    "\uff33\uff25\uff2c\uff25\uff23\uff34 1",
    "SELECT 1\u037e DROP TABLE events",
    "SELECT\u0000 1",
    "SELECT 'a\u0000b'",
    "SELECT '\\xFF' || \u202e1",
    "\ufeffDROP TABLE events",
    "SELECT 1 FORMAT '../../x'",
    "SELECT 1 FORMAT Parquet",
    "SELECT 1 FORMAT ORC",
    "SELECT formatDateTime(now(), '%')",
    "SELECT INTERVAL '99999999999' DAY + now()",
    "SELECT now() + INTERVAL '1000000' YEAR",
    "SELECT toDateTime(99999999999999999)",
    "SELECT toDateTime('9999-99-99 99:99:99')",
    "SELECT toStartOfInterval(now(), INTERVAL '0' DAY)",
    "SELECT toStartOfInterval(now(), INTERVAL '1' DAY, '../../etc/passwd')",
    "SELECT round(1.5, 100000)",
    "SELECT topK(1000000000)(blob1) FROM events",
    "SELECT 1e999999999 + '",
]
DEEP_AND_LONG = [
    "SELECT " + "toDateTime(toString(" * 30 + "now()" + "), 'America/Havana')" * 30,
    "SELECT " + "(" * 900 + "1" + ")" * 900,
    "SELECT " + "[" * 900 + "1" + "]" * 900,
    "SELECT " + "(SELECT " * 200 + "1" + ")" * 200,
    "SELECT * FROM " + "(SELECT * FROM " * 59 + "events" + ")" * 59,
    "SELECT " + "NOT " * 3_000 + "1",
    "SELECT " + "- " * 6_000 + "1",
    "SELECT " + "CASE WHEN 1 THEN " * 500 + "1" + " END" * 500,
    "SELECT " + "if(1, 2, " * 500 + "1" + ")" * 500,
    "SELECT 1" + " UNION ALL SELECT 1" * 800,
    "SELECT 1" + " UNION ALL SELECT 1" * 20_000,
    "SELECT 1 WHERE 1 = 1" + " OR 1 = 1" * 6_000,
    "SELECT " + "1," * 8_000 + "1",
    "SELECT '" + "a" * 20_000 + "'",
    "SELECT 1 AS a0, " + ", ".join(f"a{n} + a{n} AS a{n + 1}" for n in range(60)),
    "SELECT 'x' AS a0, " + ", ".join(f"concat(a{n}, a{n}) AS a{n + 1}" for n in range(60)),
    "SELECT " + ", ".join(f"a{(n + 1) % 50} AS a{n}" for n in range(50)),
    "WITH c0 AS (SELECT 1 AS x), "
    + ", ".join(
        f"c{n} AS (SELECT a.x FROM c{n - 1} a JOIN c{n - 1} b ON a.x = b.x)"
        for n in range(1, 25)
    )
    + " SELECT * FROM c24",
    "SELECT 1 /* " + "/*" * 7_000,
    'SELECT "' + "a" * 15_000,
    "'" * 9_001,
    "(" * 10_000,
    "SELECT " + "a." * 5_000 + "a",
    "SELECT 1 IN (" + "1," * 7_000 + "1)",
    "\n" * 16_000,
    ";" * 16_000,
]
HOSTILE = FILES_AND_NETWORK + STATEMENTS + FUNCTIONS_AND_TABLES + DEEP_AND_LONG

BOMBS = [
    "SELECT count() AS n FROM events a JOIN events b ON a._sample_interval "
    "= b._sample_interval "
    "JOIN events c ON b._sample_interval = c._sample_interval "
    "WHERE a.double1 * b.double1 < c.double1",
    "SELECT groupArray(a.blob9) AS x FROM events a JOIN events b ON a.blob1 = b.blob1",
    "SELECT a.blob9 AS x FROM events a JOIN events b ON a.blob1 = b.blob1 ORDER BY x, b.blob9",
    "SELECT topK(10)(concat(a.userId, b.userId)) AS t FROM events a JOIN events b "
    "ON a.blob1 = b.blob1",
    "SELECT count() AS n FROM events WHERE format('{0}{0}{0}{0}{0}{0}{0}{0}', blob9) LIKE "
    "'%a%a%a%a%a%a%a%a%a%a%a%ab'",
    "SELECT max(length(x)) AS n FROM (SELECT "
    + ", ".join(["blob9 AS t0"] + [f"concat(t{n}, t{n}) AS t{n + 1}" for n in range(9)])
    + ", t9 AS x FROM events)",
    "SELECT sum(x) AS s FROM (SELECT sum(double1) OVER (ORDER BY double1 RANGE BETWEEN 100000 "
    "PRECEDING AND CURRENT ROW) AS x FROM (SELECT a.double1 AS double1 FROM events a JOIN "
    "events b ON a.blob1 = b.blob1))",
    "SELECT count(DISTINCT concat(a.userId, b.userId, a.blob9)) AS n FROM events a JOIN events "
    "b ON a.blob1 = b.blob1",
]  # fmt: skip


@pytest.fixture(scope="module")
def asking() -> Iterator[Asking]:
    with Asking(memory_bytes=128 * MIB, threads=2) as found:
        yield found


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    (folder / "secret").write_text(SECRET)
    rows = [
        {"userId": f"u-{n}", "latencyMs": float(n), "searchQuery": "a" * 8_000 + str(n)}
        for n in range(3_000)
    ]
    written(folder / "events", rows)
    written(folder / "other", [{"searchQuery": SECRET}])
    return folder


def names(house: Path) -> dict[str, str]:
    return {
        "secret": str(house / "secret"),
        "parquet": str(house / OTHER),
        "out": str(house / "out"),
    }


def still_right(asking: Asking, house: Path) -> None:
    files = [str(house / EVENTS)]
    assert asking.value("SELECT count() AS n FROM events", files) == "3000"
    assert sorted(path.name for path in house.iterdir()) == [
        EVENTS,
        OTHER,
        "secret",
    ]


def test_there_are_enough_of_them() -> None:
    assert len({*HOSTILE}) == len(HOSTILE) >= 250


@pytest.mark.parametrize("extra", [True, False], ids=["superset", "strict"])
@pytest.mark.parametrize("query", range(len(HOSTILE)))
def test_a_hostile_query_is_refused_and_the_next_one_is_right(
    asking: Asking, house: Path, query: int, extra: bool
) -> None:
    told = HOSTILE[query]
    if query < len(HOSTILE) - len(DEEP_AND_LONG):
        told = told.replace("{{", "{").replace("}}", "}")
        for name, path in names(house).items():
            told = told.replace("{" + name + "}", path)
    try:
        with pytest.raises(Refused) as refused:
            asking.body(told, [str(house / EVENTS)], extra=extra, deadline_s=5.0)
    except Ended:
        asking.restart()
        raise AssertionError("it ended the process") from None
    text = str(refused.value)
    assert SECRET not in text
    assert len(text) < 400
    for word in ("duckdb", "sqlglot", "traceback", "parquet:", "sandbox", ".py"):
        assert word not in text.lower() or word in told.lower()
    still_right(asking, house)


@pytest.mark.parametrize("query", range(len(BOMBS)))
def test_a_bomb_ends_and_the_next_query_is_right(
    asking: Asking, house: Path, query: int
) -> None:
    files = [str(house / EVENTS)]
    # Whether it is small enough to be answered depends on the machine; that it ends does not.
    with suppress(Refused):
        try:
            asking.body(BOMBS[query], files, extra=True, deadline_s=1.0)
        except Ended:  # no interrupt helped; the parent would have killed it at this moment
            asking.restart()
    still_right(asking, house)


@pytest.mark.parametrize("extra", [True, False], ids=["superset", "strict"])
@pytest.mark.parametrize("mark", ["{by}", "{by+}", "\\00\\0"])
def test_a_text_that_looks_like_a_mark_of_ours_brings_nothing_into_the_sql(
    asking: Asking, house: Path, mark: str, extra: bool
) -> None:
    """Were what is grouped by put in its place, its quotes would end, and SQL would begin."""
    read = f"(SELECT content FROM read_text(''{house / 'secret'}''))"
    sql = f" || {read} || (SELECT x FROM nosuchtable) || "
    found = asking.rows(
        f"SELECT format('{{}}{sql}', blob3) AS g, "
        f"quantileExactWeighted(0.5)(if(blob3 = '{mark}', 1, double1), _sample_interval + 1), "
        f"quantileExactWeighted(0.5)(if(blob3 = '{mark}', 1, double1), 1), "
        f"topKWeighted(1)(format('{{}}{sql}', blob3), if(blob3 = '{mark}', 1, 2)) "
        "FROM events GROUP BY g ORDER BY g LIMIT 1",
        [str(house / EVENTS)],
        extra=extra,
    )
    shown = "u-0" + sql.replace("''", "'")
    assert list(found[0].values()) == [shown, 0.0, 0.0, [shown]]
    still_right(asking, house)


def test_the_process_itself_cannot_write_start_or_connect(tmp_path: Path) -> None:
    """The third wall, without the two before it."""
    tries = f"""
import os, socket, subprocess, sys
from persistence import sandbox
sandbox.limit(64 * 2**20)
sandbox.close_doors()
def refused(what):
    try:
        what()
    except OSError:
        return True
    return False
print([
    refused(lambda: open({str(tmp_path / "x")!r}, "w")),
    refused(lambda: os.mkdir({str(tmp_path / "d")!r})),
    refused(lambda: os.rename({str(tmp_path / "a")!r}, {str(tmp_path / "b")!r})),
    refused(lambda: os.fork()),
    refused(lambda: os.execv("/bin/true", ["true"])),
    refused(lambda: subprocess.run(["/bin/true"])),
    refused(lambda: socket.socket()),
    open({str(tmp_path / "a")!r}).read(),
])
"""
    (tmp_path / "a").write_text("read")
    done = subprocess.run(
        [sys.executable, "-c", tries], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == str([True] * 7 + ["read"])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
