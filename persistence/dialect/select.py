"""From a SELECT of sqlglot's tree to a SELECT for DuckDB.

Every output is given a name of our own (c0, c1, ...), every source an alias of our own, and the
table of events stands behind one common table expression, which `persistence.dialect.query`
writes when it knows the files. So no name of the user's reaches the database.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from persistence.dialect import kinds, made
from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.estimates import Read
from persistence.dialect.expressions import Expressions
from persistence.dialect.made import Made
from persistence.dialect.nodes import no_select, only, unwrapped
from persistence.dialect.ordering import Ordering, limits, selected_at
from persistence.dialect.ranges import Range, Ranges
from persistence.dialect.relation import (
    SOURCES_MAX,
    SQL_CHARS_MAX,
    Relation,
    Shared,
    answered,
    has_error,
    too_large,
    too_many_sources,
    united,
)
from persistence.dialect.scope import Scope
from persistence.dialect.selected import Selected, aliases_of, of_column
from persistence.dialect.sources import Ctes, Sources, with_
from persistence.dialect.weights import Weights


def select(node: exp.Expr, shared: Shared, ctes: Ctes, *, top: bool = False) -> Relation:
    """A SELECT, or where the superset is allowed a UNION ALL of them. Raises InvalidQuery."""
    node = unwrapped(node)
    if isinstance(node, exp.Union) and shared.extra:
        return _union(node, shared, ctes)
    if not isinstance(node, exp.Select):
        raise no_select(node)
    return _Select(node, shared, ctes, top=top).relation()


def _union(node: exp.Union, shared: Shared, ctes: Ctes) -> Relation:
    only(node, "this", "expression", "format", "with_")
    if node.args.get("distinct"):
        raise InvalidQuery("only UNION ALL can be run")
    ctes = with_(node, shared, ctes)
    members: list[exp.Expr] = []
    left: exp.Expr = node
    while isinstance(left, exp.Union):
        if left is not node:
            only(left, "this", "expression")
        if left.args.get("distinct"):
            raise InvalidQuery("only UNION ALL can be run")
        members.append(left.expression)
        left = left.this
        if len(members) > SOURCES_MAX:
            raise too_many_sources()
    members.append(left)
    return united([select(member, shared, ctes) for member in reversed(members)])


class _Select:
    """One SELECT while it is being made; it is what `aggregates` and `expressions` ask."""

    def __init__(
        self,
        node: exp.Select,
        shared: Shared,
        ctes: Ctes,
        *,
        top: bool,
    ) -> None:
        only(
            node, "expressions", "from_", "where", "group", "having", "order", "limit",
            "offset", "with_", "distinct", "joins", "format" if top else "this",
        )  # fmt: skip
        self._node = node
        self._top = top
        self._shared = shared
        self.extra = shared.extra
        self.now = shared.now
        self._ctes = with_(node, shared, ctes)
        self._scope = Scope()
        self._expressions = Expressions(self)
        self._make = self._expressions.make
        self._ordering = Ordering(node, self._selected)
        self._groups: list[str] = []
        self._group_texts: frozenset[str] = frozenset()
        self._weights = Weights(self._scope)
        self._inside = False
        self._no_aggregate: str | None = None
        self._row_order: list[str] = []
        self._uses_order = False

    # -- what an expression asks --------------------------------------------------------------

    def spend(self) -> None:
        """Count one node more."""
        self._shared.spend()

    def inside_aggregate(self, *, inside: bool) -> bool:
        """Say whether an aggregate's arguments are being read; answers what was said before."""
        before, self._inside = self._inside, inside
        return before

    def is_grouped(self, sql: str) -> bool:
        """Whether that is one of the things grouped by."""
        return not self._inside and sql in self._group_texts

    @property
    def read(self) -> Read | None:
        """What its sources have where a sample of the events is read."""
        return self._scope.read

    @property
    def interval(self) -> int:
        """One row of so many is read."""
        return self._shared.interval

    def unit_weights(self) -> bool:
        """Whether `_sample_interval` is 1 wherever it is read."""
        self._shared.asks_weights = True
        return self._shared.unit

    def levels(self, value: str, level: float) -> tuple[str, str]:
        """Two marks, which `Levels.written` replaces."""
        return self._shared.levels.marks(value, level)

    def order(self) -> str:
        """The ORDER BY of the query, for first_value and last_value."""
        self._uses_order = True
        return f" ORDER BY {', '.join(self._row_order)}" if self._row_order else ""

    def running_weight(self, value: Made, weight: Made) -> tuple[str, str]:
        """The columns of the weight up to a value, and of all of them, within a group."""
        return self._weights.running(value, weight)

    def group_weight(self, value: Made, weight: Made) -> str:
        """The column of the weight of one value within a group."""
        return self._weights.of_value(value, weight)

    def subquery(self, node: exp.Expr, where: str) -> tuple[str, Made]:
        """A sub-query of one column, as a list of values."""
        self._shared.gathers = True
        relation = select(node, self._shared, self._ctes)
        if len(relation.outputs) != 1:
            raise InvalidQuery(f"{where} takes a sub-query of one column")
        return f"({relation.sql})", Made("", relation.outputs[0].kind)

    def column(self, node: exp.Column) -> Made:
        """What a name means here: an alias, or a column of a source."""
        name, table = node.name, node.table or None
        if isinstance(node.this, exp.Star):
            raise InvalidQuery("* can only stand for columns of a SELECT")
        if table is None:
            tree = self._scope.alias(name)
            if tree is not None:
                found = self._of_alias(name, tree)
                if found is not None:
                    return found
        quoted = bool(node.this.args.get("quoted"))
        source, column = self._scope.column(name, table, quoted=quoted)
        if source.events:
            self._shared.used.add(name)
        found = of_column(
            f"{source.sql_name}.{column.name}", column, None if self._inside else name
        )
        return replace(found, stored=source.events)

    def _of_alias(self, name: str, tree: exp.Expr) -> Made | None:
        """The expression behind an alias; None where a column of that name is meant."""
        was_inside = self.inside_aggregate(inside=False)
        no_aggregate, self._no_aggregate = self._no_aggregate, None
        try:
            with self._scope.defining(name):
                found = self._make(tree)
        finally:
            self._inside, self._no_aggregate = was_inside, no_aggregate
        if found.aggregate and (was_inside or no_aggregate is not None):
            if self._scope.find(name, None) is not None:
                return None
            raise InvalidQuery(
                f'"{short(name)}" is an aggregate, which cannot stand in '
                f"{no_aggregate or 'another aggregate'}"
            )
        return replace(found, loose=None) if was_inside else found

    def _selected(self, node: exp.Expr) -> Made:
        """An expression, or one of the SELECT with its alias."""
        if not isinstance(node, exp.Alias):
            return self._make(node)
        with self._scope.defining(node.alias):
            return self._make(node.this)

    # -- the whole ----------------------------------------------------------------------------

    def relation(self) -> Relation:
        """The SELECT, ready."""
        node = self._node
        if not node.expressions:
            raise InvalidQuery("SELECT without anything to select")
        sources = Sources(
            self._scope, self._shared, self._ctes, make=self._make, select=self._nested
        )
        joined = sources.of(node)
        self._scope.aliases = aliases_of(node)
        where = self._where()
        self._group()
        self._row_order = self._ordering.of_rows()
        outputs = Selected(self._scope, self._shared, self._make, self.is_grouped).of(node)
        having = self._condition("having", "HAVING")
        order = self._ordering.of_answer(outputs)
        aggregated = bool(self._groups) or self._node.args.get("group") is not None
        aggregated = aggregated or any(one.aggregate for _, one in outputs)
        aggregated = aggregated or (having is not None and having.aggregate)
        aggregated = aggregated or any(one.aggregate for _, one in order)
        if having is not None and not aggregated:
            raise InvalidQuery("HAVING needs GROUP BY or an aggregate; WHERE takes it")
        if aggregated:
            self._must_be_grouped([one for _, one in outputs], having)
            order = [(sql, one) for sql, one in order if not self._is_dropped(one)]
        if aggregated or order or self._does_more([one for _, one in outputs]):
            self._shared.gathers = True
        total = self._top and bool(self._groups) and node.args.get("limit") is not None
        total = total and not node.args.get("distinct")
        sql = self._assembled(joined, where, outputs, having, order, total=total)
        if len(sql) > SQL_CHARS_MAX:
            raise too_large()
        return answered(
            sql,
            outputs,
            read=self.read,
            aggregated=aggregated,
            cut=any(node.args.get(name) for name in ("distinct", "limit", "offset")),
            top=self._top,
            total=total,
        )

    def _does_more(self, outputs: Sequence[Made]) -> bool:
        """Whether it does more with rows than choose and show them."""
        clauses = any(self._node.args.get(name) for name in ("joins", "distinct", "limit"))
        return clauses or any(one.windowed for one in outputs)

    def _assembled(
        self,
        joined: str,
        where: Made | None,
        outputs: Sequence[tuple[str, Made]],
        having: Made | None,
        order: Sequence[tuple[str, Made]],
        *,
        total: bool,
    ) -> str:
        columns = [f"{one.sql} AS c{at}" for at, (_, one) in enumerate(outputs)]
        columns += [
            f"{one.error} AS e{at}"
            for at, (_, one) in enumerate(outputs)
            if has_error(one, top=self._top)
        ]
        shown = ", ".join(columns)
        distinct = "DISTINCT " if self._node.args.get("distinct") else ""
        filtered = f" WHERE {where.sql}" if where is not None else ""
        counted = ", count(*) OVER () AS total" if total else ""
        pieces = [f"SELECT {distinct}{shown}{counted}"]
        if self._weights:
            pieces.append(self._weights.added_to(joined + filtered, self._groups))
        else:
            pieces.append(joined + filtered)
        if self._groups:
            pieces.append(f" GROUP BY {', '.join(self._groups)}")
        conditions = [] if having is None else [made.condition(having, "HAVING")]
        if self._node.args.get("group") is not None and not self._groups:
            conditions.append("count(*) > 0")  # by constants: of no rows there is no group
        if conditions:
            pieces.append(f" HAVING {' AND '.join(conditions)}")
        if order:
            pieces.append(f" ORDER BY {', '.join(sql for sql, _ in order)}")
        pieces.append(limits(self._node))
        return "".join(pieces)

    def _nested(self, node: exp.Expr, ctes: Ctes) -> Relation:
        return select(node, self._shared, ctes)

    # -- WHERE, GROUP BY, HAVING ----------------------------------------------------

    def _where(self) -> Made | None:
        self._no_aggregate = "WHERE"
        found = self._condition("where", "WHERE")
        self._no_aggregate = None
        if found is not None and found.windowed:
            raise InvalidQuery("a window cannot stand in WHERE: filter in a query around it")
        if found is not None and found.aggregate:
            raise InvalidQuery("an aggregate cannot stand in WHERE: use HAVING")
        if any(source.events for source in self._scope.sources):
            self._shared.ranges.append(self._range())
        return (
            found
            if found is None
            else Made(made.condition(found, "WHERE"), kinds.UINT8, truth=True)
        )

    def _range(self) -> Range:
        """The moments of events that WHERE lets through; a join may need others."""
        where = self._node.args.get("where")
        if where is None or len(self._scope.sources) != 1:
            return Range()
        return Ranges(self._make).of(where.this)

    def _condition(self, name: str, told: str) -> Made | None:
        node = self._node.args.get(name)
        if node is None:
            return None
        only(node, "this")
        found = self._make(node.this)
        made.condition(found, told)
        return found

    def _group(self) -> None:
        node = self._node.args.get("group")
        if node is None:
            return
        only(node, "expressions")
        self._no_aggregate = "GROUP BY"
        texts: list[str] = []
        for one in node.expressions:
            if isinstance(one, exp.Tuple):
                raise InvalidQuery("unsupported in GROUP BY: a list in brackets")
            found = self._selected(selected_at(one, self._node, "GROUP BY"))
            if found.aggregate or found.windowed:
                raise InvalidQuery("an aggregate cannot stand in GROUP BY")
            if found.loose is not None and found.sql not in texts:
                texts.append(found.sql)
        self._no_aggregate = None
        self._groups = texts
        self._group_texts = frozenset(texts)

    def _is_dropped(self, found: Made) -> bool:
        """Whether an order was meant for first_value and last_value, not for the groups."""
        if found.loose is None:
            return False
        if self._uses_order:
            return True
        raise _not_grouped(found.loose)

    def _must_be_grouped(self, outputs: Sequence[Made], having: Made | None) -> None:
        for one in [*outputs, *([] if having is None else [having])]:
            if one.loose is not None:
                raise _not_grouped(one.loose)


def _not_grouped(name: str) -> InvalidQuery:
    return InvalidQuery(
        f'column "{short(name)}" is neither in GROUP BY nor inside of an aggregate'
    )
