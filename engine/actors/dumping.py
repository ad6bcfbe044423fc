"""Dumps on their way to disk: written as they are made, never more in memory than has room.

The owner of a state makes one portion at a time, the next one once there is room for it, so a
snapshot never has more than some megabytes in memory. Until its last portion is handed out an
owner does nothing else, so a slow disk holds it up; what changed in a few minutes fits into the
room whole.
"""

from collections.abc import Iterable
from typing import Final

import trio

from engine.actors.slicing import Pace, collected

PORTION_BYTES: Final = 1 << 20
PORTIONS_MAX: Final = 3
"""Of one source at the most: two that wait, and one that is made. One more is being written."""


class DumpAsked:
    """The order to write down what is known at this point of the stream.

    full      what the snapshot asks for; the owner may make it True, before its first portion
    portions  what the owner hands out, at least one portion, until the channel ends. Once it
              is closed the rest is given up, and the next dump must be full
    """

    __slots__ = ("_to_writer", "full", "portions")

    def __init__(self, *, full: bool = False) -> None:
        self.full = full
        self._to_writer, self.portions = trio.open_memory_channel[list[bytes]](PORTIONS_MAX - 1)

    async def hand_out(self, pieces: Iterable[bytes], pace: Pace) -> None:
        """Make the dump, and return once the last of it has left."""
        rest = iter(pieces)
        is_over = False
        with self._to_writer:
            while not is_over:
                portion = await pace.run(collected(rest, bytes_max=PORTION_BYTES))
                is_over = sum(map(len, portion)) < PORTION_BYTES
                try:
                    await self._to_writer.send(portion)
                except trio.BrokenResourceError:
                    return
