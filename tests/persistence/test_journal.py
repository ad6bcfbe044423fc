import errno
import os
import shutil

import pytest

from engine.errors import Corruption, DiskFull, JournalFailed, UnusableFolder
from engine.events import Body, Kind
from persistence.aside import real_disk
from persistence.growing import BUFFER_BYTES_MAX
from persistence.journal import Journal
from persistence.record import Record, UnknownFormat
from persistence.segment import HEADER_BYTES, encode_header, name_of
from tests.damage import flip
from tests.golden.forge import header_of_version
from tests.persistence.faulty_disk import FaultyDisk, Stopped


def opened(folder, *, durability="fsync", segment_bytes_max=10_000, disk=None):
    return Journal.open(
        folder,
        durability=durability,
        segment_bytes_max=segment_bytes_max,
        disk=disk or FaultyDisk(),
    )


def add(journal, *, events=2, size=60, times=1):
    """Append records of one body; the body's bytes follow from its number."""
    for _ in range(times):
        first_seq = journal.last_seq + 1
        body = Body(Kind.ARRAY, events, f"{first_seq:>{size}}".encode())
        journal.append(first_seq, 1_700_000_000_000 + first_seq, [body])


def numbers(journal, after_seq=0):
    """First numbers of the records, each checked against what `add` wrote."""
    records = list(journal.replay(after_seq))
    for record in records:
        assert int(record.bodies[0].data) == record.first_seq
        assert record.received_ms == 1_700_000_000_000 + record.first_seq
    return [record.first_seq for record in records]


def newest_file(folder):
    return max(folder.iterdir())


# Appending and reading


@pytest.mark.parametrize("call", ["create", "sync_folder"])
def test_no_file_to_open_for_a_new_segment_refuses_the_record_and_no_other(tmp_path, call):
    disk = FaultyDisk()
    journal = opened(tmp_path, segment_bytes_max=200, disk=disk)
    add(journal)
    disk.fail_next(call, errno.EMFILE)
    with pytest.raises(DiskFull, match="No file can be opened"):
        add(journal, size=150)
    add(journal, size=150)
    assert numbers(opened(tmp_path)) == [1, 3]


def test_a_new_segment_that_shows_the_header_of_a_removed_one_was_never_written(tmp_path):
    written(tmp_path, records=1, close=False)
    stale = tmp_path / name_of(2)
    stale.write_bytes(encode_header(1))
    journal = opened(tmp_path)
    assert (journal.last_seq, journal.cut.path) == (1, stale)
    assert not stale.exists()


def test_a_segment_of_records_under_the_name_of_another_is_damage(tmp_path):
    written(tmp_path, records=1, close=False)
    newest_file(tmp_path).rename(tmp_path / name_of(3))
    with pytest.raises(Corruption, match="belongs to the segment that begins at 1"):
        opened(tmp_path)


def test_a_sync_that_comes_after_the_close_finds_nothing_to_do(tmp_path):
    journal = opened(tmp_path, durability="none")
    add(journal)
    journal.close()
    journal.sync()
    assert numbers(opened(tmp_path)) == [1]


def test_a_segment_that_holds_a_closing_record_alone_takes_a_record_of_any_size(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, segment_bytes_max=200, disk=disk)
    add(journal)
    disk.room_bytes = HEADER_BYTES
    with pytest.raises(DiskFull):
        add(journal, size=150)  # its segment is there, and the record is not
    disk.room_bytes = None
    journal.close()
    again = opened(tmp_path, segment_bytes_max=200)
    add(again, size=150)
    assert numbers(again) == [1, 3]


@pytest.mark.parametrize("durability", ["fsync", "write", "none"])
def test_what_was_appended_is_replayed_after_a_clean_close(tmp_path, durability):
    journal = opened(tmp_path, durability=durability)
    add(journal, times=3)
    journal.close()
    again = opened(tmp_path, durability=durability)
    assert numbers(again) == [1, 3, 5]
    assert (again.first_seq, again.last_seq, again.cut) == (1, 6, None)


