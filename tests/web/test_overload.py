"""More than can be kept, a full disk, a broken one: what senders and operators see of it."""

import errno
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
import trio
from quart.typing import TestClientProtocol as Client

from engine.config import Config
from tests.living import GatedDisk, Life, config_of, living, view, views
from tests.persistence.faulty_disk import FaultyDisk
from web.app import create_app

BATCH = [view()] * 5
QUEUE = 50
OFFERED = 110
"""Batches of five: eleven times what the queue holds."""


@asynccontextmanager
async def serving(config: Config, disk: FaultyDisk) -> AsyncIterator[tuple[Life, Client]]:
    async with living(config, journal_disk=disk, end="crash") as life:
        yield life, create_app(life.engine, config).test_client()


async def told(client: Client, path: str) -> dict[str, Any]:
    answer: dict[str, Any] = orjson.loads(await (await client.get(path)).get_data())
    return answer


@pytest.fixture
def disk() -> GatedDisk:
    return GatedDisk()


async def test_of_ten_times_what_fits_the_rest_is_refused_and_what_was_taken_finishes(
    tmp_path: Path, disk: GatedDisk
) -> None:
    answers: Counter[int] = Counter()
    config = config_of(tmp_path, queue_events_max=QUEUE)
    async with serving(config, disk) as (life, client), trio.open_nursery() as senders:
        refused_all = trio.Event()

        async def send() -> None:
            reply = await client.post("/track/batch", json=BATCH)
            answers[reply.status_code] += 1
            if reply.status_code == 503:
                assert reply.headers["Retry-After"] == "1"
                problem = orjson.loads(await reply.get_data())
                assert problem["type"] == "/problems/overloaded"
            if answers[503] == OFFERED - QUEUE // 5:
                refused_all.set()

        disk.hold()
        async with trio.open_nursery() as first:
            first.start_soon(send)
            await disk.reached()
            for _ in range(OFFERED):
                senders.start_soon(send)
            await refused_all.wait()
            assert life.engine.health().queue.depth == QUEUE
            disk.let_go()
    assert answers == {200: 1 + QUEUE // 5, 503: OFFERED - QUEUE // 5}


async def test_after_it_every_request_is_taken_again(tmp_path: Path, disk: GatedDisk) -> None:
    config = config_of(tmp_path, queue_events_max=5)
    async with serving(config, disk) as (life, client):
        disk.hold()
        async with trio.open_nursery() as senders:
            taken = [client.post("/track/batch", json=BATCH) for _ in range(4)]
            replies: list[int] = []

            async def send(request: Any) -> None:
                replies.append((await request).status_code)

            senders.start_soon(send, taken.pop())
            await disk.reached()
            for request in taken:
                senders.start_soon(send, request)
            while replies.count(503) < 2:
                await trio.lowlevel.checkpoint()
            disk.let_go()
        for _ in range(20):
            assert (await client.post("/track/batch", json=BATCH)).status_code == 200
        assert sorted(replies) == [200, 200, 503, 503]
        assert await views(life.engine) == 5 * 22
        queue = life.engine.health().queue
        assert (queue.depth, queue.bytes, queue.peak) == (0, 0, 5)


async def test_large_requests_are_refused_where_they_would_not_fit_into_memory(
    tmp_path: Path, disk: GatedDisk
) -> None:
    body = b"\n".join(map(orjson.dumps, BATCH))
    limits = {"bulk_bytes_max": len(body), "bulk_room_bytes_max": len(body)}
    async with serving(config_of(tmp_path, **limits), disk) as (life, client):
        disk.hold()
        async with trio.open_nursery() as senders:
            senders.start_soon(lambda: client.post("/track/bulk", data=body))
            await disk.reached()
            reply = await client.post("/track/bulk", data=body)
            assert (reply.status_code, reply.headers["Retry-After"]) == (503, "1")
            disk.let_go()
        assert (await client.post("/track/bulk", data=body)).status_code == 200
        assert await views(life.engine) == 10
        assert life.engine.bulk_room.bytes == 0


async def test_a_full_disk_is_507_until_there_is_room_and_no_restart_is_needed(
    tmp_path: Path, disk: GatedDisk
) -> None:
    async with serving(config_of(tmp_path), disk) as (life, client):
        assert (await client.post("/track/batch", json=BATCH)).status_code == 200
        disk.room_bytes = 300
        for _ in range(3):
            reply = await client.post("/track/batch", json=BATCH)
            problem = orjson.loads(await reply.get_data())
            assert (reply.status_code, problem["type"]) == (507, "/problems/disk-full")
            disk.room_bytes = 300
        assert (await client.get("/ready")).status_code == 200
        disk.room_bytes = None
        assert (await client.post("/track/batch", json=BATCH)).status_code == 200
        assert await views(life.engine) == 10
        assert life.logged == ["append failed", "append works again"]
    async with living(config_of(tmp_path)) as again:
        assert await views(again.engine) == 10


async def test_a_failed_sync_ends_the_taking_of_events_until_a_restart(
    tmp_path: Path, disk: GatedDisk
) -> None:
    async with serving(config_of(tmp_path), disk) as (life, client):
        assert (await client.post("/track/batch", json=BATCH)).status_code == 200
        disk.fail_next("sync", errno.EIO)
        for path in ("/track/batch", "/track/batch", "/track/bulk"):
            reply = await client.post(
                path, data=orjson.dumps(BATCH if "batch" in path else BATCH[0])
            )
            problem = orjson.loads(await reply.get_data())
            assert (reply.status_code, problem["type"]) == (503, "/problems/journal-failed")
        ready = await client.get("/ready")
        assert ready.status_code == 503
        assert b"a sync of" in await ready.get_data()
        assert b"restart Tallymark" in await ready.get_data()
        assert (await told(client, "/health"))["status"] == "failed"
        assert (await told(client, "/metrics/marketplace"))["data"]["views"] == 5
        exposed = await (await client.get("/metrics/prometheus")).get_data()
        assert b"\ntallymark_journal_failed 1.0\n" in exposed
        assert life.logged == ["journal failed"]
    async with living(config_of(tmp_path)) as again:
        assert await views(again.engine) == 5
