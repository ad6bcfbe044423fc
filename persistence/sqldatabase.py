"""The database of the SQL process: it reads the files of one query, and nothing else."""

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

import duckdb

from persistence.archive.columns import literal, source_of

SETTINGS: Final = (
    "LOAD parquet",  # this and the next are built in; nothing is fetched
    "LOAD icu",
    "SET parquet_metadata_cache = true",
    "SET enable_external_file_cache = false",  # keeps no local file, but opens each twice
)


class Kind(NamedTuple):
    """What an instance is for.

    tells   its queries are told how far they are
    prunes  of each file they read a stretch or two: to have another thread read those ahead
            costs more than it gains (docs/performance.md)
    """

    tells: bool = False
    prunes: bool = False


PLAIN: Final = Kind()


class Database:
    """DuckDB for one set of files at a time, each kind of query in an instance of its own.

    An instance takes 13 ms to make, so the next one is made while nobody waits.
    """

    def __init__(self, *, memory_bytes: int, threads: int) -> None:
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{memory_bytes}B",
            "threads": str(threads),
            "async_threads": "1",  # eight by default: a question for one service costs a sixth
            "temp_directory": "",
            "max_temp_directory_size": "0B",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "allow_community_extensions": "false",
            "allow_unsigned_extensions": "false",
            "allow_persistent_secrets": "false",
            "python_enable_replacements": "false",
            "python_scan_all_frames": "false",
            "custom_user_agent": "tallymark",
        }
        self._next: duckdb.DuckDBPyConnection | None = None
        self._files: Sequence[str] = ()
        self._now: dict[Kind, duckdb.DuckDBPyConnection] = {}
        self._unit: dict[str, bool] = {}
        self.prepare()

    def prepare(self) -> None:
        """Make the next instance, if there is none."""
        if self._next is None:
            made = duckdb.connect(":memory:", config=self._config)
            for setting in SETTINGS:
                made.execute(setting)
            self._next = made

    def over(self, files: Sequence[str], kind: Kind = PLAIN) -> duckdb.DuckDBPyConnection:
        """A connection that can read these files, and do nothing else outside of itself.

        Those that were had before are closed where they are for other files, or were dropped.
        """
        if files != self._files:
            self.drop()
            self._files = list(files)
        if kind not in self._now:
            self.prepare()
            assert self._next is not None
            made, self._next = self._next, None
            if kind.tells:
                made.execute("SET enable_progress_bar = true")
                made.execute("SET enable_progress_bar_print = false")
            if kind.prunes:
                made.execute("SET async_threads = 0")
            made.execute(f"SET allowed_paths = {_listed(files)}")
            made.execute("SET enable_external_access = false")
            made.execute("SET lock_configuration = true")
            self._now[kind] = made  # not before all of it is closed to others
        return self._now[kind]

    def drop(self) -> None:
        """Forget what was used: it may hold what a failed query left in it."""
        for connection in self._now.values():
            connection.close()
        self._now.clear()

    def rows(self, connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> int:
        """How many the files hold; it stands in their ends."""
        return _value(connection, f"SELECT count(*) FROM {source_of(files)}")

    def bytes_of(
        self,
        connection: duckdb.DuckDBPyConnection,
        files: Sequence[str],
        columns: Collection[str],
    ) -> int:
        """How many bytes these columns take in the files; it stands in their ends, too."""
        if not files or not columns:
            return 0
        return _value(
            connection,
            f"SELECT coalesce(sum(total_compressed_size), 0) FROM "
            f"parquet_metadata({_listed(files)}) WHERE path_in_schema IN {_listed(columns)}",
        )

    def all_unit(self, connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> bool:
        """Whether every row of the files stands for itself alone. Files never change."""
        unknown = [file for file in files if file not in self._unit]
        if unknown:
            most = f"SELECT coalesce(max(_sample_interval), 1) FROM {source_of(unknown)}"
            if _value(connection, most) == 1:
                self._unit.update(dict.fromkeys(unknown, True))
            else:
                return False
        return all(self._unit[file] for file in files)


def _value(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The only value; its result is at its end, as long as it is not nothing else can run."""
    ((value,),) = connection.execute(sql).fetchall()
    return int(value)


def _listed(texts: Iterable[str]) -> str:
    return f"[{', '.join(map(literal, texts))}]"
