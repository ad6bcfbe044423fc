"""One history of a whole engine on a simulated disk, decided by a seed: lives, and their ends.

In each life the engine recovers from what the disk shows, takes batches from several clients,
answers, takes snapshots and is followed by an archive, until it is stopped, killed, cancelled
or cut off from power, at any call to the disk or at any time. Calls to the disk fail as they
may. What must hold is checked after each recovery and, once all is calm, in a last life:

    acknowledged ⊆ counted ⊆ sent, each once

and what was refused for good is not counted, an answer shows what was acknowledged before it
was asked for, and the archive that follows has every number once.

`run(seed)` is the same in every process, whatever the hash seed: no clock, thread or set order
decides anything.
"""

import contextlib
import json
import math
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import count
from random import Random
from typing import Final, Literal
from unittest.mock import patch

import trio
import trio._core._run as trio_run
from trio.testing import MockClock

from engine import events
from engine.actors.runtime import Engine
from engine.answers import marketplace
from engine.config import Config
from engine.errors import (
    Corruption,
    DiskFull,
    JournalFailed,
    NotReady,
    Overloaded,
    TallymarkError,
)
from persistence.archive.follower import Follower, JournalGap
from persistence.files import write_whole
from persistence.record import Record
from persistence.recovery import Recovered, recover
from tests.living import NOW_MS, batch, view
from tests.simulation.disk import CALLS, ROOT, Crashed, Faults, SimulatedDisk
from tests.simulation.fibers import Fibers

Ending = Literal["stop", "kill", "power"]

DATA: Final = ROOT / "data"
ARCHIVE: Final = DATA / "archive"
ARCHIVE_NAME: Final = "rows.json"
TRACE_LINES: Final = 60
CUTS_MAX: Final = 3
FOREVER_S: Final = 10_000.0
"""When to believe that a simulated engine hangs; none of it is real time."""


class Broken(AssertionError):
    """A promise that was not kept."""


@dataclass
class Ledger:
    """What the clients know of each event, by its service's name, which no other event has.

    sent          all that went out or was about to
    acknowledged  answered with 200
    refused       answered each time with a refusal after which nothing is kept
    failed        answered at least once with a failure after which it is kept or not
    unsure        went out at least once without any such answer
    in_flight     how many batches with it wait for an answer
    """

    sent: list[str] = field(default_factory=list)
    acknowledged: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    unsure: set[str] = field(default_factory=set)
    in_flight: Counter[str] = field(default_factory=Counter)

    def names(self, rng: Random) -> list[str]:
        """Those of the next batch: new ones, now and then some that were sent before."""
        names = [f"e{len(self.sent) + n}" for n in range(rng.choice((1, 2, 5, 25)))]
        self.sent += names
        if len(self.sent) > len(names) and rng.random() < 0.2:
            names += rng.sample(self.sent[-60:], min(3, len(self.sent[-60:])))
        return names


@dataclass
class Outcome:
    """What came of a history.

    digest   of every call to the disk and every answer, in their order
    """

    seed: int
    crashes: int = 0  # lives that did not end by a stop
    lives: int = 0
    calls: int = 0
    failures: int = 0  # of calls, on order
    events: int = 0
    digest: str = ""


@contextlib.contextmanager
def seeded(rng: Random) -> Iterator[None]:
    """Have Trio run its tasks in an order that `rng` decides."""
    former = trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r
    trio_run._ALLOW_DETERMINISTIC_SCHEDULING = True
    trio_run._r = Random(rng.randrange(2**32))
    try:
        yield
    finally:
        trio_run._ALLOW_DETERMINISTIC_SCHEDULING, trio_run._r = former


