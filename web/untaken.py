"""Answers that whoever asked has not taken yet: how many bytes of them may lie here."""

from typing import Final

from engine.errors import Overloaded

SMALL_BYTES_MAX: Final = 64 * 1024
"""An answer up to here is counted and never refused; the sockets hold most of it."""


class Untaken:
    """What lies here, of both lanes together.

    bytes_max  beyond it no large answer is begun, unless nothing else lies here
    bytes      of answers that are made and have not gone out
    """

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self.bytes = 0

    def must_have_room(self, size: int) -> None:
        """Raises Overloaded where an answer of this size is too much beside the others."""
        if size > SMALL_BYTES_MAX and self.bytes and self.bytes + size > self._bytes_max:
            raise Overloaded(
                "Too many answers are waiting for their clients to read them. Try again in a "
                "second."
            )
