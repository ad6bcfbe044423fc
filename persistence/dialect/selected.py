"""What stands between SELECT and FROM: columns under their names, and * for many of them."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from sqlglot import exp

from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.grammar import written
from persistence.dialect.made import Made
from persistence.dialect.nodes import only
from persistence.dialect.relation import Shared
from persistence.dialect.scope import Column, Scope, Source


def aliases_of(select: exp.Select) -> dict[str, exp.Expr]:
    """What stands behind each alias. Raises InvalidQuery where one has two meanings."""
    found: dict[str, exp.Expr] = {}
    for one in select.expressions:
        if isinstance(one, exp.Alias) and found.setdefault(one.alias, one.this) != one.this:
            raise InvalidQuery(f'the alias "{short(one.alias)}" stands for two things')
    return found


class _Told(NamedTuple):
    """A column of an answer: its name, what it is, and the table that it is of, if any."""

    name: str
    made: Made
    table: str


class Selected:
    """Makes it for one SELECT; `make` makes each, `is_grouped` knows SQL that is grouped by."""

    def __init__(
        self,
        scope: Scope,
        shared: Shared,
        make: Callable[[exp.Expr], Made],
        is_grouped: Callable[[str], bool],
    ) -> None:
        self._scope = scope
        self._shared = shared
        self._make = make
        self._is_grouped = is_grouped

    def of(self, select: exp.Select) -> list[tuple[str, Made]]:
        """Each column and its name. Raises InvalidQuery."""
        distinct = select.args.get("distinct")
        if distinct is not None:
            only(distinct)
            if not self._shared.extra:
                raise InvalidQuery("unsupported in a query: SELECT DISTINCT")
        told: list[_Told] = []
        for node in select.expressions:
            if isinstance(node, exp.Star):
                only(node)
                told += self._star(self._scope.sources, merging=True)
            elif isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
                only(node.this)
                named = [one for one in self._scope.sources if one.alias == node.table]
                if not named:
                    raise InvalidQuery(f'unknown table "{short(node.table)}"')
                told += self._star(named)
            else:
                told.append(self._output(node))
        places = [source.alias or "" for source in self._scope.sources]
        return _distinct(told, places)

    def _output(self, node: exp.Expr) -> _Told:
        if isinstance(node, exp.Alias):
            only(node, "this", "alias")
            with self._scope.defining(node.alias):
                found = self._make(node.this)
            name = node.alias
        else:
            found = self._make(node)
            bare = node.unnest()  # DISTINCT(blob1) has brackets around a column, no function
            name = bare.name if isinstance(bare, exp.Column) else written(node)
        if found.kind.base == "Interval":
            raise InvalidQuery("an INTERVAL cannot be selected")
        table = node.table if isinstance(node, exp.Column) else ""
        return _Told(name[:256], found, table)

    def _star(self, sources: Sequence[Source], *, merging: bool = False) -> list[_Told]:
        if not sources:
            raise InvalidQuery("SELECT * needs a FROM")
        told = []
        for source in sources:
            for name in source.starred:
                if merging and name in source.merged:
                    continue
                column = source.columns[name]
                if source.events:
                    self._shared.used.add(name)
                sql = f"{source.sql_name}.{column.name}"
                loose = None if self._is_grouped(sql) else name
                found = of_column(sql, column, loose)
                told.append(_Told(name, found, source.alias or ""))
        return told


def _distinct(told: Sequence[_Told], places: Sequence[str]) -> list[tuple[str, Made]]:
    """Each with a name of its own: a column gives way as table.name, as in ClickHouse.

    They give way to an alias, and those of later tables to those of the first. The same thing
    twice may have one name. Raises InvalidQuery.

    places  the tables in their order
    """
    owners: dict[str, str] = {}
    for one in sorted(told, key=lambda one: places.index(one.table) if one.table else -1):
        owners.setdefault(one.name, one.made.sql)
    named: list[tuple[str, Made]] = []
    for one in told:
        name = one.name
        if owners[name] != one.made.sql:
            name = f"{one.table}.{name}" if one.table else name
            if owners.setdefault(name, one.made.sql) != one.made.sql:
                raise InvalidQuery(
                    f'two columns are called "{short(name)}"; AS gives one of them another name'
                )
        named.append((name, one.made))
    return named


def of_column(sql: str, column: Column, loose: str | None) -> Made:
    """A column of a source; `loose` is its name where it is neither grouped nor aggregated."""
    return Made(
        sql,
        column.kind,
        truth=column.truth,
        loose=loose,
        unit=column.unit,
        mark=column.mark,
    )
