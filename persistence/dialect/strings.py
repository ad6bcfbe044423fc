"""Functions of texts, and functions that turn other values into texts."""

from collections.abc import Callable
from typing import Final

from persistence.dialect import kinds, made, times
from persistence.dialect.bits import bits_of
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.kinds import Kind
from persistence.dialect.made import Made, of

PLACE_MAX: Final = 2**40
"""Beyond the end of every text."""


def of_text(name: str, pattern: str, kind: Kind, *, truth: bool = False) -> Callable[..., Made]:
    """A function of texts alone, as a pattern of SQL with {0}, {1}."""

    def make(*parts: Made) -> Made:
        texts = [made.text(part, name) for part in parts]
        return of(pattern.format(*texts), kind, *parts, truth=truth)

    return make


def position(needle: Made, haystack: Made) -> Made:
    """position(needle IN haystack): from 1, 0 where it is not."""
    sql = f"strpos({made.text(haystack, 'position')}, {made.text(needle, 'position')})"
    return of(sql, kinds.UINT64, needle, haystack)


def substring(what: Made, first: Made, length: Made | None = None) -> Made:
    """substring(s, from[, length]) in code points.

    from    1 is the first of them and -1 the last; from 0 there is nothing
    length  below 0 it says how many are left out at the end
    """
    parts = [what, first] if length is None else [what, first, length]
    numbers = [made.integer(part, "substring") for part in parts[1:]]
    told = made.text(what, "substring")
    if all(isinstance(part.value, int) for part in parts[1:]):
        return of(_slice(told, *map(_clamped, numbers)), kinds.STRING, *parts)
    # Each argument is written once: with a second copy nested calls would double at each step.
    names = [f"'{name}': {sql}" for name, sql in zip("sbn", [told, *numbers], strict=False)]
    bounds = [_clamped(f"p.{name}") for name in "bn"[: len(numbers)]]
    sliced = f"lambda p: {_slice('p.s', *bounds)}"
    return of(f"list_transform([{{{', '.join(names)}}}], {sliced})[1]", kinds.STRING, *parts)


def _slice(told: str, begin: str, length: str | None = None) -> str:
    """The SQL of a piece of a text; `begin` may count from the end."""
    end = "-1"
    if length is not None:
        end = (
            f"CASE WHEN {length} < 0 THEN {length} - 1 "
            f"WHEN {begin} < 0 AND {begin} + {length} >= 0 THEN -1 "
            f"ELSE {begin} + {length} - 1 END"
        )
    nothing = f"{begin} = 0"
    return (
        f"array_slice({told}, CASE WHEN {nothing} THEN 1 ELSE {begin} END, "
        f"CASE WHEN {nothing} THEN 0 ELSE {end} END)"
    )


def _clamped(sql: str) -> str:
    """A number within PLACE_MAX, so that the sum of two is one too; NULL stays NULL."""
    return (
        f"(CASE WHEN {sql} > {PLACE_MAX} THEN {PLACE_MAX} "
        f"WHEN {sql} < -{PLACE_MAX} THEN -{PLACE_MAX} ELSE ({sql})::BIGINT END)"
    )


def empty(what: Made) -> Made:
    """empty(s)."""
    return of(f"({made.text(what, 'empty')} = '')", kinds.UINT8, what, truth=True)


def formatted(pattern: Made, *parts: Made) -> Made:
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
            pieces += [made.texted(plain).sql, to_text(parts[index]).sql]
            plain, at = "", end + 1
        else:
            plain += letter
            at += 1
    pieces.append(made.texted(plain).sql)
    return of(f"({' || '.join(pieces)})", kinds.STRING, *parts)


def to_text(part: Made) -> Made:
    """Any value as the text that an answer shows."""
    match part.kind.base:
        case "String" | "Null":
            return part
        case "DateTime" | "Date":
            return of(times.shown_text(part.sql, part.kind), kinds.STRING, part)
        case "Int":
            return of(f"({made.number(part, 'toString')})::VARCHAR", kinds.STRING, part)
        case "Float64":
            return of(_of_double(part.sql), kinds.STRING, part)
        case base:
            raise InvalidQuery(f"{base} cannot become a text")


def _of_double(sql: str) -> str:
    """The text of a double: no exponent from 1e-6 up to 1e21, and none that has a 0 or a +."""
    told = f"({sql})::VARCHAR"
    for exponent in (5, 6):  # from which on the database writes one
        place = f"\\10.{'0' * (exponent - 1)}\\2\\3"
        told = f"regexp_replace({told}, '^(-?)(\\d)\\.?(\\d*)e-0{exponent}$', '{place}')"
    told = f"replace(replace({told}, 'e+', 'e'), 'e-0', 'e-')"
    whole = f"{sql} = trunc({sql}) AND abs({sql}) < 1e21"
    return (
        f"CASE WHEN isnan({sql}) THEN 'nan' WHEN {whole} THEN ({sql})::HUGEINT::VARCHAR "
        f"ELSE {told} END"
    )


def concat(*parts: Made) -> Made:
    """concat(a, ...) of values of any type."""
    return of(f"({' || '.join(to_text(part).sql for part in parts)})", kinds.STRING, *parts)


def in_base(name: str, digits: int) -> Callable[[Made], Made]:
    """hex and bin: of a text each byte, of a whole number whole bytes."""

    def make(what: Made) -> Made:
        if what.kind.base == "String":
            return of(f"{name}({what.sql})", kinds.STRING, what)
        if what.kind.base != "Int":
            raise InvalidQuery(f"{name} takes texts and whole numbers, not {what.kind.name}")
        told = f"{name}({bits_of(what, name)})"
        wide = f"(((length({told}) + {digits - 1}) // {digits}) * {digits})::INTEGER"
        return of(f"lpad({told}, {wide}, '0')", kinds.STRING, what)

    return make
