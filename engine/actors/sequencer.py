"""Gather, write, take, send, release: the one order of everything that changes state.

Two tasks in a row. The writer makes one record of the batches that wait and has it on disk; the
taker splits what is durable over the shards and releases the acknowledgements, while the writer
is at the next record already. Snapshots pass through both, so they cover a number exactly.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import trio

from engine.actors.shard import DumpAsked, Message
from engine.actors.slicing import Pace, collected
from engine.config import Config
from engine.errors import DiskFull, JournalFailed, NotReady, Overloaded, TallymarkError
from engine.events import Batch, Body
from engine.sequence import Sequencing
from engine.state import Group

ROOM_WAIT_S: Final = 1.0
"""How long a batch waits for room in the queue before it is refused."""


class Journal(Protocol):
    """What the sequencer needs of a log: it may as well be a replicated one elsewhere."""

    @property
    def last_seq(self) -> int: ...

    def append(self, first_seq: int, received_ms: int, bodies: Sequence[Body]) -> None: ...


@dataclass(slots=True)
class Waiting:
    """A batch whose sender waits for the acknowledgement."""

    batch: Batch
    released: trio.Event = field(default_factory=trio.Event)
    refusal: TallymarkError | None = None


@dataclass(slots=True)
class Barrier:
    """A point in the stream at which everybody writes down what is known.

    after_seq  what is on the disk already; nobody dumps anything where nothing came after it
    dumps      {source: its dump}, complete once `done` is set; `seq` is what they cover
    """

    is_full: Callable[[str], bool]
    after_seq: int
    seq: int = 0
    dumps: dict[str, DumpAsked] = field(default_factory=dict)
    done: trio.Event = field(default_factory=trio.Event)


@dataclass(slots=True)
class Durable:
    """One record that is on disk, on its way from the writer to the taker."""

    received_ms: int
    waiting: list[Waiting]
    last_seq: int


class Queue:
    """Batches that wait for the writer, bounded by events and by bytes."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._entries: deque[Waiting | Barrier] = deque()
        self._filled = trio.Event()
        self._room = trio.Event()
        self._is_closed = False
        self._has_ended = False
        self.events = 0
        self.bytes = 0
        self.events_peak = 0

    async def put(self, waiting: Waiting) -> None:
        """Queue a batch; raises Overloaded where there is no room for a second."""
        events, size = len(waiting.batch.events), len(waiting.batch.body)
        if not self._fits(events, size):
            with trio.move_on_after(ROOM_WAIT_S):
                while not self._fits(events, size):
                    self._room = trio.Event() if self._room.is_set() else self._room
                    await self._room.wait()
            if not self._fits(events, size):
                raise Overloaded(
                    f"{self.events} events wait to be written already. Try again in a second."
                )
        if self._is_closed:
            raise NotReady("Tallymark is stopping.")
        self.events += events
        self.bytes += size
        self.events_peak = max(self.events_peak, self.events)
        self._append(waiting)

    def _fits(self, events: int, size: int) -> bool:
        config = self._config
        if not self.events or self._is_closed:
            return True
        return (
            self.events + events <= config.queue_events_max
            and self.bytes + size <= config.queue_bytes_max
        )

    def put_barrier(self, barrier: Barrier) -> None:
        """Queue a snapshot behind all batches that wait, also after `close`."""
        if self._has_ended:
            raise NotReady("Tallymark is stopping.")
        self._append(barrier)

    def _append(self, entry: Waiting | Barrier) -> None:
        self._entries.append(entry)
        self._filled.set()

    def close(self) -> None:
        """Take no batch any more; what waits is still handed out."""
        self._is_closed = True
        self._room.set()

    def end(self) -> None:
        """Let `gather` end once nothing waits; `close` came before, and the last barrier."""
        assert self._is_closed
        self._has_ended = True
        self._filled.set()

    async def gather(self) -> list[Waiting] | Barrier | None:
        """The batches that one record takes, a barrier, or None when ended and empty."""
        while not self._entries:
            if self._has_ended:
                return None
            self._filled = trio.Event()
            await self._filled.wait()
        first = self._entries[0]
        if isinstance(first, Barrier):
            self._entries.popleft()
            return first
        return self._group()

    def _group(self) -> list[Waiting]:
        group: list[Waiting] = []
        events = size = 0
        while self._entries:
            entry = self._entries[0]
            if isinstance(entry, Barrier):
                break
            batch = entry.batch
            if group and (
                events + len(batch.events) > self._config.group_events_max
                or size + len(batch.body) > self._config.group_bytes_max
            ):
                break
            self._entries.popleft()
            group.append(entry)
            events += len(batch.events)
            size += len(batch.body)
        self.events -= events
        self.bytes -= size
        self._room.set()
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
        pace: Pace,
        log: Callable[..., object],
    ) -> None:
        self._config = config
        self._sequencing = sequencing
        self._journal = journal
        self._inboxes = inboxes
        self._clock_ms = clock_ms
        self._journal_thread = journal_thread
        self._pace = pace
        self._log = log
        self.queue = Queue(config)
        self.failure: JournalFailed | None = None
        self.taken_seq = journal.last_seq
        self.groups = 0
        self._dealing = trio.Lock()

    async def write(self, to_taker: trio.MemorySendChannel[Durable | Barrier]) -> None:
        """Make records of what waits and have them on disk, until the queue has ended."""
        async with to_taker:
            while (gathered := await self.queue.gather()) is not None:
                if isinstance(gathered, Barrier):
                    await to_taker.send(gathered)
                    continue
                received_ms = self._clock_ms()
                refusal = await self._append(received_ms, gathered)
                if refusal is None:
                    self.groups += 1
                    last_seq = self._journal.last_seq
                    await to_taker.send(Durable(received_ms, gathered, last_seq))
                else:
                    _release(gathered, refusal)

    async def _append(self, received_ms: int, gathered: list[Waiting]) -> TallymarkError | None:
        if self.failure is not None:
            return self.failure
        bodies = [Body(w.batch.kind, len(w.batch.events), w.batch.body) for w in gathered]
        try:
            await trio.to_thread.run_sync(
                self._journal.append,
                self._journal.last_seq + 1,
                received_ms,
                bodies,
                limiter=self._journal_thread,
            )
        except DiskFull as refusal:
            return refusal
        except JournalFailed as refusal:
            self.failure = refusal
            self._log("journal failed", reason=str(refusal))
            return refusal
        return None

    async def take(self, from_writer: trio.MemoryReceiveChannel[Durable | Barrier]) -> None:
        """Split what is durable over the shards and release its senders, until it ends."""
        async with from_writer:
            async for message in from_writer:
                if isinstance(message, Barrier):
                    await self._dump(message)
                    continue
                batches = [waiting.batch for waiting in message.waiting]
                self._sequencing.add(message.received_ms, batches)
                self.taken_seq = message.last_seq
                _release(message.waiting, None)
                await self._send(self._sequencing.deal_due)

    async def deal(self) -> None:
        """Hand the shards all that was taken: before a question, and before a dump."""
        await self._send(self._sequencing.deal)

    async def _send(self, deal: Callable[[], Iterable[list[Group]]]) -> None:
        # In one order for all shards, and never in part: whoever asks may be cancelled.
        with trio.CancelScope(shield=True):
            async with self._dealing:
                for groups in deal():
                    for inbox, group in zip(self._inboxes, groups, strict=True):
                        if group.facts:
                            await inbox.send(group)

    async def _dump(self, barrier: Barrier) -> None:
        await self.deal()
        barrier.seq = self.taken_seq
        if barrier.seq == barrier.after_seq:
            barrier.done.set()
            return
        for shard, inbox in enumerate(self._inboxes):
            source = f"shard-{shard}"
            barrier.dumps[source] = DumpAsked(barrier.is_full(source))
            await inbox.send(barrier.dumps[source])
        own = DumpAsked(barrier.is_full("sequence"))
        pieces = collected(self._sequencing.dump(full=own.full))
        own.pieces = await self._pace.run(pieces)
        own.done.set()
        barrier.dumps["sequence"] = own
        barrier.done.set()


def _release(gathered: list[Waiting], refusal: TallymarkError | None) -> None:
    for waiting in gathered:
        waiting.refusal = refusal
        waiting.released.set()
