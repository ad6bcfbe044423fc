import trio
import trio.testing

from engine.actors.health import SnapshotHealth
from engine.actors.rate import RATE_S, Rate
from tests.living import GatedDisk, batch, config_of, living, view


def test_the_rate_is_the_mean_of_the_last_full_seconds():
    rate = Rate()
    for second in range(RATE_S):
        rate.add(30, 100.5 + second)
    assert rate.per_second(100.0 + RATE_S) == 30


def test_the_running_second_does_not_count_yet():
    rate = Rate()
    rate.add(1_000, 7.2)
    assert rate.per_second(7.9) == 0
    assert rate.per_second(8.0) == 1_000 / RATE_S


def test_a_second_is_forgotten_after_the_last_ones():
    rate = Rate()
    rate.add(1_000, 7.2)
    assert rate.per_second(7.0 + RATE_S) == 1_000 / RATE_S
    assert rate.per_second(8.0 + RATE_S) == 0


def test_many_acknowledgements_in_one_second_add_up():
    rate = Rate()
    for _ in range(50):
        rate.add(2, 3.3)
    assert rate.per_second(4) == 100 / RATE_S


def test_a_snapshot_has_the_age_of_its_writing():
    assert SnapshotHealth.at(9, 1_000, 3_500) == SnapshotHealth(seq=9, age_s=2.5)
    assert SnapshotHealth.at(0, None, 3_500) == SnapshotHealth(seq=0, age_s=None)


def test_a_clock_that_stepped_back_makes_no_negative_age():
    assert SnapshotHealth.at(9, 5_000, 3_500).age_s == 0


async def test_a_new_engine_is_ready_and_has_nothing_to_tell(tmp_path):
    async with living(config_of(tmp_path)) as life:
        health = life.engine.health()
        assert life.engine.is_ready
    assert (health.events, health.duplicates, health.events_per_second) == (0, 0, 0)
    assert (health.queue.depth, health.queue.bytes, health.queue.inboxes) == (0, 0, [0, 0])
    assert (health.journal.last_seq, health.journal.failure) == (0, None)
    assert (health.snapshot.seq, health.snapshot.age_s) == (0, None)


async def test_what_waits_for_the_disk_is_told_with_its_limit_and_peak(tmp_path):
    disk = GatedDisk()
    one = batch(view())
    async with living(config_of(tmp_path), journal_disk=disk) as life:
        async with trio.open_nursery() as senders:
            disk.hold()
            senders.start_soon(life.engine.accept, one)
            await disk.reached()
            for _ in range(3):
                senders.start_soon(life.engine.accept, one)
            await trio.testing.wait_all_tasks_blocked()
            waiting = life.engine.health().queue
            disk.let_go()
        after = life.engine.health()
    assert (waiting.depth, waiting.bytes) == (3, 3 * len(one.body))
    assert waiting.limit == life.engine.config.queue_events_max
    assert (after.queue.depth, after.queue.bytes, after.queue.peak) == (0, 0, 3)
    assert (after.journal.last_seq, after.journal.groups) == (4, 2)
    assert after.events == 4


async def test_duplicates_and_keys_beyond_a_cap_are_told(tmp_path):
    async with living(config_of(tmp_path, services_max=1)) as life:
        await life.engine.accept(batch(view("a"), view("b"), view("b")))
        await life.engine.accept(batch(view("a", eventId="e"), view("a", eventId="e")))
        health = life.engine.health()
    assert (health.events, health.duplicates) == (5, 1)
    assert health.over_cap == {"services": 2}


async def test_the_snapshot_is_told_once_it_is_written(tmp_path):
    async with living(config_of(tmp_path)) as life:
        await life.engine.accept(batch(view()))
        await life.engine.checkpoint()
        snapshot = life.engine.health().snapshot
    assert (snapshot.seq, snapshot.age_s) == (1, 0)


async def test_after_a_restart_the_age_goes_on_from_when_it_was_written(tmp_path):
    config = config_of(tmp_path)
    async with living(config, now_ms=1_790_000_000_000) as life:
        await life.engine.accept(batch(view()))
    async with living(config, now_ms=1_790_000_090_000) as life:
        assert life.engine.health().snapshot == SnapshotHealth(seq=1, age_s=90)
