"""Blocking calls inside Trio's loop, switched at every call to the disk: repeatable threads.

A thread of its own would run whenever the system lets it, and a clock that jumps would not
wait for it. Here a blocking call is a greenlet that the task which waits for it resumes; at
each call to the disk it gives the loop back, and the task sleeps, by Trio's clock, for as long
as the disk is said to take. So two such calls interleave with each other and with all tasks,
in an order that a seed decides.
"""

from collections.abc import Callable
from typing import Any

import greenlet
import trio


class Fibers:
    """`run` takes the place of `trio.to_thread.run_sync`, `pause` stands in every disk call.

    latency_s  how long a call of this name takes
    """

    def __init__(self, latency_s: Callable[[str], float]) -> None:
        self._latency_s = latency_s
        self._loop: greenlet.greenlet | None = None

    async def run(
        self, call: Callable[..., Any], *args: object, limiter: trio.CapacityLimiter
    ) -> Any:
        """Run `call` to its end; like a thread it is never abandoned."""
        async with limiter:
            with trio.CancelScope(shield=True):
                fiber = greenlet.greenlet(call)
                asked = self._resumed(fiber, *args)
                while not fiber.dead:
                    latency_s = self._latency_s(asked)
                    if latency_s:
                        await trio.sleep(latency_s)
                    else:
                        await trio.lowlevel.checkpoint()
                    asked = self._resumed(fiber)
                return asked

    def _resumed(self, fiber: greenlet.greenlet, *args: object) -> Any:
        """Let it go on; what its next disk call is named, or what it returned."""
        self._loop = greenlet.getcurrent()
        try:
            return fiber.switch(*args)
        finally:
            self._loop = None

    def pause(self, call: str) -> None:
        """Give the loop back, if this runs in a fiber; outside of one nothing happens."""
        if self._loop is not None:
            self._loop.switch(call)
