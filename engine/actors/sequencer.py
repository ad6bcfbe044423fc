"""Gather, write, take, send, release: the one order of everything that changes state.

Two tasks in a row. The writer makes one record of the batches that wait and has it on disk; the
taker splits what is durable over the shards and releases the acknowledgements, while the writer
is at the next record already. Snapshots pass through both, so they cover a number exactly.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, Protocol, Self

import trio

from engine.actors.dumping import DumpAsked
from engine.actors.rate import Rate
from engine.actors.shard import Message, put
from engine.actors.slicing import Pace
from engine.actors.turns import held
from engine.config import Config
from engine.distribution import EVENTS, SECONDS, Distribution
from engine.errors import DiskFull, JournalFailed, NotReady, Overloaded, TallymarkError
from engine.events import Batch, Body, Kind
from engine.facts import Facts, Kept
from engine.sequence import TAKE_EVENTS_MAX, Sequencing, are_few
from engine.state import Group

ROOM_WAIT_S: Final = 1.0
"""How long a batch waits for room in the queue before it is refused."""


RELEASED_AT_ONCE: Final = 128
"""Acknowledgements without a pause; each may be an answer sent, which takes 10 µs."""


class Journal(Protocol):
    """What the sequencer needs of a log: it may as well be a replicated one elsewhere."""

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


Released = Callable[[TallymarkError | None], None]
"""Called once: with None when a batch is durable and counted, else with why it is not."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A request whose sender waits for the acknowledgement.

    batch   what it brings; None where that is `kept`, which stays together: in one record
    events  of all of it; `bytes`, of its bodies
    """

    batch: Batch | None
    kept: Sequence[Kept]
    released: Released
    events: int
    bytes: int

    @classmethod
    def of(cls, batch: Batch, released: Released) -> Self:
        """What waits for this batch to be durable and counted."""
        return cls(batch, (), released, len(batch.events), len(batch.body))

    @classmethod
    def of_kept(cls, kept: Sequence[Kept], released: Released) -> Self:
        """The same of a large request, whose batches have been read already."""
        events = sum(body.events for body, _ in kept)
        return cls(None, kept, released, events, sum(len(body.data) for body, _ in kept))


@dataclass(frozen=True, slots=True)
class Notice:
    """What is no event, and has a number and a place in the order all the same."""

    content: bytes
    released: Released


@dataclass(slots=True)
class Barrier:
    """A point in the stream at which everybody writes down what is known.

    after_seq  what is on the disk already; nobody dumps anything where nothing came after it
    shards     the dumps of the shards, and `own`, that of the sequence
    passed     set once `seq` is known, which they cover; portions of them may follow
    """

    is_full: Callable[[str], bool]
    after_seq: int
    shards: Sequence[DumpAsked]
    own: DumpAsked = field(default_factory=DumpAsked)
    seq: int = 0
    passed: trio.Event = field(default_factory=trio.Event)

    @property
    def dumps(self) -> dict[str, DumpAsked]:
        """{source: its dump}. That of the sequence, which holds up everybody, comes first."""
        return {"sequence": self.own} | {
            f"shard-{number}": asked for number, asked in enumerate(self.shards)
        }

    @property
    def is_idle(self) -> bool:
        """Whether nothing came after what is on the disk."""
        return self.seq == self.after_seq


@dataclass(frozen=True, slots=True)
class Gist:
    """A record before it is written: its bodies, and what they say.

    facts   read while the events are hot, which have gone
    unread  in their place, where the events are few
    """

    bodies: list[Body] = field(default_factory=list)
    facts: list[Facts] = field(default_factory=list)
    unread: list[Batch] = field(default_factory=list)


@dataclass(slots=True)
class Durable:
    """One record that is on disk, on its way from the writer to the taker."""

    received_ms: int
    waiting: list[Waiting]
    gist: Gist
    last_seq: int


@dataclass(frozen=True, slots=True)
class DurableNotice:
    """A notice that is on disk, on its way from the writer to the taker."""

    received_ms: int
    notice: Notice
    seq: int


Written = Durable | DurableNotice | Barrier
"""What the writer hands to the taker."""


@dataclass(slots=True, eq=False)
class AtTheDoor:
    """A batch that found no room in the queue, and waits for some."""

    waiting: Waiting
    called: trio.Event = field(default_factory=trio.Event)
    is_in: bool = False


class Queue:
    """Batches that wait for the writer, bounded by events and by bytes.

    Where there is no room, as much again may wait at the door for a second, in the order of
    arrival; what comes then is refused at once. So neither memory nor the work of those who
    wait grows with what is offered.
    """

    def __init__(self, config: Config) -> None:
        self._config = config
        self._entries: deque[Waiting | Notice | Barrier] = deque()
        self._filled = trio.Event()
        self._door: deque[AtTheDoor] = deque()
        self._door_events = 0
        self._door_bytes = 0
        self._is_closed = False
        self._has_ended = False
        self.events = 0
        self.bytes = 0
        self.events_peak = 0

    async def put(self, waiting: Waiting) -> None:
        """Queue a batch; raises Overloaded where there is no room for a second."""
        if not self.put_now(waiting):
            await self._wait_at_the_door(waiting)

    def put_now(self, waiting: Waiting) -> bool:
        """Queue a batch if there is room for it; whether there was. Raises NotReady."""
        if self._is_closed:
            raise NotReady("Tallymark is stopping.")
        if self._door or not self._fits(waiting, self.events, self.bytes):
            return False
        self._enter(waiting)
        return True

    async def _wait_at_the_door(self, waiting: Waiting) -> None:
        if not self._fits(waiting, self._door_events, self._door_bytes):
            raise self._overloaded()
        one = AtTheDoor(waiting)
        self._door.append(one)
        self._door_events += waiting.events
        self._door_bytes += waiting.bytes
        try:
            with trio.move_on_after(ROOM_WAIT_S):
                await one.called.wait()
        finally:
            if not one.called.is_set():
                self._door.remove(one)
                self._leave_door(one)
                self._let_in()  # who stood behind may fit
        if not one.called.is_set():
            raise self._overloaded()
        if not one.is_in:
            raise NotReady("Tallymark is stopping.")

    def _overloaded(self) -> Overloaded:
        return Overloaded(
            f"{self.events} events wait to be written already. Try again in a second."
        )

    def _leave_door(self, one: AtTheDoor) -> None:
        self._door_events -= one.waiting.events
        self._door_bytes -= one.waiting.bytes

    def _let_in(self) -> None:
        """Take in who waits at the door and fits now, in their order."""
        while self._door and self._fits(self._door[0].waiting, self.events, self.bytes):
            one = self._door.popleft()
            self._leave_door(one)
            self._enter(one.waiting)
            one.is_in = True
            one.called.set()

    def _enter(self, waiting: Waiting) -> None:
        self.events += waiting.events
        self.bytes += waiting.bytes
        self.events_peak = max(self.events_peak, self.events)
        self._append(waiting)

    def _fits(self, waiting: Waiting, events: int, size: int) -> bool:
        """Whether it fits where `events` of `size` bytes are; what is empty takes anything."""
        config = self._config
        return not events or (
            events + waiting.events <= config.queue_events_max
            and size + waiting.bytes <= config.queue_bytes_max
        )

    def put_behind(self, entry: Notice | Barrier) -> None:
        """Queue a notice or a snapshot behind all batches that wait, also after `close`."""
        if self._has_ended:
            raise NotReady("Tallymark is stopping.")
        self._append(entry)

    def _append(self, entry: Waiting | Notice | Barrier) -> None:
        self._entries.append(entry)
        self._filled.set()

    def close(self) -> None:
        """Take no batch any more; what waits is still handed out."""
        self._is_closed = True
        for one in self._door:
            self._leave_door(one)
            one.called.set()
        self._door.clear()

    def end(self) -> None:
        """Let `gather` end once nothing waits; `close` came before, and the last barrier."""
        assert self._is_closed
        self._has_ended = True
        self._filled.set()

    async def gather(self) -> list[Waiting] | Notice | Barrier | None:
        """The batches that one record takes, what stands alone, or None: ended and empty."""
        while not self._entries:
            if self._has_ended:
                return None
            self._filled = trio.Event()
            await self._filled.wait()
        first = self._entries[0]
        if not isinstance(first, Waiting):
            self._entries.popleft()
            return first
        return self._group()

    def _group(self) -> list[Waiting]:
        group: list[Waiting] = []
        events = size = 0
        while self._entries:
            entry = self._entries[0]
            if not isinstance(entry, Waiting):
                break
            more_events, more_size = entry.events, entry.bytes
            if group and (
                events + more_events > self._config.group_events_max
                or size + more_size > self._config.group_bytes_max
            ):
                break
            self._entries.popleft()
            group.append(entry)
            events += more_events
            size += more_size
        self.events -= events
        self.bytes -= size
        self._let_in()
        return group


class Sequencer:
    """The writer and the taker, and what they say about themselves."""

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
        self.queue = Queue(config)
        self.failure: JournalFailed | None = None
        self._is_full = False
        self.taken_seq = journal.last_seq
        self.groups = 0
        self._dealing = trio.Lock()
        self.group_events = Distribution(EVENTS)
        self.append_s = Distribution(SECONDS)
        self.take_s = Distribution(SECONDS)
        self.rate = Rate()

    async def write(self, to_taker: trio.MemorySendChannel[Written]) -> None:
        """Make records of what waits and have them on disk, until the queue has ended."""
        async with to_taker:
            while (gathered := await self.queue.gather()) is not None:
                if isinstance(gathered, Barrier):
                    await to_taker.send(gathered)
                    continue
                if isinstance(gathered, Notice):
                    await self._write_notice(gathered, to_taker)
                    continue
                await self._write(gathered, to_taker)

    async def _write_notice(
        self, notice: Notice, to_taker: trio.MemorySendChannel[Written]
    ) -> None:
        received_ms = self._clock_ms()
        refusal = await self._append(
            received_ms, [Body(Kind.NOTICE, 1, notice.content)], seals=True
        )
        if refusal is None:
            await to_taker.send(DurableNotice(received_ms, notice, self._journal.last_seq))
        else:
            notice.released(copy(refusal))

    async def _write(
        self, gathered: list[Waiting], to_taker: trio.MemorySendChannel[Written]
    ) -> None:
        received_ms = self._clock_ms()
        gist = await self._read(received_ms, gathered)
        first_seq = self._journal.last_seq + 1
        refusal = await self._append(received_ms, gist.bodies)
        if refusal is not None:
            await _release(gathered, refusal)
            return
        self.groups += 1
        last_seq = self._journal.last_seq
        self.group_events.add(last_seq - first_seq + 1)
        await to_taker.send(Durable(received_ms, gathered, gist, last_seq))

    async def _read(self, received_ms: int, gathered: list[Waiting]) -> Gist:
        gist = Gist()
        unread = gist.unread
        for waiting in gathered:
            if waiting.batch is not None:
                batch, waiting.batch = waiting.batch, None
                gist.bodies.append(Body(batch.kind, len(batch.events), batch.body))
                unread.append(batch)
                continue
            await self._read_hot(received_ms, gist)
            for body, kept in waiting.kept:
                kept.receive(received_ms)
                gist.bodies.append(body)
                gist.facts.append(kept)
            waiting.kept = ()
        if gist.facts or not are_few(unread):
            await self._read_hot(received_ms, gist)
        return gist

    async def _read_hot(self, received_ms: int, gist: Gist) -> None:
        for some in self._sequencing.read(received_ms, gist.unread):
            gist.facts.append(some)
            if len(some) >= TAKE_EVENTS_MAX:
                await trio.lowlevel.checkpoint()
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
            await self._in_thread(
                journal.append, first_seq, received_ms, bodies, limiter=self._journal_thread
            )
            return
        self._journal_thread.acquire_nowait()
        try:
            told = journal.begin(first_seq, received_ms, bodies)
            if told is not None:
                with trio.CancelScope(shield=True):  # a sync is never abandoned
                    await trio.lowlevel.wait_readable(told)
            journal.end()
        finally:
            self._journal_thread.release()

    async def take(self, from_writer: trio.MemoryReceiveChannel[Written]) -> None:
        """Split what is durable over the shards and release its senders, until it ends."""
        async with from_writer:
            async for message in from_writer:
                if isinstance(message, Barrier):
                    await self._dump(message)
                    continue
                if isinstance(message, DurableNotice):
                    await self._note(message)
                    continue
                if message.gist.unread:
                    self._sequencing.put_off(message.received_ms, message.gist.unread)
                    await self._deal_due()
                for facts in message.gist.facts:
                    self._sequencing.add(message.received_ms, facts)
                    await self._deal_due()
                self.rate.add(message.last_seq - self.taken_seq, trio.current_time())
                self.taken_seq = message.last_seq
                await _release(message.waiting, None)

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
                    if self._sequencing.has_waiting:  # the last is no reason to pause
                        await trio.lowlevel.checkpoint()
                    started = perf_counter()

    async def _note(self, durable: DurableNotice) -> None:
        """Have all that came before the notice dealt, and then whoever it concerns told."""
        with trio.CancelScope(shield=True):
            await self.deal()
            forget = self._sequencing.note(
                durable.seq, durable.received_ms, durable.notice.content
            )
            if forget is not None:
                for inbox in self._inboxes:
                    await inbox.send(forget)
        self.taken_seq = durable.seq
        durable.notice.released(None)

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


async def _release(gathered: list[Waiting], refusal: TallymarkError | None) -> None:
    for number, waiting in enumerate(gathered, 1):
        # A copy, for one that many raise would keep the traceback, and batch, of each.
        waiting.released(copy(refusal))
        if number % RELEASED_AT_ONCE == 0:
            await trio.lowlevel.checkpoint()
