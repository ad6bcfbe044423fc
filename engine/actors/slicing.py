"""Long computations in slices, so that nobody else on the loop waits longer than one."""

from collections.abc import Generator, Iterable
from time import perf_counter
from typing import Final, TypeVar

import trio

T = TypeVar("T")


SLICES_A_HOLD: Final = 2.5
"""Two, and half a slice for the steps that end them."""


class Pace:
    """One slice at a time: shards that work on one question take turns.

    Else each would take its slice in the same round of the loop, and whoever else is ready
    would wait for all of them. Trio runs a round in any order, so who was first in one and is
    last in the next waits for two slices, and each ends with the step that went beyond it.
    """

    def __init__(self, hold_ms: float) -> None:
        self._slice_s = hold_ms / 1000 / SLICES_A_HOLD
        self._turn = trio.Lock()

    async def run(self, steps: Generator[object, None, T]) -> T:
        """Run a generator to its end and return its value, pausing after each slice."""
        while True:
            async with self._turn:
                pause_at = perf_counter() + self._slice_s
                while True:
                    try:
                        next(steps)
                    except StopIteration as end:
                        value: T = end.value
                        return value
                    if perf_counter() > pause_at:
                        break
            await trio.lowlevel.checkpoint()


def collected(pieces: Iterable[bytes]) -> Generator[None, None, list[bytes]]:
    """The pieces as one list, one step each."""
    found = []
    for piece in pieces:
        if piece:
            found.append(piece)
        yield
    return found
