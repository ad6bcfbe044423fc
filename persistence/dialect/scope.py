"""What names mean inside one SELECT: its sources, and its aliases, which are known everywhere.

ClickHouse's rule: an alias wins over a column of the same name, wherever it is used, except in
its own definition. Two exceptions make more queries right: where an aggregate has no place (in
WHERE, in GROUP BY, inside another aggregate) an alias of an aggregate gives way to the column,
and so do aliases that go round in a circle (`blob1 AS blob2, blob2 AS blob1`).
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlglot import exp

from persistence.archive.columns import SHOWN, quoted
from persistence.dialect import kinds
from persistence.dialect.errors import unknown_column
from persistence.dialect.estimates import Read
from persistence.dialect.kinds import Kind
from persistence.dialect.made import Mark

EVENTS: Final = "\x00events\x00"
"""Stands for the source of events until its files are known. It has NULs in it, which no SQL of
a query has: see `persistence.dialect.relation.Levels`."""


class Column(NamedTuple):
    """A column of a source.

    name   in the SQL that is run
    truth  it is a BOOLEAN there
    unit   it is `_sample_interval` itself
    mark   what it is where a sample is read
    """

    name: str
    kind: Kind
    truth: bool = False
    unit: bool = False
    mark: Mark | None = None


_KINDS: Final[Mapping[str, Kind]] = {
    "VARCHAR": kinds.STRING,
    "TIMESTAMP": kinds.DATETIME,
    "UINTEGER": kinds.UINT32,
    "SMALLINT": kinds.INT16,
    "INTEGER": kinds.INT32,
    "BIGINT": kinds.INT64,
    "DOUBLE": kinds.FLOAT64,
    "BOOLEAN": kinds.UINT8,
    "DECIMAL(22,0)": kinds.INT64,
}

EVENT_COLUMNS: Final[Mapping[str, Column]] = {
    column.name: Column(
        quoted(column.name),
        _KINDS[column.sql_type],
        truth=column.sql_type == "BOOLEAN",
        unit=column.name == "_sample_interval",
    )
    for column in SHOWN
}
"""{name: column} of the table of events; the 44 first."""


@dataclass(slots=True)
class Source:
    """A table or sub-query of a FROM.

    alias     as the user calls it, or None
    sql_name  in the SQL that is run
    columns   by the user's names, in order
    starred   what `*` stands for
    merged    columns that USING made one with those of a source before it
    events    it is the table of events itself
    read      what its rows are where a sample of the events is read
    """

    alias: str | None
    sql_name: str
    columns: Mapping[str, Column]
    starred: tuple[str, ...]
    merged: frozenset[str] = frozenset()
    events: bool = False
    read: Read | None = None


@dataclass(slots=True)
class Scope:
    """The sources and aliases of one SELECT.

    resolving  the aliases that are being read now, the innermost last
    """

    sources: list[Source] = field(default_factory=list)
    aliases: dict[str, exp.Expr] = field(default_factory=dict)
    resolving: list[str] = field(default_factory=list)

    @property
    def read(self) -> Read | None:
        """What the rows of all of them are where a sample of the events is read."""
        found = {source.read for source in self.sources}
        return "groups" if "groups" in found else "rows" if "rows" in found else None

    def find(self, name: str, table: str | None) -> tuple[Source, Column] | None:
        """The column that a name means, or None."""
        for source in self.sources:
            if table is not None and table != source.alias:
                continue
            column = source.columns.get(name)
            if column is not None:
                return source, column
        return None

    def column(
        self, name: str, table: str | None, *, quoted: bool = False
    ) -> tuple[Source, Column]:
        """The same. Raises InvalidQuery where there is none, which says if it was quoted."""
        found = self.find(name, table)
        if found is None and table is not None:
            raise unknown_column(f"{table}.{name}")
        if found is None:
            known = [one for source in self.sources for one in source.columns]
            raise unknown_column(name, [*known, *self.aliases], quoted=quoted)
        return found

    @contextmanager
    def defining(self, name: str) -> Iterator[None]:
        """While the definition of an alias is read, in which it does not stand for itself."""
        self.resolving.append(name)
        try:
            yield
        finally:
            self.resolving.pop()

    def alias(self, name: str) -> exp.Expr | None:
        """What an alias stands for, where it may be meant."""
        tree = self.aliases.get(name)
        if tree is None or name in self.resolving:
            return None
        if self.resolving and not self._reach(name).isdisjoint(self.resolving):
            return None
        return tree

    def _reach(self, name: str) -> set[str]:
        """All names that the definition of an alias mentions, aliases followed."""
        seen: set[str] = set()
        waiting = [name]
        while waiting:
            tree = self.aliases.get(waiting.pop())
            if tree is None:
                continue
            for mentioned in _names(tree):
                if mentioned not in seen:
                    seen.add(mentioned)
                    waiting.append(mentioned)
        return seen


def _names(tree: exp.Expr) -> Iterator[str]:
    for column in tree.find_all(exp.Column):
        if not column.table:
            yield column.name
