"""The archiver: restarts cost nothing, gaps are told, the journal is kept while needed."""

from pathlib import Path

import pytest

from engine.errors import Corruption
from persistence.archive import archiver as archiving
from persistence.archive.archiver import AheadOfJournal, Upkeep
from persistence.files import REAL_DISK
from tests.archives import NOW_MS, House, view


def ids(house: House) -> list[str | None]:
    return [row["eventId"] for row in house.rows()]


def test_a_duplicate_is_dropped_after_any_kind_of_end(tmp_path: Path) -> None:
    house = House(tmp_path)
    for number, end in enumerate([house.crash, house.close, house.crash]):
        house.track(NOW_MS, view(eventId=f"{number}"), view(eventId=f"{max(0, number - 1)}"))
        house.follow()
        end()
    assert ids(house) == ["0", "1", "2"]


def test_a_crash_between_a_part_and_its_manifest_writes_the_part_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    house.track(NOW_MS, view(eventId="a"))
    monkeypatch.setattr(
        house.archiver.store, "advance", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt)
    )
    with pytest.raises(KeyboardInterrupt):
        house.follow()
    assert len(list(tmp_path.glob("archive/*/*.parquet"))) == 1
    assert ids(house.crash().follow()) == ["a"]


def test_the_journal_is_needed_until_the_ids_were_dumped_twice(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.track(NOW_MS, view())
    house.follow().archiver.keep_ids()
    assert house.archiver.trimmable_seq == 0
    house.track(NOW_MS, view())
    house.follow().archiver.keep_ids()
    assert house.archiver.trimmable_seq == 1


def test_ids_are_dumped_as_often_as_snapshots_are_written(tmp_path: Path) -> None:
    house = House(tmp_path, snapshot_interval_s=60)
    for step_ms in (0, 59_999, 60_000, 120_000):
        house.now_ms = NOW_MS + step_ms
        house.track(house.now_ms, view())
        house.follow()
    assert house.archiver.trimmable_seq == 3


def test_ids_are_dumped_also_after_the_clock_was_set_back(tmp_path: Path) -> None:
    house = House(tmp_path, snapshot_interval_s=60)
    for at_ms in (NOW_MS, NOW_MS + 60_000, NOW_MS - 1, NOW_MS + 59_999):
        house.now_ms = at_ms
        house.track(at_ms, view())
        house.follow()
    assert house.archiver.trimmable_seq == 3


def test_damaged_ids_are_made_again_from_those_before_and_the_journal(tmp_path: Path) -> None:
    house = House(tmp_path)
    for name in "ab":
        house.track(NOW_MS, view(eventId=name))
        house.follow().archiver.keep_ids()
    newest = max(tmp_path.glob("archive/ids/*.manifest"))
    newest.write_bytes(b"rubbish")
    house.crash().track(NOW_MS, view(eventId="b"), view(eventId="a"), view(eventId="c"))
    assert ids(house.follow()) == ["a", "b", "c"]


def test_what_was_read_before_a_gap_is_kept(tmp_path: Path) -> None:
    house = House(tmp_path, segment_bytes_max=4_096)
    while len(house.journal.segments) < 4:
        house.track(NOW_MS, view())
    first, second, third, _ = house.journal.segments
    house.follow(first.last_seq - 5)  # all of this segment is in memory now
    house.journal.trim(third.last_seq)
    house.follow()
    (gap,) = house.manifest.gaps
    assert (gap.first_seq, gap.last_seq) == (second.first_seq, third.last_seq)
    of_the_gap = third.last_seq - second.first_seq + 1
    assert house.manifest.rows == house.journal.last_seq - of_the_gap


def test_numbers_that_were_trimmed_away_are_a_gap_and_the_rest_goes_on(tmp_path: Path) -> None:
    house = House(tmp_path, segment_bytes_max=4096, body_bytes_max=4096, group_bytes_max=4096)
    for number in range(100):
        house.track(NOW_MS, view(f"s{number}"))
    house.follow(5).crash()
    house.journal.trim(90)
    first_seq = house.journal.first_seq
    assert first_seq > 6
    house.follow()
    (gap,) = house.manifest.gaps
    assert (gap.first_seq, gap.last_seq) == (6, first_seq - 1)
    numbers = [row["seq"] for row in house.rows()]
    assert numbers == [*range(1, 6), *range(first_seq, 101)]
    assert house.log.count("archive gap failed") == 1


def test_an_archive_begun_on_a_trimmed_journal_begins_where_that_does(tmp_path: Path) -> None:
    house = House(tmp_path, segment_bytes_max=4096, body_bytes_max=4096, group_bytes_max=4096)
    for number in range(100):
        house.track(NOW_MS, view(f"s{number}"))
    house.journal.trim(90)
    house.follow()
    assert len(house.rows()) == 101 - house.journal.first_seq


def test_an_archive_ahead_of_its_journal_is_refused_and_says_what_to_do(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.track(NOW_MS, view(), view())
    house.follow().close()
    shorter = House(tmp_path / "other")
    shorter.track(NOW_MS, view())
    (tmp_path / "other" / "archive").symlink_to(tmp_path / "archive")
    with pytest.raises(AheadOfJournal, match=r"covers number 2, and the journal ends at 1.*"):
        shorter.follow()


def test_a_manifest_that_ends_within_a_record_is_refused(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.track(NOW_MS, view())
    house.follow().crash()
    other = House(tmp_path / "other")
    other.track(NOW_MS, view(), view())
    (tmp_path / "other" / "archive").symlink_to(tmp_path / "archive")
    with pytest.raises(Corruption, match="where no record of the journal ends"):
        other.follow()


def test_parts_are_cut_when_there_are_many_events(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archiving, "PART_EVENTS_MAX", 10)
    house = House(tmp_path)
    for _ in range(7):
        house.track(NOW_MS, view(), view(), view(), view())
    assert [file.rows for file in house.follow().manifest.files] == [12, 12, 4]


def test_what_is_archived_is_on_the_disk_before_it_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    house = House(tmp_path)
    house.track(NOW_MS, view())
    store = house.archiver.store
    real = type(REAL_DISK).sync
    monkeypatch.setattr(
        type(REAL_DISK),
        "sync",
        lambda disk, handle: (synced.append(store.manifest.covered_seq), real(disk, handle))[1],
    )
    house.follow()
    assert store.manifest.covered_seq == 1
    assert synced == [0, 0]  # the part, and the manifest before it has its name


def test_upkeep_merges_in_its_own_thread_and_keeps_its_failure(tmp_path: Path) -> None:
    house = House(tmp_path)
    for _ in range(20):
        house.track(NOW_MS, view())
        house.follow()
    upkeep = Upkeep(house.archiver, pause_s=0)
    upkeep.start()
    upkeep.stop()
    assert upkeep.failure is None
    assert len(house.rows()) == 20
