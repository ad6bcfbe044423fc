"""Records whose sync goes on aside: as durable as the others, and refused as they are."""

import errno

import pytest

from engine.errors import DiskFull, JournalFailed
from engine.events import Body, Kind
from persistence import journal as journals
from persistence.aside import real_disk
from persistence.journal import Journal
from tests.persistence.aside_disk import AsideFaultyDisk, wait

NOW_MS = 1_700_000_000_000
SEGMENT_BYTES_MAX = 1_000


def opened(folder, disk, *, durability="fsync"):
    return Journal.open(
        folder, durability=durability, segment_bytes_max=SEGMENT_BYTES_MAX, disk=disk
    )


def body(text=b"[1, 2]"):
    return [Body(Kind.ARRAY, 2, text)]


def begin(journal, some=None):
    return journal.begin(journal.last_seq + 1, NOW_MS, some or body())


def add(journal):
    """Add one record, aside where it can be; whether it was."""
    if not journal.can_begin(body()):
        journal.append(journal.last_seq + 1, NOW_MS, body())
        return False
    wait(begin(journal))
    journal.end()
    return True


def replayed(folder):
    return [record.first_seq for record in Journal.open(folder, durability="fsync").replay(0)]


@pytest.mark.parametrize("disk", [AsideFaultyDisk, real_disk])
@pytest.mark.parametrize("durability", ["fsync", "write"])
def test_what_was_begun_and_ended_is_there_after_a_crash(tmp_path, disk, durability):
    journal = opened(tmp_path, disk(), durability=durability)
    for _ in range(3):
        add(journal)
    assert replayed(tmp_path) == [1, 3, 5]
    assert journal.last_seq == 6


def test_the_first_record_of_a_segment_waits_for_its_file(tmp_path):
    journal = opened(tmp_path, AsideFaultyDisk())
    found = [add(journal) for _ in range(40)]
    assert found.count(False) == len(journal.segments) > 1
    assert not found[0]
    assert found[1]
    assert len(replayed(tmp_path)) == 40


def test_nothing_is_begun_for_a_while_after_a_write_that_took_long(tmp_path, monkeypatch):
    journal = opened(tmp_path, AsideFaultyDisk())
    add(journal)
    monkeypatch.setattr(journals, "SLOW_WRITE_S", 0.0)
    assert add(journal)
    assert not journal.can_begin(body())
    monkeypatch.setattr(journals, "SLOW_S", -1.0)
    journal.append(journal.last_seq + 1, NOW_MS, body())
    assert not journal.can_begin(body())


def test_a_record_counts_when_its_sync_has_ended_and_not_before(tmp_path):
    disk = AsideFaultyDisk()
    journal = opened(tmp_path, disk)
    add(journal)
    before = journal.size_bytes
    begin(journal)
    assert (journal.last_seq, journal.size_bytes) == (2, before)
    journal.end()
    assert journal.last_seq == 4
    assert journal.size_bytes > before


def test_a_sync_that_fails_ends_the_journal_and_is_never_tried_again(tmp_path):
    disk = AsideFaultyDisk()
    journal = opened(tmp_path, disk)
    add(journal)
    begin(journal)
    disk.fail_next("end_sync", errno.EIO)
    with pytest.raises(JournalFailed, match="a sync of"):
        journal.end()
    assert disk.calls[-2:] == ["end_sync", "truncate"]
    with pytest.raises(JournalFailed):
        begin(journal)
    with pytest.raises(JournalFailed):
        journal.append(3, NOW_MS, body())
    assert disk.calls[-1] == "truncate"
    assert replayed(tmp_path) == [1]


def test_a_full_disk_refuses_the_record_and_takes_a_later_one(tmp_path):
    disk = AsideFaultyDisk()
    journal = opened(tmp_path, disk)
    add(journal)
    disk.room_bytes = 10
    with pytest.raises(DiskFull):
        begin(journal)
    disk.room_bytes = None
    assert add(journal)
    assert replayed(tmp_path) == [1, 3]


def test_where_the_system_begins_no_sync_it_is_waited_for(tmp_path):
    disk = AsideFaultyDisk()
    journal = opened(tmp_path, disk)
    add(journal)
    disk.fail_next("begin_sync", errno.EAGAIN)
    assert begin(journal) is None
    assert disk.calls[-2:] == ["begin_sync", "sync"]
    journal.end()
    assert journal.last_seq == 4
    assert not journal.can_begin(body())  # a thread waits for the next ones
    assert replayed(tmp_path) == [1, 3]


def test_the_real_disk_tells_of_a_file_that_cannot_be_synced(tmp_path):
    disk = real_disk()
    handle = disk.create(tmp_path / "file")
    disk.close(handle)
    with pytest.raises(OSError, match="Bad file descriptor"):
        (disk.begin_sync if disk.syncs_aside else disk.sync)(handle)
