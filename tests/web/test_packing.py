"""Answers are packed where that is welcome, alike on both lanes, and nothing else changes."""

import gzip
import zlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import orjson
import pytest
import trio
import zstandard

from engine.actors.runtime import Engine
from engine.config import Config
from tests.living import batch
from tests.web.sockets import Answer, served, wire
from web.app import create_app
from web.control import Control
from web.errors import CutShort
from web.headers import DATA_HEADERS
from web.lane import Lane
from web.packing import PACK_BYTES_MIN, THREAD_BYTES_MIN, packed, packing_for, streamed
from web.routes import ROUTES
from web.service import LateEngine
from web.setup_routes import SETUP_ROUTES
from web.wire import Reply, sent

SHOP = "https://shop.example"
LARGE = b'{"data":[%b]}' % b",".join(b"%d" % n for n in range(2_000))
LARGER = b" ".join(b"%d" % n for n in range(THREAD_BYTES_MIN // 5))


def unpacked(body: bytes, headers: dict[str, str]) -> bytes:
    match headers.get("content-encoding"):
        case "gzip":
            return gzip.decompress(body)
        case "zstd":
            return zstandard.ZstdDecompressor().decompressobj().decompress(body)
        case _:
            return body


def lower(reply: Reply) -> dict[str, str]:
    return {name.lower(): value for name, value in reply.headers}


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [
        (None, None),
        ("", None),
        ("gzip", "gzip"),
        ("GZIP", "gzip"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "gzip"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip ; q=0.5,zstd\t;\tq=0.501", "zstd"),
        ("gzip;q=0", None),
        ("gzip;q=0.000, zstd;q=0", None),
        ("gzip;q=0, *", None),
        ("*", "gzip"),
        ("*;q=0", None),
        ("*;q=0, gzip", "gzip"),
        ("br, *;q=0.1", "gzip"),
        ("identity", None),
        ("identity, gzip", "gzip"),
        ("identity, gzip;q=0.9", None),
        ("identity;q=0.5, gzip;q=0.9", "gzip"),
        ("identity;q=0", None),
        ("deflate, br", None),
        ("gzip;q=2", None),
        ("gzip;q=", None),
        ("gzip;level=9", None),
        ("x;;;,,gzip,,", "gzip"),
    ],
)
def test_what_is_welcome_most_is_taken(accepted: str | None, expected: str | None) -> None:
    assert packing_for(accepted) == expected


@pytest.mark.parametrize("body", [LARGE, LARGER])
@pytest.mark.parametrize("accepted", ["gzip", "zstd"])
async def test_a_large_answer_is_packed_and_is_the_same(body: bytes, accepted: str) -> None:
    reply = await packed(sent(body), accepted)
    assert lower(reply)["content-encoding"] == accepted
    assert lower(reply)["vary"] == "Accept-Encoding"
    assert len(reply.body) < len(body) / 2
    assert unpacked(reply.body, lower(reply)) == body


async def test_what_gains_nothing_or_is_not_wanted_packed_is_sent_as_it_is() -> None:
    small = sent(bytes(PACK_BYTES_MIN - 1))
    assert await packed(small, "gzip") is small
    for media in ("application/vnd.apache.parquet", "image/png", "text/event-stream"):
        binary = sent(LARGE, media=media)
        assert await packed(binary, "gzip") is binary
    tagged = Reply(200, (("Content-Type", "text/csv"), ("ETag", '"1"')), LARGE)
    assert await packed(tagged, "gzip") is tagged
    unwanted = await packed(sent(LARGE), None)
    assert unwanted.body == LARGE
    assert lower(unwanted)["vary"] == "Accept-Encoding"


class Pieces:
    """Pieces that are asked for, one by one; then the end, or what went wrong."""

    def __init__(self, pieces: list[bytes], failure: Exception | None = None) -> None:
        self.left = list(pieces)
        self.failure = failure
        self.is_closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        await trio.lowlevel.checkpoint()
        if self.left:
            return self.left.pop(0)
        raise self.failure or StopAsyncIteration

    async def aclose(self) -> None:
        self.is_closed = True


CSV = (("Content-Type", "text/csv; charset=utf-8"), *DATA_HEADERS)
READERS: dict[str, Any] = {
    "gzip": lambda: zlib.decompressobj(31),
    "zstd": lambda: zstandard.ZstdDecompressor().decompressobj(),
}


@pytest.mark.parametrize("accepted", READERS)
async def test_of_a_stream_each_piece_goes_out_before_the_next_is_asked_for(
    accepted: str,
) -> None:
    told = [b"%d" % n * 9_999 for n in range(9)]
    source = Pieces(told)
    found, headers = streamed(source, CSV, accepted)
    assert dict(headers)["Content-Encoding"] == accepted
    reader = READERS[accepted]()
    for number, piece in enumerate(told, 1):
        assert reader.decompress(await anext(found)) == piece
        assert len(source.left) == len(told) - number
    assert reader.decompress(await anext(found)) == b""
    assert reader.eof
    with pytest.raises(StopAsyncIteration):
        await anext(found)


@pytest.mark.parametrize("accepted", READERS)
async def test_a_stream_that_is_cut_short_has_no_end(accepted: str) -> None:
    source = Pieces([b"a" * 9_999], CutShort())
    found, _ = streamed(source, CSV, accepted)
    reader = READERS[accepted]()
    reader.decompress(await anext(found))
    with pytest.raises(CutShort):
        await anext(found)
    assert not reader.eof
    await found.aclose()  # type: ignore[attr-defined]  # what carries it looks for that
    assert source.is_closed


def test_a_stream_keeps_its_length_only_as_it_is() -> None:
    source = Pieces([])
    stated = (*CSV, ("Content-Length", "5000"))
    assert "Content-Length" not in dict(streamed(source, stated, "gzip")[1])
    assert streamed(source, stated, None) == (source, (*stated, ("Vary", "Accept-Encoding")))
    small = (*CSV, ("Content-Length", "500"))
    assert streamed(source, small, "gzip") == (source, small)
    arrow = (("Content-Type", "application/vnd.apache.arrow.stream"),)
    assert streamed(source, arrow, "gzip") == (source, arrow)


# -- through both lanes

CODINGS = (None, "gzip", "zstd", "gzip;q=0", "br, gzip, zstd;q=0.2", "*;q=0.1", "identity")
TARGETS = (
    "GET /metrics/services?limit=1000",
    "HEAD /metrics/services?limit=1000",
    "GET /metrics/services?limit=1",
    "GET /counters",
    "GET /openapi.json",
    "GET /export/services?limit=1000",
    "GET /metrics/prometheus",
    "GET /metrics/services?limit=0",
    "GET /dashboards",
)


@pytest.fixture
def config(config: Config) -> Config:
    return msgspec.structs.replace(config, cors_origins=(SHOP,))


async def asked(port: int, target: str, coding: str | None) -> Answer:
    lines = [f"{target} HTTP/1.1", "Host: localhost", f"Origin: {SHOP}", "Connection: close"]
    if coding is not None:
        lines.append(f"Accept-Encoding: {coding}")
    async with wire(port) as connection:
        await connection.send("\r\n".join((*lines, "", "")).encode())
        return await connection.answer(method=target.split(" ")[0])


async def test_both_lanes_pack_alike_and_what_is_packed_is_the_same(
    engine: Engine, service: LateEngine, config: Config, control: Control
) -> None:
    executions = [
        {
            "eventType": "service_execution",
            "serviceId": f"s-{n}",
            "latencyMs": n,
            "success": True,
        }
        for n in range(100)
    ]
    for first in range(0, len(executions), 25):
        await engine.accept(batch(*executions[first : first + 25]))
    apps = [create_app(service, config, control) for _ in range(2)]
    lane = Lane(engine, config, apps[0].live, apps[0].meter, apps[0].gate, apps[0].untaken)
    passing = {"date", "connection", "transfer-encoding"}
    async with served(apps[0], config, lane) as one, served(apps[1], config) as other:
        for target in TARGETS:
            plain = await asked(other, target, None)
            assert "content-encoding" not in plain.headers
            for coding in CODINGS:
                with_lane = await asked(one, target, coding)
                without = await asked(other, target, coding)
                kept = [
                    {name: text for name, text in found.headers.items() if name not in passing}
                    for found in (with_lane, without)
                ]
                if "prometheus" not in target:
                    assert with_lane.body == without.body
                    assert kept[0] == kept[1]
                    assert unpacked(without.body, without.headers) == plain.body
                is_large = int(plain.headers["content-length"]) >= PACK_BYTES_MIN
                is_packed = is_large and target != "GET /dashboards"
                expected = packing_for(coding) if is_packed else None
                assert without.headers.get("content-encoding") == expected
        for coding in CODINGS:
            whole = await asked(one, TARGETS[0], coding)
            head = await asked(one, TARGETS[1], coding)
            drop = {"date", "connection"}
            assert {k: v for k, v in head.headers.items() if k not in drop} == {
                k: v for k, v in whole.headers.items() if k not in drop
            }


def test_no_answer_that_holds_a_token_is_ever_packed() -> None:
    packs = [route for route in ROUTES if route.packs]
    assert {"services", "sqlSent", "exportEvents", "openapi"} <= {route.name for route in packs}
    for route in packs:
        if route.answer is not None:
            told = orjson.dumps(msgspec.json.schema(route.answer)).lower()
            assert b"token" not in told, route.name
            assert b"secret" not in told, route.name
    secret = {"signIn", "session", "streamToken", "shareDashboard", "dashboard", "dashboards"}
    assert secret <= {route.name for route in SETUP_ROUTES if not route.packs}
