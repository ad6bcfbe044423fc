"""From journal records to one message per shard: duplicates, numbers, caps, split.

Live and replay both call `add` and `deal`, because what lies between the journal and the fold
must be the same computation: it depends on the records in their order and on nothing else,
least of all on how many are dealt at a time (tests/properties/test_engine_laws.py).
"""

from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine import erasure
from engine.admission import Admission
from engine.codec import pack, packed_before_bytes, unpack_all
from engine.columns import hashes_column
from engine.config import Config
from engine.dealing import Dealing
from engine.dedup import IdWindow
from engine.erasure import Erase, Erasures, Secret
from engine.events import ABSENT, Batch, Body, Event, instants_ms
from engine.facts import Facts, Kept, read
from engine.group import Group
from engine.sharing import Shared
from engine.timebucket import DAY_MS, Calendar
from engine.totals import Totals
from engine.waiting import DEAL_EVENTS_MAX, Chunk

READ_EVENTS_MIN: Final = 256
"""Events that are read together: of fewer, each costs more than being cold does."""

TAKE_EVENTS_MAX: Final = 1_024
"""Events after which no further batch is taken in the same step: about a millisecond."""

SPLIT_EVENTS_MIN: Final = 64
"""As how many events a split chunk counts at the least: shards are handed each separately; that
takes as long for one event, and whoever asks them next waits for all of it."""

COUNTED_NOW_MAX: Final = 2
"""Chunks that are split in one step for a question, each 1.5 ms of work."""


@dataclass(slots=True)
class Tally:
    """What has been taken since the data folder was begun."""

    events: int = 0
    duplicates: int = 0


@dataclass(frozen=True, slots=True)
class Forget:
    """Tells each shard to forget somebody who is erased; `owner` is the shard of the user."""

    user: int
    owner: int


