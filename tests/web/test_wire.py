"""Queries are read strictly, answers never hold NaN, and a problem says what it is."""

import math
from pathlib import Path
from typing import Annotated, Literal

import orjson
import pytest
from msgspec import Meta, Struct

from engine.errors import Fault, InvalidEvents, InvalidQuestion, JournalFailed, Overloaded
from web import wire
from web.errors import MethodNotAllowed
from web.openapi import every_refusal
from web.routes import ROUTES

DOCS = Path(__file__).parents[2] / "docs"


class Asked(Struct, frozen=True, rename="camel"):
    service_id: str | None = None
    granularity: Literal["hour", "day"] | None = None
    limit: Annotated[int, Meta(ge=1, le=10)] = 5
    trend: bool = False


class Figures(Struct, rename="camel"):
    error_rate: float | None
    by_day: dict[int, float]


def test_a_figure_that_is_no_number_leaves_as_null() -> None:
    figures = Figures(error_rate=math.nan, by_day={1: math.inf, 2: 0.5})
    assert wire.encode(figures) == b'{"errorRate":null,"byDay":{"1":null,"2":0.5}}'


class Rows(Struct):
    data: list[Figures]
    rows: int


@pytest.mark.parametrize("rows", [0, 1, wire.ROWS_AT_ONCE, 2 * wire.ROWS_AT_ONCE + 1])
def test_an_answer_in_pieces_is_the_same_answer(rows: int) -> None:
    answer = Rows([Figures(error_rate=float(n), by_day={}) for n in range(rows)], rows)
    pieces = list(wire.pieces(answer))
    assert b"".join(pieces) == wire.encode(answer)
    assert (len(pieces) > 1) == (rows > wire.ROWS_AT_ONCE)


class Listed(Struct):
    count: int
    listed: list[Figures]
    success: bool = True


def test_the_rows_in_pieces_may_stand_anywhere() -> None:
    answer = Listed(1, [Figures(error_rate=float(n), by_day={}) for n in range(600)])
    pieces = list(wire.pieces(answer, rows="listed"))
    assert len(pieces) > 2
    assert b"".join(pieces) == wire.encode(answer)


def test_a_query_becomes_its_struct() -> None:
    asked = wire.question(b"serviceId=a%20b%26c&limit=10&trend=true&granularity=hour", Asked)
    assert asked == Asked(service_id="a b&c", limit=10, trend=True, granularity="hour")


def test_a_name_that_reads_like_another_type_stays_a_text() -> None:
    assert wire.question(b"serviceId=null", Asked).service_id == "null"
    assert wire.question(b"serviceId=12", Asked).service_id == "12"


def test_a_query_at_its_limit_is_read() -> None:
    query = b"serviceId=".ljust(wire.QUERY_BYTES_MAX, b"a")
    assert wire.question(query, Asked).service_id == "a" * (wire.QUERY_BYTES_MAX - 10)


def test_an_id_may_be_called_null() -> None:
    assert wire.question(b"serviceId=null&granularity=day", Asked) == Asked("null", "day")


def test_a_key_in_the_query_is_ignored() -> None:
    assert wire.question(b"key=tm_w_1&key=", Asked) == Asked()


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        (b"limit=", "limit is empty: give it a value, or leave it out."),
        (b"limit", "limit is empty: give it a value, or leave it out."),
        (b"limit=1&limit=2", "limit is given more than once."),
        (b"limit=0", "limit: Expected `int` >= 1, got '0'."),
        (b"limit=11", "limit: Expected `int` <= 10, got '11'."),
        (b"limit=ten", "limit: Expected `int`, got 'ten'."),
        (b"granularity=second", "granularity: Expected one of day, hour, got 'second'."),
        (b"granularity=null", "granularity: Expected one of day, hour, got 'null'."),
        (b"granularity=NULL", "granularity: Expected one of day, hour, got 'NULL'."),
        (
            b"startDat=2025-10-01",
            "'startDat' is not a parameter of this route: "
            "it takes serviceId, granularity, limit, trend.",
        ),
        (b"serviceId=%ff", "The query is not valid UTF-8."),
        (b"serviceId=\xff", "The query is not valid UTF-8."),
        (b"serviceId=".ljust(8193, b"a"), "The query is longer than 8192 bytes."),
    ],
)
def test_a_query_that_is_not_understood_is_refused_by_name(query: bytes, detail: str) -> None:
    with pytest.raises(InvalidQuestion) as refusal:
        wire.question(query, Asked)
    assert str(refusal.value) == detail


def test_a_problem_names_every_faulty_event() -> None:
    error = InvalidEvents("2 of 3 are bad.", (Fault(0, "$.amount", "Expected `float`"),))
    reply = wire.refused(error, "/track/batch")
    assert reply.status == 422
    assert ("Content-Type", "application/problem+json") in reply.headers
    assert orjson.loads(reply.body) == {
        "type": "/problems/invalid-event",
        "title": "Invalid event",
        "status": 422,
        "detail": "2 of 3 are bad.",
        "instance": "/track/batch",
        "errors": [{"index": 0, "path": "$.amount", "message": "Expected `float`"}],
        "success": False,
    }


def test_a_problem_without_faults_has_no_list_of_them() -> None:
    assert "errors" not in orjson.loads(wire.refused(InvalidQuestion("No."), "/x").body)


def test_an_overload_says_when_to_come_back_and_a_failed_journal_does_not() -> None:
    overloaded = wire.refused(Overloaded("Full.", retry_after_s=3), "/track")
    assert dict(overloaded.headers)["Retry-After"] == "3"
    failed = wire.refused(JournalFailed("EIO."), "/track")
    assert failed.status == 503
    assert "Retry-After" not in dict(failed.headers)


def test_a_wrong_method_is_told_the_right_ones() -> None:
    reply = wire.refused(MethodNotAllowed("PUT", "/track", ("OPTIONS", "POST")), "/track")
    assert dict(reply.headers)["Allow"] == "OPTIONS, POST"


def test_nobody_may_keep_sniff_or_pass_on_an_answer() -> None:
    headers = dict(wire.answered({"data": []}).headers)
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_every_type_of_problem_is_documented() -> None:
    text = (DOCS / "problems.md").read_text()
    titles = {refusal.title for refusal in every_refusal(ROUTES)}
    missing = [
        wire.problem_type(title)
        for title in titles | {wire.INTERNAL.title, MethodNotAllowed.title}
        if f"`{wire.problem_type(title)}`" not in text
    ]
    assert missing == []
