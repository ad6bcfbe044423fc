"""From a node of sqlglot's tree to SQL of ours: the allow-list of kinds of nodes.

Nothing of the user's text reaches the database but the values of literals. A node, an argument
of a node, or a function that is not named here is refused.
"""

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final, Protocol

from sqlglot import exp

from persistence.dialect import aggregates, functions, kinds, made, times
from persistence.dialect.aggregates import AGGREGATES, WINDOWS, Call, Core
from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.made import Made, of

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
_INTEGER_MAX: Final = 2**64 - 1


class Surroundings(aggregates.Around, Protocol):
    """The query around an expression."""

    extra: bool
    now: dt.datetime

    def column(self, node: exp.Column) -> Made: ...
    def is_grouped(self, sql: str) -> bool: ...
    def subquery(self, node: exp.Expr, where: str) -> tuple[str, Made]: ...
    def spend(self) -> None: ...
    def inside_aggregate(self, *, inside: bool) -> bool: ...


def only(node: exp.Expr, *known: str) -> None:
    """Refuse a node that has more to it than these arguments."""
    for name, value in node.args.items():
        if value and name not in known:
            told = name.rstrip("_").replace("_", " ").upper()
            raise InvalidQuery(f"unsupported in a query: {told}")


class Expressions:
    """Makes expressions within the surroundings of one SELECT."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def make(self, node: exp.Expr) -> Made:
        """The SQL and the type of a node. Raises InvalidQuery."""
        self._around.spend()
        maker = _MAKERS.get(type(node))
        if maker is None:
            raise InvalidQuery(f"unsupported expression type: {_named(node)}")
        found: Made = maker(self, node)
        if found.loose is not None and self._around.is_grouped(found.sql):
            return replace(found, loose=None)
        return found

    # -- leaves -------------------------------------------------------------------------------

    def _literal(self, node: exp.Literal) -> Made:
        value = str(node.this)
        if node.is_string:
            return made.texted(value)
        return _number(value)

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
            found = _calculated(operator, found, self.make(right))
            if found.loose is not None and self._around.is_grouped(found.sql):
                found = replace(found, loose=None)
        return found

    def _negated(self, node: exp.Neg) -> Made:
        only(node, "this")
        inner = node.this
        if isinstance(inner, exp.Literal) and not inner.is_string:
            value = _number(str(inner.this)).value
            return (
                made.counted(-value)
                if isinstance(value, int)
                else made.floated(-float(str(value)))
            )
        part = self.make(inner)
        sql = made.number(part, "-")
        if part.kind.base == "Float64":
            return of(f"(-({sql}))", kinds.FLOAT64, part)
        kind = kinds.Kind("Int", min(64, 2 * part.kind.bits), signed=True)
        return of(f"(-(({sql})::BIGINT))", kind, part)

    def _connected(self, node: exp.Connector) -> Made:
        word = "AND" if isinstance(node, exp.And) else "OR"
        parts = [self.make(one) for one in _flat(node)]
        sql = f" {word} ".join(made.condition(part, word) for part in parts)
        return of(f"({sql})", kinds.UINT8, *parts, truth=True)

    def _not(self, node: exp.Not) -> Made:
        only(node, "this")
        part = self.make(node.this)
        return of(f"(NOT {made.condition(part, 'NOT')})", kinds.UINT8, part, truth=True)

    def _compared(self, node: exp.Binary) -> Made:
        only(node, "this", "expression")
        return _comparison(
            _COMPARISONS[type(node)], self.make(node.this), self.make(node.expression)
        )

    def _between(self, node: exp.Between) -> Made:
        only(node, "this", "low", "high")
        what = self.make(node.this)
        low = _comparison(">=", what, self.make(node.args["low"]))
        high = _comparison("<=", what, self.make(node.args["high"]))
        return of(f"({low.sql} AND {high.sql})", kinds.UINT8, low, high, truth=True)

    def _in(self, node: exp.In) -> Made:
        only(node, "this", "expressions", "query")
        what = self.make(node.this)
        if node.args.get("query") is not None:
            if not self._around.extra:
                raise InvalidQuery("unsupported expression type: IN with a sub-query")
            query, column = self._around.subquery(node.args["query"], "IN")
            kinds.common([what.kind, column.kind], "IN")
            return of(f"({what.sql} IN {query})", kinds.UINT8, what, truth=True)
        if not node.expressions:
            raise InvalidQuery("IN takes a list of values in brackets")
        pairs = [_matched(what, self.make(value)) for value in node.expressions]
        left = pairs[0][0]
        if all(pair[0] == left for pair in pairs):
            sql = f"({left} IN ({', '.join(right for _, right, _ in pairs)}))"
        else:
            sql = "(" + " OR ".join(f"{one} = {right}" for one, right, _ in pairs) + ")"
        return of(sql, kinds.UINT8, what, *(part for *_, part in pairs), truth=True)

    def _like(self, node: exp.Binary) -> Made:
        only(node, "this", "expression", "negate")
        word = "ILIKE" if isinstance(node, exp.ILike) else "LIKE"
        what, pattern = self.make(node.this), self.make(node.expression)
        sql = f"{made.text(what, word)} {word} {_pattern(pattern, word)}"
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
                condition = _comparison("=", subject, condition)
            cases.append((condition, self.make(one.args["true"])))
        default = node.args.get("default")
        otherwise = None if default is None else self.make(default)
        return functions.chosen(cases, otherwise, "CASE")

    def _if(self, node: exp.If) -> Made:
        only(node, "this", "true", "false")
        if node.args.get("true") is None or node.args.get("false") is None:
            raise InvalidQuery("if takes a condition and two values")
        parts = [self.make(node.args[name]) for name in ("this", "true", "false")]
        return functions.choose(*parts)

    def _extract(self, node: exp.Extract) -> Made:
        only(node, "this", "expression")
        name = functions.EXTRACTED.get(node.this.name.upper())
        if name is None:
            raise InvalidQuery(f"extract does not know the unit {short(node.this.name)}")
        return functions.FUNCTIONS[name].make(self.make(node.expression))

    def _position(self, node: exp.StrPosition) -> Made:
        only(node, "this", "substr")
        return functions.position(self.make(node.args["substr"]), self.make(node.this))

    def _cast(self, node: exp.Cast) -> Made:
        only(node, "this", "to")
        name = functions.CASTS.get(node.to.this.name) if node.to.this else None
        if not self._around.extra or name is None or node.to.expressions:
            raise InvalidQuery("unsupported expression type: CAST")
        return functions.FUNCTIONS[name].make(self.make(node.this))

    # -- calls --------------------------------------------------------------------------------

    def _call(self, node: exp.Expr) -> Made:
        name = _name_of(node)
        if name in AGGREGATES or name.removesuffix("if") in AGGREGATES:
            return self._aggregate(node)
        only(node, "this", "expressions")
        function = functions.FUNCTIONS.get(name)
        if name in {"now", "today"} and not node.expressions:
            return self._clock(name)
        if function is None or (function.extra and not self._around.extra):
            told = "a function of a window" if name in WINDOWS else "unknown function"
            raise InvalidQuery(f'{told}: "{short(_told(node))}"')
        args = [self.make(argument) for argument in node.expressions]
        if not function.fewest <= len(args) <= function.most:
            raise InvalidQuery(
                f"{short(_told(node))} takes {_count(function.fewest, function.most)}, "
                f"not {len(args)}"
            )
        return function.make(*args)

    def _clock(self, name: str) -> Made:
        if name == "now":
            return made.instant(self._around.now)
        day = self._around.now.date()
        return Made(f"DATE '{day.isoformat()}'", kinds.DATE, value=day)

    def _aggregate(self, node: exp.Expr) -> Made:
        core, only_if, parts = self._core(node)
        sql = core.wrap.format(core.sql + only_if)
        found = of(sql, core.kind, *parts)
        return replace(found, aggregate=True, loose=None)

    def _core(self, node: exp.Expr, *, over: bool = False) -> tuple[Core, str, list[Made]]:
        """An aggregate, its FILTER, and what it was made of."""
        name = _name_of(node)
        has_if = name not in AGGREGATES
        aggregate = AGGREGATES[name.removesuffix("if") if has_if else name]
        extra = aggregate.extra or (has_if and aggregate.extra_if)
        if (extra and not self._around.extra) or (has_if and not aggregate.has_if):
            raise InvalidQuery(f'unknown function: "{short(_told(node))}"')
        if over and not aggregate.over:
            raise InvalidQuery(f"{short(_told(node))} cannot have a window")
        call, condition = self._arguments(node, aggregate, has_if=has_if, over=over)
        core = aggregate.make(call, self._around)
        conditions = [core.only] if core.only else []
        parts = [*call.args]
        if condition is not None:
            conditions.insert(0, made.condition(condition, _told(node)))
            parts.append(condition)
        filtered = f" FILTER (WHERE {' AND '.join(conditions)})" if conditions else ""
        return core, filtered, parts

    def _arguments(
        self, node: exp.Expr, aggregate: aggregates.Aggregate, *, has_if: bool, over: bool
    ) -> tuple[Call, Made | None]:
        told = _told(node)
        params, given = [], list(node.expressions)
        if isinstance(node, exp.ParameterizedAgg):
            only(node, "this", "expressions", "params")
            params, given = given, list(node.args["params"])
        else:
            only(node, "this", "expressions")
        distinct = star = False
        if len(given) == 1 and isinstance(given[0], exp.Distinct):
            only(given[0], "expressions")
            distinct, given = True, list(given[0].expressions)
        elif len(given) == 1 and isinstance(given[0], exp.Star):
            only(given[0])
            star, given = True, []
        if (star and (not self._around.extra or _name_of(node) != "count")) or (
            distinct and (not aggregate.distinct or has_if or not given)
        ):
            raise InvalidQuery(f"unsupported argument of {short(told)}")
        was_inside = self._around.inside_aggregate(inside=True) if not over else None
        args = [self.make(one) for one in given]
        made_params = tuple(self.make(one) for one in params)
        if was_inside is not None:
            self._around.inside_aggregate(inside=was_inside)
        if was_inside or (not over and any(arg.aggregate for arg in args)):
            raise InvalidQuery(f"an aggregate stands inside of {short(told)}")
        condition = args.pop() if has_if and args else None
        fits = aggregate.fewest <= len(args) <= aggregate.most
        if not fits or len(made_params) > aggregate.params or (has_if and condition is None):
            takes = _count(aggregate.fewest + has_if, aggregate.most + has_if)
            raise InvalidQuery(f"{short(told)} takes {takes}, not {len(given)}")
        if any(arg.windowed for arg in args):
            raise InvalidQuery(f"a window stands inside of {short(told)}")
        return Call(told, made_params, tuple(args), distinct, star), condition

    # -- windows ------------------------------------------------------------------------------

    def _window(self, node: exp.Window) -> Made:
        only(node, "this", "partition_by", "order", "spec", "over")
        if not self._around.extra or node.args.get("over") not in {None, "OVER"}:
            raise InvalidQuery("unsupported expression type: a window")
        keys = [self.make(key) for key in node.args.get("partition_by") or ()]
        ordered, by = self._window_order(node.args.get("order"))
        pieces = []
        if keys:
            pieces.append("PARTITION BY " + ", ".join(key.sql for key in keys))
        if ordered:
            pieces.append("ORDER BY " + ", ".join(ordered))
        pieces += _frame(node.args.get("spec"))
        sql, kind, parts = self._window_function(node.this, f" OVER ({' '.join(pieces)})")
        return replace(of(sql, kind, *parts, *keys, *by), windowed=True)

    def _window_order(self, order: exp.Expr | None) -> tuple[list[str], list[Made]]:
        told, parts = [], []
        for one in [] if order is None else order.expressions:
            only(one, "this", "desc", "nulls_first")
            part = self.make(one.this)
            parts.append(part)
            told.append(f"{part.sql} {'DESC' if one.args.get('desc') else 'ASC'} NULLS LAST")
        return told, parts

    def _window_function(self, node: exp.Expr, over: str) -> tuple[str, kinds.Kind, list[Made]]:
        if not isinstance(node, exp.Anonymous | exp.AnonymousAggFunc | exp.ParameterizedAgg):
            raise InvalidQuery(f"unsupported function of a window: {_named(node)}")
        name = _name_of(node)
        if name not in WINDOWS:
            if name not in AGGREGATES and name.removesuffix("if") not in AGGREGATES:
                raise InvalidQuery(f'unknown function of a window: "{short(_told(node))}"')
            core, filtered, parts = self._core(node, over=True)
            return core.wrap.format(core.sql + filtered + over), core.kind, parts
        only(node, "this", "expressions")
        pattern, most = WINDOWS[name]
        args = [self.make(argument) for argument in node.expressions]
        if "{1}" in pattern and len(args) == 1:
            args.append(made.counted(1))
        if len(args) != most:
            raise InvalidQuery(f"{short(_told(node))} takes {_count(most, most)}")
        kind = args[0].kind if most == 2 else kinds.UINT64
        if name == "percent_rank":
            kind = kinds.FLOAT64
        if most:
            made.constant_integer(args[-1], f"the number of {short(_told(node))}")
        return pattern.format(*(arg.sql for arg in args)) + over, kind, args


# -- pieces -----------------------------------------------------------------------------------


def _number(value: str) -> Made:
    try:
        if value.isascii() and value.isdigit():
            return made.counted(int(value)) if len(value) <= 20 else made.floated(float(value))
        return made.floated(float(value))
    except (ValueError, OverflowError):
        raise InvalidQuery(f'"{short(value)}" is no number') from None


def _calculated(operator: str, left: Made, right: Made) -> Made:
    if right.kind.base == "Interval" and operator in "+-":
        return times.shifted(left, right, back=operator == "-")
    if left.kind.base == "Interval" and operator == "+":
        return times.shifted(right, left, back=False)
    if left.kind.is_time or right.kind.is_time:
        return _with_time(operator, left, right)
    if operator == "/":
        a, b = made.double(left, "/"), made.double(right, "/")
        return of(f"({a} / {b})", kinds.FLOAT64, left, right)
    kind = kinds.of_arithmetic(operator, left.kind, right.kind)
    convert = made.double if kind.base == "Float64" else made.integer
    a, b = convert(left, operator), convert(right, operator)
    if operator == "%" and kind.base == "Int" and right.value in {None, 0}:
        b = f"nullif({b}, 0)"
    return of(f"({a} {operator} {b})", kind, left, right)


def _with_time(operator: str, left: Made, right: Made) -> Made:
    if left.kind.is_time and right.kind.is_time and operator == "-":
        first, last = times.seconds_of(left), times.seconds_of(right)
        if left.kind.base == right.kind.base == "Date":
            return of(f"({left.sql} - {right.sql})::BIGINT", kinds.INT32, left, right)
        return of(f"({first} - {last})", kinds.INT32, left, right)
    if left.kind.is_time and right.kind.base == "Int" and operator in "+-":
        unit = "DAY" if left.kind.base == "Date" else "SECOND"
        if isinstance(right.value, int):
            return times.shifted(left, times.span(str(right.value), unit), back=operator == "-")
    raise InvalidQuery(f"{left.kind.name} {operator} {right.kind.name} has no meaning")


def _comparison(operator: str, left: Made, right: Made) -> Made:
    a, b, part = _matched(left, right)
    return of(f"({a} {operator} {b})", kinds.UINT8, left, part, truth=True)


def _matched(left: Made, right: Made) -> tuple[str, str, Made]:
    """Both sides of a comparison as SQL of one type, and the right one as it was understood."""
    if left.kind.is_time or right.kind.is_time:
        return _matched_times(left, right)
    if left.kind.is_number and right.kind.is_number:
        if left.truth and right.truth:
            return left.sql, right.sql, right
        return made.number(left, "a comparison"), made.number(right, "a comparison"), right
    if left.kind.base == "Array" or right.kind.base == "Array":
        raise InvalidQuery("arrays cannot be compared")
    if left.kind.is_number and isinstance(right.value, str):
        right = _number_of(right.value)
        return made.number(left, "a comparison"), right.sql, right
    if right.kind.is_number and isinstance(left.value, str):
        return _number_of(left.value).sql, made.number(right, "a comparison"), right
    kinds.common([left.kind, right.kind], "a comparison")
    return left.sql, right.sql, right


def _number_of(value: str) -> Made:
    return (
        made.counted(-int(value[1:]))
        if value[:1] == "-" and value[1:].isdigit()
        else _number(value)
    )


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


def _pattern(pattern: Made, word: str) -> str:
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


def _frame(spec: exp.Expr | None) -> list[str]:
    if spec is None:
        return []
    only(spec, "kind", "start", "start_side", "end", "end_side")
    kind = str(spec.args.get("kind") or "").upper()
    if kind not in {"ROWS", "RANGE"}:
        raise InvalidQuery("a window has ROWS or RANGE")
    first = _border(spec.args.get("start"), spec.args.get("start_side"))
    if spec.args.get("end") is None:
        return [f"{kind} {first}"]
    return [
        f"{kind} BETWEEN {first} AND {_border(spec.args['end'], spec.args.get('end_side'))}"
    ]


def _border(border: Any, side: Any) -> str:  # noqa: ANN401  # sqlglot has texts and nodes here
    told = str(side or "").upper()
    if isinstance(border, exp.Literal) and str(border.this).isdigit() and told in _SIDES:
        return f"{int(str(border.this))} {told}"
    if str(border).upper() == "CURRENT ROW":
        return "CURRENT ROW"
    if str(border).upper() == "UNBOUNDED" and told in _SIDES:
        return f"UNBOUNDED {told}"
    raise InvalidQuery("the border of a window must be a whole number of rows")


_SIDES: Final = ("PRECEDING", "FOLLOWING")


def _flat(node: exp.Expr) -> Iterator[exp.Expr]:
    """The members of a AND b AND c, however long, from left to right."""
    waiting, kind = [node], type(node)
    while waiting:
        one = waiting.pop()
        if type(one) is kind:
            only(one, "this", "expression")
            waiting += [one.expression, one.this]
        else:
            yield one


def _told(node: exp.Expr) -> str:
    """The name of a function as it was written."""
    name = node.this
    return str(name.this if isinstance(name, exp.Identifier) else name)


def _name_of(node: exp.Expr) -> str:
    return _told(node).lower()


def _named(node: exp.Expr) -> str:
    name = type(node).__name__
    return short(
        "".join(f" {letter}" if letter.isupper() else letter for letter in name).strip().upper()
    )


def _count(fewest: int, most: int) -> str:
    few = f"{fewest} argument" + ("s" if fewest != 1 else "")
    return few if fewest == most else f"{fewest} to {most} arguments"


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
    exp.Anonymous: Expressions._call,
    exp.AnonymousAggFunc: Expressions._call,
    exp.ParameterizedAgg: Expressions._call,
    exp.Window: Expressions._window,
    **dict.fromkeys(_ARITHMETIC, Expressions._arithmetic),
    **dict.fromkeys(_COMPARISONS, Expressions._compared),
}