class Sequencing:
    """What must be known of all events before they are split: ids seen, names admitted."""

    def __init__(
        self, config: Config, calendar: Calendar, secret: Secret | None = None
    ) -> None:
        """secret  reads notices; without it there must be none"""
        self._calendar = calendar
        self._secret = secret
        self.erasures = Erasures(config.keep_days)
        self._shards = config.shards
        self._window = IdWindow(
            ids_max=config.dedupe_ids_max, keep_ms=config.dedupe_days * DAY_MS
        )
        self._admission = Admission(config, calendar)
        self.caps = self._admission.caps
        self.totals = Totals(calendar, keep_days=config.keep_days)
        self._dealing = Dealing(self._admission, config.shards, self.totals)
        self._day = 0
        self._waiting: deque[Chunk] = deque()
        self._dealt: deque[list[Group]] = deque()
        self._dealt_events = 0
        self._tally = Tally()

    def memory_bytes(self) -> dict[str, int]:
        """What the event ids that are remembered occupy, and the names that are admitted."""
        return {
            "eventIds": self._window.memory_bytes(),
            "admission": self._admission.memory_bytes(),
        }

    # -- take ---------------------------------------------------------------------------------

    def read(self, received_ms: int, batches: Sequence[Batch]) -> Iterator[Facts]:
        """What the batches of one record say, some at a time; it changes nothing.

        The batches are no longer needed then, and it is best to free their events: it may be a
        while until what they say is dealt.
        """
        for portion in portions(batches):
            events, times_ms = _told(received_ms, portion)
            for start in range(0, len(events), DEAL_EVENTS_MAX):
                some = slice(start, start + DEAL_EVENTS_MAX)
                yield read(
                    events[some], times_ms[some], self._admission, received_ms=received_ms
                )

    def keep(self, batches: Sequence[Batch]) -> Kept:
        """What some batches say, read before it is known when their record will be written.

        Their first events would be cold by then. They must not carry their sender's clock:
        by how much that is off is not known yet either.
        """
        events: list[Event] = []
        times_ms: list[int] = []
        for batch in batches:
            assert batch.sent_at_ms == ABSENT
            events += batch.events
            times_ms += batch.times_ms
        bodies = tuple([Body(kind, len(said), body) for kind, body, said, _, _ in batches])
        return Kept(bodies, read(events, times_ms, self._admission, received_ms=None))

    def add(self, received_ms: int, facts: Facts) -> None:
        """Take what was read of a record; it waits to be dealt together with the next ones.

        How many are dealt at a time affects no answer, only the speed: of 2,000 events each
        costs little more than half of what it costs among 250.
        """
        self._tally.events += len(facts)
        chunk = self._with_room_for(received_ms, len(facts))
        chunk.read(self._admission)
        chunk.add(received_ms, facts)

    def put_off(self, received_ms: int, batches: Sequence[Batch]) -> None:
        """Take a record of few events, which are read together with those of the next ones.

        To read READ_EVENTS_MIN events takes twice as long as to read a few.
        """
        events, times_ms = _told(received_ms, batches)
        self._tally.events += len(events)
        chunk = self._with_room_for(received_ms, len(events))
        chunk.put_off(received_ms, events, times_ms)
        if len(chunk.unread) >= READ_EVENTS_MIN:
            chunk.read(self._admission)

    def take_in(self, received_ms: int, batches: Sequence[Batch]) -> Iterator[None]:
        """Take a record, in steps between which `deal_due` may be asked."""
        if are_few(batches):
            self.put_off(received_ms, batches)
            yield
            return
        for facts in self.read(received_ms, batches):
            self.add(received_ms, facts)
            yield

    def _with_room_for(self, received_ms: int, events: int) -> Chunk:
        waiting = self._waiting
        if not waiting or not waiting[-1].has_room(received_ms, events):
            waiting.append(Chunk(received_ms, self._admission.keys))
        return waiting[-1]

    @property
    def has_due(self) -> bool:
        """Whether anything can wait no longer."""
        return self._dealt_events >= DEAL_EVENTS_MAX or len(self._waiting) > 1

    @property
    def has_waiting(self) -> bool:
        """Whether anything was taken that no shard has yet."""
        return bool(self._dealt or self._waiting)

    def deal_due(self) -> Generator[list[Group], None, None]:
        """Split what can wait no longer: all but the last DEAL_EVENTS_MAX events or fewer.

        Chunks that were split already, for a figure that was asked for, are included.
        """
        while self.has_due:
            yield self._next()

    def deal(self) -> Generator[list[Group], None, None]:
        """Split all that waits, for a question or a dump is next; some ms of work a step."""
        for _ in range(len(self._dealt) + len(self._waiting)):  # not what comes in between
            yield self._next()

    def take(self, received_ms: int, batches: Sequence[Batch]) -> list[Group]:
        """Read one record, of a few events, and split it by itself, at once."""
        assert not self._waiting
        for _ in self.take_in(received_ms, batches):
            pass
        [chunk] = self._waiting
        self._waiting.clear()
        return self._split(chunk)

    def note(self, seq: int, received_ms: int, notice: bytes) -> Forget | None:
        """Take a notice, once all that came before it is dealt; returns whom the shards forget.

        What comes for the same id from now on is new. Event ids stay known, as bare hashes, so
        that a sender who tries again does not bring back what is gone. Raises WrongKey.
        """
        assert not self._waiting
        assert not self._dealt
        assert self._secret is not None
        said = self._secret.read(notice)
        if isinstance(said, Erase):
            self._dealing.recent.forget(said.hash64)
            self.totals.active.forget(said.hash64)
            self.erasures.add(said.name, seq, received_ms)
            return Forget(said.hash64, said.hash64 % self._shards)
        self.erasures.sweep(said.seq, received_ms)
        return None

    def count_now(self) -> bool:
        """Count all that waits in the totals if that takes a few ms; returns whether it did."""
        if len(self._waiting) > COUNTED_NOW_MAX:
            return False
        self._catch_up()
        return True

    @property
    def tally(self) -> Tally:
        """What has been taken, up to the last record."""
        self._catch_up()
        return self._tally

    def over_cap(self) -> dict[str, int]:
        """How many facts went to OTHER, by kind of name; those without any left out."""
        self._catch_up()
        return self._admission.over_cap()

    def may_be_in_other(self, kind: str, name: str) -> bool:
        """Whether facts under a name may count in OTHER, and so in no figure of its own."""
        self._catch_up()
        return self._admission.may_be_in_other(kind, name)

    def _catch_up(self) -> None:
        # Without handing anything out: a question for a figure sends no groups to shards.
        while self._waiting:
            chunk = self._waiting.popleft()
            self._dealt_events += max(len(chunk), SPLIT_EVENTS_MIN)
            self._dealt.append(self._split(chunk))

    def _next(self) -> list[Group]:
        if not self._dealt:
            return self._split(self._waiting.popleft())
        groups = self._dealt.popleft()
        if not self._dealt:
            self._dealt_events = 0
        return groups

    def _split(self, chunk: Chunk) -> list[Group]:
        """One group for every shard, without the duplicates."""
        chunk.read(self._admission)
        facts = chunk.facts
        duplicates = self._window.duplicates(hashes_column(facts.ids), chunk.runs)
        if duplicates:
            self._tally.duplicates += len(duplicates)
            facts.drop(duplicates)
        self._begin(chunk.received_ms)
        keys = self._admission.keys
        if facts.keys is not keys:
            facts.renumber(keys)
        groups = [Group(chunk.received_ms, keys) for _ in range(self._shards)]
        if len(facts):
            self._dealing.fill(chunk.received_ms, groups, facts)
        return groups

    def _begin(self, received_ms: int) -> None:
        self._admission.make_room()
        day = self._calendar.day_of(received_ms)
        if day > self._day:
            self._day = day
            start_ms, end_ms = self._calendar.day_start_ms(day), self._calendar.day_end_ms(day)
            self._admission.begin(day, start_ms, end_ms)
            self._dealing.recent.begin(start_ms, end_ms)
            self.totals.begin(day)

    # -- keep ---------------------------------------------------------------------------------

    def dump(self, *, full: bool) -> Generator[bytes, None, None]:
        """What it knows, or what is new since the last dump; empty pieces are mere steps."""
        assert not self._waiting
        assert not self._dealt
        yield pack(("tally", "", (self._tally.events, self._tally.duplicates)))
        yield pack((erasure.KIND, "", self.erasures.dump()))
        yield from self._admission.dump(full=full)
        for part in self._window.dumping(full=full):
            if part:
                yield packed_before_bytes(("ids", ""), sum(map(len, part)))
            yield from part or (b"",)

    def load(self, parts: Iterable[bytes], shared: Shared | None = None) -> None:
        """Take back dumps, oldest first; `shared` has the texts of what is read besides."""
        same = (shared or Shared()).same
        ids: list[bytes] = []
        for part in parts:
            for kind, name, content in unpack_all(part):
                if kind == "tally":
                    self._tally = Tally(*content)
                elif kind == "ids":
                    ids.append(content)
                elif kind == erasure.KIND:
                    self.erasures.load(content)
                else:
                    refused, names = content
                    self._admission.load(kind, name, (refused, map(same, names)))
        self._window.load(ids)


def _told(received_ms: int, batches: Iterable[Batch]) -> tuple[list[Event], list[int]]:
    """The events of some batches, and their instants by our clock, or ABSENT."""
    events: list[Event] = []
    times_ms: list[int] = []
    for batch in batches:
        events += batch.events
        is_corrected = batch.sent_at_ms != ABSENT
        times_ms += instants_ms(batch, received_ms) if is_corrected else batch.times_ms
    return events, times_ms


def are_few(batches: Sequence[Batch]) -> bool:
    """Whether it is better to put off reading a record of these batches."""
    return sum(len(batch.events) for batch in batches) < READ_EVENTS_MIN


def portions(batches: Sequence[Batch]) -> Iterable[Sequence[Batch]]:
    """The batches of one record in portions, none of which is long to take in one step."""
    if len(batches) == 1:
        return [batches]
    found: list[list[Batch]] = [[]]
    events = 0
    for batch in batches:
        events += len(batch.events)
        if events > TAKE_EVENTS_MAX and found[-1]:
            found.append([])
            events = len(batch.events)
        found[-1].append(batch)
    return found
