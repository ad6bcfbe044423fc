"""Every function of Analytics Engine's dialect answers what ClickHouse answers."""

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from persistence.dialect.zones import zone_of
from tests.sqlworkers import Asking, Refused, written

GAP = (  # clocks are put forward between the two
    "toDateTime('2025-03-30 00:30:00', 'Europe/Berlin'), "
    "toDateTime('2025-03-30 04:30:00', 'Europe/Berlin')"
)

VALUES: list[tuple[str, Any]] = [
    # literals and operators
    ("7/2", 3.5),
    ("4 / 2", 2.0),
    ("-42 + 2", -40),
    ("1 + 2 * 3 - 4", "3"),
    ("(1 + 2) * 3", 9),
    ("7 % 4", 3),
    ("4.2 * 10", 42.0),
    ("86400000 * 30", "2592000000"),
    ("2147483647 + 1", "2147483648"),
    ("18446744073709551615 - 1", "18446744073709551614"),
    ("-2147483648 - 1", "-2147483649"),
    ("65535 * 65535", 4_294_836_225),
    ("toUInt32(65535) * toUInt32(65535)", "4294836225"),
    ("-4.2", -4.2),
    ("'it''s'", "it's"),
    (r"'it\'s'", "it's"),
    (r"'a\\b\n\t'", "a\\b\n\t"),
    (r"'\x41\%'", "A\\%"),
    (r"'\0'", "\0"),
    ("true", 1),
    ("1 = 1", 1),
    ("1 <> 1", 0),
    ("1 != 2", 1),
    ("2 >= 2 AND 1 < 2", 1),
    ("NOT 1 = 1 OR 2 BETWEEN 2 AND 3", 1),
    ("4 NOT BETWEEN 2 AND 3", 1),
    ("'b' IN ('a', 'b')", 1),
    ("3 NOT IN (1, 2)", 1),
    ("'aXc' LIKE 'a_c'", 1),
    ("'aXc' LIKE 'A_c'", 0),
    ("'aXc' ILIKE 'A%'", 1),
    ("'abc' LIKE 'b'", 0),
    ("'abc' NOT LIKE 'b%'", 1),
    ("'abc' NOT ILIKE 'A%'", 0),
    (r"'50%' LIKE '50\%'", 1),
    (r"'50x' LIKE '50\%'", 0),
    (r"'a\\b' LIKE 'a\\\\b'", 1),
    ("'a\nb' LIKE 'a%b'", 1),
    # texts
    ("length('äöü')", "3"),
    ("empty('')", 1),
    ("empty('a')", 0),
    ("lower('ÄBC')", "Äbc"),
    ("upper('äbc')", "äBC"),
    ("lowerUTF8('ÄB')", "äb"),
    ("toLower('ÄB')", "äb"),
    ("upperUTF8('äb')", "ÄB"),
    ("toUpper('äb')", "ÄB"),
    ("startsWith('abc', 'ab')", 1),
    ("endsWith('abc', 'ab')", 0),
    ("position('c' IN 'abc')", "3"),
    ("position('x' IN 'abc')", "0"),
    ("substring('äöüß', 2)", "öüß"),
    ("substring('äöüß', 2, 2)", "öü"),
    ("substring('abc', 99999999999)", ""),
    ("substring('abc', 2, 99999999999)", "bc"),
    ("substring('abc', -99999999999)", "abc"),
    ("substring('abc', 0)", ""),
    ("substring('abc', 0, 2)", ""),
    ("substring('äöü', -2)", "öü"),
    ("substring('abc', -5)", "abc"),
    ("substring('abc', -5, 3)", "a"),
    ("substring('abc', -5, 1)", ""),
    ("substring('abc', -2, 9)", "bc"),
    ("substring('abcdef', 2, -2)", "bcd"),
    ("substring('abcdef', -3, -1)", "de"),
    ("substring('abc', -5, -1)", "ab"),
    ("substring('abc', 5, -1)", ""),
    ("substring('abc', position('c' IN 'abc') - 8, position('c' IN 'abc'))", "a"),
    ("substring('abc', position('c' IN 'abc') - 7, position('c' IN 'abc'))", "ab"),
    ("substring('a/b', 1, position('/' IN 'a/b') - 1)", "a"),
    ("substring('abc', 1, position('/' IN 'abc') - 1)", "ab"),
    ("substring('abc', 1, length('abc') * 99999999999)", "abc"),
    ("substring('abc', length('abc') * 99999999999)", ""),
    ("substring('abc', 2, NULL)", None),
    ("substring('abc', NULL)", None),
    ("format('{} {}', 'a', 'b')", "a b"),
    ("format('{1}-{0}', 'a', 'b')", "b-a"),
    ("format('100%{}', 'a')", "100%a"),
    # numbers
    ("intDiv(7, 2)", 3),
    ("log(1)", 0.0),
    ("ln(1)", 0.0),
    ("pow(2, 10)", 1024.0),
    ("round(2.567, 1)", 2.6),
    ("round(2.4)", 2.0),
    ("round(2.5)", 2.0),
    ("round(-3.5)", -4.0),
    ("round(0.125, 2)", 0.12),
    ("round(1234.5, -2)", 1200.0),
    ("round(1234, -2)", 1200),
    ("round(-1250, -2)", -1300),
    ("round(1234, 2)", 1234),
    ("round(1234, -20)", 0),
    ("floor(1234, -2)", 1200),
    ("floor(-1234, -2)", -1300),
    ("ceil(1234, -2)", 1300),
    ("ceil(-1234, -2)", -1200),
    ("floor(2.567, 1)", 2.5),
    ("floor(-1.5)", -2.0),
    ("ceil(2.511, 1)", 2.6),
    ("ceil(1.2)", 2.0),
    ("if(1 > 2, 'a', 'b')", "b"),
    ("IF(1, 2, 3)", 2),
    ("CASE WHEN 1 = 2 THEN 'a' WHEN 2 = 2 THEN 'b' ELSE 'c' END", "b"),
    ("CASE 3 WHEN 1 THEN 'a' ELSE 'c' END", "c"),
    ("toUInt8(3.9)", 3),
    ("toUInt8('42')", 42),
    ("toUInt32('4000000000')", 4_000_000_000),
    # bits and encodings
    ("bitAnd(6, 3)", 2),
    ("bitOr(6, 3)", 7),
    ("bitXor(6, 3)", 5),
    ("bitNot(0)", 255),
    ("bitCount(7)", 3),
    ("bitHammingDistance(5, 3)", 2),
    ("bitRotateLeft(128, 1)", 1),
    ("bitRotateRight(1, 1)", 128),
    ("bitShiftLeft(128, 1)", 0),
    ("bitShiftLeft(1, 3)", 8),
    ("bitShiftRight(128, 3)", 16),
    ("bitTest(2, 0)", 0),
    ("bitAnd(-2, 300)", 300),
    ("bitOr(-200, 1)", -199),
    ("bitXor(-1, 4294967296)", "-4294967297"),
    ("bitNot(-1)", 0),
    ("bitNot(0 - 8)", 7),
    ("bitCount(-1)", 8),
    ("bitHammingDistance(-1, 1)", 63),
    ("bitShiftLeft(-1, 1)", -2),
    ("bitShiftRight(-7, 1)", -4),
    ("bitShiftRight(-7, 8)", 0),
    ("bitRotateLeft(-128, 1)", 1),
    ("bitRotateRight(-127, 1)", -64),
    ("bitShiftLeft(toUInt32(1), 31)", 2_147_483_648),
    ("bitRotateLeft(256, 8)", 1),
    ("hex(1)", "01"),
    ("hex(255)", "FF"),
    ("hex(256)", "0100"),
    ("hex('aB')", "6142"),
    ("bin(1)", "00000001"),
    ("hex(-1)", "FF"),
    ("hex(-300)", "FED4"),
    ("bin(-1)", "11111111"),
    ("intDiv(true, 1)", 1),
    ("substring('abc', true, 2)", "ab"),
    ("toUInt8(true)", 1),
    ("toUInt32(1e300)", 0),
    ("'a' = NULL", None),
    ("2 NOT IN (1, NULL)", 1),
    ("2 IN (NULL)", 0),
    ("bin(256)", "0000000100000000"),
    ("bin('a')", "01100001"),
    # times
    ("now()", "2025-10-03 12:00:00"),
    ("NOW() - INTERVAL '1' DAY", "2025-10-02 12:00:00"),
    ("now() - INTERVAL '24' HOUR", "2025-10-02 12:00:00"),
    ("now() + INTERVAL '5' MONTH", "2026-03-03 12:00:00"),
    ("now() - INTERVAL '2592000' SECOND", "2025-09-03 12:00:00"),
    ("now() - 31536000", "2024-10-03 12:00:00"),
    ("now() + bitShiftLeft(1, length('abc'))", "2025-10-03 12:00:08"),
    ("today() - toDayOfMonth(today()) + 1", "2025-10-01"),
    ("today()", "2025-10-03"),
    ("toDateTime(1759276800)", "2025-10-01 00:00:00"),
    ("toDateTime('1759276800')", "2025-10-01 00:00:00"),
    ("toDateTime('2025-10-01 00:00:00', 'UTC')", "2025-10-01 00:00:00"),
    ("toUnixTimestamp(toDateTime('2025-10-01 00:00:00', 'Asia/Tokyo'))", 1_759_244_400),
    ("toDateTime(toDateTime('2025-10-01 00:00:00', 'Asia/Tokyo'), 'Etc/UTC')",
     "2025-09-30 15:00:00"),
    ("toUInt32(toDateTime('2025-10-01 00:00:00'))", 1_759_276_800),
    ("toDate(toDateTime('2025-10-01 23:00:00'))", "2025-10-01"),
    ("formatDateTime(now(), '%Y-%m-%d')", "2025-10-03"),
    ("formatDateTime(toDateTime('2025-01-02 03:04:05'), '%y %H:%i:%S %j %F %T %%')",
     "25 03:04:05 002 2025-01-02 03:04:05 %"),
    ("toDate(0)", "1970-01-01"),
    ("toDate(20000)", "2024-10-04"),
    ("toDate(20000.7)", "2024-10-04"),
    ("toDate(65535)", "2149-06-06"),
    ("toDate(65536)", "1970-01-01"),
    ("toDate(1759276800)", "2025-10-01"),
    ("toDate(-1)", "1970-01-01"),
    ("toDate(length('abc'))", "1970-01-04"),
    ("toDate(toUInt32(now()))", "2025-10-03"),
    ("toDate(toUInt32(today()))", "2025-10-03"),
    ("toDate(NULL)", None),
    ("formatDateTime(now(), '')", ""),
    ("formatDateTime(now(), '%T', 'Asia/Tokyo')", "21:00:00"),
    ("formatDateTime(toDateTime('2022-12-01 16:17:00', 'America/New_York'), '%H:%i')", "16:17"),
    ("formatDateTime(toDateTime('2022-12-01 16:17:00', 'America/New_York'), '%H', 'Etc/UTC')",
     "21"),
    ("toYear(now())", 2025),
    ("toMonth(now())", 10),
    ("toDayOfMonth(now())", 3),
    ("toDayOfWeek(toDateTime('2025-09-29 00:00:00'))", 1),
    ("toHour(toDateTime('2025-10-01 05:06:07'))", 5),
    ("toMinute(toDateTime('2025-10-01 05:06:07'))", 6),
    ("toSecond(toDateTime('2025-10-01 05:06:07'))", 7),
    ("toYYYYMM(now())", 202_510),
    ("extract(YEAR FROM now())", 2025),
    ("extract(MINUTE FROM toDateTime('2025-10-01 05:06:07'))", 6),
    ("toStartOfYear(now())", "2025-01-01"),
    ("toStartOfMonth(now())", "2025-10-01"),
    ("toStartOfWeek(now())", "2025-09-29"),
    ("toStartOfDay(now())", "2025-10-03 00:00:00"),
    ("toStartOfHour(toDateTime('2025-10-01 05:56:07'))", "2025-10-01 05:00:00"),
    ("toStartOfFifteenMinutes(toDateTime('2025-10-01 05:56:07'))", "2025-10-01 05:45:00"),
    ("toStartOfTenMinutes(toDateTime('2025-10-01 05:56:07'))", "2025-10-01 05:50:00"),
    ("toStartOfFiveMinutes(toDateTime('2025-10-01 05:56:07'))", "2025-10-01 05:55:00"),
    ("toStartOfMinute(toDateTime('2025-10-01 05:56:07'))", "2025-10-01 05:56:00"),
    ("toStartOfInterval(now(), INTERVAL '10' YEAR)", "2020-01-01 00:00:00"),
    ("toStartOfInterval(now(), INTERVAL '3' YEAR)", "2025-01-01 00:00:00"),
    ("toStartOfInterval(now(), INTERVAL '9' MONTH)", "2025-04-01 00:00:00"),
]  # fmt: skip

