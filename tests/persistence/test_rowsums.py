"""A changed letter of the control store is found, and what is sound is never called damaged."""

import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random

import pytest

from engine.errors import NameTaken, UnusableControlStore
from persistence import database, rowsums, wal
from persistence.control import MIGRATIONS, ControlStore, Entry, Sketch
from persistence.database import FILE_NAME, LOG_ENDING
from persistence.journal import JOURNAL_FOLDER
from persistence.keys import KeyStore, SessionEntry
from persistence.soundness import damages

LETTERS = "a name that nobody else has"


def fill(folder: Path, rng: Random, steps: int) -> None:
    """Change all that can be changed, by chance; the last connection closes."""
    store, keys = ControlStore.open(folder, now_ms=1), KeyStore.open(folder)
    keys.add(rng.randbytes(32), "read", LETTERS, now_ms=1)

    def add(name: str, step: int) -> None:
        if store.dashboard(name) is None:
            store.add(Sketch(name, name, b"{}"), now_ms=step, dashboards_max=99)

    def use(_: str, step: int) -> None:
        digests = [one.digest for one in keys.entries()]
        keys.note_uses(dict.fromkeys(digests, step))
        keys.revoke(rng.choice(digests), now_ms=step)
        keys.acknowledge(keys.changes)

    def put(name: str, step: int) -> None:
        store.put(Entry("services", name, rng.randbytes(9), step), entries_max=99)

    def sign_in(_: str, step: int) -> None:
        keys.put_session(SessionEntry(rng.randbytes(32), b"key", step))

    changes: list[Callable[[str, int], object]] = [
        add,
        add,
        put,
        put,
        use,
        sign_in,
        lambda name, step: store.replace(Sketch(name, name, b"1"), now_ms=step, revision=None),
        lambda name, _: store.remove(name, revision=None),
        lambda name, _: store.share(name, rng.choice((None, b"share"))),
        lambda name, _: store.drop("services", name),
        lambda name, _: store.secret(name),
        lambda name, step: keys.add(rng.randbytes(32), "read", name, now_ms=step),
        lambda *_: keys.drop_sessions([one.digest for one in keys.sessions()[:2]]),
    ]
    for step in range(steps):
        rng.choice(changes)(f"{LETTERS} {rng.randrange(8)}", step)
    keys.close()
    store.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    (folder / JOURNAL_FOLDER).mkdir(parents=True)
    return folder


@contextmanager
def store_of_version(version: int, folder: Path) -> Iterator[sqlite3.Connection]:
    """A store as a former release made it, to be filled."""
    db = sqlite3.connect(folder / FILE_NAME)
    with db:
        db.execute("CREATE TABLE migrations (version INTEGER PRIMARY KEY, applied_ms INTEGER)")
        for number, statements in enumerate(MIGRATIONS[:version], 1):
            for statement in statements:
                db.execute(statement)
            db.execute("INSERT INTO migrations VALUES (?, 1)", (number,))
        yield db
    db.close()


