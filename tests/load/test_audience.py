"""Those who look while others write: no query is missing from what is told of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from load.connection import Target
from load.outcome import Outcome
from load.plan import plan_of
from load.run import run
from tests.load.dishonest import Counting


@pytest.fixture
def profile(tmp_path: Path) -> Callable[[str], str]:
    """The path of a profile with this audience."""

    def write(audience: str) -> str:
        path = tmp_path / "watched.toml"
        path.write_text(f'description = "Watched."\n[audience]\n{audience}\n')
        return str(path)

    return write


async def watched(serving, script: Any, name: str) -> Outcome:
    async with serving(script) as server:
        target = Target(server.url)
        return await run(plan_of(target, name, rate_per_s=100, duration_s=0.5, connections=2))


def but(path: str, answer: Any) -> Any:
    """A server that counts as it should, and answers as told where it is asked for `path`."""
    counting = Counting()
    return lambda number, said: answer if said == path else counting(number, said)


async def test_every_query_that_is_due_is_answered_or_failed(serving, profile) -> None:
    script = Counting()
    outcome = await watched(serving, script, profile("queries_per_s = 40"))
    assert outcome.reads is not None
    assert (outcome.reads.latencies.count, outcome.reads.errors) == (20, {})


@pytest.mark.parametrize(
    ("answer", "reason"),
    [((503, {}, {}), "503"), (None, "the connection was closed unanswered")],
)
async def test_a_query_that_fails_is_told_with_its_reason(
    serving, profile, answer: Any, reason: str
) -> None:
    script = but("/counters", answer)
    outcome = await watched(serving, script, profile("queries_per_s = 14"))
    assert outcome.reads is not None
    assert (outcome.reads.latencies.count, outcome.reads.errors) == (6, {reason: 1})
    assert outcome.is_counted_right


async def test_a_stream_that_does_not_begin_is_a_failure_and_no_standstill(
    serving, profile
) -> None:
    script = but("/stream", None)
    outcome = await watched(serving, script, profile("subscribers = 1"))
    assert outcome.reads is not None
    assert outcome.reads.frames == 0
    assert outcome.reads.errors["stream: it ended"] > 0
