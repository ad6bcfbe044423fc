"""A consistent copy of a data folder, taken while a server may be writing to it.

Nothing is paused and no lock is taken. Almost every file is never written again once it has
its name: sealed segments, parts and manifests of snapshots, files of rows. Such a file is
*pinned* by a second name, in a folder beside it, before its owner can remove it; it is copied
from there, where that is wanted, when there is time. What does change is copied at once: the
growing segment, whose end is then what a crash leaves; the archive's manifest; the control
store, by SQLite's own means.

The order makes the copy whole: segments are pinned first, so that none is missing behind a
snapshot; then snapshots, the ids seen, the archive; the growing segment comes last, so that the
journal ends with or behind all that the others hold. Then all of it is read and checked, and
`backup.json` says what it holds: a folder without it is no backup.
"""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from errno import ENOENT
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from engine.errors import Corruption, TallymarkError
from persistence import audit, snapshot
from persistence.archive import manifest as manifests
from persistence.archive.manifest import ARCHIVE_FOLDER
from persistence.archive.store import IDS_FOLDER
from persistence.checksums import crc_of
from persistence.database import FILE_NAME as CONTROL_NAME
from persistence.files import MODE, REAL_DISK, write_whole
from persistence.journal import JOURNAL_FOLDER
from persistence.lock import LOCK_NAME
from persistence.part import BadFile
from persistence.segment import number_of
from persistence.snapshot import SNAPSHOT_FOLDER
from persistence.soundness import damages

NAME: Final = "backup.json"
FORMAT: Final = 1
STAGING: Final = ".backup-"
"""How the folder begins in whose subfolders files are pinned; removed at the end."""

TRIES: Final = 20
"""Times that a list is read again because a file in it was replaced while it was pinned."""

_NO_BACKUP: Final = "No backup was made: docs/operations.md says what to do about damage."


class BackupFailed(TallymarkError):
    """No backup was made, and nothing is left of the attempt."""

    title = "Backup failed"


class Copied(msgspec.Struct, frozen=True):
    """A file of a backup: its path in it, and what it must be."""

    path: str
    size_bytes: int
    crc: int


