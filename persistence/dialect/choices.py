"""Functions that choose among values, and ask whether there is one."""

from collections.abc import Callable

from persistence.dialect import kinds, made
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.made import Made, of


def choose(condition: Made, then: Made, otherwise: Made) -> Made:
    """if(condition, then, otherwise)."""
    return chosen([(condition, then)], otherwise, "if")


def chosen(cases: list[tuple[Made, Made]], otherwise: Made | None, where: str) -> Made:
    """The first value whose condition holds; NULL if none does and there is no ELSE."""
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


def first_known(*parts: Made) -> Made:
    """coalesce(a, ...)."""
    kind = kinds.common([part.kind for part in parts], "coalesce")
    values = ", ".join(made.as_kind(part, kind, "coalesce").sql for part in parts)
    return of(f"coalesce({values})", kind, *parts)


def extreme(name: str) -> Callable[..., Made]:
    """greatest and least."""

    def make(*parts: Made) -> Made:
        kind = kinds.common([part.kind for part in parts], name)
        values = ", ".join(made.as_kind(part, kind, name).sql for part in parts)
        return of(f"{name}({values})", kind, *parts)

    return make


def multi_if(*parts: Made) -> Made:
    """multiIf(condition, value, ..., otherwise)."""
    if len(parts) % 2 == 0:
        raise InvalidQuery("multiIf takes pairs of condition and value, and one value more")
    pairs = [(parts[at], parts[at + 1]) for at in range(0, len(parts) - 1, 2)]
    return chosen(pairs, parts[-1], "multiIf")


def null_if(left: Made, right: Made) -> Made:
    """nullIf(a, b)."""
    kind = kinds.common([left.kind, right.kind], "nullIf")
    a, b = (made.as_kind(part, kind, "nullIf").sql for part in (left, right))
    return of(f"nullif({a}, {b})", kind, left, right)


def is_null(*, negated: bool) -> Callable[[Made], Made]:
    """isNull and isNotNull."""

    def make(what: Made) -> Made:
        test = "IS NOT NULL" if negated else "IS NULL"
        return of(f"(({what.sql}) {test})", kinds.UINT8, what, truth=True)

    return make
