"""Exports of events: one process each, whose output goes to the client as it comes.

The limits of user SQL do not apply here: an export is bounded only by its deadline. What a
client does not take stays in the pipe, and the process waits; a client that leaves ends the
process.
"""

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Self

import msgspec
import trio
from msgspec import Struct

from engine.config import Config
from engine.errors import NotReady, Overloaded
from persistence.exporting import FAULT, GONE, READY, Wanted
from persistence.tabular import Format
from web import piped
from web.errors import CutShort, archive_off, recovering
from web.sql import ATTEMPTS, Archived, missing_of
from web.sqlprocess import environment

PIECE_BYTES: Final = 64 * 1024
STALL_S: Final = 60.0
"""How long a piece may wait for whoever wanted it."""

RETRY_AFTER_S: Final = 5

COMMAND: Final = (sys.executable, "-m", "persistence.exportworker")


class TooManyExports(Overloaded):
    """No more exports of events may be under way."""

    status = 429
    title = "Too many exports"


class EventsWanted(Struct, frozen=True, kw_only=True):
    """Which events, from `start_ms` up to before `end_ms`, and how."""

    format: Format
    start_ms: int
    end_ms: int
    event_type: str | None = None
    service: str | None = None
    user: str | None = None
    fresh: bool = False


class Export:
    """The bytes of one export, piece by piece. Raises CutShort where more should have come.

    fault    why it is not whole; None where nobody knows
    percent  of a report: how far it is
    """

    def __init__(self, pieces: trio.MemoryReceiveChannel[bytes], process: "_Process") -> None:
        self._pieces = pieces
        self._process = process
        self.is_whole = False
        self.fault: str | None = None

    @property
    def percent(self) -> int:
        return self._process.percent

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await self._pieces.receive()
        except trio.EndOfChannel:
            if self.is_whole:
                raise StopAsyncIteration from None
            raise CutShort(self.fault) from None

    async def aclose(self) -> None:
        """Ask for no more of it."""
        self._pieces.close()


class _Process:
    """One process, from this side of its pipes.

    percent  how far it has said it is
    """

    def __init__(self) -> None:
        """Start it. Raises NotStarted."""
        from_it, progress_fd = piped.pipe()
        self._progress = trio.lowlevel.FdStream(from_it)
        self._progress_fd = progress_fd
        try:
            self._process, self._to, self._from = piped.start(
                COMMAND, env=environment(), pass_fds=(progress_fd,)
            )
        finally:
            os.close(progress_fd)
        self._said = b""
        self._has_said_all = trio.Event()

    @property
    def percent(self) -> int:
        percents, _, _ = self._said.partition(FAULT)
        return percents[-1] if percents else 0

    async def listen(self) -> None:
        """Hear how far it is, and at last what went wrong, until it ends."""
        with suppress(trio.ClosedResourceError):
            while some := await self._progress.receive_some():
                self._said += some
        self._has_said_all.set()

    async def fault(self) -> str | None:
        """Why it has failed, once it has ended; None where it has not said it."""
        await self._has_said_all.wait()
        _, _, reason = self._said.partition(FAULT)
        return reason.decode() or None

    async def ask(self, wanted: Wanted) -> bytes:
        """Its first line; what it then has to say comes by `piece`."""
        wanted = msgspec.structs.replace(wanted, progress_fd=self._progress_fd)
        line = b""
        try:
            async with self._to:
                await self._to.send_all(msgspec.json.encode(wanted))
            while not line.endswith(b"\n") and (one := await self._from.receive_some(1)):
                line += one
        except trio.BrokenResourceError:
            return b""
        return line

    async def piece(self) -> bytes:
        """What comes next; nothing at its end."""
        return bytes(await self._from.receive_some(PIECE_BYTES))

    async def code(self) -> int:
        """Its exit code, once it has closed its output."""
        return await trio.to_thread.run_sync(self._process.wait)

    async def end(self) -> None:
        """Kill it, and wait until it is gone."""
        with trio.CancelScope(shield=True):
            self._process.kill()
            await self._to.aclose()
            await self._from.aclose()
            await self._progress.aclose()
            await trio.to_thread.run_sync(self._process.wait)


