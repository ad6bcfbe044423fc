"""Keys and sessions in the control store: digests at rest, changes that a running server sees.

A key is 32 random bytes, so its SHA-256 is as hard to invert as the key is to guess, and
finding it costs a microsecond; a slow hash would help whoever wants to keep the server busy.

The command line changes keys while a server runs, each over its own connection: `has_changed`
is how the server notices, `acknowledge` how the command learns that it has. Every call blocks,
and callers make one at a time per store. Times are epoch ms.
"""

import os
import re
import secrets
import sqlite3
from collections.abc import Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, NamedTuple, Self, cast

from engine.errors import LimitReached
from persistence.database import FILE_NAME, connect, writing

Role = Literal["write", "read", "admin"]

ROLES: Final[tuple[Role, ...]] = ("write", "read", "admin")
KEY_BYTES: Final = 32
KEYS_MAX: Final = 1_000
"""Keys that work; revoked ones are kept to be listed, and do not count."""

ID_LETTERS: Final = 8
"""Of the digest in hex: what a key is called by those who must not know it."""

_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LETTERS: Final = 43
"""Letters of base 62 that hold KEY_BYTES."""

KEY: Final = re.compile(rf"tm_([wra])_[0-9A-Za-z]{{{_SECRET_LETTERS}}}")


class Entry(NamedTuple):
    """A key as it is kept; the columns of its table in their order.

    revoked_ms  None while it works
    used_ms     roughly when it was last used, None where it never was
    """

    digest: bytes
    role: Role
    label: str
    created_ms: int
    revoked_ms: int | None = None
    used_ms: int | None = None

    @property
    def id(self) -> str:
        """What it is called."""
        return self.digest.hex()[:ID_LETTERS]


class SessionEntry(NamedTuple):
    """A session as it is kept: its own digest, and that of the key it was swapped for."""

    digest: bytes
    key: bytes
    expires_ms: int


def new_key(role: Role) -> str:
    """A key that nobody has."""
    number = int.from_bytes(secrets.token_bytes(KEY_BYTES))
    letters = []
    for _ in range(_SECRET_LETTERS):
        number, rest = divmod(number, len(_LETTERS))
        letters.append(_LETTERS[rest])
    return f"tm_{role[0]}_{''.join(letters)}"


def role_of(key: str) -> Role | None:
    """What a key says that it may; None where it is none."""
    found = KEY.fullmatch(key)
    return next((role for role in ROLES if found and role[0] == found[1]), None)


def digest_of(secret: str) -> bytes:
    """What is kept of a key, or of a session's token."""
    return sha256(secret.encode("utf-8", "surrogateescape")).digest()


class KeyStore:
    """The keys of one control store, which is there already; see `open`."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self._seen: int | None = None

    @classmethod
    def open(cls, folder: Path) -> Self:
        """A connection of its own to the store in `folder`. Raises UnusableControlStore."""
        return cls(connect(folder / FILE_NAME))

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    # -- keys ---------------------------------------------------------------------------------

    def entries(self) -> list[Entry]:
        """All of them, the oldest first."""
        return [Entry(*row) for row in self._db.execute("SELECT * FROM keys ORDER BY rowid")]

    def add(self, digest: bytes, role: Role, label: str, *, now_ms: int) -> Entry:
        """Keep a new key. Raises LimitReached."""
        entry = Entry(digest, role, label, now_ms)
        with writing(self._db) as db:
            (count,) = db.execute(
                "SELECT count(*) FROM keys WHERE revoked_ms IS NULL"
            ).fetchone()
            if count >= KEYS_MAX:
                raise LimitReached(f"There are {count} keys already. Revoke some first.")
            db.execute("INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?)", entry)
            self._note_change()
        return entry

    def revoke(self, digest: bytes, *, now_ms: int) -> None:
        """Let a key work no longer, nor the sessions that it was swapped for."""
        with writing(self._db) as db:
            db.execute(
                "UPDATE keys SET revoked_ms = coalesce(revoked_ms, ?) WHERE digest = ?",
                (now_ms, digest),
            )
            db.execute("DELETE FROM sessions WHERE key = ?", (digest,))
            self._note_change()

    def forget(self) -> None:
        """Forget all keys and sessions, as if there had never been any."""
        with writing(self._db) as db:
            db.execute("DELETE FROM keys")
            db.execute("DELETE FROM sessions")
            self._note_change()

    def note_uses(self, used_ms: Mapping[bytes, int]) -> None:
        """Keep when keys were last used."""
        with writing(self._db) as db:
            db.executemany(
                "UPDATE keys SET used_ms = ? WHERE digest = ?",
                [(at_ms, digest) for digest, at_ms in used_ms.items()],
            )

    # -- sessions -----------------------------------------------------------------------------

    def sessions(self) -> list[SessionEntry]:
        """All of them, those that are over too."""
        return [SessionEntry(*row) for row in self._db.execute("SELECT * FROM sessions")]

    def put_session(self, entry: SessionEntry) -> None:
        """Keep a new session."""
        with writing(self._db) as db:
            db.execute("INSERT INTO sessions VALUES (?, ?, ?)", entry)

    def drop_sessions(self, digests: Iterable[bytes]) -> None:
        """Forget some sessions."""
        with writing(self._db) as db:
            db.executemany("DELETE FROM sessions WHERE digest = ?", [(one,) for one in digests])

    # -- a server, and the command that changes keys beside it --------------------------------

    def leave(self) -> None:
        """Say that it does so no longer."""
        with writing(self._db) as db:
            db.execute("UPDATE key_changes SET server = NULL")

    def has_changed(self) -> bool:
        """Whether another connection has written since this was last asked; costs no read."""
        (version,) = self._db.execute("PRAGMA data_version").fetchone()
        before, self._seen = self._seen, version
        return bool(version != before)

    @property
    def changes(self) -> int:
        """How often keys were changed."""
        return cast(int, self._db.execute("SELECT made FROM key_changes").fetchone()[0])

    def acknowledge(self, changes: int) -> None:
        """Say that this process acts on all changes up to this one, until `leave`."""
        with writing(self._db) as db:
            db.execute("UPDATE key_changes SET applied = ?, server = ?", (changes, os.getpid()))

    @property
    def is_applied(self) -> bool:
        """Whether no running server still acts on former keys."""
        (row,) = self._db.execute("SELECT made <= applied OR server IS NULL FROM key_changes")
        return bool(row[0])

    def _note_change(self) -> None:
        self._db.execute("UPDATE key_changes SET made = made + 1")
