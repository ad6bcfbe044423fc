"""The control store: what was kept is there after a restart, and two writers do not collide."""

import shutil
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import (
    ChangedMeanwhile,
    DiskFull,
    LimitReached,
    NameTaken,
    UnusableControlStore,
)
from persistence import rowsums
from persistence.control import MIGRATIONS, ControlStore, Entry, Kept, Sketch
from persistence.database import FILE_NAME
from tests.handles import no_growth

ONE = Sketch("a", "One", b"{}")
TWO = Sketch("b", "Two", b"{}")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ControlStore]:
    store = ControlStore.open(tmp_path, now_ms=1)
    yield store
    store.close()


def test_what_was_kept_is_there_after_a_restart(tmp_path: Path) -> None:
    store = ControlStore.open(tmp_path, now_ms=1)
    store.add(ONE, now_ms=2, dashboards_max=9)
    store.put(Entry("services", "s", b"{}", 3), entries_max=9)
    secret = store.secret("share")
    store.close()
    store = ControlStore.open(tmp_path, now_ms=4)
    assert store.dashboards() == [Kept("a", "One", 1, b"{}", None, 2, 2)]
    assert store.entries() == [Entry("services", "s", b"{}", 3)]
    assert store.secret("share") == secret
    assert store.secret("other") != secret
    store.close()


def test_a_new_store_begins_with_what_it_is_given_and_an_old_one_does_not(
    tmp_path: Path,
) -> None:
    store = ControlStore.open(tmp_path, now_ms=1, first=[ONE, TWO])
    assert [kept.name for kept in store.dashboards()] == ["One", "Two"]
    assert store.remove("a", revision=None)
    store.close()
    store = ControlStore.open(tmp_path, now_ms=1, first=[ONE, TWO])
    assert [kept.name for kept in store.dashboards()] == ["Two"]
    store.close()


def test_nobody_but_the_owner_and_its_group_reads_the_file(
    store: ControlStore, tmp_path: Path
) -> None:
    store.add(ONE, now_ms=1, dashboards_max=1)
    for path in tmp_path.iterdir():
        assert not path.stat().st_mode & stat.S_IRWXO, path


def test_a_change_is_refused_where_another_came_first(store: ControlStore) -> None:
    read = store.add(ONE, now_ms=1, dashboards_max=9)
    mine = store.replace(ONE._replace(name="Mine"), now_ms=2, revision=read.revision)
    assert mine is not None
    assert mine.revision == 2
    assert mine.created_ms == 1
    with pytest.raises(ChangedMeanwhile, match="'Mine' was changed since you read it"):
        store.replace(ONE._replace(name="Theirs"), now_ms=3, revision=read.revision)
    with pytest.raises(ChangedMeanwhile):
        store.remove("a", revision=read.revision)
    assert store.dashboard("a") == mine
    assert store.replace(ONE, now_ms=4, revision=None) is not None
    assert store.remove("a", revision=3)


def test_what_is_not_there_is_neither_replaced_nor_removed(store: ControlStore) -> None:
    assert store.replace(ONE, now_ms=1, revision=None) is None
    assert not store.remove("a", revision=None)
    assert store.share("a", b"x") is None
    assert not store.drop("services", "a")


def test_two_dashboards_do_not_have_one_name(store: ControlStore) -> None:
    store.add(ONE, now_ms=1, dashboards_max=9)
    store.add(TWO, now_ms=1, dashboards_max=9)
    with pytest.raises(NameTaken, match="'One' exists already"):
        store.add(Sketch("c", "One", b""), now_ms=2, dashboards_max=9)
    with pytest.raises(NameTaken):
        store.replace(TWO._replace(name="One"), now_ms=2, revision=None)
    assert [kept.name for kept in store.dashboards()] == ["One", "Two"]


