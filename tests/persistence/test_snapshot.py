import errno
import shutil

import pytest

from engine.codec import Dump
from persistence.snapshot import CHAIN_PARTS_MAX, SnapshotFailed, SnapshotStore
from tests.damage import flip
from tests.persistence.faulty_disk import FaultyDisk, Stopped

META = {"zone": "Asia/Kolkata", "shards": 2}


def opened(folder, disk=None):
    """A store after loading, and what it loaded."""
    store = SnapshotStore(folder, disk=disk or FaultyDisk())
    return store, store.load_newest()


def full(*chunks):
    return Dump(full=True, chunks=chunks)


def delta(*chunks):
    return Dump(full=False, chunks=chunks)


def three_snapshots(folder):
    """At 10 a full part of both sources, at 20 and 30 deltas of one."""
    store, _ = opened(folder)
    store.checkpoint(10, META, {"shard-0": full(b"base0"), "sequence": full(b"seq")})
    store.checkpoint(20, META, {"shard-0": delta(b"+20"), "sequence": delta()})
    store.checkpoint(30, META, {"shard-0": delta(b"+30"), "sequence": delta()})
    return store


def damage(path):
    """More than can be mended: a byte of what it holds, and one of what would mend that."""
    flip(path, 12)
    flip(path, -1)


def test_an_empty_folder_has_no_snapshot(tmp_path):
    store, loaded = opened(tmp_path / "snapshots")
    assert loaded is None
    assert (store.newest_seq, store.trimmable_seq, store.skipped) == (0, 0, ())


def test_of_a_folder_that_cannot_be_read_nobody_knows_how_old_its_snapshots_are(tmp_path):
    folder = tmp_path / "snapshots"
    store = three_snapshots(folder)
    assert store.oldest_seq == 20
    folder.rename(tmp_path / "elsewhere")
    folder.touch()
    assert store.oldest_seq == 0


def test_a_snapshot_is_loaded_as_its_base_and_the_deltas_in_order(tmp_path):
    three_snapshots(tmp_path)
    _, loaded = opened(tmp_path)
    assert (loaded.seq, loaded.meta, loaded.skipped) == (30, META, ())
    assert loaded.parts == {"shard-0": [b"base0", b"+20", b"+30"], "sequence": [b"seq"]}


def test_the_chunks_of_a_dump_are_one_payload(tmp_path):
    store, _ = opened(tmp_path)
    store.checkpoint(1, {}, {"a": full(b"one ", b"", b"payload"), "b": full()})
    _, loaded = opened(tmp_path)
    assert loaded.parts == {"a": [b"one payload"], "b": [b""]}


def test_an_empty_delta_adds_no_part(tmp_path):
    store, _ = opened(tmp_path)
    store.checkpoint(1, {}, {"a": full(b"base")})
    store.checkpoint(2, {}, {"a": delta(b"", b"")})
    _, loaded = opened(tmp_path)
    assert (loaded.seq, loaded.parts) == (2, {"a": [b"base"]})


def test_a_full_dump_begins_a_new_chain_and_a_source_left_out_is_dropped(tmp_path):
    store = three_snapshots(tmp_path)
    store.checkpoint(40, META, {"shard-0": full(b"base40")})
    _, loaded = opened(tmp_path)
    assert loaded.parts == {"shard-0": [b"base40"]}


def test_the_newest_two_snapshots_are_kept_and_nothing_besides(tmp_path):
    store = three_snapshots(tmp_path)
    store.checkpoint(40, META, {"shard-0": full(b"base40"), "sequence": delta()})
    store.checkpoint(50, META, {"shard-0": delta(b"+50"), "sequence": delta()})
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"{10:020d}-sequence.0.full",
        f"{40:020d}-shard-0.0.full",
        f"{40:020d}.manifest",
        f"{50:020d}-shard-0.0.delta",
        f"{50:020d}.manifest",
    ]
    assert (store.newest_seq, store.trimmable_seq) == (50, 40)


