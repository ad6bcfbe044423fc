"""The control store: dashboards, the catalog's names and secrets, in one SQLite file.

What people set up by hand, a few hundred small rows: unlike events they are changed and removed
one by one, so they do not belong in a journal. Every call blocks, and callers make one at a
time. The keys in the same file are reached through `persistence.keys`.

Contents are JSON that the caller has checked; only what the store itself must compare (id,
name, revision) has columns of its own. Times are epoch ms and come from the caller.
"""

import secrets
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple, Self

from engine.errors import ChangedMeanwhile, LimitReached, NameTaken, UnusableControlStore
from persistence import rowsums
from persistence.database import (
    FILE_NAME,
    begin_the_log_anew,
    connect,
    must_have_its_log,
    must_have_its_rows,
    unusable,
    writing,
)

SECRET_BYTES: Final = 32

MIGRATIONS: Final[tuple[tuple[str, ...], ...]] = (
    (
        """CREATE TABLE dashboards (
            id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, revision INTEGER NOT NULL,
            content BLOB NOT NULL, share BLOB,
            created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL
        ) STRICT""",
        """CREATE TABLE catalog (
            kind TEXT NOT NULL, id TEXT NOT NULL, content BLOB NOT NULL,
            updated_ms INTEGER NOT NULL, PRIMARY KEY (kind, id)
        ) STRICT, WITHOUT ROWID""",
        "CREATE TABLE secrets (name TEXT PRIMARY KEY, secret BLOB NOT NULL) STRICT",
    ),
    (
        """CREATE TABLE keys (
            digest BLOB PRIMARY KEY, role TEXT NOT NULL, label TEXT NOT NULL,
            created_ms INTEGER NOT NULL, revoked_ms INTEGER, used_ms INTEGER
        ) STRICT""",
        """CREATE TABLE sessions (
            digest BLOB PRIMARY KEY, key BLOB NOT NULL, expires_ms INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID""",
        """CREATE TABLE key_changes (
            made INTEGER NOT NULL, applied INTEGER NOT NULL, server INTEGER
        ) STRICT""",
        "INSERT INTO key_changes VALUES (0, 0, NULL)",
    ),
    (
        rowsums.CREATE,
        *rowsums.watch(
            "dashboards",
            ("id", "name", "revision", "content", "share", "created_ms", "updated_ms"),
        ),
        *rowsums.watch("catalog", ("kind", "id", "content", "updated_ms")),
        *rowsums.watch("secrets", ("name", "secret")),
        *rowsums.watch(
            "keys", ("digest", "role", "label", "created_ms", "revoked_ms", "used_ms")
        ),
        *rowsums.watch("sessions", ("digest", "key", "expires_ms")),
        *rowsums.watch("key_changes", ("made", "applied", "server")),
        *rowsums.watch("migrations", ("version", "applied_ms")),
    ),
)
"""Statements by version, from 1; what was released is never changed, only added to."""


class Sketch(NamedTuple):
    """A dashboard to be kept: its id, and the name and content that a caller has checked."""

    id: str
    name: str
    content: bytes


class Kept(NamedTuple):
    """A dashboard as it is kept; the columns of its table in their order.

    revision  1 and more; another after every change
    share     what its share token is made from, None where it is not shared
    """

    id: str
    name: str
    revision: int
    content: bytes
    share: bytes | None
    created_ms: int
    updated_ms: int


class Entry(NamedTuple):
    """What the catalog says about one id of one kind."""

    kind: str
    id: str
    content: bytes
    updated_ms: int


