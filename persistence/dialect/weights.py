"""Columns of weights that windows add to the rows of a SELECT before they are grouped."""

from collections.abc import Sequence

from persistence.dialect.errors import InvalidQuery
from persistence.dialect.made import Made
from persistence.dialect.scope import Scope


class Weights:
    """Those of one SELECT. In their SQL `{by}` stands for what the rows are grouped by."""

    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self._names: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._names)

    def running(self, value: Made, weight: Made) -> tuple[str, str]:
        """The columns of the weight up to a value, and of all of them, within a group."""
        counted = f"({value.sql}) IS NULL"
        if value.kind.base == "Float64":
            counted += f" OR isnan({value.sql})"
        told = f"CASE WHEN {counted} THEN 0 ELSE {weight.sql} END"
        running = self._added(
            f"sum({told}) OVER ({{by}} ORDER BY {value.sql} ROWS UNBOUNDED PRECEDING)"
        )
        return running, self._added(f"sum({told}) OVER ({{by}})")

    def of_value(self, value: Made, weight: Made) -> str:
        """The column of the weight of one value within a group."""
        return self._added(f"sum({weight.sql}) OVER ({{by+}}{value.sql})")

    def added_to(self, rows: str, groups: Sequence[str]) -> str:
        """FROM a sub-query of `rows`, which is a FROM with its WHERE, and of these columns."""
        (source,) = self._scope.sources
        by = f"PARTITION BY {', '.join(groups)}" if groups else ""
        also = by + ", " if by else "PARTITION BY "
        added = ", ".join(
            f"{sql.replace('{by+}', also).replace('{by}', by)} AS {name}"
            for sql, name in self._names.items()
        )
        return f" FROM (SELECT {source.sql_name}.*, {added}{rows}) AS {source.sql_name}"

    def _added(self, sql: str) -> str:
        if len(self._scope.sources) != 1:
            raise InvalidQuery("weighted quantiles and topKWeighted need a single table")
        name = self._names.setdefault(sql, f"w{len(self._names)}")
        return f"{self._scope.sources[0].sql_name}.{name}"
