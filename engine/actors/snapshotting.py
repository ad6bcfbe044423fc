"""Snapshots, which are points of the stream: asked for, written, and the journal trimmed."""

import contextlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Protocol

import trio

from engine.actors.dumping import DumpAsked
from engine.actors.queue import Barrier
from engine.actors.sequencer import InThread, Journal, Sequencer
from engine.codec import STATE_FORMAT
from engine.config import Config
from engine.distribution import Distribution
from engine.erasure import Secret
from engine.errors import TallymarkError
from engine.timebucket import HOUR_MS

SEGMENT_MS_MAX: Final = HOUR_MS
"""After so long a snapshot ends the journal's segment, so that what is in it can go. By size
alone a quiet service would hold its events as received, and who they name, for months."""


class Snapshots(Protocol):
    """What the engine needs of the snapshot store."""

    @property
    def newest_seq(self) -> int: ...

    @property
    def trimmable_seq(self) -> int: ...

    @property
    def oldest_seq(self) -> int: ...

    def wants_full(self, source: str) -> bool: ...

    def begin(self, seq: int) -> "Writing": ...


class Writing(Protocol):
    """A snapshot that is being written; a failure is a TallymarkError."""

    def add(self, source: str, pieces: Iterable[bytes], *, full: bool) -> None: ...

    def commit(self, meta: dict[str, Any]) -> None: ...

    def abandon(self) -> None: ...


class KeptJournal(Journal, Protocol):
    """What the engine needs of the journal beyond what the sequencer does."""

    @property
    def sync_s(self) -> Distribution: ...

    @property
    def size_bytes(self) -> int: ...

    @property
    def first_seq(self) -> int: ...

    def flush(self) -> None: ...

    def sync(self) -> None: ...

    def surplus_seq(self, bytes_max: int) -> int: ...

    def trim(self, up_to_seq: int) -> None: ...

    def close(self) -> None: ...


class Snapshotting:
    """The snapshots of one engine, one at a time.

    written_ms  when the newest was written, None where there is none
    """

    def __init__(
        self,
        config: Config,
        sequencer: Sequencer,
        journal: KeptJournal,
        snapshots: Snapshots,
        secret: Secret | None,
        *,
        journal_thread: trio.CapacityLimiter,
        in_thread: InThread,
        clock_ms: Callable[[], int],
        log: Callable[..., object],
        written_ms: int | None,
        archived_seq: Callable[[], int | None],
    ) -> None:
        """archived_seq  up to where nobody reads the journal; None where nobody else does"""
        self.written_ms = written_ms
        self._config = config
        self._sequencer = sequencer
        self._journal = journal
        self._snapshots = snapshots
        self._secret = secret
        self._journal_thread = journal_thread
        self._thread = trio.CapacityLimiter(1)
        self._lock = trio.Lock()
        self._in_thread = in_thread
        self._clock_ms = clock_ms
        self._log = log
        self._archived_seq = archived_seq
        self._owes_full = False  # changes were handed out that no snapshot is known to hold
        self._sealed_ms = clock_ms()

    async def checkpoint(self) -> int:
        """Write one if there is anything new; see `Engine.checkpoint`."""
        async with self._lock:
            # Else a snapshot might cover more than the journal holds on disk.
            if self._sequencer.failure is None:
                await self._pass_barrier()
            return self._snapshots.newest_seq

    async def _pass_barrier(self) -> None:
        owed = self._owes_full
        barrier = Barrier(
            is_full=lambda source: owed or self._snapshots.wants_full(source),
            after_seq=self._snapshots.newest_seq,
            shards=[DumpAsked() for _ in range(self._config.shards)],
        )
        with contextlib.ExitStack() as reading:
            for asked in barrier.dumps.values():  # else their owners would wait for a reader
                reading.enter_context(asked.portions)
            self._sequencer.queue.put_behind(barrier)
            # From here on, cancelled or refused, the changes leave their owners.
            self._owes_full = True
            await barrier.passed.wait()
            if barrier.is_idle:
                self._owes_full = owed
            elif await self._write_snapshot(barrier):
                self._owes_full = False
                await self.trim()

    async def _write_snapshot(self, barrier: Barrier) -> bool:
        started = trio.current_time()
        now_ms = self._clock_ms()
        meta = {
            "format": STATE_FORMAT,
            "timezone": self._config.timezone,
            "shards": self._config.shards,
            "written_ms": now_ms,
            **({} if self._secret is None else {"key": self._secret.check}),
        }
        writing = self._snapshots.begin(barrier.seq)
        try:
            size = await self._write_dumps(barrier, writing)
            # First, for no snapshot may cover what a power cut can take from the journal.
            await self._in_thread(self._synced(now_ms), limiter=self._journal_thread)
            await self._in_thread(writing.commit, meta, limiter=self._thread)
        except TallymarkError as failure:
            self._sequencer.note(failure)
            self._log("snapshot failed", seq=barrier.seq, reason=str(failure))
            await self._in_thread(writing.abandon, limiter=self._thread)
            return False
        except trio.Cancelled:
            with trio.CancelScope(shield=True):
                await self._in_thread(writing.abandon, limiter=self._thread)
            raise
        self.written_ms = now_ms
        seconds = round(trio.current_time() - started, 3)
        self._log("snapshot written", seq=barrier.seq, bytes=size, seconds=seconds)
        return True

    def _synced(self, now_ms: int) -> Callable[[], None]:
        """What puts the journal on the disk, and now and then ends its segment as well."""
        if 0 <= now_ms - self._sealed_ms < SEGMENT_MS_MAX:  # below 0 the clock was set back
            return self._journal.sync
        self._sealed_ms = now_ms
        return self._journal.seal

    async def _write_dumps(self, barrier: Barrier, writing: Writing) -> int:
        """One source after the other, as they come; returns how many bytes."""
        size = 0
        for source, asked in barrier.dumps.items():
            async for portion in asked.portions:
                add = partial(writing.add, source, portion, full=asked.full)
                await self._in_thread(add, limiter=self._thread)
                size += sum(map(len, portion))
        return size

    async def trim(self) -> None:
        """Let go of what snapshots cover and the archive holds."""
        up_to_seq = self._unneeded_seq()
        try:
            await self._in_thread(self._journal.trim, up_to_seq, limiter=self._journal_thread)
        except TallymarkError as failure:
            self._sequencer.note(failure)
            self._log("journal trim failed", seq=up_to_seq, reason=str(failure))

    def _unneeded_seq(self) -> int:
        """Up to where a snapshot covers the journal and the archive holds it, within limits."""
        covered_seq, archived_seq = self._snapshots.trimmable_seq, self._archived_seq()
        if archived_seq is None or archived_seq >= covered_seq:
            return covered_seq
        surplus_seq = self._journal.surplus_seq(self._config.archive_backlog_bytes_max)
        lost_seq = min(surplus_seq, covered_seq)
        # What lies before first_seq was archived, or told of, when it went.
        if lost_seq > archived_seq and lost_seq >= self._journal.first_seq:
            reason = "archive_backlog_bytes_max is reached"
            self._log("archive backlog failed", lost_up_to_seq=lost_seq, reason=reason)
        return max(archived_seq, lost_seq)
