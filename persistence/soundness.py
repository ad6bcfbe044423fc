"""Everything that is wrong with a data folder: which file, from which byte on, and why.

`persistence.audit` says what a start would do, and ends at the first byte that prevents one.
This module looks at every file by itself, so that no flaw hides another; it changes nothing.

The offset is where the bytes that share a failed checksum begin: a record of the journal, a
file of a snapshot after its magic, a sixteenth of a file of the archive, a frame of the log of
the control store. In the control store itself it is a page that SQLite cannot make sense of,
and 0 for a row that is not what was written: the reason says which.
"""

import re
import sqlite3
from collections.abc import Generator, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from engine.errors import Corruption
from persistence import audit, rowsums, segment, snapshot, wal
from persistence.archive import checking
from persistence.archive import manifest as manifests
from persistence.archive.manifest import ARCHIVE_FOLDER, BadManifest, File, Manifest
from persistence.archive.store import IDS_FOLDER
from persistence.checksums import crcs_of, stretch_bytes
from persistence.database import FILE_NAME as CONTROL_NAME
from persistence.database import LOG_ENDING, found_by
from persistence.files import REAL_DISK
from persistence.journal import JOURNAL_FOLDER
from persistence.part import BadFile
from persistence.snapshot import SNAPSHOT_FOLDER

_PAGE: Final = re.compile(r"[Pp]age (\d+)")


class Damage(NamedTuple):
    """Bytes of `path` that are not what was written, from `offset_bytes` on."""

    path: Path
    offset_bytes: int
    reason: str


def damages(data: Path) -> Iterator[Damage]:
    """What is damaged in the data folder `data`, room by room. Blocks, and reads all bytes.

    A torn tail of the journal is no damage. Raises FolderInUse where a server runs on it, and
    UnknownFormat where another version wrote it.
    """
    with audit.undisturbed(data):
        last_seq = yield from _of_journal(data / JOURNAL_FOLDER)
        yield from _of_snapshots(data / SNAPSHOT_FOLDER)
        covered_seq = yield from _of_archive(data / ARCHIVE_FOLDER)
        if last_seq is not None and covered_seq > last_seq:
            yield _short_of(data / JOURNAL_FOLDER, last_seq, covered_seq)
        yield from _of_control(data / CONTROL_NAME)


def _unread(path: Path, error: OSError) -> Damage:
    return Damage(path, 0, f"it cannot be read: {error.strerror or error}")


def _of_journal(folder: Path) -> Generator[Damage, None, int | None]:
    """Its damages; returns its last number, None where nobody can say."""
    names = REAL_DISK.names(folder) if folder.is_dir() else []
    found = [(number, folder / name) for name in names if (number := segment.number_of(name))]
    next_seq: int | None = None
    for place, (number, path) in enumerate(found, start=1):
        if next_seq is not None and number != next_seq:
            yield Damage(path, 0, f"it begins at number {number}, but {next_seq} comes next")
        try:
            data = REAL_DISK.read(path)
            checked = segment.check(path, data, number, is_newest=place == len(found))
        except Corruption as damage:
            yield Damage(path, damage.offset_bytes, damage.reason)
            next_seq = None  # where it ended nobody can say
        except OSError as error:
            yield _unread(path, error)
            next_seq = None
        else:
            next_seq = checked.next_seq
    return None if next_seq is None else next_seq - 1


def _short_of(folder: Path, last_seq: int, covered_seq: int) -> Damage:
    """The archive holds only what the journal held for good: records are gone from its end."""
    path = folder / max(filter(segment.number_of, REAL_DISK.names(folder)))
    reason = f"it ends with number {last_seq}, and the archive has events up to {covered_seq}"
    return Damage(path, path.stat().st_size, reason)


