"""What the archive consists of: one small JSON file, replaced as a whole at every change.

A file of rows is part of the archive once the manifest lists it, and not before: any other file
is what a crash has left behind, or what a query may still be reading.
"""

import re
from pathlib import Path
from typing import Final

import msgspec
from isal.isal_zlib import crc32

from engine.errors import TallymarkError
from engine.timebucket import DAY_MS
from persistence.archive.rows import Tally
from persistence.files import REAL_DISK, write_whole
from persistence.record import UnknownFormat

ARCHIVE_FOLDER: Final = "archive"
"""In the data folder."""

FORMAT: Final = 2
FORMER_FORMAT: Final = 1
"""Its files have other names and columns, and no `sorted`: they all are."""

NAME: Final = "manifest.json"


_SEAL: Final = re.compile(rb',\n "crc": "([0-9a-f]{8})"\n}\Z')


class BadManifest(TallymarkError):
    """The manifest cannot be read; the files of rows may well be whole."""

    title = "Bad manifest"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is damaged: {reason}. The rows may be whole all the same: "
            f"`tallymark archive --rebuild` makes a new manifest from the files."
        )
        self.reason = reason


class File(msgspec.Struct, frozen=True):
    """One Parquet file.

    name       path in the archive's folder: `2026-11-22/…parquet`, or `mixed/…parquet` where
               it holds rows of several UTC days
    weight     the sum of `_sample_interval`
    first_seq, last_seq   the least and the greatest number of a row
    first_ms, last_ms     the earliest and the latest instant of a row
    sorted     its rows are in the order of `columns.SORTED_BY`; a part's are as they came
    crcs       CRC-32 of each stretch of its bytes, as `persistence.checksums` cuts them; none
               in a file of before they were written
    """

    name: str
    rows: int
    weight: int
    first_seq: int
    last_seq: int
    first_ms: int
    last_ms: int
    size_bytes: int
    made_ms: int
    sorted: bool = True
    crcs: tuple[int, ...] = ()


class Gap(msgspec.Struct, frozen=True):
    """Numbers, both ends included, that the journal no longer held when they were due."""

    first_seq: int
    last_seq: int


class Tombstone(msgspec.Struct, frozen=True):
    """Somebody whose rows before number `seq` are to go; `name` as `engine.erasure` has it,
    in hexadecimal digits."""

    name: str
    seq: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of the archive.

    covered_seq  every event up to here is a row, or was left out for a reason in `tally`
    next_file    a number that no file has in its name yet
    dropped      rows that went with their files because of their age
    erasing      whose rows files may still hold, also files that no longer count
    erased       rows that went because somebody was erased
    """

    format: int = FORMAT
    covered_seq: int = 0
    next_file: int = 1
    files: tuple[File, ...] = ()
    tally: Tally = msgspec.field(default_factory=Tally)
    dropped: int = 0
    gaps: tuple[Gap, ...] = ()
    erasing: tuple[Tombstone, ...] = ()
    erased: int = 0

    @property
    def rows(self) -> int:
        return sum(file.rows for file in self.files)

    @property
    def first_ms(self) -> int | None:
        """The earliest instant of all events; None where some are no row, or there is none."""
        if self.dropped or self.gaps or self.tally.too_old:
            return None
        return min((file.first_ms for file in self.files), default=None)

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def read(folder: Path) -> Manifest | None:
    """The manifest of the archive in `folder`; None where there is none.

    Raises BadManifest, UnknownFormat.
    """
    path = folder / NAME
    try:
        data = path.read_bytes()
        manifest = msgspec.json.decode(data, type=Manifest)
    except FileNotFoundError:
        return None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadManifest(path, str(error)) from error
    if manifest.format not in (FORMER_FORMAT, FORMAT):
        raise UnknownFormat(
            f"{path} has format {manifest.format}; this Tallymark reads {FORMAT}. Start the "
            f"version that wrote it."
        )
    if not _is_whole(data, manifest):
        raise BadManifest(path, "its checksum is wrong")
    return msgspec.structs.replace(manifest, format=FORMAT)


def write(folder: Path, manifest: Manifest) -> None:
    """Make it the manifest of the archive in `folder`; on the disk on return."""
    told = msgspec.json.format(msgspec.json.encode(manifest), indent=1).removesuffix(b"\n}")
    write_whole(REAL_DISK, folder / NAME, [told, b',\n "crc": "%08x"\n}' % crc32(told)])
    REAL_DISK.sync_folder(folder)


def _is_whole(data: bytes, manifest: Manifest) -> bool:
    """Whether it is what was written, of which CRC-32 is the last thing; not so at first."""
    seal = _SEAL.search(data)
    if seal is None:
        return not any(file.crcs for file in manifest.files)
    return crc32(data[: seal.start()]) == int(seal[1], 16)


def between(manifest: Manifest, start_ms: int, end_ms: int) -> list[File]:
    """The files that may hold rows of the UTC days from `start_ms` up to before `end_ms`."""
    first_ms = start_ms // DAY_MS * DAY_MS
    last_ms = -(-end_ms // DAY_MS) * DAY_MS
    return [f for f in manifest.files if f.last_ms >= first_ms and f.first_ms < last_ms]
