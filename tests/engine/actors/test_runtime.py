import errno

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from engine import lately
from engine.actors import runtime
from engine.actors.runtime import Engine
from engine.actors.snapshotting import SEGMENT_MS_MAX
from engine.answers import marketplace, services
from engine.errors import DiskFull, JournalFailed, NotReady, Overloaded
from engine.hashing import shard_of
from engine.resuming import resolved, restore
from engine.sequence import Sequencing
from engine.state import ShardState
from engine.timebucket import Calendar
from persistence.journal import Journal
from persistence.recovery import recover
from persistence.snapshot import CHAIN_PARTS_MAX, SnapshotStore
from tests.living import NOW_MS, GatedDisk, batch, config_of, everything, living, view, views

YESTERDAY_MS = NOW_MS - 86_400_000
"""Another slot of a snapshot than today's: a later change of today does not write it again."""


@pytest.fixture
def config(tmp_path):
    return config_of(tmp_path)


async def counted_after_restart(config):
    async with living(config) as life:
        return await views(life.engine)


def parts(config):
    return sorted(path.name for path in (config.data / "snapshots").iterdir())


# -- acknowledged means visible -------------------------------------------------------------


async def test_what_is_acknowledged_is_in_the_very_next_answer(config):
    async with living(config) as life:
        for number in range(1, 31):
            await life.engine.accept(batch(view()))
            assert await views(life.engine) == number


async def test_each_of_many_senders_finds_its_own_events_at_once(config):
    async with living(config) as life:

        async def sender(service):
            asked = marketplace.Asked(service_id=service)
            for number in range(1, 6):
                await life.engine.accept(batch(view(service), view(service)))
                answer = await life.engine.marketplace(asked)
                assert answer.data.views == 2 * number

        async with trio.open_nursery() as senders:
            for number in range(20):
                senders.start_soon(sender, f"s{number}")


async def test_a_question_waits_for_few_turns_of_all_others_however_many_shards(tmp_path):
    async with living(config_of(tmp_path, shards=32, slice_ms_max=1_000)) as life:
        await life.engine.accept(batch(*(view(f"s{number}") for number in range(20))))
        turns = 0

        async def others() -> None:
            nonlocal turns
            while True:
                turns += 1
                await trio.lowlevel.checkpoint()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(others)
            for _ in range(10):
                await life.engine.counters()
            nursery.cancel_scope.cancel()
    assert turns / 10 <= 4


async def test_what_is_acknowledged_is_on_the_disk(config):
    async with living(config, end="crash") as life:
        await life.engine.accept(batch(view(), view()))
        await life.engine.accept(batch(view()))
    assert await counted_after_restart(config) == 3


async def test_a_full_queue_refuses_and_takes_again_when_there_is_room(
    tmp_path, autojump_clock
):
    disk = GatedDisk()
    async with living(config_of(tmp_path, queue_events_max=2), journal_disk=disk) as life:
        async with trio.open_nursery() as senders:
            disk.hold()
            senders.start_soon(life.engine.accept, batch(view()))
            await disk.reached()
            senders.start_soon(life.engine.accept, batch(view(), view()))
            await wait_all_tasks_blocked()
            with pytest.raises(Overloaded):
                await life.engine.accept(batch(view()))
            disk.let_go()
        await life.engine.accept(batch(view()))
        assert await views(life.engine) == 4


async def test_before_it_runs_nothing_is_taken(config):
    found = recover(config)
    engine = Engine(
        config,
        found.calendar,
        journal=found.journal,
        snapshots=found.snapshots,
        sequencing=found.sequencing,
        states=found.states,
        clock_ms=lambda: NOW_MS,
        log=lambda event, **facts: None,
    )
    assert not engine.is_ready
    with pytest.raises(NotReady):
        await engine.accept(batch(view()))
    found.journal.close()


# -- clients that go away -------------------------------------------------------------------


