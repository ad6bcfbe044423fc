"""Real files with faults on order: no room, short writes, failing calls, a stop at any call."""

import errno
import os

from persistence.files import Disk


class Stopped(Exception):
    """The process ended here: nothing that persistence does after it reaches the disk."""


class FaultyDisk(Disk):
    """`calls` names every call that may change the disk, in order.

    room_bytes       how many bytes can still be written; None: no end
    write_bytes_max  how many bytes one write takes at most
    stop_after       number of calls after which the process ends; a write then does half
    """

    def __init__(self, *, room_bytes=None, write_bytes_max=None, stop_after=None):
        self.room_bytes = room_bytes
        self.write_bytes_max = write_bytes_max
        self.stop_after = stop_after
        self.calls = []
        self._faults = {}
        self._open = set()

    def __del__(self):
        for handle in self._open:  # of journals that a test has left as a crash would
            os.close(handle)

    def fail_next(self, call, code):
        self._faults[call] = code

    def _called(self, call):
        if self.stop_after is not None and len(self.calls) >= self.stop_after:
            raise Stopped
        self.calls.append(call)
        code = self._faults.pop(call, None)
        if code is not None:
            raise OSError(code, os.strerror(code))

    def create(self, path):
        self._called("create")
        handle = super().create(path)
        self._open.add(handle)
        return handle

    def open_append(self, path):
        self._called("open_append")
        handle = super().open_append(path)
        self._open.add(handle)
        return handle

    def close(self, handle):
        self._open.remove(handle)
        super().close(handle)

    def write(self, handle, data):
        if self.stop_after is not None and len(self.calls) == self.stop_after:
            super().write(handle, data[: len(data) // 2])
        self._called("write")
        data = data[: self.write_bytes_max]
        if self.room_bytes is not None:
            if self.room_bytes == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            data = data[: self.room_bytes]
            self.room_bytes -= len(data)
        return super().write(handle, data)

    def truncate(self, handle, size_bytes):
        self._called("truncate")
        super().truncate(handle, size_bytes)

    def sync(self, handle):
        self._called("sync")  # the page cache is memory here: what it would do is not tested

    def sync_folder(self, folder):
        self._called("sync_folder")

    def write_again(self, path, offset_bytes, data):
        self._called("write_again")
        super().write_again(path, offset_bytes, data)

    def rename(self, path, target):
        self._called("rename")
        super().rename(path, target)

    def remove(self, path):
        self._called("remove")
        super().remove(path)
