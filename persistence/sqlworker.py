"""The process that runs one user's SQL at a time, and can be killed without loss.

DuckDB's own limits do not hold for everything: a scalar function may take gigabytes, ignores
the interrupt, and one query was a segmentation fault. So queries run here, behind three walls:
the allow-list of `persistence.dialect`; a database that can read the files of this query and
nothing else, and whose settings are locked; what `persistence.sandbox` takes from the process.

It speaks with its parent over stdin and stdout: a length of four bytes, a JSON object, and
where that has `size`, so many bytes more.

    {"do": "read", ...}   answered by {"first_ms", "last_ms", "reads_events"}, {"refused"}, or
                          {"rows"} where no database is needed
    {"do": "run", ...}    over "files" without what is "hidden"; answered by {"rows", "media",
                          "size"}, {"refused"}, or {"gone": true} where a file was no longer
                          there
"""

import contextlib
import datetime as dt
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import duckdb
import msgspec
import orjson

from engine.errors import TallymarkError
from persistence import sandbox, sqlformat
from persistence.archive.columns import Hidden, literal, source_of
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.query import Answered, Query, Rules, read

LENGTH_BYTES: Final = 4

GRACE_S: Final = 0.5
"""How long after its deadline a query may take to end by itself."""

ROWS_AT_ONCE: Final = 2_048

RECURSION_MAX: Final = 5_000
"""Frames; sqlglot takes 16 for a bracket, and 60 of those may stand within each other."""

Json = dict[str, Any]

_TOO_MUCH_MEMORY: Final = "the query needs more memory than a query may have"


@dataclass(frozen=True, slots=True)
class Limits:
    """What one query may use; of its time `left_s` is left."""

    deadline_s: float
    left_s: float
    rows_max: int
    bytes_max: int


