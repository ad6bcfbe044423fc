"""Parquet by DuckDB: rows gathered and written sorted, files merged, files checked.

Rows go in as Arrow arrays, one stream a type of event, so that absent fields cost nothing, and
come out by one COPY; merging puts them in order. Every file is on the disk before it gets its
name. Each object has a database of its own in memory, and is used by one thread.
"""

from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

import duckdb

from persistence.archive.arrays import Gathering
from persistence.archive.columns import (
    FILED,
    IDS,
    SORTED_BY,
    Hidden,
    columns_of,
    filed_source_of,
    literal,
    named_by,
    quoted,
    source_of,
    text_of,
    uuid_of,
)
from persistence.archive.rows import KINDS, MONEY, Kind, Taken
from persistence.checksums import crcs_of
from persistence.files import MODE, REAL_DISK

MEMORY_MB: Final = 384
"""Of one database; what sorting needs beyond goes to files beside the archive."""

TEMP_BYTES_MAX: Final = "16GB"

PART_LEVEL: Final = 1
MERGED_LEVEL: Final = 3
"""Of zstd: parts live for minutes, merged files for months."""

ROW_GROUP_ROWS: Final = 40_960
"""A query for one service reads one or two of them in each file: smaller ones skip more, and
cost more bytes a row (docs/decisions/0012)."""

_TYPES: Final = {column.name: column.sql_type for column in FILED}
_NAMES: Final = ", ".join(quoted(column.name) for column in FILED)
_EMPTY: Final = "''"
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

    def _write(self, select: str, path: Path, level: int) -> None:
        """Put the rows of `select` into the file `path`, whole, on the disk, or not at all."""
        growing = path.with_name(path.name + ".tmp")
        REAL_DISK.make_folder(path.parent)
        REAL_DISK.remove(growing)
        self._connection.execute(
            f"COPY ({select}) TO {literal(str(growing))} (FORMAT parquet, COMPRESSION zstd, "
            f"COMPRESSION_LEVEL {level}, PARQUET_VERSION v2, ROW_GROUP_SIZE {ROW_GROUP_ROWS})"
        )
        growing.chmod(MODE)
        handle = REAL_DISK.open_append(growing)
        try:
            REAL_DISK.sync(handle)
        finally:
            REAL_DISK.close(handle)
        REAL_DISK.rename(growing, path)
        REAL_DISK.sync_folder(path.parent)


class PartWriter(Database):
    """Gathers rows in memory, and writes them as one part."""

    def __init__(self, temp: Path) -> None:
        super().__init__(temp)
        self._gathering = Gathering()

    def add(self, taken: Taken) -> None:
        """Take the rows of some records."""
        self._gathering.add(taken)

    def write(self, path: Path) -> None:
        """Put all rows that were added into the new file `path`, and forget them."""
        streams = {KINDS[kind].tag: stream for kind, stream in self._gathering.take().items()}
        for tag, stream in streams.items():
            self._connection.register(tag, stream)
        source = " UNION ALL ".join(_SELECTS[tag] for tag in streams)
        self._write(f"SELECT {_NAMES} FROM ({source})", path, PART_LEVEL)
        for tag in streams:
            self._connection.unregister(tag)


class Merger(Database):
    """Makes new files of the rows of others."""

    def merge(
        self, inputs: Sequence[Path], output: Path, hidden: Hidden | None = None
    ) -> Content:
        """Put the rows of all inputs but the hidden, sorted, into one file; what it holds."""
        return self.write(filed_source_of([str(path) for path in inputs], hidden), output)

    def write(self, source: str, output: Path, where: str = "true") -> Content:
        """The same of a source of FILED columns."""
        self._write(
            f"SELECT {_NAMES} FROM {source} WHERE {where} ORDER BY {_ORDER}",
            output,
            MERGED_LEVEL,
        )
        return self.content(output)

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
        self.ask(f"SELECT bit_xor(hash(held)) FROM read_parquet({literal(str(path))}) AS held")

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
        found = self.ask(f"DESCRIBE SELECT * FROM read_parquet({literal(str(path))})")
        return [(name, kind) for name, kind, *_ in found] == columns_of(path.name)


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
            MERGED_LEVEL,
        )
        return self._merger.content(output)


def _select_of(kind: Kind) -> str:
    """The rows of one type with all columns of FILED."""
    held = {column.name for column in kind.columns}
    made = {
        "index1": _first_of(
            held, "serviceId", "experimentId", "userId", "sessionId", "searchQuery"
        ),
        "timestamp": "make_timestamp(at_ms // 1000 * 1000000)",
        "timestampMillis": "(at_ms % 1000)::SMALLINT",
        "_sample_interval": '"_sample_interval"::UINTEGER',
        "seq": "seq",
        "receivedAt": "make_timestamp(received_ms * 1000)",
        "eventType": literal(kind.tag),
        "blob2": _first_of(held, "serviceId", "experimentId"),
        **{name: quoted(name) for name in MONEY if kind.has_money},
        **{name: f"{quoted(name)}::{_TYPES[name]}" for name in held},
        **{uuid_of(name): quoted(uuid_of(name)) for name in held.intersection(IDS)},
    }
    columns = ", ".join(
        f"{made.get(c.name, f'NULL::{c.sql_type}')} AS {quoted(c.name)}" for c in FILED
    )
    return f"SELECT {columns} FROM {quoted(kind.tag)}"


def _first_of(held: AbstractSet[str], *names: str) -> str:
    there: list[str] = []
    for name in names:
        if name in held:
            there.append(quoted(name))
            if name in IDS:
                there.append(f"{quoted(uuid_of(name))}::VARCHAR")
    return f"coalesce({', '.join([*there, _EMPTY])})"


_SELECTS: Final = {kind.tag: _select_of(kind) for kind in KINDS.values()}