async def test_a_sender_that_goes_away_has_sent_all_the_same(config):
    disk = GatedDisk()
    async with living(config, journal_disk=disk) as life:
        async with trio.open_nursery() as senders:
            disk.hold()
            senders.start_soon(life.engine.accept, batch(view()))
            await disk.reached()
            senders.start_soon(life.engine.accept, batch(view(), view()))
            await wait_all_tasks_blocked()
            senders.cancel_scope.cancel()
        disk.let_go()
        await life.engine.accept(batch(view()))
        assert await views(life.engine) == 4
        assert life.engine.health().queue.depth == 0


@pytest.mark.parametrize("steps", range(6))
async def test_an_asker_that_goes_away_does_no_harm(config, steps):
    async with living(config) as life:
        await life.engine.accept(batch(view()))
        async with trio.open_nursery() as askers:
            for _ in range(5):
                askers.start_soon(life.engine.counters)
            for _ in range(steps):
                await trio.lowlevel.checkpoint()
            askers.cancel_scope.cancel()
        await life.engine.accept(batch(view()))
        assert await views(life.engine) == 2


# -- disks that fail ------------------------------------------------------------------------


async def test_a_full_disk_refuses_and_later_events_are_taken(config):
    disk = GatedDisk()
    async with living(config, journal_disk=disk, end="crash") as life:
        await life.engine.accept(batch(view()))
        disk.room_bytes = 0
        with pytest.raises(DiskFull):
            await life.engine.accept(batch(view(), view()))
        assert life.engine.is_ready
        disk.room_bytes = None
        await life.engine.accept(batch(view()))
        assert await views(life.engine) == 2
    assert await counted_after_restart(config) == 2


async def test_a_failed_sync_ends_ingest_but_not_the_answers(config):
    disk = GatedDisk()
    async with living(config, journal_disk=disk) as life:
        await life.engine.accept(batch(view()))
        disk.fail_next("sync", errno.EIO)
        for _ in range(3):  # the disk is well again, but nobody knows what it has lost
            with pytest.raises(JournalFailed, match="Input/output error"):
                await life.engine.accept(batch(view()))
        assert not life.engine.is_ready
        assert "Input/output error" in life.engine.health().journal.failure
        assert await views(life.engine) == 1
    assert await counted_after_restart(config) == 1


async def test_after_a_failed_sync_no_snapshot_is_written(config):
    disk = GatedDisk()
    async with living(config, journal_disk=disk) as life:
        await life.engine.accept(batch(view()))
        disk.fail_next("sync", errno.EIO)
        with pytest.raises(JournalFailed):
            await life.engine.accept(batch(view()))
        assert await life.engine.checkpoint() == 0
    assert parts(config) == []
    assert await counted_after_restart(config) == 1


async def test_a_refusal_does_not_keep_the_batches_of_all_who_got_it(config):
    disk = GatedDisk()
    async with living(config, journal_disk=disk) as life:
        disk.fail_next("sync", errno.EIO)
        refusals = []
        for _ in range(5):
            with pytest.raises(JournalFailed) as refusal:
                await life.engine.accept(batch(view()))
            refusals.append(refusal.value)
    assert len({id(refusal) for refusal in refusals}) == 5
    assert refusals[1].__traceback__ is not refusals[4].__traceback__
    assert life.engine.failure.__traceback__ is not refusals[4].__traceback__


# -- snapshots ------------------------------------------------------------------------------


def counted_in_snapshot(config):
    """The number that the newest snapshot covers, and the views and events in it alone."""
    loaded = SnapshotStore(config.data / "snapshots").load_newest()
    calendar = Calendar(config.timezone)
    sequencing = Sequencing(config, calendar)
    sequencing.load(loaded.parts["sequence"])
    states = [ShardState(config, calendar) for _ in range(config.shards)]
    former = [resolved(loaded.parts[f"shard-{n}"]) for n in range(config.shards)]
    restore(states, former, formerly=config.shards)
    days = [cells for state in states for cells in state.marketplace._sums.days.values()]
    return loaded.seq, sum(cells[""][1] for cells in days), sequencing.tally.events