def test_the_real_disk_serves_as_well(tmp_path):
    journal = Journal.open(tmp_path / "journal", durability="fsync")
    add(journal, times=3)
    journal.close()
    again = Journal.open(tmp_path / "journal", durability="fsync")
    assert numbers(again) == [1, 3, 5]
    again.close()


def test_an_append_is_one_write_and_one_sync(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, disk=disk)
    disk.calls.clear()
    add(journal)
    assert disk.calls == ["create", "write", "sync", "sync_folder", "write", "sync"]
    disk.calls.clear()
    add(journal)
    assert disk.calls == ["write", "sync"]


def test_durability_write_does_not_sync_and_none_does_not_even_write(tmp_path):
    for durability, calls in (("write", ["write"]), ("none", [])):
        disk = FaultyDisk()
        journal = opened(tmp_path / durability, durability=durability, disk=disk)
        add(journal)
        disk.calls.clear()
        add(journal)
        assert disk.calls == calls


def test_what_none_holds_back_is_bounded_and_goes_out_in_whole_records(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, durability="none", segment_bytes_max=2**26, disk=disk)
    add(journal, size=400_000, times=2)
    assert disk.calls.count("write") == 1
    add(journal, size=400_000)
    assert disk.calls.count("write") == 2
    add(journal, size=BUFFER_BYTES_MAX + 1)
    assert disk.calls.count("write") == 4
    assert numbers(journal) == [1, 3, 5, 7]


def test_a_kill_under_none_takes_the_last_records_and_a_megabyte_at_most(tmp_path):
    journal = opened(tmp_path / "live", durability="none", segment_bytes_max=2**21)
    sizes, most = [], 0
    for size in (300_000, 700_000, 60, 2**20 + 1, 60, 400_000, 400_000, 400_000, 2**19) * 2:
        add(journal, size=size)
        sizes.append(size)
        killed = shutil.copytree(tmp_path / "live", tmp_path / f"killed-{len(sizes)}")
        found = numbers(opened(killed))
        assert found == numbers(journal)[: len(found)]
        most = max(most, sum(sizes[len(found) :]))
    assert 2**19 < most <= 2**20


def test_replay_sees_what_is_still_held_back(tmp_path):
    journal = opened(tmp_path, durability="none")
    add(journal, times=2)
    assert numbers(journal) == [1, 3]


def test_sync_puts_everything_on_the_disk_whatever_the_durability(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, durability="none", disk=disk)
    add(journal)
    disk.calls.clear()
    journal.sync()
    assert disk.calls == ["write", "sync"]


def test_replay_begins_after_the_number_given(tmp_path):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=7)
    assert len(journal.segments) > 2
    for after_seq in range(0, 15, 2):
        assert numbers(journal, after_seq) == list(range(after_seq + 1, 15, 2))


def test_a_record_that_holds_the_number_after_is_replayed_whole(tmp_path):
    journal = opened(tmp_path)
    add(journal, times=2)
    assert numbers(journal, 1) == [1, 3]


def test_a_wrong_number_is_a_bug_of_the_caller(tmp_path):
    journal = opened(tmp_path)
    add(journal)
    with pytest.raises(AssertionError):
        journal.append(2, 0, [Body(Kind.ARRAY, 1, b"[{}]")])


# Segments


def test_segments_roll_before_they_are_overfull_and_carry_their_first_number(tmp_path):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=5)
    names = [f"{number:020d}.segment" for number in (1, 5, 9)]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert [segment.first_seq for segment in journal.segments] == [1, 5, 9]
    assert [segment.last_seq for segment in journal.segments] == [4, 8, 10]
    assert all(segment.size_bytes <= 250 for segment in journal.segments)
    assert journal.size_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_a_record_larger_than_a_segment_gets_one_of_its_own(tmp_path):
    journal = opened(tmp_path, segment_bytes_max=100)
    add(journal, size=500, times=3)
    assert [segment.first_seq for segment in journal.segments] == [1, 3, 5]
    assert numbers(opened(tmp_path)) == [1, 3, 5]


