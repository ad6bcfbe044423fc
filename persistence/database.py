"""The SQLite file of the control store: how it is opened, and transactions on it.

SQLite looks after its own files and syncs, which do not go through `persistence.files`. Every
call blocks, and callers make one at a time per connection.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from engine.errors import DiskFull, UnusableControlStore
from persistence import rowsums, wal
from persistence.files import MODE

FILE_NAME: Final = "control.db"
LOG_ENDING: Final = "-wal"
"""Behind the name of the file: SQLite's log of what is not in it yet."""

BUSY_S: Final = 5.0
"""How long somebody else (a backup, the sqlite3 shell) may hold the file."""


_NO_ROOM: Final = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE)
"""SQLite tells a full disk from other failures of a write, but not a quota that is used up."""


def connect(path: Path) -> sqlite3.Connection:
    """A connection to the file, made where there is none.

    Raises UnusableControlStore, and DiskFull where there is no room to make one.

    A file that is there is never opened by other means than SQLite's: closing any descriptor
    of it drops the locks that another connection of this process holds, and whoever closes the
    store next then takes its write-ahead log away from under us (sqlite.org/howtocorrupt.html
    §2.2; tests/persistence/test_keys.py shows it).
    """
    with suppress(FileExistsError):  # SQLite itself would let all read it
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, MODE))
    if not os.access(path, os.R_OK | os.W_OK):  # no damage, and nothing to be moved away
        raise UnusableControlStore(f"{path} cannot be used: it may not be read and written.")
    try:
        db = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
        )
    except sqlite3.OperationalError as error:
        raise unusable(path, error) from error
    rowsums.install(db)
    try:
        _must_be_whole(db, path)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
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
        if error.sqlite_errorcode not in _NO_ROOM:
            raise
        raise _no_room(error) from error


def unusable(path: Path, error: Exception) -> UnusableControlStore | DiskFull:
    """What SQLite said of the file, and what to do."""
    if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode in _NO_ROOM:
        return _no_room(error)
    return UnusableControlStore(
        f"{path} cannot be used: {error}. Restore it from a backup, or move it away to "
        f"begin without dashboards, names and keys."
    )


def _no_room(error: sqlite3.OperationalError) -> DiskFull:
    return DiskFull(
        f"The control store cannot grow ({error}): make room on the disk, or in its quota."
    )


def must_have_its_rows(db: sqlite3.Connection, path: Path) -> None:
    """Every row is the one that was written. Raises UnusableControlStore."""
    for flaw in rowsums.flaws_of(db):
        raise damaged(path, flaw)


def must_have_its_log(path: Path) -> None:
    """No change that was committed would be left out. Raises UnusableControlStore.

    Before anybody has opened the file: SQLite begins the log anew whenever it can. Somebody
    who does so while it is read is told from damage by reading again.
    """
    log = Path(f"{path}{LOG_ENDING}")
    try:
        flaw = wal.flaw_of(log.read_bytes())
        if flaw is not None and wal.flaw_of(log.read_bytes()) == flaw:
            raise damaged(log, f"at byte {flaw.offset_bytes} {flaw.reason}")
    except FileNotFoundError:
        return
    except OSError as error:
        raise unusable(log, error) from error


def begin_the_log_anew(db: sqlite3.Connection) -> None:
    """Have the next change overwrite the log: a start after a kill needs no room for it."""
    try:
        db.execute("PRAGMA wal_checkpoint")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode not in _NO_ROOM:
            raise


def found_by(db: sqlite3.Connection, check: str) -> list[str]:
    """What a check of SQLite says; what it quotes of a damaged file may be no text."""
    before, db.text_factory = db.text_factory, bytes
    try:
        return [said.decode(errors="replace") for (said,) in db.execute(check)]
    finally:
        db.text_factory = before


def damaged(path: Path, flaw: str) -> UnusableControlStore:
    """What is wrong with it, and what to do."""
    return UnusableControlStore(
        f"{path} is damaged: {flaw}. Restore the control store from a backup, or move its "
        f"files away to begin without dashboards, names and keys."
    )


def _must_be_whole(db: sqlite3.Connection, path: Path) -> None:
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")  # in WAL the default leaves the last commits behind
    found = next(iter(found_by(db, "PRAGMA quick_check(1)")))
    if found != "ok":
        raise damaged(path, found)
