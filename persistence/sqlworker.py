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
                          there; of a report all pieces come before, each as {"piece": true,
                          "rows", "size"}, and now and then {"percent"}
"""

import contextlib
import datetime as dt
import gc
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb
import msgspec
import orjson

from engine.errors import NotReady, TallymarkError
from persistence import arrow, sampling, sandbox, sqlformat
from persistence.archive.columns import Hidden
from persistence.archive.parquet import is_readable, is_shortage
from persistence.archive.troubled import damaged
from persistence.dialect.errors import InvalidQuery
from persistence.dialect.query import Answered, Query, Rules, read
from persistence.sampling import Run
from persistence.sqldatabase import Database, Kind
from persistence.sqlprogress import telling
from persistence.sqlrunning import Limits, Running
from persistence.tabular import Format

LENGTH_BYTES: Final = 4

GRACE_S: Final = 0.5
"""How long after its deadline a query may take to end by itself."""

LOOK_S: Final = 60.0
"""How long it may take to find which file is bad, of the time that a query has left."""

RECURSION_MAX: Final = 5_000
"""Frames; sqlglot takes 16 for a bracket, and 60 of those may stand within each other."""

Json = dict[str, Any]

_TOO_MUCH_MEMORY: Final = "the query needs more memory than a query may have"


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


class Worker:
    """The conversation with the parent."""

    def __init__(self, database: Database, send: Callable[[Json, list[bytes]], None]) -> None:
        self._database = database
        self._send = send
        self._watch = Watch()
        self._query: Query | None = None
        self._quoted = False
        self._report: Format | None = None

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
        self._report = asked.get("report")
        found = read(asked["text"], rules)
        if isinstance(found, Answered):
            if self._report is not None:
                raise InvalidQuery("a report can only be made of a SELECT")
            body = list(self._listed(found))
            return _done(sqlformat.MEDIA[found.format], len(found.rows), body), body
        if self._report is not None and found.says_format:
            raise InvalidQuery(
                "the query of a report takes no FORMAT: its field `format` says it, and "
                "`--format` of `tallymark export`"
            )
        if asked.get("sampled") and found.reads_events and found.reads > 1:
            raise InvalidQuery(
                "a query with a budget may read the table of events only once: samples of two "
                "tables do not join to a sample of the whole"
            )
        self._query = found
        return {
            "first_ms": _ms(found.first),
            "last_ms": _ms(found.last),
            "reads_events": found.reads_events,
        }, []

    def _listed(self, found: Answered) -> Iterator[bytes]:
        if found.format != "ArrowStream":
            rows = [found.rows]
            yield from sqlformat.pieces(found.format, found.outputs, rows, lambda rows: rows)
            return
        names = [one.name for one in found.outputs]
        columns = ", ".join(f"unnest(${at}::VARCHAR[])" for at in range(1, len(names) + 1))
        values = [list(column) for column in zip(*found.rows, strict=True)]
        relation = self._database.over([]).sql(f"SELECT {columns}", params=values)
        yield from (piece for piece, _ in arrow.pieces(relation, names, [None] * len(names)))

    def _run(self, asked: Json) -> tuple[Json, list[bytes]]:
        query = self._query
        assert query is not None, "`run` follows `read`"
        limits = Limits(**asked["limits"])
        files: list[str] = asked["files"]
        query.hidden = msgspec.convert(asked["hidden"], Hidden)
        kind = Kind(tells=self._report is not None, prunes=query.prunes)
        connection = self._database.over(files, kind)
        began_s = time.monotonic()
        try:
            if limits.budget_s is not None:
                return self._within_budget(connection, query, files, limits, limits.budget_s)
            with self._watch.over(connection, limits.left_s):
                running = self._running(connection, query, files, limits)
                if self._report is None:
                    return _whole(running)
                reads_bytes = 0
                if query.streams:
                    reads_bytes = self._database.bytes_of(connection, files, query.read)
                with telling(connection, self._tell, reads_bytes=reads_bytes * query.reads):
                    return self._sent(running)
        except duckdb.Error as error:
            self._database.drop()
            if not all(map(os.path.exists, files)):
                return {"gone": True}, []
            if self._watch.rang:
                raise _late(limits) from None
            if not isinstance(error, _OF_VALUES):
                left_s = limits.left_s - (time.monotonic() - began_s)
                self._must_be_readable(files, min(left_s, LOOK_S))
            raise _told(error) from None

    def _must_be_readable(self, files: Sequence[str], left_s: float) -> None:
        """Read each file by itself, as far as time allows. Raises NotReady for a bad one."""
        end_s = time.monotonic() + left_s
        for file in files:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return
            connection = self._database.over(files)
            try:
                with self._watch.over(connection, left_s):
                    is_good = is_readable(connection, Path(file))
            except (duckdb.Error, MemoryError) as error:
                self._database.drop()  # nothing watches what is closed here
                is_good = self._watch.rang or is_shortage(error)  # nobody knows
            if not is_good:
                raise NotReady(damaged(Path(file))) from None

    def _running(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: Query,
        files: Sequence[str],
        limits: Limits,
        interval: int = 1,
    ) -> Running:
        return Running(
            query,
            connection,
            files,
            limits=limits,
            unit=not query.asks_weights or self._database.all_unit(connection, files),
            quoted_integers=self._quoted,
            interval=interval,
            sampled=limits.budget_s is not None,
            report=self._report,
        )

    def _sent(self, running: Running) -> tuple[Json, list[bytes]]:
        """The answer sent as it comes, each piece a message of its own."""
        for piece in running.pieces():
            self._send({"piece": True, "rows": running.rows, "size": len(piece)}, [piece])
        return _done(running.media, running.rows, []), []

    def _tell(self, percent: int) -> None:
        self._send({"percent": percent}, [])

    def _within_budget(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: Query,
        files: Sequence[str],
        limits: Limits,
        budget_s: float,
    ) -> tuple[Json, list[bytes]]:
        """The answer over the largest sample for which there is time, all rows at best."""
        began = time.monotonic()
        with self._watch.over(connection, limits.left_s):
            interval = sampling.first(self._database.rows(connection, files))
            run, found = self._timed(connection, query, files, limits, interval)
        runs = [run]
        while True:
            left_s = began + budget_s - time.monotonic()
            following = sampling.following(runs, left_s)
            if following is None:
                break
            try:
                with self._watch.over(connection, left_s):
                    run, found = self._timed(connection, query, files, limits, following)
            except (duckdb.Error, InvalidQuery, MemoryError):  # late, or more than it may need
                self._database.drop()
                break
            runs.append(run)
        head, body = found
        return head | {"interval": runs[-1].interval}, body

    def _timed(
        self,
        connection: duckdb.DuckDBPyConnection,
        query: Query,
        files: Sequence[str],
        limits: Limits,
        interval: int,
    ) -> tuple[Run, tuple[Json, list[bytes]]]:
        began = time.monotonic()
        running = self._running(connection, query, files, limits, interval)
        head, body = _whole(running)
        head["marks"] = [one.mark for one in running.outputs]
        return Run(interval, time.monotonic() - began), (head, body)


def _whole(running: Running) -> tuple[Json, list[bytes]]:
    body = list(running.pieces())
    return _done(running.media, running.rows, body), body


def _done(media: str, rows: int, body: Sequence[bytes]) -> Json:
    return {"rows": rows, "media": media, "size": sum(map(len, body))}


def _refused(refusal: TallymarkError) -> Json:
    return {"refused": {"status": refusal.status, "text": str(refusal)}}


def _late(limits: Limits) -> InvalidQuery:
    return InvalidQuery(f"the query took longer than {limits.deadline_s:g} s and was ended")


def _told(error: duckdb.Error) -> InvalidQuery:
    """What the database refused, in our words: its own mention paths and itself."""
    match error:
        case duckdb.OutOfMemoryException():
            return InvalidQuery(_TOO_MUCH_MEMORY)
        case duckdb.ConversionException() | duckdb.InvalidInputException():
            return InvalidQuery(
                "a value could not be read as the number or time asked for, or is beyond what "
                "its type holds: integers have 64 bits"
            )
        case duckdb.OutOfRangeException():
            return InvalidQuery("a number or time is beyond what its type holds")
        case _:
            return InvalidQuery("the query cannot be run as it is")


_OF_VALUES: Final = (
    duckdb.OutOfMemoryException,
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
)
"""What no bad byte of a file leads to. Of the rest any may come of one."""


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
    """One message, whole, whichever thread it comes from."""
    encoded = orjson.dumps(head)
    with _writing:
        sink.write(len(encoded).to_bytes(LENGTH_BYTES, "little") + encoded)
        sink.writelines(body)
        sink.flush()


_writing: Final = threading.Lock()


def main() -> None:
    """`python -m persistence.sqlworker MEMORY_BYTES THREADS`, as `web.sqlprocess` starts it."""
    memory_bytes, threads = int(sys.argv[1]), int(sys.argv[2])
    source, sink = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not end up between two messages
    sys.setrecursionlimit(RECURSION_MAX)
    sandbox.die_with_parent()
    sandbox.limit(memory_bytes)
    database = Database(memory_bytes=memory_bytes, threads=threads)
    sandbox.close_doors()
    gc.freeze()  # what is there stays: to look through it costs 20 ms now and then
    write(sink, {"ready": True})
    converse(Worker(database, partial(write, sink)), source, sink, database)


if __name__ == "__main__":
    main()
