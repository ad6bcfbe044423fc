"""Names: the latest one that an event carried for a service, an experiment or a variant."""

from collections.abc import Iterable
from sys import getsizeof
from typing import Any, Final

from engine.cells import Dumped, Horizon, Owner, Slots
from engine.footprint import table_bytes

Fact = tuple[str, str, int, str]
"""(SERVICE or EXPERIMENT or VARIANT, id, variant or 0, name)"""

Key = tuple[str, str, int]
"""(kind, id, variant or 0)"""

SERVICE: Final = "s"
EXPERIMENT: Final = "e"
VARIANT: Final = "v"


class Names:
    """Names of what one shard owns; as many as there are ids, which are capped."""

    name: Final = "names"

    def __init__(self) -> None:
        self._names: dict[Key, str] = {}
        self._changed: dict[Key, str] = {}
        self._dumps = 0

    def fold(self, facts: Iterable[Fact]) -> None:
        """Take names in order of arrival; the last one stays."""
        known = self._names
        for kind, key, variant, name in facts:
            if known.get((kind, key, variant)) != name:
                known[kind, key, variant] = name
                self._changed[kind, key, variant] = name

    def expire(self, horizon: Horizon) -> None:
        """Names are kept: a name without events costs little and may be wanted again."""

    def get(self, kind: str, key: str, variant: int = 0) -> str | None:
        """The name, or None where no event has carried one."""
        return self._names.get((kind, key, variant))

    def memory_bytes(self) -> int:
        """About what they occupy; ids are those of the cells."""
        return table_bytes(self._names, getsizeof)

    def dump(self, *, full: bool) -> Dumped:
        """The names that changed since the last dump, or all."""
        names = self._names if full else self._changed
        self._changed = {}
        if names:
            self._dumps += 1
            yield ("names", self._dumps), [(*key, name) for key, name in names.items()]

    def load(self, slots: Slots, owner: Owner) -> None:
        """Take back what one former shard dumped, oldest first."""
        content: Any
        for slot, content in sorted(slots.items()):
            self._dumps = max(self._dumps, slot[1])
            for kind, key, variant, name in content:
                if owner.key(key):
                    same = owner.same
                    self._names[same(kind), same(key), variant] = same(name)