async def test_a_snapshot_covers_exactly_its_number_while_events_stream_in(config):
    covered = [(0, 0, 0)]
    async with living(config, end="crash") as life:
        async with trio.open_nursery() as senders:

            async def send(service):
                while len(covered) < 8:
                    await life.engine.accept(batch(*[view(service)] * 5))

            for number in range(10):
                senders.start_soon(send, f"s{number}")
            while len(covered) < 8:
                if await life.engine.checkpoint() > covered[-1][0]:
                    covered.append(counted_in_snapshot(config))
        acknowledged = await views(life.engine)
    assert all(seq == in_shards == in_sequence for seq, in_shards, in_sequence in covered)
    assert await counted_after_restart(config) == acknowledged


async def test_a_snapshot_after_nothing_new_writes_nothing(config):
    async with living(config) as life:
        assert await life.engine.checkpoint() == 0
        await life.engine.accept(batch(view()))
        assert await life.engine.checkpoint() == 1
        written = parts(config)
        assert await life.engine.checkpoint() == 1
        assert parts(config) == written
    assert parts(config) == written  # nor does the end
    assert life.logged == ["snapshot written"]


async def test_a_snapshot_is_written_whenever_its_time_has_come(tmp_path, autojump_clock):
    config = config_of(tmp_path, snapshot_interval_s=60)
    async with living(config, end="crash") as life:
        for number in range(1, 4):
            await life.engine.accept(batch(view()))
            await life.next_line()  # nobody else asks for it
            assert life.logged == ["snapshot written"] * number
    assert counted_in_snapshot(config) == (3, 3, 3)


async def test_no_acknowledgement_waits_for_a_snapshot(config):
    disk = GatedDisk()
    async with living(config, snapshot_disk=disk) as life:
        await life.engine.accept(batch(view()))
        async with trio.open_nursery() as tasks:
            disk.hold()
            tasks.start_soon(life.engine.checkpoint)
            await disk.reached()
            await life.engine.accept(batch(view()))
            assert await views(life.engine) == 2
            assert life.engine.health().snapshot.seq == 0
            disk.let_go()
        assert life.engine.health().snapshot.seq == 1


async def test_a_failed_snapshot_is_logged_and_the_next_one_is_full(config):
    disk = GatedDisk()
    async with living(config, snapshot_disk=disk, end="crash") as life:
        await life.engine.accept(batch(view("a"), view("b")))
        await life.engine.checkpoint()
        await life.engine.accept(batch(view("a")))
        disk.fail_next("rename", errno.EIO)
        assert await life.engine.checkpoint() == 2
        await life.engine.accept(batch(view("b")))
        assert life.engine.is_ready
        assert await life.engine.checkpoint() == 4
    assert life.logged == ["snapshot written", "snapshot failed", "snapshot written"]
    assert "Input/output error" in life.log[1][1]["reason"]
    assert counted_in_snapshot(config) == (4, 4, 4)
    newest = [name for name in parts(config) if name.startswith(f"{4:020d}-")]
    assert [name.rpartition(".")[2] for name in newest] == ["full"] * 3


SMALL = {"segment_bytes_max": 4096, "body_bytes_max": 4096, "group_bytes_max": 4096}


async def told_in_many_segments(life):
    for _ in range(2):  # two snapshots, of which the older one says what may go
        for _ in range(60):
            await life.engine.accept(batch(view("s" * 100)))
        await life.engine.checkpoint()
    assert life.recovered.snapshots.trimmable_seq == 60


