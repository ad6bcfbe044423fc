"""Gather, write, tally, release, deal: the one order of everything that changes state.

One task makes a record of the batches that wait, gets it onto disk, tallies it and releases the
acknowledgements; what earlier records left is dealt to the shards while the disk is at work.
Notices and snapshots pass through the same task, so they cover a sequence number exactly.
"""

from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, Protocol

import trio

from engine.actors.queue import Barrier, Notice, Queue, Waiting
from engine.actors.rate import Rate
from engine.actors.shard import Message, put
from engine.actors.slicing import Pace
from engine.actors.turns import held
from engine.config import Config
from engine.distribution import EVENTS, SECONDS, Distribution
from engine.errors import DiskFull, JournalFailed, TallymarkError
from engine.events import Batch, Body, Kind
from engine.facts import Facts
from engine.group import Group
from engine.sequence import Sequencing, are_few

RELEASED_AT_ONCE: Final = 32
"""Acknowledgements without a pause; each may be an answer sent, which takes 10 µs."""

TURNS_FOR_MORE: Final = 3
FEW_EVENTS: Final = 1_000
"""For so many turns, while fewer events wait, a record is put off for those who were just
answered: they may ask again, and a sync costs as much as ten turns (decision 0023)."""


class Journal(Protocol):
    """What the sequencer needs of a log, which may as well be a replicated one elsewhere."""

    @property
    def last_seq(self) -> int: ...

    def append(self, first_seq: int, received_ms: int, bodies: Sequence[Body]) -> None:
        """Add one record; it is durable on return, which may take long."""

    def can_begin(self, bodies: Sequence[Body]) -> bool:
        """Whether the same can be done without waiting, by `begin` and `end`."""

    def begin(self, first_seq: int, received_ms: int, bodies: Sequence[Body]) -> int | None:
        """Returns the file that can be read when it is time for `end`; None if it is now."""

    def end(self) -> None:
        """It is durable, or the same is raised as `append` raises."""

    def seal(self) -> None: ...


class InThread(Protocol):
    """Runs a call that blocks, one at a time for each limiter, and never abandons it.

    `trio.to_thread.run_sync`, or what a simulation puts in the place of threads.
    """

    async def __call__(
        self, call: Callable[..., None], /, *args: object, limiter: trio.CapacityLimiter
    ) -> None: ...


@dataclass(slots=True)
class Gist:
    """A record before it is written: its bodies, and what they say.

    facts   read while the events are hot, which have gone
    unread  in their place, where the events are few
    """

    bodies: list[Body] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    unread: list[Batch] = field(default_factory=list)


