"""The Python client against a real server: threads, forks, the end of a process, no server."""

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio
from tallymark_client import Drop, Tallymark, TallymarkMiddleware
from tallymark_client.aio import AsyncTallymark
from tallymark_client.events import Event

from tests.clients.faulty import FaultyProxy
from tests.keys import made
from tests.server import PATIENCE_S, ROOT, Server, environment

NOWHERE = "http://127.0.0.1:9"  # discard: nobody listens
FIELDS: dict[str, dict[str, Any]] = {
    "service_execution": {"service_id": "s", "latency_ms": 1.5, "success": True},
    "revenue_transaction": {
        "order_id": "o",
        "amount": 10,
        "currency": "USD",
        "service_id": "s",
    },
    "marketplace_search": {"search_query": "", "result_count": 0},
    "marketplace_view": {"service_id": "s"},
    "marketplace_conversion": {"service_id": "s", "order_id": "o"},
    "experiment_view": {"experiment_id": "e", "variant_index": 0, "user_id": "u"},
    "experiment_conversion": {"experiment_id": "e", "variant_index": 0, "user_id": "u"},
    "user_session": {"session_id": "x", "duration": 1000, "cohort": "2026-11"},
}


class Kept:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def track(self, event: Event) -> None:
        self.events.append(event)


def events_of(server: Server) -> int:
    return int(server.client.get("/health").json()["events"])


def test_the_service_takes_what_all_eight_collectors_make(server: Server) -> None:
    drops: list[Drop] = []
    with Tallymark(server.url, on_drop=drops.append) as t:
        for kind, fields in FIELDS.items():
            getattr(t, f"track_{kind}")(**fields)
        assert t.flush()
        assert t.stats().delivered == len(FIELDS)
    assert drops == []
    assert server.client.get("/metrics/users").json()["data"]["sessions"] == 1


def test_a_faulty_event_is_told_and_its_neighbours_arrive(server: Server) -> None:
    drops: list[Drop] = []
    with Tallymark(server.url, on_drop=drops.append) as t:
        t.track_marketplace_view(service_id="s")
        t.track({"eventType": "nonsense"})
        t.track_marketplace_view(service_id="s")
    assert [drop.event["eventType"] for drop in drops] == ["nonsense"]
    assert events_of(server) == 2


def test_sync_mode_has_sent_when_track_returns(server: Server) -> None:
    t = Tallymark(server.url, sync_mode=True)
    t.track_marketplace_view(service_id="s")
    assert events_of(server) == 1
    t.close()


