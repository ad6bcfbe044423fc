"""Long computations in slices, so that nobody else on the loop waits longer than one."""

from collections.abc import Generator
from time import perf_counter
from typing import TypeVar

import trio

T = TypeVar("T")


async def sliced(steps: Generator[object, None, T], *, slice_ms: int) -> T:
    """Run a generator to its end and return its value, pausing after each `slice_ms`."""
    slice_s = slice_ms / 1000
    pause_at = perf_counter() + slice_s
    while True:
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value
        if perf_counter() > pause_at:
            await trio.lowlevel.checkpoint()
            pause_at = perf_counter() + slice_s


def collected(pieces: Generator[bytes, None, None]) -> Generator[None, None, list[bytes]]:
    """The pieces of a dump as one list, one step each."""
    found = []
    for piece in pieces:
        if piece:
            found.append(piece)
        yield
    return found
