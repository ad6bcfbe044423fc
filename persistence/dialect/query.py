"""The way from a text to what a worker runs: a query, its columns, and which files it needs."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from sqlglot import exp

from persistence.archive.columns import (
    SHOWN,
    Hidden,
    filed_as,
    literal,
    named_in,
    quoted,
    source_of,
)
from persistence.dialect import grammar, kinds, text, times, zones
from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.kinds import Kind
from persistence.dialect.relation import Output, Relation, Shared
from persistence.dialect.scope import EVENTS
from persistence.dialect.select import select

Format = Literal[
    "JSON",
    "JSONEachRow",
    "TabSeparated",
    "TabSeparatedWithNames",
    "CSV",
    "CSVWithNames",
    "ArrowStream",
]
_FORMATS: Final[dict[str, Format]] = {
    "json": "JSON",
    "jsoneachrow": "JSONEachRow",
    "tabseparated": "TabSeparated",
}
_EXTRA_FORMATS: Final[dict[str, Format]] = {
    **_FORMATS,
    "tsv": "TabSeparated",
    "tabseparatedwithnames": "TabSeparatedWithNames",
    "tsvwithnames": "TabSeparatedWithNames",
    "csv": "CSV",
    "csvwithnames": "CSVWithNames",
    "arrow": "ArrowStream",
    "arrowstream": "ArrowStream",
}

TIMEZONE: Final = "Etc/UTC"
"""What SHOW TIMEZONE answers."""

_SQL: Final = {column.name: column.sql for column in SHOWN}
_WEIGHT: Final = "_sample_interval"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a text is to be read.

    extra      the superset is allowed, not Analytics Engine's dialect alone
    bytes_max  of the text
    now        the moment that now() names, in UTC
    tables     the names of the table of events, the first of which `dataset` holds
    """

    extra: bool
    bytes_max: int
    now: dt.datetime
    tables: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A statement that needs no database: SHOW."""

    outputs: tuple[Output, ...]
    rows: tuple[tuple[str, ...], ...]
    format: Format


class Ready(NamedTuple):
    """What is run, and what its columns are then."""

    sql: str
    outputs: tuple[Output, ...]


class Query:
    """A SELECT that may be run.

    first, last   moments outside of which no row is needed, None for no bound
    reads_events  it reads the archive
    reads         in how many places it does so
    prunes        wherever it does so, it names the values of index1 that it wants
    streams       a row of its answer is a row that was read, and needs no other
    says_format   the text has a FORMAT
    asks_weights  its SQL is simpler where every `_sample_interval` is 1
    hidden        rows of the files that nobody may see
    """

    def __init__(self, tree: exp.Expr, rules: Rules) -> None:
        self.hidden: Hidden | None = None
        self._tree = tree
        self._rules = rules
        told = _format_name(tree)
        self.says_format = told is not None
        self.format = _format(told, extra=rules.extra)
        self._relation, self._shared = self._made(unit=True)
        self.outputs = self._relation.outputs
        self.counts_groups = self._relation.total
        self.offset = _offset(tree)
        self.reads_events = bool(self._shared.ranges)
        self.reads = len(self._shared.ranges)
        self.streams = not self._shared.gathers
        self.asks_weights = self._shared.asks_weights
        self.prunes = all(one.prunes for one in self._shared.ranges)
        firsts = [one.first for one in self._shared.ranges]
        lasts = [one.last for one in self._shared.ranges]
        self.first = None if None in firsts else min(filter(None, firsts), default=None)
        self.last = None if None in lasts else max(filter(None, lasts), default=None)

    @property
    def read(self) -> frozenset[str]:
        """The columns of files that are read, by their names in there."""
        return filed_as(named_in(_SQL[name] for name in self._shared.used))

    def ready(
        self,
        files: Sequence[str],
        *,
        unit: bool,
        quoted_integers: bool,
        native: bool = False,
        interval: int = 1,
    ) -> Ready:
        """For DuckDB. Columns come as an answer shows them.

        Behind them stand the standard errors of those that have one, and where `counts_groups`
        the number of groups before LIMIT.

        files            of the archive, each by its path
        unit             every `_sample_interval` in them is 1
        quoted_integers  integers of 64 bits come as texts
        native           all values come in types of the database, and no more columns
        interval         a power of two: one row of so many is read. In the superset the answer
                         tells of all rows as well as it can; in the other each row says that
                         it stands for so many more.
        """
        relation, shared = self._relation, self._shared
        scaled = interval if self._rules.extra else 1
        if scaled > 1 or (self.asks_weights and not unit):
            relation, shared = self._made(unit=unit, interval=scaled)
        shown = ", ".join(
            f"{_native(f'c{at}', one.kind)} AS c{at}"
            if native
            else f"{_shown(f'c{at}', one.kind, quoted_integers, truth=one.truth)} AS c{at}"
            for at, one in enumerate(relation.outputs)
        )
        if not native:
            errors = (at for at, one in enumerate(relation.outputs) if one.error)
            shown += "".join(f", e{at}" for at in errors) + ", total" * relation.total
        made = shared.levels.written(relation.sql)
        if self.reads_events:
            made = made.replace(EVENTS, self._events(files, interval))
        body = f"SELECT {shown} FROM ({made})"
        return Ready(body, relation.outputs)

    def _events(self, files: Sequence[str], interval: int) -> str:
        made = {**_SQL, "dataset": literal(self._rules.tables[0])}
        sampled = ""
        if interval > 1:  # `seq` tells no event from another but by when it came
            sampled = f' WHERE hash("seq") & {interval - 1} = 0'
            if not self._rules.extra:
                made[_WEIGHT] = f"({_SQL[_WEIGHT]} * {interval}::UBIGINT)"
        used = sorted(self._shared.used)
        columns = ", ".join(f"{made[name]} AS {quoted(name)}" for name in used)
        only = named_in([columns, sampled])
        read = source_of(files, only=only, hidden=self.hidden)
        return f"(SELECT {columns or '1 AS one'} FROM {read}{sampled})"

    def _made(self, *, unit: bool, interval: int = 1) -> tuple[Relation, Shared]:
        shared = Shared(
            extra=self._rules.extra,
            now=self._rules.now,
            tables=frozenset(self._rules.tables),
            unit=unit,
            interval=interval,
        )
        try:
            return select(self._tree, shared, {}, top=True), shared
        except RecursionError:
            raise InvalidQuery("the query is nested too deeply") from None


def read(told: str, rules: Rules) -> Query | Answered:
    """What a text asks. Raises InvalidQuery, QueryTooLong."""
    text.check(told, bytes_max=rules.bytes_max)
    shown = text.show(told)
    if shown is not None:
        return _show(shown[0], shown[1], rules)
    return Query(grammar.parse(told), rules)


def _show(what: str, format_name: str | None, rules: Rules) -> Answered:
    format_ = _format(format_name, extra=rules.extra)
    if what == "tables":
        outputs = (Output("dataset", kinds.STRING), Output("type", kinds.STRING))
        return Answered(outputs, tuple((name, "managed") for name in rules.tables), format_)
    names = zones.NAMES if what == "timezones" else (TIMEZONE,)
    return Answered(
        (Output("timezone", kinds.STRING),), tuple((one,) for one in names), format_
    )


def _format_name(tree: exp.Expr) -> str | None:
    told = tree.args.get("format")
    return None if told is None else str(told.name)


def _format(name: str | None, *, extra: bool) -> Format:
    if name is None:
        return "JSON"
    found = (_EXTRA_FORMATS if extra else _FORMATS).get(name.lower())
    if found is None:
        raise InvalidQuery(f"unknown format {short(name)}")
    return found


def _offset(tree: exp.Expr) -> int:
    told = tree.args.get("offset")
    return int(str(told.expression.this)[:18]) if told is not None else 0


def _shown(sql: str, kind: Kind, quoted_integers: bool, *, truth: bool = False) -> str:
    """A value as an answer has it: times as texts, and integers of 64 bits as is asked."""
    if truth:
        return f"({sql})::UTINYINT"
    match kind.base:
        case "DateTime" | "Date":
            return times.shown_text(sql, kind)
        case "Int" if kind.bits == 64:
            return f"({sql})::VARCHAR" if quoted_integers else f"({sql})::HUGEINT"
        case "Array" if kind.item is not None:
            item = _shown("e", kind.item, quoted_integers)
            return sql if item == "e" else f"list_transform({sql}, lambda e: {item})"
        case _:
            return sql


_INTEGERS: Final = {8: "TINYINT", 16: "SMALLINT", 32: "INTEGER", 64: "BIGINT"}


def _native(sql: str, kind: Kind) -> str:
    """A value in the type of the database that has the same range."""
    match kind.base:
        case "DateTime":
            return f"({sql})::TIMESTAMP_S"
        case "Date":
            return f"({sql})::DATE"
        case "Int":
            return f"({sql})::{'' if kind.signed else 'U'}{_INTEGERS[kind.bits]}"
        case "Float64":
            return f"CASE WHEN isfinite({sql}) THEN {sql} END"
        case "Array" if kind.item is not None:
            return f"list_transform({sql}, lambda e: {_native('e', kind.item)})"
        case _:
            return sql
