"""Events per second, over the last few seconds."""

from collections import deque
from typing import Final

RATE_S: Final = 10
"""Seconds over which the rate of events is measured."""


class Rate:
    """Events a second, over the last seconds."""

    def __init__(self) -> None:
        self._seconds: deque[tuple[int, int]] = deque(maxlen=RATE_S + 1)

    def add(self, events: int, now_s: float) -> None:
        """Count events acknowledged now."""
        second = int(now_s)
        if self._seconds and self._seconds[-1][0] == second:
            events += self._seconds.pop()[1]
        self._seconds.append((second, events))

    def per_second(self, now_s: float) -> float:
        """The mean over the last RATE_S full seconds."""
        now = int(now_s)
        return sum(n for second, n in self._seconds if now - RATE_S <= second < now) / RATE_S
