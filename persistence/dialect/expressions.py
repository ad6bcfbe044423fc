"""From a node of sqlglot's tree to our own SQL: the allow-list of kinds of nodes.

The values of literals are all that reaches the database of the user's text. A node, an argument
of a node, or a function that is not named here is refused.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Protocol

from sqlglot import exp

from persistence.dialect import calls, choices, functions, kinds, made, strings, times
from persistence.dialect.arithmetic import calculated, negated, number
from persistence.dialect.calls import Calls
from persistence.dialect.comparing import comparison, like_pattern, matched
from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.made import Made, of
from persistence.dialect.nodes import flat, named, only
from persistence.dialect.relation import SQL_CHARS_MAX, too_large
from persistence.dialect.windows import Windows

_COMPARISONS: Final[dict[type[exp.Expr], str]] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ARITHMETIC: Final[dict[type[exp.Expr], str]] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
}


class Surroundings(calls.Around, Protocol):
    """The query around an expression."""

    def column(self, node: exp.Column) -> Made: ...
    def is_grouped(self, sql: str) -> bool: ...
    def subquery(self, node: exp.Expr, where: str) -> tuple[str, Made]: ...
    def spend(self) -> None: ...


class Expressions:
    """Makes expressions within the surroundings of one SELECT."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._calls = Calls(around, self.make)
        self._windows = Windows(around, self.make, self._calls)

    def make(self, node: exp.Expr) -> Made:
        """The SQL and the type of a node. Raises InvalidQuery."""
        self._around.spend()
        maker = _MAKERS.get(type(node))
        if maker is None:
            raise InvalidQuery(f"unsupported expression type: {named(node)}")
        found: Made = maker(self, node)
        if len(found.sql) > SQL_CHARS_MAX:  # some functions write an argument more than once
            raise too_large()
        if found.loose is not None and self._around.is_grouped(found.sql):
            return replace(found, loose=None, grouped=True)
        return found

    # -- leaves -------------------------------------------------------------------------------

    def _literal(self, node: exp.Literal) -> Made:
        value = str(node.this)
        if node.is_string:
            return made.texted(value)
        return number(value)

    def _boolean(self, node: exp.Boolean) -> Made:
        return Made(
            "TRUE" if node.this else "FALSE", kinds.UINT8, truth=True, value=int(node.this)
        )

    def _null(self, _: exp.Null) -> Made:
        return Made("NULL", kinds.NULL)

    def _column(self, node: exp.Column) -> Made:
        only(node, "this", "table")
        return self._around.column(node)

    def _paren(self, node: exp.Paren) -> Made:
        only(node, "this")
        return self.make(node.this)

    def _interval(self, node: exp.Interval) -> Made:
        only(node, "this", "unit")
        quantity, unit = node.this, node.args.get("unit")
        if not isinstance(quantity, exp.Literal) or not isinstance(unit, exp.Var):
            raise InvalidQuery("an INTERVAL is written INTERVAL '42' DAY")
        if not self._around.extra and unit.name.upper() in {"WEEK", "QUARTER"}:
            raise InvalidQuery(f"unsupported unit of an INTERVAL: {unit.name.upper()}")
        return times.span(str(quantity.this), unit.name)

    # -- operators ----------------------------------------------------------------------------

    def _arithmetic(self, node: exp.Binary) -> Made:
        only(node, "this", "expression", "typed", "safe")
        operator = _ARITHMETIC[type(node)]
        chain: list[tuple[str, exp.Expr]] = []
        left: exp.Expr = node
        while type(left) in _ARITHMETIC:  # a + b + c hangs to the left, as long as you like
            only(left, "this", "expression", "typed", "safe")
            chain.append((_ARITHMETIC[type(left)], left.expression))
            left = left.this
        found = self.make(left)
        for operator, right in reversed(chain):
            found = calculated(operator, found, self.make(right))
            if found.loose is not None and self._around.is_grouped(found.sql):
                found = replace(found, loose=None, grouped=True)
        return found

    def _negated(self, node: exp.Neg) -> Made:
        only(node, "this")
        inner = node.this
        if isinstance(inner, exp.Literal) and not inner.is_string:
            return negated(str(inner.this))
        part = self.make(inner)
        sql = made.number(part, "-")
        if part.kind.base == "Float64":
            return of(f"(-({sql}))", kinds.FLOAT64, part)
        return of(f"(-(({sql})::BIGINT))", kinds.of_negation(part.kind), part)

    def _connected(self, node: exp.Connector) -> Made:
        word = "AND" if isinstance(node, exp.And) else "OR"
        parts = [self.make(one) for one in flat(node)]
        sql = f" {word} ".join(made.condition(part, word) for part in parts)
        return of(f"({sql})", kinds.UINT8, *parts, truth=True)

    def _not(self, node: exp.Not) -> Made:
        only(node, "this")
        part = self.make(node.this)
        return of(f"(NOT {made.condition(part, 'NOT')})", kinds.UINT8, part, truth=True)

    def _compared(self, node: exp.Binary) -> Made:
        only(node, "this", "expression")
        return comparison(
            _COMPARISONS[type(node)], self.make(node.this), self.make(node.expression)
        )

    def _between(self, node: exp.Between) -> Made:
        only(node, "this", "low", "high")
        what = self.make(node.this)
        low = comparison(">=", what, self.make(node.args["low"]))
        high = comparison("<=", what, self.make(node.args["high"]))
        return of(f"({low.sql} AND {high.sql})", kinds.UINT8, low, high, truth=True)

    def _in(self, node: exp.In) -> Made:
        if node.args.get("field") is not None:
            raise InvalidQuery("IN takes a list of values in brackets")
        only(node, "this", "expressions", "query")
        what = self.make(node.this)
        if node.args.get("query") is not None:
            if not self._around.extra:
                raise InvalidQuery("unsupported expression type: IN with a sub-query")
            query, column = self._around.subquery(node.args["query"], "IN")
            kinds.common([what.kind, column.kind], "IN")
            if what.kind.base == "DateTime" and column.kind.base == "Date":
                what = times.to_date(what)  # as ClickHouse: by what the sub-query has
            known = f"(SELECT c0 FROM {query} WHERE c0 IS NOT NULL)"
            return of(f"({what.sql} IN {known})", kinds.UINT8, what, truth=True)
        if not node.expressions:
            raise InvalidQuery("IN takes a list of values in brackets")
        values = [self.make(value) for value in node.expressions]
        # A NULL in the list is nobody's equal: without it NOT IN is no NULL either.
        pairs = [matched(what, value) for value in values if value.kind.base != "Null"]
        if not pairs:
            return of("FALSE", kinds.UINT8, what, truth=True)
        left = pairs[0][0]
        if all(pair[0] == left for pair in pairs):
            sql = f"({left} IN ({', '.join(right for _, right, _ in pairs)}))"
        else:
            sql = "(" + " OR ".join(f"{one} = {right}" for one, right, _ in pairs) + ")"
        if any(part.value is None for *_, part in pairs):  # a column, which may hold NULL
            known = " OR ".join(f"coalesce({one} = {right}, FALSE)" for one, right, _ in pairs)
            sql = f"(CASE WHEN ({what.sql}) IS NOT NULL THEN {known} END)"
        return of(sql, kinds.UINT8, what, *(part for *_, part in pairs), truth=True)

    def _like(self, node: exp.Binary) -> Made:
        only(node, "this", "expression", "negate")
        word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
        what, pattern = self.make(node.this), self.make(node.expression)
        sql = f"{made.text(what, word)} {word} {like_pattern(pattern, word)}"
        if node.args.get("negate"):
            sql = f"NOT ({sql})"
        return of(f"({sql})", kinds.UINT8, what, pattern, truth=True)

    def _is(self, node: exp.Is) -> Made:
        only(node, "this", "expression")
        if not self._around.extra or not isinstance(node.expression, exp.Null):
            raise InvalidQuery("unsupported expression type: IS")
        part = self.make(node.this)
        return of(f"(({part.sql}) IS NULL)", kinds.UINT8, part, truth=True)

    def _case(self, node: exp.Case) -> Made:
        only(node, "this", "ifs", "default")
        subject = None if node.this is None else self.make(node.this)
        cases = []
        for one in node.args["ifs"]:
            only(one, "this", "true")
            condition = self.make(one.this)
            if subject is not None:
                condition = comparison("=", subject, condition)
            cases.append((condition, self.make(one.args["true"])))
        default = node.args.get("default")
        otherwise = None if default is None else self.make(default)
        return choices.chosen(cases, otherwise, "CASE")

    def _if(self, node: exp.If) -> Made:
        only(node, "this", "true", "false")
        if node.args.get("true") is None or node.args.get("false") is None:
            raise InvalidQuery("if takes a condition and two values")
        parts = [self.make(node.args[name]) for name in ("this", "true", "false")]
        return choices.choose(*parts)

    def _extract(self, node: exp.Extract) -> Made:
        only(node, "this", "expression")
        name = functions.EXTRACTED.get(node.this.name.upper())
        if name is None:
            raise InvalidQuery(f"extract does not know the unit {short(node.this.name)}")
        return functions.FUNCTIONS[name].make(self.make(node.expression))

    def _position(self, node: exp.StrPosition) -> Made:
        only(node, "this", "substr")
        return strings.position(self.make(node.args["substr"]), self.make(node.this))

    def _joined(self, node: exp.DPipe) -> Made:
        only(node, "this", "expression", "safe")
        if not self._around.extra:
            raise InvalidQuery("unsupported expression type: ||")
        return functions.FUNCTIONS["concat"].make(
            self.make(node.this), self.make(node.expression)
        )

    def _cast(self, node: exp.Cast) -> Made:
        only(node, "this", "to")
        name = functions.CASTS.get(node.to.this.name) if node.to.this else None
        if not self._around.extra or name is None or node.to.expressions:
            raise InvalidQuery("unsupported expression type: CAST")
        return functions.FUNCTIONS[name].make(self.make(node.this))

    def _call(self, node: exp.Expr) -> Made:
        return self._calls.make(node)

    def _window(self, node: exp.Window) -> Made:
        return self._windows.make(node)


