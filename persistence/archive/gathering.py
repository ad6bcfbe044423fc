"""From events to columns as a Parquet file holds them, a few thousand events at a time.

Events are freed as soon as they are columns: kept until a part is written they would take a
kilobyte each, in memory that is new to the process (docs/decisions/0016).
"""

import re
from binascii import unhexlify
from collections.abc import Callable, Mapping, Sequence
from itertools import repeat
from operator import is_not
from typing import Any, Final, NamedTuple

import numpy as np
from msgspec.structs import astuple
from numpy.typing import NDArray

from engine.events import Event
from persistence.archive.columns import FILED, IDS, UUID_PATTERN, uuid_of
from persistence.archive.encoding import Integers, Texts, Truths, texts_of
from persistence.archive.rows import KINDS, MONEY, OWNERS, SENDERS, Kind, Taken, money_of

_UUID_CHARS: Final = 36
_DIGITS: Final = 32
_DASHES: Final = (8, 13, 18, 23)
_DASH: Final = ord("-")
_NEWLINE: Final = ord("\n")
_SMALL: Final = 0x2020202020202020
"""Bits that digits and small letters have, and capitals have not."""

_DECIMAL_BYTES: Final = 16

_is_uuid: Final = re.compile(UUID_PATTERN).fullmatch

Values = Texts | NDArray[Any] | bytes
"""Texts; numbers or truths; or what has a fixed size, one after the other."""


class Column:
    """A column of the rows that wait.

    pieces  from which row on, of each row whether it has a value, and these values; rows that
            no piece tells of have none
    """

    __slots__ = ("pieces",)

    def __init__(self) -> None:
        self.pieces: list[tuple[int, Truths, Any]] = []

    def known(self, rows: int) -> Truths:
        """Of each row whether it has a value."""
        known = np.zeros(rows, np.bool_)
        for start, piece, _ in self.pieces:
            known[start : start + len(piece)] = piece
        return known

    @property
    def values(self) -> list[Any]:
        return [values for _, _, values in self.pieces]


class Gathered(NamedTuple):
    """So many rows, by the names of FILED."""

    rows: int
    columns: Mapping[str, Column]


