"""The functions of the values of one row: the allow-list, by lower-case name."""

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from persistence.archive.columns import literal
from persistence.dialect import bits, kinds, made, times, zones
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


# -- texts ------------------------------------------------------------------------------------


def _of_text(
    name: str, pattern: str, kind: Kind, *, truth: bool = False
) -> Callable[..., Made]:
    """A function of texts alone, as a pattern of SQL with {0}, {1}."""

    def make(*parts: Made) -> Made:
        texts = [made.text(part, name) for part in parts]
        return of(pattern.format(*texts), kind, *parts, truth=truth)

    return make


def position(needle: Made, haystack: Made) -> Made:
    """position(needle IN haystack): from 1, 0 where it is not."""
    sql = f"strpos({made.text(haystack, 'position')}, {made.text(needle, 'position')})"
    return of(sql, kinds.UINT64, needle, haystack)


def _substring(what: Made, first: Made, length: Made | None = None) -> Made:
    parts = [what, first] if length is None else [what, first, length]
    arguments = [made.text(what, "substring"), made.integer(first, "substring")]
    if length is not None:
        arguments.append(f"greatest({made.integer(length, 'substring')}, 0)")
    return of(f"substring({', '.join(arguments)})", kinds.STRING, *parts)


def _empty(what: Made) -> Made:
    return of(f"({made.text(what, 'empty')} = '')", kinds.UINT8, what, truth=True)


def _format(pattern: Made, *parts: Made) -> Made:
    """format('{} {1}', ...): no width and no filling, so nothing can grow in it."""
    told = made.constant_text(pattern, "the pattern of format")
    pieces: list[str] = []
    plain, at, following = "", 0, 0
    while at < len(told):
        letter = told[at]
        if told[at : at + 2] in {"{{", "}}"}:
            plain += letter
            at += 2
        elif letter == "{":
            end = told.find("}", at)
            inner = told[at + 1 : end] if end > 0 else "?"
            if not (inner == "" or (inner.isascii() and inner.isdigit() and len(inner) < 4)):
                raise InvalidQuery("format takes {} and {0} alone")
            index = int(inner) if inner else following
            following += inner == ""
            if index >= len(parts):
                raise InvalidQuery("format has more places than arguments")
            pieces += [literal(plain), to_text(parts[index]).sql]
            plain, at = "", end + 1
        else:
            plain += letter
            at += 1
    pieces.append(made.texted(plain).sql)
    return of(f"({' || '.join(pieces)})", kinds.STRING, *parts)


def to_text(part: Made) -> Made:
    """Any value as the text that an answer shows."""
    match part.kind.base:
        case "String":
            return part
        case "DateTime" | "Date":
            return of(times.shown_text(part.sql, part.kind), kinds.STRING, part)
        case "Int":
            return of(f"({made.number(part, 'toString')})::VARCHAR", kinds.STRING, part)
        case "Float64":
            whole = f"({part.sql} = trunc({part.sql}) AND abs({part.sql}) < 1e15)"
            shown = (
                f"CASE WHEN {whole} THEN ({part.sql})::BIGINT::VARCHAR "
                f"ELSE ({part.sql})::VARCHAR END"
            )
            return of(shown, kinds.STRING, part)
        case base:
            raise InvalidQuery(f"{base} cannot become a text")


def _concat(*parts: Made) -> Made:
    return of(f"({' || '.join(to_text(part).sql for part in parts)})", kinds.STRING, *parts)


def _in_base(name: str, digits: int) -> Callable[[Made], Made]:
    """hex and bin: of a text each byte, of a whole number whole bytes."""

    def make(what: Made) -> Made:
        if what.kind.base == "String":
            return of(f"{name}({what.sql})", kinds.STRING, what)
        if what.kind.base != "Int":
            raise InvalidQuery(f"{name} takes texts and whole numbers, not {what.kind.name}")
        told = f"{name}(({made.number(what, name)})::UBIGINT)"
        wide = f"(((length({told}) + {digits - 1}) // {digits}) * {digits})::INTEGER"
        return of(f"lpad({told}, {wide}, '0')", kinds.STRING, what)

    return make


