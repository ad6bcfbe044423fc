"""The disk as persistence uses it: a dozen blocking calls that a test can replace."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a full disk and a full quota answer; all other errors mean that something is broken."""

NO_HANDLE: Final = frozenset({errno.EMFILE, errno.ENFILE})
"""What is answered where the process, or the system, has as many open files as it may have."""

Bytes = bytes | bytearray | memoryview

MODE: Final = 0o640
"""Files hold what users did: nobody but the owner and its group reads them."""


class Disk:
    """Real files. A handle is an int that only the disk that gave it understands.

    Every call blocks, every failure is an OSError. Faulty and simulated disks are subclasses
    that override the calls one by one; all that `persistence` reads or writes goes through
    here, so a disk that records writes and syncs sees everything that can be lost.
    Appending handles write at the end of the file, also after `truncate` has moved it.
    """

    syncs_aside: bool = False
    """Whether `begin_sync` and `end_sync` are there; they are for who must not wait."""

    def create(self, path: Path) -> int:
        """A handle that appends to the new file `path`, which must not exist."""
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, MODE)

    def open_append(self, path: Path) -> int:
        """A handle that appends to the existing file `path`."""
        return os.open(path, os.O_WRONLY | os.O_APPEND)

    def close(self, handle: int) -> None:
        os.close(handle)

    def write(self, handle: int, data: Bytes) -> int:
        """Write as much of `data` as the system takes at once; how many bytes that was."""
        return os.write(handle, data)

    def truncate(self, handle: int, size_bytes: int) -> None:
        os.ftruncate(handle, size_bytes)

    def sync(self, handle: int) -> None:
        """Return when the file's bytes and size are on the disk. Never call it again after a
        failure: the kernel may have dropped the bytes and would answer that all is well.
        """
        if sys.platform == "darwin":  # fsync there stops at the drive's cache
            import fcntl

            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
        else:
            os.fdatasync(handle)  # the size is part of it; times are not, and cost a write

    def begin_sync(self, handle: int) -> int:
        """Have the file synced meanwhile; one at a time. On OSError nothing has begun.

        Returns a file that can be read once it is done, and `end_sync` is to be called.
        """
        raise NotImplementedError

    def end_sync(self) -> None:
        """What became of it: as `sync`, returns or raises."""
        raise NotImplementedError

    def sync_folder(self, folder: Path) -> None:
        """Return when the names created, renamed and removed in `folder` are on the disk."""
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        except OSError as error:  # of a handle the system names no file
            raise OSError(error.errno, error.strerror, str(folder)) from error
        finally:
            os.close(handle)

    def read(self, path: Path) -> bytes:
        return path.read_bytes()

    def read_from(self, path: Path, offset_bytes: int, bytes_max: int) -> bytes:
        """What stands at `offset_bytes` of the file, up to `bytes_max`; empty at its end."""
        handle = os.open(path, os.O_RDONLY)
        try:
            return os.pread(handle, bytes_max, offset_bytes)
        finally:
            os.close(handle)

    def write_again(self, path: Path, offset_bytes: int, data: Bytes) -> None:
        """Put on the disk, in place, the bytes of `path` that a read has shown at an offset.

        After a sync that failed, reads may show what no disk has and no later sync writes.
        """
        handle = os.open(path, os.O_WRONLY)
        try:
            written = 0
            while written < len(data):
                written += os.pwrite(handle, memoryview(data)[written:], offset_bytes + written)
            self.sync(handle)
        finally:
            os.close(handle)

    def rename(self, path: Path, target: Path) -> None:
        """Give `path` the name `target`; what had that name is replaced in the same instant."""
        path.replace(target)

    def remove(self, path: Path) -> None:
        """Remove the file, if it is there."""
        path.unlink(missing_ok=True)

    def names(self, folder: Path) -> list[str]:
        """What is in `folder`, sorted."""
        return sorted(entry.name for entry in folder.iterdir())

    def make_folder(self, folder: Path) -> None:
        """Create `folder` and those above it where they are missing, each of them for good.

        For good also where it is there: who made it may have been killed before it was synced.
        """
        if not self.is_folder(folder):
            if not self.is_folder(folder.parent):
                self.make_folder(folder.parent)
            self.add_folder(folder)
        with contextlib.suppress(PermissionError):  # above ours nobody owes us the right to
            self.sync_folder(folder.parent)

    def is_folder(self, folder: Path) -> bool:
        return folder.is_dir()

    def add_folder(self, folder: Path) -> None:
        """Create `folder` in one that exists; the name is safe once that one was synced."""
        folder.mkdir(exist_ok=True)


REAL_DISK: Final = Disk()


def write_fully(disk: Disk, handle: int, data: Bytes) -> None:
    """Write all of `data`, however little is taken at once; on OSError a part may stand."""
    written = disk.write(handle, data)
    while written < len(data):
        taken = disk.write(handle, memoryview(data)[written:])
        if taken == 0:
            raise OSError(errno.EIO, "the system takes no bytes and names no reason")
        written += taken


class WholeFile:
    """A file that gets its name when it has all of its bytes, and these are on the disk.

    Until then it is `….tmp`. Where a method raises OSError `abandon` is to be called.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        self._disk = disk
        self._path = path
        self._growing = path.with_name(path.name + ".tmp")
        disk.remove(self._growing)
        self._handle: int | None = disk.create(self._growing)

    def write(self, data: Bytes) -> None:
        """Add bytes at its end."""
        assert self._handle is not None
        write_fully(self._disk, self._handle, data)

    def finish(self) -> None:
        """Let it be there; the name is safe once the caller has synced the folder."""
        assert self._handle is not None
        self._disk.sync(self._handle)
        self._close()
        self._disk.rename(self._growing, self._path)

    def abandon(self) -> None:
        """Remove it as far as the disk allows; raises nothing."""
        with contextlib.suppress(OSError):
            self._close()
        with contextlib.suppress(OSError):
            self._disk.remove(self._growing)

    def _close(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            self._disk.close(handle)


def write_whole(disk: Disk, path: Path, pieces: Iterable[bytes]) -> None:
    """Put a file at `path` that has all of its bytes, or none; on OSError `path` is untouched.

    The bytes are on the disk on return; the name is when the caller has synced the folder.
    """
    file: WholeFile | None = None
    try:
        file = WholeFile(disk, path)
        for piece in pieces:
            file.write(piece)
        file.finish()
    except OSError:
        if file is not None:
            file.abandon()
        raise
