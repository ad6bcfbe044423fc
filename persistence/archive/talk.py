"""What a server and its archive process say to each other: JSON, one object per line.

The server begins with `Begin`, and then writes numbers: the journal is on disk up to each.
"""

from pathlib import Path
from typing import Any

import msgspec

from engine.config import Config


class Begin(msgspec.Struct, frozen=True):
    """What the server says first: its settings, and the last number that is on the disk."""

    config: Config
    journal_seq: int


class Unreadable(msgspec.Struct, frozen=True):
    """A damaged file of the archive, and why it cannot be read."""

    name: str
    reason: str


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """How far the archive is. The manifest on the disk is at least as new.

    erasing_files  to be read for the sake of people who were erased
    unreadable     those that should be and cannot be
    """

    covered_seq: int
    trimmable_seq: int
    erasing_files: int = 0
    unreadable: tuple[Unreadable, ...] = ()


class Note(msgspec.Struct, frozen=True, tag="note"):
    """A line for the server's log."""

    event: str
    facts: dict[str, str | int | float | None]


class Trouble(msgspec.Struct, frozen=True, tag="trouble"):
    """Why the process ends, in words for an operator; to start it again does not help."""

    reason: str


class Setback(msgspec.Struct, frozen=True, tag="setback"):
    """Why the process ends, where it may well go on when it is started again: a full disk."""

    reason: str


Said = Progress | Note | Trouble | Setback
"""What the process says."""


def encode(message: Begin | Said) -> bytes:
    """The line that says it."""
    return msgspec.json.encode(message, enc_hook=_plain) + b"\n"


def decode_begin(line: bytes) -> Begin:
    """What the first line says."""
    return msgspec.json.decode(line, type=Begin, dec_hook=_path)


def _plain(value: object) -> str:
    assert isinstance(value, Path)
    return str(value)


def _path(kind: type, value: Any) -> Path:  # noqa: ANN401  msgspec hands over what it finds
    assert kind is Path
    return Path(value)
