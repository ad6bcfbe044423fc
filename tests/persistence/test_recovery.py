import json
from random import Random

import pytest
import trio
from msgspec.structs import replace

from engine import decoding, events
from engine.errors import Corruption
from engine.events import Body
from load import marketplace as demo
from persistence.journal import Journal
from persistence.recovery import ZoneChanged, recover
from tests.damage import flip
from tests.living import ANY_TIME, NOW_MS, batch, config_of, everything, living, view, views
from tests.persistence.faulty_disk import FaultyDisk, Stopped


def month(seed, count):
    """Batches of a believable month, thinned to about `count` events, some sent twice."""
    rng = Random(seed)
    told = list(demo.generate(seed, NOW_MS, services=6, users=60))
    kept = [event for event in told if rng.random() < count / len(told)]
    for event in rng.sample(kept, len(kept) // 10):
        kept.insert(rng.randrange(len(kept)), event)
    while kept:
        size = rng.randint(1, 25)
        yield batch(*kept[:size])
        kept = kept[size:]


async def fill(engine, batches):
    """Send them, a few at a time."""
    limit = trio.CapacityLimiter(4)

    async def send(one):
        async with limit:
            await engine.accept(one)

    async with trio.open_nursery() as senders:
        for one in batches:
            senders.start_soon(send, one)


async def answers(config):
    async with living(config, end="crash") as life:
        return await everything(life.engine), life.recovered.report


def newest_segment(config):
    return max((config.data / "journal").iterdir())


# -- what comes back ------------------------------------------------------------------------


async def test_an_empty_folder_is_a_new_beginning(tmp_path):
    found = recover(config_of(tmp_path / "not" / "there"))
    found.journal.close()
    assert (found.journal.last_seq, found.snapshot_ms) == (0, None)
    report = found.report
    assert (report.snapshot_seq, report.replayed_events, report.cut_bytes) == (0, 0, 0)


@pytest.mark.parametrize("seed", range(5))
async def test_a_snapshot_and_what_came_after_it_are_what_was_live(tmp_path, seed):
    config, rng = config_of(tmp_path, durability="write", shards=3), Random(seed)
    batches = list(month(seed, 1_500))
    cuts = sorted(rng.sample(range(1, len(batches)), 3))
    async with living(config, end="crash") as life:
        for start, end in zip([0, *cuts], [*cuts, len(batches)], strict=True):
            if start:
                await life.engine.checkpoint()
            await fill(life.engine, batches[start:end])
            if rng.random() < 0.5:  # a question settles what waits; it must change nothing
                await everything(life.engine)
        live = await everything(life.engine)
    again, report = await answers(config)
    assert again == live
    assert report.snapshot_seq > 0
    assert report.snapshot_seq + report.replayed_events == live["events"]


async def test_the_journal_alone_leads_to_what_was_live(tmp_path):
    config = config_of(tmp_path, durability="write")
    async with living(config, end="crash") as life:
        await fill(life.engine, month(1, 1_000))
        live = await everything(life.engine)
    again, report = await answers(config)
    assert again == live
    assert (report.snapshot_seq, report.replayed_events) == (0, live["events"])


async def test_the_number_of_shards_may_change_at_every_restart(tmp_path):
    batches, reference = list(month(7, 2_000)), config_of(tmp_path / "one", shards=1)
    async with living(reference) as life:
        await fill(life.engine, batches)
        expected = await everything(life.engine)
    config = config_of(tmp_path / "many", durability="write")
    parts = [batches[start::6] for start in range(6)]
    for shards, part in zip((8, 1, 3, 3, 8, 2), parts, strict=True):
        async with living(replace(config, shards=shards), end="crash") as life:
            await fill(life.engine, part[::2])
            await life.engine.checkpoint()
            await fill(life.engine, part[1::2])
            live = await everything(life.engine)
        for other in (1, 3, shards):
            again, _ = await answers(replace(config, shards=other))
            assert again == live
    assert live == expected


async def test_ids_are_remembered_over_a_restart(tmp_path):
    config = config_of(tmp_path)
    async with living(config) as life:
        await life.engine.accept(batch(view(eventId="snapshot")))
    async with living(config, end="crash") as life:
        await life.engine.accept(batch(view(eventId="journal")))
    async with living(config) as life:
        await life.engine.accept(batch(view(eventId="snapshot"), view(eventId="journal")))
        assert await views(life.engine) == 2
        assert life.engine.health().duplicates == 2


async def test_names_beyond_a_cap_stay_beyond_it_after_a_restart(tmp_path):
    config = config_of(tmp_path, services_max=2)
    async with living(config) as life:
        await life.engine.accept(batch(view("a"), view("b"), view("c")))
    async with living(config) as life:
        await life.engine.accept(batch(view("c"), view("d"), view("a")))
        top = (await everything(life.engine))["marketplace"]["data"]["topServices"]
    assert {row["id"]: row["views"] for row in top} == {"a": 2, "b": 1, "__other__": 3}


async def test_what_was_taken_without_the_faulty_events_of_its_batch_is_replayed_alike(
    tmp_path,
):
    config, an_hour_ago_ms = config_of(tmp_path), NOW_MS - 3_600_000
    told = {"events": [view(timestamp=an_hour_ago_ms), {"eventType": "unheard of"}]}
    taken, faults = decoding.decode_lenient(
        json.dumps(told).encode(), events_max=25, times=ANY_TIME, text_bytes_max=16_384
    )
    assert len(faults) == 1
    async with living(config, end="crash") as life:
        await life.engine.accept(taken)
        live = await everything(life.engine)
    again, _ = await answers(config)
    assert again == live
    assert again["counters"]["views:today"] == 1


# -- damage ---------------------------------------------------------------------------------


async def two_snapshots_and_more(config):
    """Answers of a folder with two snapshots, and a journal that goes on behind them."""
    batches = list(month(3, 900))
    third = len(batches) // 3
    async with living(config, end="crash") as life:
        for start in (0, third, 2 * third):
            await fill(life.engine, batches[start : start + third])
            if start < 2 * third:
                await life.engine.checkpoint()
        return await everything(life.engine), life.engine.health().snapshot.seq


async def test_a_damaged_snapshot_means_an_older_one_and_a_longer_replay(tmp_path):
    config = config_of(tmp_path, durability="write")
    live, newest_seq = await two_snapshots_and_more(config)
    flip(config.data / "snapshots" / f"{newest_seq:020d}.manifest", -1)
    again, report = await answers(config)
    assert again == live
    assert 0 < report.snapshot_seq < newest_seq
    assert [skipped.path.name for skipped in report.skipped] == [f"{newest_seq:020d}.manifest"]
    assert report.snapshot_seq + report.replayed_events == live["events"]


async def test_a_damaged_part_of_a_snapshot_is_as_a_damaged_snapshot(tmp_path):
    config = config_of(tmp_path, durability="write")
    live, newest_seq = await two_snapshots_and_more(config)
    path = next((config.data / "snapshots").glob(f"{newest_seq:020d}-shard-1.*"))
    path.write_bytes(path.read_bytes()[:20])
    again, report = await answers(config)
    assert again == live
    assert "shard-1" in report.skipped[0].reason


async def test_a_bit_that_flips_in_a_part_of_all_snapshots_costs_nothing(tmp_path):
    config = config_of(tmp_path, durability="write")
    live, newest_seq = await two_snapshots_and_more(config)
    paths = sorted((config.data / "snapshots").glob("*.full"))
    for path in paths:
        flip(path, path.stat().st_size // 4)  # of two like halves the first is what it holds
    again, report = await answers(config)
    assert again == live
    assert (report.snapshot_seq, report.skipped) == (newest_seq, ())
    assert all("its blocks of" in mended.reason for mended in report.mended)
    assert sorted(mended.path for mended in report.mended) == paths


async def test_after_a_fallback_snapshots_and_restarts_go_on_as_ever(tmp_path):
    config = config_of(tmp_path, durability="write")
    live, newest_seq = await two_snapshots_and_more(config)
    flip(config.data / "snapshots" / f"{newest_seq:020d}.manifest", -1)
    async with living(config, end="crash") as life:
        await life.engine.checkpoint()
        await life.engine.accept(batch(view()))
        await life.engine.checkpoint()
    again, report = await answers(config)
    assert report.skipped == ()
    assert again["counters"]["views:today"] == live["counters"]["views:today"] + 1


async def test_without_any_good_snapshot_a_journal_that_begins_later_is_refused(tmp_path):
    config = config_of(tmp_path, segment_bytes_max=4_096)
    async with living(config) as life:
        for _ in range(3):
            for _ in range(4):
                await life.engine.accept(batch(*[view()] * 25))
            await life.engine.checkpoint()
    for manifest in (config.data / "snapshots").glob("*.manifest"):
        flip(manifest, -1)
    with pytest.raises(Corruption, match="checksum is wrong; and the journal begins only at"):
        recover(config)


async def test_damage_in_the_middle_of_the_journal_names_file_and_place(tmp_path):
    config = config_of(tmp_path)
    async with living(config, end="crash") as life:
        for _ in range(3):
            await life.engine.accept(batch(view()))
    path = newest_segment(config)
    flip(path, 100)
    with pytest.raises(Corruption) as refusal:
        recover(config)
    assert refusal.value.path == path
    assert refusal.value.offset_bytes == 24


async def test_a_torn_tail_is_cut_and_the_rest_counts(tmp_path):
    config = config_of(tmp_path)
    async with living(config, end="crash") as life:
        await life.engine.accept(batch(view(), view()))
    path = newest_segment(config)
    whole_bytes = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"\xff" * 33)
    again, report = await answers(config)
    assert again["counters"]["views:today"] == 2
    assert report.cut_bytes == 33
    assert path.stat().st_size == whole_bytes


async def test_a_record_that_no_longer_decodes_is_corruption_of_its_file(tmp_path):
    config = config_of(tmp_path, segment_bytes_max=4_096)
    journal = Journal.open(config.data / "journal", durability="fsync", segment_bytes_max=4_096)
    good = batch(*[view("x" * 200)] * 10)
    for seq in (1, 11, 21):
        journal.append(seq, NOW_MS, [Body(good.kind, 10, good.body)])
    bad = Body(events.Kind.ARRAY, 1, b'[{"eventType": "of another version"}]')
    journal.append(31, NOW_MS, [bad])
    holding = journal.segments[-1].path
    for seq in (32, 42, 52):
        journal.append(seq, NOW_MS, [Body(good.kind, 10, good.body)])
    assert journal.segments[-1].path != holding
    journal.close()
    with pytest.raises(Corruption, match="the events from number 31 on no longer decode") as r:
        recover(config)
    assert r.value.path == holding


async def test_another_reporting_zone_is_refused_and_the_old_one_still_works(tmp_path):
    config = config_of(tmp_path, timezone="Asia/Kolkata")
    async with living(config) as life:
        await life.engine.accept(batch(view()))
    with pytest.raises(ZoneChanged, match="Start with --timezone Asia/Kolkata"):
        recover(replace(config, timezone="America/New_York"))
    again, _ = await answers(config)
    assert again["counters"]["views:today"] == 1


# -- the process ends at any call to the disk -----------------------------------------------


async def live_until_it_stops(config, disk):
    """Send, with snapshots between, on a disk that stops; (sent, acknowledged)."""
    sent = acknowledged = 0
    try:
        async with living(config, journal_disk=disk, snapshot_disk=disk) as life:
            for number in range(6):
                sent += 12
                ids = range(number * 12, number * 12 + 12)
                await life.engine.accept(batch(*[view("x" * 50, eventId=f"e{i}") for i in ids]))
                acknowledged += 12
                if number % 2:
                    await life.engine.checkpoint()
    except* Stopped:
        pass
    return sent, acknowledged


@pytest.mark.parametrize("durability", ["fsync", "write"])
async def test_nothing_acknowledged_is_lost_at_whatever_call_the_process_ends(
    tmp_path, durability
):
    settings = {"durability": durability, "segment_bytes_max": 4_096, "shards": 1}
    whole = FaultyDisk()
    await live_until_it_stops(config_of(tmp_path / "whole", **settings), whole)
    assert whole.calls.count("remove") > 3
    for calls in range(len(whole.calls)):
        config = config_of(tmp_path / str(calls), **settings)
        sent, acknowledged = await live_until_it_stops(config, FaultyDisk(stop_after=calls))
        async with living(config, end="crash") as life:
            assert acknowledged <= await views(life.engine) <= sent
            await life.engine.accept(
                batch(*[view("x" * 50, eventId=f"e{i}") for i in range(72)])
            )
            assert await views(life.engine) == 72


# -- a journal that ends before its snapshot ------------------------------------------------


@pytest.mark.parametrize("lost", ["the last record", "every file"])
async def test_a_journal_shorter_than_its_snapshot_goes_on_behind_it(tmp_path, lost):
    config = config_of(tmp_path, durability="none")
    async with living(config, end="crash") as life:
        for number in range(4):
            await life.engine.accept(batch(view(eventId=f"e{number}")))
        await life.engine.checkpoint()
    path = newest_segment(config)
    if lost == "every file":
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:-1])
    async with living(config, end="crash") as life:
        assert life.recovered.journal.last_seq == 4
        assert await views(life.engine) == 4
        await life.engine.accept(batch(view(eventId="e3"), view(eventId="e4")))
        assert await views(life.engine) == 5
        await life.engine.checkpoint()
    again, report = await answers(config)
    assert again["counters"]["views:today"] == 5
    assert (report.snapshot_seq, report.replayed_events) == (6, 0)


async def test_a_journal_is_cut_anywhere_in_its_last_bytes_and_a_prefix_remains(tmp_path):
    config = config_of(tmp_path)
    async with living(config, end="crash") as life:
        for number in range(1, 6):
            await life.engine.accept(batch(*[view()] * number))
    path = newest_segment(config)
    data = path.read_bytes()
    seen = set()
    for cut in range(200):
        path.write_bytes(data[: len(data) - cut])
        again = recover(config)
        again.journal.close()
        seen.add(again.sequencing.tally.events)
        assert again.journal.last_seq == again.sequencing.tally.events
    assert seen <= {0, 1, 3, 6, 10, 15}
    assert max(seen) == 15
    assert len(seen) > 1