async def test_the_journal_is_kept_until_the_archive_holds_it(tmp_path):
    archived = 0
    async with living(config_of(tmp_path, **SMALL), archived_seq=lambda: archived) as life:
        await told_in_many_segments(life)
        journal = life.recovered.journal
        assert journal.first_seq == 1
        archived = 40
        await life.engine.accept(batch(view()))
        await life.engine.checkpoint()
        assert 20 < journal.first_seq <= 41
        archived = 1_000  # from here on the snapshots alone decide
        await life.engine.accept(batch(view()))
        await life.engine.checkpoint()
        assert 100 < journal.first_seq <= 121
    assert "archive backlog failed" not in life.logged


async def test_an_archive_that_has_not_said_yet_how_far_it_is_has_lost_nothing(tmp_path):
    archived = 40
    async with living(config_of(tmp_path, **SMALL), archived_seq=lambda: archived) as life:
        await told_in_many_segments(life)
        first_seq = life.recovered.journal.first_seq
        assert 20 < first_seq <= 41
        archived = 0  # a start: what is gone the archive holds, but its process is not up yet
        await life.engine.accept(batch(view()))
        await life.engine.checkpoint()
        assert life.recovered.journal.first_seq == first_seq
    assert "archive backlog failed" not in life.logged


async def test_an_archive_that_lags_too_far_loses_the_oldest_of_the_journal(tmp_path):
    config = config_of(tmp_path, **SMALL, archive_backlog_bytes_max=10_000)
    async with living(config, archived_seq=lambda: 5) as life:
        await told_in_many_segments(life)
        journal = life.recovered.journal
        assert 6 < journal.first_seq <= 61
        lost = [facts for event, facts in life.log if event == "archive backlog failed"]
        assert (
            lost[-1]["lost_up_to_seq"] == journal.first_seq - 1
            or lost[-1]["lost_up_to_seq"] == 60
        )


async def test_what_a_snapshot_was_not_given_room_for_is_in_the_next_one(tmp_path):
    config = config_of(tmp_path, durability="none")
    disk = GatedDisk()
    async with living(config, journal_disk=disk, end="crash") as life:
        await life.engine.accept(batch(*[view()] * 50))
        await life.engine.checkpoint()
        await life.engine.accept(batch(view(timestamp=YESTERDAY_MS)))
        disk.room_bytes = 0  # for what the journal still holds back
        assert await life.engine.checkpoint() == 50
        disk.room_bytes = None
        await life.engine.accept(batch(view()))
        assert await life.engine.checkpoint() == 52
    assert counted_in_snapshot(config) == (52, 52, 52)


async def test_what_a_cancelled_snapshot_was_given_is_in_the_next_one(config):
    disk = GatedDisk()
    async with living(config, journal_disk=disk, end="crash") as life:
        await life.engine.accept(batch(*[view()] * 50))
        await life.engine.checkpoint()
        disk.hold()
        async with trio.open_nursery() as tasks:
            tasks.start_soon(life.engine.accept, batch(view(timestamp=YESTERDAY_MS)))
            await disk.reached()
            async with trio.open_nursery() as cancelled:
                cancelled.start_soon(life.engine.checkpoint)
                await wait_all_tasks_blocked()
                cancelled.cancel_scope.cancel()
            disk.let_go()
        await life.engine.accept(batch(view()))
        assert await life.engine.checkpoint() == 52
    assert counted_in_snapshot(config) == (52, 52, 52)


@pytest.mark.parametrize("durability", ["write", "none"])
async def test_the_journal_is_on_the_disk_before_the_snapshot_that_covers_it(
    tmp_path, durability
):
    disk = GatedDisk()
    config = config_of(tmp_path, durability=durability)
    async with living(config, journal_disk=disk, snapshot_disk=disk) as life:
        await life.engine.accept(batch(view()))
        disk.calls.clear()
        await life.engine.checkpoint()
        calls = list(disk.calls)
    # Of the journal, and of the first part; only later there is a name.
    assert calls[: calls.index("rename")].count("sync") == 2


