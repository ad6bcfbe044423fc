"""Room for large requests: so many bytes at a time, in the order of arrival."""

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from engine.actors.queue import ROOM_WAIT_S
from engine.errors import Overloaded


class Held:
    """What one request holds of a room, until it has been answered."""

    def __init__(self, room: "Room", size_bytes: int) -> None:
        self._room = room
        self.size_bytes = size_bytes

    def shrink(self, size_bytes: int) -> None:
        """Give back what turns out not to be needed."""
        freed_bytes = self.size_bytes - min(self.size_bytes, size_bytes)
        self.size_bytes -= freed_bytes
        self._room.give_back(freed_bytes)


class Room:
    """At most `bytes_max` bytes, or one request larger than that."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._waiting: deque[tuple[int, trio.Event]] = deque()
        self.bytes = 0

    @asynccontextmanager
    async def hold(self, size_bytes: int) -> AsyncIterator[Held]:
        """Hold so many bytes, waiting for them if need be.

        Raises Overloaded where there was no room for a second.
        """
        await self._enter(size_bytes)
        held = Held(self, size_bytes)
        try:
            yield held
        finally:
            held.shrink(0)

    async def _enter(self, size_bytes: int) -> None:
        if not self._waiting and self._fits(size_bytes):
            self.bytes += size_bytes
            return
        turn = (size_bytes, trio.Event())
        self._waiting.append(turn)
        try:
            with trio.move_on_after(ROOM_WAIT_S):
                await turn[1].wait()
        finally:
            if not turn[1].is_set():
                self._waiting.remove(turn)
                self.give_back(0)  # who stood behind may fit
        if not turn[1].is_set():
            raise Overloaded("Too many large requests are under way. Try again in a second.")

    def give_back(self, freed_bytes: int) -> None:
        """Let those in who fit now, in their order."""
        self.bytes -= freed_bytes
        while self._waiting and self._fits(self._waiting[0][0]):
            size_bytes, entered = self._waiting.popleft()
            self.bytes += size_bytes
            entered.set()

    def _fits(self, size_bytes: int) -> bool:
        return not self.bytes or self.bytes + size_bytes <= self._bytes_max
