"""Erasing people: they are gone from every answer at once, and from the disk in the end.

`forget` journals the erasure; from then on no answer shows the person. What is left to do has
an order, because each step relies on the one before, and a start takes it up again:

    a snapshot         state as it is without the person
    the archive        writes files anew; the process does so by itself (persistence/archive)
    a notice of that   after which nobody need be hidden any more; it takes a number, so that
    a second snapshot  may follow the first, and the older of the two is without the person
    the journal        lets go of what is before the erasure

A damaged file of the archive holds up that one step: the notice then names only the people whom
the archive has removed, others need not wait, and the rest is done when the file is repaired or
gone.

Erasures that come together go through it together.
"""

from collections.abc import Awaitable, Callable
from typing import Final, Literal, Protocol

import trio
from msgspec import Struct

from engine.actors.runtime import Engine
from engine.erasure import Erasure
from engine.errors import DiskFull, InvalidQuestion, JournalFailed, Overloaded
from engine.events import ID_BYTES_MAX
from persistence.archive.columns import Gone, Hidden
from persistence.archive.manifest import Tombstone
from persistence.archive.talk import Unreadable
from web.errors import NotFound
from web.wire import Called, NothingAsked, Reply, answered, question

PAUSE_S: Final = 2.0
"""Before a step that failed is tried again."""

DUMP_DEADLINE_S: Final = 10.0
"""How long the archive may take to dump the ids that it has seen."""


class Archive(Protocol):
    """What is needed of the archive."""

    @property
    def erasing_files(self) -> int: ...
    @property
    def unreadable(self) -> tuple[Unreadable, ...]: ...

    def erasing(self) -> tuple[Tombstone, ...]: ...
    def has_let_go(self, seq: int) -> bool: ...
    def has_done_what_it_can(self, seq: int) -> bool: ...
    def let_go_seq(self, up_to_seq: int) -> int: ...
    def trimmable_seq(self) -> int | None: ...
    async def moved(self) -> None: ...


class Steps(Struct, frozen=True, kw_only=True):
    """Whether the person is gone from each place."""

    answers: bool
    archive: bool
    journal: bool
    snapshots: bool


class Progress(Struct, frozen=True, kw_only=True, rename="camel"):
    """How far an erasure is.

    seq           its number: what came before it goes, what comes after is new data
    archiveFiles  files of the archive that are still to be read
    unreadable    damaged files of it, which may hold the person
    """

    state: Literal["erasing", "erased"]
    seq: int
    asked_at_ms: int
    steps: Steps
    archive_files: int
    unreadable: tuple[Unreadable, ...] = ()

    @property
    def is_held(self) -> bool:
        """Whether only damaged files keep it from being done."""
        is_else_done = self.steps.journal and self.steps.snapshots and not self.archive_files
        return bool(self.unreadable) and is_else_done


class Answer(Struct, frozen=True):
    """DELETE and GET /users/{userId}."""

    data: Progress


