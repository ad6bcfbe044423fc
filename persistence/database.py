"""The SQLite file of the control store: how it is opened, and a transaction that is kept whole.

SQLite looks after its own files and syncs, which do not go through `persistence.files`. Every
call blocks; of one connection a caller makes one at a time.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from engine.errors import DiskFull, UnusableControlStore
from persistence.files import MODE

FILE_NAME: Final = "control.db"
BUSY_S: Final = 5.0
"""How long somebody else (a backup, the sqlite3 shell) may hold the file."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the file, made where there is none. Raises UnusableControlStore.

    A file that is there is never opened by other means than SQLite's: closing any descriptor
    of it drops the locks that another connection of this process holds, and whoever closes the
    store next then takes its write-ahead log away from under us (sqlite.org/howtocorrupt.html
    §2.2; tests/persistence/test_keys.py shows it).
    """
    with suppress(FileExistsError):  # SQLite itself would let all read it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, MODE))
    db = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    try:
        _must_be_whole(db, path)
    except sqlite3.DatabaseError as error:
        db.close()
        raise unusable(path, error) from error
    except BaseException:
        db.close()
        raise
    return db


@contextmanager
def writing(db: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """A transaction: all of it is on the disk at its end, or nothing. Raises DiskFull."""
    try:
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:  # SQLite itself rolls back after some failures
                db.execute("ROLLBACK")
            raise
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_FULL:
            raise
        raise DiskFull("The control store cannot grow: the disk is full.") from error


def unusable(path: Path, error: sqlite3.DatabaseError) -> UnusableControlStore:
    """What SQLite said of the file, and what to do."""
    return UnusableControlStore(
        f"{path} cannot be used: {error}. Restore it from a backup, or move it away to "
        f"begin without dashboards, names and keys."
    )


def _must_be_whole(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # in WAL the default leaves the last commits behind
    (found,) = db.execute("PRAGMA quick_check(1)").fetchone()
    if found != "ok":
        raise UnusableControlStore(
            f"{path} is damaged: {found}. Restore it from a backup, or move it away to begin "
            f"without dashboards, names and keys."
        )
