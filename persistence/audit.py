"""What a data folder holds and whether it is sound, found out without changing a byte.

The journal and the snapshots are read by the same code that reads them at a start, on top of a
disk that only pretends to write. So this reports what a start would do.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from engine.errors import Corruption, FolderInUse, TallymarkError
from persistence.files import Bytes, Disk
from persistence.journal import JOURNAL_FOLDER, Cut, Journal
from persistence.lock import LOCK_NAME
from persistence.segment import Segment
from persistence.snapshot import SNAPSHOT_FOLDER, SnapshotStore

_MANIFEST: Final = ".manifest"
_NO_HANDLE: Final = -1


class NotADataFolder(TallymarkError):
    """The folder lacks what a server writes into every one, so nothing can be said about it."""

    title = "Not a data folder"


class SnapshotFound(NamedTuple):
    """A snapshot. `size_bytes` is that of its payloads; `flaw` is None when all checks out."""

    path: Path
    seq: int
    written_ms: int
    size_bytes: int
    flaw: str | None


class Audit(NamedTuple):
    """What was found.

    segments      oldest first
    records       of the journal, closing records not counted
    first_seq     the oldest number in the journal; last_seq + 1 when it is empty
    torn          what a start would cut off the end of the journal; no acknowledged event is
                  in it. None when there is nothing to cut
    snapshots     newest first, damaged ones too
    loaded        the snapshot that a start would load; None without a good one
    """

    segments: tuple[Segment, ...]
    records: int
    first_seq: int
    last_seq: int
    torn: Cut | None
    snapshots: tuple[SnapshotFound, ...]
    loaded: SnapshotFound | None

    @property
    def events(self) -> int:
        """Numbers in the journal, duplicates included."""
        return self.last_seq + 1 - self.first_seq

    @property
    def replayed_events(self) -> int:
        """How many of them a start would replay."""
        return max(0, self.last_seq - (self.loaded.seq if self.loaded else 0))

    @property
    def size_bytes(self) -> int:
        """Bytes of the journal's whole records and headers."""
        return sum(segment.size_bytes for segment in self.segments)


def must_be_data_folder(folder: Path) -> None:
    """Raises NotADataFolder where no server has ever run on `folder`."""
    if not (folder / JOURNAL_FOLDER).is_dir():
        raise NotADataFolder(
            f"{folder} is not a data folder: there is no {JOURNAL_FOLDER}/ in it."
        )


def audit(folder: Path) -> Audit:
    """Read everything in the data folder `folder` and check it. Blocks, and reads all bytes.

    Raises NotADataFolder, FolderInUse while a server runs on it (its newest record may be half
    written at any instant), UnknownFormat, and Corruption where a start would refuse as well.
    A damaged snapshot is no reason to refuse, and is listed with its flaw.
    """
    must_be_data_folder(folder)
    with undisturbed(folder):
        snapshots = tuple(_snapshots(folder / SNAPSHOT_FOLDER))
        loaded = next((one for one in snapshots if one.flaw is None), None)
        journal = Journal.open(folder / JOURNAL_FOLDER, durability="none", disk=_Pretending())
        _must_reach_back(journal, loaded)
        records = sum(1 for _ in journal.replay(journal.first_seq - 1))
    return Audit(
        journal.segments,
        records,
        journal.first_seq,
        journal.last_seq,
        journal.cut,
        snapshots,
        loaded,
    )


class _Pretending(Disk):
    """Reads what is there; pretends to succeed when asked to change it, and changes nothing.

    It shows a single manifest if given one, so that each snapshot is tried as if alone.
    """

    def __init__(self, manifest: str | None = None) -> None:
        self._manifest = manifest

    def names(self, folder: Path) -> list[str]:
        names = super().names(folder)
        if self._manifest is None:
            return names
        return [name for name in names if name == self._manifest]

    def create(self, path: Path) -> int:
        raise AssertionError(f"{path} would be created by what only reads")

    def write(self, handle: int, data: Bytes) -> int:
        raise AssertionError(f"{len(data)} bytes would be written by what only reads")

    def open_append(self, path: Path) -> int:
        return _NO_HANDLE

    def close(self, handle: int) -> None:
        pass

    def truncate(self, handle: int, size_bytes: int) -> None:
        pass

    def sync(self, handle: int) -> None:
        pass

    def sync_folder(self, folder: Path) -> None:
        pass

    def write_again(self, path: Path, offset_bytes: int, data: Bytes) -> None:
        pass

    def rename(self, path: Path, target: Path) -> None:
        raise AssertionError(f"{path} would be renamed by what only reads")

    def remove(self, path: Path) -> None:
        pass

    def make_folder(self, folder: Path) -> None:
        pass


@contextlib.contextmanager
def undisturbed(folder: Path) -> Iterator[None]:
    """Keep a server from starting on `folder` meanwhile; raises FolderInUse where one runs."""
    try:
        handle = os.open(folder / LOCK_NAME, os.O_RDONLY)
    except FileNotFoundError:  # a copy, or a backup: whoever made it left the lock behind
        yield
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(
                f"A server is running on {folder} and writes while we would read: stop it "
                f"first, or verify a copy of the folder."
            ) from error
        yield
    finally:
        os.close(handle)


def _snapshots(folder: Path) -> Iterator[SnapshotFound]:
    """Every snapshot in `folder`, newest first."""
    if not folder.is_dir():
        return
    for path in sorted(folder.glob("*" + _MANIFEST), reverse=True):
        store = SnapshotStore(folder, disk=_Pretending(path.name))
        loaded = store.load_newest()
        written_ms = path.stat().st_mtime_ns // 1_000_000
        if loaded is not None:
            size_bytes = sum(len(part) for parts in loaded.parts.values() for part in parts)
            yield SnapshotFound(path, loaded.seq, written_ms, size_bytes, None)
        elif store.skipped:
            seq = int(path.name.removesuffix(_MANIFEST))
            yield SnapshotFound(path, seq, written_ms, 0, store.skipped[0].reason)


def _must_reach_back(journal: Journal, loaded: SnapshotFound | None) -> None:
    """The journal must begin where the snapshot ends, or before."""
    needed = (loaded.seq if loaded else 0) + 1
    if journal.segments and journal.first_seq > needed:
        raise Corruption(
            journal.segments[0].path,
            0,
            f"the journal begins here, at number {journal.first_seq}, and no good snapshot "
            f"covers what came before: number {needed} is needed",
        )