def test_the_journal_may_be_trimmed_only_when_two_snapshots_are_known_to_be_good(tmp_path):
    store, _ = opened(tmp_path)
    store.checkpoint(10, {}, {"a": full(b"a")})
    assert store.trimmable_seq == 0
    store.checkpoint(20, {}, {"a": delta(b"b")})
    assert store.trimmable_seq == 10
    again, _ = opened(tmp_path)
    assert (again.newest_seq, again.trimmable_seq) == (20, 0)
    again.checkpoint(30, {}, {"a": delta(b"c")})
    assert again.trimmable_seq == 20


# When a full part is due


def test_a_source_without_a_chain_wants_a_full_dump(tmp_path):
    store = three_snapshots(tmp_path)
    assert store.wants_full("shard-1")
    assert not store.wants_full("sequence")


def test_a_chain_is_never_longer_than_its_bound_when_the_advice_is_followed(tmp_path):
    store, _ = opened(tmp_path)
    for seq in range(1, 2 * CHAIN_PARTS_MAX + 2):
        is_full = store.wants_full("a")
        assert is_full == (seq % CHAIN_PARTS_MAX == 1)
        store.checkpoint(seq, {}, {"a": full(b"x" * 99) if is_full else delta(b"y")})


def test_deltas_that_outweigh_their_base_ask_for_a_new_one(tmp_path):
    store, _ = opened(tmp_path)
    store.checkpoint(1, {}, {"a": full(b"12345")})
    store.checkpoint(2, {}, {"a": delta(b"12345")})
    assert not store.wants_full("a")
    store.checkpoint(3, {}, {"a": delta(b"6")})
    assert store.wants_full("a")


def test_a_delta_with_nothing_to_add_it_to_is_a_bug_of_the_caller(tmp_path):
    store, _ = opened(tmp_path)
    with pytest.raises(AssertionError, match="nothing to add it to"):
        store.checkpoint(1, {}, {"a": delta(b"lost")})


# Snapshots that do not check out


@pytest.mark.parametrize("spoil", [damage, lambda path: path.unlink()])
@pytest.mark.parametrize("name", [f"{30:020d}.manifest", f"{30:020d}-shard-0.0.delta"])
def test_a_snapshot_with_a_bad_or_missing_file_is_skipped(tmp_path, name, spoil):
    three_snapshots(tmp_path)
    spoil(tmp_path / name)
    _, loaded = opened(tmp_path)
    assert (loaded.seq, loaded.parts["shard-0"]) == (20, [b"base0", b"+20"])
    if (tmp_path / f"{30:020d}.manifest").exists():
        assert [skipped.path.name for skipped in loaded.skipped] == [f"{30:020d}.manifest"]


def test_a_newest_manifest_cut_or_flipped_at_any_byte_is_skipped(tmp_path):
    three_snapshots(tmp_path)
    path = tmp_path / f"{30:020d}.manifest"
    data = path.read_bytes()
    for place in range(len(data)):
        for spoilt in (data[:place], data[:place] + b"\xaa" + data[place + 1 :], data + b"x"):
            if spoilt != data:
                path.write_bytes(spoilt)
                assert opened(tmp_path)[1].seq == 20


def test_a_part_flipped_at_any_byte_is_mended_and_owes_a_full_dump(tmp_path):
    three_snapshots(tmp_path)
    path = tmp_path / f"{10:020d}-shard-0.0.full"  # which all snapshots share
    for place in range(path.stat().st_size):
        flip(path, place)
        store, loaded = opened(tmp_path)
        assert (loaded.seq, loaded.skipped) == (30, ())
        assert loaded.parts["shard-0"] == [b"base0", b"+20", b"+30"]
        assert [mended.path for mended in loaded.mended] == [path]
        assert store.wants_full("shard-0")
        assert not store.wants_full("sequence")
        flip(path, place)
    assert opened(tmp_path)[1].mended == ()


