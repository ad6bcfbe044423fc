"""Calls of functions: those of one row, and those that make one value out of many rows."""

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from sqlglot import exp

from persistence.dialect import aggregates, estimates, functions, kinds, made
from persistence.dialect.aggregates import AGGREGATES, WINDOWS, Call, Core
from persistence.dialect.errors import InvalidQuery, meant, short
from persistence.dialect.made import Made, of
from persistence.dialect.nodes import name_of, only, told_name


class Around(aggregates.Around, Protocol):
    """The query around a call."""

    extra: bool
    now: dt.datetime

    def inside_aggregate(self, *, inside: bool) -> bool: ...


class Calls:
    """Makes calls within the surroundings of one SELECT; `make` makes their arguments."""

    def __init__(self, around: Around, make: Callable[[exp.Expr], Made]) -> None:
        self._around = around
        self._make = make

    def make(self, node: exp.Expr) -> Made:
        """A call of a function or an aggregate, without a window. Raises InvalidQuery."""
        name = name_of(node)
        if name in AGGREGATES or name.removesuffix("if") in AGGREGATES:
            return self._aggregate(node)
        function = functions.FUNCTIONS.get(name)
        if name in {"now", "today"}:
            if node.expressions:
                given = len(node.expressions)
                raise InvalidQuery(f"{short(told_name(node))} takes 0 arguments, not {given}")
            return self._clock(name)
        if function is None or (function.extra and not self._around.extra):
            if name in WINDOWS and self._around.extra:
                told = short(told_name(node))
                raise InvalidQuery(f"{told} needs a window: {told}(...) OVER (ORDER BY ...)")
            raise self._unknown(node)
        only(node, "this", "expressions")
        args = [self._make(argument) for argument in node.expressions]
        if not function.fewest <= len(args) <= function.most:
            raise InvalidQuery(
                f"{short(told_name(node))} takes {count_told(function.fewest, function.most)}, "
                f"not {len(args)}"
            )
        return function.make(*args)

    def _unknown(self, node: exp.Expr) -> InvalidQuery:
        name, extra = told_name(node), self._around.extra
        known = (*functions.names(extra=extra), *aggregates.names(extra=extra))
        return InvalidQuery(f'unknown function: "{short(name)}"{meant(name, known)}')

    def _clock(self, name: str) -> Made:
        if name == "now":
            return made.instant(self._around.now)
        day = self._around.now.date()
        return Made(f"DATE '{day.isoformat()}'", kinds.DATE, value=day)

    def _aggregate(self, node: exp.Expr) -> Made:
        core, only_if, parts = self.core(node)
        found = of(core.wrap.format(core.sql + only_if), core.kind, *parts)
        return estimates.aggregate(
            replace(found, aggregate=True, loose=None),
            core.rule,
            core.value,
            parts=parts,
            filtered=only_if,
            read=self._around.read,
            interval=self._around.interval,
        )

    def core(self, node: exp.Expr, *, over: bool = False) -> tuple[Core, str, list[Made]]:
        """An aggregate, its FILTER, and what it was made of."""
        name = name_of(node)
        has_if = name not in AGGREGATES
        aggregate = AGGREGATES[name.removesuffix("if") if has_if else name]
        extra = aggregate.extra or (has_if and aggregate.extra_if)
        if (extra and not self._around.extra) or (has_if and not aggregate.has_if):
            raise self._unknown(node)
        if over and not aggregate.over:
            raise InvalidQuery(f"{short(told_name(node))} cannot have a window")
        call, condition = self._arguments(node, aggregate, has_if=has_if, over=over)
        core = aggregate.make(call, self._around)
        conditions = [core.only] if core.only else []
        parts = [*call.args]
        if condition is not None:
            conditions.insert(0, made.condition(condition, told_name(node)))
            parts.append(condition)
        filtered = f" FILTER (WHERE {' AND '.join(conditions)})" if conditions else ""
        return core, filtered, parts

    def _arguments(
        self, node: exp.Expr, aggregate: aggregates.Aggregate, *, has_if: bool, over: bool
    ) -> tuple[Call, Made | None]:
        told = told_name(node)
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
        if (star and (not self._around.extra or name_of(node) != "count")) or (
            distinct and (not aggregate.distinct or has_if or not given)
        ):
            raise InvalidQuery(f"unsupported argument of {short(told)}")
        was_inside = self._around.inside_aggregate(inside=True) if not over else None
        args = [self._make(one) for one in given]
        made_params = tuple(self._make(one) for one in params)
        if was_inside is not None:
            self._around.inside_aggregate(inside=was_inside)
        if was_inside or (not over and any(arg.aggregate for arg in args)):
            raise InvalidQuery(f"an aggregate cannot stand inside of {short(told)}")
        condition = args.pop() if has_if and args else None
        fits = aggregate.fewest <= len(args) <= aggregate.most
        if not fits or len(made_params) > aggregate.params or (has_if and condition is None):
            takes = count_told(aggregate.fewest + has_if, aggregate.most + has_if)
            raise InvalidQuery(f"{short(told)} takes {takes}, not {len(given)}")
        if any(arg.windowed for arg in args):
            raise InvalidQuery(f"a window cannot stand inside of {short(told)}")
        return Call(told, made_params, tuple(args), distinct, star, over), condition


def count_told(fewest: int, most: int) -> str:
    """How many arguments something takes, in words."""
    few = f"{fewest} argument" + ("s" if fewest != 1 else "")
    return few if fewest == most else f"{fewest} to {most} arguments"
