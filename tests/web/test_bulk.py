"""POST /track/bulk as a client sees it: what it takes, what it refuses, and what stays."""

import gzip
from collections.abc import Callable, Sequence

import msgspec
import orjson
import pytest
import zstandard
from quart.typing import TestClientProtocol as Client

from engine.actors.runtime import Engine
from engine.config import Config
from tests.web.conftest import NOW_MS
from web.app import create_app
from web.control import Control
from web.service import LateEngine

MIB = 2**20
NDJSON = {"Content-Type": "application/x-ndjson"}


def call(number: int, **fields: object) -> bytes:
    event = {"eventType": "service_execution", "serviceId": f"s-{number % 7}", "latencyMs": 5}
    return orjson.dumps({**event, "success": True, **fields})


def lines(events: Sequence[bytes]) -> bytes:
    return b"".join(event + b"\n" for event in events)


GOOD = [call(n) for n in range(40)]
BAD = [*GOOD[:3], call(3, latencyMs=-1), *GOOD[4:9], b'{"eventType":"x"}', GOOD[9]]


async def counted(engine: Engine) -> int:
    found = (await engine.counters())["executions:today"]
    assert isinstance(found, int)
    return found


@pytest.mark.parametrize("media", ["application/x-ndjson", "application/json", "text/plain"])
@pytest.mark.parametrize(
    ("encoding", "pack"),
    [
        (None, bytes),
        ("identity", bytes),
        ("gzip", gzip.compress),
        ("zstd", zstandard.compress),
    ],
)
async def test_events_are_taken_however_they_are_packed_and_called(
    client: Client,
    engine: Engine,
    media: str,
    encoding: str | None,
    pack: Callable[[bytes], bytes],
) -> None:
    headers = {"Content-Type": media} | ({"Content-Encoding": encoding} if encoding else {})
    reply = await client.post("/track/bulk", data=pack(lines(GOOD)), headers=headers)
    assert (reply.status_code, await reply.get_data()) == (200, b'{"success":true,"count":40}')
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert await counted(engine) == 40


async def test_as_many_events_as_may_be_are_taken_and_not_one_more(
    client: Client, engine: Engine
) -> None:
    events = [call(n, eventId=f"e-{n}") for n in range(10_001)]
    for body in (lines(events), gzip.compress(lines(events))):
        headers = NDJSON | ({"Content-Encoding": "gzip"} if body[:1] == b"\x1f" else {})
        over = await client.post("/track/bulk", data=body, headers=headers)
        assert over.status_code == 422
        assert b"1 to 10000 events" in await over.get_data()
    assert await counted(engine) == 0
    reply = await client.post("/track/bulk", data=lines(events[:-1]), headers=NDJSON)
    assert orjson.loads(await reply.get_data())["count"] == 10_000
    assert await counted(engine) == 10_000


async def test_duplicates_are_in_the_count_of_the_answer_alone(
    client: Client, engine: Engine
) -> None:
    events = [call(n, eventId=f"e-{n % 5}") for n in range(30)]
    reply = await client.post("/track/bulk", data=lines(events), headers=NDJSON)
    assert orjson.loads(await reply.get_data())["count"] == 30
    assert await counted(engine) == 5


async def test_one_faulty_event_refuses_all_and_is_named(
    client: Client, engine: Engine
) -> None:
    reply = await client.post("/track/bulk", data=lines(BAD), headers=NDJSON)
    problem = orjson.loads(await reply.get_data())
    assert (reply.status_code, problem["instance"]) == (422, "/track/bulk")
    assert [(one["index"], one["path"]) for one in problem["errors"]] == [
        (3, "$.latencyMs"),
        (9, "$.eventType"),
    ]
    assert await counted(engine) == 0


async def test_skipping_keeps_the_good_events_and_lists_the_others(
    client: Client, engine: Engine
) -> None:
    body = lines([*BAD, b"no json"])
    reply = await client.post("/track/bulk?onInvalid=skip", data=body, headers=NDJSON)
    answer = orjson.loads(await reply.get_data())
    assert (answer["success"], answer["count"]) == (True, 9)
    assert [one["index"] for one in answer["rejected"]] == [3, 9, 11]
    assert await counted(engine) == 9


async def test_skipping_thousands_lists_each_of_them(client: Client, engine: Engine) -> None:
    body = b"{}\n" * 4_000 + GOOD[0]
    reply = await client.post("/track/bulk?onInvalid=skip", data=body, headers=NDJSON)
    answer = orjson.loads(await reply.get_data())
    assert (answer["count"], len(answer["rejected"])) == (1, 4_000)
    assert await counted(engine) == 1


