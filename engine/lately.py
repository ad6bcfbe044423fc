"""Distinct users of the last minutes, of all shards together: exact as long as they are few.

Each user is held with the last minute in which it was active, and each minute with the users
whose last minute it is, so a figure that is wanted many times a second needs no question to the
shards. When there are too many users to hold, this says that it does not know, and the shards,
which hold all, are asked.
"""

from collections.abc import Iterable
from typing import Final

from engine.timebucket import MINUTE_MS

USERS_MAX: Final = 1 << 16
"""Users held at the most: some 200 bytes each."""

LET_GO_MAX: Final = 1_024
"""Users dropped at a time: a tenth of a millisecond."""


class ActiveUsers:
    """Until which minute of the epoch each user was active, for the last few minutes."""

    __slots__ = ("_last", "_lost_minute", "_minutes", "_of_minute")

    def __init__(self, minutes: int) -> None:
        """minutes  how many are asked for, the running one included"""
        self._minutes = minutes
        self._last: dict[int, int] = {}
        self._of_minute: dict[int, set[int]] = {}
        self._lost_minute = 0  # in it and before it there may be users who are not held

    def add(self, received_ms: int, active: Iterable[tuple[int, int]]) -> None:
        """Take (hash of a user, instant), received at that time."""
        first = received_ms // MINUTE_MS - self._minutes + 1
        self._let_go(first)
        last, of_minute = self._last, self._of_minute
        for user, at_ms in active:
            minute = at_ms // MINUTE_MS
            known = last.get(user, -1)
            if known >= minute:
                continue
            if minute < first or (known < 0 and len(last) >= USERS_MAX):
                self.lose(minute)
                continue
            if known >= 0:
                of_minute[known].discard(user)
            last[user] = minute
            some = of_minute.get(minute)
            if some is None:
                some = of_minute[minute] = set()
            some.add(user)

    def _let_go(self, first: int) -> None:
        """Hold some of those no longer who were active before that minute alone."""
        left = LET_GO_MAX
        for minute in [known for known in self._of_minute if known < first]:
            self.lose(minute)
            users = self._of_minute[minute]
            while users and left:
                del self._last[users.pop()]
                left -= 1
            if not users:
                del self._of_minute[minute]

    def lose(self, minute: int) -> None:
        """Do not know any more who was active in and before that minute."""
        if minute > self._lost_minute:
            self._lost_minute = minute

    def forget(self, user: int) -> None:
        """Let go of somebody who is erased."""
        minute = self._last.pop(user, None)
        if minute is not None:
            self._of_minute[minute].discard(user)

    def since(self, minute: int) -> int | None:
        """Users with an event in or after that minute; None where that is not known."""
        if minute <= self._lost_minute:
            return None
        return sum(len(users) for known, users in self._of_minute.items() if known >= minute)
