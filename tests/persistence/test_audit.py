"""What an audit finds, and that it changes nothing."""

from pathlib import Path

import pytest

from engine.codec import Dump
from engine.errors import Corruption, FolderInUse
from engine.events import Body, Kind
from persistence.audit import NotADataFolder, audit
from persistence.journal import Journal
from persistence.lock import hold
from persistence.snapshot import SnapshotStore
from tests.damage import flip

ONE = Body(Kind.ONE, 1, b'{"eventType":"marketplace_view","serviceId":"s"}')


def _fill(folder: Path, events: int, **options: int) -> Journal:
    """A journal that nobody closed, as a killed server leaves it."""
    journal = Journal.open(folder / "journal", durability="write", **options)
    for _ in range(events):
        journal.append(journal.last_seq + 1, 1_000, [ONE])
    return journal


def _snapshot(folder: Path, *seqs: int) -> None:
    store = SnapshotStore(folder / "snapshots")
    store.load_newest()
    for seq in seqs:
        store.checkpoint(seq, {}, {"shard-0": Dump(full=True, chunks=[b"what it knew"])})


def _bytes(folder: Path) -> dict[Path, tuple[bytes, int]]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


def test_segments_records_and_numbers_are_counted(tmp_path: Path) -> None:
    journal = _fill(tmp_path, 70, segment_bytes_max=4096)
    journal.append(71, 2_000, [ONE, Body(Kind.ARRAY, 3, b"[{},{},{}]")])
    found = audit(tmp_path)
    assert (found.records, found.events, found.first_seq, found.last_seq) == (71, 74, 1, 74)
    assert len(found.segments) > 1
    assert found.segments == journal.segments
    assert found.size_bytes == sum(p.stat().st_size for p in (tmp_path / "journal").iterdir())
    assert (found.torn, found.snapshots, found.loaded) == (None, (), None)
    assert found.replayed_events == 74


def test_an_empty_journal_is_sound(tmp_path: Path) -> None:
    _fill(tmp_path, 0)
    found = audit(tmp_path)
    assert (found.records, found.events, found.replayed_events) == (0, 0, 0)


def test_the_newest_good_snapshot_is_the_one_that_a_start_loads(tmp_path: Path) -> None:
    _fill(tmp_path, 5)
    _snapshot(tmp_path, 2, 4)
    found = audit(tmp_path)
    assert [(one.seq, one.size_bytes, one.flaw) for one in found.snapshots] == [
        (4, 12, None),
        (2, 12, None),
    ]
    assert found.loaded == found.snapshots[0]
    assert found.replayed_events == 1


def test_a_damaged_snapshot_is_listed_with_its_flaw_and_the_one_before_is_loaded(
    tmp_path: Path,
) -> None:
    _fill(tmp_path, 5)
    _snapshot(tmp_path, 2, 4)
    (part,) = (tmp_path / "snapshots").glob(f"{4:020d}-shard-0.*")
    part.write_bytes(part.read_bytes()[:-40])
    found = audit(tmp_path)
    assert found.snapshots[0].flaw is not None
    assert part.name in found.snapshots[0].flaw
    assert found.loaded == found.snapshots[1]
    assert found.replayed_events == 3


def test_a_torn_tail_is_told_and_left_alone(tmp_path: Path) -> None:
    _fill(tmp_path, 2)
    (path,) = (tmp_path / "journal").iterdir()
    whole_bytes = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"half")
    found = audit(tmp_path)
    assert found.torn is not None
    assert (found.torn.offset_bytes, found.torn.size_bytes) == (whole_bytes, 4)
    assert found.size_bytes == whole_bytes
    assert found.events == 2


def test_no_byte_is_changed_whatever_is_found(tmp_path: Path) -> None:
    _fill(tmp_path, 5, segment_bytes_max=4096)
    _snapshot(tmp_path, 2, 4)
    newest = max((tmp_path / "journal").iterdir())
    newest.write_bytes(newest.read_bytes() + b"half")
    (tmp_path / "journal" / f"{6:020d}.segment").write_bytes(b"TM")  # a header that is torn
    (tmp_path / "snapshots" / "left.tmp").write_bytes(b"unfinished")
    (tmp_path / "snapshots" / f"{9:020d}.manifest").write_bytes(b"rubbish")
    newest.write_bytes(newest.read_bytes()[:-4])
    before = _bytes(tmp_path)
    found = audit(tmp_path)
    assert found.torn is not None
    assert found.snapshots[0].flaw is not None
    assert _bytes(tmp_path) == before


def test_damage_within_the_journal_names_file_and_byte(tmp_path: Path) -> None:
    _fill(tmp_path, 2)
    (path,) = (tmp_path / "journal").iterdir()
    flip(path, 60)  # within the first record
    with pytest.raises(Corruption) as caught:
        audit(tmp_path)
    assert (caught.value.path, caught.value.offset_bytes) == (path, 24)


def test_a_journal_that_begins_after_every_good_snapshot_is_damage(tmp_path: Path) -> None:
    _fill(tmp_path, 200, segment_bytes_max=4096)
    oldest, second, *_ = sorted((tmp_path / "journal").iterdir())
    oldest.unlink()
    with pytest.raises(Corruption, match="number 1 is needed") as caught:
        audit(tmp_path)
    assert caught.value.path == second
    _snapshot(tmp_path, 150)
    assert audit(tmp_path).replayed_events == 50


def test_the_folder_of_a_running_server_is_left_alone(tmp_path: Path) -> None:
    _fill(tmp_path, 1)
    with hold(tmp_path):
        with pytest.raises(FolderInUse, match="A server is running on"):
            audit(tmp_path)
    assert audit(tmp_path).events == 1


def test_a_copy_without_a_lock_file_gets_none(tmp_path: Path) -> None:
    _fill(tmp_path, 1)
    audit(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["journal"]


def test_a_folder_without_a_journal_is_no_data_folder(tmp_path: Path) -> None:
    with pytest.raises(NotADataFolder, match="there is no journal/ in it"):
        audit(tmp_path)
