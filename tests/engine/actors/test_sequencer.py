import errno
from functools import partial

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from engine.actors.dumping import DumpAsked
from engine.actors.queue import ROOM_WAIT_S, Barrier, Queue, Waiting
from engine.actors.sequencer import Sequencer
from engine.actors.slicing import Pace
from engine.errors import DiskFull, JournalFailed, NotReady, Overloaded
from engine.sequence import READ_EVENTS_MIN, TAKE_EVENTS_MAX, Sequencing
from engine.timebucket import Calendar
from engine.waiting import DEAL_EVENTS_MAX
from persistence.journal import Journal
from tests.columns import views_of
from tests.living import NOW_MS, GatedDisk, batch, config_of, view
from tests.persistence.aside_disk import AsideFaultyDisk

INBOX = 8
"""Messages that wait for one shard."""


class Released:
    """What a sender hears: nothing, an acknowledgement (None), or a refusal."""

    def __init__(self):
        self.heard = trio.Event()
        self.refusal = None

    def __call__(self, refusal):
        assert not self.heard.is_set(), "released twice"
        self.refusal = refusal
        self.heard.set()


def waiting(events=1):
    return Waiting.of(batch(*[view()] * events), Released())


def queue_of(config):
    return Queue(config, Sequencing(config, Calendar("UTC")).keep)


def barrier():
    shards = [DumpAsked() for _ in range(2)]
    return Barrier(is_full=lambda source: True, after_seq=0, shards=shards)


class Line:
    """A sequencer before one real journal, with the inboxes of its shards at hand."""

    def __init__(self, config, disk):
        self.journal = Journal.open(
            config.data / "journal", durability=config.durability, disk=disk
        )
        self.logged: list[str] = []
        channels = [trio.open_memory_channel(INBOX) for _ in range(config.shards)]
        self.outboxes = [outbox for _, outbox in channels]
        self.sequencing = Sequencing(config, Calendar("UTC"))
        self.sequencer = Sequencer(
            config,
            self.sequencing,
            self.journal,
            [inbox for inbox, _ in channels],
            clock_ms=lambda: NOW_MS,
            journal_thread=trio.CapacityLimiter(1),
            in_thread=trio.to_thread.run_sync,
            pace=Pace(3),
            log=lambda event, **_: self.logged.append(event),
        )
        self.released = []

    async def live(self, nursery):
        nursery.start_soon(self.sequencer.run)

    async def send(self, *told):
        """Put a batch, wait for its release, and note it under its first event's service."""
        released = Released()
        await self.sequencer.queue.put(Waiting.of(batch(*told), released))
        await released.heard.wait()
        self.released.append(told[0]["serviceId"])
        return released.refusal

    def end(self):
        self.sequencer.queue.close()
        self.sequencer.queue.end()

    def records(self):
        return [record.bodies for record in self.journal.replay(0)]


@pytest.fixture
def disk():
    return GatedDisk()


@pytest.fixture
async def line(tmp_path, disk):
    line = Line(config_of(tmp_path), disk)
    async with trio.open_nursery() as nursery:
        await line.live(nursery)
        yield line
        disk.let_go()
        line.end()


# -- the queue ------------------------------------------------------------------------------


async def test_a_full_queue_refuses_after_a_second(tmp_path, autojump_clock):
    queue = queue_of(config_of(tmp_path, queue_events_max=3))
    await queue.put(waiting(events=2))
    started = trio.current_time()
    with pytest.raises(Overloaded, match="2 events are already waiting") as refusal:
        await queue.put(waiting(events=2))
    assert trio.current_time() - started == ROOM_WAIT_S
    assert refusal.value.retry_after_s == 1
    assert queue.events == 2


async def test_what_fits_exactly_is_taken_and_one_more_is_not(tmp_path, autojump_clock):
    queue = queue_of(config_of(tmp_path, queue_events_max=3))
    await queue.put(waiting(events=2))
    await queue.put(waiting(events=1))
    with pytest.raises(Overloaded):
        await queue.put(waiting(events=1))


async def test_bytes_bound_the_queue_as_events_do(tmp_path, autojump_clock):
    size = waiting().bytes
    queue = queue_of(config_of(tmp_path, queue_bytes_max=2 * size))
    await queue.put(waiting())
    await queue.put(waiting())
    with pytest.raises(Overloaded):
        await queue.put(waiting())
    assert queue.bytes == 2 * size


