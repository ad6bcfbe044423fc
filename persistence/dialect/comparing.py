"""Comparisons: both sides brought to one type, and the patterns of LIKE."""

from dataclasses import replace

from persistence.dialect import arithmetic, kinds, made, times
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.made import Made, of


def comparison(operator: str, left: Made, right: Made) -> Made:
    """Two values and an operator of SQL between them. Raises InvalidQuery."""
    a, b, part = matched(left, right)
    return of(f"({a} {operator} {b})", kinds.UINT8, left, part, truth=True)


def matched(left: Made, right: Made) -> tuple[str, str, Made]:
    """Both sides of a comparison as SQL of one type, and the right one as it was understood."""
    if left.kind.is_time or right.kind.is_time:
        return _matched_times(left, right)
    if left.kind.is_number and right.kind.is_number:
        if left.truth and right.truth:
            return left.sql, right.sql, right
        return made.number(left, "a comparison"), made.number(right, "a comparison"), right
    if left.kind.base == "Array" or right.kind.base == "Array":
        raise InvalidQuery("arrays cannot be compared")
    if "Null" in {left.kind.base, right.kind.base}:
        return left.sql, right.sql, right
    if left.kind.is_number and isinstance(right.value, str):
        right = arithmetic.of_text(right.value)
        return made.number(left, "a comparison"), right.sql, right
    if right.kind.is_number and isinstance(left.value, str):
        return arithmetic.of_text(left.value).sql, made.number(right, "a comparison"), right
    kinds.common([left.kind, right.kind], "a comparison")
    return left.sql, right.sql, right


def _matched_times(left: Made, right: Made) -> tuple[str, str, Made]:
    time, other = (left, right) if left.kind.is_time else (right, left)
    if isinstance(other.value, str):
        is_day = time.kind.base == "Date" and len(other.value.strip()) == 10
        other = (
            times.parsed_date(other.value)
            if is_day
            else times.parsed(other.value, time.kind.zone)
        )
    elif other.kind.is_number and other.kind.base != "Null":
        other = replace(times.to_datetime(other), loose=other.loose, aggregate=other.aggregate)
    kind = kinds.common([time.kind, other.kind], "a comparison")
    a, b = (
        one.sql if one.kind.base == "Null" else made.as_kind(one, kind, "a comparison").sql
        for one in ((time, other) if left.kind.is_time else (other, time))
    )
    return a, b, other if left.kind.is_time else right


def like_pattern(pattern: Made, word: str) -> str:
    r"""A LIKE pattern; a backslash makes %, _ and \ plain, and is plain elsewhere."""
    sql = made.text(pattern, word)
    if not isinstance(pattern.value, str) or "\\" not in pattern.value:
        return sql
    told, at, out = pattern.value, 0, ""
    while at < len(told):
        if told[at] == "\\" and told[at + 1 : at + 2] in {"%", "_", "\\"}:
            out += told[at : at + 2]
            at += 2
        else:
            out += "\\\\" if told[at] == "\\" else told[at]
            at += 1
    return f"{made.texted(out).sql} ESCAPE '\\'"