def test_appending_goes_on_in_the_newest_segment_after_a_restart(tmp_path):
    for _ in range(4):
        journal = opened(tmp_path, segment_bytes_max=400)
        add(journal, times=2)
        journal.close()
    again = opened(tmp_path, segment_bytes_max=400)
    assert numbers(again) == list(range(1, 17, 2))
    assert len(again.segments) < 8


def test_trimming_removes_whole_segments_only_and_never_the_growing_one(tmp_path):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=5)
    journal.trim(7)
    assert numbers(journal, 4) == [5, 7, 9]
    assert journal.first_seq == 5
    journal.trim(1_000)
    assert numbers(journal, 8) == [9]
    assert (journal.first_seq, journal.last_seq) == (9, 10)
    assert numbers(opened(tmp_path), 8) == [9]


def test_each_removal_is_on_the_disk_before_the_next(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, segment_bytes_max=250, disk=disk)
    add(journal, times=5)
    disk.calls.clear()
    journal.trim(8)
    assert disk.calls == ["remove", "sync_folder"] * 2


def test_replay_of_what_was_trimmed_is_refused(tmp_path):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=5)
    journal.trim(4)
    with pytest.raises(Corruption, match="begins here, at number 5, but number 1 is needed"):
        journal.replay(0)


def test_a_journal_that_ends_before_its_snapshot_goes_on_after_it(tmp_path):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=5)
    journal.restart_after(20)
    assert (journal.first_seq, journal.last_seq, journal.segments) == (21, 20, ())
    add(journal)
    assert numbers(opened(tmp_path), 20) == [21]


def test_an_empty_journal_goes_on_after_a_snapshot(tmp_path):
    journal = opened(tmp_path)
    journal.restart_after(20)
    add(journal)
    assert numbers(journal, 20) == [21]


def test_other_files_in_the_folder_are_left_alone(tmp_path):
    (tmp_path / "00000000000000000001.segment.moved-away").write_bytes(b"rubbish")
    journal = opened(tmp_path)
    add(journal)
    journal.close()
    assert numbers(opened(tmp_path)) == [1]


# Torn tails and damage


def written(folder, *, records, close):
    """A journal in one segment; the offsets at which its records end."""
    journal = opened(folder)
    ends = []
    for _ in range(records):
        add(journal, events=1)
        ends.append(journal.size_bytes)
    if close:
        journal.close()
    return ends


@pytest.mark.parametrize("close", [False, True])
def test_a_journal_cut_at_every_byte_replays_every_record_that_is_whole(tmp_path, close):
    ends = written(tmp_path / "whole", records=30, close=close)
    data = newest_file(tmp_path / "whole").read_bytes()
    path = tmp_path / "cut" / "00000000000000000001.segment"
    path.parent.mkdir()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        journal = opened(path.parent)
        whole = sum(end <= size for end in ends)
        assert numbers(journal) == list(range(1, whole + 1))
        good = max([0, HEADER_BYTES, *ends], key=lambda end: end if end <= size else -1)
        assert journal.cut_bytes == size - good
        assert sum(p.stat().st_size for p in path.parent.iterdir()) == good
        journal.close()


@pytest.mark.parametrize("close", [False, True])
def test_every_flipped_byte_is_found_unless_it_looks_like_a_tear(tmp_path, close):
    ends = written(tmp_path / "whole", records=30, close=close)
    data = newest_file(tmp_path / "whole").read_bytes()
    path = tmp_path / "flipped" / "00000000000000000001.segment"
    path.parent.mkdir()
    last_at = ends[-1] if close else ends[-2]
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 0xFF
        path.write_bytes(flipped)
        if place < last_at:
            record_at = max([0, HEADER_BYTES, *ends], key=lambda e: e if e <= place else -1)
            with pytest.raises(Corruption) as caught:
                opened(path.parent)
            assert (caught.value.path, caught.value.offset_bytes) == (path, record_at)
            assert path.read_bytes() == flipped
        else:
            journal = opened(path.parent)
            assert numbers(journal) == list(range(1, 31 if close else 30))
            journal.close()


