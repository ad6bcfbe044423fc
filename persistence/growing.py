"""The segment being written: records go in whole or not at all, and a failed sync ends it."""

import contextlib
import errno
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Final, Literal, Self

from engine.distribution import Distribution
from engine.errors import DiskFull, JournalFailed
from persistence.files import NO_HANDLE, NO_ROOM, Bytes, Disk, write_fully
from persistence.segment import HEADER_BYTES, Segment, encode_header, name_of

Durability = Literal["fsync", "write", "none"]
"""On the disk, with the system, or in this process when `put` returns."""

BUFFER_BYTES_MAX: Final = 2**20
"""What durability `none` holds back, in whole records."""


def failed(what: str, error: OSError) -> JournalFailed:
    """The end of all appending; `what` is a clause that says what could not be done."""
    return JournalFailed(
        f"The journal takes no more events, because {what}: {error.strerror or error}. "
        f"Check the disk, then restart Tallymark."
    )


class GrowingSegment:
    """The newest segment: whole records in its file, and in a buffer under durability `none`.

    Every method raises DiskFull, after which all is as before the call, or JournalFailed,
    after which only `close` may be called. Nothing is ever synced again after a failed sync.
    """

    def __init__(
        self,
        disk: Disk,
        path: Path,
        first_seq: int,
        handle: int,
        durability: Durability,
        sync_s: Distribution,
    ) -> None:
        self.path = path
        self.first_seq = first_seq
        self._disk = disk
        self._handle = handle
        self._durability: Final = durability
        self._sync_s = sync_s
        self._file_bytes = HEADER_BYTES  # whole records; what lies beyond is never kept
        self._buffer = bytearray()
        self._is_cut = False  # and the cut is not on the disk yet
        self.syncs_aside = disk.syncs_aside
        """Whether `begin` waits for no sync; False once the system has refused to begin one."""
        self._begun_bytes = 0
        self._begun_s = 0.0

    @classmethod
    def create(
        cls,
        disk: Disk,
        folder: Path,
        first_seq: int,
        durability: Durability,
        sync_s: Distribution,
    ) -> Self:
        """A new segment, its header and its name on the disk; `sync_s` learns of its syncs."""
        path = folder / name_of(first_seq)
        handle = None
        try:
            handle = disk.create(path)
            write_fully(disk, handle, encode_header(first_seq))
            disk.sync(handle)
            disk.sync_folder(folder)
        except OSError as error:
            _take_back(disk, folder, path, handle)
            if error.errno in NO_ROOM:
                raise _full(path) from error
            if error.errno in NO_HANDLE:  # connections have all of them: this passes
                raise DiskFull(
                    f"No file can be opened for {path}: {error.strerror}. Nothing of this "
                    f"group was kept: allow more open files, or send it again later."
                ) from error
            raise failed(f"{path} could not be created", error) from error
        return cls(disk, path, first_seq, handle, durability, sync_s)

    @classmethod
    def resume(
        cls,
        disk: Disk,
        newest: Segment,
        doubtful_at: int,
        durability: Durability,
        sync_s: Distribution,
    ) -> Self:
        """Go on with a segment that was found, cut to its whole records.

        doubtful_at  where the bytes begin that its last writer may not have synced

        These are written again, and all is synced: a killed process may have left bytes that
        no disk has yet, or, where its sync failed, never will have by a sync alone. Replay is
        about to count them, and what is appended behind a hole would be lost with it.
        """
        doubtful = newest.size_bytes - doubtful_at
        try:
            data = disk.read_from(newest.path, doubtful_at, doubtful)
            if len(data) != doubtful:
                raise OSError(errno.EIO, "it is shorter than it was a moment ago")
            disk.write_again(newest.path, doubtful_at, data)
            handle = disk.open_append(newest.path)
        except OSError as error:
            raise failed(f"{newest.path} cannot be written", error) from error
        segment = cls(disk, newest.path, newest.first_seq, handle, durability, sync_s)
        segment._file_bytes = newest.size_bytes
        segment._cut_back()
        segment._sync()
        return segment

    @property
    def size_bytes(self) -> int:
        return self._file_bytes + len(self._buffer)

    def put(self, pieces: Iterable[Bytes], size_bytes: int) -> None:
        """Add one whole record, as durable on return as the durability says.

        pieces  of the record, `size_bytes` together; each is written before the next is taken
        """
        if self._durability == "none" and size_bytes <= BUFFER_BYTES_MAX:
            if len(self._buffer) + size_bytes > BUFFER_BYTES_MAX:
                self.flush()
            for piece in pieces:
                self._buffer += piece
            return
        self.flush()
        for piece in pieces:
            self._write(piece)
        if self._durability == "fsync":
            self._sync()
        self._file_bytes += size_bytes

    def begin(self, pieces: Iterable[Bytes], size_bytes: int) -> int | None:
        """As `put`, without waiting for the disk: `end` is to be called.

        Returns the file that can be read when it is time for that; None if it is now.
        """
        if self._durability != "fsync":
            self.put(pieces, size_bytes)
            return None
        for piece in pieces:
            self._write(piece)
        self._begun_bytes, self._begun_s = size_bytes, perf_counter()
        try:
            return self._disk.begin_sync(self._handle)
        except OSError:  # not for this file, or too many are under way in this system
            self.syncs_aside = False
            self._sync()
            self._file_bytes += size_bytes
            self._begun_bytes = 0
            return None

    def end(self) -> None:
        """What was begun is on the disk, or will never be: as `put`, returns or raises."""
        if self._begun_bytes:
            size_bytes, self._begun_bytes = self._begun_bytes, 0
            self._synced(self._disk.end_sync, self._begun_s)
            self._file_bytes += size_bytes

    def flush(self) -> None:
        """Write the buffer; when the disk is full it stays what it was, in whole records."""
        if self._buffer:
            # A copy: a view of it, kept by a failure's traceback, would not let it grow.
            self._write(bytes(self._buffer))
            self._file_bytes += len(self._buffer)
            self._buffer = bytearray()

    def sync(self) -> None:
        """Have on the disk all there is and nothing that was cut off, in any durability."""
        self.flush()
        if self._durability != "fsync" or self._is_cut:
            self._sync()

    def close(self) -> None:
        self._disk.close(self._handle)

    def _write(self, data: Bytes) -> None:
        try:
            write_fully(self._disk, self._handle, data)
        except OSError as error:
            self._cut_back()
            if error.errno in NO_ROOM:
                raise _full(self.path) from error
            raise failed(f"a write to {self.path} failed", error) from error

    def _sync(self) -> None:
        self._synced(partial(self._disk.sync, self._handle), perf_counter())

    def _synced(self, sync: Callable[[], None], started_s: float) -> None:
        try:
            sync()
        except OSError as error:
            # The kernel may show the next start bytes that the disk never got. What has not
            # been acknowledged goes, if it still can; what has is not made worse by trying.
            with contextlib.suppress(JournalFailed):
                self._cut_back()
            raise failed(f"a sync of {self.path} failed", error) from error
        self._is_cut = False
        self._sync_s.add(perf_counter() - started_s)

    def _cut_back(self) -> None:
        try:
            self._disk.truncate(self._handle, self._file_bytes)
        except OSError as error:
            what = f"what follows the last whole record of {self.path} could not be cut off"
            raise failed(what, error) from error
        self._is_cut = True


def _take_back(disk: Disk, folder: Path, path: Path, handle: int | None) -> None:
    """Undo a creation that failed for good: neither a later one nor a start finds the name."""
    try:
        if handle is not None:
            disk.close(handle)
            disk.remove(path)
            disk.sync_folder(folder)
    except OSError as error:
        raise failed(f"the unfinished {path} could not be removed", error) from error


def _full(path: Path) -> DiskFull:
    return DiskFull(
        f"There is no room on the disk for {path}. Nothing of this group was kept: "
        f"free some space and send it again."
    )
