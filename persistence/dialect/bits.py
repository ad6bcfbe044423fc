"""Bit functions: every integer has the width of its type, and literals have the narrowest.

So bitShiftLeft(128, 1) is 0 and bitRotateLeft(128, 1) is 1, as in ClickHouse.
"""

from persistence.dialect import kinds
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.kinds import Kind
from persistence.dialect.made import Made, number, of


def _wide(part: Made, name: str) -> str:
    if part.kind.base != "Int":
        raise InvalidQuery(f"{name} takes whole numbers, not {part.kind.name}")
    sql = number(part, name)
    if part.kind.signed:  # two's complement, as wide as its type
        return f"(({sql})::HUGEINT & {_mask(part.kind.bits)}::HUGEINT)::UBIGINT"
    return f"({sql})::UBIGINT"


def _mask(bits: int) -> int:
    return (1 << bits) - 1


def _both(left: Made, right: Made) -> Kind:
    return Kind("Int", max(left.kind.bits, right.kind.bits))


def bit_and(left: Made, right: Made) -> Made:
    """bitAnd."""
    a, b = _wide(left, "bitAnd"), _wide(right, "bitAnd")
    return of(f"({a} & {b})", _both(left, right), left, right)


def bit_or(left: Made, right: Made) -> Made:
    """bitOr."""
    a, b = _wide(left, "bitOr"), _wide(right, "bitOr")
    return of(f"({a} | {b})", _both(left, right), left, right)


def bit_xor(left: Made, right: Made) -> Made:
    """bitXor."""
    a, b = _wide(left, "bitXor"), _wide(right, "bitXor")
    return of(f"xor({a}, {b})", _both(left, right), left, right)


def bit_not(part: Made) -> Made:
    """bitNot."""
    mask = f"{_mask(part.kind.bits)}::UBIGINT"
    return of(f"xor({_wide(part, 'bitNot')}, {mask})", Kind("Int", part.kind.bits), part)


def bit_count(part: Made) -> Made:
    """bitCount."""
    return of(f"bit_count({_wide(part, 'bitCount')})::BIGINT", kinds.UINT8, part)


def hamming(left: Made, right: Made) -> Made:
    """bitHammingDistance."""
    differing = bit_xor(left, right)
    return of(f"bit_count({differing.sql})::BIGINT", kinds.UINT8, left, right)


def shift_left(part: Made, by: Made) -> Made:
    """bitShiftLeft: what leaves the width is lost."""
    return _shifted_left(_wide(part, "bitShiftLeft"), part, by)


def _shifted_left(sql: str, part: Made, by: Made) -> Made:
    bits = part.kind.bits
    count = _wide(by, "bitShiftLeft")
    kept = f"(({sql}) & ({_mask(bits)}::UBIGINT >> {count}))"
    shifted = f"CASE WHEN {count} >= {bits} THEN 0::UBIGINT ELSE {kept} << {count} END"
    return of(f"({shifted})", Kind("Int", bits), part, by)


def shift_right(part: Made, by: Made) -> Made:
    """bitShiftRight."""
    sql, count, bits = _wide(part, "bitShiftRight"), _wide(by, "bitShiftRight"), part.kind.bits
    shifted = f"CASE WHEN {count} >= {bits} THEN 0::UBIGINT ELSE {sql} >> {count} END"
    return of(f"({shifted})", Kind("Int", bits), part, by)


def rotate_left(part: Made, by: Made) -> Made:
    """bitRotateLeft: what leaves on the left comes back on the right."""
    return _rotated(part, by, "bitRotateLeft", left=True)


def rotate_right(part: Made, by: Made) -> Made:
    """bitRotateRight."""
    return _rotated(part, by, "bitRotateRight", left=False)


def _rotated(part: Made, by: Made, name: str, *, left: bool) -> Made:
    sql, bits = _wide(part, name), part.kind.bits
    steps = f"({_wide(by, name)} % {bits})"
    up = steps if left else f"(({bits}::UBIGINT - {steps}) % {bits})"
    high = f"((({sql}) & ({_mask(bits)}::UBIGINT >> {up})) << {up})"
    low = f"CASE WHEN {up} = 0 THEN 0::UBIGINT ELSE ({sql}) >> ({bits}::UBIGINT - {up}) END"
    return of(f"({high} | ({low}))", Kind("Int", bits), part, by)


def test(part: Made, at: Made) -> Made:
    """bitTest: the bit at a place counted from 0 on the right."""
    sql, place = _wide(part, "bitTest"), _wide(at, "bitTest")
    return of(f"(({sql} >> {place}) & 1::UBIGINT)::BIGINT", kinds.UINT8, part, at)
