"""A disk in memory that can lose what a real one may lose when it is cut off from its power.

What was synced is on it for good. Of what was not, `cut_power` leaves any state that a real
disk may legally show:

* each sector of 512 bytes, by itself, as it was at any time since the last sync of its file;
* a file's size as it was at any of these times; bytes that it gained and that never arrived
  are zeros, or what another file had left there;
* names created, renamed and removed since the last sync of their folder: in their order up to
  some point, or any of them that do not build on one that is missing;
* folders whose parent was not synced: not there, with all that is in them.

A sync that fails drops what was to be written, as Linux does: the pages count as clean, reads
still show them (or show the disk's bytes), and a later sync that succeeds does not write them;
every handle that was open then fails once in its next sync, handles opened later do not.
`kill` ends the process and keeps the page cache, as kill -9 does.

Its model is the weakest one that the persistence layer counts on: a sector is atomic, a rename
is one step. Everything random comes from the generator that is passed in.
"""

import contextlib
import errno
import os
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Final

from persistence.files import Bytes, Disk

SECTOR_BYTES: Final = 512
PAGE_SECTORS: Final = 8
ROOT: Final = Path("/simulated")
ROOT_LENGTH: Final = len(str(ROOT)) + 1
ROOT_PARTS: Final = len(ROOT.parts)
STALE_KEPT: Final = 8


class Crashed(BaseException):
    """The process ended here: not an Exception, for nothing may handle it."""


