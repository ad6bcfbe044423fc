"""Parquet by DuckDB: merging files, which puts their rows in order, and checking files.

Every file is on disk before it gets its name. Each object has an in-memory database of its own,
and is used by one thread.
"""

import os
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import duckdb

from persistence.archive.columns import (
    FILED,
    GROUP_ROWS,
    SORTED_BY,
    SUFFIX,
    Hidden,
    columns_of,
    filed_source_of,
    literal,
    named_by,
    quoted,
    source_of,
    text_of,
)
from persistence.checksums import crcs_of
from persistence.files import MODE, NO_HANDLE, NO_ROOM, REAL_DISK

MEMORY_MB: Final = 384
"""Of one database; what sorting needs beyond goes to files beside the archive."""

TEMP_BYTES_MAX: Final = "16GB"

MERGED_AS: Final = (
    f"(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 3, PARQUET_VERSION v2, "
    f"ROW_GROUP_SIZE {GROUP_ROWS}, WRITE_BLOOM_FILTER false)"
)
"""How files that live for months are packed. Filters of Bloom would cost a byte a row, and what
they skip sorting skips mostly."""

WORTH_A_LOOK_BYTES: Final = 4 * 2**20
"""Of all files of a merge: to read what each says of its columns takes some milliseconds."""

_TYPES: Final = {column.name: column.sql_type for column in FILED}
_NEVER_ABSENT: Final = frozenset((*SORTED_BY, "blob2", "serviceId", "experimentId"))
_BLOB2: Final = """coalesce("serviceId", "experimentId", '')"""
_NAMES: Final = ", ".join(quoted(column.name) for column in FILED)
_ORDER: Final = ", ".join(map(quoted, SORTED_BY))


class Content(NamedTuple):
    """What a file holds, as read back from it.

    weight  the sum of `_sample_interval`: how many events the rows stand for
    crcs    of its stretches, as `persistence.checksums` cuts them
    """

    rows: int
    weight: int
    first_seq: int
    last_seq: int
    first_ms: int
    last_ms: int
    size_bytes: int
    crcs: tuple[int, ...] = ()


