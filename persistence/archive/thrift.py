"""The part of Thrift's compact protocol that Parquet's headers and footer are written in.

https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from collections.abc import Sequence
from typing import Any, Final, Self

_TRUE: Final = 1
_FALSE: Final = 2
I16: Final = 4
I32: Final = 5
I64: Final = 6
_BINARY: Final = 8
_LIST: Final = 9
_STRUCT: Final = 12

_SHORT_LIST: Final = 15
"""A list of fewer elements has their number in its first byte."""


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits a byte, the lowest first."""
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> bytes:
    """A number of either sign, of 64 bits at the most."""
    return varint(number << 1 ^ number >> 63)


class Struct:
    """Fields in ascending order of their numbers; each method adds one."""

    def __init__(self) -> None:
        self._out = bytearray()
        self._last = 0

    def encoded(self) -> bytes:
        """The whole of it."""
        return bytes(self._out) + b"\0"

    def number(self, field: int, value: int, of: int = I32) -> Self:
        """of  I16, I32 or I64"""
        return self._add(field, of, zigzag(value))

    def binary(self, field: int, value: bytes) -> Self:
        return self._add(field, _BINARY, varint(len(value)) + value)

    def truth(self, field: int, value: bool) -> Self:
        return self._add(field, _TRUE if value else _FALSE, b"")

    def struct(self, field: int, value: "Struct") -> Self:
        return self._add(field, _STRUCT, value.encoded())

    def structs(self, field: int, values: Sequence["Struct"]) -> Self:
        return self._list(field, _STRUCT, [value.encoded() for value in values])

    def numbers(self, field: int, values: Sequence[int]) -> Self:
        return self._list(field, I32, [zigzag(value) for value in values])

    def binaries(self, field: int, values: Sequence[bytes]) -> Self:
        return self._list(field, _BINARY, [varint(len(one)) + one for one in values])

    def _list(self, field: int, of: int, elements: Sequence[bytes]) -> Self:
        count = len(elements)
        if count < _SHORT_LIST:
            head = bytes([count << 4 | of])
        else:
            head = bytes([_SHORT_LIST << 4 | of]) + varint(count)
        return self._add(field, _LIST, head + b"".join(elements))

    def _add(self, field: int, of: int, value: bytes) -> Self:
        step = field - self._last
        assert 0 < step <= 15
        self._last = field
        self._out.append(step << 4 | of)
        self._out += value
        return self


def decoded(data: bytes) -> dict[int, Any]:
    """The fields of an encoded struct by their numbers; IndexError where it is cut off."""
    value, _ = _struct_at(data, 0)
    return value


def _struct_at(data: bytes, at: int) -> tuple[dict[int, Any], int]:
    fields: dict[int, Any] = {}
    field = 0
    while head := data[at]:
        field += head >> 4
        fields[field], at = _value_at(data, at + 1, head & 0xF)
    return fields, at + 1


def _value_at(data: bytes, at: int, of: int) -> tuple[Any, int]:
    """A value of this type, and where it ends."""
    if of in (_TRUE, _FALSE):
        return of == _TRUE, at
    if of == _STRUCT:
        return _struct_at(data, at)
    if of == _LIST:
        return _list_at(data, at)
    number, at = _varint_at(data, at)
    if of == _BINARY:
        return data[at : at + number], at + number
    return number >> 1 ^ -(number & 1), at


def _list_at(data: bytes, at: int) -> tuple[list[Any], int]:
    count, of = data[at] >> 4, data[at] & 0xF
    at += 1
    if count == _SHORT_LIST:
        count, at = _varint_at(data, at)
    values = []
    for _ in range(count):
        value, at = _value_at(data, at, of)
        values.append(value)
    return values, at


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
