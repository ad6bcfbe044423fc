"""The process that writes one export of events: rows of the archive to its output, and ends.

A request comes on standard input, as one JSON object (`Wanted`). Its files are opened at once:
the archive may merge them away at any time, and what is open stays readable. Standard output
then has one line, `ready`, or `gone` if a file was no longer there, and after `ready` the
export. Only the exit code 0 says that it is complete; where it is not, the file of the progress
says why. No text of a user is run: filters are parameters.
"""

import os
import sys
import threading
import time
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from persistence import arrow, sandbox
from persistence.archive.columns import STORED, literal, quoted, source_of
from persistence.archive.parquet import is_readable, is_shortage
from persistence.archive.troubled import damaged, unopened
from persistence.exporting import FAULT, GONE, READY, Wanted
from persistence.tabular import DANGEROUS, PLAIN_NEGATIVE, Format

ROW_GROUP_ROWS: Final = 61_440
ROW_GROUP_BYTES: Final = "16MB"
"""Of Parquet; a row group is gathered in memory, and texts may be long."""

PROGRESS_S: Final = 0.5
"""Between two tellings of how far it is."""

LOOK_S: Final = 60.0
"""How long it may take to find which file is bad."""

_LEFT_OUT: Final = frozenset(
    ("timestamp", "eventType", "index1", "timestampMillis", "blob2", "receivedAt", "seq",
     "_sample_interval", "amountMicros", "feeMicros")
)  # fmt: skip
_KINDS: Final = {column.name: column.sql_type for column in STORED}

COLUMNS: Final = (
    "timestamp",
    "eventType",
    *(column.name for column in STORED if column.name not in _LEFT_OUT),
    "receivedAt",
    "seq",
    "_sample_interval",
)
"""Of an export of events: the fields under their names on the wire, and what became of them."""

_AT_MS: Final = 'epoch_ms("timestamp") + "timestampMillis"'
_TIMES: Final = {"timestamp": _AT_MS, "receivedAt": 'epoch_ms("receivedAt")'}

_FORMATS: Final[dict[str, str]] = {
    "csv": "FORMAT csv, HEADER true",
    "json": "FORMAT json, ARRAY true",
    "ndjson": "FORMAT json",
    "parquet": f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}, "
    f"ROW_GROUP_SIZE_BYTES '{ROW_GROUP_BYTES}'",
}


def statement(wanted: Wanted, files: list[str], output: str) -> tuple[str, list[str | int]]:
    """The statement that writes the export into `output`, and its parameters.

    files  paths by which those of `wanted` can be read
    """
    select, values = rows(wanted, files)
    how = f"{_FORMATS[wanted.format]}, USE_TMP_FILE false"
    return f"COPY ({select}) TO {literal(output)} ({how})", values


def rows(wanted: Wanted, files: list[str]) -> tuple[str, list[str | int]]:
    """The SELECT of its rows, and its parameters."""
    shown = ", ".join(f"{_shown(name, wanted.format)} AS {quoted(name)}" for name in COLUMNS)
    tests = [
        '"timestamp" >= make_timestamp(?::BIGINT // 1000 * 1000000)',
        '"timestamp" < make_timestamp((?::BIGINT + 999) // 1000 * 1000000)',
        f"{_AT_MS} >= ?",
        f"{_AT_MS} < ?",
    ]
    span = (wanted.start_ms, wanted.end_ms)
    values: list[str | int] = [*span, *span]
    for column, value in (
        ("eventType", wanted.event_type),
        ("index1", wanted.service),  # rows are sorted by it; the next says the same
        ("serviceId", wanted.service),
        ("userId", wanted.user),
    ):
        if value is not None:
            tests.append(f"{quoted(column)} = ?")
            values.append(value)
    source = source_of(wanted.files, hidden=wanted.hidden, paths=files)
    return f"SELECT {shown} FROM {source} WHERE {' AND '.join(tests)}", values


