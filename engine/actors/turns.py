"""Waiting that gives up the turn of the event loop only when there is something to wait for.

Trio's own primitives give everybody else a turn in any case, and an answer that passes through
five of them waits for whatever happens to be done in each of those turns.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio


@asynccontextmanager
async def held(lock: trio.Lock) -> AsyncIterator[None]:
    """Hold a lock; whoever waits for it already has it first."""
    try:
        lock.acquire_nowait()
    except trio.WouldBlock:
        await lock.acquire()
    try:
        yield
    finally:
        lock.release()