KINDS: list[tuple[str, str]] = [
    ("blob1", "String"),
    ("index1", "String"),
    ("dataset", "String"),
    ("double1", "Float64"),
    ("timestamp", "DateTime"),
    ("_sample_interval", "UInt32"),
    ("count()", "UInt64"),
    ("count(DISTINCT blob1)", "UInt64"),
    ("countIf(double1 > 1)", "UInt64"),
    ("sum(_sample_interval)", "UInt64"),
    ("length(blob1)", "UInt64"),
    ("sum(double1)", "Float64"),
    ("avg(_sample_interval)", "Float64"),
    ("min(timestamp)", "DateTime"),
    ("max(double1)", "Float64"),
    ("quantileExactWeighted(0.5)(double1, _sample_interval)", "Float64"),
    ("double1 / 2", "Float64"),
    ("1 / 2", "Float64"),
    ("toDateTime(0)", "DateTime"),
    ("toDateTime(0, 'Asia/Tokyo')", "DateTime('Asia/Tokyo')"),
    ("toStartOfHour(timestamp)", "DateTime"),
    ("toStartOfInterval(timestamp, INTERVAL '1' HOUR)", "DateTime"),
    ("toUInt32(double1)", "UInt32"),
    ("toUnixTimestamp(timestamp)", "UInt32"),
    ("toYYYYMM(timestamp)", "UInt32"),
    ("toYear(timestamp)", "UInt16"),
    ("toMonth(timestamp)", "UInt8"),
    ("toHour(timestamp)", "UInt8"),
    ("toUInt8(double1)", "UInt8"),
    ("double1 > 1", "UInt8"),
    ("startsWith(blob1, 'a')", "UInt8"),
    ("empty(blob1)", "UInt8"),
    ("topK(3)(blob1)", "Array(String)"),
    ("topK(double1)", "Array(Float64)"),
    ("toDate(timestamp)", "Date"),
    ("today()", "Date"),
    ("formatDateTime(timestamp, '%Y')", "String"),
    ("if(double1 > 1, blob1, blob2)", "String"),
    ("intDiv(toUInt32(timestamp), 60) * 60", "UInt64"),
    ("bitAnd(-1, 300)", "Int16"),
    ("bitNot(-1)", "Int8"),
    ("bitShiftLeft(1, 300)", "UInt16"),
    ("round(253, -2)", "UInt16"),
    ("ceil(253)", "UInt8"),
    ("-199 % 200", "Int16"),
    ("199 % -200", "UInt16"),
    ("-(-3 + 1)", "Int16"),
]