def test_a_key_is_shown_with_each_batch_and_a_wrong_one_is_told(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write, read = made(data, "write"), made(data, "read")
    with Server(data) as server:
        server.client.headers["Authorization"] = f"Bearer {read}"
        drops: list[Drop] = []
        with Tallymark(server.url, key=write, on_drop=drops.append) as t:
            t.track_marketplace_view(service_id="s")
        assert (events_of(server), drops) == (1, [])
        with Tallymark(server.url, key=read, on_drop=drops.append) as t:
            t.track_marketplace_view(service_id="s")
        with Tallymark(server.url, on_drop=drops.append) as t:
            t.track_marketplace_view(service_id="s")
        assert events_of(server) == 1
    assert [drop.detail[:3] for drop in drops] == ["403", "401"]


def test_sync_mode_without_a_server_gives_up_and_tells() -> None:
    drops: list[Drop] = []
    t = Tallymark(NOWHERE, sync_mode=True, timeout_s=0.05, on_drop=drops.append)
    t.track_marketplace_view(service_id="s")
    assert [drop.reason for drop in drops] == ["closed"]
    t.close()


def test_without_a_server_nothing_is_raised_and_close_tells_what_was_lost() -> None:
    drops: list[Drop] = []
    t = Tallymark(NOWHERE, queue_events_max=3, on_drop=drops.append)
    for _ in range(4):
        t.track_marketplace_view(service_id="s")
    t.track(None)  # type: ignore[arg-type]
    assert not t.flush(0.01)
    assert not t.close(0.01)
    t.track_marketplace_view(service_id="s")
    assert [drop.reason for drop in drops] == ["queue-full", *["closed"] * 4]


@pytest.fixture
def failed(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a client has failed; it would send again in an hour."""
    has_failed = threading.Event()

    def an_hour(*_: float) -> float:
        has_failed.set()
        return 3600.0

    monkeypatch.setattr(random, "uniform", an_hour)
    return has_failed


def test_who_flushes_does_not_wait_for_the_end_of_a_pause(
    server: Server, failed: threading.Event
) -> None:
    with FaultyProxy(NOWHERE) as proxy, Tallymark(proxy.url) as t:
        t.track_marketplace_view(service_id="s")
        assert failed.wait(PATIENCE_S)
        proxy.target = server.url
        assert t.flush(PATIENCE_S)
        assert t.stats().delivered == 1


async def test_nor_does_who_flushes_the_asynchronous_client(
    server: Server, failed: threading.Event
) -> None:
    with FaultyProxy(NOWHERE) as proxy:
        async with AsyncTallymark(proxy.url) as t:
            t.track_marketplace_view(service_id="s")
            assert await trio.to_thread.run_sync(failed.wait, PATIENCE_S)
            proxy.target = server.url
            assert await t.flush(PATIENCE_S)
            assert t.stats().delivered == 1


def test_an_address_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="is no address such as"):
        Tallymark("analytics.example.com")


def run(script: str, *words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *words],
        env=environment() | {"PYTHONPATH": str(ROOT / "clients/python/src")},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_is_queued_when_a_process_ends_still_arrives(server: Server) -> None:
    script = (
        "import sys; from tallymark_client import Tallymark\n"
        "t = Tallymark(sys.argv[1], flush_interval_s=60)\n"
        "for _ in range(7): t.track_marketplace_view(service_id='s')\n"
    )
    run(script, server.url)
    assert events_of(server) == 7


def test_a_fork_sends_its_own_events_and_those_of_its_parent_once(server: Server) -> None:
    script = (
        "import os, sys; from tallymark_client import Tallymark\n"
        "t = Tallymark(sys.argv[1], flush_interval_s=60)\n"
        "for _ in range(3): t.track_marketplace_view(service_id='parent')\n"
        "child = os.fork()\n"
        "for _ in range(4 if child else 5): t.track_marketplace_view(service_id='after')\n"
        "if child: assert os.waitpid(child, 0)[1] == 0\n"
        "assert t.close(); print(t.stats().delivered)\n"
    )
    assert sorted(run(script, server.url).split()) == ["5", "7"]
    health = server.client.get("/health").json()
    assert (health["events"], health["duplicates"]) == (12, 0)


async def test_the_asynchronous_client_sends_what_is_left_at_the_end(server: Server) -> None:
    async with AsyncTallymark(server.url, flush_interval_s=60) as t:
        for _ in range(30):
            t.track_marketplace_view(service_id="s")
        assert await t.flush()
        t.track_marketplace_view(service_id="s")
    assert (t.stats().delivered, events_of(server)) == (31, 31)


async def test_the_asynchronous_client_closes_in_time_without_a_server() -> None:
    drops: list[Drop] = []
    async with AsyncTallymark(NOWHERE, close_timeout_s=0.01, on_drop=drops.append) as t:
        t.track_marketplace_view(service_id="s")
    assert [drop.reason for drop in drops] == ["closed"]


def test_a_timed_block_is_an_execution_and_an_exception_a_failed_one() -> None:
    kept = Kept()
    with Tallymark(NOWHERE) as t:
        t.track = kept.track  # type: ignore[method-assign]
        with t.timed("block", user_id="u-1"):
            pass
        with pytest.raises(KeyError), t.timed("block"):
            raise KeyError("x")
    good, bad = kept.events
    assert (good["serviceId"], good["success"], good["userId"]) == ("block", True, "u-1")
    assert good["latencyMs"] >= 0
    assert (bad["success"], bad["errorCode"]) == (False, "KeyError")


async def test_functions_and_coroutine_functions_are_timed_and_stay_what_they_are() -> None:
    kept = Kept()
    t = Tallymark(NOWHERE)
    t.track = kept.track  # type: ignore[method-assign]

    @t.timed("plain")
    def plain(n: int) -> int:
        return plain(n - 1) + 1 if n else 0

    @t.timed("task")
    async def task() -> str:
        return "done"

    assert (plain(2), plain.__name__, await task()) == (2, "plain", "done")
    assert [event["serviceId"] for event in kept.events] == ["plain"] * 3 + ["task"]
    t.close()


class Matched:
    path = "/items/{id}"


async def application(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the status that the path names; /boom raises."""
    if scope["path"] == "/boom":
        raise RuntimeError("boom")
    if scope["path"] != "/404":
        scope["route"] = Matched()
    status = int(scope["path"].strip("/"))
    await send({"type": "http.response.start", "status": status, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def test_the_middleware_reports_each_request_as_one_execution() -> None:
    kept = Kept()
    app = TallymarkMiddleware(application, kept, user_id=lambda scope: "u-1")
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://app") as client:
        for path in ("/200", "/404", "/503"):
            await client.get(path)
        with pytest.raises(RuntimeError, match="boom"):
            await client.get("/boom")
    told = [(one["serviceId"], one["success"], one.get("errorCode")) for one in kept.events]
    assert told == [
        ("GET /items/{id}", True, None),
        ("GET *", True, None),
        ("GET /items/{id}", False, "503"),
        ("GET *", False, "RuntimeError"),
    ]
    assert {one["userId"] for one in kept.events} == {"u-1"}


async def test_what_cannot_be_named_or_is_no_request_goes_on_unreported() -> None:
    kept = Kept()
    seen: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["type"])

    failing = TallymarkMiddleware(app, kept, service_id=lambda scope: scope["nothing"])
    unnamed = TallymarkMiddleware(app, kept, service_id=lambda scope: None)
    for middleware in (failing, unnamed):
        for kind in ("lifespan", "websocket", "http"):
            await middleware({"type": kind, "method": "GET"}, None, None)  # type: ignore[arg-type]
    assert (seen, kept.events) == (["lifespan", "websocket", "http"] * 2, [])
