"""The archive as the server sees it: a process that is kept alive, and the files it wrote.

Ingest never waits for it. Twice a second the process is told how far the journal is on disk;
`fresh` tells it at once and waits until files cover a number. The journal is trimmed only up to
`trimmable_seq`, so whatever happens to the process, it can go on where it was.
"""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec
import trio
from msgspec import Struct

from engine.config import Config
from engine.errors import TallymarkError
from persistence.archive import manifest as manifests
from persistence.archive.manifest import (
    ARCHIVE_FOLDER,
    BadManifest,
    Manifest,
    Tombstone,
    between,
)
from persistence.archive.talk import (
    Begin,
    Note,
    Progress,
    Said,
    Setback,
    Trouble,
    Unreadable,
    encode,
)
from persistence.record import UnknownFormat
from web import piped

TICK_S: Final = 0.5
"""Between two messages; with the writing of a part that makes a second at the most."""

BACKOFF_S: Final = (0.1, 0.5, 2.0, 10.0)
"""Before the process is started again, by how often it has died since it last got on."""

FRESH_DEADLINE_S: Final = 5.0
STOP_DEADLINE_S: Final = 5.0
COMMAND: Final = (sys.executable, "-m", "persistence.archive.process")


class ArchiveLate(TallymarkError):
    """The archive does not reach the number yet: it is off, has failed, or is behind."""

    status = 503
    title = "Archive behind"

    def __init__(self, detail: str, retry_after_s: int | None) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class ArchiveHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the archive is doing; `lag` counts events that are on disk but not in it yet.

    state    `running`, `starting` (again), `off`, or `failed`
    reason   why it failed, or why its process ended, until it gets on again
    process  its number, while there is one
    firstMs  the instant of the earliest event of all; null where that is not known, because
             the archive is empty or has let go of some
    """

    state: str
    process: int | None
    covered_seq: int
    lag: int
    files: int
    rows: int
    size_bytes: int
    first_ms: int | None
    restarts: int
    reason: str | None


class Journaling(Protocol):
    """What the archive needs of the engine."""

    @property
    def taken_seq(self) -> int: ...

    async def durable_seq(self) -> int: ...


class Archiving:
    """The archive of one server. `run` is its life; all else may be called while it runs."""

    def __init__(
        self,
        config: Config,
        *,
        log: Callable[..., object],
        command: Sequence[str] = COMMAND,
    ) -> None:
        self._config = config
        self._folder = config.data / ARCHIVE_FOLDER
        self._log = log
        self._command = command
        self._engine: Journaling | None = None
        self._covered_seq = 0
        self._trimmable_seq = 0
        self.erasing_files = 0
        """Files to be read for the sake of people who were erased, as was last heard."""
        self.unreadable: tuple[Unreadable, ...] = ()
        """Damaged ones that should be and cannot be, not among them, as was last heard."""
        self._state = "starting" if config.archive else "off"
        self._reason: str | None = None
        self._restarts = 0
        self._wake = trio.Event()  # somebody wants more than was told
        self._moved = trio.Event()  # the process has said something
        self._manifest = Manifest()
        self._manifest_stamp: tuple[int, int] | None = None
        self._stop = trio.Event()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def covered_seq(self) -> int:
        """Files hold every event up to here."""
        return self._covered_seq

    def trimmable_seq(self) -> int | None:
        """Up to where the journal is no longer needed; None if the archive is off."""
        return None if self._state == "off" else self._trimmable_seq

    async def fresh(self, seq: int, *, deadline_s: float = FRESH_DEADLINE_S) -> None:
        """Return when files cover `seq`, which has been acknowledged. Raises ArchiveLate."""
        with trio.move_on_after(deadline_s):
            while self._covered_seq < seq and self._state not in ("off", "failed"):
                self._wake.set()
                await self.moved()
        if self._covered_seq < seq:
            why = self._reason or f"it is {self._state} and covers {self._covered_seq}"
            may_come = self._state not in ("off", "failed")
            raise ArchiveLate(
                f"The archive does not reach event {seq}: {why}.", 1 if may_come else None
            )

    async def moved(self) -> None:
        """Return when the process has said something, or has died."""
        await self._moved.wait()

    def parts(self, start_ms: int, end_ms: int) -> list[Path]:
        """The files that may hold rows from `start_ms` up to `end_ms`, by UTC days.

        They stay for a minute, also when others have taken their place. Raises BadManifest,
        UnknownFormat.
        """
        found = between(self._read_manifest(), start_ms, end_ms)
        return [self._folder / file.name for file in found]

    def erasing(self) -> tuple[Tombstone, ...]:
        """Whose rows files may still hold. Raises BadManifest, UnknownFormat."""
        return self._read_manifest().erasing

    def has_let_go(self, seq: int) -> bool:
        """Whether nothing in the folder holds anybody who was erased up to `seq`."""
        return self.let_go_seq(seq) == seq

    def has_done_what_it_can(self, seq: int) -> bool:
        """Whether they are gone, or remain only in damaged files and files that go soon."""
        is_held = self.unreadable and not self.erasing_files and self._covered_seq >= seq
        return bool(is_held) or self.has_let_go(seq)

    def let_go_seq(self, up_to_seq: int) -> int:
        """The greatest number, up to the one given, for which nothing in the folder holds
        anybody who was erased up to it; 0 where nobody can tell."""
        try:
            manifest = self._read_manifest()
        except (BadManifest, UnknownFormat):
            return 0
        if not self._config.archive and not manifest.files:
            return up_to_seq
        held = [one.seq - 1 for one in manifest.erasing]
        return min([up_to_seq, manifest.covered_seq, *held])

    def is_whole(self) -> bool:
        """Whether it has begun with the first event. Raises BadManifest, UnknownFormat."""
        return not self._read_manifest().gaps

    def health(self) -> ArchiveHealth:
        """How it is doing."""
        try:
            manifest = self._read_manifest()
        except (BadManifest, UnknownFormat):  # of which the process says more
            manifest = Manifest()
        taken_seq = 0 if self._engine is None else self._engine.taken_seq
        return ArchiveHealth(
            state=self._state,
            process=None if self._process is None else self._process.pid,
            covered_seq=self._covered_seq,
            lag=max(0, taken_seq - self._covered_seq),
            files=len(manifest.files),
            rows=manifest.rows,
            size_bytes=manifest.size_bytes,
            first_ms=manifest.first_ms,
            restarts=self._restarts,
            reason=self._reason,
        )

    def _read_manifest(self) -> Manifest:
        """The manifest as it stands on the disk, read again only when it was replaced."""
        path = self._folder / manifests.NAME
        try:
            found = path.stat()
            stamp = (found.st_ino, found.st_mtime_ns)
            if stamp != self._manifest_stamp:
                self._manifest = manifests.read(self._folder) or Manifest()
                self._manifest_stamp = stamp
        except (FileNotFoundError, NotADirectoryError):
            return self._manifest
        except OSError as error:
            raise BadManifest(path, f"it cannot be read: {error.strerror}") from error
        return self._manifest

    # -- life ---------------------------------------------------------------------------------

    async def run(
        self,
        engine: Journaling,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Keep the process alive until `stop`; then let it finish what is on the disk."""
        self._engine = engine
        task_status.started()
        if not self._config.archive:
            return
        deaths = 0
        while not self._stop.is_set():
            before = self._covered_seq
            code = await self._live_once(engine)
            if self._stop.is_set() or self._state == "failed":
                return
            deaths = 0 if self._covered_seq > before else deaths + 1
            wait_s = BACKOFF_S[min(deaths, len(BACKOFF_S) - 1)]
            self._state, self._restarts = "starting", self._restarts + 1
            self._log(
                "archive process failed", code=code, reason=self._reason, again_in_s=wait_s
            )
            with trio.move_on_after(wait_s):
                await self._stop.wait()

    def stop(self) -> None:
        """Let `run` end once files cover what is durable now, or a deadline has passed."""
        self._stop.set()
        self._wake.set()

    async def _live_once(self, engine: Journaling) -> int | None:
        """From one start of the process to its end; returns its exit code, None where the
        system did not start it."""
        try:
            process, to_it, from_it = piped.start(self._command)
        except piped.NotStarted as failure:
            self._reason = str(failure)
            return None
        self._process = process
        try:
            async with from_it, trio.open_nursery() as nursery:
                nursery.start_soon(self._tell, engine, to_it)
                nursery.start_soon(self._give_up, nursery.cancel_scope)
                await self._hear(from_it)
                nursery.cancel_scope.cancel()
        finally:
            self._process = None
            process.kill()
            with trio.CancelScope(shield=True):
                code = await trio.to_thread.run_sync(process.wait)
            self._tell_all()
        return code

    async def _give_up(self, life: trio.CancelScope) -> None:
        """End it when it takes too long to finish."""
        await self._stop.wait()
        await trio.sleep(STOP_DEADLINE_S)
        life.cancel()

    async def _tell(self, engine: Journaling, to_it: trio.lowlevel.FdStream) -> None:
        """Say how far the journal is on the disk, each tick and whenever somebody waits."""
        told = -1
        async with to_it:
            begin = Begin(self._config, await engine.durable_seq())
            try:
                await to_it.send_all(encode(begin))
                while not self._stop.is_set():
                    told = await self._tell_number(engine, to_it, told)
                    with trio.move_on_after(TICK_S):
                        await self._wake.wait()
                    self._wake = trio.Event()
                await self._tell_number(engine, to_it, told)
            except trio.BrokenResourceError:
                return  # it has died, and whoever hears nothing from it knows

    async def _tell_number(
        self, engine: Journaling, to_it: trio.lowlevel.FdStream, told: int
    ) -> int:
        seq = await engine.durable_seq()
        if seq > told:
            await to_it.send_all(b"%d\n" % seq)
        return seq

    async def _hear(self, from_it: trio.lowlevel.FdStream) -> None:
        """Take what it says, until it ends."""
        decoder = msgspec.json.Decoder(Said)
        rest = b""
        async for data in from_it:
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._take(decoder.decode(line))
            self._tell_all()

    def _tell_all(self) -> None:
        self._moved.set()
        self._moved = trio.Event()

    def _take(self, said: Said) -> None:
        match said:
            case Progress():
                self._state = "running"
                if said.covered_seq > self._covered_seq:
                    self._reason = None
                self._covered_seq = said.covered_seq
                self._trimmable_seq = said.trimmable_seq
                self.erasing_files = said.erasing_files
                self.unreadable = said.unreadable
            case Note():
                self._log(said.event, **said.facts)
            case Setback():
                self._reason = said.reason
            case Trouble():
                self._state, self._reason = "failed", said.reason
                self._log("archive failed", reason=said.reason)
