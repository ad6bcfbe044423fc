"""How far a query has got, in percent, while it runs.

DuckDB estimates it for what has to be done before the first row is there, and stands still
while rows go out as they are read. For such queries it is the bytes read so far, as a share of
what their columns take in all files; if some of these are skipped, the end comes early.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import duckdb

EVERY_S: Final = 0.5
"""Between two tellings."""

UNFINISHED: Final = 99
"""The most that is reported before the end."""

_IO: Final = Path("/proc/self/io")


@contextmanager
def telling(
    connection: duckdb.DuckDBPyConnection,
    tell: Callable[[int], None],
    *,
    reads_bytes: int = 0,
    every_s: float = EVERY_S,
) -> Iterator[None]:
    """Within it, `tell` hears of each new percent, from a thread of its own.

    reads_bytes  what the query will read, where reading is all that it does; else 0
    """
    over = threading.Event()
    first_bytes = _bytes_read() if reads_bytes else None

    def share() -> float:
        reckoned = connection.query_progress()  # -1 where it does not know
        if first_bytes is None:
            return reckoned
        return max(reckoned, 100 * ((_bytes_read() or 0) - first_bytes) / reads_bytes)

    def run() -> None:
        told = -1
        while not over.wait(every_s):
            percent = min(UNFINISHED, int(share() // 1))
            if percent > told:
                told = percent
                tell(percent)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _bytes_read() -> int | None:
    """What this process has read from files and pipes so far (Linux), else None."""
    try:
        told = _IO.read_text()
    except OSError:
        return None
    return int(told.split(maxsplit=2)[1])
