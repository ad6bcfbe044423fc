"""Answers of the metric families as flat tables.

A table has the series if a granularity was asked for, else the rows of the answer's list. If an
answer consists of figures and several lists, its table has all of them, each row with its
`kind`. A figure inside another has a dot in its name, `latency.p95`.
"""

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, to_builtins

from engine.answers import experiments, marketplace, revenue, services, users
from persistence import tabular
from persistence.tabular import TextFormat

Flat = dict[str, Any]
Answer = (
    services.Answer | revenue.Answer | marketplace.Answer | experiments.Answer | users.Answer
)

_ROWS_OF_THEIR_OWN: Final = frozenset(
    ("series", "variants", "byCurrency", "topServices", "topCategories", "topSearches")
) | {"curve", "cohorts"}

_ASKED_FOR: Final = frozenset(("trend", "previous"))
"""Columns that are there only where they were asked for."""


def table(answer: Answer, format_: TextFormat) -> Iterator[bytes]:
    """The answer as a file, piece by piece; also without rows it has its columns."""
    rows = list(_rows(answer))
    names: dict[str, None] = {}
    for row in rows:
        names |= dict.fromkeys(row)
    for kind in _kinds(answer):
        names |= dict.fromkeys(_columns(kind))
    return tabular.pieces(format_, list(names), ([row.get(n) for n in names] for row in rows))


def period_of(answer: Answer) -> str | None:
    """The period that an answer is of; None where each of its rows has its own."""
    match answer:
        case services.Answer():
            return answer.total.period
        case experiments.Answer():
            return None
        case _:
            return answer.data.period


def _rows(answer: Answer) -> Iterator[Flat]:
    series = _series(answer)
    if series is not None:
        yield from map(_flat, series)
        return
    match answer:
        case services.Answer():
            yield from map(_flat, answer.data)
        case experiments.Answer():
            for row in answer.data:
                for variant in row.variants:
                    yield _flat(row) | _flat(variant, "variant.")
        case users.Answer(data=users.Figures(cohorts=list(cohorts))):
            yield from map(_cohort, cohorts)
        case _:
            yield {"kind": "total"} | _flat(answer.data)
            if answer.previous is not UNSET:
                yield {"kind": "previous"} | _flat(answer.previous)
            yield from _listed(answer)


def _listed(answer: revenue.Answer | marketplace.Answer | users.Answer) -> Iterator[Flat]:
    """The lists beside the figures."""
    match answer:
        case revenue.Answer(data=sold):
            for code, row in sold.by_currency.items():
                yield {"kind": "currency"} | _flat(row) | {"currency": code}
            yield from _of_kind("service", sold.top_services)
        case marketplace.Answer(data=found):
            yield from _of_kind("service", found.top_services)
            yield from _of_kind("category", found.top_categories)
            yield from _of_kind("search", found.top_searches)
        case users.Answer(data=came):
            yield from _of_kind("day", came.curve)


def _of_kind(kind: str, rows: Iterable[Struct]) -> Iterator[Flat]:
    for row in rows:
        yield {"kind": kind} | _flat(row)


def _cohort(row: users.CohortRow) -> Flat:
    days = {f"day{one.day}": one.percent for one in row.days}
    return {"week": row.week, "users": row.users} | days


def _series(answer: Answer) -> Iterable[Struct] | None:
    match answer:
        case experiments.Answer():
            found: Any = UNSET
        case services.Answer():
            found = answer.series
        case _:
            found = answer.data.series
    return None if found is UNSET else found


def _kinds(answer: Answer) -> tuple[type[Struct], ...]:
    """The types of rows whose columns are there also without any row."""
    match answer:
        case services.Answer():
            return (services.ServiceRow,) if _series(answer) is None else ()
        case experiments.Answer():
            return (experiments.ExperimentRow,)
        case revenue.Answer() if _series(answer) is None:
            return (revenue.TopService,)
        case marketplace.Answer() if _series(answer) is None:
            return (marketplace.TopService, marketplace.TopCategory, marketplace.TopSearch)
        case _:
            return ()


def _columns(kind: type[Struct], prefix: str = "") -> Iterator[str]:
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name in _ROWS_OF_THEIR_OWN or name in _ASKED_FOR:
            continue
        if isinstance(field.type, type) and issubclass(field.type, Struct):
            yield from _columns(field.type, f"{prefix}{name}.")
        else:
            yield prefix + name


def _flat(row: Struct, prefix: str = "") -> Flat:
    found: Flat = {}
    for field in msgspec.structs.fields(row):
        name, value = field.encode_name, getattr(row, field.name)
        if name in _ROWS_OF_THEIR_OWN or value is UNSET:
            continue
        if isinstance(value, Struct):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = to_builtins(value, str_keys=True)
    return found