class Database:
    """A DuckDB without network, extensions, or more than one thread."""

    def __init__(self, temp: Path, *, memory_mb: int = MEMORY_MB) -> None:
        self._connection = duckdb.connect(
            ":memory:",
            config={
                "threads": "1",
                "async_threads": "1",
                "memory_limit": f"{memory_mb}MB",
                "temp_directory": str(temp),
                "max_temp_directory_size": TEMP_BYTES_MAX,
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "python_enable_replacements": "false",
            },
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def ask(self, sql: str) -> list[Any]:
        """All rows of an answer."""
        return self._connection.execute(sql).fetchall()

    def _write(self, select: str, path: Path) -> None:
        """Put the rows of `select` into the file `path`, whole, on the disk, or not at all."""
        growing = path.with_name(path.name + ".tmp")
        REAL_DISK.make_folder(path.parent)
        REAL_DISK.remove(growing)
        try:
            self._connection.execute(f"COPY ({select}) TO {literal(str(growing))} {MERGED_AS}")
        except duckdb.IOException as error:
            lack = _without_room(error, growing)
            if lack is None:
                raise
            raise lack from error
        growing.chmod(MODE)
        handle = REAL_DISK.open_append(growing)
        try:
            REAL_DISK.sync(handle)
        finally:
            REAL_DISK.close(handle)
        REAL_DISK.rename(growing, path)
        REAL_DISK.sync_folder(path.parent)


class Merger(Database):
    """Makes new files of the rows of others."""

    def merge(
        self, inputs: Sequence[Path], output: Path, hidden: Hidden | None = None
    ) -> Content:
        """Put the rows of all inputs but the hidden, sorted, into one file; what it holds."""
        source = filed_source_of([str(path) for path in inputs], hidden)
        return self.write(source, output, absent=self._absent_in(inputs))

    def write(
        self,
        source: str,
        output: Path,
        where: str = "true",
        absent: AbstractSet[str] = frozenset(),
    ) -> Content:
        """The same of a source of FILED columns, some of which have no value in any row."""
        # Sorting moves whole rows: what can be told behind it is left out of them.
        made = {name: f"NULL::{_TYPES[name]}" for name in absent} | {"blob2": _BLOB2}
        moved = ", ".join(quoted(name) for name in _TYPES if name not in made)
        shown = ", ".join(
            f"{made.get(name, quoted(name))} AS {quoted(name)}" for name in _TYPES
        )
        self._write(
            f"SELECT {shown} FROM (SELECT {moved} FROM {source} WHERE {where} "
            f"ORDER BY {_ORDER})",
            output,
        )
        return self.content(output)

    def _absent_in(self, inputs: Sequence[Path]) -> frozenset[str]:
        """Columns without a value in any of these files; none where looking does not pay."""
        if sum(path.stat().st_size for path in inputs) < WORTH_A_LOOK_BYTES:
            return frozenset()
        if not all(path.name.endswith(SUFFIX) for path in inputs):
            return frozenset()
        paths = ", ".join(literal(str(path)) for path in inputs)
        found = self.ask(
            f"SELECT path_in_schema FROM parquet_metadata([{paths}]) GROUP BY 1 "
            f"HAVING sum(num_values) = sum(coalesce(stats_null_count, 0))"
        )
        return frozenset(name for (name,) in found) - _NEVER_ABSENT

    @contextmanager
    def gathered(self, inputs: Sequence[Path]) -> Iterator["Gathered"]:
        """The rows of all inputs, to be written day by day."""
        source = filed_source_of([str(path) for path in inputs])
        self._connection.execute(
            f"CREATE TEMP TABLE gathered AS SELECT {_NAMES} FROM {source} "
            f'ORDER BY "timestamp"::DATE, {_ORDER}'
        )
        try:
            yield Gathered(self)
        finally:
            self._connection.execute("DROP TABLE gathered")

    def content(self, path: Path) -> Content:
        """What the file holds. Raises DuckDB's error where it cannot be read."""
        at_ms = 'epoch_ms("timestamp") + "timestampMillis"'
        found = self.ask(
            f"SELECT count(*), sum(_sample_interval), min(seq), max(seq), min({at_ms}), "
            f"max({at_ms}) FROM {filed_source_of([str(path)])}"
        )
        rows, *rest = found[0]
        if not rows:
            rest = [0] * 5
        return Content._make((rows, *map(int, rest), path.stat().st_size, crcs_of(path)))

    def read_all(self, path: Path) -> None:
        """Read every value of the file. Raises DuckDB's error where one cannot be read."""
        read_all(self._connection, path)

    def days(self, source: str) -> list[str]:
        """The UTC days of the rows of a source, as ISO dates."""
        found = self.ask(f'SELECT DISTINCT "timestamp"::DATE::VARCHAR FROM {source} ORDER BY 1')
        return [day for (day,) in found]

    def numbers_twice(self, paths: Sequence[Path]) -> int:
        """How many rows of these files have a number that another has."""
        source = filed_source_of([str(path) for path in paths])
        return int(self.ask(f"SELECT count(*) - count(DISTINCT seq) FROM {source}")[0][0])

    def ids_in_order(self, paths: Sequence[Path]) -> Iterator[tuple[int, str]]:
        """(received_ms, eventId) of the rows that have an id, by number."""
        source = source_of([str(path) for path in paths])
        found = self._connection.execute(
            f'SELECT epoch_ms("receivedAt"), "eventId" FROM {source} '
            f'WHERE "eventId" IS NOT NULL ORDER BY seq'
        )
        while rows := found.fetchmany(100_000):
            yield from rows

    def users_named(self, path: Path, names: Sequence[str], salt: str) -> dict[str, str]:
        """{name: userId} of those names whose users have rows in the file."""
        wanted = ", ".join(map(literal, names))
        named = named_by(salt, '"userId"')
        found = self.ask(
            f'SELECT name, "userId" FROM (SELECT {named} AS name, "userId" FROM '
            f"({_users_in(path)})) WHERE name IN ({wanted})"
        )
        return dict(found)

    def users_among(self, path: Path, user_ids: Sequence[str]) -> set[str]:
        """Which of these users have rows in the file."""
        if not user_ids:
            return set()
        wanted = ", ".join(map(text_of, user_ids))
        found = self.ask(f'{_users_in(path)} WHERE "userId" IN ({wanted})')
        return {user_id for (user_id,) in found}

    def is_sorted(self, path: Path) -> bool:
        """Whether the rows stand in the order of SORTED_BY."""
        keys = f"({_ORDER})"
        found = self.ask(
            f"SELECT count(*) FROM (SELECT {keys} < lag({keys}) OVER (ORDER BY "
            f"file_row_number) AS falls FROM read_parquet({literal(str(path))}, "
            f"file_row_number = true)) WHERE falls"
        )
        return bool(found[0][0] == 0)

    def has_our_columns(self, path: Path) -> bool:
        """Whether the file holds exactly what its name says."""
        return has_our_columns(self._connection, path)


def has_our_columns(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether a file has the columns that its name says. Raises duckdb.Error."""
    told = f"DESCRIBE SELECT * FROM read_parquet({literal(str(path))})"
    found = connection.execute(told).fetchall()
    return [(name, kind) for name, kind, *_ in found] == columns_of(path.name)


def read_all(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Read every value of a file. Raises duckdb.Error where one cannot be read."""
    source = f"read_parquet({literal(str(path))})"
    connection.execute(f"SELECT bit_xor(hash(held)) FROM {source} AS held").fetchall()


def is_readable(connection: duckdb.DuckDBPyConnection, path: Path) -> bool:
    """Whether a file has its columns, and each value can be read. Raises duckdb.Error."""
    if not has_our_columns(connection, path):
        return False
    read_all(connection, path)
    return True


def is_shortage(error: OSError | duckdb.Error | MemoryError) -> bool:
    """Whether memory or handles had run out, which says nothing of the file that was read."""
    if isinstance(error, OSError):
        return error.errno in NO_HANDLE
    if isinstance(error, duckdb.OutOfMemoryException | MemoryError):
        return True
    return any(os.strerror(number) in str(error) for number in NO_HANDLE)  # it has no number


def _without_room(error: duckdb.IOException, path: Path) -> OSError | None:
    """The same as the system's own error, where there was no room to write a file."""
    for number in NO_ROOM:
        if os.strerror(number) in str(error):
            return OSError(number, os.strerror(number), str(path))
    return None


def _users_in(path: Path) -> str:
    return f'SELECT DISTINCT "userId" FROM {source_of([str(path)], only=("userId",))}'


class Gathered:
    """Rows that were read once, and are sorted by day."""

    def __init__(self, merger: Merger) -> None:
        self._merger = merger

    def days(self) -> list[str]:
        """The UTC days that occur, as ISO dates."""
        return self._merger.days("gathered")

    def write(self, day: str, output: Path) -> Content:
        """Put the rows of one day into a file; what it then holds."""
        start = f"{literal(day)}::TIMESTAMP"
        self._merger._write(
            f'SELECT {_NAMES} FROM gathered WHERE "timestamp" >= {start} AND "timestamp" < '
            f"{start} + INTERVAL 1 DAY ORDER BY {_ORDER}",
            output,
        )
        return self._merger.content(output)
