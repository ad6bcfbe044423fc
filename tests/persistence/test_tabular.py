"""Rows as files: what a spreadsheet would run is disarmed, numbers stay, nothing is lost."""

import csv
import io
import math

import orjson
import pytest

from persistence.tabular import ROWS_AT_ONCE, TextFormat, guarded, pieces


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1+1|cmd", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "-", "--1", "-1e5"]
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == "'" + text


@pytest.mark.parametrize("text", ["", "-5", "-5.25", "1=1", "a-b", "'=1", "5"])
def test_all_else_stays_as_it_is(text: str) -> None:
    assert guarded(text) == text


def test_values_become_cells() -> None:
    row = ['a,"b"\r\n', None, True, False, -1.5, -3, {"E": 1}, [1, "x"], "=x"]
    names = [f"c{place}" for place in range(len(row))]
    text = b"".join(pieces("csv", names, [row])).decode()
    assert text == (
        "c0,c1,c2,c3,c4,c5,c6,c7,c8\r\n"
        '"a,""b""\r\n",,true,false,-1.5,-3,"{""E"":1}","[1,""x""]",\'=x\r\n'
    )


@pytest.mark.parametrize("format_", ["csv", "json", "ndjson"])
def test_what_is_no_number_is_absent_in_every_format(format_: TextFormat) -> None:
    row = [math.inf, -math.inf, math.nan, None]
    body = b"".join(pieces(format_, list("abcd"), [row]))
    absent = dict.fromkeys("abcd")
    match format_:
        case "csv":
            assert body == b"a,b,c,d\r\n,,,\r\n"
        case "json":
            assert orjson.loads(body) == [absent]
        case _:
            assert orjson.loads(body) == absent


@pytest.mark.parametrize("format_", ["csv", "json", "ndjson"])
@pytest.mark.parametrize("rows", [0, 1, ROWS_AT_ONCE, ROWS_AT_ONCE + 1, 3 * ROWS_AT_ONCE])
def test_any_number_of_rows_is_one_file(format_: TextFormat, rows: int) -> None:
    body = b"".join(pieces(format_, ["n"], ([n] for n in range(rows))))
    match format_:
        case "csv":
            found = [int(row["n"]) for row in csv.DictReader(io.StringIO(body.decode()))]
        case "json":
            found = [row["n"] for row in orjson.loads(body)]
        case _:
            found = [orjson.loads(line)["n"] for line in body.splitlines()]
    assert found == list(range(rows))