ZSTD_LONG = zstandard.ZstdCompressor(
    compression_params=zstandard.ZstdCompressionParameters(window_log=27)
).compressobj()
HUGE_WINDOW = ZSTD_LONG.compress(lines(GOOD)) + ZSTD_LONG.flush()
ZSTD = zstandard.compress(lines(GOOD))
GZIP = gzip.compress(lines(GOOD))

HOSTILE = [
    ("64 MiB of blanks in gzip", "gzip", gzip.compress(b" " * (64 * MIB)), 413),
    ("64 MiB of line feeds in zstd", "zstd", zstandard.compress(b"\n" * (64 * MIB)), 413),
    ("16 MiB and a byte, packed", "gzip", gzip.compress(b"\n" * (16 * MIB + 1)), 413),
    ("16 MiB of line feeds, packed", "zstd", zstandard.compress(b"\n" * (16 * MIB)), 422),
    ("a zstd window of 128 MiB", "zstd", HUGE_WINDOW, 400),
    ("cut gzip", "gzip", GZIP[:-1], 400),
    ("cut zstd", "zstd", ZSTD[:-1], 400),
    ("more behind gzip", "gzip", GZIP + GZIP, 400),
    ("more behind zstd", "zstd", ZSTD + ZSTD, 400),
    ("gzip that is none", "gzip", lines(GOOD), 400),
    ("zstd that is gzip", "zstd", GZIP, 400),
    ("gzip unannounced", None, GZIP, 400),
    ("packed twice, said once", "gzip", gzip.compress(GZIP), 400),
    ("packed twice, said twice", "gzip, gzip", gzip.compress(GZIP), 415),
    ("brotli", "br", lines(GOOD), 415),
    ("nothing", None, b"", 422),
    ("nothing, packed", "gzip", gzip.compress(b""), 422),
    ("blank lines", None, b"\n \r\n", 422),
    ("an array", None, b"[" + b",".join(GOOD) + b"]", 422),
    ("an envelope", None, b'{"events":[' + GOOD[0] + b"]}", 422),
    ("events in one line", None, b" ".join(GOOD), 400),
    ("an event in two lines", None, GOOD[0].replace(b",", b",\n", 1), 400),
    ("a cut line", None, lines(GOOD) + GOOD[0][:20], 400),
    ("deep nesting", None, lines(GOOD) + b"[" * 100_000, 400),
    ("deep nesting in a field", None, GOOD[0][:-1] + b',"x":' + b"[" * 100_000, 400),
    ("broken UTF-8", None, lines(GOOD) + call(1).replace(b"s-1", b"s-\xff"), 400),
    ("a byte order mark", None, b"\xef\xbb\xbf" + lines(GOOD), 400),
    ("a line of 256 KB and a byte", None, GOOD[0] + b" " * 262_145, 413),
    ("texts above 16 KB", None, lines(GOOD) + call(1, category="x" * 20_000), 413),
    ("a future event", None, call(1, timestamp=NOW_MS + 400_000), 422),
]


@pytest.mark.parametrize(
    ("encoding", "body", "status"),
    [case[1:] for case in HOSTILE],
    ids=[case[0] for case in HOSTILE],
)
async def test_what_is_wrong_is_refused_with_its_status_and_nothing_stays(
    client: Client, engine: Engine, encoding: str | None, body: bytes, status: int
) -> None:
    headers = NDJSON | ({"Content-Encoding": encoding} if encoding else {})
    reply = await client.post("/track/bulk", data=body, headers=headers)
    problem = orjson.loads(await reply.get_data())
    assert (reply.status_code, problem["status"]) == (status, status), problem
    assert problem["success"] is False
    assert await counted(engine) == 0
    assert engine.bulk_room.bytes == 0


async def test_a_body_at_the_limit_is_read_and_one_byte_more_is_not(
    service: LateEngine, config: Config, control: Control
) -> None:
    body = lines(GOOD)
    settings = msgspec.structs.replace(config, bulk_bytes_max=len(body))
    client = create_app(service, settings, control).test_client()
    assert (await client.post("/track/bulk", data=body)).status_code == 200
    assert (await client.post("/track/bulk", data=body + b"\n")).status_code == 413


@pytest.mark.parametrize("path", ["/track", "/track/batch"])
@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_only_bulk_reads_what_is_packed(client: Client, path: str, encoding: str) -> None:
    reply = await client.post(path, data=GZIP, headers={"Content-Encoding": encoding})
    assert reply.status_code == 415
    assert b"Only POST /track/bulk reads" in await reply.get_data()


async def test_preflights_allow_what_bulk_needs(client: Client) -> None:
    reply = await client.options("/track/bulk", headers={"Origin": "https://shop.example"})
    assert reply.status_code == 204
    assert "Content-Encoding" in reply.headers["Access-Control-Allow-Headers"]
    assert reply.headers["Access-Control-Max-Age"] == "86400"
