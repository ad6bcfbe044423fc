"""What a SELECT becomes, and what all SELECTs of one query share."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from persistence.dialect import kinds, made
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.estimates import Read
from persistence.dialect.kinds import Kind
from persistence.dialect.made import Made, Mark, marked
from persistence.dialect.ranges import Range

WORK_MAX: Final = 20_000
"""Nodes that one query may become once its aliases are put in; they can double at each step."""

SQL_CHARS_MAX: Final = 1_000_000
SOURCES_MAX: Final = 12
"""Tables and sub-queries of one query, those behind WITH counted each time they are used."""


class Output(NamedTuple):
    """A column that a SELECT answers.

    mark   what it is where a sample is read
    error  one more column, `e` with its number, holds its standard error
    """

    name: str
    kind: Kind
    truth: bool = False
    unit: bool = False
    mark: Mark | None = None
    error: bool = False


class Relation(NamedTuple):
    """A SELECT that is ready.

    sql      with c0, c1, ... as the names of its columns
    outputs  what the user calls them, and their types
    total    one more column, `total`, holds how many groups there were before LIMIT
    read     what its rows are where a sample of the events is read
    """

    sql: str
    outputs: tuple[Output, ...]
    total: bool = False
    read: Read | None = None


@dataclass(slots=True)
class Levels:
    """The levels that are asked of each value, gathered so that one sort answers them all.

    Where they are asked stands a mark, until all are known. A mark has NULs in it, which no SQL
    of a query has: `persistence.dialect.text` refuses one, and `made.texted`, through which
    every text of a query goes, writes one that was escaped as chr(0).
    """

    asked: dict[str, tuple[int, dict[float, int]]] = field(default_factory=dict)

    def marks(self, value: str, level: float) -> tuple[str, str]:
        """What stands for the list, and for the place of a level in it."""
        number, levels = self.asked.setdefault(value, (len(self.asked), {}))
        place = levels.setdefault(level, len(levels) + 1)
        return f"\x00{number}\x00", str(place)

    def written(self, sql: str) -> str:
        """The SQL with lists in place of marks."""
        for number, levels in self.asked.values():
            told = ", ".join(made.floated(level).sql for level in levels)
            sql = sql.replace(f"\x00{number}\x00", f"[{told}]")
        return sql


@dataclass(slots=True)
class Shared:
    """What all SELECTs of one query share.

    extra     the superset is allowed
    now       the moment that now() names
    tables    names of the tables of events
    unit      `_sample_interval` is 1 in every row that will be read
    interval  one row of so many will be read, and figures shall tell of all
    used      columns of the table of events that are needed
    ranges    for each use of the table: what its WHERE lets through
    gathers   an answer takes more than to read each row once, and hand it on or not
    """

    extra: bool
    now: dt.datetime
    tables: frozenset[str]
    unit: bool
    interval: int = 1
    used: set[str] = field(default_factory=set)
    ranges: list[Range] = field(default_factory=list)
    asks_weights: bool = False
    gathers: bool = False
    levels: Levels = field(default_factory=Levels)
    work: int = 0
    sources: int = 0

    def spend(self) -> None:
        """Count one node more. Raises InvalidQuery."""
        self.work += 1
        if self.work > WORK_MAX:
            raise too_large()

    def next_source(self) -> str:
        """A name for one source more. Raises InvalidQuery."""
        self.sources += 1
        if self.sources > SOURCES_MAX:
            raise too_many_sources()
        return f"s{self.sources}"


def answered(
    sql: str,
    selected: Sequence[tuple[str, Made]],
    *,
    read: Read | None,
    aggregated: bool,
    cut: bool,
    top: bool,
    total: bool,
) -> Relation:
    """A SELECT of these values, each under its name.

    read        what its sources have
    aggregated  its rows are groups
    cut         DISTINCT, LIMIT or OFFSET leaves some out
    top         it is the answer itself
    """
    outputs = [
        Output(
            name,
            one.kind,
            truth=one.truth,
            unit=one.unit,
            mark=one.mark,
            error=has_error(one, top=top),
        )
        for name, one in selected
    ]
    if read == "rows" and not aggregated and (top or cut):
        outputs = [one._replace(mark="sample") for one in outputs]
    if read is not None and (aggregated or cut):
        read = "groups"
    return Relation(sql, tuple(outputs), total=total, read=read)


def has_error(selected: Made, *, top: bool) -> bool:
    """Whether its standard error stands beside it."""
    return top and selected.error is not None


def united(members: Sequence[Relation]) -> Relation:
    """UNION ALL of them. Raises InvalidQuery where their columns do not fit together."""
    first = members[0]
    if any(len(one.outputs) != len(first.outputs) for one in members):
        raise InvalidQuery("the members of a UNION ALL have different numbers of columns")
    outputs = tuple(
        Output(
            told[0].name,
            kinds.common([one.kind for one in told], "UNION ALL"),
            truth=all(one.truth for one in told),
            mark=marked(*(one.mark for one in told)),
        )
        for told in zip(*(one.outputs for one in members), strict=True)
    )
    sql = " UNION ALL ".join(f"({one.sql})" for one in members)
    if all(one.read is None for one in members):
        return Relation(sql, outputs)
    if any(one.read == "rows" for one in members):  # rows for one event, and others for many
        outputs = tuple(one._replace(mark="sample") for one in outputs)
    return Relation(sql, outputs, read="groups")


def too_large() -> InvalidQuery:
    """The refusal of what grew when its aliases were put in."""
    return InvalidQuery("the query is too large once its aliases are put in")


def too_many_sources() -> InvalidQuery:
    """The refusal of more sources than `SOURCES_MAX`."""
    return InvalidQuery(f"more than {SOURCES_MAX} sources in one query")
