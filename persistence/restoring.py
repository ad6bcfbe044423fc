"""A data folder made from a backup, proved by a start before it gets its name."""

import shutil
from pathlib import Path
from typing import Final

import msgspec

from engine.config import Config
from engine.errors import Corruption, TallymarkError
from persistence import backup
from persistence.archive import manifest as manifests
from persistence.archive.manifest import ARCHIVE_FOLDER
from persistence.backup import NAME, Backup, sync_all
from persistence.checksums import crc_of
from persistence.files import REAL_DISK
from persistence.record import UnknownFormat
from persistence.recovery import recover
from persistence.snapshot import SNAPSHOT_FOLDER, SnapshotStore
from persistence.soundness import damages

UNTOLD_ZONE: Final = "UTC"
"""In which what no snapshot has cut into hours is counted, for the proof alone."""

_NOT_RESTORED: Final = (
    "Nothing was restored: take the file from another copy, or another backup."
)


class RestoreFailed(TallymarkError):
    """Nothing was restored, and nothing is left of the attempt."""

    title = "Restore failed"


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What was restored, and what a start has made of it.

    events, duplicates  that the metrics count
    replayed            of them behind the newest snapshot
    """

    backup: Backup
    events: int
    duplicates: int
    replayed: int


def restore(source: Path, data: Path) -> Restored:
    """Make the new data folder `data` from the backup `source`, which stays as it is.

    Every file is compared with what the backup says of it; then the copy is verified, started,
    and counted. Raises RestoreFailed, UnknownFormat, Corruption with a file of the backup.
    """
    told = read(source)
    if data.exists():
        raise RestoreFailed(f"{data} exists already: move it away, or name another folder.")
    growing = data.with_name(data.name + ".growing")
    shutil.rmtree(growing, ignore_errors=True)
    try:
        _copy(source, growing, told)
        restored = _proved(growing, told)
        sync_all(growing)
        REAL_DISK.rename(growing, data)
        REAL_DISK.sync_folder(data.parent)
    except OSError as error:
        raise RestoreFailed(
            f"{source} was not restored: {error.filename or data}: {error.strerror or error}."
        ) from error
    finally:
        shutil.rmtree(growing, ignore_errors=True)
    return restored


def read(source: Path) -> Backup:
    """What the backup in the folder `source` says of itself."""
    path = source / NAME
    try:
        told = msgspec.json.decode(path.read_bytes(), type=Backup)
    except FileNotFoundError:
        raise RestoreFailed(
            f"{source} is not a backup, or one that was never finished: there is no {NAME} in "
            f"it."
        ) from None
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _damaged(path, 0, str(error)) from error
    if told.format != backup.FORMAT:
        raise UnknownFormat(
            f"{path} has format {told.format}; this Tallymark reads {backup.FORMAT}. Restore "
            f"it with the version that wrote it, {told.version}."
        )
    return told


def _damaged(path: Path, offset_bytes: int, reason: str) -> Corruption:
    return Corruption(path, offset_bytes, reason, advice=_NOT_RESTORED)


def _copy(source: Path, target: Path, told: Backup) -> None:
    target.mkdir(parents=True)
    for file in told.files:
        path, place = source / file.path, target / file.path
        if not path.resolve().is_relative_to(source.resolve()):
            raise RestoreFailed(f"{source / NAME} lists {file.path!r}, which is not inside.")
        place.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(path, place)
        except FileNotFoundError:
            raise _damaged(path, 0, "it is missing, and the backup lists it") from None
        size_bytes = place.stat().st_size
        if size_bytes != file.size_bytes:
            reason = f"it has {size_bytes} bytes, and {file.size_bytes} were written"
            raise _damaged(path, min(size_bytes, file.size_bytes), reason)
        if crc_of(place) != file.crc:
            raise _damaged(path, *_place(source, path))


def _place(source: Path, path: Path) -> tuple[int, str]:
    """From which byte on a file is not what it was, as far as its own checksums tell."""
    for one in damages(source):
        if one.path == path:
            return one.offset_bytes, one.reason
    return 0, "its checksum is wrong"


def _proved(data: Path, told: Backup) -> Restored:
    """Verify the copy, start it, and compare what it holds with what the backup says."""
    for one in damages(data):
        raise _damaged(one.path, one.offset_bytes, one.reason)
    recovered = recover(_config_of(data))
    recovered.journal.close()
    manifest = manifests.read(data / ARCHIVE_FOLDER)
    tally = recovered.sequencing.tally
    held = {
        "events": (recovered.journal.last_seq, told.last_seq),
        "events counted": (tally.events, told.last_seq),
        "events in the snapshot": (recovered.report.snapshot_seq, told.snapshot_seq),
        "events archived": (manifest.covered_seq if manifest else 0, told.archived_seq),
        "rows of the archive": (manifest.rows if manifest else 0, told.rows),
    }
    wrong = [
        f"{found} {what}, not {due}" for what, (found, due) in held.items() if found != due
    ]
    if wrong:
        raise RestoreFailed(f"What was restored holds {'; '.join(wrong)}.")
    return Restored(
        backup=told,
        events=tally.events,
        duplicates=tally.duplicates,
        replayed=recovered.report.replayed_events,
    )


def _config_of(data: Path) -> Config:
    """Settings with which this folder can be started: its zone is its own."""
    loaded = SnapshotStore(data / SNAPSHOT_FOLDER).load_newest()
    if loaded is None:
        return Config(data=data, timezone=UNTOLD_ZONE)
    return Config(data=data, timezone=loaded.meta["timezone"], shards=loaded.meta["shards"])