class Forgetting:
    """The people being forgotten. `run` does the work; without it there is no progress."""

    def __init__(
        self,
        engine: Engine,
        archive: Archive,
        *,
        drop_reports: Callable[[int], Awaitable[None]],
        log: Callable[..., object],
    ) -> None:
        """drop_reports  removes files that may name people, asked for up to then (epoch ms)"""
        self._drop_reports = drop_reports
        self._engine = engine
        self._archive = archive
        self._log = log
        self._ids: dict[bytes, str] = {}  # in memory alone, and only until they are forgotten
        self._wake = trio.Event()
        self._got_on = trio.Event()  # something more is done, or was tried

    async def forget(self, user_id: str) -> Progress:
        """Erase a person; once it returns no answer shows what came before.

        Raises Overloaded, NotReady, DiskFull or JournalFailed: then nothing has happened.
        """
        for kept in self._engine.kept_ids(user_id):
            self._ids[self._engine.name_of(kept)] = kept  # before anybody has to look it up
            await self._engine.erase(kept)
        self._wake.set()
        progress = self.progress(user_id)
        await self._drop_reports(progress.asked_at_ms)
        return progress

    def progress(self, user_id: str) -> Progress:
        """How far the latest erasure of a person is. Raises NotFound where there was none."""
        found = [self._engine.erasure(kept) for kept in self._engine.kept_ids(user_id)]
        erasure = max(filter(None, found), key=lambda one: one.seq, default=None)
        if erasure is None:
            raise NotFound("Nobody has asked for this user to be erased.")
        steps = Steps(
            answers=True,
            archive=self._archive_is_done(erasure),
            journal=self._engine.is_out_of_journal(erasure),
            snapshots=self._engine.is_out_of_snapshots(erasure),
        )
        is_done = steps.archive and steps.journal and steps.snapshots
        return Progress(
            state="erased" if is_done else "erasing",
            seq=erasure.seq,
            asked_at_ms=erasure.asked_ms,
            steps=steps,
            archive_files=0 if steps.archive else self._archive.erasing_files,
            unreadable=() if steps.archive else self._archive.unreadable,
        )

    async def finished(self, user_id: str) -> Progress:
        """How it is once nothing is left on the disk but in damaged files. Raises NotFound."""
        while (progress := self.progress(user_id)).state == "erasing":
            if progress.is_held:
                break
            await self._got_on.wait()
        return progress

    def _archive_is_done(self, erasure: Erasure) -> bool:
        return bool(erasure.swept_ms) and self._archive.has_let_go(erasure.seq)

    def hidden(self) -> Hidden:
        """The people whose rows are in files of the archive but may not be seen any more."""
        gone = {one.name: one.seq for one in self._engine.unswept}
        for tombstone in self._archive.erasing():
            name = bytes.fromhex(tombstone.name)
            gone[name] = max(tombstone.seq, gone.get(name, 0))
        return Hidden(
            self._engine.salt,
            tuple(Gone(name.hex(), seq, self._ids.get(name)) for name, seq in gone.items()),
        )

    # -- life ---------------------------------------------------------------------------------

    async def run(
        self,
        stop: trio.Event,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Finish what is under way, also what an earlier stop has interrupted, until `stop`."""
        task_status.started()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._finish_all)
            await stop.wait()
            nursery.cancel_scope.cancel()

    async def _finish_all(self) -> None:
        while True:
            self._wake = trio.Event()
            due = self._engine.unfinished
            if not due:
                self._ids.clear()
                await self._wake.wait()
                continue
            if all(self._waits_for_archive(one) for one in due):
                with trio.move_on_after(PAUSE_S):
                    await self._wake.wait()
                self._tell_all()
                continue
            started = trio.current_time()
            try:
                await self._drop_reports(max(one.asked_ms for one in due))
                await self._round(max(one.seq for one in due))
            except (DiskFull, Overloaded) as refusal:
                self._log("erasure failed", reason=str(refusal))
            except JournalFailed:
                return  # the log says so already, and only a restart helps
            self._tell_all()
            if self._engine.unfinished:
                await trio.sleep(PAUSE_S)
            else:
                seconds = round(trio.current_time() - started, 1)
                self._log("erasure finished", people=len(due), seconds=seconds)

    def _waits_for_archive(self, one: Erasure) -> bool:
        """Whether everything else is done, as where a file is damaged."""
        if self._archive.has_let_go(one.seq):
            return False
        return self._engine.is_out_of_journal(one) and self._engine.is_out_of_snapshots(one)

    def _tell_all(self) -> None:
        self._got_on.set()
        self._got_on = trio.Event()

    async def _round(self, up_to_seq: int) -> None:
        """All steps for those who were erased up to a number.

        One notice a round: where a damaged file holds some of them, it names the others, and
        the rest has a round of its own when that file is mended.
        """
        await self._engine.checkpoint()
        while not self._archive.has_done_what_it_can(up_to_seq):
            with trio.move_on_after(PAUSE_S):
                await self._archive.moved()
        await self._engine.swept(self._archive.let_go_seq(up_to_seq))
        await self._engine.checkpoint()
        with trio.move_on_after(DUMP_DEADLINE_S):
            while (trimmable_seq := self._archive.trimmable_seq()) is not None and (
                trimmable_seq < up_to_seq
            ):
                await self._archive.moved()
        await self._engine.trim_journal()


class ErasureRoutes:
    """DELETE and GET /users/{userId}, over what may not be there yet."""

    def __init__(self, forgetting: Callable[[], Forgetting]) -> None:
        """forgetting  raises NotReady before there is one"""
        self._forgetting = forgetting

    async def erase(self, called: Called) -> Reply:
        """Erase a person."""
        question(called.query, NothingAsked)
        user_id = _user_in(called)
        return answered(Answer(await self._forgetting().forget(user_id)), status=202)

    async def progress(self, called: Called) -> Reply:
        """How far that is."""
        question(called.query, NothingAsked)
        return answered(Answer(self._forgetting().progress(_user_in(called))))


def _user_in(called: Called) -> str:
    user_id = called.path["userId"]
    size_bytes = len(user_id.encode())
    if size_bytes > ID_BYTES_MAX:
        raise InvalidQuestion(
            f"userId: it has {size_bytes} bytes, and no id has more than {ID_BYTES_MAX}."
        )
    return user_id
