"""What a WHERE lets through, as far as that is known before the query runs.

Files of the archive outside of its moments need not be read; and of each file only a stretch
where rows of a few values of index1, by which they are sorted, are asked for.
"""

import datetime as dt
from collections.abc import Callable
from typing import NamedTuple

from sqlglot import exp

from persistence.dialect import times
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.made import Made


class Range(NamedTuple):
    """The first and the last moment, both included; None where there is no bound.

    prunes  index1 is one of the values that the query names
    """

    first: dt.datetime | None = None
    last: dt.datetime | None = None
    prunes: bool = False


class Ranges:
    """Finds it for one SELECT from the table of events; `make` makes what is compared."""

    def __init__(self, make: Callable[[exp.Expr], Made]) -> None:
        self._make = make

    def of(self, where: exp.Expr) -> Range:
        """What a WHERE lets through, where its own ANDs say so."""
        first: dt.datetime | None = None
        last: dt.datetime | None = None
        prunes = False
        for node in _conjuncts(where):
            low, high, _ = self._bounds(node)
            first = max((one for one in (first, low) if one is not None), default=None)
            last = min((one for one in (last, high) if one is not None), default=None)
            prunes = prunes or self._names_index(node)
        return Range(first, last, prunes)

    def _names_index(self, node: exp.Expr) -> bool:
        """Whether it is `index1 = 'text'`, or `index1 IN ('text', ...)`."""
        if isinstance(node, exp.EQ):
            values = [node.expression]
        elif isinstance(node, exp.In):
            values = node.expressions
        else:
            return False
        are_texts = bool(values) and all(isinstance(one, exp.Literal) for one in values)
        return are_texts and self._column(node.this, "index1") is not None

    def _bounds(self, node: exp.Expr) -> Range:
        if isinstance(node, exp.Between):
            time = self._column(node.this, "timestamp")
            if time is None:
                return Range()
            low, high = (self._moment(node.args[name], time) for name in ("low", "high"))
            return Range(low, high)
        if not isinstance(node, exp.EQ | exp.GT | exp.GTE | exp.LT | exp.LTE):
            return Range()
        above = isinstance(node, exp.EQ | exp.GT | exp.GTE)
        below = isinstance(node, exp.EQ | exp.LT | exp.LTE)
        if (time := self._column(node.this, "timestamp")) is not None:
            moment = self._moment(node.expression, time)
        elif (time := self._column(node.expression, "timestamp")) is not None:
            moment = self._moment(node.this, time)
            if not isinstance(node, exp.EQ):
                above, below = below, above
        else:
            return Range()
        return Range(moment if above else None, moment if below else None)

    def _column(self, node: exp.Expr, name: str) -> Made | None:
        """That column of the table itself, in whatever zone it is shown; else None."""
        if not isinstance(node, exp.Column):
            return None
        found = self._make(node)
        return found if found.sql.endswith(f'."{name}"') else None

    def _moment(self, node: exp.Expr, time: Made) -> dt.datetime | None:
        """When a moment is that is known before running; else None.

        time  what it is compared with: a text is read by the clocks of its zone
        """
        try:
            found = self._make(node)
            if isinstance(found.value, str):
                return _parsed(found.value, time.kind.zone)
            if isinstance(found.value, int) and not isinstance(found.value, bool):
                return dt.datetime.fromtimestamp(found.value, dt.UTC)
        except (InvalidQuery, ValueError, OverflowError, OSError):
            return None
        if isinstance(found.value, dt.datetime):
            return found.value.astimezone(dt.UTC)
        return None


def _parsed(value: str, zone: str | None) -> dt.datetime | None:
    """A text in a comparison with `timestamp` as a moment."""
    moment = times.parsed(value, zone).value
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
