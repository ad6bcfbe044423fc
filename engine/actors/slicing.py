"""Long computations in slices, so that nothing else on the loop waits longer than one slice."""

from collections import deque
from collections.abc import Generator, Iterable
from math import inf
from time import perf_counter
from typing import Any, Final, TypeVar

import trio

T = TypeVar("T")


SLICES_A_HOLD: Final = 2.5
"""Two, and half a slice for the steps that end them."""


class _Job:
    """One computation: its steps, and what came of them once it is over.

    told  set when it is over, and when its task has to go on with all that wait
    """

    __slots__ = ("failure", "is_over", "steps", "told", "value")

    def __init__(self, steps: Generator[object, None, Any]) -> None:
        self.steps = steps
        self.told = trio.Event()
        self.is_over = False
        self.value: Any = None
        self.failure: Exception | None = None


class Pace:
    """One slice at a time, for all computations together.

    Otherwise each would take its slice in the same round of the loop, and whatever else is
    ready would wait for all of them. Trio runs a round in any order, so a task that was first
    in one and is last in the next waits for two slices, each a step longer than planned.

    One of the waiting tasks does the steps of all, in the order in which they came. With a turn
    of its own for each task, a question, which is eight computations much shorter than a slice,
    waited for eight rounds of the loop.
    """

    def __init__(self, hold_ms: float) -> None:
        self._slice_s = hold_ms / 1000 / SLICES_A_HOLD
        self._used_s = 0.0
        self._jobs: deque[_Job] = deque()
        self._is_driven = False

    async def run(self, steps: Generator[object, None, T]) -> T:
        """Run a generator to its end and return its value, pausing after each slice."""
        job = _Job(steps)
        self._jobs.append(job)
        if self._is_driven:
            await self._wait(job)
        if not job.is_over:
            await self._drive(job)
        if job.failure is not None:
            raise job.failure
        value: T = job.value
        return value

    async def _wait(self, job: _Job) -> None:
        """Until it is over, or its task has to drive."""
        try:
            await job.told.wait()
        except trio.Cancelled:
            if not job.is_over:
                self._jobs.remove(job)
                if job.told.is_set():
                    self._pass_on()
            raise

    async def _drive(self, job: _Job) -> None:
        """Do the steps of all who wait, in slices, until this one is over."""
        self._is_driven = True
        try:
            while not job.is_over:
                if self._used_s >= self._slice_s:
                    await trio.lowlevel.checkpoint()
                    self._used_s = 0.0
                self._advance(self._jobs[0])
            while self._jobs and self._used_s < self._slice_s:
                self._advance(self._jobs[0])
        finally:
            if not job.is_over:
                self._jobs.remove(job)
            self._pass_on()

    def _pass_on(self) -> None:
        self._is_driven = bool(self._jobs)
        if self._jobs:
            self._jobs[0].told.set()

    def _advance(self, job: _Job) -> None:
        """The steps of the first of them, until it is over or the slice is."""
        started = perf_counter()
        left_s = self._slice_s - self._used_s
        try:
            while True:
                next(job.steps)
                if perf_counter() - started > left_s:
                    break
            self._jobs.rotate(-1)
        except StopIteration as end:
            job.value = end.value
            self._end(job)
        except Exception as failure:
            job.failure = failure
            self._end(job)
        finally:
            self._used_s += perf_counter() - started

    def _end(self, job: _Job) -> None:
        self._jobs.popleft()
        job.is_over = True
        job.told.set()


def collected(
    pieces: Iterable[bytes], *, bytes_max: float = inf
) -> Generator[None, None, list[bytes]]:
    """The pieces as one list, one step each; of an iterator no more once it has `bytes_max`."""
    found = []
    size = 0
    for piece in pieces:
        if piece:
            found.append(piece)
            size += len(piece)
        yield
        if size >= bytes_max:
            break
    return found
