"""The engine as the rest of the house sees it: accept, ask, checkpoint, stop."""

from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from typing import Final

import trio

from engine.actors.asking import Asking, Directory, RawRows
from engine.actors.health import Health, SnapshotHealth, health_of
from engine.actors.measures import Measures, cells_of, memory_of
from engine.actors.queue import Notice, Released, Waiting
from engine.actors.room import Room
from engine.actors.sequencer import InThread, Sequencer
from engine.actors.shard import Message, run_shard
from engine.actors.snapshotting import KeptJournal, Snapshots, Snapshotting
from engine.config import Config
from engine.distribution import SECONDS, Distribution
from engine.erasure import Erasure, Secret, swept
from engine.errors import JournalFailed, NotReady, Overloaded, TallymarkError
from engine.events import AcceptedTimes, Batch
from engine.facts import Kept
from engine.pseudonyms import Pseudonyms
from engine.resuming import begin_totals
from engine.sequence import Sequencing
from engine.state import ShardState
from engine.timebucket import DAY_MS, Calendar

ERASURES_RETRY_S: Final = 60

TIMES_MS: Final = 100
"""For how long the bounds of accepted instants are reused: these are minutes and years away."""


MEMORY_KEPT_S: Final = 30.0
"""For how long the last look at what the parts occupy is reported again."""


