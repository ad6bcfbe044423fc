"""Keys at rest: digests alone, and changes that another process sees at once."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from engine.errors import InvalidSetting, LimitReached
from persistence import keyfile, keys
from persistence.control import ControlStore
from persistence.keys import (
    KEY,
    ROLES,
    Entry,
    KeyStore,
    Role,
    SessionEntry,
    digest_of,
    new_key,
    role_of,
)
from tests.persistence.test_rowsums import store_of_version
from tests.server import ROOT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ControlStore.open(tmp_path, now_ms=1).close()
    return tmp_path


@pytest.fixture
def store(folder: Path) -> Iterator[KeyStore]:
    store = KeyStore.open(folder)
    yield store
    store.close()


def test_a_start_after_a_kill_needs_no_room(tmp_path: Path) -> None:
    lives = [tmp_path / name for name in ("first", "second", "third")]
    lives[0].mkdir()
    for life, next_life in pairwise(lives):
        control, keys = ControlStore.open(life, now_ms=1), KeyStore.open(life)
        keys.acknowledge(keys.changes)
        shutil.copytree(life, next_life)  # as a kill leaves it
        sizes = {path.name: path.stat().st_size for path in next_life.iterdir()}
        control.close()
        keys.close()
    control, keys = ControlStore.open(lives[-1], now_ms=2), KeyStore.open(lives[-1])
    keys.acknowledge(keys.changes)
    assert {path.name: path.stat().st_size for path in lives[-1].iterdir()} == sizes
    control.close()
    keys.close()


@pytest.mark.parametrize("role", ROLES)
def test_a_key_says_what_it_may_and_no_two_are_alike(role: Role) -> None:
    made = {new_key(role) for _ in range(1_000)}
    assert len(made) == 1_000
    assert all(KEY.fullmatch(key) and role_of(key) == role for key in made)
    assert {len(key) for key in made} == {48}


def test_each_letter_of_a_key_is_as_good_as_random() -> None:
    text = "".join(new_key("read")[5:47] for _ in range(1_000))  # the last holds fewer bits
    assert len(set(text)) == 62
    assert max(map(text.count, set(text))) < 2 * len(text) / 62


@pytest.mark.parametrize(
    "text", ["", "tm_w_", "tm_x_" + "a" * 43, "tm_w_" + "a" * 42, "tm_w_" + "a" * 44, " tm_w_"]
)
def test_what_is_no_key_has_no_role(text: str) -> None:
    assert role_of(text) is None


def test_no_file_of_the_store_holds_a_key(store: KeyStore, folder: Path) -> None:
    key = new_key("admin")
    store.add(digest_of(key), "admin", "", now_ms=1)
    found = [path.read_bytes() for path in folder.iterdir()]
    assert any(digest_of(key) in content for content in found)
    assert not any(key.encode() in content or key[5:].encode() in content for content in found)


def test_a_key_is_kept_until_it_is_revoked_and_listed_after(store: KeyStore) -> None:
    one, two = (digest_of(new_key("read")) for _ in range(2))
    store.add(one, "read", "Grafana", now_ms=1)
    store.add(two, "read", "", now_ms=2)
    store.put_session(SessionEntry(b"s", one, 99))
    store.put_session(SessionEntry(b"t", two, 99))
    store.revoke(one, now_ms=3)
    store.revoke(one, now_ms=4)
    store.note_uses({two: 5})
    assert store.entries() == [
        Entry(one, "read", "Grafana", 1, revoked_ms=3),
        Entry(two, "read", "", 2, used_ms=5),
    ]
    assert store.sessions() == [SessionEntry(b"t", two, 99)]


def test_keys_have_a_limit_for_which_revoked_ones_do_not_count(
    store: KeyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "KEYS_MAX", 1)
    store.add(b"1", "read", "", now_ms=1)
    with pytest.raises(LimitReached):
        store.add(b"2", "read", "", now_ms=1)
    store.revoke(b"1", now_ms=2)
    store.add(b"2", "read", "", now_ms=2)


def test_a_server_sees_what_a_command_changes_and_the_command_that_it_did(
    store: KeyStore, folder: Path
) -> None:
    assert store.is_applied, "no server runs"
    server = KeyStore.open(folder)
    server.acknowledge(server.changes)
    server.has_changed()
    assert not server.has_changed()
    store.add(b"1", "read", "", now_ms=1)
    assert server.has_changed()
    assert not server.has_changed()
    assert not store.is_applied
    server.acknowledge(server.changes)
    assert store.is_applied
    store.revoke(b"1", now_ms=1)
    server.leave()
    assert store.is_applied
    server.close()


def test_a_store_of_before_there_were_keys_gets_them(tmp_path: Path) -> None:
    with store_of_version(1, tmp_path) as db:
        assert db.execute(
            "SELECT count(*) FROM sqlite_schema WHERE name = 'keys'"
        ).fetchone() == (0,)
    ControlStore.open(tmp_path, now_ms=1).close()
    store = KeyStore.open(tmp_path)
    assert store.entries() == []
    store.close()


def test_a_connection_that_comes_and_goes_leaves_the_others_what_they_had(
    folder: Path,
) -> None:
    first, second = ControlStore.open(folder, now_ms=1), KeyStore.open(folder)
    # Another process, for it is the locks between processes that count.
    command = (
        "import pathlib, sys; from persistence.keys import KeyStore;"
        "store = KeyStore.open(pathlib.Path(sys.argv[1]));"
        "store.add(b'1', 'read', '', now_ms=1); store.close()"
    )
    second.has_changed()
    subprocess.run([sys.executable, "-c", command, folder], check=True, cwd=ROOT)
    assert second.has_changed()
    assert [entry.digest for entry in second.entries()] == [b"1"]
    assert (folder / "control.db-wal").exists()
    first.close()
    second.close()


# -- the file of keys ------------------------------------------------------------------------


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_file_has_a_key_a_line_with_its_label(tmp_path: Path) -> None:
    write, read = new_key("write"), new_key("read")
    path = written(tmp_path / "keys", f"# shop\n{write} the shop # since May\n\n{read}\n")
    shop, other = keyfile.read(path)
    assert (shop.digest, shop.role, shop.label) == (digest_of(write), "write", "the shop")
    assert (other.digest, other.role) == (digest_of(read), "read")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_file_that_others_reach_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(InvalidSetting, match="chmod 600"):
        keyfile.read(written(tmp_path / "keys", new_key("read"), mode))


def test_a_line_that_is_no_key_is_named_and_not_shown(tmp_path: Path) -> None:
    secret = new_key("read")[:-1]
    with pytest.raises(InvalidSetting, match="line 2 of the keys file") as refused:
        keyfile.read(written(tmp_path / "keys", f"{new_key('read')}\n{secret}\n"))
    assert secret not in str(refused.value)


def test_the_variable_of_the_admin_key_holds_one_or_nothing() -> None:
    (entry,) = keyfile.of_environment(new_key("admin"), "VARIABLE")
    assert (entry.role, entry.label) == ("admin", "VARIABLE")
    assert keyfile.of_environment("", "VARIABLE") == []
    with pytest.raises(InvalidSetting, match="VARIABLE holds a key that may read"):
        keyfile.of_environment(new_key("read"), "VARIABLE")


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read: No such file"):
        keyfile.read(tmp_path / "nowhere")