def test_what_was_mended_is_replaced_by_the_next_snapshot(tmp_path):
    three_snapshots(tmp_path)
    flip(tmp_path / f"{10:020d}-shard-0.0.full", 14)
    store, _ = opened(tmp_path)
    store.checkpoint(40, META, {"shard-0": full(b"anew"), "sequence": delta()})
    _, loaded = opened(tmp_path)
    assert (loaded.mended, loaded.parts["shard-0"]) == ((), [b"anew"])


def test_a_newest_part_that_is_cut_anywhere_is_whole_or_skipped(tmp_path):
    three_snapshots(tmp_path)
    path = tmp_path / f"{30:020d}-shard-0.0.delta"
    data = path.read_bytes()
    payload_end = 12 + len(b"+30")
    for size in range(len(data)):
        path.write_bytes(data[:size])
        loaded = opened(tmp_path)[1]
        assert loaded.seq == (30 if size >= payload_end else 20)
        assert bool(loaded.mended) == (loaded.seq == 30)


def test_a_part_of_another_snapshot_under_the_right_name_is_skipped(tmp_path):
    three_snapshots(tmp_path)
    shutil.copy(
        tmp_path / f"{20:020d}-shard-0.0.delta", tmp_path / f"{30:020d}-shard-0.0.delta"
    )
    _, loaded = opened(tmp_path)
    assert loaded.seq == 20
    assert "not the one that the manifest lists" in loaded.skipped[0].reason


def test_a_manifest_under_another_name_is_skipped(tmp_path):
    three_snapshots(tmp_path)
    (tmp_path / f"{30:020d}.manifest").rename(tmp_path / f"{35:020d}.manifest")
    _, loaded = opened(tmp_path)
    assert loaded.seq == 20
    assert "covers 30, which is not what its name says" in loaded.skipped[0].reason


def test_when_no_snapshot_checks_out_the_store_says_why(tmp_path):
    three_snapshots(tmp_path)
    damage(tmp_path / f"{10:020d}-shard-0.0.full")
    store, loaded = opened(tmp_path)
    assert loaded is None
    assert [skipped.path.name[-11:] for skipped in store.skipped] == [
        "30.manifest",
        "20.manifest",
    ]
    assert "checksum is wrong, and so is that of what would" in store.skipped[0].reason
    assert store.wants_full("shard-0")


def test_after_falling_back_chains_build_on_what_was_loaded_and_the_rest_goes(tmp_path):
    three_snapshots(tmp_path)
    damage(tmp_path / f"{30:020d}-shard-0.0.delta")
    store, _ = opened(tmp_path)
    store.checkpoint(30, META, {"shard-0": delta(b"again"), "sequence": delta()})
    store, loaded = opened(tmp_path)
    assert (loaded.seq, loaded.skipped) == (30, ())
    assert loaded.parts["shard-0"] == [b"base0", b"+20", b"again"]
    assert len(list(tmp_path.glob("*.manifest"))) == 2
    assert len(list(tmp_path.iterdir())) == 6


def test_a_stale_newer_manifest_does_not_push_out_a_good_older_one(tmp_path):
    three_snapshots(tmp_path)
    damage(tmp_path / f"{30:020d}.manifest")
    store, _ = opened(tmp_path)
    store.checkpoint(25, META, {"shard-0": delta(b"+25"), "sequence": delta()})
    assert sorted(path.name[-11:] for path in tmp_path.glob("*.manifest")) == [
        "20.manifest",
        "25.manifest",
    ]
    assert store.trimmable_seq == 20