EXTRA: list[tuple[str, Any, str]] = [
    ("toInt8(200)", -56, "Int8"),
    ("toInt16(-70000)", -4464, "Int16"),
    ("toInt32(5000000000)", 705_032_704, "Int32"),
    ("toInt64(18446744073709551615)", "-1", "Int64"),
    ("toInt64('9223372036854775807')", "9223372036854775807", "Int64"),
    ("toInt64(true)", "1", "Int64"),
    ("toUInt64(-1)", "18446744073709551615", "UInt64"),
    ("toUInt64(1e19)", "10000000000000000000", "UInt64"),
    ("toUInt64('18446744073709551615')", "18446744073709551615", "UInt64"),
    ("abs(-3)", 3, "UInt8"),
    ("abs(-9223372036854775808)", "9223372036854775808", "UInt64"),
    ("abs(-1.5)", 1.5, "Float64"),
    ("sign(-1.5)", -1, "Int8"),
    ("toString(1e15)", "1000000000000000", "String"),
    ("toString(1.5e16)", "15000000000000000", "String"),
    ("toString(-2.5e25)", "-2.5e25", "String"),
    ("toString(0.00001)", "0.00001", "String"),
    ("toString(-1.25e-6)", "-0.00000125", "String"),
    ("toString(1e-7)", "1e-7", "String"),
    ("toString(0 / 0)", "nan", "String"),
    (f"dateDiff('hour', {GAP})", "3", "Int64"),
    (f"dateDiff('minute', {GAP})", "180", "Int64"),
    (f"dateDiff('second', {GAP})", "10800", "Int64"),
    (f"dateDiff('day', {GAP})", "0", "Int64"),
    ("dateDiff('minute', toDateTime(now(), 'Asia/Kolkata'), now())", "0", "Int64"),
    ("dateDiff('minute', toDate('2025-03-30'), toDate('2025-03-31'), 'Europe/Berlin')", "1380",
     "Int64"),
    ("bitShiftLeft(nullIf(1, 1), 9)", None, "UInt8"),
    ("bitShiftRight(nullIf(-1, -1), 9)", None, "Int8"),
    ("dateDiff('week', toDate('2025-03-02'), toDate('2025-03-03'))", "1", "Int64"),
    ("dateDiff('week', toDate('2025-03-09'), toDate('2025-03-03'))", "0", "Int64"),
    ("dateDiff('week', toDate('2025-03-11'), toDate('2025-03-05'))", "-1", "Int64"),
]  # fmt: skip