class Backup(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds.

    last_seq      the number of the last event in its journal
    snapshot_seq  what its newest snapshot covers, 0 without one
    archived_seq  up to where its archive goes, 0 without one
    rows          of its archive
    """

    format: int = FORMAT
    version: str
    made_ms: int
    last_seq: int
    snapshot_seq: int
    archived_seq: int
    rows: int
    files: tuple[Copied, ...]

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def back_up(data: Path, target: Path, *, now_ms: int, copies: bool = False) -> Backup:
    """Put a backup of the data folder `data` into the new folder `target`.

    copies  copy every file, where otherwise those that never change share their bytes with
            `data`, if both are on one file system

    Raises NotADataFolder, BackupFailed, Corruption where `data` itself is damaged, and
    UnknownFormat where another version wrote it.
    """
    audit.must_be_data_folder(data)
    if target.exists():
        raise BackupFailed(f"{target} exists already: name a new folder.")
    try:
        with _staging(data) as staging:
            _pin_all(data, staging)
            growing = target.with_name(target.name + ".growing")
            shutil.rmtree(growing, ignore_errors=True)
            try:
                _bring(staging, growing, copies=copies)
                backup = _described(growing, data, now_ms)
                told = msgspec.json.format(msgspec.json.encode(backup))
                write_whole(REAL_DISK, growing / NAME, [told])
                sync_all(growing)
                REAL_DISK.rename(growing, target)
                REAL_DISK.sync_folder(target.parent)
            finally:
                shutil.rmtree(growing, ignore_errors=True)
    except OSError as error:
        raise BackupFailed(
            f"No backup was made of {data}: {error.filename or target}: "
            f"{error.strerror or error}."
        ) from error
    return backup


@contextmanager
def _staging(data: Path) -> Iterator[Path]:
    """A folder on the file system of `data`; those that a killed backup has left go too."""
    for left in data.glob(f"{STAGING}*"):
        if not _is_at_work(left):
            shutil.rmtree(left, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{STAGING}{os.getpid()}-", dir=data))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _is_at_work(left: Path) -> bool:
    process = left.name.removeprefix(STAGING).partition("-")[0]
    return process.isdecimal() and Path(f"/proc/{process}").exists()


def _pin_all(data: Path, staging: Path) -> None:
    journal = data / JOURNAL_FOLDER
    _pin_segments(journal, staging / JOURNAL_FOLDER)
    _pin_snapshots(data / SNAPSHOT_FOLDER, staging / SNAPSHOT_FOLDER)
    archive = data / ARCHIVE_FOLDER
    if archive.is_dir():
        _pin_snapshots(archive / IDS_FOLDER, staging / ARCHIVE_FOLDER / IDS_FOLDER)
        _pin_rows(archive, staging / ARCHIVE_FOLDER)
    _copy_others(data, staging)
    _copy_control(data / CONTROL_NAME, staging / CONTROL_NAME)
    _pin_segments(journal, staging / JOURNAL_FOLDER)
    _copy_growing(journal, staging / JOURNAL_FOLDER)


def _pin(path: Path, pinned: Path) -> None:
    """Give the file a second name; where there are no such names, copy it."""
    if pinned.exists():
        return
    pinned.parent.mkdir(parents=True, exist_ok=True)
    try:
        pinned.hardlink_to(path)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copy2(path, pinned)


def _pin_segments(folder: Path, pinned: Path) -> None:
    pinned.mkdir(exist_ok=True)
    for name in REAL_DISK.names(folder):
        if number_of(name) is not None:
            with suppress(FileNotFoundError):  # trimmed: the snapshots pinned next cover it
                _pin(folder / name, pinned / name)


def _copy_growing(folder: Path, pinned: Path) -> None:
    """In place of the second name of what is still being written, its bytes as they are now."""
    newest = max(filter(number_of, REAL_DISK.names(pinned)), default=None)
    if newest is not None and (folder / newest).exists():
        write_whole(REAL_DISK, pinned / newest, [REAL_DISK.read(folder / newest)])


def _again(pin: Callable[[], None], what: Path) -> None:
    """Pin what a list lists, once more where it was replaced meanwhile."""
    missing = set()
    for _ in range(TRIES):
        try:
            return pin()
        except FileNotFoundError as error:
            missing.add(error.filename)
    if len(missing) == 1:
        raise Corruption(
            Path(missing.pop()), 0, f"{what} lists it, and it is missing", advice=_NO_BACKUP
        )
    raise BackupFailed(f"{what} changed {TRIES} times while it was copied. Try again.")


def _pin_snapshots(folder: Path, pinned: Path) -> None:
    """All manifests that can be read, each with its parts."""

    def pin() -> None:
        for name in filter(snapshot.is_manifest, REAL_DISK.names(folder)):
            try:
                listed = snapshot.read_manifest(REAL_DISK, folder / name)
            except BadFile as bad:
                path = folder / name
                if not path.exists():
                    raise FileNotFoundError(ENOENT, "it was replaced", str(path)) from bad
                raise Corruption(path, bad.offset_bytes, str(bad), advice=_NO_BACKUP) from bad
            for part in (part for chain in listed.sources.values() for part in chain):
                _pin(folder / part.name, pinned / part.name)
            _pin(folder / name, pinned / name)

    if folder.is_dir():
        _again(pin, folder)


def _pin_rows(folder: Path, pinned: Path) -> None:
    """The files that the manifest lists, and the manifest that lists them."""

    def pin() -> None:
        manifest = manifests.read(folder)
        if manifest is None:
            return
        for file in manifest.files:
            _pin(folder / file.name, pinned / file.name)
        pinned.mkdir(parents=True, exist_ok=True)
        manifests.write(pinned, manifest)
        listed = {file.name for file in manifest.files}
        for path in pinned.glob("*/*.parquet"):  # of a try before this one
            if str(path.relative_to(pinned)) not in listed:
                path.unlink()

    _again(pin, folder / manifests.NAME)


def _copy_others(data: Path, staging: Path) -> None:
    """Files beside the folders, except the lock and the control store with its log."""
    for path in data.iterdir():
        if path.is_file() and path.name != LOCK_NAME and CONTROL_NAME not in path.name:
            shutil.copy2(path, staging / path.name)


def _copy_control(path: Path, copy: Path) -> None:
    if not path.exists():
        return
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT, MODE))  # SQLite would let all read it
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as sink:
            source.backup(sink)
            sink.execute("PRAGMA journal_mode = DELETE")
    except sqlite3.Error as error:
        raise BackupFailed(f"{path} could not be copied: {error}.") from error


def _bring(staging: Path, target: Path, *, copies: bool) -> None:
    """All of `staging` into the new folder `target`, by second names where that is possible."""
    for path in sorted(staging.rglob("*")):
        place = target / path.relative_to(staging)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif copies:
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)
        else:
            _pin(path, place)


def _described(folder: Path, data: Path, now_ms: int) -> Backup:
    """Check all of it, and say what it is. Raises Corruption with the file in `data`."""
    try:
        for one in damages(folder):
            raise Corruption(one.path, one.offset_bytes, one.reason)
        found = audit.audit(folder)
    except Corruption as bad:
        path = data / bad.path.relative_to(folder)
        raise Corruption(path, bad.offset_bytes, bad.reason, advice=_NO_BACKUP) from bad
    manifest = manifests.read(folder / ARCHIVE_FOLDER)
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return Backup(
        version=version("tallymark"),
        made_ms=now_ms,
        last_seq=found.last_seq,
        snapshot_seq=found.loaded.seq if found.loaded else 0,
        archived_seq=manifest.covered_seq if manifest else 0,
        rows=manifest.rows if manifest else 0,
        files=tuple(
            Copied(str(path.relative_to(folder)), path.stat().st_size, crc_of(path))
            for path in files
        ),
    )


def sync_all(folder: Path) -> None:
    """Have every file and name below `folder` on the disk."""
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir():
            REAL_DISK.sync_folder(path)
        else:
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