# -- numbers ----------------------------------------------------------------------------------


def _of_double(name: str, pattern: str) -> Callable[..., Made]:
    def make(*parts: Made) -> Made:
        doubles = [made.double(part, name) for part in parts]
        return of(f"({pattern.format(*doubles)})", kinds.FLOAT64, *parts)

    return make


def _rounded(name: str) -> Callable[..., Made]:
    def make(what: Made, digits: Made | None = None) -> Made:
        if what.kind.base == "Int":
            return what
        sql = made.double(what, name)
        count = 0 if digits is None else made.constant_integer(digits, "the number of digits")
        if abs(count) > DIGITS_MAX:
            raise InvalidQuery(f"{name} takes at most {DIGITS_MAX} digits")
        if name == "round":
            return of(f"round({sql}, {count})", kinds.FLOAT64, what)
        if count == 0:
            return of(f"{name}({sql})", kinds.FLOAT64, what)
        power = made.floated(10.0**count).sql
        return of(f"({name}({sql} * {power}) / {power})", kinds.FLOAT64, what)

    return make


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
        if what.kind.base == "String":
            sql = f"trunc(({what.sql})::DOUBLE)::HUGEINT"
        elif what.kind.base == "Float64":
            sql = f"CASE WHEN isfinite({what.sql}) THEN trunc({what.sql})::HUGEINT ELSE 0 END"
        elif isinstance(what.value, int) and 0 <= what.value < 2**kind.bits:
            return of(what.sql, kind, what, value=what.value)
        elif what.kind.base == "Int" and not kind.signed and _fits(what.kind, kind):
            return of(made.number(what, name), kind, what)
        else:
            sql = f"({made.number(what, name)})::HUGEINT"
        if kind.signed or kind.bits == 64:
            return of(f"({sql})::BIGINT", kind, what)
        return of(f"((({sql}) & {2**kind.bits - 1}::HUGEINT)::BIGINT)", kind, what)

    return make


def _fits(narrow: Kind, wide: Kind) -> bool:
    return not narrow.signed and narrow.bits <= wide.bits


def to_double(what: Made) -> Made:
    """toFloat64."""
    if what.kind.base == "String":
        return of(f"({what.sql})::DOUBLE", kinds.FLOAT64, what)
    return of(made.double(what, "toFloat64"), kinds.FLOAT64, what)


# -- choice -----------------------------------------------------------------------------------


def choose(condition: Made, then: Made, otherwise: Made) -> Made:
    """if(condition, then, otherwise)."""
    return chosen([(condition, then)], otherwise, "if")


def chosen(cases: list[tuple[Made, Made]], otherwise: Made | None, where: str) -> Made:
    """The first value whose condition holds; NULL where there is no other."""
    values = [value for _, value in cases] + ([] if otherwise is None else [otherwise])
    kind = kinds.common([value.kind for value in values], where)
    truth = all(value.truth for value in values)
    parts = [part for case in cases for part in case] + values
    sql = "CASE"
    for condition, value in cases:
        shown = value if truth else made.as_kind(value, kind, where)
        sql += f" WHEN {made.condition(condition, where)} THEN {shown.sql}"
    if otherwise is not None:
        sql += f" ELSE {(otherwise if truth else made.as_kind(otherwise, kind, where)).sql}"
    return of(f"({sql} END)", kind, *parts, truth=truth)


def _first_known(*parts: Made) -> Made:
    kind = kinds.common([part.kind for part in parts], "coalesce")
    values = ", ".join(made.as_kind(part, kind, "coalesce").sql for part in parts)
    return of(f"coalesce({values})", kind, *parts)


