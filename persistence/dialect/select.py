"""From a SELECT of sqlglot's tree to a SELECT for DuckDB.

Every output is given a name of our own (c0, c1, ...), every source an alias of our own, and the
table of events stands behind one common table expression, which `persistence.dialect.query`
writes when it knows the files. So no name of the user's reaches the database.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from sqlglot import exp

from persistence.archive.columns import ANALYTICS_ENGINE
from persistence.dialect import kinds, made
from persistence.dialect.errors import InvalidQuery, short, unknown_column
from persistence.dialect.expressions import Expressions, only
from persistence.dialect.kinds import Kind
from persistence.dialect.made import Made
from persistence.dialect.scope import EVENT_COLUMNS, EVENTS, Column, Scope, Source

WORK_MAX: Final = 20_000
"""Nodes that one query may become once its aliases are put in; they can double at each step."""

SQL_CHARS_MAX: Final = 1_000_000
SOURCES_MAX: Final = 12
"""Tables and sub-queries of one query, those behind WITH counted each time they are used."""

JOINED_MAX: Final = 4
"""Sources of one FROM."""

_DAY: Final = dt.timedelta(days=1)


class Output(NamedTuple):
    """A column that a SELECT answers."""

    name: str
    kind: Kind
    truth: bool = False
    unit: bool = False


class Relation(NamedTuple):
    """A SELECT that is ready.

    sql      with c0, c1, ... as the names of its columns
    outputs  what the user calls them, and their types
    total    one more column, `total`, holds how many groups there were before LIMIT
    """

    sql: str
    outputs: tuple[Output, ...]
    total: bool = False


@dataclass(slots=True)
class Levels:
    """The levels that are asked of each value, gathered so that one sort answers them all.

    Where they are asked stands a mark, until all are known. A mark has a character in it that
    no text of a query may hold.
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

    extra   the superset is allowed
    now     the moment that now() names
    tables  names of the tables of events
    unit    `_sample_interval` is 1 in every row that will be read
    used    columns of the table of events that are needed
    ranges  for each use of the table: the first and last moment that its WHERE lets through
    """

    extra: bool
    now: dt.datetime
    tables: frozenset[str]
    unit: bool
    used: set[str] = field(default_factory=set)
    ranges: list[tuple[dt.datetime | None, dt.datetime | None]] = field(default_factory=list)
    asks_weights: bool = False
    levels: Levels = field(default_factory=Levels)
    work: int = 0
    sources: int = 0


def select(
    node: exp.Expr,
    shared: Shared,
    ctes: Mapping[str, exp.Expr],
    *,
    top: bool = False,
) -> Relation:
    """A SELECT, or where the superset is allowed a UNION ALL of them. Raises InvalidQuery."""
    node = _unwrapped(node)
    if isinstance(node, exp.Union) and shared.extra:
        return _union(node, shared, ctes)
    if not isinstance(node, exp.Select):
        raise _no_select(node)
    return _Select(node, shared, ctes, top=top).relation()


def _no_select(node: exp.Expr) -> InvalidQuery:
    name = node.key.upper() if node.key != "command" else str(node.this).upper()
    if name == "SHOW":
        return InvalidQuery("SHOW knows TABLES, TIMEZONES and TIMEZONE, and FORMAT behind them")
    if isinstance(node, exp.Condition):  # a value, a list, JSON: no statement has that name
        return InvalidQuery("only SELECT and SHOW can be run")
    return InvalidQuery(f"only SELECT and SHOW can be run, not {short(name)}")


def _unwrapped(node: exp.Expr) -> exp.Expr:
    while isinstance(node, exp.Subquery):
        only(node, "this", "alias")
        node = node.this
    return node


def _union(node: exp.Union, shared: Shared, ctes: Mapping[str, exp.Expr]) -> Relation:
    only(node, "this", "expression", "format", "with_")
    if node.args.get("distinct"):
        raise InvalidQuery("only UNION ALL can be run")
    ctes = _with(node, shared, ctes)
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
            raise InvalidQuery(f"more than {SOURCES_MAX} sources in one query")
    members.append(left)
    made_ = [select(member, shared, ctes) for member in reversed(members)]
    first = made_[0]
    if any(len(one.outputs) != len(first.outputs) for one in made_):
        raise InvalidQuery("the members of a UNION ALL have different numbers of columns")
    outputs = tuple(
        Output(
            told[0].name,
            kinds.common([one.kind for one in told], "UNION ALL"),
            truth=all(one.truth for one in told),
        )
        for told in zip(*(one.outputs for one in made_), strict=True)
    )
    return Relation(" UNION ALL ".join(f"({one.sql})" for one in made_), outputs)


def _with(
    node: exp.Expr, shared: Shared, ctes: Mapping[str, exp.Expr]
) -> Mapping[str, exp.Expr]:
    told = node.args.get("with_")
    if told is None:
        return ctes
    only(told, "expressions", "recursive")
    if not shared.extra or told.args.get("recursive"):
        raise InvalidQuery("unsupported in a query: WITH" + " RECURSIVE" * bool(shared.extra))
    known = dict(ctes)
    for one in told.expressions:
        if not isinstance(one, exp.CTE) or not isinstance(
            one.args.get("alias"), exp.TableAlias
        ):
            raise InvalidQuery("WITH takes names and sub-queries: WITH x AS (SELECT ...)")
        only(one, "this", "alias")
        only(one.args["alias"], "this")
        # Each sees those before it, and never itself.
        known[one.alias] = _Bound(one.this, dict(known))
    return known


class _Bound(exp.Expr):
    """A sub-query of a WITH, with the names that it may use."""

    def __init__(self, node: exp.Expr, ctes: Mapping[str, exp.Expr]) -> None:
        super().__init__()
        self.node = node
        self.ctes = ctes


class _Weight(NamedTuple):
    """A column that a window adds to the rows before they are grouped."""

    sql: str
    name: str


class _Select:
    """One SELECT while it is being made; it is what `aggregates` and `expressions` ask."""

    def __init__(
        self,
        node: exp.Select,
        shared: Shared,
        ctes: Mapping[str, exp.Expr],
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
        self._ctes = _with(node, shared, ctes)
        self._scope = Scope()
        self._expressions = Expressions(self)
        self._groups: list[str] = []
        self._group_texts: frozenset[str] = frozenset()
        self._weights: dict[str, _Weight] = {}
        self._inside = False
        self._no_aggregate: str | None = None
        self._ordering: list[str] = []
        self._uses_order = False

    # -- what an expression asks --------------------------------------------------------------

    def spend(self) -> None:
        """Count one node more."""
        self._shared.work += 1
        if self._shared.work > WORK_MAX:
            raise InvalidQuery("the query is too large once its aliases are put in")

    def inside_aggregate(self, *, inside: bool) -> bool:
        """Say whether an aggregate's arguments are being read; answers what was said before."""
        before, self._inside = self._inside, inside
        return before

    def is_grouped(self, sql: str) -> bool:
        """Whether that is one of the things grouped by."""
        return not self._inside and sql in self._group_texts

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
        return f" ORDER BY {', '.join(self._ordering)}" if self._ordering else ""

    def running_weight(self, value: Made, weight: Made) -> tuple[str, str]:
        """The columns of the weight up to a value, and of all of them, within a group."""
        counted = f"({value.sql}) IS NULL"
        if value.kind.base == "Float64":
            counted += f" OR isnan({value.sql})"
        told = f"CASE WHEN {counted} THEN 0 ELSE {weight.sql} END"
        running = self._added(
            f"sum({told}) OVER ({{by}} ORDER BY {value.sql} ROWS UNBOUNDED PRECEDING)"
        )
        return running, self._added(f"sum({told}) OVER ({{by}})")

    def group_weight(self, value: Made, weight: Made) -> str:
        """The column of the weight of one value within a group."""
        return self._added(f"sum({weight.sql}) OVER ({{by+}}{value.sql})")

    def _added(self, sql: str) -> str:
        if len(self._scope.sources) != 1:
            raise InvalidQuery("weighted quantiles and topKWeighted need a single table")
        found = self._weights.setdefault(sql, _Weight(sql, f"w{len(self._weights)}"))
        return f"{self._scope.sources[0].sql_name}.{found.name}"

    def subquery(self, node: exp.Expr, where: str) -> tuple[str, Made]:
        """A sub-query of one column, as a list of values."""
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
        source, column = self._scope.column(name, table)
        if source.events:
            self._shared.used.add(name)
        return Made(
            f"{source.sql_name}.{column.name}",
            column.kind,
            truth=column.truth,
            loose=None if self._inside else name,
            unit=column.unit,
            stored=source.events,
        )

    def _of_alias(self, name: str, tree: exp.Expr) -> Made | None:
        """The expression behind an alias; None where a column of that name is meant."""
        self._scope.resolving.append(name)
        was_inside = self.inside_aggregate(inside=False)
        no_aggregate, self._no_aggregate = self._no_aggregate, None
        try:
            found = self._expressions.make(tree)
        finally:
            self._scope.resolving.pop()
            self._inside, self._no_aggregate = was_inside, no_aggregate
        if found.aggregate and (was_inside or no_aggregate is not None):
            if self._scope.find(name, None) is not None:
                return None
            raise InvalidQuery(
                f'"{short(name)}" is an aggregate, which has no place in '
                f"{no_aggregate or 'another aggregate'}"
            )
        return replace(found, loose=None) if was_inside else found

    # -- the whole ----------------------------------------------------------------------------

    def relation(self) -> Relation:
        """The SELECT, ready."""
        node = self._node
        if not node.expressions:
            raise InvalidQuery("SELECT without anything to select")
        joined = self._from()
        self._scope.aliases = {
            one.alias: one.this for one in node.expressions if isinstance(one, exp.Alias)
        }
        where = self._where()
        self._group()
        self._orders_for_aggregates()
        outputs = self._outputs()
        having = self._condition("having", "HAVING")
        order = self._order(outputs)
        aggregated = bool(self._groups) or self._node.args.get("group") is not None
        aggregated = aggregated or any(one.aggregate for _, one in outputs)
        aggregated = aggregated or (having is not None and having.aggregate)
        if aggregated:
            self._must_be_grouped([one for _, one in outputs], having)
            order = [(sql, one) for sql, one in order if not self._is_dropped(one)]
        total = self._top and bool(self._groups) and node.args.get("limit") is not None
        total = total and not node.args.get("distinct")
        sql = self._assembled(joined, where, outputs, having, order, total=total)
        if len(sql) > SQL_CHARS_MAX:
            raise InvalidQuery("the query is too large once its aliases are put in")
        return Relation(
            sql,
            tuple(
                Output(name, one.kind, truth=one.truth, unit=one.unit) for name, one in outputs
            ),
            total=total,
        )

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
        shown = ", ".join(f"{one.sql} AS c{at}" for at, (_, one) in enumerate(outputs))
        distinct = "DISTINCT " if self._node.args.get("distinct") else ""
        filtered = f" WHERE {where.sql}" if where is not None else ""
        counted = ", count(*) OVER () AS total" if total else ""
        pieces = [f"SELECT {distinct}{shown}{counted}"]
        if self._weights:
            (source,) = self._scope.sources
            by = f"PARTITION BY {', '.join(self._groups)}" if self._groups else ""
            also = by + ", " if by else "PARTITION BY "
            added = ", ".join(
                f"{one.sql.replace('{by+}', also).replace('{by}', by)} AS {one.name}"
                for one in self._weights.values()
            )
            inner = f"SELECT {source.sql_name}.*, {added}{joined}{filtered}"
            pieces.append(f" FROM ({inner}) AS {source.sql_name}")
        else:
            pieces.append(joined + filtered)
        if self._groups:
            pieces.append(f" GROUP BY {', '.join(self._groups)}")
        if having is not None:
            pieces.append(f" HAVING {made.condition(having, 'HAVING')}")
        if order:
            pieces.append(f" ORDER BY {', '.join(sql for sql, _ in order)}")
        pieces.append(self._limits())
        return "".join(pieces)

    # -- FROM ---------------------------------------------------------------------------------

    def _from(self) -> str:
        node = self._node.args.get("from_")
        joins = self._node.args.get("joins") or []
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
            conditions = [self._same(one.name, known) for one in join.args["using"]]
            condition = " AND ".join(conditions)
        elif join.args.get("on") is not None:
            condition = made.condition(self._expressions.make(join.args["on"]), "ON")
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
        self._shared.sources += 1
        if self._shared.sources > SOURCES_MAX:
            raise InvalidQuery(f"more than {SOURCES_MAX} sources in one query")
        sql_name = f"s{self._shared.sources}"
        if isinstance(node, exp.Table):
            return self._table(node, sql_name)
        if not isinstance(node, exp.Subquery):
            raise InvalidQuery("FROM takes a table or a sub-query")
        only(node, "this", "alias")
        alias = _alias(node)
        return self._nested(select(node.this, self._shared, self._ctes), alias, sql_name)

    def _table(self, node: exp.Table, sql_name: str) -> str:
        if node.args.get("db"):
            raise InvalidQuery(f'unknown table "{short(f"{node.db}.{node.name}")}"')
        only(node, "this", "alias")
        if not isinstance(node.this, exp.Identifier):
            raise InvalidQuery("unsupported in a query: a table function")
        alias = _alias(node) or node.name
        bound = self._ctes.get(node.name)
        if isinstance(bound, _Bound):
            return self._nested(select(bound.node, self._shared, bound.ctes), alias, sql_name)
        if node.name not in self._shared.tables:
            raise InvalidQuery(f'unknown table "{short(node.name)}"')
        self._scope.sources.append(
            Source(alias, sql_name, EVENT_COLUMNS, ANALYTICS_ENGINE, events=True)
        )
        return f"{EVENTS} AS {sql_name}"

    def _nested(self, relation: Relation, alias: str | None, sql_name: str) -> str:
        columns: dict[str, Column] = {}
        for at, one in enumerate(relation.outputs):
            columns.setdefault(
                one.name, Column(f"c{at}", one.kind, truth=one.truth, unit=one.unit)
            )
        self._scope.sources.append(Source(alias, sql_name, columns, tuple(columns)))
        return f"({relation.sql}) AS {sql_name}"

    # -- WHERE, GROUP BY, HAVING, ORDER BY ----------------------------------------------------

    def _where(self) -> Made | None:
        self._no_aggregate = "WHERE"
        found = self._condition("where", "WHERE")
        self._no_aggregate = None
        if found is not None and (found.aggregate or found.windowed):
            raise InvalidQuery("an aggregate has no place in WHERE; HAVING takes it")
        if any(source.events for source in self._scope.sources):
            self._shared.ranges.append(self._range(found))
        return (
            found
            if found is None
            else Made(made.condition(found, "WHERE"), kinds.UINT8, truth=True)
        )

    def _condition(self, name: str, told: str) -> Made | None:
        node = self._node.args.get(name)
        if node is None:
            return None
        only(node, "this")
        found = self._expressions.make(node.this)
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
            found = self._expressions.make(self._counted(one, "GROUP BY"))
            if found.aggregate or found.windowed:
                raise InvalidQuery("an aggregate has no place in GROUP BY")
            if found.loose is not None and found.sql not in texts:
                texts.append(found.sql)
        self._no_aggregate = None
        self._groups = texts
        self._group_texts = frozenset(texts)

    def _counted(self, node: exp.Expr, told: str) -> exp.Expr:
        """GROUP BY 1 and ORDER BY 1: what is selected at that place."""
        if not isinstance(node, exp.Literal) or node.is_string or not str(node.this).isdigit():
            return node
        at = int(str(node.this)) if len(str(node.this)) < 6 else 0
        if not 1 <= at <= len(self._node.expressions):
            raise InvalidQuery(f"{told} {short(str(node.this))}: there is no such column")
        found: exp.Expr = self._node.expressions[at - 1]
        return found.this if isinstance(found, exp.Alias) else found

    def _orders_for_aggregates(self) -> None:
        """What of ORDER BY first_value and last_value follow: all that is no aggregate."""
        for one in self._order_nodes():
            found = self._expressions.make(self._counted(one.this, "ORDER BY"))
            if not found.aggregate and not found.windowed and found.loose is not None:
                self._ordering.append(_ordered(found.sql, one))

    def _order_nodes(self) -> Sequence[exp.Expr]:
        node = self._node.args.get("order")
        if node is None:
            return ()
        only(node, "expressions")
        for one in node.expressions:
            if not isinstance(one, exp.Ordered):
                raise InvalidQuery("unsupported in a query: that ORDER BY")
            only(one, "this", "desc", "nulls_first")
        return list(node.expressions)

    def _order(self, outputs: Sequence[tuple[str, Made]]) -> list[tuple[str, Made]]:
        places: dict[str, int] = {}
        for at, (_, output) in enumerate(outputs, 1):
            places.setdefault(output.sql, at)
        told = []
        for one in self._order_nodes():
            found = self._expressions.make(self._counted(one.this, "ORDER BY"))
            if not _orders(found) and found.sql not in self._group_texts:
                continue
            sql = str(places[found.sql]) if found.sql in places else found.sql
            told.append((_ordered(sql, one), found))
        return told

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

    # -- SELECT, LIMIT ------------------------------------------------------------------------

    def _outputs(self) -> list[tuple[str, Made]]:
        distinct = self._node.args.get("distinct")
        if distinct is not None:
            only(distinct)
            if not self._shared.extra:
                raise InvalidQuery("unsupported in a query: SELECT DISTINCT")
        told: list[tuple[str, Made]] = []
        for node in self._node.expressions:
            if isinstance(node, exp.Star):
                only(node)
                told += self._star(self._scope.sources)
            elif isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
                only(node.this)
                named = [one for one in self._scope.sources if one.alias == node.table]
                if not named:
                    raise InvalidQuery(f'unknown table "{short(node.table)}"')
                told += self._star(named)
            else:
                told.append(self._output(node))
        return told

    def _output(self, node: exp.Expr) -> tuple[str, Made]:
        if isinstance(node, exp.Alias):
            only(node, "this", "alias")
            self._scope.resolving.append(node.alias)
            found = self._expressions.make(node.this)
            self._scope.resolving.pop()
            name = node.alias
        else:
            found = self._expressions.make(node)
            name = node.name if isinstance(node, exp.Column) else node.sql(dialect="clickhouse")
        if found.kind.base == "Interval":
            raise InvalidQuery("an INTERVAL cannot be selected")
        return name[:256], found

    def _star(self, sources: Sequence[Source]) -> list[tuple[str, Made]]:
        if not sources:
            raise InvalidQuery("SELECT * needs a FROM")
        told = []
        for source in sources:
            for name in source.starred:
                column = source.columns[name]
                if source.events:
                    self._shared.used.add(name)
                sql = f"{source.sql_name}.{column.name}"
                loose = None if self.is_grouped(sql) else name
                told.append(
                    (
                        name,
                        Made(
                            sql, column.kind, truth=column.truth, loose=loose, unit=column.unit
                        ),
                    )
                )
        return told

    def _limits(self) -> str:
        limit, offset = self._node.args.get("limit"), self._node.args.get("offset")
        sql = ""
        if limit is not None:
            if not isinstance(limit, exp.Limit):
                raise InvalidQuery("unsupported in a query: FETCH")
            only(limit, "expression")
            told = limit.expression
            if not (isinstance(told, exp.Column) and told.name.upper() == "ALL"):
                sql += f" LIMIT {_whole(told, 'LIMIT')}"
        if offset is not None:
            only(offset, "expression")
            sql += f" OFFSET {_whole(offset.expression, 'OFFSET')}"
        return sql

    # -- which files --------------------------------------------------------------------------

    def _range(self, where: Made | None) -> tuple[dt.datetime | None, dt.datetime | None]:
        """The moments that a WHERE lets through, where its own ANDs say so; else None."""
        if where is None or len(self._scope.sources) != 1:
            return None, None
        first: dt.datetime | None = None
        last: dt.datetime | None = None
        for node in _conjuncts(self._node.args["where"].this):
            low, high = self._bounds(node)
            first = max((one for one in (first, low) if one is not None), default=None)
            last = min((one for one in (last, high) if one is not None), default=None)
        return first, last

    def _bounds(self, node: exp.Expr) -> tuple[dt.datetime | None, dt.datetime | None]:
        if isinstance(node, exp.Between):
            if self._is_timestamp(node.this):
                return self._moment(node.args["low"]), self._moment(node.args["high"])
            return None, None
        if not isinstance(node, exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
            return None, None
        above = isinstance(node, exp.EQ | exp.GT | exp.GTE)
        below = isinstance(node, exp.EQ | exp.LT | exp.LTE)
        if self._is_timestamp(node.this):
            moment = self._moment(node.expression)
        elif self._is_timestamp(node.expression):
            moment = self._moment(node.this)
            if not isinstance(node, exp.EQ):
                above, below = below, above
        else:
            return None, None
        return moment if above else None, moment if below else None

    def _is_timestamp(self, node: exp.Expr) -> bool:
        if not isinstance(node, exp.Column):
            return False
        found = self._expressions.make(node)
        return found.sql.endswith('."timestamp"') and self._scope.sources[0].events

    def _moment(self, node: exp.Expr) -> dt.datetime | None:
        """When a moment is that is known before running; else None."""
        try:
            found = self._expressions.make(node)
            if isinstance(found.value, str):
                return made_time(found.value)
            if isinstance(found.value, int) and not isinstance(found.value, bool):
                return dt.datetime.fromtimestamp(found.value, dt.UTC)
        except (InvalidQuery, ValueError, OverflowError, OSError):
            return None
        if isinstance(found.value, dt.datetime):
            return found.value.astimezone(dt.UTC)
        return None


def made_time(value: str) -> dt.datetime | None:
    """A text in a comparison with `timestamp` as a moment."""
    from persistence.dialect.times import parsed

    moment = parsed(value, None).value
    return moment if isinstance(moment, dt.datetime) else None


def _conjuncts(node: exp.Expr) -> list[exp.Expr]:
    waiting, found = [node], []
    while waiting:
        one = waiting.pop()
        if isinstance(one, exp.And):
            waiting += [one.this, one.expression]
        elif isinstance(one, exp.Paren):
            waiting.append(one.this)
        else:
            found.append(one)
    return found


def _alias(node: exp.Expr) -> str | None:
    alias = node.args.get("alias")
    if alias is None:
        return None
    only(alias, "this")
    return str(node.alias)


def _orders(found: Made) -> bool:
    """Whether rows may differ in it; a constant orders nothing."""
    return found.loose is not None or found.aggregate or found.windowed


def _ordered(sql: str, node: exp.Expr) -> str:
    return f"{sql} {'DESC' if node.args.get('desc') else 'ASC'} NULLS LAST"


def _whole(node: exp.Expr, told: str) -> int:
    if not isinstance(node, exp.Literal) or node.is_string or not str(node.this).isdigit():
        raise InvalidQuery(f"{told} takes a whole number")
    return min(int(str(node.this)[:19]), 2**62)


def _not_grouped(name: str) -> InvalidQuery:
    return InvalidQuery(
        f'column "{short(name)}" is neither in GROUP BY nor inside of an aggregate'
    )