@pytest.mark.parametrize(("expression", "expected"), VALUES)
def test_an_expression_has_the_value_that_the_dialect_gives_it(
    worker: Asking, expression: str, expected: Any
) -> None:
    assert worker.value(f"SELECT {expression} AS x") == expected


@pytest.mark.parametrize(("expression", "kind"), KINDS)
def test_an_expression_has_the_type_that_the_dialect_gives_it(
    worker: Asking, empty: list[str], expression: str, kind: str
) -> None:
    assert worker.kinds(f"SELECT {expression} AS x FROM events", empty) == [kind]


@pytest.mark.parametrize(("expression", "expected", "kind"), EXTRA)
def test_an_expression_of_the_superset_has_the_value_and_type_that_clickhouse_gives_it(
    worker: Asking, expression: str, expected: Any, kind: str
) -> None:
    answer = worker.answer(f"SELECT {expression} AS x", extra=True, quoted=True)
    assert (answer["data"], answer["meta"][0]["type"]) == ([{"x": expected}], kind)


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("nope(1)", 'unknown function: "nope"'),
        ("uniq(blob1)", 'unknown function: "uniq"'),
        ("toString(1)", 'unknown function: "toString"'),
        ("coalesce(1, 2)", 'unknown function: "coalesce"'),
        ("formatDateTime(now(), '%M')", 'formatDateTime does not know "%M"'),
        ("toDateTime('2025-10-01T00:00:00Z')", "is not a time of the form"),
        ("toDateTime(0, 'Mars/Base')", 'unknown time zone "Mars/Base"'),
        ("lower(1)", "lower takes texts, not UInt8"),
        ("substring('a')", "substring takes 2 to 3 arguments, not 1"),
        ("now('UTC')", "now takes 0 arguments, not 1"),
        ("'a' + 1", "+ takes numbers, not String"),
        ("'a' = 1", "is not a number"),
        ("double1 = '-²'", '"-²" is not a number'),
        ("'²' = double1", '"²" is not a number'),
        (f"double1 = '-{'9' * 5_000}'", "is not a number"),
        (f"double1 = {'9' * 5_000}", "is not a number"),
        ("double1 < -1e999", "is not a number"),
        ("double1 = 'nan'", "is not a number"),
        ("quantileExactWeighted(2)(double1, 1)", "must be a number from 0 to 1"),
        ("sum(count())", "an aggregate cannot stand inside of"),
        ("99999999999999999999", "does not fit into 64 bits"),
    ],
)
def test_what_has_no_meaning_is_refused_with_a_reason(
    worker: Asking, empty: list[str], expression: str, reason: str
) -> None:
    with pytest.raises(Refused) as refused:
        worker.body(f"SELECT {expression} AS x FROM events", empty)
    assert str(refused.value).startswith("Input was invalid: ")
    assert reason in str(refused.value)
    assert refused.value.status == 422


