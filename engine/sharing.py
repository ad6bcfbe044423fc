"""One object for each text and each key that is read back, as when they were counted live.

Texts are read once for every cell whose key they are part of: a service with 400 days and their
hours would have its id 600 times, at 60 bytes each, and as often the pair with its category.
"""

from typing import Any, TypeVar

K = TypeVar("K")


class Shared:
    """What was read so far; to be dropped once everything is read."""

    __slots__ = ("_known",)

    def __init__(self) -> None:
        self._known: dict[Any, Any] = {}

    def same(self, key: K) -> K:
        """The object that stands for all that are equal to it, of texts within it too.

        Numbers are left alone: of 1, 1.0 and True one may not stand for the others.
        """
        known: Any = self._known.get(key)
        if known is None:
            known = key
            if isinstance(key, tuple):
                known = tuple(
                    self.same(part) if isinstance(part, str) else part for part in key
                )
            self._known[known] = known
        same: K = known
        return same
