"""The types of the dialect, under the names that `meta` gives them, and how they meet.

An integer knows its width, for the bit functions and for JSON, where 64-bit integers become
strings. The type that two integers give follows the rules of ClickHouse
(src/DataTypes/NumberTraits.h there).
"""

from dataclasses import dataclass
from functools import reduce
from typing import Final

from persistence.dialect.errors import InvalidQuery


@dataclass(frozen=True, slots=True)
class Kind:
    """One type.

    base    String, Float64, DateTime, Date, Array, Interval, Null, or Int for every integer
    bits    of an integer
    signed  of an integer
    zone    IANA zone in which a DateTime is shown; None is UTC, and unnamed
    item    of an Array
    """

    base: str
    bits: int = 0
    signed: bool = False
    zone: str | None = None
    item: "Kind | None" = None

    @property
    def name(self) -> str:
        """As `meta` has it."""
        match self.base:
            case "Int":
                return f"{'' if self.signed else 'U'}Int{self.bits}"
            case "DateTime" if self.zone is not None:
                return f"DateTime('{self.zone}')"
            case "Array" if self.item is not None:
                return f"Array({self.item.name})"
            case "Null":
                return "Nullable(Nothing)"
            case base:
                return base

    @property
    def is_number(self) -> bool:
        """Whether one can count with it."""
        return self.base in {"Int", "Float64", "Null"}

    @property
    def is_time(self) -> bool:
        """A DateTime or a Date."""
        return self.base in {"DateTime", "Date"}


STRING: Final = Kind("String")
FLOAT64: Final = Kind("Float64")
DATE: Final = Kind("Date")
DATETIME: Final = Kind("DateTime")
INTERVAL: Final = Kind("Interval")
NULL: Final = Kind("Null")
UINT8, UINT16, UINT32, UINT64 = (Kind("Int", bits) for bits in (8, 16, 32, 64))
INT8, INT16, INT32, INT64 = (Kind("Int", bits, signed=True) for bits in (8, 16, 32, 64))


def array(item: Kind) -> Kind:
    """An Array of items."""
    return Kind("Array", item=item)


def of_integer(value: int) -> Kind:
    """The narrowest type that holds a literal."""
    if value < 0:
        bits = next((bits for bits in (8, 16, 32, 64) if value >= -(2 ** (bits - 1))), 0)
        signed = True
    else:
        bits = next((bits for bits in (8, 16, 32, 64) if value < 2**bits), 0)
        signed = False
    if bits == 0:
        raise InvalidQuery(f"the number {value} does not fit into 64 bits")
    return Kind("Int", bits, signed=signed)


def of_arithmetic(operator: str, left: Kind, right: Kind) -> Kind:
    """What + - * % make of two numbers."""
    if left.base != "Int" or right.base != "Int":
        return FLOAT64
    if operator == "%":  # has the sign of the left side, and so one bit more than the right
        bits = min(64, 2 * right.bits) if left.signed else right.bits
        return Kind("Int", bits, signed=left.signed)
    signed = left.signed or right.signed
    wider = min(64, 2 * max(left.bits, right.bits))
    return Kind("Int", wider, signed=signed or operator == "-")


def of_negation(kind: Kind) -> Kind:
    """What a minus before an integer makes of it."""
    return kind if kind.signed else Kind("Int", min(64, 2 * kind.bits), signed=True)


def common(kinds: list[Kind], where: str) -> Kind:
    """The type that holds values of all of these."""
    return reduce(lambda left, right: _common(left, right, where), kinds)


def _common(left: Kind, right: Kind, where: str) -> Kind:
    if left == right or right.base == "Null":
        return left
    if left.base == "Null":
        return right
    if left.base == right.base == "Int":
        if left.signed == right.signed:
            return left if left.bits >= right.bits else right
        unsigned, signed = (right, left) if left.signed else (left, right)
        return Kind("Int", min(64, max(2 * unsigned.bits, signed.bits)), signed=True)
    if left.is_number and right.is_number:
        return FLOAT64
    if left.is_time and right.is_time:
        return left if left.base == "DateTime" else right
    raise InvalidQuery(f"{where}: {left.name} and {right.name} have no common type")