async def test_an_empty_queue_takes_a_batch_beyond_its_bound(tmp_path):
    queue = queue_of(config_of(tmp_path, queue_events_max=3))
    await queue.put(waiting(events=9))
    assert queue.events == 9


async def test_who_waits_for_room_gets_in_when_there_is_some(tmp_path, autojump_clock):
    queue = queue_of(config_of(tmp_path, queue_events_max=2))
    await queue.put(waiting(events=2))
    async with trio.open_nursery() as nursery:
        for _ in range(2):
            nursery.start_soon(queue.put, waiting())
        await wait_all_tasks_blocked()
        await queue.gather()
    assert queue.events == 2
    assert queue.events_peak == 2


async def test_who_waits_for_room_gets_in_in_the_order_of_arrival(tmp_path):
    queue = queue_of(config_of(tmp_path, queue_events_max=4))
    entries = [waiting(events) for events in (4, 3, 1, 1, 2)]
    async with trio.open_nursery() as nursery:
        await queue.put(entries[0])
        for entry in entries[1:3]:
            nursery.start_soon(queue.put, entry)
            await wait_all_tasks_blocked()
        assert not queue.put_now(entries[3])
        found = await queue.gather()
        assert not queue.put_now(entries[4])  # nobody overtakes, and there is no room
        found += await queue.gather()
        assert queue.put_now(entries[4])
        found += await queue.gather()
    assert found == [entries[0], entries[1], entries[2], entries[4]]


async def test_at_the_door_is_as_much_room_as_inside_and_the_rest_is_refused_at_once(
    tmp_path, autojump_clock
):
    queue, refused_at_s, waited = queue_of(config_of(tmp_path, queue_events_max=4)), [], []

    async def send():
        try:
            await queue.put(waiting(events=2))
        except Overloaded:
            refused_at_s.append(trio.current_time() - started)

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        for _ in range(40):
            nursery.start_soon(send)
        await wait_all_tasks_blocked()
        assert refused_at_s == [0] * 36
        waited = await queue.gather()
        assert queue.events == 4  # those at the door have entered, and nobody waits there now
        assert not queue.put_now(waiting())
        nursery.start_soon(send)
    assert len(waited) == 2
    assert refused_at_s[36:] == [ROOM_WAIT_S]
    assert (queue.events, queue.events_peak) == (4, 4)


async def test_who_gives_up_at_the_door_lets_those_behind_pass(tmp_path, autojump_clock):
    queue = queue_of(config_of(tmp_path, queue_events_max=10))
    await queue.put(waiting(events=8))
    async with trio.open_nursery() as nursery:

        async def large():
            with pytest.raises(Overloaded):
                await queue.put(waiting(events=4))

        nursery.start_soon(large)
        await wait_all_tasks_blocked()
        await trio.sleep(ROOM_WAIT_S / 2)
        nursery.start_soon(queue.put, waiting(events=1))
        await wait_all_tasks_blocked()
        assert queue.events == 8
    assert queue.events == 9


async def test_who_waits_for_room_is_refused_when_the_queue_closes(tmp_path):
    queue = queue_of(config_of(tmp_path, queue_events_max=1))
    await queue.put(waiting())
    async with trio.open_nursery() as nursery:

        async def late():
            with pytest.raises(NotReady):
                await queue.put(waiting())

        nursery.start_soon(late)
        await wait_all_tasks_blocked()
        queue.close()
    assert queue.events == 1


async def test_cancelling_who_waits_for_room_leaves_nothing_behind(tmp_path):
    queue = queue_of(config_of(tmp_path, queue_events_max=1))
    await queue.put(waiting())
    with trio.CancelScope() as scope:
        scope.cancel()
        await queue.put(waiting())
    assert scope.cancelled_caught
    assert (queue.events, len(await queue.gather())) == (1, 1)


async def test_a_group_takes_all_that_waits_in_order(tmp_path):
    entries = [waiting() for _ in range(5)]
    queue = queue_of(config_of(tmp_path))
    for entry in entries:
        await queue.put(entry)
    assert await queue.gather() == entries
    assert (queue.events, queue.bytes) == (0, 0)


async def test_a_group_ends_before_it_would_pass_its_bounds(tmp_path):
    size = waiting().bytes
    for bound in ({"group_events_max": 2}, {"group_bytes_max": 2 * size}):
        queue = queue_of(config_of(tmp_path, **bound))
        for _ in range(5):
            await queue.put(waiting())
        assert [len(await queue.gather()) for _ in range(3)] == [2, 2, 1]


