"""Columns as a Parquet file: compressed pages, row groups of them, and the footer; and back.

https://github.com/apache/parquet-format. DuckDB's writer takes three times as long, because
rows of eight types must first become rows of one (docs/decisions/0016). A finished page can be
put into another file as it is, so small parts become one without being decoded.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import zstandard

from persistence.archive import encoding, thrift
from persistence.archive.columns import FILED, GROUP_ROWS, Filed
from persistence.archive.encoding import Integers
from persistence.archive.gathering import Column, Gathered, Gathering
from persistence.archive.rows import Taken
from persistence.archive.thrift import I16, I64, Struct
from persistence.files import REAL_DISK, write_whole

MAGIC: Final = b"PAR1"
CREATED_BY: Final = b"Tallymark"
LEVEL: Final = 1
"""Of zstd: parts live for minutes."""

_PLAIN: Final = 0
_RLE: Final = 3
_DELTA_BINARY_PACKED: Final = 5
_DELTA_LENGTH_BYTE_ARRAY: Final = 6
_BYTE_STREAM_SPLIT: Final = 9
_DATA_PAGE: Final = 0
_OPTIONAL: Final = 1
_ZSTD: Final = 6

_BOOLEAN: Final = 0
_INT32: Final = 1
_INT64: Final = 2
_DOUBLE: Final = 5
_BYTE_ARRAY: Final = 6
_FIXED: Final = 7
_FIXED_BYTES: Final = 16


class _Type(NamedTuple):
    """How a column lies in the file.

    converted  Parquet's older way to say what the values are; None: it has no such
    bounded    bytes of a bound in the statistics; 0: none are told
    """

    physical: int
    converted: int | None
    encoding: int
    bounded: int = 0


_TYPES: Final = {
    "VARCHAR": _Type(_BYTE_ARRAY, 0, _DELTA_LENGTH_BYTE_ARRAY),
    "TIMESTAMP": _Type(_INT64, 10, _DELTA_BINARY_PACKED, 8),
    "SMALLINT": _Type(_INT32, 16, _DELTA_BINARY_PACKED, 4),
    "UINTEGER": _Type(_INT32, 13, _DELTA_BINARY_PACKED, 4),
    "INTEGER": _Type(_INT32, 17, _DELTA_BINARY_PACKED, 4),
    "BIGINT": _Type(_INT64, 18, _DELTA_BINARY_PACKED, 8),
    "DOUBLE": _Type(_DOUBLE, None, _BYTE_STREAM_SPLIT),
    "BOOLEAN": _Type(_BOOLEAN, None, _PLAIN),
    "DECIMAL(22,0)": _Type(_FIXED, 5, _PLAIN),
    "UUID": _Type(_FIXED, None, _PLAIN),
}


class Chunk(NamedTuple):
    """A page of one column, or several in a row.

    size_bytes  as they were before they were compressed, headers included
    absent      how many rows have no value
    bounds      the least and the greatest value, where they are told and there is one
    """

    pages: Sequence[bytes]
    size_bytes: int
    absent: int
    bounds: tuple[int, int] | None


class Group(NamedTuple):
    """Rows, by the columns of FILED in their order."""

    rows: int
    chunks: Sequence[Chunk]


class PartWriter:
    """Gathers rows in memory, and writes them as one part."""

    def __init__(self) -> None:
        self._gathering = Gathering()

    def add(self, taken: Taken) -> None:
        """Take the rows of some records."""
        self._gathering.add(taken)

    def write(self, path: Path) -> None:
        """Put all rows that were added into the new file `path`, and forget them."""
        put(path, [group_of(self._gathering.take())])


def put(path: Path, groups: Sequence[Group]) -> None:
    """Make the file `path` with all of these rows: whole, on the disk, or not at all."""
    REAL_DISK.make_folder(path.parent)
    write_whole(REAL_DISK, path, file_of(groups))
    REAL_DISK.sync_folder(path.parent)


def group_of(gathered: Gathered) -> Group:
    """What was gathered as pages, one a column."""
    squeeze = zstandard.ZstdCompressor(level=LEVEL)
    chunks = [
        _chunk(_TYPES[column.sql_type], gathered.columns[column.name], gathered.rows, squeeze)
        for column in FILED
    ]
    return Group(gathered.rows, chunks)


def file_of(groups: Sequence[Group]) -> Iterator[bytes]:
    """The bytes of a file with the rows of all of these in their order."""
    yield MAGIC
    at = len(MAGIC)
    told: list[Struct] = []
    for group in _joined(groups):
        columns = []
        begun = at
        for column, chunk in zip(FILED, group.chunks, strict=True):
            stored = sum(map(len, chunk.pages))
            columns.append(_told(column, group.rows, chunk, at, stored))
            yield from chunk.pages
            at += stored
        told.append(
            Struct()
            .structs(1, columns)
            .number(2, sum(chunk.size_bytes for chunk in group.chunks), I64)
            .number(3, group.rows, I64)
            .number(5, begun, I64)
            .number(6, at - begun, I64)
            .number(7, len(told), I16)
        )
    rows = sum(group.rows for group in groups)
    footer = (
        Struct()
        .number(1, 1)
        .structs(2, _SCHEMA)
        .number(3, rows, I64)
        .structs(4, told)
        .binary(6, CREATED_BY)
        .structs(7, [Struct().struct(1, Struct()) for _ in FILED])
        .encoded()
    )
    yield footer + len(footer).to_bytes(4, "little") + MAGIC


def groups_of(data: bytes) -> list[Group] | None:
    """What `file_of` made a file of; None where another wrote it, or of other columns."""
    length = int.from_bytes(data[-8:-4], "little")
    footer = thrift.decoded(data[len(data) - 8 - length : -8])
    if footer.get(6) != CREATED_BY or footer[2] != _SCHEMA_READ:
        return None
    return [
        Group(told[3], [_chunk_of(column, data) for column in told[1]]) for told in footer[4]
    ]


def _chunk_of(told: Mapping[int, Any], data: bytes) -> Chunk:
    meta = told[3]
    at, statistics = meta[9], meta[12]
    bounds = None
    if 5 in statistics:
        least, most = (int.from_bytes(statistics[n], "little", signed=True) for n in (6, 5))
        bounds = (least, most)
    return Chunk([data[at : at + meta[7]]], meta[6], statistics[3], bounds)


def _chunk(of: _Type, column: Column, rows: int, squeeze: zstandard.ZstdCompressor) -> Chunk:
    known = column.known(rows)
    there = int(np.count_nonzero(known))
    told, bounds = _encoded(of, column.values)
    page = b"".join((encoding.levels(known), *told))
    stored = squeeze.compress(page)
    head = (
        Struct()
        .number(1, _DATA_PAGE)
        .number(2, len(page))
        .number(3, len(stored))
        .struct(
            5, Struct().number(1, rows).number(2, of.encoding).number(3, _RLE).number(4, _RLE)
        )
        .encoded()
    )
    return Chunk([head + stored], len(head) + len(page), rows - there, bounds)


def _encoded(
    of: _Type, values: Sequence[Any]
) -> tuple[Sequence[bytes], tuple[int, int] | None]:
    """The values in pieces, and their bounds."""
    if of.physical == _BYTE_ARRAY:
        return encoding.delta_lengths(values), None
    if of.physical == _FIXED:
        return values, None
    if not values:
        nothing = np.empty(0, np.int64)
        return ([encoding.deltas(nothing)] if of.bounded else []), None
    joined = np.concatenate(values)
    if of.physical == _BOOLEAN:
        return [encoding.bits(joined)], None
    if of.physical == _DOUBLE:
        return [encoding.split_bytes(joined)], None
    return [encoding.deltas(joined)], _bounds(joined)


def _bounds(values: Integers) -> tuple[int, int]:
    return int(values.min()), int(values.max())


def _joined(groups: Sequence[Group]) -> Iterator[Group]:
    """The same rows in fewer groups, none of which grows beyond GROUP_ROWS and a page."""
    waiting: list[Group] = []
    for group in groups:
        waiting.append(group)
        if sum(one.rows for one in waiting) >= GROUP_ROWS:
            yield _one_of(waiting)
            waiting = []
    if waiting:
        yield _one_of(waiting)


def _one_of(groups: Sequence[Group]) -> Group:
    if len(groups) == 1:
        return groups[0]
    of_columns = zip(*(group.chunks for group in groups), strict=True)
    return Group(sum(group.rows for group in groups), [_all(chunks) for chunks in of_columns])


def _all(chunks: Sequence[Chunk]) -> Chunk:
    found = [chunk.bounds for chunk in chunks if chunk.bounds is not None]
    bounds = (
        (min(least for least, _ in found), max(most for _, most in found)) if found else None
    )
    return Chunk(
        [page for chunk in chunks for page in chunk.pages],
        sum(chunk.size_bytes for chunk in chunks),
        sum(chunk.absent for chunk in chunks),
        bounds,
    )


def _told(column: Filed, rows: int, chunk: Chunk, at: int, stored: int) -> Struct:
    """The footer's words on a chunk whose pages begin at byte `at`."""
    of = _TYPES[column.sql_type]
    statistics = Struct().number(3, chunk.absent, I64)
    if chunk.bounds is not None:
        least, most = chunk.bounds
        statistics.binary(5, _bound(of, most)).binary(6, _bound(of, least))
    meta = (
        Struct()
        .number(1, of.physical)
        .numbers(2, [of.encoding, _RLE])
        .binaries(3, [column.name.encode()])
        .number(4, _ZSTD)
        .number(5, rows, I64)
        .number(6, chunk.size_bytes, I64)
        .number(7, stored, I64)
        .number(9, at, I64)
        .struct(12, statistics)
    )
    return Struct().number(2, at, I64).struct(3, meta)