class Sequencer:
    """The one task that numbers what comes, and what it says about itself."""

    def __init__(
        self,
        config: Config,
        sequencing: Sequencing,
        journal: Journal,
        inboxes: Sequence[trio.MemorySendChannel[Message]],
        *,
        clock_ms: Callable[[], int],
        journal_thread: trio.CapacityLimiter,
        in_thread: InThread,
        pace: Pace,
        log: Callable[..., object],
    ) -> None:
        self._config = config
        self._sequencing = sequencing
        self._journal = journal
        self._inboxes = inboxes
        self._clock_ms = clock_ms
        self._journal_thread = journal_thread
        self._in_thread = in_thread
        self._pace = pace
        self._log = log
        self.queue = Queue(config, sequencing.keep)
        self.failure: JournalFailed | None = None
        self._is_full = False
        self.taken_seq = journal.last_seq
        self.groups = 0
        self._dealing = trio.Lock()
        self.group_events = Distribution(EVENTS)
        self.append_s = Distribution(SECONDS)
        self.take_s = Distribution(SECONDS)
        self.rate = Rate()

    async def run(self) -> None:
        """Keep, count and release what waits, until the queue has ended."""
        answered = 0
        while True:
            if self.queue.is_empty:
                await self._deal_due()
            if answered > 1 and self._config.durability == "fsync":  # one waits for nobody
                await self._let_more_come()
            gathered = await self.queue.gather()
            if gathered is None:
                return
            if isinstance(gathered, Barrier):
                await self._dump(gathered)
            elif isinstance(gathered, Notice):
                await self._take_notice(gathered)
            else:
                await self._take(gathered)
                answered = len(gathered)

    async def _let_more_come(self) -> None:
        await self.queue.filled()
        for _ in range(TURNS_FOR_MORE):
            if self.queue.events < FEW_EVENTS:
                await trio.lowlevel.checkpoint()

    async def _take(self, gathered: list[Waiting]) -> None:
        received_ms = self._clock_ms()
        gist = await self._read(received_ms, gathered)
        refusal = await self._append(received_ms, gist.bodies)
        if refusal is None:
            if gist.unread:
                self._sequencing.put_off(received_ms, gist.unread)
            for facts in gist.facts:
                self._sequencing.add(received_ms, facts)
            last_seq = self._journal.last_seq
            events = last_seq - self.taken_seq
            self.groups += 1
            self.group_events.add(events)
            self.rate.add(events, trio.current_time())
            self.taken_seq = last_seq
        await _release(gathered, refusal)

    async def _read(self, received_ms: int, gathered: list[Waiting]) -> Gist:
        gist = Gist()
        unread = gist.unread
        for waiting in gathered:
            if waiting.batch is not None:
                batch, waiting.batch = waiting.batch, None
                gist.bodies.append(Body(batch.kind, len(batch.events), batch.body))
                unread.append(batch)
                continue
            if unread:
                await self._read_hot(received_ms, gist)
            for bodies, facts in waiting.kept:
                facts.receive(received_ms)
                gist.bodies += bodies
                gist.facts.append(facts)
            waiting.kept = ()
        if gist.facts or not are_few(unread):
            await self._read_hot(received_ms, gist)
        return gist

    async def _read_hot(self, received_ms: int, gist: Gist) -> None:
        for some in self._sequencing.read(received_ms, gist.unread):
            if gist.facts:
                await trio.lowlevel.checkpoint()
            gist.facts.append(some)
        gist.unread.clear()

    async def _append(
        self, received_ms: int, bodies: list[Body], *, seals: bool = False
    ) -> TallymarkError | None:
        if self.failure is not None:
            return self.failure
        started = perf_counter()
        try:
            await self._keep(received_ms, bodies)
            if seals:
                await self._in_thread(self._journal.seal, limiter=self._journal_thread)
        except DiskFull as refusal:
            if not self._is_full:  # one line, not one for each group that is refused
                self._log("append failed", reason=str(refusal))
            self._is_full = True
            return refusal
        except JournalFailed as refusal:
            self.failure = refusal
            self._log("journal failed", reason=str(refusal))
            return refusal
        self.append_s.add(perf_counter() - started)
        if self._is_full:
            self._is_full = False
            self._log("append works again")
        return None

    async def _keep(self, received_ms: int, bodies: list[Body]) -> None:
        journal, first_seq = self._journal, self._journal.last_seq + 1
        if not journal.can_begin(bodies) or self._journal_thread.borrowed_tokens:
            await self._deal_due()
            await self._in_thread(
                journal.append, first_seq, received_ms, bodies, limiter=self._journal_thread
            )
            return
        self._journal_thread.acquire_nowait()
        try:
            told = journal.begin(first_seq, received_ms, bodies)
            await self._deal_due()  # of the records before
            if told is not None:
                await _told(told)
            journal.end()
        finally:
            self._journal_thread.release()

    def note(self, failure: TallymarkError) -> None:
        """Take no more events if another use of the journal has found that it failed."""
        if isinstance(failure, JournalFailed):
            self.failure = failure

    async def _deal_due(self) -> None:
        if self._sequencing.has_due:
            await self._send(self._sequencing.deal_due)

    async def deal(self) -> None:
        """Hand the shards all that was taken: before a question, and before a dump."""
        if self._dealing.locked() or self._sequencing.has_waiting:
            await self._send(self._sequencing.deal)

    async def _send(self, deal: Callable[[], Iterable[list[Group]]]) -> None:
        # In one order for all shards, and never in part: whoever asks may be cancelled.
        with trio.CancelScope(shield=True):
            async with held(self._dealing):
                started = perf_counter()
                for groups in deal():
                    self.take_s.add(perf_counter() - started)
                    for inbox, group in zip(self._inboxes, groups, strict=True):
                        if group.facts:
                            await put(inbox, group)
                    if self._sequencing.has_waiting:  # no reason to pause after the last
                        await trio.lowlevel.checkpoint()
                    started = perf_counter()

    async def _take_notice(self, notice: Notice) -> None:
        """Get a notice onto disk and all before it dealt; then tell the shards concerned."""
        received_ms = self._clock_ms()
        body = Body(Kind.NOTICE, 1, notice.content)
        refusal = await self._append(received_ms, [body], seals=True)
        if refusal is not None:
            notice.released(copy(refusal))
            return
        seq = self._journal.last_seq
        with trio.CancelScope(shield=True):
            await self.deal()
            forget = self._sequencing.note(seq, received_ms, notice.content)
            if forget is not None:
                for inbox in self._inboxes:
                    await inbox.send(forget)
        self.taken_seq = seq
        notice.released(None)

    async def _dump(self, barrier: Barrier) -> None:
        await self.deal()
        barrier.seq = self.taken_seq
        barrier.passed.set()
        if barrier.is_idle:
            return
        for source, asked in barrier.dumps.items():
            asked.full = barrier.is_full(source)
        for inbox, asked in zip(self._inboxes, barrier.shards, strict=True):
            await inbox.send(asked)
        own = barrier.own
        await own.hand_out(self._sequencing.dump(full=own.full), self._pace)


async def _told(file: int) -> None:
    """Wait for the end of a sync, which is never abandoned: a cancellation is raised after it.

    A shield in any case would take 8 µs a record.
    """
    try:
        await trio.lowlevel.wait_readable(file)
    except trio.Cancelled:
        with trio.CancelScope(shield=True):
            await trio.lowlevel.wait_readable(file)


async def _release(gathered: list[Waiting], refusal: TallymarkError | None) -> None:
    for number, waiting in enumerate(gathered, 1):
        # A copy: one that many raise would keep the traceback, and the batch, of each.
        waiting.released(None if refusal is None else copy(refusal))
        if number % RELEASED_AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
