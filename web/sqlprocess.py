"""A process that runs SQL, seen from the server; `persistence.sqlworker` is what runs in it."""

import os
import subprocess
import sys
from contextlib import suppress
from typing import Any, Final

import orjson
import trio

from engine.config import Config
from web import piped

LENGTH_BYTES: Final = 4
START_S: Final = 30.0
"""How long a worker may take to start; it takes 0.3 s."""

COMMAND: Final = (sys.executable, "-m", "persistence.sqlworker")

Json = dict[str, Any]


class Ended(Exception):
    """The worker is gone."""


class Worker:
    """One process, from this side of its pipes."""

    def __init__(self, config: Config) -> None:
        """Start it. Raises NotStarted."""
        words = (str(config.sql_memory_bytes_max), str(config.sql_threads))
        self._process, self._to, self._from = piped.start(
            [*COMMAND, *words],
            stderr=subprocess.DEVNULL,  # a file there would be one that it may not write
            env=environment(),
        )
        self._held = bytearray()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    async def greet(self) -> None:
        """Wait until it is ready. Raises Ended."""
        with trio.move_on_after(START_S):
            await self._message()
            return
        raise Ended

    async def ask(self, question: Json) -> tuple[Json, bytes]:
        """One answer: its head and its body. Raises Ended where the worker ends instead."""
        encoded = orjson.dumps(question)
        try:
            await self._to.send_all(len(encoded).to_bytes(LENGTH_BYTES, "little") + encoded)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            raise Ended from None
        return await self.next()

    async def next(self) -> tuple[Json, bytes]:
        """What it says next. Raises Ended."""
        return await self._message()

    async def _message(self) -> tuple[Json, bytes]:
        length = int.from_bytes(await self._bytes(LENGTH_BYTES), "little")
        head: Json = orjson.loads(await self._bytes(length))
        return head, await self._bytes(head.get("size", 0))

    async def _bytes(self, count: int) -> bytes:
        while len(self._held) < count:
            try:
                some = await self._from.receive_some(max(65_536, count - len(self._held)))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                raise Ended from None
            if not some:
                raise Ended
            self._held += some
        found = bytes(self._held[:count])
        del self._held[:count]
        return found

    async def end(self) -> None:
        """Kill it, and wait until it is gone."""
        with trio.CancelScope(shield=True):
            self._process.kill()
            for stream in (self._to, self._from):
                with suppress(trio.BrokenResourceError):
                    await stream.aclose()
            await trio.to_thread.run_sync(self._process.wait)


def environment() -> dict[str, str]:
    """What a worker knows of the outside: no setting, and so no key."""
    kept = {name: text for name, text in os.environ.items() if "TALLYMARK_" not in name}
    return {**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
