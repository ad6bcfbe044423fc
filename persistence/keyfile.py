"""A file of keys beside the control store, for secrets that come by other means."""

import stat
from pathlib import Path
from typing import Final

from engine.errors import InvalidSetting
from persistence.keys import Entry, digest_of, role_of

OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


def read(path: Path) -> list[Entry]:
    """The keys in a file, one a line, with a label behind it; `#` begins a remark.

    Raises InvalidSetting where others than its owner may read it, or a line holds no key.
    """
    try:
        with path.open(encoding="utf-8") as file:
            mode = stat.S_IMODE(path.stat().st_mode)
            lines = file.read().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise InvalidSetting(f"The keys file {path} cannot be read: {reason}.") from error
    if mode & OTHERS:
        raise InvalidSetting(
            f"The keys file {path} has mode {mode:04o}, so others than its owner can read "
            f"the keys in it: chmod 600 {path}."
        )
    entries = []
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if text:
            entries.append(_entry(text, f"line {number} of the keys file {path}"))
    return entries


def of_environment(text: str, variable: str) -> list[Entry]:
    """The one admin key in a variable, which may be empty. Raises InvalidSetting."""
    if not text:
        return []
    entry = _entry(text, variable)
    if entry.role != "admin":
        raise InvalidSetting(f"{variable} holds a key that may {entry.role}, and no admin key.")
    return [entry]


def _entry(text: str, where: str) -> Entry:
    key, _, label = text.partition(" ")
    role = role_of(key)
    if role is None:  # never shown: it may be half of a key
        raise InvalidSetting(
            f"{where} holds no key: `tallymark keys new --role admin` makes one."
        )
    return Entry(digest_of(key), role, label.strip() or where, 0)
