"""One process per data folder: a lock file that the system releases when its holder ends."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.errors import FolderInUse, UnusableFolder

LOCK_NAME: Final = "lock"


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold `folder`, which exists, for as long as the context lasts.

    The file `lock` in it is locked with flock, so a crash leaves nothing to clean up, and it
    is never removed: whoever had it open would hold a lock that nobody else sees. It contains
    the number of the process that holds or held it. Raises FolderInUse, which names it, and
    UnusableFolder where the file cannot be opened.
    """
    handle = _opened(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FolderInUse(
                f"The data folder {folder} is in use by process {_holder(handle)}: stop that "
                f"process, or choose another folder."
            ) from error
        with contextlib.suppress(OSError):  # a full disk: the number is for people alone
            os.ftruncate(handle, 0)
            os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(handle)


def is_held(folder: Path) -> bool:
    """Whether a process holds `folder`. A start at this very instant may find it held by us.

    Raises UnusableFolder.
    """
    if not (folder / LOCK_NAME).exists():  # which is never removed
        return False
    handle = _opened(folder / LOCK_NAME, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _opened(path: Path, flags: int) -> int:
    try:
        return os.open(path, flags, 0o640)
    except OSError as error:
        raise UnusableFolder(path, error) from error


def _holder(handle: int) -> str:
    """What the holder has written about itself; "?" in the instant before it does."""
    return os.pread(handle, 32, 0).decode("ascii", "replace").strip() or "?"
