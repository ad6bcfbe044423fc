"""Reads a history file, CSV or NDJSON, plain or gzip, as a stream of numbered events.

Nothing is held but the row at hand. Rows are numbered from 1 without the heading; a message
names the line too, which is what an editor shows.

Measured on the 336,776 flights of examples/flights (5 mapped fields, 2 rules): 100,000 to
120,000 rows a second of CPU.
"""

import csv
import datetime as dt
import gzip
import hashlib
import io
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, NamedTuple, cast

import orjson

from load.cells import Cell
from load.errors import LoadError, UnreadableHistory
from load.mapping import CellError, EventMapping

NumberedRow = tuple[int, dict[str, Any]]
"""The row's number in its file, and its event."""

_HEAD_BYTES: Final = 1 << 20
_CELL_BYTES_MAX: Final = 1 << 20


@dataclass(slots=True)
class _Place:
    """Where the reading is: the last whole row and its line, both counted from 1."""

    path: Path
    row: int = 0
    line: int = 0


class Survey(NamedTuple):
    """What a first reading found: `rows` make `events`; both instants are None without any."""

    rows: int
    events: int
    first_ms: int | None
    last_ms: int | None


def read(
    path: Path, mapping: EventMapping, shift_to_end: dt.date | None = None
) -> Iterator[NumberedRow]:
    """The events of a file, in the file's order; dropped rows leave gaps in the numbers.

    shift_to_end  moves the history by whole days so that its latest event falls on this date

    Each event has an eventId made of the file's content and the row's number, unless one is
    mapped: the same file gives the same ids, whatever it is called and wherever it lies.
    Raises UnreadableHistory.
    """
    if shift_to_end is not None:
        mapping = mapping.shifted(days_to_end([path], mapping, shift_to_end))
    prefix = import_key(path, mapping)
    place = _Place(path)
    with _naming(place):
        for cells in _rows(place, mapping):
            event = mapping.event(cells)
            if event is not None:
                if "eventId" not in event:
                    event["eventId"] = f"{prefix}-{place.row}"
                yield place.row, event


def survey(path: Path, mapping: EventMapping) -> Survey:
    """Read the whole file and send nothing: finds every fault that `read` would find later."""
    place, events = _Place(path), 0
    first_ms: int | None = None
    last_ms: int | None = None
    with _naming(place):
        for cells in _rows(place, mapping):
            event = mapping.event(cells)
            if event is None:
                continue
            events += 1
            at_ms = event.get("timestamp")
            if at_ms is not None:
                first_ms = at_ms if first_ms is None else min(first_ms, at_ms)
                last_ms = at_ms if last_ms is None else max(last_ms, at_ms)
    return Survey(place.row, events, first_ms, last_ms)


def days_to_end(paths: Sequence[Path], mapping: EventMapping, end: dt.date) -> int:
    """Whole days by which all files together must move for their latest event to fall on `end`.

    The latest, and not the last: a file need not be in the order of time. Days are those of
    the mapping's zone. Raises UnreadableHistory.
    """
    return shift_days([survey(path, mapping) for path in paths], mapping, end)


def shift_days(surveys: Sequence[Survey], mapping: EventMapping, end: dt.date) -> int:
    """As `days_to_end`, of files that have been read already."""
    lasts_ms = [found.last_ms for found in surveys if found.last_ms is not None]
    if not lasts_ms:
        raise LoadError("No row has a timestamp: there is nothing that could be shifted.")
    last = dt.datetime.fromtimestamp(max(lasts_ms) / 1000, mapping.zone)
    return (end - last.date()).days


def file_digest(path: Path) -> str:
    """16 hex digits of a file's first MiB and its size: a renamed or moved file keeps them.

    Raises UnreadableHistory.
    """
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            size_bytes = file.seek(0, io.SEEK_END)
    except OSError as why:
        raise UnreadableHistory(f"{path} cannot be read: {why.strerror}.") from None
    return hashlib.sha256(b"%d\n%b" % (size_bytes, head)).hexdigest()[:16]


def import_key(path: Path, mapping: EventMapping) -> str:
    """What the ids of an import begin with: 16 hex digits.

    Of the mapping only the event type and `series` go in: whoever corrects a mapping after an
    import has stopped half-way wants the rows that are there already to stay counted once.
    """
    spec = mapping.spec
    kind = spec.event.get("eventType", "by column")
    seed = f"{file_digest(path)}\n{kind}\n{spec.file.series}"
    return hashlib.sha256(seed.encode()).hexdigest()[:16]