async def test_a_journal_that_cannot_be_synced_for_a_snapshot_ends_ingest(tmp_path):
    disk = GatedDisk()
    async with living(config_of(tmp_path, durability="write"), journal_disk=disk) as life:
        await life.engine.accept(batch(view()))
        disk.fail_next("sync", errno.EIO)
        await life.engine.checkpoint()
        assert life.logged == ["snapshot failed"]
        assert not life.engine.is_ready
        with pytest.raises(JournalFailed):
            await life.engine.accept(batch(view()))


async def test_who_reads_along_is_told_what_is_synced_and_nothing_more_after_a_failure(
    tmp_path,
):
    disk = GatedDisk()
    async with living(config_of(tmp_path, durability="write"), journal_disk=disk) as life:
        await life.engine.accept(batch(view()))
        assert await life.engine.durable_seq() == 1
        await life.engine.accept(batch(view()))
        disk.fail_next("sync", errno.EIO)
        for _ in range(2):  # a second sync would say that all is well
            assert (await life.engine.durable_seq(), life.engine.taken_seq) == (1, 2)
        with pytest.raises(JournalFailed):
            await life.engine.accept(batch(view()))


async def test_the_journal_is_trimmed_to_what_the_older_snapshot_covers(tmp_path):
    config = config_of(tmp_path, segment_bytes_max=4_096)
    async with living(config, end="crash") as life:
        for _ in range(4):
            for _ in range(5):
                await life.engine.accept(batch(*[view()] * 25))
            await life.engine.checkpoint()
        acknowledged = await views(life.engine)
    journal = Journal.open(config.data / "journal", durability="fsync")
    journal.close()
    assert 1 < journal.first_seq <= 375 + 1
    assert await counted_after_restart(config) == acknowledged == 500