def test_leftovers_go_at_opening_and_other_files_stay(tmp_path):
    (tmp_path / "5-shard-0.0.full.tmp").write_bytes(b"half")
    (tmp_path / "notes.txt").write_bytes(b"of the operator")
    store, _ = opened(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    store.checkpoint(1, {}, {"a": full(b"a")})
    assert (tmp_path / "notes.txt").exists()


# Crashes and failing disks


def test_a_stop_at_any_call_leaves_the_snapshot_before_or_the_new_one(tmp_path):
    outcomes = set()
    for stop_after in range(60):
        folder = tmp_path / "snapshots"
        shutil.rmtree(folder, ignore_errors=True)
        three_snapshots(folder)
        disk = FaultyDisk(stop_after=stop_after)
        dumps = {"shard-0": full(b"base", b"40"), "sequence": delta(b"+40")}
        try:
            store, _ = opened(folder, disk)
            store.checkpoint(40, META, dumps)
            is_stopped = False
        except Stopped:
            is_stopped = True
        again, loaded = opened(folder)
        assert loaded.skipped == ()
        outcomes.add(loaded.seq)
        if loaded.seq == 30:
            assert is_stopped
            assert loaded.parts["shard-0"] == [b"base0", b"+20", b"+30"]
        else:
            assert loaded.parts == {"shard-0": [b"base40"], "sequence": [b"seq", b"+40"]}
        again.checkpoint(50, META, {"shard-0": full(b"50"), "sequence": full(b"50")})
        assert opened(folder)[1].seq == 50
    assert outcomes == {30, 40}
    assert not is_stopped


@pytest.mark.parametrize("seq", [30, 31])
@pytest.mark.parametrize("call", ["create", "write", "sync", "rename", "sync_folder"])
def test_a_checkpoint_that_fails_leaves_the_one_before_and_asks_for_full_dumps(
    tmp_path, call, seq
):
    disk = FaultyDisk()
    three_snapshots(tmp_path)
    store, _ = opened(tmp_path, disk)
    disk.fail_next(call, errno.EIO)
    with pytest.raises(SnapshotFailed, match=r"Input/output error\. The one before stands"):
        store.checkpoint(seq, META, {"shard-0": delta(b"lost"), "sequence": delta()})
    assert store.newest_seq == 30
    assert opened(tmp_path)[1].parts["shard-0"] == [b"base0", b"+20", b"+30"]
    assert store.wants_full("shard-0")
    assert store.wants_full("sequence")
    store.checkpoint(40, META, {"shard-0": full(b"all"), "sequence": full(b"all")})
    assert not store.wants_full("shard-0")
    assert opened(tmp_path)[1].parts == {"shard-0": [b"all"], "sequence": [b"all"]}


def test_a_full_disk_leaves_no_half_snapshot_behind(tmp_path):
    disk = FaultyDisk()
    three_snapshots(tmp_path)
    before = sorted(tmp_path.iterdir())
    store, _ = opened(tmp_path, disk)
    disk.room_bytes = 150
    with pytest.raises(SnapshotFailed, match="No space left"):
        store.checkpoint(40, META, {"shard-0": full(b"0" * 99), "shard-1": full(b"1" * 99)})
    assert sorted(tmp_path.iterdir()) == before


def test_parts_are_on_the_disk_before_the_manifest_and_both_before_anything_goes(tmp_path):
    disk = FaultyDisk()
    three_snapshots(tmp_path)
    store, _ = opened(tmp_path, disk)
    disk.calls.clear()
    store.checkpoint(40, META, {"shard-0": full(b"0"), "sequence": delta()})
    part = ["remove", "create", "write", "write", "write", "sync", "rename", "sync_folder"]
    manifest = ["remove", "create", "write", "write", "write", "sync", "rename", "sync_folder"]
    assert disk.calls[:16] == part + manifest
    assert set(disk.calls[16:]) == {"remove", "sync_folder"}


def test_a_file_that_cannot_be_swept_waits_for_the_next_checkpoint(tmp_path):
    store = three_snapshots(tmp_path)
    stale = tmp_path / f"{5:020d}-shard-0.0.full"
    stale.mkdir()
    store.checkpoint(40, META, {"shard-0": delta(b"+40"), "sequence": delta()})
    assert stale.exists()
    assert opened(tmp_path)[1].seq == 40