def _of_snapshots(folder: Path) -> Iterator[Damage]:
    names = REAL_DISK.names(folder) if folder.is_dir() else []
    looked_at: set[str] = set()
    for name in filter(snapshot.is_manifest, names):
        try:
            listed = snapshot.read_manifest(REAL_DISK, folder / name)
        except BadFile as bad:
            yield Damage(folder / name, bad.offset_bytes, str(bad))
            continue
        for part in (part for chain in listed.sources.values() for part in chain):
            if part.name in looked_at:
                continue
            looked_at.add(part.name)
            try:
                flaw = snapshot.read_part(REAL_DISK, folder, part).flaw
            except BadFile as bad:
                flaw = bad
            if flaw is not None:
                yield Damage(folder / part.name, flaw.offset_bytes, str(flaw))


def _of_archive(folder: Path) -> Generator[Damage, None, int]:
    """Its damages; returns the number up to which it holds all events."""
    try:
        manifest = manifests.read(folder)
    except BadManifest as bad:
        yield Damage(folder / manifests.NAME, 0, bad.reason)
        manifest = None
    except OSError as error:
        yield _unread(folder / manifests.NAME, error)
        manifest = None
    if manifest is not None:
        yield from _of_rows(folder, manifest)
    yield from _of_snapshots(folder / IDS_FOLDER)
    return 0 if manifest is None else manifest.covered_seq


def _of_rows(folder: Path, manifest: Manifest) -> Iterator[Damage]:
    for file in manifest.files:
        path = folder / file.name
        try:
            yield from _of_file(path, file)
        except OSError as error:
            yield _unread(path, error)
    for flaw in checking.contradictions(manifest):
        yield Damage(folder / manifests.NAME, 0, flaw)
    unsealed = [file for file in manifest.files if not file.crcs]  # of before there were any
    for bad in checking.flaws_of(folder, unsealed) if unsealed else ():
        yield Damage(bad.path, 0, bad.reason)


def _of_file(path: Path, file: File) -> Iterator[Damage]:
    size_bytes = path.stat().st_size
    if size_bytes != file.size_bytes:
        reason = f"it has {size_bytes} bytes, and {file.size_bytes} were written"
        yield Damage(path, min(size_bytes, file.size_bytes), reason)
    elif file.crcs:
        length = stretch_bytes(size_bytes)
        for place, (found, written) in enumerate(zip(crcs_of(path), file.crcs, strict=True)):
            if found != written:
                start, end = place * length, min((place + 1) * length, size_bytes)
                reason = f"the checksum of the bytes from there to {end} is wrong"
                yield Damage(path, start, reason)


def _of_control(path: Path) -> Iterator[Damage]:
    """What SQLite and our checksums say of a copy: opening the file itself could change it."""
    contents: dict[str, bytes] = {}
    for ending in ("", LOG_ENDING):
        file = Path(f"{path}{ending}")
        try:
            contents[ending] = file.read_bytes()
        except FileNotFoundError:
            pass
        except OSError as error:
            yield _unread(file, error)
    flaw = wal.flaw_of(contents.get(LOG_ENDING, b""))
    if flaw is not None:
        yield Damage(Path(f"{path}{LOG_ENDING}"), flaw.offset_bytes, flaw.reason)
    if "" not in contents:
        return
    with TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        for ending, content in contents.items():
            Path(f"{copy}{ending}").write_bytes(content)
        db = sqlite3.connect(copy)
        try:
            pages = list(_bad_pages(db))
            yield from (Damage(path, offset_bytes, said) for offset_bytes, said in pages)
            if not pages:
                yield from (Damage(path, 0, flaw) for flaw in rowsums.flaws_of(db))
        except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
            yield Damage(path, 0, f"it is no sound database: {error}")
        finally:
            db.close()


def _bad_pages(db: sqlite3.Connection) -> Iterator[tuple[int, str]]:
    """Where SQLite's own check finds something, and what."""
    (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
    for said in found_by(db, "PRAGMA integrity_check"):
        if said != "ok":
            at = _PAGE.search(said)
            yield (int(at[1]) - 1) * page_bytes if at else 0, " ".join(said.split())
