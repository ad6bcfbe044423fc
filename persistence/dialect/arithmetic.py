"""Literals of numbers, and + - * / % of two values, times among them."""

from contextlib import suppress
from math import isfinite
from typing import Final

from persistence.dialect import kinds, made, times
from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.made import Made, of

INTEGER_DIGITS_MAX: Final = 20
"""What has more is a double."""


def number(value: str) -> Made:
    """A literal as it was written, without a sign. Raises InvalidQuery."""
    found = _known(value)
    return made.counted(found) if isinstance(found, int) else made.floated(found)


def negated(value: str) -> Made:
    """The same with a minus before it."""
    found = _known(value)
    return made.counted(-found) if isinstance(found, int) else made.floated(-found)


def of_text(value: str) -> Made:
    """The number that a text holds. Raises InvalidQuery."""
    return negated(value[1:]) if _is_whole(value[1:]) and value[0] == "-" else number(value)


def _known(value: str) -> int | float:
    if _is_whole(value) and len(value) <= INTEGER_DIGITS_MAX:
        return int(value)
    with suppress(ValueError):
        if isfinite(found := float(value)):
            return found
    raise InvalidQuery(f'"{short(value)}" is not a number')


def _is_whole(value: str) -> bool:
    return value.isascii() and value.isdigit()  # '²' is a digit, and no number to int()


def calculated(operator: str, left: Made, right: Made) -> Made:
    """Two values and one of + - * / %. Raises InvalidQuery where that has no meaning."""
    if right.kind.base == "Interval" and operator in "+-":
        return times.shifted(left, right, back=operator == "-")
    if left.kind.base == "Interval" and operator == "+":
        return times.shifted(right, left, back=False)
    if left.kind.is_time or right.kind.is_time:
        return _with_time(operator, left, right)
    if operator == "/":
        a, b = made.double(left, "/"), made.double(right, "/")
        return of(f"({a} / {b})", kinds.FLOAT64, left, right)
    kind = kinds.of_arithmetic(operator, left.kind, right.kind)
    convert = made.double if kind.base == "Float64" else made.integer
    a, b = convert(left, operator), convert(right, operator)
    if operator == "%" and kind.base == "Int" and right.value in {None, 0}:
        b = f"nullif({b}, 0)"
    if kind.base == "Int" and _is_of_64_bits(left.value) and right.value is not None:
        a = f"{a}::BIGINT"  # DuckDB reckons two small literals in 32 bits
    return of(f"({a} {operator} {b})", kind, left, right)


def _is_of_64_bits(value: object) -> bool:
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _with_time(operator: str, left: Made, right: Made) -> Made:
    if left.kind.is_time and right.kind.is_time and operator == "-":
        first, last = times.seconds_of(left), times.seconds_of(right)
        if left.kind.base == right.kind.base == "Date":
            return of(f"({left.sql} - {right.sql})::BIGINT", kinds.INT32, left, right)
        return of(f"({first} - {last})", kinds.INT32, left, right)
    if left.kind.is_time and right.kind.base == "Int" and operator in "+-":
        unit = "DAY" if left.kind.base == "Date" else "SECOND"
        if isinstance(right.value, int):
            return times.shifted(left, times.span(str(right.value), unit), back=operator == "-")
    raise InvalidQuery(f"{left.kind.name} {operator} {right.kind.name} has no meaning")