def test_there_are_as_many_dashboards_as_there_may_be_and_no_more(store: ControlStore) -> None:
    store.add(ONE, now_ms=1, dashboards_max=1)
    with pytest.raises(LimitReached, match="dashboards_max"):
        store.add(TWO, now_ms=1, dashboards_max=1)


def test_there_are_as_many_entries_as_there_may_be_and_no_more(store: ControlStore) -> None:
    store.put(Entry("services", "a", b"1", 1), entries_max=1)
    store.put(Entry("services", "a", b"2", 1), entries_max=1)  # in place of the first
    with pytest.raises(LimitReached, match="catalog_entries_max"):
        store.put(Entry("experiments", "a", b"3", 1), entries_max=1)
    assert [entry.content for entry in store.entries()] == [b"2"]
    assert store.drop("services", "a")
    assert store.entries() == []


def test_a_share_stays_until_it_is_taken_back(store: ControlStore) -> None:
    store.add(ONE, now_ms=1, dashboards_max=9)
    for share in (b"first", b"second"):
        kept = store.share("a", share)
        assert kept is not None
        assert kept.share == b"first"
    replaced = store.replace(ONE, now_ms=2, revision=None)
    assert replaced is not None
    assert replaced.share == b"first"
    taken_back = store.share("a", None)
    assert taken_back is not None
    assert taken_back.share is None


def test_a_damaged_file_is_named_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(UnusableControlStore, match=f"{FILE_NAME} cannot be used"):
        ControlStore.open(tmp_path, now_ms=1)
    assert path.read_bytes() == b"no database" * 1000


def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    ControlStore.open(tmp_path, now_ms=1).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as db:
        rowsums.install(db)
        db.execute("INSERT INTO migrations VALUES (99, 1)")
    db.close()
    known = len(MIGRATIONS)
    with pytest.raises(UnusableControlStore, match=f"version 99, .* knows up to {known}"):
        ControlStore.open(tmp_path, now_ms=1)


def test_a_full_disk_refuses_the_change_and_keeps_what_was(store: ControlStore) -> None:
    store.add(ONE, now_ms=1, dashboards_max=9)
    (pages,) = store._db.execute("PRAGMA page_count").fetchone()
    store._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(DiskFull):
        store.add(TWO._replace(content=bytes(1_000_000)), now_ms=1, dashboards_max=9)
    assert [kept.name for kept in store.dashboards()] == ["One"]
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.add(TWO, now_ms=2, dashboards_max=9)


def test_where_no_file_may_grow_a_change_is_refused_and_a_start_is_not(
    tmp_path: Path,
) -> None:
    """As under a quota that is used up: SQLite calls both an error of writing."""
    killed, life = tmp_path / "killed", tmp_path / "life"
    killed.mkdir()
    store = ControlStore.open(killed, now_ms=1)
    store.add(ONE, now_ms=2, dashboards_max=9)
    shutil.copytree(killed, life)  # as a kill leaves it: the change is in the log alone
    store.close()
    with no_growth(beyond_bytes=(life / f"{FILE_NAME}-shm").stat().st_size):
        store = ControlStore.open(life, now_ms=3)
        with pytest.raises(DiskFull, match="make room on the disk, or in its quota"):
            store.add(TWO, now_ms=4, dashboards_max=9)
    assert [kept.name for kept in store.dashboards()] == ["One"]
    store.add(TWO, now_ms=5, dashboards_max=9)
    store.close()


def test_where_there_is_no_room_for_one_that_is_said_and_nothing_of_damage(
    tmp_path: Path,
) -> None:
    with no_growth(beyond_bytes=0), pytest.raises(DiskFull, match="make room on the disk"):
        ControlStore.open(tmp_path, now_ms=1)
    ControlStore.open(tmp_path, now_ms=1).close()


def test_what_is_no_file_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).mkdir()
    with pytest.raises(UnusableControlStore, match="unable to open database file"):
        ControlStore.open(tmp_path, now_ms=1)