class Engine(Asking):
    """All actors of one data folder.

    `run` is their life; `accept` and the questions of `Asking` may be called while it runs.
    Made from what recovery found: states and sequencing as of `journal.last_seq`.
    """

    def __init__(
        self,
        config: Config,
        calendar: Calendar,
        *,
        journal: KeptJournal,
        snapshots: Snapshots,
        sequencing: Sequencing,
        states: Sequence[ShardState],
        clock_ms: Callable[[], int],
        log: Callable[..., object],
        snapshot_ms: int | None = None,
        archived_seq: Callable[[], int | None] = lambda: None,
        directory: Directory | None = None,
        secret: Secret | None = None,
        raw: RawRows | None = None,
        in_thread: InThread = trio.to_thread.run_sync,
    ) -> None:
        """secret  by which somebody can be erased; without it nobody can"""
        self._secret = secret
        self._pseudonyms: Pseudonyms | None = None
        if config.pseudonymise:
            assert secret is not None
            self._pseudonyms = Pseudonyms(secret)
        self._journal = journal
        self._snapshots = snapshots
        self._sequencing = sequencing
        self._states = states
        self._log = log
        self._in_thread = in_thread
        self._started_ms = clock_ms()
        self._times = AcceptedTimes(0, 0, 0)
        self._memory_then: dict[str, int] = {}
        self._memory_until_s = 0.0
        self._looking = trio.Lock()
        # One thread at a time for each folder, so that no call meets another; snapshots have
        # another, so that no acknowledgement waits for one.
        self._durable_seq = journal.last_seq  # what is found at a start is synced
        self._journal_thread = trio.CapacityLimiter(1)
        channels = [trio.open_memory_channel[Message](config.inbox_groups_max) for _ in states]
        inboxes = [to_shard for to_shard, _ in channels]
        super().__init__(
            config,
            calendar,
            inboxes,
            clock_ms=clock_ms,
            directory=directory,
            raw=raw,
            deal=self._dealt,
            count_now=sequencing.count_now,
            may_be_in_other=sequencing.may_be_in_other,
            totals=sequencing.totals,
            taken_seq=lambda: self.taken_seq if self._is_running else None,
        )
        begin_totals(sequencing.totals, states, config, calendar, self._started_ms)
        self._outboxes = [inbox for _, inbox in channels]
        self._sequencer = Sequencer(
            config,
            sequencing,
            journal,
            self._inboxes,
            clock_ms=clock_ms,
            journal_thread=self._journal_thread,
            in_thread=in_thread,
            pace=self.pace,
            log=log,
        )
        self._snapshotting = Snapshotting(
            config,
            self._sequencer,
            journal,
            snapshots,
            secret,
            journal_thread=self._journal_thread,
            in_thread=in_thread,
            clock_ms=clock_ms,
            log=log,
            written_ms=snapshot_ms,
            archived_seq=archived_seq,
        )
        self._fold_s = Distribution(SECONDS)
        self.bulk_room = Room(config.bulk_room_bytes_max)
        self._is_running = False
        self._stop = trio.Event()

    @property
    def is_ready(self) -> bool:
        """Whether events are taken."""
        return self._is_running and self.failure is None

    @property
    def failure(self) -> JournalFailed | None:
        """Why no event is taken until a restart, or None."""
        return self._sequencer.failure

    def accepted_times(self) -> AcceptedTimes:
        """The instants that an event received now may carry."""
        now_ms = self._clock_ms()
        if not 0 <= now_ms - self._times.now_ms < TIMES_MS:
            first_ms = now_ms - self.config.keep_days * DAY_MS
            self._times = AcceptedTimes(first_ms, now_ms + self.config.future_ms_max, now_ms)
        return self._times

    @property
    def taken_seq(self) -> int:
        """The last number that was acknowledged, or may be: the journal holds it."""
        return self._sequencer.taken_seq

    async def durable_seq(self) -> int:
        """The last number that is on the disk, whatever the durability: all is synced first.

        For who reads along and keeps what was read: a power cut must not take it from the
        journal, for the numbers would come again. It stays where it was once a sync has
        failed: what the kernel shows of the rest no disk may ever have.
        """
        seq = self.taken_seq
        if self.config.durability == "fsync":
            return seq
        if seq > self._durable_seq:
            try:
                await self._in_thread(self._journal.sync, limiter=self._journal_thread)
            except TallymarkError as failure:
                self._sequencer.note(failure)
            else:
                self._durable_seq = seq
        return self._durable_seq

    def keep(self, batch: Batch) -> Kept:
        """What a batch of a large request says, for `accept_kept`; its events may go then."""
        return self._sequencing.keep((self._as_kept(batch),))

    def _as_kept(self, batch: Batch) -> Batch:
        return batch if self._pseudonyms is None else self._pseudonyms.applied(batch)

    async def accept(self, batch: Batch) -> None:
        """Keep and count a request; returns when it is durable and every later answer sees it.

        Raises Overloaded, NotReady, DiskFull or JournalFailed; nothing of it is kept then.
        """
        await self._accept(partial(Waiting.of, self._as_kept(batch)))

    async def accept_kept(self, kept: Sequence[Kept]) -> None:
        """As `accept`, of a large request: all of it is kept, or nothing."""
        await self._accept(partial(Waiting.of_kept, kept))

    async def _accept(self, waiting: Callable[[Released], Waiting]) -> None:
        self._must_take_events()
        acknowledged = trio.Event()
        refusals: list[TallymarkError | None] = []

        def released(refusal: TallymarkError | None) -> None:
            refusals.append(refusal)
            acknowledged.set()

        await self._sequencer.queue.put(waiting(released))
        await acknowledged.wait()
        if refusals[0] is not None:
            raise refusals[0]

    def submit(self, batch: Batch, released: Released) -> bool:
        """As `accept`, for who cannot wait: `released` is called when the batch is counted.

        Where there is no room just now it returns False, and nothing has happened.
        Raises NotReady or JournalFailed.
        """
        self._must_take_events()
        return self._sequencer.queue.put_now(Waiting.of(self._as_kept(batch), released))

    # -- erasures -----------------------------------------------------------------------------

    async def erase(self, user_id: str) -> None:
        """Take a person out of what is answered from now on; the rest is up to `Forgetting`.

        Returns when that is on the disk, whatever the durability. Raises Overloaded where too
        many are under way, NotReady, DiskFull or JournalFailed.
        """
        self._must_take_events()
        assert self._secret is not None
        if len(self.unswept) >= self.config.erasures_max:
            raise Overloaded(
                f"{len(self.unswept)} people are being erased from the archive already. Try "
                f"again in a minute.",
                ERASURES_RETRY_S,
            )
        await self._take_notice(self._secret.erase(user_id))

    async def swept(self, seq: int) -> None:
        """Remember that the archive no longer holds anybody who was erased up to `seq`.

        It takes a number, so that a snapshot may follow a snapshot also where no event comes.
        """
        self._must_take_events()
        await self._take_notice(swept(seq))

    async def _take_notice(self, content: bytes) -> None:
        done = trio.Event()
        refusals: list[TallymarkError | None] = []

        def released(refusal: TallymarkError | None) -> None:
            refusals.append(refusal)
            done.set()

        self._sequencer.queue.put_behind(Notice(content, released))
        await done.wait()
        if refusals[0] is not None:
            raise refusals[0]

    @property
    def salt(self) -> str:
        """What names of people are made with, as `persistence.archive.columns` needs it."""
        assert self._secret is not None
        return self._secret.salt

    def kept_ids(self, user_id: str) -> tuple[str, ...]:
        """By which a person may be known: the id, and what stands for it where that is so."""
        if self._pseudonyms is None:
            return (user_id,)
        return (user_id, self._pseudonyms.of_user(user_id))

    def name_of(self, user_id: str) -> bytes:
        """By which a person is known to erasures."""
        assert self._secret is not None
        return self._secret.name_of(user_id)

    def erasure(self, user_id: str) -> Erasure | None:
        """The latest erasure of a person, None where there was none."""
        return self._sequencing.erasures.get(self.name_of(user_id))

    @property
    def unswept(self) -> tuple[Erasure, ...]:
        """Erasures of people whom the archive may still hold."""
        return self._sequencing.erasures.unswept

    @property
    def unfinished(self) -> tuple[Erasure, ...]:
        """Erasures of people of whom something is still on the disk."""
        held_seq = self._journal.first_seq
        oldest_seq = self._snapshots.oldest_seq
        return tuple(
            one
            for one in self._sequencing.erasures
            if not one.swept_ms or one.seq >= held_seq or one.seq > oldest_seq
        )

    def is_out_of_journal(self, erasure: Erasure) -> bool:
        """Whether the journal, as received, holds nothing from before it any more."""
        return erasure.seq < self._journal.first_seq

    def is_out_of_snapshots(self, erasure: Erasure) -> bool:
        """Whether no snapshot from before it is left."""
        return erasure.seq <= self._snapshots.oldest_seq

    def _must_take_events(self) -> None:
        if not self._is_running:
            raise NotReady("Tallymark is stopping, or has not started yet.")
        if self.failure is not None:
            raise copy(self.failure)  # or one that many raise would keep the traceback of each

    async def _dealt(self) -> None:
        await self._sequencer.deal()

    # -- life ---------------------------------------------------------------------------------

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Live until `stop`; then finish what was accepted, write a snapshot, close the files.

        Cancelling it is a crash: nothing acknowledged is lost, the next start replays more.
        """
        async with trio.open_nursery() as nursery:
            for number, state in enumerate(self._states):
                shard = partial(run_shard, number=number)
                nursery.start_soon(
                    shard, state, self._outboxes[number], self.pace, self._fold_s
                )
            async with trio.open_nursery() as sequencing:
                sequencing.start_soon(self._sequencer.run)
                self._is_running = True
                task_status.started()
                await self._snapshot_now_and_then()
                self._is_running = False
                self._sequencer.queue.close()
                await self.checkpoint()
                self._sequencer.queue.end()
            for inbox in self._inboxes:
                await inbox.aclose()
        await self._in_thread(self._journal.close, limiter=self._journal_thread)

    def stop(self) -> None:
        """Ask `run` to end cleanly; events that come from now on are refused."""
        self._is_running = False
        self._stop.set()

    async def _snapshot_now_and_then(self) -> None:
        while not self._stop.is_set():
            with trio.move_on_after(self.config.snapshot_interval_s):
                await self._stop.wait()
                return
            await self.checkpoint()

    async def checkpoint(self) -> int:
        """Write a snapshot of everything taken so far, if there is anything new.

        Returns the number that the newest snapshot covers. A failure to write one is logged and
        costs nothing: the journal holds the rest. Raises NotReady when all has ended.
        """
        return await self._snapshotting.checkpoint()

    async def trim_journal(self) -> None:
        """Let go of what snapshots cover and the archive holds."""
        await self._snapshotting.trim()

    def health(self) -> Health:
        """How it goes: rates, depths, sizes and ages."""
        return health_of(
            self._sequencer,
            self._sequencing,
            self._journal.size_bytes,
            self.config,
            SnapshotHealth.at(
                self._snapshots.newest_seq, self._snapshotting.written_ms, self._clock_ms()
            ),
            events_per_second=self._sequencer.rate.per_second(trio.current_time()),
            inboxes=[inbox.statistics().current_buffer_used for inbox in self._inboxes],
            subscriptions_refused=sum(
                state.revenue.subscriptions.refused for state in self._states
            ),
        )

    def measures(self) -> Measures:
        """What it counts and times besides; what the parts occupied at the last `look`."""
        return Measures(
            group_events=self._sequencer.group_events,
            append_s=self._sequencer.append_s,
            sync_s=self._journal.sync_s,
            take_s=self._sequencer.take_s,
            fold_s=self._fold_s,
            cells=cells_of(self._states),
            memory_bytes={
                "queue": self._sequencer.queue.bytes,
                "bulk": self.bulk_room.bytes,
                **self._memory_then,
            },
        )

    async def look(self) -> None:
        """Look at what the parts occupy, for `measures`, unless that was done lately.

        It takes up to 65 ms where there is a gigabyte to look at, and probes come often.
        """
        async with self._looking:
            now_s = trio.current_time()
            if now_s >= self._memory_until_s:
                looked = memory_of(self._sequencing, self._states)
                self._memory_then = await self.pace.run(looked)
                self._memory_until_s = now_s + MEMORY_KEPT_S
