"""What waits for the sequencer: requests, within bounds, and notices and barriers among them.

Consecutive requests are read together, a portion at a time, while their events are hot, and not
when their record is gathered: by then there may be thousands of events (`engine.facts`).
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

import trio

from engine.actors.dumping import DumpAsked
from engine.codec import SEQUENCE, shard_source
from engine.config import Config
from engine.errors import NotReady, Overloaded, TallymarkError
from engine.events import ABSENT, Batch
from engine.facts import Kept
from engine.sequence import READ_EVENTS_MIN

ROOM_WAIT_S: Final = 1.0
"""How long a batch waits for room in the queue before it is refused."""

Released = Callable[[TallymarkError | None], None]
"""Called once: with None when a batch is durable and counted, else with why it is not."""


@dataclass(slots=True, eq=False)
class Waiting:
    """A request whose sender waits for the acknowledgement.

    batch   what it brings; None once it has been read
    kept    what has been read of it, or of its portion where it is the first of one
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
        events = sum(len(some.facts) for some in kept)
        return cls(None, kept, released, events, sum(some.bytes for some in kept))


Read = Callable[[Sequence[Batch]], Kept]


@dataclass(slots=True, eq=False)
class Portion:
    """Requests that stay together, because what they bring is read together.

    is_open  whether more may come to it
    """

    waiting: list[Waiting]
    events: int
    bytes: int
    is_open: bool

    @classmethod
    def of(cls, waiting: Waiting) -> Self:
        """The first of some, or one that stays alone."""
        batch = waiting.batch
        # By how much the sender's clock is off is known only with the time of its record.
        is_open = batch is not None and batch.sent_at_ms == ABSENT
        return cls([waiting], waiting.events, waiting.bytes, is_open)

    def add(self, waiting: Waiting) -> None:
        """Take another one."""
        self.waiting.append(waiting)
        self.events += waiting.events
        self.bytes += waiting.bytes

    def read(self, read: Read) -> None:
        """Read everything that they bring, and free it."""
        self.is_open = False
        batches = [waiting.batch for waiting in self.waiting if waiting.batch is not None]
        for waiting in self.waiting:
            waiting.batch = None
        self.waiting[0].kept = (read(batches),)


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that is no event but has a number and a place in the order all the same."""

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
        return {SEQUENCE: self.own} | {
            shard_source(number): asked for number, asked in enumerate(self.shards)
        }

    @property
    def is_idle(self) -> bool:
        """Whether nothing came after what is on the disk."""
        return self.seq == self.after_seq


@dataclass(slots=True, eq=False)
class AtTheDoor:
    """A batch that found no room in the queue, and waits for some."""

    waiting: Waiting
    called: trio.Event = field(default_factory=trio.Event)
    is_in: bool = False


class Queue:
    """Batches that wait for the sequencer, bounded by events and by bytes.

    Where there is no room, as much again may wait at the door for a second, in the order of
    arrival; what comes then is refused at once. So neither memory nor the work of those who
    wait grows with what is offered.
    """

    def __init__(self, config: Config, read: Read) -> None:
        self._config = config
        self._read = read
        self._entries: deque[Portion | Notice | Barrier] = deque()
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
            f"{self.events} events are already waiting to be written. Try again in a second."
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
        if self.events > self.events_peak:
            self.events_peak = self.events
        portion = self._entries[-1] if self._entries else None
        if isinstance(portion, Portion) and self._takes(portion, waiting):
            portion.add(waiting)
        else:
            portion = Portion.of(waiting)
            self._append(portion)
        if portion.is_open and portion.events >= READ_EVENTS_MIN:
            portion.read(self._read)

    def _takes(self, portion: Portion, waiting: Waiting) -> bool:
        """Whether this one may come to those; a portion goes into one record as it is."""
        batch, config = waiting.batch, self._config
        return (
            portion.is_open
            and batch is not None
            and batch.sent_at_ms == ABSENT
            and portion.events + waiting.events <= config.group_events_max
            and portion.bytes + waiting.bytes <= config.group_bytes_max
        )

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

    def _append(self, entry: Portion | Notice | Barrier) -> None:
        if not self._entries:  # else whoever gathers is awake
            self._filled.set()
        self._entries.append(entry)

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

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits for the sequencer."""
        return not self._entries

    async def filled(self) -> None:
        """Wait until something waits, or nothing will any more."""
        while not self._entries and not self._has_ended:
            self._filled = trio.Event()
            await self._filled.wait()

    async def gather(self) -> list[Waiting] | Notice | Barrier | None:
        """The batches that one record takes, what stands alone, or None: ended and empty."""
        await self.filled()
        if not self._entries:
            return None
        first = self._entries[0]
        if not isinstance(first, Portion):
            self._entries.popleft()
            return first
        return self._group()

    def _group(self) -> list[Waiting]:
        group: list[Waiting] = []
        events = size = 0
        while self._entries:
            entry = self._entries[0]
            if not isinstance(entry, Portion):
                break
            more_events, more_size = entry.events, entry.bytes
            if group and (
                events + more_events > self._config.group_events_max
                or size + more_size > self._config.group_bytes_max
            ):
                break
            self._entries.popleft()
            group += entry.waiting
            events += more_events
            size += more_size
        self.events -= events
        self.bytes -= size
        self._let_in()
        return group
