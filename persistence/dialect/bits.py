"""Bit functions: every integer has the width of its type, and literals have the narrowest.

So bitShiftLeft(128, 1) is 0 and bitRotateLeft(128, 1) is 1, as in ClickHouse. Bits are reckoned
with in an UBIGINT, of which only those of the type are set; a negative number is there in two's
complement, and what comes out of signed numbers is signed.
"""

from persistence.dialect import kinds
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.kinds import Kind
from persistence.dialect.made import Made, number, of


def bits_of(part: Made, name: str, bits: int | None = None) -> str:
    """The SQL of its bits as an UBIGINT: those of its own type, or so many."""
    if part.kind.base != "Int":
        raise InvalidQuery(f"{name} takes whole numbers, not {part.kind.name}")
    sql = number(part, name)
    if part.kind.signed:
        mask = _mask(part.kind.bits if bits is None else bits)
        return f"(({sql})::HUGEINT & {mask}::HUGEINT)::UBIGINT"
    return f"({sql})::UBIGINT"


def _mask(bits: int) -> int:
    return (1 << bits) - 1


def _both(left: Made, right: Made, name: str) -> tuple[str, str, Kind]:
    """The bits of both, in the type that holds what they make."""
    bits = max(left.kind.bits, right.kind.bits)
    kind = Kind("Int", bits, signed=left.kind.signed or right.kind.signed)
    return bits_of(left, name, bits), bits_of(right, name, bits), kind


def _number(sql: str, kind: Kind, *parts: Made) -> Made:
    """The number that bits stand for."""
    if kind.signed:
        sign = 1 << (kind.bits - 1)
        sql = f"(xor({sql}, {sign}::UBIGINT)::HUGEINT - {sign})::BIGINT"
    return of(sql, kind, *parts)


def bit_and(left: Made, right: Made) -> Made:
    """bitAnd."""
    a, b, kind = _both(left, right, "bitAnd")
    return _number(f"({a} & {b})", kind, left, right)


def bit_or(left: Made, right: Made) -> Made:
    """bitOr."""
    a, b, kind = _both(left, right, "bitOr")
    return _number(f"({a} | {b})", kind, left, right)


def bit_xor(left: Made, right: Made) -> Made:
    """bitXor."""
    a, b, kind = _both(left, right, "bitXor")
    return _number(f"xor({a}, {b})", kind, left, right)


def bit_not(part: Made) -> Made:
    """bitNot."""
    mask = f"{_mask(part.kind.bits)}::UBIGINT"
    return _number(f"xor({bits_of(part, 'bitNot')}, {mask})", part.kind, part)


def bit_count(part: Made) -> Made:
    """bitCount."""
    return of(f"bit_count({bits_of(part, 'bitCount')})::BIGINT", kinds.UINT8, part)


def hamming(left: Made, right: Made) -> Made:
    """bitHammingDistance, of 64 bits: a negative number has ones before it."""
    a, b = (bits_of(part, "bitHammingDistance", 64) for part in (left, right))
    return of(f"bit_count(xor({a}, {b}))::BIGINT", kinds.UINT8, left, right)


def shift_left(part: Made, by: Made) -> Made:
    """bitShiftLeft: what leaves the width is lost."""
    sql, count, kind = _both(part, by, "bitShiftLeft")
    kept = f"(({sql}) & ({_mask(kind.bits)}::UBIGINT >> {count}))"
    shifted = f"CASE WHEN {count} >= {kind.bits} THEN {kept} ELSE {kept} << {count} END"
    return _number(f"({shifted})", kind, part, by)


def shift_right(part: Made, by: Made) -> Made:
    """bitShiftRight; a negative number stays one."""
    _, count, kind = _both(part, by, "bitShiftRight")
    sql = bits_of(part, "bitShiftRight")
    if part.kind.signed:  # the database fills up with the sign
        sql, count = f"({number(part, 'bitShiftRight')})::BIGINT", f"{count}::BIGINT"
    shifted = f"(CASE WHEN {count} >= {kind.bits} THEN {sql} & 0 ELSE {sql} >> {count} END)"
    if part.kind.signed:
        return of(shifted, kind, part, by)
    return _number(shifted, kind, part, by)


def rotate_left(part: Made, by: Made) -> Made:
    """bitRotateLeft: what leaves on the left comes back on the right."""
    return _rotated(part, by, "bitRotateLeft", left=True)


def rotate_right(part: Made, by: Made) -> Made:
    """bitRotateRight."""
    return _rotated(part, by, "bitRotateRight", left=False)


def _rotated(part: Made, by: Made, name: str, *, left: bool) -> Made:
    sql, count, kind = _both(part, by, name)
    bits = kind.bits
    steps = f"({count} % {bits})"
    up = steps if left else f"(({bits}::UBIGINT - {steps}) % {bits})"
    high = f"((({sql}) & ({_mask(bits)}::UBIGINT >> {up})) << {up})"
    low = f"CASE WHEN {up} = 0 THEN 0::UBIGINT ELSE ({sql}) >> ({bits}::UBIGINT - {up}) END"
    return _number(f"({high} | ({low}))", kind, part, by)


def test(part: Made, at: Made) -> Made:
    """bitTest: the bit at a place counted from 0 on the right."""
    sql, place = bits_of(part, "bitTest"), bits_of(at, "bitTest")
    return of(f"(({sql} >> {place}) & 1::UBIGINT)::BIGINT", kinds.UINT8, part, at)
