"""Which moments a WHERE lets through, as far as that is known before the query runs.

Files of the archive outside of them need not be read.
"""

import datetime as dt
from collections.abc import Callable
from typing import NamedTuple

from sqlglot import exp

from persistence.dialect import times
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.made import Made


class Range(NamedTuple):
    """The first and the last moment, both included; None where there is no bound."""

    first: dt.datetime | None = None
    last: dt.datetime | None = None


class Ranges:
    """Finds them for one SELECT from the table of events; `make` makes what is compared."""

    def __init__(self, make: Callable[[exp.Expr], Made]) -> None:
        self._make = make

    def of(self, where: exp.Expr) -> Range:
        """The moments that a WHERE lets through, where its own ANDs say so; else None."""
        first: dt.datetime | None = None
        last: dt.datetime | None = None
        for node in _conjuncts(where):
            low, high = self._bounds(node)
            first = max((one for one in (first, low) if one is not None), default=None)
            last = min((one for one in (last, high) if one is not None), default=None)
        return Range(first, last)

    def _bounds(self, node: exp.Expr) -> Range:
        if isinstance(node, exp.Between):
            if self._is_timestamp(node.this):
                return Range(self._moment(node.args["low"]), self._moment(node.args["high"]))
            return Range()
        if not isinstance(node, exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
            return Range()
        above = isinstance(node, exp.EQ | exp.GT | exp.GTE)
        below = isinstance(node, exp.EQ | exp.LT | exp.LTE)
        if self._is_timestamp(node.this):
            moment = self._moment(node.expression)
        elif self._is_timestamp(node.expression):
            moment = self._moment(node.this)
            if not isinstance(node, exp.EQ):
                above, below = below, above
        else:
            return Range()
        return Range(moment if above else None, moment if below else None)

    def _is_timestamp(self, node: exp.Expr) -> bool:
        if not isinstance(node, exp.Column):
            return False
        found = self._make(node)
        return found.sql.endswith('."timestamp"')

    def _moment(self, node: exp.Expr) -> dt.datetime | None:
        """When a moment is that is known before running; else None."""
        try:
            found = self._make(node)
            if isinstance(found.value, str):
                return _parsed(found.value)
            if isinstance(found.value, int) and not isinstance(found.value, bool):
                return dt.datetime.fromtimestamp(found.value, dt.UTC)
        except (InvalidQuery, ValueError, OverflowError, OSError):
            return None
        if isinstance(found.value, dt.datetime):
            return found.value.astimezone(dt.UTC)
        return None


def _parsed(value: str) -> dt.datetime | None:
    """A text in a comparison with `timestamp` as a moment."""
    moment = times.parsed(value, None).value
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
