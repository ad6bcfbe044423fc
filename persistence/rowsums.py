"""Checksums of the rows of the control store, so that even a changed letter is found.

`PRAGMA integrity_check` finds a page that has stopped being one, but not a changed letter
within a text. So triggers keep a CRC-32 of each row in a table beside it, in the very
transaction that writes the row, whatever statement writes it; one more row holds that of the
schema. Rows that were lost or have appeared are found as well as rows that have changed.

The triggers call a function that `install` adds to a connection. The sqlite3 shell has no such
function: it can read and copy the store, but not write to it.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from isal.isal_zlib import crc32

FUNCTION: Final = "tallymark_crc"
TABLE: Final = "row_checksums"
SCHEMA: Final = "sqlite_schema"
_KEY_LETTERS: Final = 16

KEYS: Final = {
    "dashboards": "{row}.id",
    "catalog": "{row}.kind || '/' || {row}.id",
    "secrets": "{row}.name",
    "keys": "{row}.digest",
    "sessions": "{row}.digest",
    "key_changes": "0",
    "migrations": "{row}.version",
}
"""{table: what tells its rows apart}; `{row}` is what a statement calls a row."""

CREATE: Final = (
    f"CREATE TABLE {TABLE} (of_table TEXT NOT NULL, of_row ANY NOT NULL, crc INTEGER NOT NULL,"
    f" PRIMARY KEY (of_table, of_row)) STRICT, WITHOUT ROWID"
)


def install(db: sqlite3.Connection) -> None:
    """Let this connection write to tables that are watched."""
    db.create_function(FUNCTION, -1, lambda *values: crc_of(values), deterministic=True)


def watch(table: str, columns: Sequence[str]) -> tuple[str, ...]:
    """Statements that add checksums to a table, of its columns in their order."""

    def crc(row: str) -> str:
        return f"{FUNCTION}({', '.join(f'{row}.{column}' for column in columns)})"

    def key(row: str) -> str:
        return KEYS[table].format(row=row)

    keep = f"INSERT OR REPLACE INTO {TABLE} VALUES ('{table}', {key('new')}, {crc('new')})"
    drop = f"DELETE FROM {TABLE} WHERE of_table = '{table}' AND of_row = {key('old')}"
    return (
        f"CREATE TRIGGER {table}_added AFTER INSERT ON {table} BEGIN {keep}; END",
        f"CREATE TRIGGER {table}_changed AFTER UPDATE ON {table} BEGIN {drop}; {keep}; END",
        f"CREATE TRIGGER {table}_removed AFTER DELETE ON {table} BEGIN {drop}; END",
        f"INSERT INTO {TABLE} SELECT '{table}', {key(table)}, {crc(table)} FROM {table}",
    )


def note_schema(db: sqlite3.Connection) -> None:
    """Keep the checksum of the schema as it is now."""
    db.execute(f"INSERT OR REPLACE INTO {TABLE} VALUES (?, 0, ?)", (SCHEMA, _schema_crc(db)))


def flaws_of(db: sqlite3.Connection) -> list[str]:
    """What is in the tables and was not written, or the other way; nothing for a store of
    before there were checksums. Others may write meanwhile.

    Raises sqlite3.DatabaseError where SQLite cannot read it.
    """
    with _one_view(db):
        return list(_flaws_of(db))


@contextmanager
def _one_view(db: sqlite3.Connection) -> Iterator[None]:
    """Within it all is as of one moment, and texts are bytes, for they may be none any more."""
    before, db.text_factory = db.text_factory, bytes
    db.execute("BEGIN")
    try:
        yield
    finally:
        if db.in_transaction:
            db.execute("ROLLBACK")
        db.text_factory = before


def _flaws_of(db: sqlite3.Connection) -> Iterator[str]:
    tables = {name for (name,) in db.execute("SELECT name FROM sqlite_schema")}
    if TABLE.encode() not in tables:
        return
    kept = {
        (table, key): crc
        for table, key, crc in db.execute(f"SELECT of_table, of_row, crc FROM {TABLE}")
    }
    if kept.pop((SCHEMA.encode(), 0), None) != _schema_crc(db):
        yield "its schema is not what was written"
    for table, key in KEYS.items():
        rows = db.execute(f"SELECT {key.format(row=table)}, * FROM {table}")
        for name, *values in rows:
            crc = kept.pop((table.encode(), name), None)
            if crc != crc_of(values):
                yield f"the row {_shown(name)} of {table} is not what was written"
    for table_name, name in kept:
        yield f"the row {_shown(name)} of {_shown(table_name)} is gone"


def crc_of(values: Iterable[object]) -> int:
    """Of the values of a row, each with its length; a text counts as its bytes in UTF-8."""
    crc = 0
    for value in values:
        match value:
            case None:
                piece = b"n"
            case int():
                piece = b"i%d;" % value
            case bytes():
                piece = b"b%d:%b" % (len(value), value)
            case str():
                text = value.encode()
                piece = b"b%d:%b" % (len(text), text)
            case _:
                raise TypeError(f"no value of the control store: {value!r}")
        crc = crc32(piece, crc)
    return crc


def _schema_crc(db: sqlite3.Connection) -> int:
    rows = db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name, type")
    return crc_of(value for row in rows for value in row)


def _shown(name: object) -> str:
    """A key of a row for people: a text as it is, bytes as the beginning of their digits."""
    if not isinstance(name, bytes):
        return str(name)
    text = name.decode("ascii", "replace")
    return repr(text) if text.isprintable() and text.isascii() else name.hex()[:_KEY_LETTERS]