_MAKERS: Final[dict[type[exp.Expr], Callable[..., Made]]] = {
    exp.Literal: Expressions._literal,
    exp.Boolean: Expressions._boolean,
    exp.Null: Expressions._null,
    exp.Column: Expressions._column,
    exp.Paren: Expressions._paren,
    exp.Interval: Expressions._interval,
    exp.Neg: Expressions._negated,
    exp.And: Expressions._connected,
    exp.Or: Expressions._connected,
    exp.Not: Expressions._not,
    exp.Between: Expressions._between,
    exp.In: Expressions._in,
    exp.Like: Expressions._like,
    exp.ILike: Expressions._like,
    exp.Is: Expressions._is,
    exp.Case: Expressions._case,
    exp.If: Expressions._if,
    exp.Extract: Expressions._extract,
    exp.StrPosition: Expressions._position,
    exp.Cast: Expressions._cast,
    exp.DPipe: Expressions._joined,
    exp.Anonymous: Expressions._call,
    exp.AnonymousAggFunc: Expressions._call,
    exp.ParameterizedAgg: Expressions._call,
    exp.Window: Expressions._window,
    **dict.fromkeys(_ARITHMETIC, Expressions._arithmetic),
    **dict.fromkeys(_COMPARISONS, Expressions._compared),
}
