"""Following: every record once and in order, never beyond what is durable, damage is named."""

from pathlib import Path

import pytest

from engine.errors import Corruption
from engine.events import Body, Kind
from persistence.archive import follower
from persistence.archive.follower import Follower, JournalGap
from persistence.journal import Journal
from tests.damage import flip

BODY = Body(Kind.ARRAY, 2, b"[{},{}]")


def journal_of(folder: Path, records: int, **settings: int) -> Journal:
    journal = Journal.open(folder, durability="write", **settings)
    add(journal, records)
    return journal


def add(journal: Journal, records: int) -> None:
    for _ in range(records):
        journal.append(journal.last_seq + 1, 1_000 + journal.last_seq, [BODY])


def taken(following: Follower, up_to_seq: int) -> list[int]:
    """The first numbers of all records up to a number."""
    found = []
    while (record := following.take(up_to_seq)) is not None:
        found.append(record.first_seq)
    return found


def test_every_record_comes_once_across_segments_while_the_journal_grows(
    tmp_path: Path,
) -> None:
    journal = journal_of(tmp_path, 20, segment_bytes_max=200)
    assert len(journal.segments) > 5
    following = Follower(tmp_path, after_seq=0)
    found = taken(following, 16)
    add(journal, 20)
    found += taken(following, 40)
    add(journal, 1)
    found += taken(following, 82)
    assert found == list(range(1, 82, 2))


def test_it_begins_in_the_middle_of_a_segment(tmp_path: Path) -> None:
    journal_of(tmp_path, 10)
    assert taken(Follower(tmp_path, after_seq=6), 20) == [7, 9, 11, 13, 15, 17, 19]


def test_records_are_as_recovery_reads_them(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, 9, segment_bytes_max=250)
    following = Follower(tmp_path, after_seq=4)
    found = [following.take(18) for _ in range(7)]
    assert found == list(journal.replay(4))


def test_what_is_not_durable_yet_waits(tmp_path: Path) -> None:
    journal_of(tmp_path, 3)
    following = Follower(tmp_path, after_seq=0)
    assert taken(following, 2) == [1]
    assert taken(following, 3) == []
    assert taken(following, 6) == [3, 5]


def test_a_record_larger_than_a_chunk_is_read_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "CHUNK_BYTES", 16)
    journal = journal_of(tmp_path, 2)
    journal.append(5, 1, [Body(Kind.ONE, 1, b"{" + b" " * 500 + b"}")])
    assert taken(Follower(tmp_path, after_seq=0), 5) == [1, 3, 5]


def test_closing_records_of_former_runs_are_passed_over(tmp_path: Path) -> None:
    journal_of(tmp_path, 2).close()
    journal_of(tmp_path, 2).close()
    assert taken(Follower(tmp_path, after_seq=0), 8) == [1, 3, 5, 7]


def test_a_follower_goes_on_behind_a_closing_record(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, 2)
    following = Follower(tmp_path, after_seq=0)
    assert taken(following, 4) == [1, 3]
    journal.close()
    journal_of(tmp_path, 1)
    assert taken(following, 6) == [5]


def test_a_segment_that_was_read_to_its_end_and_trimmed_is_no_gap(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, 20, segment_bytes_max=200)
    following = Follower(tmp_path, after_seq=0)
    for segment in journal.segments[:-1]:
        assert taken(following, segment.last_seq)[-1] == segment.last_seq - 1
        journal.trim(segment.last_seq)
    assert taken(following, 40)[-1] == 39


def test_trimmed_numbers_are_a_gap_that_says_which(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, 20, segment_bytes_max=200)
    journal.trim(20)
    with pytest.raises(JournalGap, match=r"begins at number \d+, and 3 is needed") as caught:
        Follower(tmp_path, after_seq=2).take(40)
    assert caught.value.first_seq == journal.first_seq


def test_a_journal_without_any_segment_is_a_gap_up_to_its_end(tmp_path: Path) -> None:
    journal_of(tmp_path, 2).restart_after(9)
    with pytest.raises(JournalGap) as caught:
        Follower(tmp_path, after_seq=4).take(9)
    assert (caught.value.needed_seq, caught.value.first_seq) == (5, 10)


def test_a_durable_record_that_is_not_whole_is_damage_with_its_place(tmp_path: Path) -> None:
    journal = journal_of(tmp_path, 3)
    path = journal.segments[0].path
    flip(path, -1)
    following = Follower(tmp_path, after_seq=0)
    assert taken(following, 4) == [1, 3]
    with pytest.raises(Corruption, match="number 5 should be here, and the checksum is wrong"):
        following.take(6)