class History:
    """The world of one seed: a disk that outlives processes, clients that remember."""

    def __init__(self, seed: int) -> None:
        self.outcome = Outcome(seed)
        self._rng = rng = Random(seed)
        self._slow = rng.random() < 0.2
        self._fibers = Fibers(self._latency_s)
        self.disk = SimulatedDisk(Random(rng.randrange(2**32)), self._fibers.pause)
        self.disk.syncs_aside = rng.random() < 0.5
        self.ledger = Ledger()
        self.config = _config(rng)
        self._is_faulty = rng.random() < 0.5
        self._now_ms = NOW_MS
        self._may_have_lost = False  # under a durability that does not promise the end at hand
        self._is_backlog_small = self.config.archive_backlog_bytes_max < 10**9
        self._is_followed = rng.random() < 0.6
        self._covered_seq = 0
        self._damaged_up_to = ""  # the newest manifest when a file of snapshots was damaged

    def _latency_s(self, call: str) -> float:
        if call != "sync":
            return self._rng.choice((0, 0, 0.0002))
        if self._slow and self._rng.random() < 0.1:
            return self._rng.uniform(0.1, 5)
        return self._rng.choice((0.0005, 0.001, 0.004))

    def run(self) -> Outcome:
        """Live and end several times, then calm down; raises Broken."""
        outcome = self.outcome
        for _ in range(self._rng.randint(4, 14)):
            self._live_once()
        self.disk.faults = Faults()
        self._calm()
        outcome.calls, outcome.failures = self.disk.calls, self.disk.failures
        outcome.events = len(self.ledger.sent)
        outcome.digest = blake2b("\n".join(self.disk.trace).encode(), digest_size=8).hexdigest()
        return outcome

    def note(self, line: str) -> None:
        self.disk.trace.append(line)

    # -- lives --------------------------------------------------------------------------------

    def _live_once(self) -> None:
        rng, disk = self._rng, self.disk
        ending: Ending = rng.choices(("stop", "kill", "power"), (1, 3, 6))[0]
        disk.faults = Faults()
        if rng.random() < 0.1:
            self._damage_a_snapshot()
        disk.faults = self._faults()
        failures = disk.failures
        if ending != "stop" and rng.random() < 0.8:
            disk.crash_at = rng.choice((None, "write", "sync", "sync", *sorted(CALLS)))
            disk.crash_in = int(rng.choice((2, 8, 60)) * rng.random())
        self._now_ms += rng.choice((1_000, 60_000, -3_600_000))
        self.outcome.lives += 1
        durability = self.config.durability
        self.note(
            f"-- life {self.outcome.lives}, {durability}, ends by {ending}; {disk.faults}"
        )
        ended: Ending = "kill"
        try:
            found = self._recovered()
            if found is not None:
                self._run(self._life, found, ending)
                ended = ending
        except Crashed:
            ended = ending
        except (TallymarkError, OSError) as failure:  # it could not write what it held back
            if not self._was_faulty(failures):
                raise
            self.note(f"-- ends by itself: {failure}")
        self._may_have_lost |= self.config.durability != "fsync" and self._was_faulty(failures)
        if ended != "stop":
            self.outcome.crashes += 1
        if ended == "power":
            self._may_have_lost |= self.config.durability != "fsync"
            disk.cut_power()
        else:
            self._may_have_lost |= ended != "stop" and self.config.durability == "none"
            disk.kill()

    def _damage_a_snapshot(self) -> None:
        """The newest manifest, without which the one before and the journal must do.

        Or a part of any snapshot, which must be mended: all may share it. One file at a time:
        the next when there is a snapshot from after it, for nothing is promised of two.
        """
        folder = DATA / "snapshots"
        names = self.disk.names(folder) if self.disk.is_folder(folder) else []
        manifests = [name for name in names if name.endswith(".manifest")]
        if manifests and manifests[-1] > self._damaged_up_to:
            self._damaged_up_to = manifests[-1]
            parts = [name for name in names if name.endswith((".full", ".delta"))]
            path = folder / self._rng.choice((manifests[-1], self._rng.choice(parts)))
            data = bytearray(self.disk.read(path) or b"?")
            data[self._rng.randrange(len(data))] ^= 1 << self._rng.randrange(8)
            self.disk.damage(path, bytes(data))

    def _faults(self) -> Faults:
        rng = self._rng
        if not self._is_faulty or rng.random() < 0.4:
            return Faults(write_bytes_max=rng.choice((None, None, None, 600, 40)))
        return Faults(
            rate=rng.choice((0.01, 0.05, 0.3)),
            calls=tuple(rng.sample(sorted(CALLS), rng.choice((1, 2, len(CALLS))))),
            room_bytes=rng.choice((None, None, rng.randrange(20_000))),
            write_bytes_max=rng.choice((None, None, 600, 40)),
        )

    def _was_faulty(self, failures: int) -> bool:
        """Whether the disk failed a call since it had failed so many."""
        return self.disk.failures > failures or self.disk.faults.room_bytes is not None

    def _recovered(self) -> Recovered | None:
        """What the disk holds; None where a fault kept it from starting."""
        failures = self.disk.failures
        for attempt in count(1):
            try:
                self.disk.make_folder(DATA)
                return recover(self.config, disk=self.disk)
            except (TallymarkError, OSError) as refusal:
                self.note(f"-- does not start: {refusal}")
                if self._was_faulty(failures):
                    return None
                may_be_cut = self._may_have_lost and attempt <= CUTS_MAX
                if not (may_be_cut and isinstance(refusal, Corruption)):
                    raise Broken(f"it does not start: {refusal}") from refusal
                # As docs/formats/journal.md says: cut at the named byte to accept the loss.
                self._is_followed = False  # whoever cuts makes the archive anew
                whole = self.disk.read(refusal.path)
                self.disk.damage(refusal.path, whole[: refusal.offset_bytes])
        raise AssertionError("it was tried for ever")

    def _run(self, live: Callable[..., object], *args: object) -> None:
        clock = MockClock(autojump_threshold=0)
        with seeded(self._rng):
            try:
                trio.run(live, *args, clock=clock)
            except BaseExceptionGroup as group:
                raise _only(group) from None

    async def _life(self, found: Recovered, ending: Ending) -> None:
        rng = self._rng
        with trio.fail_after(FOREVER_S):
            async with self._engine(found) as engine:
                await self._check(engine, found)
                async with trio.open_nursery() as nursery:
                    for _ in range(rng.randint(1, 4)):
                        nursery.start_soon(self._send, engine, rng.randint(1, 6))
                    nursery.start_soon(self._ask, engine)
                    if self._is_followed:
                        nursery.start_soon(self._follow, engine)
                    await trio.sleep(rng.choice((0.01, 0.2, 1, 3)) * rng.random())
                    if ending == "stop":
                        engine.stop()
                        await trio.sleep(rng.random())
                    elif rng.random() < 0.5:
                        self.disk.is_dead = True  # at this instant, whatever is under way
                    nursery.cancel_scope.cancel()
                if ending != "stop":
                    raise Crashed

    @contextlib.asynccontextmanager
    async def _engine(self, found: Recovered) -> AsyncIterator[Engine]:
        self._covered_seq = self._archived_rows(found)[0]
        engine = Engine(
            self.config,
            found.calendar,
            journal=found.journal,
            snapshots=found.snapshots,
            sequencing=found.sequencing,
            states=found.states,
            clock_ms=lambda: self._now_ms + round(trio.current_time() * 1000),
            log=lambda event, **facts: self.note(f"-- {event} {facts}"),
            snapshot_ms=found.snapshot_ms,
            archived_seq=lambda: self._covered_seq if self._is_followed else None,
            in_thread=self._fibers.run,
        )
        async with trio.open_nursery() as nursery:
            await nursery.start(engine.run)
            yield engine
            engine.stop()

    # -- clients ------------------------------------------------------------------------------

    async def _send(self, engine: Engine, batches: int) -> None:
        for _ in range(batches):
            await trio.sleep(self._rng.choice((0, 0.001, 0.01, 0.3)) * self._rng.random())
            await self._send_one(engine, self.ledger.names(self._rng))

    async def _send_one(self, engine: Engine, names: Sequence[str]) -> bool:
        ledger = self.ledger
        fresh = [name for name in names if name not in ledger.acknowledged | ledger.unsure]
        ledger.unsure |= set(names)
        ledger.refused -= set(names)
        ledger.in_flight.update(names)
        told = batch(*(view(name, eventId=f"id-{name}") for name in names))
        try:
            await engine.accept(told)
        except (DiskFull, Overloaded, NotReady) as refusal:
            self.note(f"-- refused {names}: {refusal}")
            ledger.in_flight.subtract(names)
            elsewhere = ledger.acknowledged | ledger.failed  # in another batch meanwhile
            gone = {name for name in fresh if not ledger.in_flight[name]} - elsewhere
            ledger.unsure -= gone
            ledger.refused |= gone
            return False
        except JournalFailed as refusal:
            ledger.in_flight.subtract(names)
            ledger.failed |= set(names)
            self.note(f"-- failed {names}: {refusal}")
            return False
        ledger.in_flight.subtract(names)
        self.note(f"-- acknowledged {names}")
        ledger.acknowledged |= set(names)
        return True

    async def _ask(self, engine: Engine) -> None:
        while True:
            await trio.sleep(self._rng.choice((0.05, 0.5, 2)))
            known = set(self.ledger.acknowledged)
            try:
                counted = await _counted(engine)
            except NotReady:  # it was told to stop
                return
            self._must(known <= set(counted), f"an answer lacks {known - set(counted)}")

    # -- what must hold -----------------------------------------------------------------------

    def _must(self, holds: bool, what: str) -> None:
        if not holds:
            raise Broken(what)

    async def _check(self, engine: Engine, found: Recovered) -> None:
        """Of what was recovered."""
        ledger = self.ledger
        counted = await _counted(engine)
        twice = sorted(name for name, times in counted.items() if times != 1)
        self._must(not twice, f"counted more than once: {twice}")
        lost = sorted(ledger.acknowledged - set(counted))
        if self._may_have_lost:
            ledger.acknowledged &= set(counted)
        else:
            self._must(not lost, f"acknowledged, and not counted: {lost}")
        invented = sorted(set(counted) - set(ledger.sent))
        self._must(not invented, f"counted, and never sent: {invented}")
        refused = sorted(ledger.refused & set(counted))
        self._must(not refused, f"refused for good, and counted: {refused}")
        ledger.acknowledged |= set(counted)  # they were seen, and may not go any more
        ledger.unsure |= set(counted)
        ledger.in_flight.clear()
        self._may_have_lost = False

    def _calm(self) -> None:
        """Without faults all that was sent, sent again, counts once, after a stop too."""
        for is_last in (False, True):
            self._now_ms += 1_000
            self.note("-- the last life" if is_last else "-- all is sent again")
            found = self._recovered()
            assert found is not None
            if is_last:
                replayed = found.report.replayed_events
                self._must(not replayed, f"{replayed} events were replayed after a stop")
            try:
                self._run(self._calm_life, found, is_last)
            except Crashed as crash:  # none was ordered
                raise Broken("a handle of a dead process was used") from crash
            self.disk.kill()

    async def _calm_life(self, found: Recovered, is_last: bool) -> None:
        ledger = self.ledger
        with trio.fail_after(FOREVER_S):
            async with self._engine(found) as engine:
                await self._check(engine, found)
                if not is_last:
                    for start in range(0, len(ledger.sent), 25):
                        names = ledger.sent[start : start + 25]
                        self._must(await self._send_one(engine, names), f"{names} are refused")
                counted = await _counted(engine)
                self._must(counted == Counter(ledger.sent), "not all that was sent is counted")
                if self._is_followed:
                    await self._check_archive(engine, found)

    # -- the archive --------------------------------------------------------------------------

    def _archived_rows(self, found: Recovered) -> tuple[int, list[str]]:
        """What the archive covers, and the names in it; begins it where there is none."""
        if not self._is_followed:
            return 0, []
        if not self.disk.is_folder(ARCHIVE):
            self.disk.make_folder(ARCHIVE)
        if ARCHIVE_NAME not in self.disk.names(ARCHIVE):
            return 0, []
        covered_seq, rows = json.loads(self.disk.read(ARCHIVE / ARCHIVE_NAME))
        is_ahead = covered_seq > found.journal.last_seq
        self._must(not is_ahead, "the archive is ahead of the journal")
        return covered_seq, rows

    def _follower(self) -> Follower:
        return Follower(DATA / "journal", after_seq=self._covered_seq, disk=self.disk)

    async def _check_archive(self, engine: Engine, found: Recovered) -> None:
        """It reaches the end, and has every number once."""
        try:
            await self._follow_once(engine, self._follower())
        except JournalGap as gap:
            self._must(self._is_backlog_small, f"the archive has a gap: {gap}")
            return
        covered_seq, rows = self._archived_rows(found)
        self._must(covered_seq == found.journal.last_seq, "the archive is behind")
        self._must(set(rows) == set(self.ledger.sent), "the archive lacks events")
        self._must(len(rows) == covered_seq, "the archive has numbers twice")

    async def _follow(self, engine: Engine) -> None:
        failures = self.disk.failures
        follower = self._follower()
        try:
            while True:
                await trio.sleep(self._rng.choice((0.01, 0.5)))
                await self._follow_once(engine, follower)
        except JournalGap as gap:
            self.note(f"-- the archive has a gap: {gap}")
            self._must(self._is_backlog_small, f"the archive has a gap: {gap}")
            self._is_followed = False  # it would go on behind the gap, without these
        except (OSError, TallymarkError) as failure:
            self.note(f"-- the archive ends: {failure}")
            self._must(self._was_faulty(failures), f"the archive cannot follow: {failure}")

    async def _follow_once(self, engine: Engine, follower: Follower) -> None:
        up_to_seq = await engine.durable_seq()
        thread = trio.CapacityLimiter(1)
        await self._fibers.run(self._archive, follower, up_to_seq, limiter=thread)

    def _archive(self, follower: Follower, up_to_seq: int) -> None:
        """Write what follows as the archive does: all of it read, and then covered."""
        rows = []
        seq = self._covered_seq
        while (record := follower.take(up_to_seq)) is not None:
            self._must(record.first_seq == seq + 1, f"the archive reads {record} after {seq}")
            rows += _names_of(record)
            seq = record.last_seq
        if not rows:
            return
        path = ARCHIVE / ARCHIVE_NAME
        former = []
        if ARCHIVE_NAME in self.disk.names(ARCHIVE):
            former = json.loads(self.disk.read(path))[1]
        write_whole(self.disk, path, [json.dumps([seq, former + rows]).encode()])
        self.disk.sync_folder(ARCHIVE)
        self._covered_seq = seq


