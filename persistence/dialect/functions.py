"""The functions of the values of one row: the allow-list, by lower-case name."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from persistence.dialect import bits, choices, kinds, made, strings, times, zones
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.kinds import Kind
from persistence.dialect.made import Made, of

_LETTERS: Final = "'ABCDEFGHIJKLMNOPQRSTUVWXYZ', 'abcdefghijklmnopqrstuvwxyz'"
_CAPITALS: Final = "'abcdefghijklmnopqrstuvwxyz', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'"

DIGITS_MAX: Final = 300
"""The most digits that round, floor and ceil may be asked for."""


class Function(NamedTuple):
    """A function of the dialect.

    make      from its arguments to the expression
    fewest, most  how many arguments it takes
    extra     of the superset alone
    """

    make: Callable[..., Made]
    fewest: int
    most: int
    extra: bool = False


# -- numbers ----------------------------------------------------------------------------------


def _of_double(name: str, pattern: str) -> Callable[..., Made]:
    def make(*parts: Made) -> Made:
        doubles = [made.double(part, name) for part in parts]
        return of(f"({pattern.format(*doubles)})", kinds.FLOAT64, *parts)

    return make


def _rounded(name: str) -> Callable[..., Made]:
    def make(what: Made, digits: Made | None = None) -> Made:
        count = 0 if digits is None else made.constant_integer(digits, "the number of digits")
        if abs(count) > DIGITS_MAX:
            raise InvalidQuery(f"{name} takes at most {DIGITS_MAX} digits")
        if what.kind.base == "Int":
            return what if count >= 0 else _rounded_integer(name, what, -count)
        sql = made.double(what, name)
        if name == "round":  # halves to even, as ClickHouse and /metrics do
            return of(f"round_even({sql}, {count})", kinds.FLOAT64, what)
        if count == 0:
            return of(f"{name}({sql})", kinds.FLOAT64, what)
        power = made.floated(10.0**count).sql
        return of(f"({name}({sql} * {power}) / {power})", kinds.FLOAT64, what)

    return make


def _rounded_integer(name: str, what: Made, zeros: int) -> Made:
    """Of an integer; `round` takes halves away from 0, as ClickHouse.

    The type is that of the integer, but one of less than 32 bits becomes one of twice as many:
    253 is a UInt8, 300 is none, and in ClickHouse that is undefined.
    """
    kind = what.kind
    if kind.bits < 32:
        kind = Kind("Int", 2 * kind.bits, signed=kind.signed)
    sql = made.integer(what, name)
    if name == "round":
        return of(f"round({sql}::BIGINT, {-zeros})", kind, what)
    power = made.floated(10.0**zeros).sql
    return of(f"({name}({sql} / {power}) * {power})::BIGINT", kind, what)


def _integer_division(left: Made, right: Made) -> Made:
    kind = kinds.INT64
    if left.kind.base == right.kind.base == "Int":
        kind = Kind("Int", left.kind.bits, signed=left.kind.signed or right.kind.signed)
    if "Float64" in {left.kind.base, right.kind.base}:
        a, b = made.double(left, "intDiv"), made.double(right, "intDiv")
        return of(f"trunc({a} / nullif({b}, 0))::BIGINT", kind, left, right)
    a, b = made.integer(left, "intDiv"), made.integer(right, "intDiv")
    divisor = b if right.value not in {None, 0} else f"nullif({b}, 0)"
    return of(f"({a} // {divisor})", kind, left, right)


def _to_integer(name: str, kind: Kind) -> Callable[[Made], Made]:
    """toUInt8 and its like: the fraction goes, and what is too large wraps around."""

    def make(what: Made) -> Made:
        if what.kind.is_time and kind.bits >= 32:
            sql = times.seconds_of(what)
            if what.kind.base == "Date":
                sql = f"({sql} // 86400)"
            return of(sql, kind, what)
        if isinstance(what.value, int) and _holds(kind, what.value):
            return of(made.number(what, name), kind, what, value=what.value)
        if what.kind.base == "Int" and _fits(what.kind, kind):
            return of(made.number(what, name), kind, what)
        return of(_wrapped(_whole(what, name, kind), kind), kind, what)

    return make


def _whole(what: Made, name: str, kind: Kind) -> str:
    """The SQL of a HUGEINT: a number, or that of a text, without its fraction."""
    if what.kind.base == "String":
        sql = f"trunc(({what.sql})::DOUBLE)::HUGEINT"
        if kind.bits < 64:
            return sql
        digits = f"regexp_full_match({what.sql}, '\\s*[-+]?[0-9]{{1,38}}\\s*')"
        return f"CASE WHEN {digits} THEN ({what.sql})::HUGEINT ELSE {sql} END"
    if what.kind.base == "Float64":  # one that is none, or is beyond all integers, is 0
        return f"CASE WHEN abs({what.sql}) < 1e38 THEN trunc({what.sql})::HUGEINT ELSE 0 END"
    return f"({made.number(what, name)})::HUGEINT"


def _wrapped(sql: str, kind: Kind) -> str:
    """As much of a HUGEINT as the type has bits for."""
    bits = f"(({sql}) & {2**kind.bits - 1}::HUGEINT)"
    if kind.signed:
        sign = 2 ** (kind.bits - 1)
        return f"((xor({bits}, {sign}::HUGEINT) - {sign}::HUGEINT)::BIGINT)"
    return f"({bits}::{'UBIGINT' if kind.bits == 64 else 'BIGINT'})"


def _holds(kind: Kind, value: int) -> bool:
    top: int = 2 ** (kind.bits - kind.signed)
    return (-top if kind.signed else 0) <= value < top


def _fits(narrow: Kind, wide: Kind) -> bool:
    """Whether every number of one type is one of another."""
    if narrow.signed == wide.signed:
        return narrow.bits <= wide.bits
    return wide.signed and narrow.bits < wide.bits


def _absolute(what: Made) -> Made:
    """abs; an integer stays one."""
    if what.kind.base != "Int":
        return of(f"abs({made.double(what, 'abs')})", kinds.FLOAT64, what)
    sql = made.number(what, "abs")
    if not what.kind.signed:
        return of(sql, what.kind, what)
    return of(f"abs(({sql})::HUGEINT)::UBIGINT", Kind("Int", what.kind.bits), what)


def _sign(what: Made) -> Made:
    return of(f"sign({made.double(what, 'sign')})::BIGINT", kinds.INT8, what)


def to_double(what: Made) -> Made:
    """toFloat64."""
    if what.kind.base == "String":
        return of(f"({what.sql})::DOUBLE", kinds.FLOAT64, what)
    return of(made.double(what, "toFloat64"), kinds.FLOAT64, what)


def _array_length(what: Made) -> Made:
    if what.kind.base == "Array":
        return of(f"len({what.sql})", kinds.UINT64, what)
    return of(f"length({made.text(what, 'length')})", kinds.UINT64, what)


def _to_datetime(what: Made, zone: Made | None = None) -> Made:
    return times.to_datetime(what, times.zone_named(zone))


def _to_date(what: Made, zone: Made | None = None) -> Made:
    return times.to_date(what, times.zone_named(zone))


def _month_number(what: Made, zone: Made | None = None) -> Made:
    shown = times.clocks(what, "toYYYYMM", times.zone_named(zone))
    return of(f"(year({shown}) * 100 + month({shown}))::BIGINT", kinds.UINT32, what)


_STRICT: Final = {
    # texts
    "length": (_array_length, 1, 1),
    "empty": (strings.empty, 1, 1),
    "lower": (strings.of_text("lower", f"translate({{0}}, {_LETTERS})", kinds.STRING), 1, 1),
    "upper": (strings.of_text("upper", f"translate({{0}}, {_CAPITALS})", kinds.STRING), 1, 1),
    "lowerUTF8": (strings.of_text("lowerUTF8", "lower({0})", kinds.STRING), 1, 1),
    "upperUTF8": (strings.of_text("upperUTF8", "upper({0})", kinds.STRING), 1, 1),
    "toLower": (strings.of_text("toLower", "lower({0})", kinds.STRING), 1, 1),
    "toUpper": (strings.of_text("toUpper", "upper({0})", kinds.STRING), 1, 1),
    "startsWith": (
        strings.of_text("startsWith", "starts_with({0}, {1})", kinds.UINT8, truth=True), 2, 2,
    ),
    "endsWith": (
        strings.of_text("endsWith", "ends_with({0}, {1})", kinds.UINT8, truth=True), 2, 2,
    ),
    "position": (lambda haystack, needle: strings.position(needle, haystack), 2, 2),
    "substring": (strings.substring, 2, 3),
    "format": (strings.formatted, 1, 100),
    "hex": (strings.in_base("hex", 2), 1, 1),
    "bin": (strings.in_base("bin", 8), 1, 1),
    # numbers
    "intDiv": (_integer_division, 2, 2),
    "log": (_of_double("log", "CASE WHEN {0} < 0 THEN NULL ELSE ln({0}) END"), 1, 1),
    "ln": (_of_double("ln", "CASE WHEN {0} < 0 THEN NULL ELSE ln({0}) END"), 1, 1),
    "pow": (_of_double("pow", "pow({0}, {1})"), 2, 2),
    "round": (_rounded("round"), 1, 2),
    "floor": (_rounded("floor"), 1, 2),
    "ceil": (_rounded("ceil"), 1, 2),
    "toUInt8": (_to_integer("toUInt8", kinds.UINT8), 1, 1),
    "toUInt32": (_to_integer("toUInt32", kinds.UINT32), 1, 1),
    "if": (choices.choose, 3, 3),
    # bits
    "bitAnd": (bits.bit_and, 2, 2),
    "bitOr": (bits.bit_or, 2, 2),
    "bitXor": (bits.bit_xor, 2, 2),
    "bitNot": (bits.bit_not, 1, 1),
    "bitCount": (bits.bit_count, 1, 1),
    "bitHammingDistance": (bits.hamming, 2, 2),
    "bitRotateLeft": (bits.rotate_left, 2, 2),
    "bitRotateRight": (bits.rotate_right, 2, 2),
    "bitShiftLeft": (bits.shift_left, 2, 2),
    "bitShiftRight": (bits.shift_right, 2, 2),
    "bitTest": (bits.test, 2, 2),
    # times
    "toDateTime": (_to_datetime, 1, 2),
    "toDate": (_to_date, 1, 2),
    "toUnixTimestamp": (times.unix_timestamp, 1, 1),
    "formatDateTime": (times.formatted, 2, 3),
    "toStartOfInterval": (times.start_of_interval, 2, 3),
    "toYear": (times.part_of("toYear", "year", kinds.UINT16), 1, 2),
    "toMonth": (times.part_of("toMonth", "month", kinds.UINT8), 1, 2),
    "toDayOfMonth": (times.part_of("toDayOfMonth", "day", kinds.UINT8), 1, 2),
    "toDayOfWeek": (times.part_of("toDayOfWeek", "isodow", kinds.UINT8), 1, 2),
    "toHour": (times.part_of("toHour", "hour", kinds.UINT8), 1, 2),
    "toMinute": (times.part_of("toMinute", "minute", kinds.UINT8), 1, 2),
    "toSecond": (times.part_of("toSecond", "second", kinds.UINT8), 1, 2),
    "toYYYYMM": (_month_number, 1, 2),
    "toStartOfYear": (times.start_of("toStartOfYear", "YEAR"), 1, 2),
    "toStartOfMonth": (times.start_of("toStartOfMonth", "MONTH"), 1, 2),
    "toStartOfWeek": (times.start_of("toStartOfWeek", "WEEK"), 1, 2),
    "toStartOfDay": (times.start_of("toStartOfDay", "DAY"), 1, 2),
    "toStartOfHour": (times.start_of("toStartOfHour", "HOUR"), 1, 2),
    "toStartOfFifteenMinutes": (times.start_of("toStartOfFifteenMinutes", "MINUTE", 15), 1, 2),
    "toStartOfTenMinutes": (times.start_of("toStartOfTenMinutes", "MINUTE", 10), 1, 2),
    "toStartOfFiveMinutes": (times.start_of("toStartOfFiveMinutes", "MINUTE", 5), 1, 2),
    "toStartOfMinute": (times.start_of("toStartOfMinute", "MINUTE"), 1, 2),
}  # fmt: skip

_EXTRA: Final = {
    "toString": (strings.to_text, 1, 1),
    "toFloat64": (to_double, 1, 1),
    "toUInt16": (_to_integer("toUInt16", kinds.UINT16), 1, 1),
    "toUInt64": (_to_integer("toUInt64", kinds.UINT64), 1, 1),
    "toInt8": (_to_integer("toInt8", kinds.INT8), 1, 1),
    "toInt16": (_to_integer("toInt16", kinds.INT16), 1, 1),
    "toInt32": (_to_integer("toInt32", kinds.INT32), 1, 1),
    "toInt64": (_to_integer("toInt64", kinds.INT64), 1, 1),
    "coalesce": (choices.first_known, 1, 100),
    "ifNull": (choices.first_known, 2, 2),
    "nullIf": (choices.null_if, 2, 2),
    "isNull": (choices.is_null(negated=False), 1, 1),
    "isNotNull": (choices.is_null(negated=True), 1, 1),
    "multiIf": (choices.multi_if, 3, 101),
    "greatest": (choices.extreme("greatest"), 1, 100),
    "least": (choices.extreme("least"), 1, 100),
    "concat": (strings.concat, 1, 100),
    "trim": (strings.of_text("trim", "trim({0})", kinds.STRING), 1, 1),
    "notEmpty": (strings.of_text("notEmpty", "({0} <> '')", kinds.UINT8, truth=True), 1, 1),
    "abs": (_absolute, 1, 1),
    "sign": (_sign, 1, 1),
    "sqrt": (_of_double("sqrt", "CASE WHEN {0} < 0 THEN NULL ELSE sqrt({0}) END"), 1, 1),
    "exp": (_of_double("exp", "exp({0})"), 1, 1),
    "log2": (_of_double("log2", "CASE WHEN {0} < 0 THEN NULL ELSE log2({0}) END"), 1, 1),
    "log10": (_of_double("log10", "CASE WHEN {0} < 0 THEN NULL ELSE log10({0}) END"), 1, 1),
    "dateDiff": (times.difference, 3, 4),
    "toStartOfSecond": (times.start_of("toStartOfSecond", "SECOND"), 1, 2),
    "toQuarter": (times.part_of("toQuarter", "quarter", kinds.UINT8), 1, 2),
    "toDayOfYear": (times.part_of("toDayOfYear", "dayofyear", kinds.UINT16), 1, 2),
    "toISOWeek": (times.part_of("toISOWeek", "weekofyear", kinds.UINT8), 1, 2),
    "toMonday": (times.start_of("toMonday", "WEEK"), 1, 2),
    **{
        f"{verb}{unit}s": (times.added(unit, back=verb == "subtract"), 2, 2)
        for verb in ("add", "subtract")
        for unit in ("Year", "Month", "Week", "Day", "Hour", "Minute", "Second")
    },
}

_STRICT_MAKERS: dict[str, Any] = _STRICT
_EXTRA_MAKERS: dict[str, Any] = _EXTRA

FUNCTIONS: Final = {
    **{name.lower(): Function(*told) for name, told in _STRICT_MAKERS.items()},
    **{
        name.lower(): Function(*told)._replace(extra=True)
        for name, told in _EXTRA_MAKERS.items()
    },
}
"""{lower-case name: what it is}; what is not here, and no aggregate, does not exist."""


def names(*, extra: bool) -> tuple[str, ...]:
    """How the functions are spelled that there are."""
    return (*_STRICT, *(_EXTRA if extra else ()), "now", "today")


EXTRACTED: Final = {
    "YEAR": "toyear",
    "MONTH": "tomonth",
    "DAY": "todayofmonth",
    "HOUR": "tohour",
    "MINUTE": "tominute",
    "SECOND": "tosecond",
}
"""extract(UNIT FROM t), by the function that does it."""

CASTS: Final = {
    "TEXT": "tostring",
    "VARCHAR": "tostring",
    "DOUBLE": "tofloat64",
    "UTINYINT": "touint8",
    "USMALLINT": "touint16",
    "UINT": "touint32",
    "UBIGINT": "touint64",
    "TINYINT": "toint8",
    "SMALLINT": "toint16",
    "INT": "toint32",
    "BIGINT": "toint64",
    "DATE": "todate",
    "DATETIME": "todatetime",
    "TIMESTAMP": "todatetime",
}
"""CAST(x AS type) and x::type, by sqlglot's name of the type and the function that does it."""

assert all(zones.is_utc(name) for name in ("UTC", "Etc/UTC"))
