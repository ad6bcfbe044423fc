"""A damaged file of the archive holds up nobody but those who may be in it."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import msgspec
import pytest

from persistence.archive.checking import check
from persistence.archive.hiding import hidden_in
from persistence.archive.merging import FAN
from persistence.archive.parquet import Merger
from persistence.archive.rebuilding import rebuild
from persistence.archive.salvaging import flaw_of
from tests.archives import NOW_MS, House, rows_of, view
from tests.damage import flip
from tests.handles import no_handles


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Three files, each with rows of anna and of ben."""
    house = House(tmp_path, archive_grace_s=0)
    for _ in range(3):
        house.track(NOW_MS, view(userId="anna"), view(userId="ben"))
        house.follow()
    return house


def spoil(path: str) -> bytes:
    """Flip a bit of a file; what it held before."""
    return flip(Path(path), 40)


def cut(path: str) -> bytes:
    """Take half of a file away; what it held before."""
    whole = Path(path).read_bytes()
    Path(path).write_bytes(whole[: len(whole) // 2])
    return whole


def remove(path: str) -> bytes:
    """Take a file away; what it held."""
    whole = Path(path).read_bytes()
    Path(path).unlink()
    return whole


def users_but(house: House, damaged: str) -> set[str]:
    return {row["userId"] for row in rows_of([f for f in house.files if f != damaged])}


@pytest.mark.parametrize("harm", [spoil, cut, remove])
def test_the_other_files_are_erased_and_new_events_archived(
    house: House, harm: Callable[[str], bytes]
) -> None:
    damaged = house.files[1]
    harm(damaged)
    seq = house.erase(NOW_MS, "anna")
    house.follow().merge()
    house.track(NOW_MS, view(userId="cleo"))
    house.follow().merge()
    assert damaged in house.files
    assert users_but(house, damaged) == {"ben", "cleo"}
    assert [one.seq for one in house.manifest.erasing] == [seq]
    assert [one.seq for one in hidden_in(house.config.data, house.manifest).gone] == [seq]
    (unreadable,) = house.archiver.unreadable
    assert damaged.endswith(f"/{unreadable.name}")
    assert unreadable.reason != ""
    assert house.archiver.erasing_files == 0
    assert house.log.count("archive file failed") == 1


def test_nothing_is_made_of_what_can_be_read_and_is_not_what_was_written(house: House) -> None:
    damaged = house.files[1]
    at = Path(damaged).read_bytes().index(b"anna")
    flip(Path(damaged), at)  # somebody else by name, and no error of Parquet
    house.erase(NOW_MS, "anna")
    house.follow().merge()
    assert damaged in house.files
    assert len(house.archiver.unreadable) == 1


def test_a_file_that_is_put_back_whole_is_looked_through(house: House) -> None:
    damaged = house.files[1]
    whole = spoil(damaged)
    house.erase(NOW_MS, "anna")
    house.follow().merge()
    Path(damaged).unlink()
    house.merge()
    assert len(house.manifest.erasing) == 1
    Path(damaged).write_bytes(whole)
    house.merge()
    assert house.archiver.unreadable == ()
    assert house.manifest.erasing == ()
    assert [row["userId"] for row in house.rows()] == ["ben"] * 3
    assert list(check(house.config.data, house.manifest)) == []


def remove_folder(path: str) -> bytes:
    """Take a file away, and the folder of its day; what it held."""
    whole = remove(path)
    if not any(Path(path).parent.iterdir()):
        Path(path).parent.rmdir()
    return whole


@pytest.mark.parametrize("harm", [spoil, remove_folder])
def test_a_file_that_is_too_old_goes_and_the_erasure_is_done(
    house: House, harm: Callable[[str], bytes]
) -> None:
    for path in house.files:
        harm(path)
    house.erase(NOW_MS, "anna")
    house.follow().merge()
    assert len(house.archiver.unreadable) == 3
    house.now_ms += (house.config.raw_keep_days + 2) * 86_400_000
    house.merge().merge()
    assert house.archiver.unreadable == ()
    assert house.manifest.erasing == ()


def test_who_was_erased_before_the_file_began_is_let_go_of(house: House) -> None:
    first_seq = house.erase(NOW_MS, "anna")
    house.follow()
    house.track(NOW_MS, view(userId="ben"))
    house.follow()
    spoil(house.files[-1])
    last_seq = house.erase(NOW_MS, "ben")
    assert first_seq < last_seq
    house.follow().merge()
    assert [one.seq for one in house.manifest.erasing] == [last_seq]


def test_a_rebuild_completes_the_erasure(house: House) -> None:
    damaged = house.files[1]
    spoil(damaged)
    house.erase(NOW_MS, "anna")
    house.follow().merge()
    house.close()
    house.journal.close()
    rebuild(house.config, log=lambda *_, **__: None)
    again = House(house.config.data, archive_grace_s=0)
    again.follow().merge()
    assert again.archiver.unreadable == ()
    assert again.manifest.erasing == ()
    assert {row["userId"] for row in again.rows()} == {"ben"}


def test_what_is_to_be_merged_with_it_is_merged_without_it(house: House) -> None:
    while len(house.files) < 2 * FAN:
        house.track(NOW_MS, view(userId="ben"))
        house.follow()
    damaged = house.files[1]
    spoil(damaged)
    house.merge()
    assert damaged in house.files
    assert len(house.files) < FAN
    assert house.log.count("archive file failed") == 1
    house.crash().merge()
    with Merger(house.archiver.store.temp) as merger:
        assert not house.archiver.upkeep(merger)


@pytest.mark.parametrize("has_crcs", [True, False])
def test_a_want_of_handles_is_no_damage(house: House, tmp_path: Path, has_crcs: bool) -> None:
    file = house.manifest.files[0]
    if not has_crcs:
        file = msgspec.structs.replace(file, crcs=())
    with Merger(tmp_path / "temp") as merger:
        path = house.archiver.store.path_of(file)
        assert flaw_of(merger, path, file) is None
        with no_handles(), pytest.raises((OSError, duckdb.Error), match="Too many open files"):
            flaw_of(merger, path, file)
        assert flaw_of(merger, path, file) is None


def test_a_want_of_memory_is_no_damage(house: House, tmp_path: Path) -> None:
    house.track(NOW_MS, *(view(category=f"{n}" * 400) for n in range(1_000)))
    house.follow()
    file = msgspec.structs.replace(house.manifest.files[-1], crcs=())  # DuckDB looks at it
    with (
        Merger(tmp_path / "temp", memory_mb=1) as merger,
        pytest.raises(duckdb.OutOfMemoryException),
    ):
        flaw_of(merger, house.archiver.store.path_of(file), file)
