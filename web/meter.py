"""Counts answers: how long they took by route, and refusals by route and problem.

Both lanes count each answer here, once, so one meter knows all of them. The names of routes
come from a fixed list, never from a request, so the number of counters stays small.
"""

from collections import Counter
from typing import Final

from engine.distribution import SECONDS, Distribution

NO_ROUTE: Final = "other"
"""The name of what no route answers: an unknown path, a wrong method."""


class Meter:
    """What has been answered since the start.

    answer_s  {route: seconds from the whole head of a request to its answer}
    refusals  {(route, problem): how many}, problems as in docs/problems.md
    """

    def __init__(self) -> None:
        self.answer_s: dict[str, Distribution] = {}
        self.refusals: Counter[tuple[str, str]] = Counter()

    def answered(self, route: str, seconds: float, problem: str = "") -> None:
        """Count one answer.

        route    its path in the table of routes, or NO_ROUTE
        problem  what it was refused for, as `Reply.problem` says it; empty where it was not
        """
        answer_s = self.answer_s.get(route)
        if answer_s is None:
            answer_s = self.answer_s[route] = Distribution(SECONDS)
        answer_s.add(seconds)
        if problem:
            self.refused(route, problem)

    def refused(self, route: str, problem: str) -> None:
        """Count only a refusal, of what never became a request and so was never timed."""
        self.refusals[route, problem] += 1