@pytest.mark.parametrize("tail", [b"\0" * 5_000, b"\xff" * 5_000, b"rubbish TMR1 " * 400])
@pytest.mark.parametrize("close", [False, True])
def test_rubbish_at_the_end_is_cut_off_and_appending_goes_on(tmp_path, tail, close):
    written(tmp_path, records=1, close=close)
    path = newest_file(tmp_path)
    path.write_bytes(path.read_bytes() + tail)
    journal = opened(tmp_path)
    assert journal.cut_bytes == len(tail)
    assert journal.cut.path == path
    add(journal)
    assert numbers(opened(tmp_path)) == [1, 2]


def test_a_cut_is_on_the_disk_before_the_journal_is_used(tmp_path):
    written(tmp_path, records=1, close=False)
    path = newest_file(tmp_path)
    path.write_bytes(path.read_bytes() + b"torn")
    disk = FaultyDisk()
    opened(tmp_path, disk=disk)
    names, whole, cut = (
        ["sync_folder"] * 2,
        ["write_again"],
        ["open_append", "truncate", "sync"],
    )
    assert disk.calls == names + whole + ["sync"] + cut


def test_a_stop_while_the_tail_is_cut_off_is_made_good_by_the_next_start(tmp_path):
    written(tmp_path, records=2, close=False)
    path = newest_file(tmp_path)
    whole = path.read_bytes()
    for stop_after in range(3):
        path.write_bytes(whole + b"torn")
        with pytest.raises(Stopped):
            opened(tmp_path, disk=FaultyDisk(stop_after=stop_after))
        journal = opened(tmp_path)
        assert numbers(journal) == [1, 2]
        assert path.read_bytes() == whole


@pytest.mark.parametrize("size", range(HEADER_BYTES))
def test_a_half_written_newest_segment_falls_back_to_the_one_before(tmp_path, size):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=3)
    path = newest_file(tmp_path)
    path.write_bytes(path.read_bytes()[:size])
    again = opened(tmp_path, segment_bytes_max=250)
    assert again.cut_bytes == size
    assert numbers(again) == [1, 3]
    add(again, times=3)
    assert numbers(opened(tmp_path)) == [1, 3, 5, 7, 9]


def test_a_lone_half_written_segment_is_an_empty_journal(tmp_path):
    (tmp_path / "00000000000000000001.segment").write_bytes(b"TMJ")
    journal = opened(tmp_path)
    assert (journal.last_seq, journal.cut_bytes) == (0, 3)
    add(journal)
    assert numbers(opened(tmp_path)) == [1]


def test_a_newest_segment_with_nothing_but_its_header_is_whole(tmp_path):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=3)
    path = newest_file(tmp_path)
    path.write_bytes(path.read_bytes()[:HEADER_BYTES])
    again = opened(tmp_path)
    assert (again.last_seq, again.cut) == (4, None)
    add(again)
    again.close()
    assert numbers(opened(tmp_path)) == [1, 3, 5]


@pytest.mark.parametrize("cut_bytes", [1, 60, 200])
def test_a_tear_before_the_newest_segment_is_damage(tmp_path, cut_bytes):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=3)
    path = min(tmp_path.iterdir())
    path.write_bytes(path.read_bytes()[:-cut_bytes])
    with pytest.raises(Corruption, match=str(path)):
        opened(tmp_path)


def test_a_lost_record_between_segments_is_damage(tmp_path):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=3)
    path = min(tmp_path.iterdir())
    second_at = HEADER_BYTES + (path.stat().st_size - HEADER_BYTES) // 2
    path.write_bytes(path.read_bytes()[:second_at])
    with pytest.raises(Corruption, match="begins at number 5, but 3 comes next"):
        opened(tmp_path)


