"""A worker process and files of the archive's columns, for tests that ask SQL without a server.

files = [written(tmp_path / "a.parquet", [{"blob2": "s-1", "latencyMs": 3.0}, ...])]
with Asking() as asking:
    assert asking.rows("SELECT count() AS n FROM events", files) == [{"n": "1"}]
"""

import csv
import datetime as dt
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Self

import duckdb
import orjson

from persistence.archive.columns import STORED, SUFFIX, filed_of, quoted
from persistence.dialect.query import Query, Rules, read
from tests.server import ROOT

MIB = 1024 * 1024
NOW = dt.datetime(2025, 10, 3, 12, tzinfo=dt.UTC)
_NULL = "(none)"
ABSENT = {
    "index1": "",
    "blob2": "",
    "timestamp": dt.datetime(2025, 10, 1),  # noqa: DTZ001  as the files have it
    "timestampMillis": 0,
    "_sample_interval": 1,
    "seq": 0,
    "receivedAt": dt.datetime(2025, 10, 1),  # noqa: DTZ001
    "eventType": "service_execution",
}


def query(text: str) -> Query:
    """A SELECT of the superset, read."""
    found = read(text, Rules(extra=True, bytes_max=10_000, now=NOW, tables=("events",)))
    assert isinstance(found, Query)
    return found


def written(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    """A Parquet file of these rows; what a row does not say is absent. Its name is another."""
    path = path.with_suffix(SUFFIX)
    columns = ", ".join(f"'{column.name}': '{column.sql_type}'" for column in STORED)
    names = [column.name for column in STORED]
    told = path.with_name(path.name + ".csv")
    with told.open("w", newline="") as file:  # row by row into a table takes 10 ms each
        writer = csv.writer(file, quoting=csv.QUOTE_ALL)
        writer.writerow(names)
        for row in rows:
            full = ABSENT | row
            writer.writerow([_NULL if full.get(name) is None else full[name] for name in names])
    source = (
        f"read_csv('{told}', header = true, columns = {{{columns}}}, nullstr = '{_NULL}', "
        "allow_quoted_nulls = true, auto_detect = false, delim = ',', quote = '\"', "
        "escape = '\"')"
    )
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM {filed_of(source)}) TO '{path}' (FORMAT parquet)")
    told.unlink()
    return str(path)


_MANY = {
    "index1": "'s-' || (h % 5)",
    "blob2": "'s-' || (h % 5)",
    "timestamp": "TIMESTAMP '2025-10-01' + to_seconds(n % 86400)",
    "timestampMillis": "0",
    "_sample_interval": "if(h % 5 = 0 AND h % 7 > 0, 10, 1)",
    "seq": "n + {seed} * 1000000",
    "receivedAt": "TIMESTAMP '2025-10-02'",
    "eventType": "'service_execution'",
    "latencyMs": "(h % 100000) / 100.0",
    "success": "h % 11 > 0",
}


def many(path: Path, seed: int, *, rows: int) -> str:
    """A file of executions of five services, those of one of them thinned in part."""
    columns = ", ".join(
        f"({_MANY.get(column.name, 'NULL').format(seed=seed)})::{column.sql_type} "
        f"AS {quoted(column.name)}"
        for column in STORED
    )
    with duckdb.connect() as connection:
        connection.execute(
            f"COPY (SELECT {columns} FROM (SELECT n, hash(n * 7919 + {seed}) AS h "
            f"FROM range({rows}) r(n)) ORDER BY index1, seq) TO '{path}' (FORMAT parquet)"
        )
    return str(path)


NOTHING = ("", ())
"""Hidden from whoever asks."""


class Refused(Exception):
    """The worker's refusal, with its status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Ended(Exception):
    """The worker ended instead of answering."""


class Gone(Exception):
    """A file that the query reads is not there."""


class Asking:
    """A worker of `persistence.sqlworker`, spoken to without an event loop."""

    def __init__(self, *, memory_bytes: int = 256 * MIB, threads: int = 1) -> None:
        self._words = (str(memory_bytes), str(threads))
        self.process = self._start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def _start(self) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-m", "persistence.sqlworker", *self._words],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.process = process
        self._message()
        return process

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()

    def restart(self) -> None:
        self.kill()
        self._start()

    def body(
        self,
        text: str,
        files: Sequence[str] = (),
        *,
        extra: bool = False,
        quoted: bool | None = None,
        deadline_s: float = 20.0,
        rows_max: int = 100_000,
        bytes_max: int = 16 * MIB,
        text_bytes_max: int = 16_384,
        budget_s: float | None = None,
    ) -> bytes:
        """The body of the answer. Raises Refused, Ended."""
        head, body = self._ask(
            do="read",
            text=text,
            extra=extra,
            quoted=(not extra) if quoted is None else quoted,
            bytes_max=text_bytes_max,
            now_ms=int(NOW.timestamp() * 1000),
            tables=["events"],
            sampled=budget_s is not None,
        )
        if "media" not in head:
            limits = {
                "deadline_s": deadline_s,
                "left_s": deadline_s,
                "rows_max": rows_max,
                "bytes_max": bytes_max,
                "budget_s": budget_s,
            }
            given = list(files) if head["reads_events"] else []
            head, body = self._ask(do="run", hidden=NOTHING, files=given, limits=limits)
        return body

    def answer(self, text: str, files: Sequence[str] = (), **options: Any) -> dict[str, Any]:
        """The whole answer in FORMAT JSON."""
        found: dict[str, Any] = orjson.loads(self.body(text, files, **options))
        return found

    def rows(self, text: str, files: Sequence[str] = (), **options: Any) -> list[Any]:
        """Its rows."""
        return list(self.answer(text, files, **options)["data"])

    def value(self, text: str, files: Sequence[str] = (), **options: Any) -> Any:
        """The only value of its only row."""
        (row,) = self.rows(text, files, **options)
        (value,) = row.values()
        return value

    def kinds(self, text: str, files: Sequence[str] = (), **options: Any) -> list[str]:
        """The types of its columns."""
        return [column["type"] for column in self.answer(text, files, **options)["meta"]]

    def _ask(self, **question: Any) -> tuple[dict[str, Any], bytes]:
        assert self.process.stdin is not None
        encoded = orjson.dumps(question)
        self.process.stdin.write(len(encoded).to_bytes(4, "little") + encoded)
        self.process.stdin.flush()
        head, body = self._message()
        if "refused" in head:
            raise Refused(head["refused"]["status"], head["refused"]["text"])
        if "gone" in head:
            raise Gone
        return head, body

    def _message(self) -> tuple[dict[str, Any], bytes]:
        assert self.process.stdout is not None
        length = self.process.stdout.read(4)
        if len(length) < 4:
            raise Ended
        head = orjson.loads(self.process.stdout.read(int.from_bytes(length, "little")))
        return head, self.process.stdout.read(head.get("size", 0))