class Gathering:
    """Rows that wait to be written, in the order of their types wherever they were added."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._rows = 0
        self._columns = {column.name: Column() for column in FILED}

    def add(self, taken: Taken) -> None:
        """Take rows; the more there are at once the less each costs."""
        if not taken.events:
            return
        numbers = np.stack((taken.seqs, taken.received_ms, taken.times_ms, taken.weights))
        types = bytes(map(_NUMBERS.__getitem__, map(type, taken.events)))
        order = np.argsort(np.frombuffer(types, np.uint8), kind="stable")
        numbers = numbers.take(order, axis=1)
        places = order.tolist()
        start = 0
        for number, event_type in enumerate(KINDS):
            end = start + types.count(number)
            if end > start:
                events = list(map(taken.events.__getitem__, places[start:end]))
                found = _pieces(event_type, events, numbers[:, start:end])
                for name, piece in found.items():
                    if piece is not None:
                        self._columns[name].pieces.append((self._rows + start, *piece))
            start = end
        self._rows += start

    def take(self) -> Gathered:
        """All rows that were added, which are forgotten."""
        gathered = Gathered(self._rows, self._columns)
        self._begin()
        return gathered


_NUMBERS: Final = {event_type: number for number, event_type in enumerate(KINDS)}


_Piece = tuple[Truths, Values] | None
"""Which rows have a value, and the values; None where no row has one."""


def _pieces(
    event_type: type[Event], events: Sequence[Event], numbers: Integers
) -> dict[str, _Piece]:
    """Events of one type, by the names of FILED.

    numbers  a row each for seq, received_ms, at_ms, weight
    """
    kind = KINDS[event_type]
    # All fields of an event at once: a pass for each would wait for memory each time.
    names = event_type.__struct_fields__
    fields = dict(zip(names, zip(*map(astuple, events), strict=True), strict=True))
    whole = np.ones(len(events), np.bool_)
    found = _made(kind, fields, numbers, whole)
    for column in kind.columns:
        if column.name in IDS:
            found |= _ids(column.name, fields[str(column.field)], whole)
        else:
            made = _MAKERS[column.sql_type]
            found[column.name] = _some(fields[str(column.field)], whole, made)
    if kind.has_money:
        money = zip(*map(money_of, events), strict=True)
        for name, amounts in zip(MONEY, money, strict=True):
            found[name] = _some(amounts, whole, _decimals)
    return found


def _made(
    kind: Kind, fields: Mapping[str, Sequence[Any]], numbers: Integers, whole: Truths
) -> dict[str, _Piece]:
    seqs, received_ms, at_ms, weights = numbers
    count = len(whole)
    tag = kind.tag.encode()
    named = next((fields[name] for name in OWNERS if name in fields), None)
    nothing = Texts(np.zeros(count, np.int64), b"")
    blob2 = nothing if named is None else texts_of(named)
    if named is None:
        senders = zip(*(fields.get(name, repeat("")) for name in SENDERS), strict=False)
        index1 = texts_of([user or session or other for user, session, other in senders])
    else:
        index1 = blob2
    made: dict[str, Values] = {
        "index1": index1,
        "timestamp": at_ms // 1000 * 1_000_000,
        "timestampMillis": at_ms % 1000,
        "_sample_interval": weights,
        "seq": seqs,
        "receivedAt": received_ms * 1000,
        "eventType": Texts(np.full(count, len(tag)), tag * count),
        "blob2": blob2,
    }
    return {name: (whole, values) for name, values in made.items()}


def _some(
    values: Sequence[Any], whole: Truths, made: Callable[[Sequence[Any]], Values]
) -> _Piece:
    """The values that are there."""
    if None not in values:
        return whole, made(values)
    there = [value for value in values if value is not None]
    if not there:
        return None
    return _known(values), made(there)


def _known(values: Sequence[object]) -> Truths:
    return np.frombuffer(bytes(map(is_not, values, repeat(None))), np.bool_)


def _ids(name: str, values: Sequence[str | None], whole: Truths) -> dict[str, _Piece]:
    """The ids that are no UUIDs as texts, and those that are."""
    uuid = uuid_of(name)
    ids = list(filter(None, values))  # none is empty
    if not ids:
        return {name: None, uuid: None}
    known = whole if len(ids) == len(values) else _known(values)
    data = _bytes_of(ids)
    if data is not None:
        return {name: None, uuid: (known, data)}
    texts = texts_of(ids)
    only_texts: dict[str, _Piece] = {name: (known, texts), uuid: None}
    if not (texts.lengths == _UUID_CHARS).any():  # to look at each would be dear
        return only_texts
    are = [_is_uuid(one) is not None for one in ids]
    if not any(are):
        return only_texts
    uuids = [one for one, is_uuid in zip(ids, are, strict=True) if is_uuid]
    others = [one for one, is_uuid in zip(ids, are, strict=True) if not is_uuid]
    has_uuid = np.zeros(len(values), np.bool_)
    has_uuid[np.flatnonzero(known)[are]] = True
    data = _bytes_of(uuids)
    assert data is not None
    return {name: (known & ~has_uuid, texts_of(others)), uuid: (has_uuid, data)}


def _bytes_of(texts: Sequence[str]) -> bytes | None:
    """The bytes of these UUIDs one after the other; None where any is not of UUID_PATTERN."""
    if len(texts[0]) != _UUID_CHARS:  # all would be joined for nothing
        return None
    told = ("\n".join(texts) + "\n").encode()
    length = _UUID_CHARS + 1
    if len(told) != len(texts) * length:
        return None
    # Where each line end is in its place, and no other byte is one, each text is as long.
    table = np.frombuffer(told, np.uint8).reshape(-1, length)
    if any((table[:, at] != _DASH).any() for at in _DASHES):
        return None
    if (table[:, _UUID_CHARS] != _NEWLINE).any():
        return None
    digits = told.translate(None, b"-\n")
    if len(digits) != len(texts) * _DIGITS:
        return None
    if np.bitwise_and.reduce(np.frombuffer(digits, np.uint64)) & _SMALL != _SMALL:
        return None
    try:
        return unhexlify(digits)
    except ValueError:
        return None


def _decimals(values: Sequence[int]) -> bytes:
    return b"".join(value.to_bytes(_DECIMAL_BYTES, "big", signed=True) for value in values)


def _numbers(values: Sequence[int]) -> Integers:
    return np.array(values, np.int64)


_MAKERS: Final[Mapping[str, Callable[[Sequence[Any]], Values]]] = {
    "VARCHAR": texts_of,
    "DOUBLE": lambda values: np.array(values, np.float64),
    "BOOLEAN": lambda values: np.frombuffer(bytes(values), np.bool_),
    "INTEGER": _numbers,
    "BIGINT": _numbers,
}
"""By the type of a column, what makes values of it."""
