"""How much somebody may do per second: buckets that fill evenly and may go into debt.

A bucket is one number, the instant at which it will be full again (the virtual scheduling of
GCRA, ITU-T I.371), so a hundred thousand of them are a dictionary of floats. Whoever has one
unit left is let in, and pays afterwards for what the request turned out to be; so a batch
larger than the bucket is taken, and the requests after it wait for it.
"""

from collections.abc import Callable, Hashable
from math import ceil
from typing import Final

from web.errors import RateLimited

HOLDERS_MAX: Final = 65_536
"""Buckets that are remembered: those that are not full."""


EPSILON_S: Final = 1e-6
"""The error that adding up floats may make."""


def free(_events: int) -> None:
    """What is called with events where nothing is limited."""


class Rates:
    """One limit for each of many holders.

    name     as the RateLimit fields call it
    per_s    units a second, above 0
    burst_s  seconds of it that a full bucket holds, which is one unit at least
    """

    def __init__(
        self, name: str, *, per_s: float, burst_s: float, clock_s: Callable[[], float]
    ) -> None:
        self._name = name
        self._per_s = per_s
        self._burst_s = max(burst_s, 1 / per_s)
        self._clock_s = clock_s
        self._full_s: dict[Hashable, float] = {}

    def must_have_left(self, holder: Hashable) -> None:
        """Raises RateLimited where not one unit is in the bucket."""
        now_s = self._clock_s()
        wait_s = self._full_s.get(holder, now_s) - now_s - self._burst_s + 1 / self._per_s
        if wait_s > EPSILON_S:
            quota = max(1, round(self._per_s * self._burst_s))
            raise RateLimited(
                self._name,
                quota=quota,
                window_s=ceil(quota / self._per_s),
                retry_after_s=ceil(wait_s),
            )

    def spend(self, holder: Hashable, units: int = 1) -> None:
        """Take so many out of the bucket, whatever is in it."""
        now_s = self._clock_s()
        full_s = max(self._full_s.get(holder, now_s), now_s) + units / self._per_s
        if holder not in self._full_s and len(self._full_s) >= HOLDERS_MAX:
            self._forget_some(now_s)
        self._full_s[holder] = full_s

    def _forget_some(self, now_s: float) -> None:
        self._full_s = {one: full_s for one, full_s in self._full_s.items() if full_s > now_s}
        if len(self._full_s) >= HOLDERS_MAX:  # all in debt: the oldest half is forgiven
            kept = list(self._full_s.items())[HOLDERS_MAX // 2 :]
            self._full_s = dict(kept)
