"""From events to Arrow arrays, a column at a time; DuckDB reads them where they lie.

Events are let go of as soon as they are arrays: kept until a part is written they would take a
kilobyte each, and as long again, in memory that is new to the process (docs/decisions/0012).
nanoarrow is at home here; it needs no pyarrow.
"""

import re
from binascii import unhexlify
from collections.abc import Sequence
from typing import Any, Final

import nanoarrow as na
import numpy as np
from nanoarrow.c_array_stream import CArrayStream
from numpy.typing import NDArray

from engine.events import Event
from persistence.archive.columns import IDS, UUID, UUID_PATTERN, Stored, uuid_of
from persistence.archive.rows import KINDS, MONEY, Kind, Taken, money_of

Array = Any
"""nanoarrow has no types."""

Known = NDArray[np.bool_] | None
"""Which of some values are there; None: all."""

CHUNK_EVENTS: Final = 4_096
"""Events of one type that become arrays at once: so many that an array costs each of them
little, and so few that the processor's cache still has most of them."""

MADE: Final = (
    ("seq", na.int64()),
    ("received_ms", na.int64()),
    ("at_ms", na.int64()),
    ("_sample_interval", na.int64()),
)
"""What every row has beside the fields of its event."""

_TYPES: Final = {
    "VARCHAR": na.string(),
    "DOUBLE": na.float64(),
    "BOOLEAN": na.bool_(),
    "INTEGER": na.int64(),
    "BIGINT": na.int64(),
    "DECIMAL(22,0)": na.decimal128(22, 0),
    UUID: na.extension_type(na.fixed_size_binary(16), "arrow.uuid"),
}
_NIL: Final = "00000000-0000-0000-0000-000000000000"
_DASHES: Final = (8, 13, 18, 23)
_DASH: Final = ord("-")
_DIGITS: Final = len(_NIL) - len(_DASHES)
_SMALL: Final = 0x2020202020202020
"""Bits that digits and small letters have, and capitals have not."""

_UUID: Final = re.compile(UUID_PATTERN).fullmatch


class Stream:
    """Rows of one type of event, to be read as often as one likes."""

    def __init__(self, schema: Array, chunks: Sequence[Array]) -> None:
        self._schema = schema
        self._chunks = chunks

    def __arrow_c_schema__(self) -> object:
        return self._schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        stream = CArrayStream.from_c_arrays(list(self._chunks), self._schema, validate=False)
        return stream.__arrow_c_stream__(requested_schema)


class Gathering:
    """Rows that wait to be written, by type of event."""

    def __init__(self) -> None:
        self._waiting = {event_type: _Waiting(event_type) for event_type in KINDS}

    def add(self, taken: Taken) -> None:
        """Take rows; the more there are at once the less each costs."""
        numbers = np.stack((taken.seqs, taken.received_ms, taken.times_ms, taken.weights))
        types = np.fromiter(map(_NUMBERS.__getitem__, map(type, taken.events)), np.uint8)
        for number, waiting in enumerate(self._waiting.values()):
            places = np.flatnonzero(types == number)
            if len(places):
                events = [taken.events[place] for place in places.tolist()]
                waiting.add(events, numbers.take(places, axis=1))

    def take(self) -> dict[type[Event], Stream]:
        """All rows that were added, which are forgotten."""
        streams = {kind: waiting.take() for kind, waiting in self._waiting.items()}
        return {kind: stream for kind, stream in streams.items() if stream is not None}


_NUMBERS: Final = {event_type: number for number, event_type in enumerate(KINDS)}


class _Waiting:
    """Events of one type until they are arrays, and then these."""

    def __init__(self, event_type: type[Event]) -> None:
        self._kind = KINDS[event_type]
        self._schema = SCHEMAS[event_type]
        self._events: list[Event] = []
        self._numbers: list[NDArray[np.int64]] = []
        self._chunks: list[Array] = []

    def add(self, events: Sequence[Event], numbers: NDArray[np.int64]) -> None:
        self._events += events
        self._numbers.append(numbers)
        if len(self._events) >= CHUNK_EVENTS:
            self._make()

    def take(self) -> Stream | None:
        if self._events:
            self._make()
        if not self._chunks:
            return None
        stream = Stream(self._schema, self._chunks)
        self._chunks = []
        return stream

    def _make(self) -> None:
        numbers = np.concatenate(self._numbers, axis=1)
        self._chunks.append(_chunk(self._kind, self._schema, self._events, numbers))
        self._events, self._numbers = [], []


def _schema(kind: Kind) -> Array:
    fields: dict[str, Array] = dict(MADE)
    for column in kind.columns:
        fields[column.name] = _TYPES[column.sql_type]
        if column.name in IDS:
            fields[uuid_of(column.name)] = _TYPES[UUID]
    if kind.has_money:
        fields |= dict.fromkeys(MONEY, _TYPES["DECIMAL(22,0)"])
    return na.c_schema(na.struct(fields))


