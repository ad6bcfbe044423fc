"""Which files of an archive can still be read, and what those that cannot be take with them."""

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import duckdb

from persistence.archive.manifest import File, Manifest
from persistence.archive.parquet import Merger, is_shortage
from persistence.checksums import crcs_of
from persistence.files import REAL_DISK

ASIDE: Final = ".damaged"
"""Behind the name of a file that is put aside: no repair deletes what it cannot read."""

_NUMBERS: Final = re.compile(r"([0-9]{20})-([0-9]{20})\.")


class Lost(NamedTuple):
    """A file that cannot be used.

    path        where it was
    reason      why
    rows        that it held; None where no manifest says so
    first_seq, last_seq  between which its numbers lie; 0 where it has no name of the archive
    """

    path: Path
    reason: str
    rows: int | None
    first_seq: int
    last_seq: int


class Salvage(NamedTuple):
    """What there is: files to be read, and those that cannot be."""

    inputs: list[Path]
    lost: list[Lost]


def salvage(merger: Merger, folder: Path, former: Manifest | None) -> Salvage:
    """Read every file of the archive in `folder`: those of its manifest, else all there are."""
    inputs: list[Path] = []
    lost: list[Lost] = []
    for path, file in _files(folder, former):
        reason = flaw_of(merger, path, file)
        if reason is None:
            inputs.append(path)
        else:
            lost.append(_lost(path, file, reason))
    return Salvage(inputs, lost)


def put_aside(path: Path) -> None:
    """Give a damaged file a name that none has, and under which nothing reads it."""
    taken = REAL_DISK.names(path.parent)
    names = (path.name + (f".{number}" if number else "") + ASIDE for number in count())
    REAL_DISK.rename(path, path.with_name(next(name for name in names if name not in taken)))
    REAL_DISK.sync_folder(path.parent)


def _files(folder: Path, former: Manifest | None) -> Iterator[tuple[Path, File | None]]:
    if former is None:
        yield from ((path, None) for path in sorted(folder.glob("*/*.parquet")))
    else:
        yield from ((folder / file.name, file) for file in former.files)


def flaw_of(merger: Merger, path: Path, file: File | None) -> str | None:
    """Why the file cannot be used; None where it can.

    Raises OSError and duckdb.Error where that cannot be told for want of memory or handles.
    """
    try:
        if file is not None and path.stat().st_size != file.size_bytes:
            return f"it has {path.stat().st_size} bytes, and {file.size_bytes} were written"
        if file is not None and file.crcs:
            return None if crcs_of(path) == file.crcs else "its checksums are wrong"
        if not merger.has_our_columns(path):
            return "its columns are not those of the archive"
        merger.read_all(path)
    except (OSError, duckdb.Error) as error:
        if is_shortage(error):
            raise
        told = error.strerror if isinstance(error, OSError) else None
        return f"it cannot be read: {told or str(error).splitlines()[0]}"
    return None


def _lost(path: Path, file: File | None, reason: str) -> Lost:
    if file is not None:
        return Lost(path, reason, file.rows, file.first_seq, file.last_seq)
    numbers = _NUMBERS.match(path.name)
    first_seq, last_seq = map(int, numbers.groups()) if numbers else (0, 0)
    return Lost(path, reason, None, first_seq, last_seq)
