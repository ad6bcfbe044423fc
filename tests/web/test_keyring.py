"""A keyring in trouble goes by what it knew, loses no change, and says so once."""

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import structlog
import trio

from engine.config import Config
from persistence.control import ControlStore
from persistence.database import FILE_NAME
from persistence.keys import KeyStore, digest_of, new_key
from tests.handles import no_growth
from web.keyring import Keyring


class Flaky(KeyStore):
    """A store that cannot be read while it is `broken`."""

    broken = False

    @property
    def changes(self) -> int:
        if self.broken:
            raise sqlite3.OperationalError("disk I/O error")
        return super().changes


@pytest.fixture
def config(tmp_path: Path) -> Config:
    ControlStore.open(tmp_path, now_ms=1).close()
    return Config(data=tmp_path)


async def test_a_change_that_could_not_be_read_is_read_later(config: Config) -> None:
    store = Flaky.open(config.data)
    keyring = Keyring(store, config, admin_key="", now_ms=lambda: 1)
    keyring._begin()
    changed: list[bool] = []
    other = KeyStore.open(config.data)
    with structlog.testing.capture_logs() as lines:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keyring.run, lambda: changed.append(True))
            store.broken = True
            other.add(digest_of(new_key("read")), "read", "", now_ms=1)
            while not lines:
                await trio.testing.wait_all_tasks_blocked(0.01)
            assert not keyring.gate.is_asked
            store.broken = False
            while not other.is_applied:
                await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()
    assert keyring.gate.has_keys
    assert changed
    assert events(lines) == ["keys failed", "keys work again"]
    other.close()
    keyring.close()


async def test_a_start_needs_no_room_and_what_it_owes_is_written_when_there_is_some(
    config: Config,
) -> None:
    other = KeyStore.open(config.data)
    other.add(digest_of(new_key("read")), "read", "", now_ms=1)
    other._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # what is written next has to grow it
    with structlog.testing.capture_logs() as lines:
        with no_growth(beyond_bytes=0):
            keyring = Keyring.open(config, admin_key="", now_ms=lambda: 1)
        assert keyring.gate.has_keys
        assert events(lines) == ["keys failed"]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(keyring.run, lambda: None)
            while len(lines) == 1:
                await trio.testing.wait_all_tasks_blocked(0.01)
            nursery.cancel_scope.cancel()
    assert events(lines) == ["keys failed", "keys work again"]
    assert other._db.execute("SELECT server FROM key_changes").fetchone() == (os.getpid(),)
    other.close()
    keyring.close()


async def test_a_revocation_comes_through_while_others_write_and_the_file_is_held(
    config: Config,
) -> None:
    keyring = Keyring.open(config, admin_key="", now_ms=lambda: 1)
    other = KeyStore.open(config.data)
    kept = [digest_of(new_key("read")) for _ in range(30)]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keyring.run, lambda: None)
        for digest in kept:
            other.add(digest, "read", "", now_ms=1)
            if digest[0] % 2:
                other.revoke(digest, now_ms=2)
            await trio.sleep(0.005)
        holding = sqlite3.connect(config.data / FILE_NAME, isolation_level=None)
        holding.execute("BEGIN IMMEDIATE")  # a reader of the log is not kept waiting by it
        with trio.fail_after(60):
            while len(keyring.gate._keys) != sum(digest[0] % 2 == 0 for digest in kept):
                await trio.testing.wait_all_tasks_blocked(0.01)
        holding.execute("ROLLBACK")
        holding.close()
        nursery.cancel_scope.cancel()
    other.close()
    keyring.close()


def events(lines: list[Any]) -> list[str]:
    return [line["event"] for line in lines]
