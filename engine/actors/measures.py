"""What the engine counts and times besides its health, for whoever draws curves of it."""

from collections.abc import Sequence
from dataclasses import dataclass

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
        "answers": sum(state.services.merges_bytes() for state in states),
        "revenue": sum(state.revenue.cells for state in states),
        "subscriptions": sum(len(state.revenue.subscriptions) for state in states),
        "marketplace": sum(state.marketplace.cells for state in states),
        "experiments": sum(state.experiments.cells for state in states),
        "sessions": sum(state.users.cells for state in states),
    }


def memory_of(sequencing: Sequencing, states: Sequence[ShardState]) -> dict[str, int]:
    """About what each part occupies, over all shards: docs/memory.md."""
    return {
        **sequencing.memory_bytes(),
        "services": sum(state.services.memory_bytes() for state in states),
        "revenue": sum(state.revenue.memory_bytes() for state in states),
        "subscriptions": sum(state.revenue.subscriptions.memory_bytes() for state in states),
        "marketplace": sum(state.marketplace.memory_bytes() for state in states),
        "experiments": sum(state.experiments.memory_bytes() for state in states),
        "experiment_units": sum(state.experiments.units_bytes() for state in states),
        "users": sum(state.users.days.memory_bytes() for state in states),
        "sessions": sum(state.users.memory_bytes() for state in states),
        "names": sum(state.names.memory_bytes() for state in states),
    }