def _bound(of: _Type, value: int) -> bytes:
    return value.to_bytes(of.bounded, "little", signed=True)


def _element(column: Filed) -> Struct:
    of = _TYPES[column.sql_type]
    element = Struct().number(1, of.physical)
    if of.physical == _FIXED:
        element.number(2, _FIXED_BYTES)
    element.number(3, _OPTIONAL).binary(4, column.name.encode())
    if of.converted is not None:
        element.number(6, of.converted)
    if column.sql_type.startswith("DECIMAL"):
        element.number(7, 0).number(8, _DECIMAL_DIGITS)
    if (logical := _LOGICAL.get(column.sql_type)) is not None:
        element.struct(10, logical)
    return element


_DECIMAL_DIGITS: Final = 22
_LOGICAL: Final[Mapping[str, Struct]] = {
    "DECIMAL(22,0)": Struct().struct(5, Struct().number(1, 0).number(2, _DECIMAL_DIGITS)),
    "TIMESTAMP": Struct().struct(
        8, Struct().truth(1, False).struct(2, Struct().struct(2, Struct()))
    ),
    "UUID": Struct().struct(14, Struct()),
}
"""What the older way cannot say: digits of money, times without a zone, UUIDs."""

_SCHEMA: Final = [
    Struct().number(3, 0).binary(4, b"rows").number(5, len(FILED)),
    *map(_element, FILED),
]

_SCHEMA_READ: Final = thrift.decoded(Struct().structs(2, _SCHEMA).encoded())[2]
