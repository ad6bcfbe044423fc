"""Columns of weights that windows add to the rows of a SELECT before they are grouped."""

from collections.abc import Sequence
from typing import NamedTuple

from persistence.dialect.errors import InvalidQuery
from persistence.dialect.made import Made
from persistence.dialect.scope import Scope


class _Column(NamedTuple):
    """A sum over a window, in pieces: what rows are grouped by is known last.

    told   what is added up
    also   what makes its groups smaller than those of the SELECT
    order  of the rows, and its frame
    """

    told: str
    also: tuple[str, ...] = ()
    order: str = ""

    def within(self, groups: Sequence[str]) -> str:
        """Its SQL where rows are grouped by these."""
        keys = [*groups, *self.also]
        by = [f"PARTITION BY {', '.join(keys)}"] if keys else []
        window = [*by, self.order] if self.order else by
        return f"sum({self.told}) OVER ({' '.join(window)})"


class Weights:
    """Those of one SELECT."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._names: dict[_Column, str] = {}

    def __bool__(self) -> bool:
        return bool(self._names)

    def running(self, value: Made, weight: Made) -> tuple[str, str]:
        """The columns of the weight up to a value, and of all of them, within a group."""
        counted = f"({value.sql}) IS NULL"
        if value.kind.base == "Float64":
            counted += f" OR isnan({value.sql})"
        told = f"CASE WHEN {counted} THEN 0 ELSE {weight.sql} END"
        order = f"ORDER BY {value.sql} ROWS UNBOUNDED PRECEDING"
        return self._added(_Column(told, order=order)), self._added(_Column(told))

    def of_value(self, value: Made, weight: Made) -> str:
        """The column of the weight of one value within a group."""
        return self._added(_Column(weight.sql, also=(value.sql,)))

    def added_to(self, rows: str, groups: Sequence[str]) -> str:
        """FROM a sub-query of `rows`, which is a FROM with its WHERE, and of these columns."""
        (source,) = self._scope.sources
        added = ", ".join(
            f"{column.within(groups)} AS {name}" for column, name in self._names.items()
        )
        return f" FROM (SELECT {source.sql_name}.*, {added}{rows}) AS {source.sql_name}"

    def _added(self, column: _Column) -> str:
        if len(self._scope.sources) != 1:
            raise InvalidQuery("weighted quantiles and topKWeighted need a single table")
        name = self._names.setdefault(column, f"w{len(self._names)}")
        return f"{self._scope.sources[0].sql_name}.{name}"
