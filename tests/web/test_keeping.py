"""A refusal costs the request and not the connection: the next one on it is answered."""

from collections.abc import Iterator

import msgspec
import pytest
import trio
import trio.lowlevel

from engine.actors.runtime import Engine
from engine.config import Config
from tests.web.keyed import keyed_control
from tests.web.sockets import served, wire
from tests.web.test_lane import EVENT, JSON, request
from web.app import Application, create_app
from web.control import Control
from web.lane import Lane
from web.service import LateEngine

ORIGIN = b"https://shop.example"
BODY = EVENT + b" " * 200_000  # more than arrives with the head
WRONG_KEY = b"Authorization: Bearer tm_w_" + b"0" * 43

REFUSED = {
    "another host": (421, request(b"POST /track", BODY, JSON, host=b"evil.example")),
    "another host, elsewhere": (421, request(b"POST /sql", BODY, host=b"evil.example")),
    "another host, in vain": (421, request(b"GET /health", BODY, host=b"evil.example")),
    "another origin": (
        403,
        request(b"PUT /catalog/services/s", BODY, JSON, b"Origin: http://evil.example"),
    ),
    "another site": (403, request(b"POST /sql", BODY, b"Sec-Fetch-Site: cross-site")),
    "a preflight with a body": (204, request(b"OPTIONS /sql", BODY, b"Origin: " + ORIGIN)),
    "no such route": (404, request(b"POST /nope", BODY)),
    "another method": (405, request(b"PUT /track", BODY)),
    "a question that is too long": (413, request(b"POST /sql", BODY)),
}

STRANGERS = {
    "without a key": (401, request(b"POST /track", BODY, JSON)),
    "without a key, elsewhere": (401, request(b"PUT /catalog/services/s", BODY, JSON)),
    "with a wrong key": (401, request(b"POST /track", BODY, JSON, WRONG_KEY)),
    "with a wrong key, elsewhere": (401, request(b"POST /sql", BODY, WRONG_KEY)),
    "without a key, in many events": (401, request(b"POST /track/bulk", BODY)),
}


@pytest.fixture
def config(config: Config) -> Config:
    return msgspec.structs.replace(config, cors_origins=(ORIGIN.decode(),))


@pytest.fixture
def keyed(config: Config) -> Iterator[Control]:
    control = keyed_control(config)
    yield control
    control.close()


def lane_of(app: Application, config: Config, engine: Engine, way: str) -> Lane | None:
    return (
        Lane(engine, config, app.live, app.meter, app.gate, app.untaken)
        if way == "lane"
        else None
    )


async def is_answered_and_kept(port: int, raw: bytes, status: int) -> None:
    """The refusal comes, twice, and the connection answers what is asked next."""
    async with wire(port) as connection:
        for _ in range(2):
            await connection.send(raw[:-100_000])
            await trio.lowlevel.checkpoint()
            await connection.send(raw[-100_000:])
            answer = await connection.answer()
            assert answer.status == status
            assert "close" not in answer.headers.get("connection", "")
        await connection.send(request(b"GET /ready", b"", length=False))
        assert (await connection.answer()).status == 200


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize("way", ["lane", "no lane"])
async def test_a_refusal_keeps_the_connection(
    name: str, way: str, app: Application, config: Config, engine: Engine
) -> None:
    status, raw = REFUSED[name]
    async with served(app, config, lane_of(app, config, engine, way)) as port:
        await is_answered_and_kept(port, raw, status)


@pytest.mark.parametrize("name", STRANGERS)
async def test_a_stranger_may_try_again_on_the_same_connection(
    name: str, service: LateEngine, config: Config, keyed: Control
) -> None:
    status, raw = STRANGERS[name]
    async with served(create_app(service, config, keyed), config) as port:
        await is_answered_and_kept(port, raw, status)


async def test_the_lane_waits_for_no_body_of_a_stranger_and_says_that_it_closes(
    service: LateEngine, config: Config, engine: Engine, keyed: Control
) -> None:
    """His answer comes before his body, so where his next request begins is his to say."""
    app = create_app(service, config, keyed)
    async with served(app, config, lane_of(app, config, engine, "lane")) as port:
        for target in (b"POST /track", b"POST /track/batch", b"POST /track/bulk"):
            async with wire(port) as connection:
                await connection.send(request(target, BODY, JSON))
                answer = await connection.answer()
                assert (answer.status, answer.headers["connection"]) == (401, "close")
                assert await connection.end() == b""
