"""One run of a query over files: from the SQL of the dialect to the pieces of an answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import duckdb

from persistence import arrow, sqlformat, tabular
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.query import Query
from persistence.dialect.relation import Output
from persistence.sqlformat import Sample
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

    `outputs` are its columns, marked where a sample is read.
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
        ready = query.ready(
            files,
            unit=unit,
            quoted_integers=quoted_integers,
            native=self._is_arrow,
            interval=interval,
        )
        self._sql = ready.sql
        self.outputs = ready.outputs
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
        parted = Parted(
            self._fetched(self._connection.execute(statement)),
            self.outputs,
            total=self._query.counts_groups,
        )

        def before_limit(rows: int) -> int:
            if parted.total is not None:
                return parted.total
            return rows + (self._query.offset if rows else 0)

        if self._report is not None:
            names = [one.name for one in self.outputs]
            flat = (row for some in parted for row in some)
            yield from tabular.pieces(cast(TextFormat, self._report), names, flat)
        else:
            sample = Sample(self._interval, parted.errors) if self._sampled else None
            yield from sqlformat.pieces(
                self._query.format, self.outputs, parted, before_limit, sample
            )

    def _statement(self) -> duckdb.Statement:
        statements = self._connection.extract_statements(self._sql)
        # What the dialect makes is one SELECT; that it is one is not left to it alone.
        assert len(statements) == 1
        assert statements[0].type == duckdb.StatementType.SELECT
        return statements[0]

    def _arrow(self, relation: duckdb.DuckDBPyRelation) -> Iterator[bytes]:
        outputs = self.outputs
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
                f"the answer has more than {self._limits.rows_max} rows: ask for fewer "
                f"with LIMIT"
            )


class Parted:
    """Rows of an answer without the columns behind those that are shown.

    total   of rows before LIMIT, once the first is there; None where it is not counted
    errors  for each row that has passed {name: standard error} of the columns that have one
    """

    def __init__(self, rows: sqlformat.Rows, outputs: Sequence[Output], *, total: bool) -> None:
        self._rows = rows
        self._shown = len(outputs)
        self._with_error = [one.name for one in outputs if one.error]
        self._has_total = total
        self.total: int | None = None
        self.errors: list[dict[str, float | None]] = []

    def __iter__(self) -> Iterator[Sequence[tuple[Any, ...]]]:
        shown, names = self._shown, self._with_error
        for some in self._rows:
            if self._has_total and self.total is None:
                self.total = some[0][-1]
            if names:
                behind = slice(shown, shown + len(names))
                self.errors += (dict(zip(names, row[behind], strict=True)) for row in some)
            yield [row[:shown] for row in some] if names or self._has_total else some