def test_a_missing_segment_is_damage(tmp_path):
    journal = opened(tmp_path, segment_bytes_max=250)
    add(journal, times=5)
    (tmp_path / f"{5:020d}.segment").unlink()
    with pytest.raises(Corruption, match="begins at number 9, but 5 comes next"):
        opened(tmp_path)


def test_a_segment_under_another_name_is_damage(tmp_path):
    written(tmp_path, records=3, close=True)
    newest_file(tmp_path).rename(tmp_path / f"{9:020d}.segment")
    with pytest.raises(Corruption, match="belongs to the segment that begins at 1"):
        opened(tmp_path)


def test_a_record_left_out_is_damage_though_what_follows_is_whole(tmp_path):
    ends = written(tmp_path, records=3, close=False)
    path = newest_file(tmp_path)
    data = path.read_bytes()
    path.write_bytes(data[: ends[0]] + data[ends[1] :])
    with pytest.raises(Corruption) as caught:
        opened(tmp_path)
    assert caught.value.offset_bytes == ends[0]


def test_the_message_of_damage_names_file_byte_reason_and_remedy(tmp_path):
    ends = written(tmp_path, records=3, close=False)
    path = newest_file(tmp_path)
    flip(path, ends[0] + 50)
    with pytest.raises(Corruption) as caught:
        opened(tmp_path)
    assert str(caught.value).startswith(
        f"{path} is damaged at byte {ends[0]}: the checksum is wrong, and a whole record "
        f"follows at {ends[1]}. Tallymark does not start on a journal with a hole"
    )


def test_bytes_that_go_bad_after_the_start_are_found_by_replay(tmp_path):
    ends = written(tmp_path, records=3, close=True)
    journal = opened(tmp_path)
    path = newest_file(tmp_path)
    flip(path, ends[0] + 50)
    with pytest.raises(Corruption):
        numbers(journal)


def test_a_segment_of_another_version_is_refused_and_not_touched(tmp_path):
    written(tmp_path, records=1, close=True)
    path = newest_file(tmp_path)
    data = path.read_bytes()
    path.write_bytes(header_of_version(data, 2) + data[HEADER_BYTES:])
    before = path.read_bytes()
    with pytest.raises(UnknownFormat, match="version 2 of the journal format"):
        opened(tmp_path)
    assert path.read_bytes() == before


def test_closing_twice_over_leaves_one_closing_record(tmp_path):
    written(tmp_path, records=1, close=True)
    size = newest_file(tmp_path).stat().st_size
    opened(tmp_path).close()
    assert newest_file(tmp_path).stat().st_size == size


# Failing disks


def test_a_segment_that_cannot_be_read_is_damage(tmp_path):
    (tmp_path / f"{1:020d}.segment").mkdir()
    with pytest.raises(Corruption, match="cannot be read: Is a directory"):
        opened(tmp_path)


class OfSomebodyElse(FaultyDisk):
    def read(self, path):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_segment_of_somebody_else_is_no_damage(tmp_path):
    written(tmp_path, records=1, close=True)
    with pytest.raises(UnusableFolder, match="segment: Permission denied"):
        opened(tmp_path, disk=OfSomebodyElse())


@pytest.mark.parametrize("call", ["open_append", "truncate", "sync"])
def test_a_journal_that_cannot_be_written_does_not_open(tmp_path, call):
    written(tmp_path, records=1, close=False)
    disk = FaultyDisk()
    disk.fail_next(call, errno.EROFS)
    with pytest.raises(JournalFailed, match="Read-only file system"):
        opened(tmp_path, disk=disk)


def test_a_full_disk_refuses_the_group_and_takes_the_next_when_there_is_room(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, disk=disk)
    add(journal, times=2)
    size = newest_file(tmp_path).stat().st_size
    for room_bytes in (0, 1, 40):
        disk.room_bytes = room_bytes
        with pytest.raises(DiskFull, match="no room on the disk"):
            add(journal)
        assert newest_file(tmp_path).stat().st_size == size
        assert journal.size_bytes == size
    disk.room_bytes = None
    add(journal)
    assert journal.failure is None
    assert numbers(opened(tmp_path)) == [1, 3, 5]


