"""Rows as files: CSV that is safe in a spreadsheet, a JSON array, one JSON object per line.

A text that a spreadsheet would run as a formula gets an apostrophe in front (OWASP, CSV
injection); numbers stay numbers. `persistence.exportworker` has the same rule in SQL.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from math import isfinite
from typing import Any, Final, Literal

import orjson

TextFormat = Literal["csv", "json", "ndjson"]
Format = Literal["csv", "json", "ndjson", "parquet", "arrow"]

MEDIA: Final[dict[str, str]] = {
    "csv": "text/csv; charset=utf-8",
    "json": "application/json",
    "ndjson": "application/x-ndjson",
    "parquet": "application/vnd.apache.parquet",
    "arrow": "application/vnd.apache.arrow.stream",
}

DANGEROUS: Final = "=+-@\t\r\n"
"""What the text of a cell must not begin with."""

PLAIN_NEGATIVE: Final = r"-[0-9]+(\.[0-9]+)?"
"""But for this, which is a number and no formula."""

ROWS_AT_ONCE: Final = 250
"""Rows of one piece."""

Row = Sequence[Any]


def guarded(text: str) -> str:
    """The text as a cell may hold it."""
    if text.startswith(tuple(DANGEROUS)) and not re.fullmatch(PLAIN_NEGATIVE, text):
        return "'" + text
    return text


def pieces(format_: TextFormat, columns: Sequence[str], rows: Iterable[Row]) -> Iterator[bytes]:
    """A file of rows, piece by piece; a row's values stand in the order of `columns`."""
    rest = iter(rows)
    chunks = iter(lambda: list(islice(rest, ROWS_AT_ONCE)), [])
    match format_:
        case "csv":
            yield _csv([columns])
            yield from map(_csv, chunks)
        case "json":
            yield b"["
            for place, some in enumerate(chunks):
                objects = [dict(zip(columns, row, strict=True)) for row in some]
                yield (b",\n" if place else b"") + dumps(objects)[1:-1]
            yield b"]\n"
        case "ndjson":
            for some in chunks:
                yield b"".join(
                    dumps(dict(zip(columns, row, strict=True))) + b"\n" for row in some
                )


def dumps(value: object) -> bytes:
    """A value as JSON."""
    try:
        return orjson.dumps(value)
    except TypeError:  # an integer above 64 bits, which JSON would hold and orjson does not
        return orjson.dumps(_narrowed(value))


def _narrowed(value: object) -> object:
    match value:
        case dict():
            return {name: _narrowed(one) for name, one in value.items()}
        case list():
            return [_narrowed(one) for one in value]
        case int() if not -(2**63) <= value < 2**64:
            return str(value)
        case _:
            return value


def _csv(rows: Iterable[Row]) -> bytes:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerows([_cell(one) for one in r] for r in rows)
    return out.getvalue().encode()


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
        case float() if not isfinite(value):  # as in JSON, where it is null
            return ""
        case str():
            return guarded(value)
        case list() | tuple() | dict():
            return dumps(value).decode()
        case _:
            return str(value)
