"""Keeps the gate up to date with the keys of the store, of a file and of the environment.

Keys change while the server runs: `tallymark keys` writes to the store from a process of its
own, and somebody may edit the file. Both are checked every LOOK_S, and a command that has
changed a key is told once the server acts on it.
"""

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

import structlog
import trio

from engine.config import Config
from engine.errors import DiskFull, InvalidSetting, TallymarkError
from engine.resolving import ADMIN_KEY_VARIABLE
from persistence import keyfile
from persistence.keys import Entry, KeyStore
from web.access import is_loopback
from web.gate import Gate
from web.grants import Key

LOOK_S: Final = 0.1
"""Between two looks whether keys have changed; one costs some 50 µs, most of it in a thread."""

WRITE_DOWN_S: Final = 60.0
"""Between two times that last uses of keys are written down, and what is over is dropped."""

_T = TypeVar("_T")

log = structlog.get_logger()


class Keyring:
    """The keys of one server; `run` belongs in its life.

    gate  acts on them
    """

    def __init__(
        self, store: KeyStore, config: Config, *, admin_key: str, now_ms: Callable[[], int]
    ) -> None:
        is_exposed = not (is_loopback(config.host) or config.allow_public)
        self.gate = Gate(config, now_ms=now_ms, is_exposed=is_exposed)
        self._store = store
        self._now_ms = now_ms
        self._given = keyfile.of_environment(admin_key, ADMIN_KEY_VARIABLE)
        self._file = Path(config.keys_file) if config.keys_file else None
        self._file_keys: list[Entry] = []
        self._file_stamp: tuple[int, ...] = ()
        self._seen_changes = 0
        self._acknowledged: int | None = None
        self._is_stale = False  # something has changed, and has not been read yet
        self._trouble: str | None = None
        self._thread = trio.CapacityLimiter(1)

    @classmethod
    def open(cls, config: Config, *, admin_key: str, now_ms: Callable[[], int]) -> Self:
        """Over the control store of the data folder, which is there. Blocks.

        Raises InvalidSetting where a key that is given is none, or its file is open to others.
        """
        store = KeyStore.open(config.data)
        try:
            keyring = cls(store, config, admin_key=admin_key, now_ms=now_ms)
            keyring._begin()
        except BaseException:
            store.close()
            raise
        return keyring

    def close(self) -> None:
        """Write down what is known of uses, and close the store. Blocks."""
        try:
            self._write_down(self.gate.uses(), [])
            self._store.leave()
        except (TallymarkError, sqlite3.DatabaseError) as error:
            self._tell(str(error))
        self._store.close()

    async def run(self, on_change: Callable[[], None]) -> None:
        """Look for changes until cancelled; `on_change` after each, and where one may be."""
        write_down_s = trio.current_time() + WRITE_DOWN_S
        while True:
            await trio.sleep(LOOK_S)
            try:
                found = await self._in_thread(self._changed)
                if found is not None:
                    self.gate.take(found)
                    on_change()
                if self._acknowledged != self._seen_changes:
                    await self._in_thread(self._acknowledge)
                if trio.current_time() > write_down_s:
                    write_down_s = trio.current_time() + WRITE_DOWN_S
                    uses, over = self.gate.uses(), self.gate.visits.ended_sessions()
                    on_change()
                    await self._in_thread(partial(self._write_down, uses, over))
            except (TallymarkError, sqlite3.DatabaseError) as error:  # full, held, damaged
                self._tell(str(error))
            else:
                self._tell(None)

    def _tell(self, trouble: str | None) -> None:
        """Log what is wrong, once, and once that it no longer is."""
        if trouble is not None and trouble != self._trouble:
            log.warning("keys failed", reason=trouble)
        elif trouble is None and self._trouble is not None:
            log.info("keys work again")
        self._trouble = trouble

    async def sign_in(self, key: Key) -> str:
        """The token of a new session, which outlives a restart. Raises DiskFull."""
        token, entry = self.gate.visits.new_session(key)
        await self._in_thread(partial(self._store.put_session, entry))
        return token

    async def sign_out(self, token: str) -> None:
        """End a session."""
        digest = self.gate.visits.end_session(token)
        if digest is not None:
            await self._in_thread(partial(self._store.drop_sessions, [digest]))

    # -- blocking, in the thread ---------------------------------------------------------------

    def _begin(self) -> None:
        if self._file is not None:
            self._file_stamp = self._stamp(self._file)
            self._file_keys = keyfile.read(self._file)
        self._store.has_changed()
        self._seen_changes = self._store.changes
        self.gate.take(self._entries())
        self.gate.take_sessions(self._store.sessions())
        try:
            self._acknowledge()
        except DiskFull as refusal:  # `run` tries again; a start needs no room
            self._tell(str(refusal))

    def _entries(self) -> list[Entry]:
        return [*self._given, *self._file_keys, *self._store.entries()]

    def _changed(self) -> list[Entry] | None:
        """All keys, where there may be others than before."""
        if self._has_new_file() | self._store.has_changed():
            self._is_stale = True
        if not self._is_stale:
            return None
        changes, entries = self._store.changes, self._entries()
        self._seen_changes, self._is_stale = changes, False
        return entries

    def _has_new_file(self) -> bool:
        if self._file is None:
            return False
        stamp = self._stamp(self._file)
        if stamp == self._file_stamp:
            return False
        self._file_stamp = stamp
        try:
            self._file_keys = keyfile.read(self._file)
        except InvalidSetting as error:
            log.warning("keys file failed", reason=f"{error} The keys of before still work.")
            return False
        return True

    @staticmethod
    def _stamp(path: Path) -> tuple[int, ...]:
        try:
            found = path.stat()
        except OSError:
            return ()
        return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns

    def _acknowledge(self) -> None:
        self._store.acknowledge(self._seen_changes)
        self._acknowledged = self._seen_changes

    def _write_down(self, uses: list[bytes], over: list[bytes]) -> None:
        if uses:
            self._store.note_uses(dict.fromkeys(uses, self._now_ms()))
        if over:
            self._store.drop_sessions(over)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        return await trio.to_thread.run_sync(work, limiter=self._thread)
