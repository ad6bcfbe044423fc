"""What takes a turn of the loop only where there is something to wait for.

Trio's own give everybody else a turn in any case, and an answer that passes through five of
them waits for all that happens to be done in each.
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