@pytest.mark.parametrize("durability", ["fsync", "write", "none"])
def test_a_record_in_many_pieces_is_kept_whole_or_not_at_all(tmp_path, durability):
    disk = FaultyDisk()
    journal = opened(tmp_path, durability=durability, segment_bytes_max=2**25, disk=disk)
    add(journal)
    size = journal.size_bytes
    bodies = [Body(Kind.LINES, 1, bytes([n]) * 400_000) for n in range(8)]
    for room_bytes in (200, 1_000_000, 3_000_000):
        disk.room_bytes = room_bytes
        with pytest.raises(DiskFull):
            journal.append(3, 1_700_000_000_000, bodies)
        assert journal.size_bytes == size
    disk.room_bytes = None
    journal.append(3, 1_700_000_000_000, bodies)
    assert disk.calls.count("write") > 4
    journal.close()
    *_, last = opened(tmp_path).replay(0)
    assert last == Record(3, 1_700_000_000_000, tuple(bodies))


def test_a_full_disk_at_a_roll_leaves_no_half_segment_behind(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, segment_bytes_max=250, disk=disk)
    add(journal, times=2)
    for room_bytes in (0, 1, HEADER_BYTES, HEADER_BYTES + 5):
        disk.room_bytes = room_bytes
        with pytest.raises(DiskFull):
            add(journal)
    disk.room_bytes = None
    add(journal, times=2)
    assert numbers(opened(tmp_path)) == [1, 3, 5, 7]


def test_a_full_disk_keeps_what_none_holds_back_in_whole_records(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, durability="none", disk=disk)
    add(journal, times=3)
    disk.room_bytes = 100
    with pytest.raises(DiskFull):
        journal.flush()
    disk.room_bytes = None
    add(journal)
    journal.close()
    assert numbers(opened(tmp_path)) == [1, 3, 5, 7]


def test_a_refusal_that_is_kept_does_not_keep_what_none_holds_back_from_growing(tmp_path):
    disk = FaultyDisk(write_bytes_max=50)
    journal = opened(tmp_path, durability="none", disk=disk)
    add(journal)
    disk.room_bytes = 70
    with pytest.raises(DiskFull) as refusal:
        journal.flush()
    disk.room_bytes = None
    add(journal)
    assert refusal.value.__traceback__ is not None
    assert numbers(journal) == [1, 3]


def test_a_close_without_room_says_so_and_lets_nothing_follow(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, durability="none", disk=disk)
    add(journal, times=3)
    disk.room_bytes = 100
    with pytest.raises(DiskFull):
        journal.close()
    journal.close()
    with pytest.raises(AssertionError):
        add(journal)
    assert numbers(opened(tmp_path)) == []


def test_without_room_for_the_closing_record_a_journal_closes_all_the_same(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, disk=disk)
    add(journal, times=3)
    disk.room_bytes = 5
    journal.close()
    again = opened(tmp_path)
    assert (numbers(again), again.cut) == ([1, 3, 5], None)


@pytest.mark.parametrize("call", ["write", "sync"])
def test_a_failed_write_or_sync_ends_the_journal_for_good(tmp_path, call):
    disk = FaultyDisk()
    journal = opened(tmp_path, disk=disk)
    add(journal, times=2)
    disk.fail_next(call, errno.EIO)
    with pytest.raises(JournalFailed, match=r"Input/output error\. Check the disk"):
        add(journal)
    disk.calls.clear()
    for method in (lambda: add(journal), journal.flush, journal.sync, lambda: journal.trim(9)):
        with pytest.raises(JournalFailed):
            method()
    assert numbers(journal) == [1, 3]
    journal.close()
    assert disk.calls == []
    assert numbers(opened(tmp_path)) == [1, 3]