class Exports:
    """The exports under way. `run` is their life; without it, and after `end`, `open` is
    NotReady."""

    def __init__(
        self, config: Config, archived: Archived, *, log: Callable[..., object]
    ) -> None:
        self._config = config
        self._archived = archived
        self._log = log
        self._nursery: trio.Nursery | None = None
        self._places = 0

    @property
    def under_way(self) -> int:
        """How many there are."""
        return self._places

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Let exports be opened until `end`."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            task_status.started()
            await trio.sleep_forever()

    def end(self) -> None:
        """Cut short all that are under way."""
        if self._nursery is not None:
            self._nursery.cancel_scope.cancel()
            self._nursery = None

    async def open(self, wanted: EventsWanted, *, deadline_s: float | None = None) -> Export:
        """Begin an export. Raises TooManyExports, NotReady, NotStarted, and what `fresh`
        raises.

        deadline_s  of a report, which has a place of its own; None: nobody asks how far it is
        """
        if not self._config.archive:
            raise archive_off()
        if deadline_s is None and self._places >= self._config.exports_max:
            raise TooManyExports(
                f"{self._places} exports of events are running already, the most that may. Try "
                f"again when one has ended.",
                RETRY_AFTER_S,
            )
        self._must_run()
        if wanted.fresh:
            await self._archived.fresh()
        if deadline_s is None:
            serve = partial(self._serve, self._config.export_deadline_s, 1)
        else:
            serve = partial(self._serve, deadline_s, 0)
        export: Export = await self._must_run().start(serve, wanted)
        return export

    def _must_run(self) -> trio.Nursery:
        if self._nursery is None or not self._archived.is_found:
            raise recovering()
        return self._nursery

    async def _serve(
        self,
        deadline_s: float,
        places: int,
        wanted: EventsWanted,
        *,
        task_status: trio.TaskStatus[Export],
    ) -> None:
        """One export, to its end; it has its places as long as pieces may come."""
        self._places += places
        process: _Process | None = None
        try:
            process = await self._begin(wanted)
            await self._hand_on(process, deadline_s, task_status)
        finally:
            self._places -= places
            if process is not None:
                await process.end()

    async def _hand_on(
        self, process: _Process, deadline_s: float, task_status: trio.TaskStatus[Export]
    ) -> None:
        sender, receiver = trio.open_memory_channel[bytes](0)
        export = Export(receiver, process)
        try:
            with sender, trio.move_on_after(deadline_s):
                task_status.started(export)
                while piece := await process.piece():
                    with trio.fail_after(STALL_S):
                        await sender.send(piece)
                export.is_whole = await process.code() == 0
                if not export.is_whole:
                    export.fault = await process.fault()
        except (trio.BrokenResourceError, trio.TooSlowError):
            return  # nobody wants it any more
        if not export.is_whole:
            reason = export.fault or "it was late, or its process has failed"
            self._log("export failed", reason=reason)

    async def _begin(self, wanted: EventsWanted) -> _Process:
        """A process that has opened its files. Raises NotReady, NotStarted."""
        files: tuple[str, ...] = ()
        for _ in range(ATTEMPTS):
            nursery = self._must_run()
            process = _Process()
            nursery.start_soon(process.listen)
            said = b""
            fault = None
            try:
                question = self._question(wanted)
                files = question.files
                with trio.move_on_after(STALL_S):
                    said = await process.ask(question)
                    if said not in (READY, GONE):
                        fault = await process.fault()
            finally:
                if said != READY:
                    await process.end()
            if said == READY:
                return process
            if said != GONE:
                reason = fault or "its process ended before it was ready"
                self._log("export failed", reason=reason)
                raise NotReady(fault or "The export could not be begun. Try again.")
        raise NotReady(missing_of(list(files)))

    def _question(self, wanted: EventsWanted) -> Wanted:
        hidden = self._archived.hidden()  # first: what goes meanwhile stays hidden
        found = self._archived.parts(max(0, wanted.start_ms), max(0, wanted.end_ms))
        return Wanted(
            files=tuple(map(str, found)),
            hidden=hidden,
            format=wanted.format,
            start_ms=wanted.start_ms,
            end_ms=wanted.end_ms,
            event_type=wanted.event_type,
            service=wanted.service,
            user=wanted.user,
            memory_bytes=self._config.export_memory_bytes_max,
        )
