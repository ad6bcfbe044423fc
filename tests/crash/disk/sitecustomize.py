"""A disk that kills its process at a step of writing a snapshot: found through PYTHONPATH.

FATAL_STEP  a call that changes the folder of snapshots, by its number, from 1, or by its name:
            it is not made, or by half if it writes, and it is the last
STEPS       a file that has the name of each of these calls in the end, one a line
"""

import os
import signal

from persistence import files

FATAL_STEP = os.environ["FATAL_STEP"]
STEPS = os.open(os.environ["STEPS"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)


def _kind(path):
    """What a name in the folder of snapshots is for."""
    name = path.name.removesuffix(".tmp")
    return "manifest" if name.endswith(".manifest") else "part"


class FatalDisk(files.Disk):
    def __init__(self):
        self._steps = 0
        self._latest = "a start"
        self._kinds = {}  # by handle, of files of snapshots

    def create(self, path):
        is_ours = path.parent.name == "snapshots"
        if is_ours:
            self._step(f"create {_kind(path)}")
        handle = super().create(path)
        if is_ours:
            self._kinds[handle] = _kind(path)
        return handle

    def close(self, handle):
        self._kinds.pop(handle, None)
        super().close(handle)

    def write(self, handle, data):
        self._step_of(handle, "write", half=data[: len(data) // 2])
        return super().write(handle, data)

    def sync(self, handle):
        self._step_of(handle, "sync")
        super().sync(handle)

    def rename(self, path, target):
        if target.parent.name == "snapshots":
            self._step(f"rename {_kind(target)}")
        super().rename(path, target)

    def remove(self, path):
        if path.parent.name == "snapshots":
            what = "temporary" if path.suffix == ".tmp" else _kind(path)
            self._step(f"remove {what}")
        super().remove(path)

    def sync_folder(self, folder):
        if folder.name == "snapshots":
            self._step(f"sync folder after {self._latest}")
        super().sync_folder(folder)

    def _step_of(self, handle, call, half=b""):
        if handle in self._kinds:
            self._step(f"{call} {self._kinds[handle]}", lambda: os.write(handle, half))

    def _step(self, told, last=lambda: None):
        os.write(STEPS, f"{told}\n".encode())
        self._steps += 1
        if FATAL_STEP in (told, str(self._steps)):
            last()
            os.kill(os.getpid(), signal.SIGKILL)
        self._latest = told


files.REAL_DISK = FatalDisk()
