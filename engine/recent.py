"""Users who were active lately: it saves the facts that say nothing new about them.

That somebody was active on a day, and until which minute, does not change when the same is said
again for the same day and an earlier instant: nine of ten facts about the users of a busy
service. Whatever is forgotten here, by chance or at a restart, is merely said once more.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from engine.timebucket import MINUTE_MS

Hashes = NDArray[np.uint64]

SLOTS: Final = 1 << 16
"""Users remembered at the most, 16 bytes each; of two in one slot the later one."""

SLOT_MASK: Final = np.uint64(SLOTS - 1)


class RecentUsers:
    """Up to which instant of the present day it is already known that a user was active."""

    __slots__ = ("_end_ms", "_hashes", "_start_ms", "_until_ms")

    def __init__(self) -> None:
        self._hashes = np.zeros(SLOTS, np.uint64)
        self._until_ms = np.zeros(SLOTS, np.int64)
        self._start_ms = self._end_ms = 0

    def begin(self, start_ms: int, end_ms: int) -> None:
        """Begin a day, of instants in [start_ms, end_ms), for which nothing is known yet."""
        self._until_ms.fill(0)
        self._start_ms, self._end_ms = start_ms, end_ms

    def forget(self, user: int) -> None:
        """Know nothing of a user any more: what comes next is news."""
        slot = user & (SLOTS - 1)
        if int(self._hashes[slot]) == user:
            self._hashes[slot] = 0

    def news(self, hashes: Hashes, at_ms: NDArray[np.int64]) -> NDArray[np.int64]:
        """Positions of the facts that say something new; from now on it is known.

        Of another day than the present one all are, every time.
        """
        slots = (hashes & SLOT_MASK).view(np.int64)
        is_told = self._hashes.take(slots) == hashes
        is_told &= at_ms < self._until_ms.take(slots)
        is_told &= at_ms >= self._start_ms
        new: NDArray[np.int64] = (~is_told).nonzero()[0]
        new_ms = at_ms.take(new)
        today = new[(new_ms >= self._start_ms) & (new_ms < self._end_ms)]
        # Of several in one slot numpy leaves the last one, in both columns.
        slots = slots.take(today)
        self._hashes[slots] = hashes.take(today)
        self._until_ms[slots] = (at_ms.take(today) // MINUTE_MS + 1) * MINUTE_MS
        return new