@pytest.mark.parametrize("then_ms", [SEGMENT_MS_MAX // 2, -SEGMENT_MS_MAX])
async def test_events_as_received_go_from_the_journal_though_they_are_few(config, then_ms):
    """Also where the clock is set back meanwhile."""

    def held():
        folder = config.data / "journal"
        return b"long-ago" in b"".join(path.read_bytes() for path in folder.iterdir())

    async with living(config) as life:
        await life.engine.accept(batch(view("long-ago")))
        for step_ms in (SEGMENT_MS_MAX // 2, then_ms, 1):
            assert held()
            life.clock.now_ms += step_ms
            await life.engine.accept(batch(view()))
            await life.engine.checkpoint()
        assert not held()
    assert await counted_after_restart(config) == 4


async def test_a_journal_that_cannot_be_trimmed_ends_ingest_but_the_snapshot_counts(tmp_path):
    config = config_of(tmp_path, segment_bytes_max=4_096)
    disk = GatedDisk()
    async with living(config, journal_disk=disk) as life:
        for _ in range(2):
            for _ in range(5):
                await life.engine.accept(batch(*[view()] * 25))
            disk.fail_next("remove", errno.EIO)
            await life.engine.checkpoint()
        assert life.logged == ["snapshot written", "snapshot written", "journal trim failed"]
        assert not life.engine.is_ready
        assert life.engine.health().snapshot.seq == 250
    assert await counted_after_restart(config) == 250


async def test_many_snapshots_and_crashes_lead_to_the_same_answers(config):
    for generation in range(3):
        async with living(config, end="crash") as life:
            for number in range(CHAIN_PARTS_MAX + 3):
                service, user = f"s{number % 5}", f"u{generation}-{number % 11}"
                await life.engine.accept(
                    batch(
                        view(service, userId=user),
                        view(service, eventId=f"{generation}-{number}"),
                        view(service, eventId=f"{generation}-{number // 2}"),
                    )
                )
                await life.engine.checkpoint()
            before = await everything(life.engine)
        async with living(config, end="crash") as life:
            assert life.recovered.report.replayed_events == 0
            assert await everything(life.engine) == before


# -- the end --------------------------------------------------------------------------------


async def test_the_end_finishes_what_was_accepted_and_writes_a_snapshot(config):
    disk = GatedDisk()
    async with living(config, journal_disk=disk) as life:
        async with trio.open_nursery() as senders:
            disk.hold()
            senders.start_soon(life.engine.accept, batch(view()))
            await disk.reached()
            senders.start_soon(life.engine.accept, batch(view(), view()))
            await wait_all_tasks_blocked()
            life.engine.stop()
            await wait_all_tasks_blocked()
            disk.let_go()
    assert life.logged == ["snapshot written"]
    again = recover(config)
    again.journal.close()
    assert (again.report.snapshot_seq, again.report.replayed_events) == (3, 0)


async def test_the_end_waits_for_a_batch_that_nobody_waits_for_any_more(config):
    disk = GatedDisk()
    async with living(config, journal_disk=disk) as life:
        async with trio.open_nursery() as senders:
            disk.hold()
            senders.start_soon(life.engine.accept, batch(view()))
            await disk.reached()
            senders.cancel_scope.cancel()
        life.engine.stop()
        await wait_all_tasks_blocked()
        disk.let_go()
    assert counted_in_snapshot(config) == (1, 1, 1)


async def test_who_waits_for_room_at_the_end_is_refused_and_the_rest_is_kept(tmp_path):
    config = config_of(tmp_path, queue_events_max=1)
    disk = GatedDisk()
    refused = []

    async def late(engine):
        with pytest.raises(NotReady):
            await engine.accept(batch(view("late")))
        refused.append("late")

    async with living(config, journal_disk=disk) as life:
        async with trio.open_nursery() as senders:
            disk.hold()
            senders.start_soon(life.engine.accept, batch(view()))
            await disk.reached()
            senders.start_soon(life.engine.accept, batch(view()))
            await wait_all_tasks_blocked()
            senders.start_soon(late, life.engine)
            await wait_all_tasks_blocked()
            life.engine.stop()
            await wait_all_tasks_blocked()
            disk.let_go()
    assert refused == ["late"]
    assert counted_in_snapshot(config) == (2, 2, 2)


async def test_after_the_end_nothing_is_taken_and_nothing_answered(config):
    async with living(config) as life:
        await life.engine.accept(batch(view()))
    assert not life.engine.is_ready
    with pytest.raises(NotReady):
        await life.engine.accept(batch(view()))
    with pytest.raises(NotReady):
        await life.engine.counters()
    with pytest.raises(NotReady):
        await life.engine.checkpoint()


async def test_questions_are_answered_while_the_end_waits_for_the_disk(config):
    disk = GatedDisk()
    async with living(config, journal_disk=disk) as life:
        await life.engine.accept(batch(view()))
        async with trio.open_nursery() as senders:
            disk.hold()
            senders.start_soon(life.engine.accept, batch(view()))
            await disk.reached()
            life.engine.stop()
            await wait_all_tasks_blocked()
            assert await views(life.engine) == 1
            with pytest.raises(NotReady):
                await life.engine.accept(batch(view()))
            disk.let_go()


async def test_questions_under_way_at_the_end_are_answered_or_refused(config):
    outcomes = []

    async def ask(engine):
        try:
            outcomes.append(await views(engine))
        except NotReady:
            outcomes.append("refused")

    async with trio.open_nursery() as askers:
        async with living(config) as life:
            await life.engine.accept(batch(view()))
            life.engine.stop()
            for _ in range(200):
                askers.start_soon(ask, life.engine)
                await trio.lowlevel.checkpoint()
    assert len(outcomes) == 200
    assert set(outcomes) <= {1, "refused"}


async def test_the_journal_is_closed_with_a_record_that_says_so(config):
    async with living(config) as life:
        await life.engine.accept(batch(view()))
    [segment] = (config.data / "journal").iterdir()
    segment.write_bytes(segment.read_bytes()[:-1])  # the closing record, and no event
    again = recover(config)
    again.journal.close()
    assert again.report.cut_bytes > 0
    assert again.journal.last_seq == 1


async def test_what_the_parts_occupy_is_looked_at_once_in_a_while(config, monkeypatch):
    async with living(config) as life:

        async def occupied(services):
            await life.engine.accept(batch(*(view(f"{services}-{n}") for n in range(25))))
            await life.engine.marketplace(marketplace.Asked())
            await life.engine.look()
            return life.engine.measures().memory_bytes["marketplace"]

        monkeypatch.setattr(runtime, "MEMORY_KEPT_S", 0.0)
        assert await occupied("a") < await occupied("b")
        monkeypatch.setattr(runtime, "MEMORY_KEPT_S", 3_600.0)
        assert await occupied("c") == await occupied("d")


async def test_counters_asked_for_at_once_are_shared_and_see_what_each_was_acknowledged(config):
    async with living(config) as life:
        told = []

        async def sender(number):
            await life.engine.accept(batch(*[view()] * 10))
            acknowledged = life.engine.health().events
            told.append((acknowledged, await life.engine.counters()))

        async with trio.open_nursery() as senders:
            for number in range(40):
                senders.start_soon(sender, number)
        assert all(found["views:today"] >= acknowledged for acknowledged, found in told)
        assert len({id(found) for _, found in told}) < len(told)
        assert (await life.engine.counters())["views:today"] == 400


async def test_counters_are_made_anew_when_something_has_come(config):
    async with living(config) as life:
        await life.engine.accept(batch(view(userId="u")))
        found = await life.engine.counters()
        assert found["activeUsers:5m"] == 1
        assert await life.engine.counters() is found
        await life.engine.accept(batch(view()))
        assert (await life.engine.counters())["views:today"] == 2
        life.clock.now_ms += 5 * 60_000
        assert (await life.engine.counters())["activeUsers:5m"] == 0
    with pytest.raises(NotReady):
        await life.engine.counters()


async def test_counters_ask_the_shards_where_users_are_too_many_to_be_held(config, monkeypatch):
    monkeypatch.setattr(lately, "USERS_MAX", 1)
    async with living(config) as life:
        for number in range(3):
            await life.engine.accept(batch(view(userId=f"u{number}")))
            found = await life.engine.counters()
            assert (found["views:today"], found["activeUsers:5m"]) == (number + 1, number + 1)
        assert life.engine.counters_now() is found  # nothing came since
        await life.engine.accept(batch(view(userId="u0")))
        assert life.engine.counters_now() is None


async def test_counters_after_a_restart_know_who_was_active_just_before(config):
    async with living(config, end="crash") as life:
        await life.engine.accept(batch(view(userId="u"), view(userId="v")))
    async with living(config) as life:
        assert (await life.engine.counters())["activeUsers:5m"] == 2
        await life.engine.accept(batch(view(userId="v"), view(userId="w")))
        assert (await life.engine.counters())["activeUsers:5m"] == 3


async def test_counters_at_once_see_all_that_was_acknowledged_and_send_shards_nothing(config):
    async with living(config) as life:
        await life.engine.accept(batch(view(userId="u"), view()))
        found = life.engine.counters_now()
        assert (found["views:today"], found["activeUsers:5m"]) == (2, 1)
        assert not any(life.engine.health().queue.inboxes)


async def test_the_best_services_are_found_where_one_shard_holds_them_all(tmp_path):
    names = [name for name in map("s{}".format, range(400)) if shard_of(name, 8) == 3][:30]
    async with living(config_of(tmp_path, shards=8)) as life:
        for number, name in enumerate(names):
            call = {"eventType": "service_execution", "serviceId": name}
            told = [{**call, "latencyMs": 1, "success": True}] * (number + 1)
            await life.engine.accept(batch(*told))
        answer = await life.engine.services(services.Asked(limit=20))
        assert [row.service_id for row in answer.data] == names[:-21:-1]
        assert answer.rows == 30
