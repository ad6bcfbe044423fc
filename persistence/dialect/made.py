"""One translated expression: its SQL for DuckDB, its type here, and what is known about it."""

import datetime as dt
from dataclasses import dataclass, replace
from typing import Final, Literal

from persistence.archive.columns import literal
from persistence.dialect import kinds
from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.kinds import Kind

EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


Mark = Literal["estimate", "sample"]
"""What a figure of a sample of the rows is: see `persistence.dialect.estimates`."""


@dataclass(frozen=True, slots=True)
class Made:
    """An expression.

    sql        of DuckDB, to be put anywhere without brackets around it
    kind       what it is to the user
    truth      its SQL is a BOOLEAN, which the user sees as UInt8
    value      of a literal, or of a time that is known: str, int, float, datetime
    aggregate  holds an aggregate
    windowed   holds a window function
    loose      a column that stands outside of aggregates and of what is grouped by, or None
    grouped    holds something that is grouped by
    unit       it is `_sample_interval` itself, which is 1 in every row unless rows were thinned
    stored     it is a column of events as it is, in which every number is one
    mark       where a sample is read: what it is to the answer over all rows, None: the same
    error      SQL of its standard error, where that is known
    """

    sql: str
    kind: Kind
    truth: bool = False
    value: object = None
    aggregate: bool = False
    windowed: bool = False
    loose: str | None = None
    grouped: bool = False
    unit: bool = False
    stored: bool = False
    mark: Mark | None = None
    error: str | None = None


def of(sql: str, kind: Kind, *parts: Made, truth: bool = False, value: object = None) -> Made:
    """An expression made of others; what holds of one of them holds of it."""
    return Made(
        sql,
        kind,
        truth=truth,
        value=value,
        aggregate=any(part.aggregate for part in parts),
        windowed=any(part.windowed for part in parts),
        loose=next((part.loose for part in parts if part.loose is not None), None),
        grouped=any(part.grouped for part in parts),
        mark=marked(*(part.mark for part in parts)),
    )


def marked(*marks: Mark | None) -> Mark | None:
    """The mark of what is made of things with these."""
    return "sample" if "sample" in marks else "estimate" if "estimate" in marks else None


def texted(value: str) -> Made:
    """A text literal."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidQuery("a text holds bytes that are not UTF-8") from None
    pieces = [literal(piece) for piece in value.split("\0")]
    sql = pieces[0] if len(pieces) == 1 else f"({' || chr(0) || '.join(pieces)})"
    return Made(sql, kinds.STRING, value=value)


def counted(value: int) -> Made:
    """An integer literal."""
    return Made(f"({value})" if value < 0 else str(value), kinds.of_integer(value), value=value)


def floated(value: float) -> Made:
    """A literal of a double; as one token it is parsed in half the time that a cast takes."""
    told = repr(value)
    sql = told if "e" in told else f"{told}e0"
    return Made(f"({sql})" if told[0] == "-" else sql, kinds.FLOAT64, value=value)


def instant(value: dt.datetime, zone: str | None = None) -> Made:
    """A moment that is known; `value` has an offset."""
    utc = value.astimezone(dt.UTC).replace(tzinfo=None)
    sql = f"TIMESTAMP '{utc.isoformat(sep=' ', timespec='seconds')}'"
    return Made(sql, Kind("DateTime", zone=zone), value=value)


def numbered(part: Made) -> str:
    """Its SQL, where a truth value is the number 0 or 1, as in ClickHouse."""
    return f"({part.sql})::BIGINT" if part.truth else part.sql


def number(part: Made, where: str) -> str:
    """Its SQL as a number. Raises InvalidQuery where it is none."""
    if not part.kind.is_number:
        raise InvalidQuery(f"{where} takes numbers, not {part.kind.name}")
    return numbered(part)


def integer(part: Made, where: str) -> str:
    """Its SQL as a BIGINT; what comes after the point is dropped."""
    if part.kind.base == "Float64":
        return f"trunc({part.sql})::BIGINT"
    if isinstance(part.value, int) and not part.truth:
        return part.sql
    return f"({number(part, where)})::BIGINT"


def double(part: Made, where: str) -> str:
    """Its SQL as a DOUBLE."""
    sql = number(part, where)
    return sql if part.kind.base == "Float64" else f"({sql})::DOUBLE"


def text(part: Made, where: str) -> str:
    """Its SQL as a text, which it must be."""
    if part.kind.base not in {"String", "Null"}:
        raise InvalidQuery(f"{where} takes texts, not {part.kind.name}")
    return part.sql


def condition(part: Made, where: str) -> str:
    """Its SQL as a BOOLEAN: any number but 0 is true."""
    if part.truth:
        return part.sql
    if part.kind.base == "Null":
        return "NULL::BOOLEAN"
    if part.kind.base != "Int" and part.kind.base != "Float64":
        raise InvalidQuery(f"{where} takes a condition, not {part.kind.name}")
    return f"({part.sql} <> 0)"


def constant_text(part: Made, where: str) -> str:
    """The text of a literal."""
    if not isinstance(part.value, str):
        raise InvalidQuery(f"{where} must be a text in quotes")
    return part.value


def constant_integer(part: Made, where: str) -> int:
    """The value of an integer literal."""
    if not isinstance(part.value, int):
        raise InvalidQuery(f"{where} must be a whole number")
    return part.value


def as_kind(part: Made, kind: Kind, where: str) -> Made:
    """The same in a type that `kinds.common` found for it and others."""
    if part.kind == kind or part.kind.base == "Null":
        return replace(part, kind=kind)
    if kind.base == "Float64":
        return replace(part, sql=double(part, where), kind=kind, truth=False)
    if kind.base == "Int":
        return replace(part, sql=number(part, where), kind=kind, truth=False)
    if kind.base == "DateTime" and part.kind.base == "Date":
        return replace(part, sql=f"({part.sql})::TIMESTAMP", kind=kind)
    if kind.base == "DateTime" and part.kind.base == "DateTime":
        return replace(part, kind=kind)
    raise InvalidQuery(f"{where}: {short(part.kind.name)} is not {kind.name}")