class ControlStore:
    """One open file; see `open`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection

    @classmethod
    def open(cls, folder: Path, *, now_ms: int, first: Iterable[Sketch] = ()) -> Self:
        """The store in `folder`, made where there is none; `first` are put into a new one.

        Raises UnusableControlStore for a file that is damaged or from a newer version, and
        DiskFull where there is no room to make one.
        """
        path = folder / FILE_NAME
        must_have_its_log(path)
        db = connect(path)
        try:
            store = cls(db)
            store._migrate(path, now_ms, first)
            must_have_its_rows(db, path)
            begin_the_log_anew(db)
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            db.close()
            raise unusable(path, error) from error
        except BaseException:
            db.close()
            raise
        return store

    def close(self) -> None:
        """Close the file; what was written is on the disk since its call returned."""
        self._db.close()

    def secret(self, name: str) -> bytes:
        """A random secret of SECRET_BYTES; made when it is first asked for, then kept."""
        with writing(self._db) as db:
            db.execute(
                "INSERT OR IGNORE INTO secrets VALUES (?, ?)",
                (name, secrets.token_bytes(SECRET_BYTES)),
            )
            (found,) = db.execute("SELECT secret FROM secrets WHERE name = ?", (name,))
        return bytes(found[0])

    # -- dashboards ---------------------------------------------------------------------------

    def dashboards(self) -> list[Kept]:
        """All of them, the oldest first."""
        rows = self._db.execute("SELECT * FROM dashboards ORDER BY created_ms, rowid")
        return [Kept(*row) for row in rows]

    def dashboard(self, key: str) -> Kept | None:
        """One of them, None where there is none of that id."""
        rows = self._db.execute("SELECT * FROM dashboards WHERE id = ?", (key,))
        return next((Kept(*row) for row in rows), None)

    def add(self, sketch: Sketch, *, now_ms: int, dashboards_max: int) -> Kept:
        """Keep a new one. Raises NameTaken or LimitReached."""
        with writing(self._db) as db:
            (count,) = db.execute("SELECT count(*) FROM dashboards").fetchone()
            if count >= dashboards_max:
                raise LimitReached(
                    f"There are {count} dashboards already, as many as dashboards_max allows. "
                    f"Delete one first."
                )
            self._insert(sketch, now_ms)
            return self._existing(sketch.id)

    def replace(self, sketch: Sketch, *, now_ms: int, revision: int | None) -> Kept | None:
        """Replace what has the id of `sketch`; None where nothing has.

        revision  the one that the caller has read; None replaces any

        Raises ChangedMeanwhile or NameTaken.
        """
        with writing(self._db) as db:
            if not self._is_there(sketch.id, revision):
                return None
            with _names_apart(sketch.name):
                db.execute(
                    "UPDATE dashboards SET name = ?, content = ?, updated_ms = ?,"
                    " revision = revision + 1 WHERE id = ?",
                    (sketch.name, sketch.content, now_ms, sketch.id),
                )
            return self._existing(sketch.id)

    def remove(self, key: str, *, revision: int | None) -> bool:
        """Remove one; whether there was one. Raises ChangedMeanwhile, as `replace` does."""
        with writing(self._db) as db:
            if not self._is_there(key, revision):
                return False
            db.execute("DELETE FROM dashboards WHERE id = ?", (key,))
            return True

    def share(self, key: str, share: bytes | None) -> Kept | None:
        """Share one, or with None no longer: a share that is there already stays as it is."""
        with writing(self._db) as db:
            if share is None:
                db.execute("UPDATE dashboards SET share = NULL WHERE id = ?", (key,))
            else:
                db.execute(
                    "UPDATE dashboards SET share = coalesce(share, ?) WHERE id = ?",
                    (share, key),
                )
        return self.dashboard(key)

    # -- catalog ------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """All that the catalog says, by kind and id."""
        rows = self._db.execute("SELECT kind, id, content, updated_ms FROM catalog")
        return [Entry(*row) for row in rows]

    def put(self, entry: Entry, *, entries_max: int) -> None:
        """Keep an entry in place of what had its kind and id. Raises LimitReached."""
        with writing(self._db) as db:
            (others,) = db.execute(
                "SELECT count(*) FROM catalog WHERE NOT (kind = ? AND id = ?)", entry[:2]
            ).fetchone()
            if others >= entries_max:
                raise LimitReached(
                    f"The catalog has {others} entries already, as many as catalog_entries_max "
                    f"allows. Delete some first."
                )
            db.execute("INSERT OR REPLACE INTO catalog VALUES (?, ?, ?, ?)", entry)

    def drop(self, kind: str, key: str) -> bool:
        """Remove an entry; whether there was one."""
        with writing(self._db) as db:
            gone = db.execute("DELETE FROM catalog WHERE kind = ? AND id = ?", (kind, key))
            return gone.rowcount > 0

    # -- inside -------------------------------------------------------------------------------

    def _migrate(self, path: Path, now_ms: int, first: Iterable[Sketch]) -> None:
        with writing(self._db) as db:
            db.execute(
                "CREATE TABLE IF NOT EXISTS migrations"
                " (version INTEGER PRIMARY KEY, applied_ms INTEGER NOT NULL) STRICT"
            )
            (version,) = db.execute(
                "SELECT coalesce(max(version), 0) FROM migrations"
            ).fetchone()
            if version > len(MIGRATIONS):
                raise UnusableControlStore(
                    f"{path} is of version {version}, and this Tallymark knows up to "
                    f"{len(MIGRATIONS)}: run the newer one again, or restore a backup."
                )
            for number, statements in enumerate(MIGRATIONS[version:], version + 1):
                self._apply(number, statements, now_ms)
            if version < len(MIGRATIONS):
                rowsums.note_schema(db)
            if version == 0:
                for sketch in first:
                    self._insert(sketch, now_ms)

    def _apply(self, version: int, statements: Sequence[str], now_ms: int) -> None:
        for statement in statements:
            self._db.execute(statement)
        self._db.execute("INSERT INTO migrations VALUES (?, ?)", (version, now_ms))

    def _insert(self, sketch: Sketch, now_ms: int) -> None:
        with _names_apart(sketch.name):
            self._db.execute(
                "INSERT INTO dashboards VALUES (?, ?, 1, ?, NULL, ?, ?)",
                (*sketch, now_ms, now_ms),
            )

    def _existing(self, key: str) -> Kept:
        found = self.dashboard(key)
        assert found is not None, "written in this transaction"
        return found

    def _is_there(self, key: str, revision: int | None) -> bool:
        found = self.dashboard(key)
        if found is None:
            return False
        if revision not in (None, found.revision):
            raise ChangedMeanwhile(
                f"The dashboard {found.name!a} was changed since you read it. Read it again, "
                f"and repeat your change."
            )
        return True


@contextmanager
def _names_apart(name: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode != sqlite3.SQLITE_CONSTRAINT_UNIQUE:
            raise
        raise NameTaken(
            f"A dashboard named {name[:64]!a} exists already. Choose another name."
        ) from error
