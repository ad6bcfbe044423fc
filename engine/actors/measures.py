"""What the engine counts and times besides its health, for whoever plots it."""

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from engine.distribution import Distribution
from engine.sequence import Sequencing
from engine.state import ShardState


@dataclass(frozen=True, slots=True)
class Measures:
    """Distributions go on counting; the rest is as of now.

    group_events  events of each record that was written
    append_s      until a gathered group is in the journal, the way to the thread included
    sync_s        each sync of the journal's newest file alone
    take_s        splitting a portion of a record over the shards
    fold_s        each shard's part of a portion; most wait for others and cost nothing yet
    cells         {family: cells}, and subscriptions
    memory_bytes  {part: bytes}, about; docs/memory.md says of what
    """

    group_events: Distribution
    append_s: Distribution
    sync_s: Distribution
    take_s: Distribution
    fold_s: Distribution
    cells: dict[str, int]
    memory_bytes: dict[str, int]


def cells_of(states: Sequence[ShardState]) -> dict[str, int]:
    """How many cells each family has, over all shards."""
    return {
        "services": sum(state.services.cells for state in states),
        "revenue": sum(state.revenue.cells for state in states),
        "subscriptions": sum(len(state.revenue.subscriptions) for state in states),
        "marketplace": sum(state.marketplace.cells for state in states),
        "experiments": sum(state.experiments.cells for state in states),
        "sessions": sum(state.users.cells for state in states),
    }


def memory_of(
    sequencing: Sequencing, states: Sequence[ShardState]
) -> Generator[None, None, dict[str, int]]:
    """About what each part occupies, over all shards: docs/memory.md. It yields often."""
    found = sequencing.memory_bytes()
    yield
    for part, look in _PARTS.items():
        found[part] = 0
        for state in states:
            for size_bytes in look(state):
                found[part] += size_bytes
                yield
    return found


_PARTS: Final[dict[str, Callable[[ShardState], Iterable[int]]]] = {
    "services": lambda state: state.services.memory_bytes(),
    "answers": lambda state: (state.services.merges_bytes(),),
    "revenue": lambda state: state.revenue.memory_bytes(),
    "subscriptions": lambda state: (state.revenue.subscriptions.memory_bytes(),),
    "marketplace": lambda state: state.marketplace.memory_bytes(),
    "experiments": lambda state: state.experiments.memory_bytes(),
    "experimentUnits": lambda state: (state.experiments.units_bytes(),),
    "users": lambda state: (state.users.days.memory_bytes(),),
    "sessions": lambda state: state.users.memory_bytes(),
    "names": lambda state: (state.names.memory_bytes(),),
}
"""What a part occupies in one shard, to be added up; in a tuple where it is found at once."""