def test_a_full_disk_that_cannot_be_cut_back_ends_the_journal(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, disk=disk)
    add(journal)
    disk.room_bytes = 10
    disk.fail_next("truncate", errno.EIO)
    with pytest.raises(JournalFailed, match="could not be cut off"):
        add(journal)
    assert journal.failure is not None
    assert numbers(opened(tmp_path)) == [1]


@pytest.mark.parametrize("call", ["create", "sync", "sync_folder"])
def test_a_segment_that_cannot_be_made_for_good_ends_the_journal(tmp_path, call):
    disk = FaultyDisk()
    journal = opened(tmp_path, segment_bytes_max=250, disk=disk)
    add(journal, times=2)
    disk.fail_next(call, errno.EIO)
    with pytest.raises(JournalFailed):
        add(journal)
    with pytest.raises(JournalFailed):
        add(journal)
    assert numbers(opened(tmp_path)) == [1, 3]


def test_a_removal_that_fails_ends_the_journal(tmp_path):
    disk = FaultyDisk()
    journal = opened(tmp_path, segment_bytes_max=250, disk=disk)
    add(journal, times=5)
    disk.fail_next("remove", errno.EIO)
    with pytest.raises(JournalFailed, match="could not be removed"):
        journal.trim(4)


@pytest.mark.parametrize("durability", ["fsync", "write", "none"])
def test_a_stop_at_any_call_loses_nothing_that_was_acknowledged(tmp_path, durability):
    for stop_after in range(60):
        folder = tmp_path / durability
        shutil.rmtree(folder, ignore_errors=True)
        disk = FaultyDisk(write_bytes_max=70, stop_after=stop_after)
        acknowledged, is_stopped = lived(folder, durability, disk)
        found = numbers(opened(folder)) if folder.exists() else []
        assert found == list(range(1, 2 * len(found), 2))
        if durability != "none":
            assert acknowledged <= len(found) <= acknowledged + 1
    assert not is_stopped
    assert len(found) == 9


def lived(folder, durability, disk):
    """Append nine records over several segments; how many were acknowledged before the stop."""
    acknowledged = 0
    try:
        journal = opened(folder, durability=durability, segment_bytes_max=250, disk=disk)
        for _ in range(9):
            add(journal)
            acknowledged += 1
        journal.close()
    except Stopped:
        return acknowledged, True
    return acknowledged, False


def test_the_surplus_is_what_must_go_for_the_rest_to_fit(tmp_path):
    journal = Journal.open(tmp_path, durability="write", segment_bytes_max=200)
    for _ in range(10):
        journal.append(journal.last_seq + 1, 1, [Body(Kind.ARRAY, 2, b"[{},{}]")])
    sizes = [segment.size_bytes for segment in journal.segments]
    assert len(sizes) == 4
    assert journal.surplus_seq(sum(sizes)) == 0
    assert journal.surplus_seq(sum(sizes) - 1) == journal.segments[0].last_seq
    assert journal.surplus_seq(sum(sizes[2:])) == journal.segments[1].last_seq
    assert journal.surplus_seq(0) == journal.segments[-2].last_seq  # never the growing one
    journal.trim(journal.surplus_seq(sum(sizes[2:])))
    assert journal.size_bytes == sum(sizes[2:])
    journal.close()


def test_what_comes_after_a_seal_begins_a_segment_so_that_all_before_can_go(tmp_path):
    journal = Journal.open(tmp_path, durability="fsync", disk=real_disk())
    body = Body(Kind.ARRAY, 1, b"[{}]")
    journal.append(1, 0, [body])
    assert journal.can_begin([body])
    journal.seal()
    assert not journal.can_begin([body])
    journal.append(2, 0, [body])
    journal.append(3, 0, [body])
    assert [segment.first_seq for segment in journal.segments] == [1, 2]
    journal.trim(1)
    assert journal.first_seq == 2
    journal.close()
