"""Rows as the bodies of answers: JSON, JSONEachRow, TabSeparated, CSV; `arrow` has the rest.

Values come as `persistence.dialect.query` has the database return them: times are texts
already, and so are 64-bit integers that are to be quoted. What is not a number becomes null.
"""

import csv
import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

import orjson

from persistence import tabular
from persistence.dialect.query import Format
from persistence.dialect.relation import Output
from persistence.tabular import dumps

Rows = Iterable[Sequence[tuple[Any, ...]]]
"""Rows by the thousand."""

MEDIA: Final[dict[str, str]] = {
    "JSON": "application/json",
    "JSONEachRow": "application/x-ndjson",
    "TabSeparated": "text/tab-separated-values; charset=utf-8",
    "TabSeparatedWithNames": "text/tab-separated-values; charset=utf-8",
    "CSV": "text/csv; charset=utf-8",
    "CSVWithNames": "text/csv; charset=utf-8",
    "ArrowStream": tabular.MEDIA["arrow"],
}

_ESCAPES: Final = str.maketrans(
    {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", "\b": "\\b", "\f": "\\f", "\0": "\\0"}
)
_NULL: Final = "\\N"


class Sample(NamedTuple):
    """What is told of the rows that were read where not all may have been.

    interval  one row of so many
    errors    for each row the standard errors of its columns that have one; whole
              once all rows have passed
    """

    interval: int
    errors: Sequence[Mapping[str, float | None]]


class Counted:
    """Rows on their way, and how many have passed."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.rows = 0

    def __iter__(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        for some in self._rows:
            self.rows += len(some)
            yield some


def pieces(
    format_: Format,
    outputs: Sequence[Output],
    rows: Rows,
    before_limit: Callable[[int], int],
    sample: Sample | None = None,
) -> Iterator[bytes]:
    """The body of an answer, piece by piece.

    before_limit  from the number of rows to `rows_before_limit_at_least`
    sample        None where none was asked for
    """
    names = [one.name for one in outputs]
    match format_:
        case "JSON":
            yield from _json(outputs, names, rows, before_limit, sample)
        case "JSONEachRow":
            for some in rows:
                yield b"".join(
                    dumps(dict(zip(names, row, strict=True))) + b"\n" for row in some
                )
        case "TabSeparated" | "TabSeparatedWithNames":
            heads = [[tuple(names)]] if format_ == "TabSeparatedWithNames" else []
            for some in chain(heads, rows):
                yield "".join("\t".join(map(_tab, row)) + "\n" for row in some).encode()
        case "CSV" | "CSVWithNames":
            heads = [[tuple(names)]] if format_ == "CSVWithNames" else []
            yield from map(_csv, chain(heads, rows))


def _json(
    outputs: Sequence[Output],
    names: Sequence[str],
    rows: Rows,
    before_limit: Callable[[int], int],
    sample: Sample | None,
) -> Iterator[bytes]:
    meta = [_told(one) for one in outputs]
    yield b'{"meta":' + orjson.dumps(meta) + b',"data":['
    counted = Counted(rows)
    begun = False
    for some in counted:
        if some:
            piece = dumps([dict(zip(names, row, strict=True)) for row in some])[1:-1]
            yield b"," + piece if begun else piece
            begun = True
    count = counted.rows
    yield b'],"rows":%d,"rows_before_limit_at_least":%d' % (count, before_limit(count))
    if sample is not None:
        yield b',"sample_interval":%d' % sample.interval
        if sample.errors:
            yield b',"standard_errors":' + dumps(sample.errors)
    yield b"}"


def _told(output: Output) -> dict[str, str]:
    meta = {"name": output.name, "type": output.kind.name}
    return meta if output.mark is None else {**meta, "sampled": output.mark}


def _tab(value: object) -> str:
    return _text(value, of_null=_NULL, of_text=lambda text: text.translate(_ESCAPES))


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    for row in rows:
        writer.writerow([_text(one, of_null="", of_text=str) for one in row])
    return out.getvalue().encode()


def _text(value: object, *, of_null: str, of_text: Callable[[str], str]) -> str:
    match value:
        case None:
            return of_null
        case str():
            return of_text(value)
        case bool():
            return str(int(value))
        case float():
            if not math.isfinite(value):
                return of_null
            return _double(value)
        case list():
            return of_text(dumps(value).decode())
        case _:
            return str(value)


def _double(value: float) -> str:
    """The shortest digits that are that number, without an exponent from 1e-6 up to 1e21."""
    told = repr(value)
    if "e" not in told:
        return told.removesuffix(".0")
    mantissa, _, power = told.partition("e")
    exponent = int(power)
    if not -7 < exponent < 21:
        return f"{mantissa}e{exponent}"
    sign, digits = "-" * (value < 0), mantissa.lstrip("-").replace(".", "")
    if exponent < 0:
        return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
    return sign + digits.ljust(exponent + 1, "0")
