"""Wrong versions of what keeps events on the disk: the histories must find each of them.

Each is a context in which the code has one fault, as a later change might bring it in.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from engine.actors.runtime import Engine
from engine.dedup import IdWindow
from engine.errors import DiskFull, JournalFailed
from persistence import record, recovery
from persistence.files import WholeFile
from persistence.growing import GrowingSegment
from persistence.journal import Journal
from persistence.snapshot import SnapshotStore
from tests.simulation.disk import SimulatedDisk

Mutant = Callable[[], contextlib.AbstractContextManager[Any]]


def no_sync() -> contextlib.AbstractContextManager[Any]:
    """An append returns when the system has the bytes."""
    return patch.object(GrowingSegment, "_sync", lambda self: None)


def no_sync_of_the_folder() -> contextlib.AbstractContextManager[Any]:
    """A new segment's bytes are on the disk, its name is not."""
    return patch.object(SimulatedDisk, "sync_folder", lambda self, folder: None)


def no_sync_of_the_folder_at_the_start() -> contextlib.AbstractContextManager[Any]:
    """A name that a killed process has left is taken to be on the disk."""
    return patch.object(Journal, "_sync_folder", lambda self: None)


def no_checksum() -> contextlib.AbstractContextManager[Any]:
    """Bytes of the right length pass for a record."""

    def framed(data: bytes, offset: int, *, segment: int, first_seq: int) -> int:
        if len(data) - offset < record.FRAME.size:
            raise record.BadRecord(offset, "too short")
        length = record.FRAME.unpack_from(data, offset)[0]
        end = offset + record.FRAME.size + int(length)
        if length < 24 or end > len(data):
            raise record.BadRecord(offset, "cut off")
        return end

    return patch.object(record, "_framed", framed)


def sync_again_after_a_failure() -> contextlib.AbstractContextManager[Any]:
    """A sync that failed is tried once more, and then believed."""
    once = GrowingSegment._sync

    def twice(self: GrowingSegment) -> None:
        with contextlib.suppress(JournalFailed):
            once(self)
            return
        once(self)

    return patch.multiple(GrowingSegment, _sync=twice, _cut_back=lambda self: None)


def no_cut_after_a_failed_write() -> contextlib.AbstractContextManager[Any]:
    """What a failed write has left stays, and the next record stands behind it."""
    return patch.object(GrowingSegment, "_cut_back", lambda self: None)


def an_unsynced_cut() -> contextlib.AbstractContextManager[Any]:
    """What a full disk cut off may come back when the next segment has begun."""

    def sync(self: GrowingSegment) -> None:
        self.flush()
        if self._durability != "fsync":
            self._sync()

    return patch.object(GrowingSegment, "sync", sync)


def an_unsynced_removal() -> contextlib.AbstractContextManager[Any]:
    """A segment that found no room may come back beside the one that went on."""

    def take_back(disk: SimulatedDisk, folder: Path, path: Path, handle: int | None) -> None:
        if handle is not None:
            disk.close(handle)
            disk.remove(path)

    return patch("persistence.growing._take_back", take_back)


def doubtful_bytes_trusted() -> contextlib.AbstractContextManager[Any]:
    """A start takes what reads show for what is on the disk."""
    return patch.object(SimulatedDisk, "write_again", lambda self, path, at, data: None)


def a_manifest_before_its_parts() -> contextlib.AbstractContextManager[Any]:
    """The snapshot's names are not on the disk when the journal is trimmed."""

    @contextlib.contextmanager
    def mutated() -> Iterator[None]:
        sync = SimulatedDisk.sync_folder

        def but_not_of_snapshots(self: SimulatedDisk, folder: Path) -> None:
            if folder.name != "snapshots":
                sync(self, folder)

        with patch.object(SimulatedDisk, "sync_folder", but_not_of_snapshots):
            yield

    return mutated()


def a_snapshot_written_in_place() -> contextlib.AbstractContextManager[Any]:
    """A file has its name before it has its bytes."""

    class InPlace(WholeFile):
        def __init__(self, disk: SimulatedDisk, path: Path) -> None:
            super().__init__(disk, path)
            disk.rename(self._growing, path)
            self._growing = path

        def finish(self) -> None:
            self._close()

    return patch("persistence.part.WholeFile", InPlace)


def the_journal_trimmed_too_far() -> contextlib.AbstractContextManager[Any]:
    """The newest snapshot is trusted alone, and may be the one that cannot be read."""
    return patch.object(SnapshotStore, "trimmable_seq", property(lambda self: self.newest_seq))


def ids_forgotten_by_a_restart() -> contextlib.AbstractContextManager[Any]:
    """A start knows no event id of before."""
    return patch.object(IdWindow, "load", lambda self, parts: None)


def a_replay_from_the_beginning() -> contextlib.AbstractContextManager[Any]:
    """A start replays what the snapshot covers already."""
    replay = recovery.replay
    return patch.object(
        recovery,
        "replay",
        lambda journal, after_seq, *rest: replay(journal, journal.first_seq - 1, *rest),
    )


def a_full_disk_that_says_yes() -> contextlib.AbstractContextManager[Any]:
    """What found no room is acknowledged."""
    put = GrowingSegment.put

    def yes(self: GrowingSegment, *args: Any) -> None:
        with contextlib.suppress(DiskFull):
            put(self, *args)

    return patch.object(GrowingSegment, "put", yes)


def an_archive_ahead_of_the_journal() -> contextlib.AbstractContextManager[Any]:
    """The archive covers what a power cut may take from the journal."""

    async def at_once(engine: Engine) -> int:
        await engine._in_thread(engine._journal.flush, limiter=engine._journal_thread)
        return engine.taken_seq

    return patch.object(Engine, "durable_seq", at_once)


# Those of `test_journal` are left out: a history meets them once in hundreds.
MUTANTS: tuple[Mutant, ...] = (
    no_sync,
    no_sync_of_the_folder,
    no_checksum,
    sync_again_after_a_failure,
    no_cut_after_a_failed_write,
    a_manifest_before_its_parts,
    a_snapshot_written_in_place,
    the_journal_trimmed_too_far,
    ids_forgotten_by_a_restart,
    a_replay_from_the_beginning,
    a_full_disk_that_says_yes,
    an_archive_ahead_of_the_journal,
)