def _shown(name: str, format_: Format) -> str:
    if name in _TIMES:
        moment = f"make_timestamp_ms({_TIMES[name]})"
        if format_ in ("parquet", "arrow"):
            return f"{moment}::TIMESTAMP_MS"
        return f"strftime({moment}, '%Y-%m-%dT%H:%M:%S.%gZ')"
    column = quoted(name)
    if format_ == "csv" and _KINDS[name] == "VARCHAR":
        return (
            f"CASE WHEN left({column}, 1) IN ({_DANGEROUS}) AND NOT "
            f"regexp_full_match({column}, {literal(PLAIN_NEGATIVE)}) "
            f"THEN '''' || {column} ELSE {column} END"
        )
    return column


_DANGEROUS: Final = ", ".join(f"chr({ord(sign)})" for sign in DANGEROUS)


def connected(memory_bytes: int) -> duckdb.DuckDBPyConnection:
    """A database for one export: one thread, rows as they come, nothing beside the memory."""
    return duckdb.connect(
        ":memory:",
        config={
            "threads": "1",
            "memory_limit": f"{memory_bytes}B",
            "temp_directory": "",
            "preserve_insertion_order": "false",  # else rows are gathered first
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            "python_enable_replacements": "false",
        },
    )


def main() -> int:
    """`python -m persistence.exportworker`, started by `web.exporting` alone."""
    sandbox.die_with_parent()
    wanted = msgspec.json.decode(sys.stdin.buffer.read(), type=Wanted)
    sandbox.limit(wanted.memory_bytes)
    try:
        handles = [os.open(path, os.O_RDONLY) for path in wanted.files]
    except FileNotFoundError:
        os.write(1, GONE)
        return 0
    except OSError as error:
        _tell_fault(wanted, unopened(Path(error.filename), error))
        return 1
    connection = connected(wanted.memory_bytes)
    files = [f"/dev/fd/{one}" for one in handles]
    os.write(1, READY)
    if wanted.progress_fd is not None:
        _tell_progress(connection, wanted.progress_fd)
    try:
        if wanted.format == "arrow":
            _write_arrow(connection, wanted, files)
        else:
            sql, values = statement(wanted, files, "/dev/stdout")
            connection.execute(sql, values)
    except duckdb.Error as error:
        bad = None if is_shortage(error) else _bad_of(connection, wanted.files)
        _tell_fault(wanted, str(error) if bad is None else damaged(bad))
        return 1
    return 0


def _bad_of(connection: duckdb.DuckDBPyConnection, files: tuple[str, ...]) -> Path | None:
    """The first file that is there and cannot be read, as far as there is time to look."""
    end_s = time.monotonic() + LOOK_S
    for path in map(Path, files):
        if time.monotonic() > end_s:
            break
        try:
            is_good = is_readable(connection, path)
        except duckdb.Error as error:
            is_good = is_shortage(error) or not path.exists()
        if not is_good:
            return path
    return None


def _tell_fault(wanted: Wanted, reason: str) -> None:
    """Say why there will be no whole export."""
    if wanted.progress_fd is not None:
        os.write(wanted.progress_fd, FAULT + reason.encode())


def _write_arrow(
    connection: duckdb.DuckDBPyConnection, wanted: Wanted, files: list[str]
) -> None:
    sql, values = rows(wanted, files)
    moments = [arrow.UTC if name in _TIMES else None for name in COLUMNS]
    relation = connection.sql(sql, params=values)
    with os.fdopen(os.dup(1), "wb") as out:
        for piece, _ in arrow.pieces(relation, COLUMNS, moments, unit="ms"):
            out.write(piece)


def _tell_progress(connection: duckdb.DuckDBPyConnection, handle: int) -> None:
    """Write how many percent are done, a byte each time, from a thread of its own."""
    for setting in ("enable_progress_bar = true", "enable_progress_bar_print = false"):
        connection.execute(f"SET {setting}")

    def tell() -> None:
        while True:
            time.sleep(PROGRESS_S)
            percent = connection.query_progress()
            if percent >= 0:
                os.write(handle, bytes([min(100, int(percent))]))

    threading.Thread(target=tell, daemon=True).start()


if __name__ == "__main__":
    code = main()
    os._exit(code)