async def test_a_batch_beyond_the_bounds_is_a_group_of_its_own(tmp_path):
    queue = queue_of(config_of(tmp_path, group_events_max=2))
    for events in (1, 7, 1):
        await queue.put(waiting(events))
    groups = [await queue.gather() for _ in range(3)]
    assert [[w.events for w in group] for group in groups] == [[1], [7], [1]]


async def test_requests_are_read_together_while_they_wait_and_stay_together(tmp_path):
    queue = queue_of(config_of(tmp_path, group_events_max=2 * READ_EVENTS_MIN))
    entries = [waiting(READ_EVENTS_MIN // 2) for _ in range(7)]
    for entry in entries:
        await queue.put(entry)
    assert [entry.batch is None for entry in entries] == [True] * 6 + [False]
    first = await queue.gather()
    assert first == entries[:4]
    assert [[len(kept.facts) for kept in entry.kept] for entry in first] == [
        [READ_EVENTS_MIN], [], [READ_EVENTS_MIN], []
    ]  # fmt: skip
    assert await queue.gather() == entries[4:]


async def test_what_tells_the_senders_clock_is_not_read_before_its_record(tmp_path):
    queue = queue_of(config_of(tmp_path))
    told = batch(*[view()] * READ_EVENTS_MIN)._replace(sent_at_ms=NOW_MS)
    entries = [waiting(), Waiting.of(told, Released()), waiting(READ_EVENTS_MIN)]
    for entry in entries:
        await queue.put(entry)
    assert await queue.gather() == entries
    assert [entry.batch is None for entry in entries] == [False, False, True]


async def test_a_barrier_stays_between_what_came_before_and_after_it(tmp_path):
    queue = queue_of(config_of(tmp_path))
    before, after, snapshot = waiting(), waiting(), barrier()
    await queue.put(before)
    queue.put_behind(snapshot)
    await queue.put(after)
    assert [await queue.gather() for _ in range(3)] == [[before], snapshot, [after]]


async def test_a_closed_queue_hands_out_the_rest_and_the_last_barrier(tmp_path):
    queue, last, snapshot = queue_of(config_of(tmp_path)), waiting(), barrier()
    await queue.put(last)
    queue.close()
    queue.put_behind(snapshot)
    queue.end()
    assert [await queue.gather() for _ in range(3)] == [[last], snapshot, None]
    with pytest.raises(NotReady):
        await queue.put(waiting())
    with pytest.raises(NotReady):
        queue.put_behind(barrier())


# -- the writer and the taker ---------------------------------------------------------------


async def test_batches_that_wait_for_the_disk_become_one_record(line, disk):
    async with trio.open_nursery() as senders:
        disk.hold()
        senders.start_soon(line.send, view("first"))
        await disk.reached()
        for _ in range(10):
            senders.start_soon(line.send, view(), view())
        await wait_all_tasks_blocked()
        assert line.released == []
        disk.let_go()
    assert [len(bodies) for bodies in line.records()] == [1, 10]
    assert (line.sequencer.groups, line.journal.last_seq) == (2, 21)


async def test_who_asks_again_when_answered_shares_the_record_of_those_who_wait(line, disk):
    async def ask_twice():
        await line.send(view())
        await line.send(view())

    async with trio.open_nursery() as senders:
        disk.hold()
        for _ in range(2):
            senders.start_soon(ask_twice)
        await disk.reached()
        senders.start_soon(line.send, view())
        await wait_all_tasks_blocked()
        disk.let_go()
    assert [len(bodies) for bodies in line.records()] == [2, 3]


async def test_what_one_sender_sends_in_turn_is_in_the_journal_in_that_order(line):
    async def sender(name):
        for number in range(8):
            await line.send(view(f"{name}-{number}"))

    async with trio.open_nursery() as senders:
        for name in "abcde":
            senders.start_soon(sender, name)
    kept = [body.data for bodies in line.records() for body in bodies]
    for name in "abcde":
        sent = [batch(view(f"{name}-{number}")).body for number in range(8)]
        assert [body for body in kept if body in sent] == sent


async def test_no_record_is_released_before_the_one_ahead_of_it(line, disk):
    first, second = waiting(), waiting()
    disk.hold()
    await line.sequencer.queue.put(first)
    await disk.reached()
    await line.sequencer.queue.put(second)
    disk.let_go()
    await second.released.heard.wait()
    assert first.released.heard.is_set()
    assert len(line.records()) == 2


async def test_what_was_released_is_with_the_shards_when_a_question_comes(line, disk):
    await line.send(view("s"), view("t"), view("u"))
    await line.sequencer.deal()
    groups = []
    for outbox in line.outboxes:
        while outbox.statistics().current_buffer_used:
            groups.append(outbox.receive_nowait())
    assert sum(len(views_of(group)) for group in groups) == 3


async def test_a_shard_gets_one_message_for_many_groups_and_none_that_is_empty(line, disk):
    async with trio.open_nursery() as senders:
        disk.hold()
        senders.start_soon(line.send, view("a"))
        await disk.reached()
        for _ in range(20):
            senders.start_soon(line.send, view("a"))
        await wait_all_tasks_blocked()
        disk.let_go()
    assert [outbox.statistics().current_buffer_used for outbox in line.outboxes] == [0, 0]
    await line.sequencer.deal()
    used = [outbox.statistics().current_buffer_used for outbox in line.outboxes]
    assert sorted(used) == [0, 1]


async def test_who_is_cancelled_while_it_deals_leaves_nothing_undealt(line):
    told = [view(f"s{n}") for n in range(9)]
    for _ in range(INBOX):
        await line.send(*told)
        await line.sequencer.deal()
    await line.send(*told)
    counted = 0
    async with trio.open_nursery() as askers:
        askers.start_soon(line.sequencer.deal)
        await wait_all_tasks_blocked()
        askers.cancel_scope.cancel()
        with trio.CancelScope(shield=True):
            for outbox in line.outboxes:
                for _ in range(INBOX + 1):
                    counted += len(views_of(await outbox.receive()))
    assert counted == 9 * (INBOX + 1)


async def test_the_batches_of_a_large_request_are_one_record_and_taken_in_portions(line, disk):
    batches = [batch(*[view("a")] * (TAKE_EVENTS_MAX // 2)) for _ in range(5)]
    large = Waiting.of_kept([line.sequencing.keep((some,)) for some in batches], Released())
    async with trio.open_nursery() as senders:
        disk.hold()
        senders.start_soon(line.send, view("first"))
        await disk.reached()
        await line.sequencer.queue.put(large)
        assert line.sequencer.queue.events == large.events == 5 * TAKE_EVENTS_MAX // 2
        assert line.sequencer.queue.bytes == 5 * len(batches[0].body)
        disk.let_go()
    await large.released.heard.wait()
    assert [len(bodies) for bodies in line.records()] == [1, 5]
    assert line.sequencer.taken_seq == 1 + large.events
    await line.sequencer.deal()
    counted = 0
    for outbox in line.outboxes:
        while outbox.statistics().current_buffer_used:
            counted += len(views_of(outbox.receive_nowait()))
    assert counted == 1 + large.events


async def test_a_large_request_is_refused_as_a_whole(line, disk):
    batches = [batch(*[view("x" * 200)] * 1_000) for _ in range(12)]
    large = Waiting.of_kept([line.sequencing.keep((some,)) for some in batches], Released())
    disk.room_bytes = 1_500_000
    await line.sequencer.queue.put(large)
    await large.released.heard.wait()
    disk.room_bytes = None
    assert isinstance(large.released.refusal, DiskFull)
    assert line.records() == []
    assert await line.send(view()) is None
    assert line.sequencer.taken_seq == 1


async def test_a_full_disk_refuses_its_group_and_no_other(line, disk):
    assert await line.send(view("a")) is None
    disk.room_bytes = 10
    refusal = await line.send(view("b"))
    disk.room_bytes = None
    assert await line.send(view("c")) is None
    assert isinstance(refusal, DiskFull)
    assert line.sequencer.failure is None
    assert [bodies[0].data for bodies in line.records()] == [
        batch(view("a")).body,
        batch(view("c")).body,
    ]
    assert line.sequencer.taken_seq == line.journal.last_seq == 2


async def test_a_failed_sync_refuses_its_group_those_that_wait_and_all_later_ones(line, disk):
    async with trio.open_nursery() as senders:
        refusals = []

        async def send():
            refusals.append(await line.send(view()))

        await line.send(view())
        disk.hold()
        disk.fail_next("sync", errno.EIO)
        senders.start_soon(send)
        await disk.reached()
        senders.start_soon(send)
        await wait_all_tasks_blocked()
        disk.let_go()
    await send()
    assert [type(refusal) for refusal in refusals] == [JournalFailed] * 3
    assert line.sequencer.failure is not None
    assert (line.sequencer.taken_seq, line.sequencer.groups) == (1, 1)


async def test_a_slow_shard_holds_up_the_next_acknowledgement_and_loses_nothing(tmp_path):
    line = Line(config_of(tmp_path, shards=1), GatedDisk())
    [outbox] = line.outboxes
    dealt_alone = [view()] * DEAL_EVENTS_MAX
    taken = INBOX + 2  # the last of them waits to be dealt, the one before for the shard
    async with trio.open_nursery() as nursery:
        await line.live(nursery)
        for _ in range(taken):
            await line.send(*dealt_alone)
        nursery.start_soon(partial(line.send, *dealt_alone))
        await wait_all_tasks_blocked()
        assert len(line.released) == taken
        folded = [await outbox.receive() for _ in range(taken)]
        line.end()
    await line.sequencer.deal()
    folded.append(outbox.receive_nowait())
    assert len(line.released) == taken + 1
    assert sum(len(views_of(group)) for group in folded) == (taken + 1) * DEAL_EVENTS_MAX


async def test_a_barrier_covers_what_came_before_it_and_nothing_else(line, disk):
    snapshot = barrier()
    async with trio.open_nursery() as senders:
        disk.hold()
        senders.start_soon(line.send, view(), view())
        await disk.reached()
        senders.start_soon(line.send, view())
        await wait_all_tasks_blocked()
        line.sequencer.queue.put_behind(snapshot)
        senders.start_soon(line.send, view())
        await wait_all_tasks_blocked()
        disk.let_go()
    assert snapshot.passed.is_set()
    assert (snapshot.seq, snapshot.is_idle) == (3, False)
    assert set(snapshot.dumps) == {"shard-0", "shard-1", "sequence"}


async def test_a_barrier_after_nothing_new_asks_nobody_for_a_dump(line):
    await line.send(view())
    snapshot = barrier()
    snapshot.after_seq = 1
    line.sequencer.queue.put_behind(snapshot)
    await snapshot.passed.wait()
    assert (snapshot.seq, snapshot.is_idle) == (1, True)
    await wait_all_tasks_blocked()
    assert not any(asked.full for asked in snapshot.dumps.values())


async def test_a_record_that_is_synced_aside_is_acknowledged_when_that_is_done(tmp_path):
    disk = AsideFaultyDisk()
    line = Line(config_of(tmp_path), disk)
    async with trio.open_nursery() as nursery:
        await line.live(nursery)
        await line.send(view("first"))  # its file had to be made
        disk.hold()
        async with trio.open_nursery() as senders:
            senders.start_soon(line.send, view("second"))
            await wait_all_tasks_blocked()
            senders.start_soon(line.send, view("third"))
            await wait_all_tasks_blocked()
            assert line.released == ["first"]
            assert line.sequencer.taken_seq == 1
            disk.let_go()
        line.end()
    assert line.released == ["first", "second", "third"]
    assert disk.calls.count("end_sync") == 2


async def test_what_is_taken_and_not_dealt_stays_bounded_where_nothing_is_synced(tmp_path):
    count = 3 * INBOX
    config = config_of(
        tmp_path,
        shards=1,
        durability="write",
        group_events_max=DEAL_EVENTS_MAX,
        queue_events_max=count * DEAL_EVENTS_MAX,
    )
    line = Line(config, AsideFaultyDisk())
    [outbox] = line.outboxes
    queued = [waiting(DEAL_EVENTS_MAX) for _ in range(count)]
    for one in queued:  # so that there is no moment at which nothing waits
        assert line.sequencer.queue.put_now(one)
    async with trio.open_nursery() as nursery:
        await line.live(nursery)
        while line.sequencer.groups < INBOX + 2:  # a thread's, some of them
            await trio.lowlevel.checkpoint()
        await wait_all_tasks_blocked()
        taken = sum(one.released.heard.is_set() for one in queued)
        for _ in queued[:-1]:  # the last stays until it is asked for
            await outbox.receive()
        line.end()
    assert taken == INBOX + 2  # one waits to be dealt, and one for the shard
    assert all(one.released.heard.is_set() for one in queued)


async def test_a_sync_aside_that_fails_refuses_its_events_and_all_later_ones(tmp_path):
    disk = AsideFaultyDisk()
    line = Line(config_of(tmp_path), disk)
    async with trio.open_nursery() as nursery:
        await line.live(nursery)
        await line.send(view("first"))
        disk.fail_next("end_sync", errno.EIO)
        for service in ("second", "third"):
            assert isinstance(await line.send(view(service)), JournalFailed)
        line.end()
    assert line.logged == ["journal failed"]
    assert len(line.records()) == 1