def test_infinity_and_what_is_no_number_are_null(worker: Asking) -> None:
    (row,) = worker.rows("SELECT 1 / 0 AS a, 0 / 0 AS b, log(0) AS c, log(-1) AS d")
    assert row == {"a": None, "b": None, "c": None, "d": None}


@pytest.mark.parametrize("zone", ["Africa/Casablanca", "America/Vancouver"])  # changed in 2026
def test_a_time_is_read_by_the_rules_by_which_it_is_shown(worker: Asking, zone: str) -> None:
    said = f"toDateTime('2026-11-28 00:00:00', '{zone}')"
    (row,) = worker.rows(f"SELECT {said} AS shown, toUnixTimestamp({said}) AS at")
    (told,) = worker.rows(f"SELECT toDateTime({row['at']}, '{zone}') AS shown")
    assert row["shown"] == told["shown"] == "2026-11-28 00:00:00"


@pytest.mark.parametrize(
    ("zone", "wall", "unix"),
    [
        ("Europe/Berlin", "2025-03-30 01:59:59", 1_743_296_399),
        (
            "Europe/Berlin",
            "2025-03-30 02:00:00",
            1_743_292_800,
        ),  # left out, and read as summer time
        ("Europe/Berlin", "2025-03-30 02:30:00", 1_743_294_600),
        ("Europe/Berlin", "2025-03-30 03:00:00", 1_743_296_400),
        ("Europe/Berlin", "2025-10-26 01:59:59", 1_761_436_799),
        (
            "Europe/Berlin",
            "2025-10-26 02:30:00",
            1_761_438_600,
        ),  # comes twice, and is the first
        ("Europe/Berlin", "2025-10-26 03:00:00", 1_761_444_000),
        (
            "Australia/Lord_Howe",
            "2025-04-06 01:45:00",
            1_743_864_300,
        ),  # half an hour comes twice
        ("Antarctica/Troll", "2025-10-26 01:30:00", 1_761_435_000),  # and here two hours
    ],
)
def test_a_time_is_one_moment_whether_a_literal_a_value_or_a_day_later_says_it(
    worker: Asking, zone: str, wall: str, unix: int
) -> None:
    before = (dt.datetime.fromisoformat(wall) - dt.timedelta(days=1)).isoformat(" ")
    later = f"toDateTime('{before}', '{zone}') + INTERVAL '1' DAY"
    (row,) = worker.rows(
        f"SELECT toUnixTimestamp(toDateTime('{wall}', '{zone}')) AS literal, "
        f"toUnixTimestamp(toDateTime(format('{{}}', '{wall}'), '{zone}')) AS made, "
        f"toUnixTimestamp({later}) AS moved, toDateTime({unix}) = {later} AS compared"
    )
    assert row == {"literal": unix, "made": unix, "moved": unix, "compared": 1}