def content(folder: Path) -> list[object]:
    """All that the tables hold, read from a copy with its log."""
    copy = folder.with_name("copy")
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    db = sqlite3.connect(copy / FILE_NAME)
    db.text_factory = bytes
    try:
        names = db.execute("SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall()
        tables = [name.decode() for kind, name, _ in names if kind == b"table"]
        return names + [db.execute(f"SELECT * FROM {one}").fetchall() for one in tables]
    finally:
        db.close()


def spoilt(path: Path, places: Iterator[int] | list[int]) -> Iterator[int]:
    """Flip one bit after another, each in the sound file."""
    sound = path.read_bytes()
    for place in places:
        changed = bytearray(sound)
        changed[place] ^= 1 << place % 8
        path.write_bytes(bytes(changed))
        yield place
    path.write_bytes(sound)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_done_to_a_store_it_is_sound(data: Path, seed: int) -> None:
    rng = Random(seed)
    for _ in range(2):
        fill(data, rng, 150)
        assert list(damages(data)) == []
    ControlStore.open(data, now_ms=1).close()


def test_a_byte_that_is_flipped_is_found_or_holds_nothing(data: Path) -> None:
    fill(data, Random(1), 300)
    path, sound, found = data / FILE_NAME, content(data), 0
    rng = Random(2)
    for place in spoilt(path, [rng.randrange(path.stat().st_size) for _ in range(500)]):
        told = list(damages(data))
        assert {one.path for one in told} <= {path}
        assert told or content(data) == sound, place
        found += bool(told)
    assert found > 50  # most bytes of a page are free


def test_each_letter_of_a_text_counts(data: Path) -> None:
    fill(data, Random(3), 300)
    path = data / FILE_NAME
    at = path.read_bytes().index(LETTERS.encode())
    for place in spoilt(path, list(range(at, at + len(LETTERS)))):
        told = list(damages(data))
        assert [one.path for one in told] == [path] * len(told), place
        assert told, place
        with pytest.raises(UnusableControlStore, match=re.escape(f"{path} ")):
            ControlStore.open(data, now_ms=1)


def test_a_store_with_a_changed_letter_is_not_opened_and_is_named(data: Path) -> None:
    store = ControlStore.open(data, now_ms=1)
    store.put(Entry("services", "s-1", b'{"name":"Walnut"}', 1), entries_max=9)
    store.close()
    path = data / FILE_NAME
    path.write_bytes(path.read_bytes().replace(b"Walnut", b"Walnus"))
    with pytest.raises(UnusableControlStore, match=r"'services/s-1' of catalog is not what"):
        ControlStore.open(data, now_ms=2)


def test_a_row_that_went_or_came_by_other_hands_is_found(data: Path) -> None:
    store = ControlStore.open(data, now_ms=1)
    store.add(Sketch("a", "One", b"{}"), now_ms=1, dashboards_max=9)
    store.close()
    db = sqlite3.connect(data / FILE_NAME)
    with pytest.raises(sqlite3.OperationalError, match=f"no such function: {rowsums.FUNCTION}"):
        db.execute("UPDATE dashboards SET name = 'Two'")
    for trigger in ("removed", "changed", "added"):
        db.execute(f"DROP TRIGGER dashboards_{trigger}")
    db.execute("DELETE FROM dashboards")
    db.execute("INSERT INTO dashboards VALUES ('b', 'B', 1, x'', NULL, 1, 1)")
    db.commit()
    db.close()
    assert [one.reason for one in damages(data)] == [
        "its schema is not what was written",
        "the row 'b' of dashboards is not what was written",
        "the row 'a' of 'dashboards' is gone",
    ]


def test_a_store_of_before_there_were_checksums_gets_them(data: Path) -> None:
    with store_of_version(2, data) as db:
        db.execute("INSERT INTO secrets VALUES ('share', x'00ff')")
    assert list(damages(data)) == []
    ControlStore.open(data, now_ms=2).close()
    assert list(damages(data)) == []
    path = data / FILE_NAME
    path.write_bytes(path.read_bytes().replace(b"share\x00\xff", b"share\x00\xfe"))
    (one,) = damages(data)
    assert one.reason == "the row 'share' of secrets is not what was written"


def test_changes_of_others_while_rows_are_compared_are_no_damage(data: Path) -> None:
    store = ControlStore.open(data, now_ms=1)
    db, numbers = database.connect(data / FILE_NAME), count()

    def change(_: str) -> None:
        entry = Entry("services", f"s-{next(numbers)}", b"{}", 1)
        store.put(entry, entries_max=999)

    db.set_trace_callback(change)  # before each statement
    assert list(rowsums.flaws_of(db)) == []
    assert next(numbers) > len(rowsums.KEYS)
    db.set_trace_callback(None)
    store.put(Entry("services", "one more", b"{}", 1), entries_max=999)
    assert ("one more",) in db.execute("SELECT id FROM catalog").fetchall()
    db.close()
    store.close()


# -- the write-ahead log ----------------------------------------------------------------------


@pytest.fixture
def killed(data: Path, tmp_path: Path) -> Path:
    """A folder as a killed process leaves it: changes are in the log alone."""
    ControlStore.open(data, now_ms=1).close()
    store = ControlStore.open(data, now_ms=1)
    for number in range(5):
        store.put(Entry("services", f"s-{number}", b"{}", 1), entries_max=9)
    folder = Path(shutil.copytree(data, tmp_path / "killed"))
    store.close()
    (folder / f"{FILE_NAME}-shm").unlink(missing_ok=True)
    return folder


def frames_of(log: Path) -> list[int]:
    """Where each begins."""
    content = log.read_bytes()
    size = wal.FRAME.size + wal.HEADER.unpack_from(content)[2]
    return list(range(wal.HEADER.size, len(content), size))


def test_a_log_of_a_killed_process_is_sound_and_so_is_a_torn_one(killed: Path) -> None:
    log = killed / (FILE_NAME + LOG_ENDING)
    whole = log.read_bytes()
    assert list(damages(killed)) == []
    for size_bytes in (0, 1, 32, 100, len(whole) // 2, len(whole) - 1):
        log.write_bytes(whole[:size_bytes])
        assert list(damages(killed)) == [], size_bytes


def test_a_byte_that_is_flipped_in_the_log_is_found_where_it_would_cost_a_change(
    killed: Path,
) -> None:
    log, sound = killed / (FILE_NAME + LOG_ENDING), content(killed)
    frames = frames_of(log)
    rng = Random(5)
    places = [*range(4), *range(8, 60), *(rng.randrange(frames[-1]) for _ in range(200))]
    for place in spoilt(log, places):
        told = list(damages(killed))
        assert [one.path for one in told] == [log] * len(told)
        if told:
            assert told[0].offset_bytes <= place
            with pytest.raises(UnusableControlStore, match=f"{log.name} is damaged: at byte"):
                ControlStore.open(killed, now_ms=1)
        else:
            assert content(killed) == sound, place
        assert told or place in range(4, 24), place


def test_a_bit_of_the_head_of_any_frame_but_the_last_is_found(killed: Path) -> None:
    """Its checksum too, which the next frame goes on from."""
    log = killed / (FILE_NAME + LOG_ENDING)
    whole = log.read_bytes()
    for at in frames_of(log)[:-1]:
        for place in range(at, at + wal.FRAME.size):
            flipped = bytearray(whole)
            flipped[place] ^= 0x10
            flaw = wal.flaw_of(bytes(flipped))
            assert flaw is not None, place - at
            assert flaw.offset_bytes == at


def test_what_a_dead_transaction_left_behind_a_newer_one_is_no_damage(killed: Path) -> None:
    """Frames of one that never committed, longer than the one that was written over it."""
    log = killed / (FILE_NAME + LOG_ENDING)
    whole, frames = log.read_bytes(), frames_of(log)
    dead = bytearray(whole)
    for at in frames:
        dead[at + 4 : at + 8] = bytes(4)  # nothing commits
    assert wal.flaw_of(whole[: frames[2]] + bytes(dead[frames[2] :])) is None


def test_a_log_that_cannot_be_read_is_told_as_damage_is(data: Path) -> None:
    ControlStore.open(data, now_ms=1).close()
    log = data / (FILE_NAME + LOG_ENDING)
    log.mkdir()
    with pytest.raises(UnusableControlStore, match=f"{log.name} cannot be used: .*directory"):
        ControlStore.open(data, now_ms=1)
    (told,) = damages(data)
    assert told == (log, 0, "it cannot be read: Is a directory")


def test_a_store_that_cannot_be_read_is_told_as_damage_is(data: Path) -> None:
    (data / FILE_NAME).mkdir()
    (told,) = damages(data)
    assert told == (data / FILE_NAME, 0, "it cannot be read: Is a directory")


def test_a_name_that_is_taken_is_still_told_from_damage(data: Path) -> None:
    store = ControlStore.open(data, now_ms=1)
    store.add(Sketch("a", "One", b"{}"), now_ms=1, dashboards_max=9)
    with pytest.raises(NameTaken):
        store.add(Sketch("b", "One", b"{}"), now_ms=1, dashboards_max=9)
    store.close()
    assert list(damages(data)) == []
