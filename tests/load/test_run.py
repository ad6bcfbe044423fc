"""Whole runs against a real server: every profile, and what the files hold."""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from load import profile
from load.connection import Target
from load.errors import LoadError, Unreachable
from load.latency import Latencies
from load.outcome import Outcome, Second
from load.plan import Plan, plan_of
from load.run import run
from tests.server import Server

RATE_PER_S = 500.0
DURATION_S = 1.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One for all runs of the module: what others left in it must not matter."""
    data: Path = tmp_path_factory.mktemp("load") / "data"
    with Server(data, "--durability", "write") as found:
        yield found


def plan(server: Server, name: str) -> Plan:
    found = plan_of(
        Target(server.url), name, rate_per_s=RATE_PER_S, duration_s=DURATION_S, batch=5
    )
    return msgspec.structs.replace(found, drain_s=60.0)  # what is late on a busy machine comes


@pytest.mark.parametrize("name", profile.names())
async def test_every_profile_is_sent_and_counted_exactly(server: Server, name: str) -> None:
    seconds: list[Second] = []
    outcome = await run(plan(server, name), on_second=seconds.append)
    assert outcome.errors == 0, (outcome.refused, outcome.lost)
    assert {row.verdict for row in outcome.counts} == {"exact"}
    assert outcome.counts[0].acknowledged == outcome.events > 0
    assert sum(one.events for one in seconds) == outcome.events
    if name == "steady":
        assert outcome.events == RATE_PER_S * DURATION_S
    if name == "mixed":
        assert outcome.reads is not None
        assert outcome.reads.latencies.count > 0
        assert outcome.reads.errors == {}


async def test_single_events_and_several_processes_are_counted_alike(server: Server) -> None:
    single = msgspec.structs.replace(plan(server, "steady"), batch=1, processes=3)
    outcome = await run(single)
    assert outcome.requests == outcome.events == RATE_PER_S
    assert {row.verdict for row in outcome.counts} == {"exact"}


async def test_a_body_larger_than_a_socket_takes_at_once_is_sent_whole(server: Server) -> None:
    large = msgspec.structs.replace(plan(server, "steady"), rate_per_s=20_000, batch=5_000)
    outcome = await run(large)
    assert outcome.events == 20_000
    assert {row.verdict for row in outcome.counts} == {"exact"}


async def test_a_closed_loop_sends_as_fast_as_it_is_answered(server: Server) -> None:
    closed = msgspec.structs.replace(plan(server, "steady"), closed_loop=True, duration_s=0.5)
    outcome = await run(closed)
    assert outcome.requests >= closed.connections
    assert outcome.is_counted_right
    assert all(second.offered is None for second in outcome.seconds)


async def test_the_json_holds_all_of_it(server: Server) -> None:
    outcome = await run(plan(server, "steady"))
    again = msgspec.json.decode(outcome.json(), type=Outcome)
    assert again.json() == outcome.json()
    assert Latencies.decoded(again.latencies.histogram).count == outcome.requests


async def test_a_server_behind_tls_is_refused_with_what_to_do() -> None:
    with pytest.raises(LoadError, match="plain HTTP only"):
        await run(plan_of(Target("https://127.0.0.1:1"), "steady"))


async def test_where_nobody_listens_the_run_says_so(server: Server) -> None:
    nowhere = plan_of(Target("http://127.0.0.1:1"), "steady", duration_s=0.1)
    for is_counted in (True, False):
        with pytest.raises(Unreachable, match=r"^Nothing answers at http://127.0.0.1:1: "):
            await run(msgspec.structs.replace(nowhere, is_counted=is_counted))
