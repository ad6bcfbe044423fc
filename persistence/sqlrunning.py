"""One run of a query over files: from the SQL of the dialect to the pieces of an answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import duckdb

from persistence import arrow, sqlformat, tabular
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.query import Query
from persistence.tabular import Format, TextFormat

ROWS_AT_ONCE: Final = 2_048


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one query may use; of its time `left_s` is left.

    budget_s  seconds after which an answer over a sample will do; None: over all rows alone
    """

    deadline_s: float
    left_s: float
    rows_max: int
    bytes_max: int
    budget_s: float | None = None


class Running:
    """One run. `pieces` may be read once; then `rows` says how many there were.

    interval  one row of so many is read
    sampled   the answer says so, also where all are read
    report    the format of a report, which wins over that of the query; None: there is none
    """

    def __init__(
        self,
        query: Query,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[str],
        *,
        limits: Limits,
        unit: bool,
        quoted_integers: bool,
        interval: int = 1,
        sampled: bool = False,
        report: Format | None = None,
    ) -> None:
        self._query = query
        self._connection = connection
        self._limits = limits
        self._interval = interval
        self._sampled = sampled
        self._report = report
        self._is_arrow = (report or query.format) in ("arrow", "ArrowStream")
        self._sql = query.sql(
            files,
            unit=unit,
            quoted_integers=quoted_integers,
            native=self._is_arrow,
            interval=interval,
        )
        self.rows = 0

    @property
    def media(self) -> str:
        """Of the answer."""
        if self._report is not None:
            return tabular.MEDIA[self._report]
        return sqlformat.MEDIA[self._query.format]

    def pieces(self) -> Iterator[bytes]:
        """The body. Raises InvalidQuery where a limit is reached, and duckdb.Error."""
        size = 0
        for piece in self._pieces():
            size += len(piece)
            if size > self._limits.bytes_max:
                raise InvalidQuery(
                    f"the answer is larger than {self._limits.bytes_max} bytes: ask for fewer "
                    f"rows or columns"
                )
            yield piece

    def _pieces(self) -> Iterator[bytes]:
        statement = self._statement()
        if self._is_arrow:
            yield from self._arrow(self._connection.sql(statement))
            return
        counted = sqlformat.Counted(self._fetched(self._connection.execute(statement)))
        total: list[int] = []
        rows = _without_total(counted, total) if self._query.counts_groups else counted

        def before_limit(rows: int) -> int:
            return total[0] if total else rows + (self._query.offset if rows else 0)

        outputs = self._query.outputs
        if self._report is not None:
            names = [one.name for one in outputs]
            flat = (row for some in rows for row in some)
            yield from tabular.pieces(cast(TextFormat, self._report), names, flat)
        else:
            interval = self._interval if self._sampled else None
            yield from sqlformat.pieces(
                self._query.format, outputs, rows, before_limit, interval
            )

    def _statement(self) -> duckdb.Statement:
        statements = self._connection.extract_statements(self._sql)
        # What the dialect makes is one SELECT; that it is one is not left to it alone.
        assert len(statements) == 1
        assert statements[0].type == duckdb.StatementType.SELECT
        return statements[0]

    def _arrow(self, relation: duckdb.DuckDBPyRelation) -> Iterator[bytes]:
        outputs = self._query.outputs
        zones = [
            (one.kind.zone or arrow.UTC) if one.kind.base == "DateTime" else None
            for one in outputs
        ]
        for piece, rows in arrow.pieces(relation, [one.name for one in outputs], zones):
            self._count(rows)
            yield piece

    def _fetched(self, result: duckdb.DuckDBPyConnection) -> Iterator[list[tuple[Any, ...]]]:
        while some := result.fetchmany(ROWS_AT_ONCE):
            self._count(len(some))
            yield some

    def _count(self, rows: int) -> None:
        self.rows += rows
        if self.rows > self._limits.rows_max:
            raise InvalidQuery(
                f"the answer has more than {self._limits.rows_max} rows: ask for fewer, by "
                f"LIMIT"
            )


def _without_total(rows: sqlformat.Rows, total: list[int]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows without their last column, which is the number of rows before LIMIT."""
    for some in rows:
        if not total:
            total.append(some[0][-1])
        yield [row[:-1] for row in some]
