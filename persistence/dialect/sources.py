"""FROM, JOIN and WITH: where the rows of a SELECT come from."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlglot import exp

from persistence.archive.columns import ANALYTICS_ENGINE
from persistence.dialect import made
from persistence.dialect.errors import InvalidQuery, meant, short, unknown_column
from persistence.dialect.made import Made
from persistence.dialect.nodes import only
from persistence.dialect.relation import Relation, Shared
from persistence.dialect.scope import EVENT_COLUMNS, EVENTS, Column, Scope, Source

JOINED_MAX: Final = 4
"""Sources of one FROM."""

Ctes = Mapping[str, exp.Expr]
"""The sub-queries of a WITH by their names, each a `Bound`."""


class Sources:
    """Makes the sources of one SELECT.

    ctes    what names in FROM may mean beside the tables
    make    makes the conditions of joins
    select  makes a sub-query that may use such names
    """

    def __init__(
        self,
        scope: Scope,
        shared: Shared,
        ctes: Ctes,
        *,
        make: Callable[[exp.Expr], Made],
        select: Callable[[exp.Expr, Ctes], Relation],
    ) -> None:
        self._scope = scope
        self._shared = shared
        self._ctes = ctes
        self._make = make
        self._select = select

    def of(self, select: exp.Select) -> str:
        """The FROM of a SELECT, its sources now known to the scope. Raises InvalidQuery."""
        node = select.args.get("from_")
        joins = select.args.get("joins") or []
        if node is None:
            if joins:
                raise InvalidQuery("JOIN without FROM")
            return ""
        only(node, "this")
        sql = f" FROM {self._source(node.this)}"
        if joins and not self._shared.extra:
            raise InvalidQuery("unsupported in a query: JOIN, or more than one table")
        if len(joins) >= JOINED_MAX:
            raise InvalidQuery(f"more than {JOINED_MAX} sources in one FROM")
        for join in joins:
            sql += self._join(join)
        return sql

    def _join(self, join: exp.Expr) -> str:
        only(join, "this", "on", "side", "kind", "using")
        side, kind = str(join.args.get("side") or ""), str(join.args.get("kind") or "")
        if (side.upper(), kind.upper()) not in {
            ("", ""),
            ("", "INNER"),
            ("LEFT", ""),
            ("LEFT", "OUTER"),
        }:
            raise InvalidQuery(
                f"unsupported in a query: {short(f'{side} {kind}'.strip())} JOIN"
            )
        known = list(self._scope.sources)
        source = self._source(join.this)
        if join.args.get("using"):
            names = [one.name for one in join.args["using"]]
            condition = " AND ".join(self._same(name, known) for name in names)
            self._scope.sources[-1].merged = frozenset(names)
        elif join.args.get("on") is not None:
            condition = made.condition(self._make(join.args["on"]), "ON")
        else:
            raise InvalidQuery("a JOIN needs ON or USING")
        return f" {'LEFT' if side else 'INNER'} JOIN {source} ON {condition}"

    def _same(self, name: str, known: Sequence[Source]) -> str:
        new = self._scope.sources[-1]
        old = next((one for one in known if name in one.columns), None)
        if old is None or name not in new.columns:
            raise unknown_column(name)
        for source in (old, new):
            if source.events:
                self._shared.used.add(name)
        return (
            f"{old.sql_name}.{old.columns[name].name} = {new.sql_name}.{new.columns[name].name}"
        )

    def _source(self, node: exp.Expr) -> str:
        sql_name = self._shared.next_source()
        if isinstance(node, exp.Table):
            return self._table(node, sql_name)
        if not isinstance(node, exp.Subquery):
            raise InvalidQuery("FROM takes a table or a sub-query")
        only(node, "this", "alias")
        alias = _alias(node)
        return self._nested(self._select(node.this, self._ctes), alias, sql_name)

    def _table(self, node: exp.Table, sql_name: str) -> str:
        if node.args.get("db"):
            raise InvalidQuery(f'unknown table "{short(f"{node.db}.{node.name}")}"')
        only(node, "this", "alias")
        if not isinstance(node.this, exp.Identifier):
            raise InvalidQuery("unsupported in a query: a table function")
        alias = _alias(node) or node.name
        bound = self._ctes.get(node.name)
        if isinstance(bound, Bound):
            return self._nested(self._select(bound.node, bound.ctes), alias, sql_name)
        if node.name not in self._shared.tables:
            known = [*self._shared.tables, *self._ctes]
            raise InvalidQuery(f'unknown table "{short(node.name)}"{meant(node.name, known)}')
        self._scope.sources.append(
            Source(
                alias,
                sql_name,
                EVENT_COLUMNS,
                ANALYTICS_ENGINE,
                events=True,
                read="rows" if self._shared.interval > 1 else None,
            )
        )
        return f"{EVENTS} AS {sql_name}"

    def _nested(self, relation: Relation, alias: str | None, sql_name: str) -> str:
        columns: dict[str, Column] = {}
        for at, one in enumerate(relation.outputs):
            column = Column(f"c{at}", one.kind, truth=one.truth, unit=one.unit, mark=one.mark)
            columns.setdefault(one.name, column)
        self._scope.sources.append(
            Source(alias, sql_name, columns, tuple(columns), read=relation.read)
        )
        return f"({relation.sql}) AS {sql_name}"


def _alias(node: exp.Expr) -> str | None:
    alias = node.args.get("alias")
    if alias is None:
        return None
    only(alias, "this")
    return str(node.alias)


def with_(node: exp.Expr, shared: Shared, ctes: Ctes) -> Ctes:
    """The sub-queries that a query may use by name: `ctes`, and those of its own WITH."""
    told = node.args.get("with_")
    if told is None:
        return ctes
    only(told, "expressions", "recursive")
    if not shared.extra or told.args.get("recursive"):
        raise InvalidQuery("unsupported in a query: WITH" + " RECURSIVE" * bool(shared.extra))
    known = dict(ctes)
    for one in told.expressions:
        is_named = isinstance(one.args.get("alias"), exp.TableAlias)
        if not isinstance(one, exp.CTE) or not is_named or one.args.get("scalar"):
            raise InvalidQuery("WITH takes names and sub-queries: WITH x AS (SELECT ...)")
        only(one, "this", "alias")
        only(one.args["alias"], "this")
        # Each sees those before it, and never itself.
        known[one.alias] = Bound(one.this, dict(known))
    return known


class Bound(exp.Expr):
    """A sub-query of a WITH, with the names that it may use."""

    def __init__(self, node: exp.Expr, ctes: Ctes) -> None:
        super().__init__()
        self.node = node
        self.ctes = ctes
