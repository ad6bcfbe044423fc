"""Open-loop arrivals: when each request is meant to be sent, whatever became of those before.

The rate is a course of straight lines; its integral says how many requests have been due at an
instant, and a request is due where that integral reaches its number (even arrivals) or a sum of
exponential gaps of mean 1 (Poisson arrivals). All of it is decided by the seed.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from random import Random
from typing import Literal

Corner = tuple[float, float]
"""(seconds from the start, rate)"""


def due_before(corners: Sequence[Corner], at_s: float) -> float:
    """The integral of the rate up to an instant: how many are due before it, in the mean."""
    due = 0.0
    for before, after in pairwise(corners):
        if before[0] < at_s < after[0]:
            share = (at_s - before[0]) / (after[0] - before[0])
            after = at_s, before[1] + share * (after[1] - before[1])
        if after[0] <= at_s:
            due += _area(before, after)
    return due


def arrivals_ns(
    corners: Sequence[Corner],
    *,
    arrivals: Literal["even", "poisson"],
    seed: int,
    worker: int = 0,
    workers: int = 1,
) -> Iterator[int]:
    """The intended instants of one worker in ns from the start, never falling.

    corners  the course of requests a second
    worker   takes every `workers`th arrival: together they take each once
    """
    numbers = _even() if arrivals == "even" else _poisson(Random(seed))
    place = 0
    due = next(numbers)
    passed = 0.0
    for before, after in pairwise(corners):
        area = _area(before, after)
        # Half-open, so that what is due at a corner is due once, and none at the very end.
        while due < passed + area:
            if place % workers == worker:
                at_s = before[0] + _reached(before, after, due - passed)
                yield int(min(at_s, after[0]) * 1e9)
            place += 1
            due = next(numbers)
        passed += area


def _even() -> Iterator[float]:
    number = 0
    while True:
        yield float(number)
        number += 1


def _poisson(chance: Random) -> Iterator[float]:
    at = 0.0
    while True:
        at += chance.expovariate(1.0)
        yield at


def _area(before: Corner, after: Corner) -> float:
    return (after[0] - before[0]) * (before[1] + after[1]) / 2


def _reached(before: Corner, after: Corner, number: float) -> float:
    """Seconds after `before` at which the integral from there is `number`.

    The root of slope/2 · t² + rate · t = number, in the form that loses no digits where the
    slope is small: t = 2 · number / (rate + sqrt(rate² + 2 · slope · number)).
    """
    slope = (after[1] - before[1]) / (after[0] - before[0])
    inside = max(before[1] ** 2 + 2 * slope * number, 0.0)
    below = before[1] + math.sqrt(inside)
    return 2 * number / below if below > 0 else 0.0