class Watch:
    """Interrupts what runs at its deadline, and ends the process when that did not help."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._connection: duckdb.DuckDBPyConnection | None = None
        self._left_s = 0.0
        self._watches = 0
        self.rang = False
        threading.Thread(target=self._run, daemon=True).start()

    @contextlib.contextmanager
    def over(self, connection: duckdb.DuckDBPyConnection, left_s: float) -> Iterator[None]:
        """Within it the connection has so much time."""
        with self._changed:
            self.rang = False
            self._watches += 1
            self._connection, self._left_s = connection, left_s
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._connection = None
                self._changed.notify()

    def _run(self) -> None:
        with self._changed:
            while True:
                self._changed.wait_for(lambda: self._connection is not None)
                if self._is_over(self._left_s):
                    continue
                self.rang = True
                assert self._connection is not None
                self._connection.interrupt()
                # The parent kills before this is over; an orphan must end by itself.
                if not self._is_over(2 * GRACE_S):
                    os._exit(1)

    def _is_over(self, within_s: float) -> bool:
        """Whether what is watched now has ended in time."""
        watch = self._watches
        return self._changed.wait_for(
            lambda: self._connection is None or self._watches != watch, within_s
        )


class Database:
    """DuckDB for one set of files at a time, each set in an instance of its own.

    An instance takes 13 ms to make, so the next one is made while nobody waits.
    """

    def __init__(self, *, memory_bytes: int, threads: int) -> None:
        self._config: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{memory_bytes}B",
            "threads": str(threads),
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
        self._now: duckdb.DuckDBPyConnection | None = None
        self._files: tuple[str, ...] | None = None
        self._unit: dict[str, bool] = {}
        self.prepare()

    def prepare(self) -> None:
        """Make the next instance, if there is none."""
        if self._next is None:
            self._next = duckdb.connect(":memory:", config=self._config)
            for setting in ("LOAD parquet", "LOAD icu", "SET parquet_metadata_cache = true"):
                self._next.execute(setting)  # both are built in; nothing is fetched

    def over(self, files: Sequence[str]) -> duckdb.DuckDBPyConnection:
        """A connection that can read these files, and do nothing else outside of itself."""
        wanted = tuple(files)
        if self._now is None or self._files != wanted:
            if self._now is not None:
                self._now.close()
            self.prepare()
            self._now, self._next, self._files = self._next, None, wanted
            assert self._now is not None
            listed = ", ".join(literal(file) for file in wanted)
            self._now.execute(f"SET allowed_paths = [{listed}]")
            self._now.execute("SET enable_external_access = false")
            self._now.execute("SET lock_configuration = true")
        return self._now

    def drop(self) -> None:
        """Forget the instance that was used: it may hold what a failed query left in it."""
        if self._now is not None:
            self._now.close()
        self._now = self._files = None

    def all_unit(self, connection: duckdb.DuckDBPyConnection, files: Sequence[str]) -> bool:
        """Whether every row of the files stands for itself alone. Files never change."""
        unknown = [file for file in files if file not in self._unit]
        if unknown:
            told = connection.execute(
                f"SELECT coalesce(max(_sample_interval), 1) FROM {source_of(unknown)}"
            ).fetchone()
            assert told is not None
            if told[0] == 1:
                self._unit.update(dict.fromkeys(unknown, True))
            else:
                return False
        return all(self._unit[file] for file in files)


class Worker:
    """The conversation with the parent."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._watch = Watch()
        self._query: Query | Answered | None = None
        self._quoted = False

    def answer(self, asked: Json) -> tuple[Json, list[bytes]]:
        """One answer: its head, and its body."""
        try:
            if asked["do"] == "read":
                return self._read(asked)
            return self._run(asked)
        except TallymarkError as refusal:
            return _refused(refusal), []
        except MemoryError:
            self._database.drop()
            return _refused(InvalidQuery(_TOO_MUCH_MEMORY)), []

    def _read(self, asked: Json) -> tuple[Json, list[bytes]]:
        rules = Rules(
            extra=asked["extra"],
            bytes_max=asked["bytes_max"],
            now=dt.datetime.fromtimestamp(asked["now_ms"] // 1000, dt.UTC),
            tables=tuple(asked["tables"]),
        )
        self._quoted = asked["quoted"]
        self._query = found = read(asked["text"], rules)
        if isinstance(found, Answered):
            body = list(
                sqlformat.pieces(found.format, found.outputs, [found.rows], lambda rows: rows)
            )
            return _done(found.format, len(found.rows), body), body
        return {
            "first_ms": _ms(found.first),
            "last_ms": _ms(found.last),
            "reads_events": found.reads_events,
        }, []

    def _run(self, asked: Json) -> tuple[Json, list[bytes]]:
        query = self._query
        assert isinstance(query, Query), "`run` follows `read`"
        limits = Limits(**asked["limits"])
        files: list[str] = asked["files"]
        hidden = msgspec.convert(asked["hidden"], Hidden)
        connection = self._database.over(files)
        try:
            with self._watch.over(connection, limits.left_s):
                return self._rows(connection, query, files, hidden, limits)
        except duckdb.Error as error:
            self._database.drop()
            if not all(map(os.path.exists, files)):
                return {"gone": True}, []
            if self._watch.rang:
                raise _late(limits) from None
            raise _told(error) from None

    def _rows(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: Query,
        files: Sequence[str],
        hidden: Hidden,
        limits: Limits,
    ) -> tuple[Json, list[bytes]]:
        unit = not query.asks_weights or self._database.all_unit(connection, files)
        sql = query.sql(files, unit=unit, quoted_integers=self._quoted, hidden=hidden)
        statements = connection.extract_statements(sql)
        # What the dialect makes is one SELECT; that it is one is not left to it alone.
        assert len(statements) == 1
        assert statements[0].type == duckdb.StatementType.SELECT
        result = connection.execute(statements[0])
        counted = sqlformat.Counted(_limited(result, limits))
        total: list[int] = []
        rows = _without_total(counted, total) if query.counts_groups else counted
        body: list[bytes] = []
        size = 0

        def before_limit(rows: int) -> int:
            return total[0] if total else rows + (query.offset if rows else 0)

        for piece in sqlformat.pieces(query.format, query.outputs, rows, before_limit):
            body.append(piece)
            size += len(piece)
            if size > limits.bytes_max:
                raise InvalidQuery(
                    f"the answer is larger than {limits.bytes_max} bytes: ask for fewer rows "
                    f"or columns"
                )
        return _done(query.format, counted.rows, body), body


def _limited(
    result: duckdb.DuckDBPyConnection, limits: Limits
) -> Iterator[list[tuple[Any, ...]]]:
    rows = 0
    while some := result.fetchmany(ROWS_AT_ONCE):
        rows += len(some)
        if rows > limits.rows_max:
            raise InvalidQuery(
                f"the answer has more than {limits.rows_max} rows: ask for fewer, by LIMIT"
            )
        yield some


def _without_total(rows: sqlformat.Rows, total: list[int]) -> Iterator[list[tuple[Any, ...]]]:
    """The rows without their last column, which is the number of rows before LIMIT."""
    for some in rows:
        if not total:
            total.append(some[0][-1])
        yield [row[:-1] for row in some]


def _done(format_: str, rows: int, body: Sequence[bytes]) -> Json:
    return {"rows": rows, "media": sqlformat.MEDIA[format_], "size": sum(map(len, body))}


def _refused(refusal: TallymarkError) -> Json:
    return {"refused": {"status": refusal.status, "text": str(refusal)}}


def _late(limits: Limits) -> InvalidQuery:
    return InvalidQuery(f"the query took longer than {limits.deadline_s:g} s and was ended")


def _told(error: duckdb.Error) -> InvalidQuery:
    """What the database refused, in words of ours: its own name paths and itself."""
    match error:
        case duckdb.OutOfMemoryException():
            return InvalidQuery(_TOO_MUCH_MEMORY)
        case duckdb.ConversionException() | duckdb.InvalidInputException():
            return InvalidQuery("a value could not be read as the number or time asked for")
        case duckdb.OutOfRangeException():
            return InvalidQuery("a number or time is beyond what its type holds")
        case _:
            return InvalidQuery("the query cannot be run as it is")


def _ms(moment: dt.datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp() * 1000)


def converse(worker: Worker, source: BinaryIO, sink: BinaryIO, database: Database) -> None:
    """Answer until the parent closes its end."""
    while len(head := source.read(LENGTH_BYTES)) == LENGTH_BYTES:
        asked = orjson.loads(source.read(int.from_bytes(head, "little")))
        answered, body = worker.answer(asked)
        write(sink, answered, body)
        database.prepare()


def write(sink: BinaryIO, head: Json, body: Sequence[bytes] = ()) -> None:
    """One message."""
    encoded = orjson.dumps(head)
    sink.write(len(encoded).to_bytes(LENGTH_BYTES, "little") + encoded)
    sink.writelines(body)
    sink.flush()


def main() -> None:
    """`python -m persistence.sqlworker MEMORY_BYTES THREADS`, started by `web.sql` alone."""
    memory_bytes, threads = int(sys.argv[1]), int(sys.argv[2])
    source, sink = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not end up between two messages
    sys.setrecursionlimit(RECURSION_MAX)
    sandbox.die_with_parent()
    sandbox.limit(memory_bytes)
    database = Database(memory_bytes=memory_bytes, threads=threads)
    sandbox.close_doors()
    write(sink, {"ready": True})
    converse(Worker(database), source, sink, database)


if __name__ == "__main__":
    main()
