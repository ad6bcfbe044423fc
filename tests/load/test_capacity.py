"""The search for the capacity: what counts as held, and what it finds."""

import msgspec
import pytest

from load.capacity import Trial, find
from load.connection import Target
from load.outcome import Outcome
from load.plan import Plan, plan_of
from tests.load.dishonest import Counting
from tests.load.outcomes import an_outcome


def plan(url: str = "http://127.0.0.1:1") -> Plan:
    return plan_of(Target(url), "steady", duration_s=0.1)


def outcome(rate: float, **changes: object) -> Outcome:
    fine = an_outcome(rate_per_s=rate, errors=0, refused={}, lost={}, unsent=0)
    return msgspec.structs.replace(fine, **changes)


async def test_the_highest_rate_that_is_held_is_found() -> None:
    async def measured(asked: Plan) -> Outcome:
        return outcome(asked.rate_per_s, errors=int(asked.rate_per_s > 7_000))

    trials: list[Trial] = []
    found = await find(
        plan(), first_per_s=1_000, p99_ms=10.0, on_trial=trials.append, do=measured
    )
    assert found.held_per_s is not None
    assert 7_000 / 1.05 <= found.held_per_s <= 7_000
    assert found.trials == trials
    assert msgspec.json.decode(found.json())["heldPerS"] == found.held_per_s


async def test_where_nothing_is_held_that_is_said() -> None:
    async def measured(asked: Plan) -> Outcome:
        return outcome(asked.rate_per_s, errors=1)

    found = await find(plan(), first_per_s=64, on_trial=lambda _: None, do=measured)
    assert found.held_per_s is None
    assert [trial.rate_per_s for trial in found.trials] == [64, 32, 16, 8, 4, 2, 1]


@pytest.mark.parametrize(
    ("changes", "p99_ms", "why"),
    [
        ({}, 10.0, None),
        ({}, 5.0, "p99 is 9.9 ms"),
        ({"errors": 3}, 10.0, "3 requests refused, lost or not sent"),
        ({"rate_per_s": 60.0}, 10.0, "60 events/s came through"),
    ],
)
async def test_a_rate_is_held_when_all_of_it_is(
    changes: dict[str, object], p99_ms: float, why: str | None
) -> None:
    async def measured(asked: Plan) -> Outcome:
        return outcome(asked.rate_per_s, **changes)

    trials: list[Trial] = []
    await find(plan(), first_per_s=64, p99_ms=p99_ms, on_trial=trials.append, do=measured)
    assert trials[0].why == why


async def test_a_server_that_counts_wrongly_holds_no_rate(serving) -> None:
    async with serving(Counting(loses={1})) as server:
        trials: list[Trial] = []
        await find(plan(server.url), first_per_s=1, p99_ms=1e6, on_trial=trials.append)
    assert trials[0].why == "the server's counts differ from what it acknowledged"