@dataclass(eq=False)
class File:
    """What is certainly on the disk, what reads show, and every state between the two."""

    disk: bytes = b""
    cache: bytes = b""
    states: list[bytes] = field(default_factory=list)  # of the cache since the last sync
    dirty: set[int] = field(default_factory=set)  # pages that a sync would write
    failures: int = 0  # of syncs; Linux tells each handle that was open then, once

    def change(self, data: bytes, first_byte: int) -> None:
        """The cache becomes `data`, which differs from `first_byte` on."""
        page_bytes = SECTOR_BYTES * PAGE_SECTORS
        end = max(len(data), len(self.cache), first_byte + 1)
        self.dirty.update(range(first_byte // page_bytes, -(-end // page_bytes)))
        self.cache = data
        self.states.append(data)

    def write_back(self) -> None:
        """All dirty pages and the size arrive."""
        arrived = bytearray(len(self.cache))
        for sector in range(-(-len(self.cache) // SECTOR_BYTES)):
            source = self.cache if sector // PAGE_SECTORS in self.dirty else self.disk
            piece = _sector(source, sector)
            start = sector * SECTOR_BYTES
            arrived[start : start + SECTOR_BYTES] = piece[: len(arrived) - start]
        self.disk = bytes(arrived)
        self.states.clear()
        self.dirty.clear()

    def arrive_in_part(self, rng: Random, stale: list[bytes]) -> None:
        """Some of what is dirty arrives, and the rest never will."""
        if self.states:
            self.disk = self._mixed(rng, stale)
        self.states.clear()
        self.dirty.clear()

    def _mixed(self, rng: Random, stale: list[bytes]) -> bytes:
        states = [self.disk, *self.states]
        manner = rng.random()
        if manner < 0.15:
            return self.disk
        size = len(self.cache) if manner < 0.5 else len(rng.choice(states))
        arrived = bytearray()
        for sector in range(-(-size // SECTOR_BYTES)):
            state = self.disk
            if sector // PAGE_SECTORS in self.dirty:
                state = self.cache if manner < 0.3 else rng.choice(states)
            start = sector * SECTOR_BYTES
            if start >= len(state) and start >= len(self.disk) and stale and rng.random() < 0.3:
                state = rng.choice(stale)
            arrived += _sector(state, sector)
        return bytes(arrived[:size])


def _sector(data: bytes, sector: int) -> bytes:
    start = sector * SECTOR_BYTES
    return data[start : start + SECTOR_BYTES].ljust(SECTOR_BYTES, b"\0")


@dataclass(eq=False)
class Folder:
    """Names that are certainly on the disk, names that are seen, and the steps between."""

    disk: dict[str, "File | Folder"] = field(default_factory=dict)
    seen: dict[str, "File | Folder"] = field(default_factory=dict)
    steps: list[tuple[str, str | None, "File | Folder | None"]] = field(default_factory=list)

    def put(self, name: str, entry: "File | Folder") -> None:
        self._step(name, None, entry)

    def drop(self, name: str) -> None:
        self._step(name, None, None)

    def rename(self, name: str, target: str) -> None:
        self._step(target, name, self.seen[name])

    def _step(self, name: str, former: str | None, entry: "File | Folder | None") -> None:
        self.steps.append((name, former, entry))
        _take_step(self.seen, self.steps[-1])

    def write_back(self) -> None:
        self.disk = dict(self.seen)
        self.steps.clear()

    def arrive_in_part(self, rng: Random) -> None:
        """Some of the steps are on the disk, and are all that is seen from now on."""
        reached = rng.randint(0, len(self.steps))
        in_order = rng.random() < 0.5
        missing: set[str] = set()
        for number, step in enumerate(self.steps):
            name, former, _ = step
            names = {name} if former is None else {name, former}
            arrives = number < reached if in_order else rng.random() < 0.5
            if not arrives or names & missing:
                missing |= names
            else:
                _take_step(self.disk, step)
        self.steps.clear()
        self.seen = dict(self.disk)


def _take_step(
    names: dict[str, "File | Folder"], step: tuple[str, str | None, "File | Folder | None"]
) -> None:
    name, former, entry = step
    if former is not None:
        names.pop(former, None)
    if entry is None:
        names.pop(name, None)
    else:
        names[name] = entry


@dataclass
class Faults:
    """How often what fails, as probabilities; `room_bytes` is what can still be written.

    The calls that are named in `calls` fail, and no others.
    """

    rate: float = 0.0
    calls: tuple[str, ...] = ()
    room_bytes: int | None = None
    write_bytes_max: int | None = None


class SimulatedDisk(Disk):
    """All of `Disk` in memory. `paused` is called at the beginning of each call.

    crash_in   calls after which the process ends; None: it does not end by itself
    crash_at   which calls are counted for that; None: all
    trace      one line for each call, for whoever has to understand a failure
    """

    def __init__(self, rng: Random, paused: Callable[[str], None] = lambda call: None) -> None:
        self.faults = Faults()
        self.crash_in: int | None = None
        self.crash_at: str | None = None
        self.is_dead = False
        self.failures = 0
        self.calls = 0
        self.trace: list[str] = []
        self._rng = rng
        self._paused = paused
        self._root = Folder()
        self._open: dict[int, tuple[Path, File]] = {}
        self._told: dict[int, int] = {}  # by handle, of how many failures of its file
        self._next_handle = 3
        self._stale: list[bytes] = []
        self._ready = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._begun = 0
        weakref.finalize(self, os.close, self._ready)

    # -- ends ---------------------------------------------------------------------------------

    def kill(self) -> None:
        """The process is gone, the system lives on: all that was written is seen."""
        self._open.clear()
        with contextlib.suppress(BlockingIOError):
            os.eventfd_read(self._ready)
        self.is_dead = False
        self.crash_in = None
        self.trace.append("-- killed")

    def cut_power(self) -> None:
        """The system is gone too: what was not synced is in any state that is legal."""
        self._arrive_in_part(self._root)
        self.kill()
        self.trace[-1] = "-- power cut: " + ", ".join(self.sizes())

    def _arrive_in_part(self, folder: Folder) -> None:
        folder.arrive_in_part(self._rng)
        for name in sorted(folder.seen):
            entry = folder.seen[name]
            if isinstance(entry, Folder):
                self._arrive_in_part(entry)
            else:
                entry.arrive_in_part(self._rng, self._stale)
                entry.cache = entry.disk

    def sizes(self) -> Iterator[str]:
        """Every file with its size, by path."""
        yield from self._sizes(ROOT, self._root)

    def _sizes(self, path: Path, folder: Folder) -> Iterator[str]:
        for name, entry in sorted(folder.seen.items()):
            if isinstance(entry, Folder):
                yield from self._sizes(path / name, entry)
            else:
                yield f"{(path / name).relative_to(ROOT)} {len(entry.cache)}"

    def damage(self, path: Path, data: bytes) -> None:
        """What a failing medium, or an operator, makes of a file."""
        file = self._file(path)
        file.disk = file.cache = data
        file.states.clear()
        file.dirty.clear()

    # -- calls --------------------------------------------------------------------------------

    def create(self, path: Path) -> int:
        self._call("create", path)
        folder = self._folder(path.parent)
        if path.name in folder.seen:
            raise _error(errno.EEXIST, path)
        if self.faults.room_bytes == 0:
            raise _error(errno.ENOSPC, path)
        file = File()
        folder.put(path.name, file)
        return self._handle(path, file)

    def open_append(self, path: Path) -> int:
        self._call("open_append", path)
        return self._handle(path, self._file(path))

    def close(self, handle: int) -> None:
        # Closing changes nothing that is on a disk, so it neither fails nor is a place to end.
        self._open.pop(handle, None)

    def write(self, handle: int, data: Bytes) -> int:
        path, file = self._at(handle)
        taken = bytes(data[: self.faults.write_bytes_max])
        try:
            self._call("write", path, len(taken))
        except (OSError, Crashed):
            if taken and self._rng.random() < 0.5:  # some of it was taken before
                file.change(
                    file.cache + taken[: self._rng.randrange(len(taken))], len(file.cache)
                )
            raise
        if self.faults.room_bytes is not None:
            if not self.faults.room_bytes:
                raise _error(errno.ENOSPC, path)
            taken = taken[: self.faults.room_bytes]
            self.faults.room_bytes -= len(taken)
        file.change(file.cache + taken, len(file.cache))
        return len(taken)

    def truncate(self, handle: int, size_bytes: int) -> None:
        path, file = self._at(handle)
        self._call("truncate", path, size_bytes)
        if size_bytes != len(file.cache):
            cut = file.cache[:size_bytes].ljust(size_bytes, b"\0")
            file.change(cut, min(size_bytes, len(file.cache)))

    def sync(self, handle: int) -> None:
        path, file = self._at(handle)
        try:
            self._call("sync", path)
        except OSError:
            file.failures += 1
            self._told[handle] = file.failures
            file.arrive_in_part(self._rng, self._stale)
            if self._rng.random() < 0.4:
                file.cache = file.disk
            raise
        file.write_back()
        if self._told[handle] < file.failures:  # another handle's sync failed meanwhile
            self._told[handle] = file.failures
            raise _error(errno.EIO, path)

    def begin_sync(self, handle: int) -> int:
        """It is ready as soon as the loop looks; `end_sync` does what there is to do."""
        path, _ = self._at(handle)
        self._call("begin_sync", path)
        self._begun = handle
        os.eventfd_write(self._ready, 1)
        return self._ready

    def end_sync(self) -> None:
        os.eventfd_read(self._ready)
        self.sync(self._begun)

    def sync_folder(self, folder: Path) -> None:
        self._call("sync_folder", folder)
        self._folder(folder).write_back()

    def read(self, path: Path) -> bytes:
        self._call("read", path)
        return self._file(path).cache

    def read_from(self, path: Path, offset_bytes: int, bytes_max: int) -> bytes:
        self._call("read_from", path, offset_bytes)
        return self._file(path).cache[offset_bytes : offset_bytes + bytes_max]

    def write_again(self, path: Path, offset_bytes: int, data: Bytes) -> None:
        self._call("write_again", path, f"{offset_bytes} {len(data)}")
        file = self._file(path)
        end = offset_bytes + len(data)
        file.change(file.cache[:offset_bytes] + bytes(data) + file.cache[end:], offset_bytes)
        handle = self._handle(path, file)
        self.sync(handle)
        self.close(handle)

    def rename(self, path: Path, target: Path) -> None:
        assert path.parent == target.parent
        self._call("rename", path, target.name)
        self._file(path)
        self._retire(target)
        self._folder(path.parent).rename(path.name, target.name)

    def remove(self, path: Path) -> None:
        self._call("remove", path)
        self._retire(path)
        if path.name in self._folder(path.parent).seen:
            self._folder(path.parent).drop(path.name)

    def names(self, folder: Path) -> list[str]:
        self._call("names", folder)
        return sorted(self._folder(folder).seen)

    def is_folder(self, folder: Path) -> bool:
        try:
            self._folder(folder)
        except FileNotFoundError:
            return False
        return True

    def add_folder(self, folder: Path) -> None:
        self._call("add_folder", folder)
        self._folder(folder.parent).put(folder.name, Folder())

    # -- within -------------------------------------------------------------------------------

    def _call(self, call: str, path: Path, what: object = "") -> None:
        """Note a call; end the process, or have it fail, where that is due."""
        self._paused(call)
        if self.is_dead:
            raise Crashed
        self.calls += 1
        self.trace.append(f"{call} {str(path)[ROOT_LENGTH:]} {what}".rstrip())
        if self.crash_in is not None and self.crash_at in (None, call):
            self.crash_in -= 1
            if self.crash_in < 0:
                self.is_dead = True
                self.trace[-1] += "  -- the process ends here"
                raise Crashed
        if call in self.faults.calls and self._rng.random() < self.faults.rate:
            self.failures += 1
            code = _CODES[call][self._rng.randrange(len(_CODES[call]))]
            self.trace[-1] += f"  -- {errno.errorcode[code]}"
            raise _error(code, path)

    def _retire(self, path: Path) -> None:
        """Whatever this file held may turn up in the blocks of another."""
        entry = self._folder(path.parent).seen.get(path.name)
        if isinstance(entry, File):
            self._stale = [*self._stale[1 - STALE_KEPT :], entry.cache]

    def _handle(self, path: Path, file: File) -> int:
        handle, self._next_handle = self._next_handle, self._next_handle + 1
        self._open[handle] = (path, file)
        self._told[handle] = file.failures
        return handle

    def _at(self, handle: int) -> tuple[Path, File]:
        if handle not in self._open:
            raise Crashed  # of a process that is gone
        return self._open[handle]

    def _folder(self, path: Path) -> Folder:
        folder = self._root
        for name in path.parts[ROOT_PARTS:]:
            entry = folder.seen.get(name)
            if not isinstance(entry, Folder):
                raise _error(errno.ENOENT, path)
            folder = entry
        return folder

    def _file(self, path: Path) -> File:
        entry = self._folder(path.parent).seen.get(path.name)
        if not isinstance(entry, File):
            raise _error(errno.ENOENT, path)
        return entry


_CODES: Final = {
    "create": (errno.EIO, errno.ENOSPC, errno.EMFILE),
    "open_append": (errno.EIO, errno.EMFILE),
    "write": (errno.EIO, errno.ENOSPC, errno.ENOSPC, errno.EDQUOT),
    "truncate": (errno.EIO, errno.EROFS),
    "write_again": (errno.EIO, errno.EROFS),
    "sync": (errno.EIO, errno.EIO, errno.ENOSPC),
    "begin_sync": (errno.EAGAIN,),
    "sync_folder": (errno.EIO,),
    "read": (errno.EIO, errno.EMFILE),
    "read_from": (errno.EIO, errno.EMFILE),
    "rename": (errno.EIO, errno.ENOSPC),
    "remove": (errno.EIO,),
    "names": (errno.EIO, errno.EMFILE),
    "add_folder": (errno.EIO, errno.ENOSPC),
}

CALLS: Final = frozenset(_CODES)


def _error(code: int, path: Path) -> OSError:
    return OSError(code, os.strerror(code), str(path))