class _RowFault(Exception):
    pass


@contextmanager
def _naming(place: _Place) -> Iterator[None]:
    """Turn a failure into one that names the file, the row and the line."""
    try:
        yield
    except CellError as why:
        where = f"{place.path}, row {place.row} (line {place.line})"
        raise UnreadableHistory(f"{where}, {why}.") from None
    except (
        UnicodeDecodeError,
        csv.Error,
        EOFError,
        zlib.error,
        gzip.BadGzipFile,
        _RowFault,
    ) as why:
        where = f"{place.path}, row {place.row + 1} (after line {place.line})"
        raise UnreadableHistory(f"{where}: {why}.") from None
    except OSError as why:
        raise UnreadableHistory(
            f"{place.path} cannot be read: {why.strerror or why}."
        ) from None


def _rows(place: _Place, mapping: EventMapping) -> Iterator[Sequence[Cell]]:
    path = place.path
    suffixes = [suffix.lower() for suffix in path.suffixes]
    is_packed = suffixes[-1:] == [".gz"]
    kind = suffixes[-2:-1] if is_packed else suffixes[-1:]
    if kind in ([".ndjson"], [".jsonl"], [".json"]):
        with gzip.open(path, "rb") if is_packed else path.open("rb") as lines:
            yield from _json_rows(cast(io.BufferedIOBase, lines), place, mapping)
        return
    # utf-8-sig reads plain UTF-8 too, and leaves out the mark that spreadsheets put first.
    encoding = mapping.spec.file.encoding
    encoding = "utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding
    try:
        "".encode(encoding)
    except LookupError:
        raise UnreadableHistory(f"{mapping.name}: no encoding is called {encoding}.") from None
    if is_packed:
        with gzip.open(path, "rt", encoding=encoding, newline="") as text:
            yield from _csv_rows(cast(io.TextIOBase, text), place, mapping)
    else:
        with path.open(encoding=encoding, newline="") as text:
            yield from _csv_rows(text, place, mapping)


def _csv_rows(
    text: io.TextIOBase, place: _Place, mapping: EventMapping
) -> Iterator[Sequence[Cell]]:
    csv.field_size_limit(_CELL_BYTES_MAX)
    lines = csv.reader(text, delimiter=mapping.spec.file.delimiter, strict=True)
    heading = next(lines, [])
    absent = [column for column in mapping.columns if column not in heading]
    if absent:
        raise _RowFault(
            f"the heading has no column {', '.join(absent)}; it has {', '.join(heading)}"
        )
    cells_of = _picker([heading.index(column) for column in mapping.columns])
    width = len(heading)
    place.line = lines.line_num
    for cells in lines:
        if len(cells) != width:
            if not cells:
                continue
            raise _RowFault(f"expected {width} cells, as the heading has, got {len(cells)}")
        place.row += 1
        place.line = lines.line_num
        yield cells_of(cells)


def _picker(positions: list[int]) -> Callable[[list[str]], Sequence[Cell]]:
    match positions:
        case []:
            return lambda cells: ()
        case [only]:
            return lambda cells: (cells[only],)
        case _:
            return itemgetter(*positions)


def _json_rows(
    lines: io.BufferedIOBase, place: _Place, mapping: EventMapping
) -> Iterator[Sequence[Cell]]:
    for number, line in enumerate(lines, 1):
        if line.isspace():
            continue
        try:
            document = orjson.loads(line)
        except orjson.JSONDecodeError as why:
            raise _RowFault(f"not valid JSON: {why}") from None
        if not isinstance(document, dict):
            raise _RowFault("expected a JSON object")
        cells = [_cell(document, column) for column in mapping.columns]
        place.row += 1
        place.line = number
        yield cells


def _cell(document: dict[str, Any], column: str) -> Cell:
    value = document.get(column)
    if value is None and "." in column:
        value = document
        for key in column.split("."):
            value = value.get(key) if isinstance(value, dict) else None
    if isinstance(value, dict | list):
        raise _RowFault(f"column {column} holds {type(value).__name__}, expected a scalar")
    return cast(Cell, value)