def _extreme(name: str) -> Callable[..., Made]:
    def make(*parts: Made) -> Made:
        kind = kinds.common([part.kind for part in parts], name)
        values = ", ".join(made.as_kind(part, kind, name).sql for part in parts)
        return of(f"{name}({values})", kind, *parts)

    return make


def _multi_if(*parts: Made) -> Made:
    if len(parts) % 2 == 0:
        raise InvalidQuery("multiIf takes pairs of condition and value, and one value more")
    pairs = [(parts[at], parts[at + 1]) for at in range(0, len(parts) - 1, 2)]
    return chosen(pairs, parts[-1], "multiIf")


def _null_if(left: Made, right: Made) -> Made:
    kind = kinds.common([left.kind, right.kind], "nullIf")
    a, b = (made.as_kind(part, kind, "nullIf").sql for part in (left, right))
    return of(f"nullif({a}, {b})", kind, left, right)


def _is_null(*, negated: bool) -> Callable[[Made], Made]:
    def make(what: Made) -> Made:
        test = "IS NOT NULL" if negated else "IS NULL"
        return of(f"(({what.sql}) {test})", kinds.UINT8, what, truth=True)

    return make


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
    "empty": (_empty, 1, 1),
    "lower": (_of_text("lower", f"translate({{0}}, {_LETTERS})", kinds.STRING), 1, 1),
    "upper": (_of_text("upper", f"translate({{0}}, {_CAPITALS})", kinds.STRING), 1, 1),
    "lowerUTF8": (_of_text("lowerUTF8", "lower({0})", kinds.STRING), 1, 1),
    "upperUTF8": (_of_text("upperUTF8", "upper({0})", kinds.STRING), 1, 1),
    "toLower": (_of_text("toLower", "lower({0})", kinds.STRING), 1, 1),
    "toUpper": (_of_text("toUpper", "upper({0})", kinds.STRING), 1, 1),
    "startsWith": (
        _of_text("startsWith", "starts_with({0}, {1})", kinds.UINT8, truth=True), 2, 2,
    ),
    "endsWith": (_of_text("endsWith", "ends_with({0}, {1})", kinds.UINT8, truth=True), 2, 2),
    "position": (lambda haystack, needle: position(needle, haystack), 2, 2),
    "substring": (_substring, 2, 3),
    "format": (_format, 1, 100),
    "hex": (_in_base("hex", 2), 1, 1),
    "bin": (_in_base("bin", 8), 1, 1),
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
    "if": (choose, 3, 3),
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
    "toString": (to_text, 1, 1),
    "toFloat64": (to_double, 1, 1),
    "toUInt16": (_to_integer("toUInt16", kinds.UINT16), 1, 1),
    "toUInt64": (_to_integer("toUInt64", kinds.UINT64), 1, 1),
    "toInt8": (_to_integer("toInt8", kinds.INT8), 1, 1),
    "toInt16": (_to_integer("toInt16", kinds.INT16), 1, 1),
    "toInt32": (_to_integer("toInt32", kinds.INT32), 1, 1),
    "toInt64": (_to_integer("toInt64", kinds.INT64), 1, 1),
    "coalesce": (_first_known, 1, 100),
    "ifNull": (_first_known, 2, 2),
    "nullIf": (_null_if, 2, 2),
    "isNull": (_is_null(negated=False), 1, 1),
    "isNotNull": (_is_null(negated=True), 1, 1),
    "multiIf": (_multi_if, 3, 101),
    "greatest": (_extreme("greatest"), 1, 100),
    "least": (_extreme("least"), 1, 100),
    "concat": (_concat, 1, 100),
    "trim": (_of_text("trim", "trim({0})", kinds.STRING), 1, 1),
    "notEmpty": (_of_text("notEmpty", "({0} <> '')", kinds.UINT8, truth=True), 1, 1),
    "abs": (_of_double("abs", "abs({0})"), 1, 1),
    "sign": (_of_double("sign", "sign({0})"), 1, 1),
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