def test_what_clocks_show_a_day_later_is_within_the_bounds_that_are_read(
    worker: Asking, folder: Path
) -> None:
    at = dt.datetime(2025, 10, 26, 0, 30)  # noqa: DTZ001  as the files have it
    files = [written(folder / "twice.parquet", [{"timestamp": at}])]
    later = "toDateTime('2025-10-25 02:30:00', 'Europe/Berlin') + INTERVAL '1' DAY"
    assert (
        worker.value(f"SELECT count() AS n FROM events WHERE timestamp = {later}", files) == "1"
    )


@pytest.mark.usefixtures("lying_system")
def test_zones_are_those_of_metrics_and_not_the_operating_systems() -> None:
    summer = dt.datetime(2026, 7, 1)  # noqa: DTZ001
    assert summer.replace(tzinfo=zone_of("Europe/Berlin")).utcoffset() == dt.timedelta(hours=2)


def test_every_zone_that_is_listed_can_be_used(worker: Asking) -> None:
    zones = [row["timezone"] for row in worker.rows("SHOW TIMEZONES")]
    assert {"Europe/Berlin", "America/New_York", "Asia/Kolkata", "Etc/UTC"} < set(zones)
    for first in range(0, len(zones), 100):
        asked = ", ".join(
            f"formatDateTime(toDateTime(0), '%H', '{zone}') AS z{at}"
            for at, zone in enumerate(zones[first : first + 100])
        )
        worker.body(f"SELECT {asked}")
