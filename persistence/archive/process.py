"""The archive's process: `python -m persistence.archive.process`, at work for a server.

It speaks JSON, one object per line. First comes `Begin`; then, as often as the server likes, a
number up to which the journal is on disk. Each part is answered with a `Progress`. Before the
process ends by a failure it says why: a `Trouble` where a restart does not cure it, a `Setback`
where it may, for example a full disk. When its input ends it finishes what it was told to do,
and ends; when the server is killed it is killed too.
"""

import contextlib
import gc
import os
import selectors
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Final

from engine.errors import FolderInUse, TallymarkError, UnusableFolder
from persistence import sandbox
from persistence.archive.archiver import Archiver, Upkeep
from persistence.archive.manifest import ARCHIVE_FOLDER
from persistence.archive.talk import (
    Begin,
    Note,
    Progress,
    Said,
    Setback,
    Trouble,
    decode_begin,
    encode,
)
from persistence.files import REAL_DISK
from persistence.lock import hold

LOCK_WAIT_S: Final = 10.0
"""How long a process before this one may take to end."""

LINE_BYTES_MAX: Final = 2**20


class Numbers:
    """The lines of standard input, of which only the newest number matters."""

    def __init__(self, handle: int) -> None:
        self._handle = handle
        self._rest = b""
        self._selector = selectors.DefaultSelector()
        self._selector.register(handle, selectors.EVENT_READ)
        self.has_ended = False

    def first_line(self) -> bytes:
        """The first line; empty where the input ends before."""
        while not self.has_ended and b"\n" not in self._rest:
            self._read()
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def newest(self, *, wait_s: float) -> int | None:
        """The newest number since the last call; waits for one, and no longer than that."""
        if b"\n" not in self._rest:
            self._selector.select(wait_s)
        while not self.has_ended and self._selector.select(0):
            self._read()
        whole, newline, self._rest = self._rest.rpartition(b"\n")
        if not newline:
            return None
        return int(whole.rpartition(b"\n")[2])

    def _read(self) -> None:
        data = os.read(self._handle, 65_536)
        self._rest += data
        self.has_ended = not data
        assert len(self._rest) <= LINE_BYTES_MAX


def main() -> int:
    """Serve standard input; returns the exit code.

    The lock is never let go of: threads may be at work until the process is gone.
    """
    sandbox.die_with_parent()
    # A whole group gets them; we end by input.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(sandbox.NICE)
    gc.disable()  # rows are no circles, and there are a hundred thousand of them at once
    numbers = Numbers(sys.stdin.fileno())
    line = numbers.first_line()
    if not line:
        return 0
    begin = decode_begin(line)
    try:
        _take_hold(begin.config.data / ARCHIVE_FOLDER)
        _serve(begin, numbers)
    except UnusableFolder as failure:
        say(Setback(str(failure).removesuffix(".")))
        return 1
    except OSError as failure:
        where = "" if failure.filename is None else f"{failure.filename}: "
        say(Setback(f"{where}{failure.strerror or failure}"))
        return 1
    except TallymarkError as failure:
        say(Trouble(str(failure)))
        return 1
    except Exception as failure:
        traceback.print_exc()
        say(Setback(f"{type(failure).__name__}: {failure}"))
        return 1
    return 0


def _serve(begin: Begin, numbers: Numbers) -> None:
    archiver = Archiver(
        begin.config,
        journal_seq=begin.journal_seq,
        clock_ms=lambda: time.time_ns() // 1_000_000,
        log=_note,
    )

    def tell() -> None:
        say(
            Progress(
                archiver.covered_seq,
                archiver.trimmable_seq,
                archiver.erasing_files,
                archiver.unreadable,
            )
        )

    upkeep = Upkeep(archiver, told=tell)
    upkeep.start()
    tell()
    while not numbers.has_ended:
        up_to_seq = numbers.newest(wait_s=60)
        if upkeep.failure is not None:
            raise upkeep.failure
        while up_to_seq is not None and archiver.follow(up_to_seq):
            tell()
        archiver.keep_ids_now_and_then()
    archiver.close()


def _take_hold(folder: Path) -> None:
    """Hold the archive's folder as soon as a former process has ended, and for good."""
    REAL_DISK.make_folder(folder)
    deadline_s = time.monotonic() + LOCK_WAIT_S
    for_good = contextlib.ExitStack()
    while True:
        try:
            for_good.enter_context(hold(folder))
        except FolderInUse:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.05)
        else:
            _HELD.append(for_good)
            return


_HELD: Final[list[contextlib.ExitStack]] = []
"""Keeps the lock from being collected, and thereby released."""


def say(said: Said) -> None:
    """Write one line to standard output; the end of the process where nobody reads it."""
    data = encode(said)
    try:
        while data:
            data = data[os.write(sys.stdout.fileno(), data) :]
    except BrokenPipeError:  # the server was killed, and in a moment so is this process
        os._exit(1)


def _note(event: str, **facts: str | float | None) -> None:
    say(Note(event, facts))


if __name__ == "__main__":
    code = main()
    os._exit(code)  # threads, and what DuckDB knows, need no farewell: all is on the disk