SCHEMAS: Final = {event_type: _schema(kind) for event_type, kind in KINDS.items()}
"""The columns that `Gathering` makes of each type."""


def _chunk(
    kind: Kind, schema: Array, events: Sequence[Event], numbers: NDArray[np.int64]
) -> Array:
    """Events of one type as one array of structs; a row of `numbers` for each of MADE."""
    count = len(events)
    children = [
        _array(of, count, None, column) for (_, of), column in zip(MADE, numbers, strict=True)
    ]
    # All fields of an event at once: a pass for each would wait for memory each time.
    values = zip(*map(kind.fields, events), strict=True)
    for column, of_column in zip(kind.columns, values, strict=True):
        children += _arrays(column, of_column)
    if kind.has_money:
        children += map(_decimals, zip(*map(money_of, events), strict=True))
    return na.c_array_from_buffers(
        schema, count, [None], null_count=0, children=children, validation_level="none"
    )


def _arrays(column: Stored, values: Sequence[Any]) -> list[Array]:
    """The arrays of one field: two for an id, else one."""
    known = _known(values)
    if known is not None and not known.any():
        names = [column.sql_type, UUID] if column.name in IDS else [column.sql_type]
        return [_nothing(name, len(values)) for name in names]
    if column.name in IDS:
        return _ids(values, known)
    if column.sql_type == "VARCHAR":
        return [_texts(values, known)]
    full = values if known is None else [0 if value is None else value for value in values]
    if column.sql_type == "BOOLEAN":
        data = np.packbits(np.array(full, np.bool_), bitorder="little")
    else:
        data = np.array(full, np.float64 if column.sql_type == "DOUBLE" else np.int64)
    return [_array(_TYPES[column.sql_type], len(values), known, data)]


def _texts(values: Sequence[str | None], known: Known) -> Array:
    texts: Any = values if known is None else [value or "" for value in values]
    joined = "".join(texts)
    data = joined.encode()
    is_ascii = len(data) == len(joined)
    lengths = map(len, texts if is_ascii else map(str.encode, texts))
    ends = np.zeros(len(values) + 1, np.int32)
    np.cumsum(np.fromiter(lengths, np.int32, len(values)), out=ends[1:])
    return _array(_TYPES["VARCHAR"], len(values), known, ends, data)


def _ids(values: Sequence[str | None], known: Known) -> list[Array]:
    """The ids that are no UUIDs as texts, and those that are."""
    count = len(values)
    full: Any = values if known is None else [value or _NIL for value in values]
    whole = _bytes_of(full)
    if whole is not None:
        return [_nothing("VARCHAR", count), _array(_TYPES[UUID], count, known, whole)]
    are = [value is not None and _UUID(value) is not None for value in values]
    if not any(are):
        return [_texts(values, known), _nothing(UUID, count)]
    pairs = list(zip(values, are, strict=True))
    texts = [None if is_uuid else value for value, is_uuid in pairs]
    whole = _bytes_of([value if value and is_uuid else _NIL for value, is_uuid in pairs])
    assert whole is not None
    uuids = _array(_TYPES[UUID], count, np.array(are), whole)
    return [_texts(texts, _known(texts)), uuids]


def _bytes_of(texts: Sequence[str]) -> bytes | None:
    """The bytes of these UUIDs one after the other; None where any is not of UUID_PATTERN."""
    if set(map(len, texts)) != {len(_NIL)}:
        return None
    told = "".join(texts).encode()
    digits = told.translate(None, b"-")
    if len(told) != len(texts) * len(_NIL) or len(digits) != len(texts) * _DIGITS:
        return None
    table = np.frombuffer(told, np.uint8).reshape(-1, len(_NIL))
    if any((table[:, at] != _DASH).any() for at in _DASHES):
        return None
    if np.bitwise_and.reduce(np.frombuffer(digits, np.uint64)) & _SMALL != _SMALL:
        return None
    try:
        return unhexlify(digits)
    except ValueError:
        return None


def _decimals(values: Sequence[int | None]) -> Array:
    data = b"".join((value or 0).to_bytes(16, "little", signed=True) for value in values)
    return _array(_TYPES["DECIMAL(22,0)"], len(values), _known(values), data)


def _known(values: Sequence[object]) -> Known:
    if None not in values:
        return None
    return np.array([value is not None for value in values])


def _nothing(sql_type: str, count: int) -> Array:
    """Nulls."""
    known = np.zeros(count, np.bool_)
    if sql_type == "VARCHAR":
        return _array(_TYPES[sql_type], count, known, np.zeros(count + 1, np.int32), b"")
    return _array(_TYPES[sql_type], count, known, np.zeros(16 * count, np.uint8))


def _array(of: Array, count: int, known: Known, *data: object) -> Array:
    bits = None if known is None else np.packbits(known, bitorder="little")
    nulls = 0 if known is None else count - int(np.count_nonzero(known))
    return na.c_array_from_buffers(
        of, count, [bits, *data], null_count=nulls, validation_level="none"
    )
