"""Functions over windows: OVER, with its keys, its order and its frame."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from sqlglot import exp

from persistence.dialect import estimates, kinds, made
from persistence.dialect.aggregates import AGGREGATES, WINDOWS, Core
from persistence.dialect.calls import Around, Calls, count_told
from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.made import Made, of
from persistence.dialect.nodes import name_of, named, only, told_name
from persistence.dialect.ordering import direction

_SIDES: Final = ("PRECEDING", "FOLLOWING")
_NUMBER_OF_ROWS: Final = re.compile("[0-9]{1,18}")


class Windows:
    """Makes them within one SELECT; `make` makes what stands inside, `calls` the aggregates."""

    def __init__(self, around: Around, make: Callable[[exp.Expr], Made], calls: Calls) -> None:
        self._around = around
        self._make = make
        self._calls = calls

    def make(self, node: exp.Window) -> Made:
        """A function with its window. Raises InvalidQuery."""
        only(node, "this", "partition_by", "order", "spec", "over")
        if not self._around.extra or node.args.get("over") not in {None, "OVER"}:
            raise InvalidQuery("unsupported expression type: a window")
        keys = [self._make(key) for key in node.args.get("partition_by") or ()]
        ordered, by = self._order(node.args.get("order"))
        pieces = []
        if keys:
            pieces.append("PARTITION BY " + ", ".join(key.sql for key in keys))
        if ordered:
            pieces.append("ORDER BY " + ", ".join(ordered))
        pieces += _frame(node.args.get("spec"))
        core, filtered, parts = self._function(node.this)
        sql = core.wrap.format(f"{core.sql}{filtered} OVER ({' '.join(pieces)})")
        found = replace(of(sql, core.kind, *parts, *keys, *by), windowed=True)
        return estimates.over_window(found, core.rule, parts, self._around.read)

    def _order(self, order: exp.Expr | None) -> tuple[list[str], list[Made]]:
        told, parts = [], []
        for one in [] if order is None else order.expressions:
            only(one, "this", "desc", "nulls_first")
            part = self._make(one.this)
            parts.append(part)
            told.append(f"{part.sql} {direction(one)}")
        return told, parts

    def _function(self, node: exp.Expr) -> tuple[Core, str, list[Made]]:
        if not isinstance(node, exp.Anonymous | exp.AnonymousAggFunc | exp.ParameterizedAgg):
            raise InvalidQuery(f"unsupported function of a window: {named(node)}")
        name = name_of(node)
        if name not in WINDOWS:
            if name not in AGGREGATES and name.removesuffix("if") not in AGGREGATES:
                raise InvalidQuery(f'unknown function of a window: "{short(told_name(node))}"')
            return self._calls.core(node, over=True)
        only(node, "this", "expressions")
        pattern, most = WINDOWS[name]
        args = [self._make(argument) for argument in node.expressions]
        if "{1}" in pattern and len(args) == 1:
            args.append(made.counted(1))
        if len(args) != most:
            raise InvalidQuery(f"{short(told_name(node))} takes {count_told(most, most)}")
        kind = args[0].kind if most == 2 else kinds.UINT64
        if name == "percent_rank":
            kind = kinds.FLOAT64
        if most:
            made.constant_integer(args[-1], f"the number of {short(told_name(node))}")
        return Core(pattern.format(*(arg.sql for arg in args)), kind), "", args


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
    if (
        isinstance(border, exp.Literal)
        and told in _SIDES
        and _NUMBER_OF_ROWS.fullmatch(str(border.this))
    ):
        return f"{border.this} {told}"
    if str(border).upper() == "CURRENT ROW":
        return "CURRENT ROW"
    if str(border).upper() == "UNBOUNDED" and told in _SIDES:
        return f"UNBOUNDED {told}"
    raise InvalidQuery("the border of a window must be a whole number of rows")
