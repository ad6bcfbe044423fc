"""A sync that the kernel carries out while we go on, without a thread that waits for it.

A thread costs more than its waiting: for each record it takes Python's lock from the loop
several times and gives it back, which came to an eighth of everything that events cost
(decision 0010). Linux can sync in the background (io_submit(2) with IOCB_CMD_FDSYNC, since
4.18) and report it through a file that any selector can wait for. Its libraries do not offer
that call, so it is made by number; if the kernel refuses it, `real_disk` returns a disk that
cannot do it, and a thread waits.
"""

import ctypes
import errno
import os
import platform
import sys
import weakref
from typing import Final

from persistence.files import REAL_DISK, Disk

_NUMBERS: Final = {"x86_64": (206, 207, 208, 209), "aarch64": (0, 1, 4, 2)}
"""Of io_setup, io_destroy, io_getevents and io_submit."""

_FDSYNC: Final = 3
_TELL: Final = 1
"""IOCB_FLAG_RESFD: count the completion in the file `tell`."""


class _Request(ctypes.Structure):
    """struct iocb of linux/aio_abi.h, as machines lay it out that begin with the low byte."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("key", ctypes.c_uint32),
        ("rw_flags", ctypes.c_uint32),
        ("opcode", ctypes.c_uint16),
        ("priority", ctypes.c_int16),
        ("handle", ctypes.c_uint32),
        ("buffer", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_uint64),
        ("flags", ctypes.c_uint32),
        ("tell", ctypes.c_uint32),
    )


class _Completion(ctypes.Structure):
    """struct io_event."""

    _fields_ = (
        ("data", ctypes.c_uint64),
        ("request", ctypes.c_uint64),
        ("result", ctypes.c_int64),
        ("result2", ctypes.c_int64),
    )


class AsideDisk(Disk):
    """Real files, and one sync at a time that can be begun now and ended when it is done."""

    syncs_aside = True

    def __init__(self) -> None:
        """Raises OSError where this system cannot do so."""
        numbers = _NUMBERS.get(platform.machine())
        if sys.platform != "linux" or sys.byteorder != "little" or numbers is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        setup, destroy, self._getevents, self._submit = map(ctypes.c_long, numbers)
        self._call = ctypes.CDLL(None, use_errno=True).syscall
        self._call.restype = ctypes.c_long
        self._context = ctypes.c_ulong(0)
        self._must(self._call(setup, ctypes.c_long(1), ctypes.byref(self._context)))
        self._told = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._request = _Request(opcode=_FDSYNC, flags=_TELL, tell=self._told)
        self._requests = (ctypes.POINTER(_Request) * 1)(ctypes.pointer(self._request))
        self._completion = _Completion()
        self._one = ctypes.c_long(1)
        weakref.finalize(self, os.close, self._told)
        weakref.finalize(self, self._call, destroy, self._context)

    def begin_sync(self, handle: int) -> int:
        self._request.handle = handle
        self._must(self._call(self._submit, self._context, self._one, self._requests))
        return self._told

    def end_sync(self) -> None:
        os.eventfd_read(self._told)
        found = ctypes.byref(self._completion)
        self._must(
            self._call(self._getevents, self._context, self._one, self._one, found, None)
        )
        if self._completion.result < 0:
            number = -self._completion.result
            raise OSError(number, os.strerror(number))

    @staticmethod
    def _must(result: int) -> None:
        if result < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))


def real_disk() -> Disk:
    """The disk of this system for one journal."""
    try:
        return AsideDisk()
    except OSError:
        return REAL_DISK