def _names_of(record: Record) -> list[str]:
    return [
        event.service_id
        for body in record.bodies
        for event in events.replay(body.kind, body.data).events
        if isinstance(event, events.MarketplaceView)
    ]


async def _counted(engine: Engine) -> Counter[str]:
    """How often each name was counted."""
    answer = await engine.marketplace(marketplace.Asked(limit=10_000))
    found = Counter({row.id: row.views for row in answer.data.top_services})
    if found.total() != answer.data.views:
        raise Broken(f"{answer.data.views} views, but those by service are {found.total()}")
    return found


def _only(group: BaseExceptionGroup) -> BaseException:
    """What really happened: a promise broken before all, then the end that was ordered."""
    leaves = list(_leaves(group))
    for kind in (Broken, AssertionError, Crashed):
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    return leaves[0]


def _leaves(failure: BaseException) -> Iterator[BaseException]:
    if isinstance(failure, BaseExceptionGroup):
        for one in failure.exceptions:
            yield from _leaves(one)
    else:
        yield failure


def _config(rng: Random) -> Config:
    """Small everything, so that segments, groups, queues and snapshots meet their bounds."""
    return Config(
        data=DATA,
        durability=rng.choices(("fsync", "write", "none"), (7, 2, 1))[0],
        shards=rng.randint(1, 3),
        snapshot_interval_s=rng.choice((1, 1, 3, 1_000)),
        segment_bytes_max=rng.choice((600, 4_096, 65_536)),
        queue_events_max=rng.choice((30, 1_000)),
        group_events_max=rng.choice((5, 50, 4_096)),
        inbox_groups_max=rng.choice((1, 64)),
        slice_ms_max=rng.choice((0, 10**9)),  # a pause at each step, or none: no clock decides
        dedupe_ids_max=20_000,
        archive_backlog_bytes_max=rng.choice((2_000, 10**9, 10**9)),
    )


def run(seed: int) -> Outcome:
    """One history from its seed; raises Broken, with the seed and what led to it."""
    history = History(seed)
    try:
        # A write that the machine holds up must not decide who does the next one.
        with patch("persistence.journal.SLOW_WRITE_S", math.inf):
            return history.run()
    except Exception as failure:
        lines = "\n".join(history.disk.trace[-TRACE_LINES:])
        again = f"python -m tests.simulation --first {seed} --seeds 1"
        raise Broken(f"seed {seed}: {failure!r}\n{lines}\nAgain: {again}") from failure
