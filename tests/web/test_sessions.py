"""Who signs in: a key becomes a cookie that our own pages can use, or a token used once."""

import re
from collections.abc import Iterator

import msgspec
import orjson
import pytest
from quart.typing import TestClientProtocol as Client

from engine.actors.runtime import Engine
from engine.config import Config
from persistence.keys import KeyStore, digest_of
from tests.web.conftest import NOW_MS
from tests.web.keyed import KEYS, bearer, keyed_control
from tests.web.sockets import served, wire
from tests.web.test_lane import EVENT, request
from web.app import Application, create_app
from web.control import Control
from web.lane import Lane
from web.service import LateEngine
from web.visits import COOKIE, SECURE_COOKIE, token_in

SHOP = "https://shop.example"
OURS = {"Sec-Fetch-Site": "same-origin"}
BOARD = {
    "name": "Mine", "type": "custom", "isActive": True, "refreshInterval": 60, "widgets": [],
}  # fmt: skip


@pytest.fixture
def config(config: Config) -> Config:
    return msgspec.structs.replace(
        config, cors_origins=(SHOP,), trusted_proxies=("127.0.0.1", "::1")
    )


class Clock:
    now_ms = NOW_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def control(config: Config, clock: Clock) -> Iterator[Control]:
    keyed_control(config).close()
    control = Control.open(config, now_ms=clock)
    yield control
    control.close()


@pytest.fixture
def client(app: Application) -> Client:
    return app.test_client(use_cookies=False)


async def cookie(client: Client, role: str = "read", **headers: str) -> str:
    """The cookie as a browser sends it back."""
    reply = await client.post("/session", headers=bearer(role) | headers)
    assert reply.status_code == 200, await reply.get_data()
    return str(reply.headers["Set-Cookie"]).partition(";")[0]


async def status(
    client: Client, method: str = "GET", path: str = "/counters", **headers: str
) -> int:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = await client.open(path, method=method, headers=named)
    return int(reply.status_code)


async def test_a_key_is_swapped_for_a_cookie_that_no_script_and_no_other_site_gets(
    client: Client,
) -> None:
    reply = await client.post("/session", headers=bearer("read"))
    name, _, rest = reply.headers["Set-Cookie"].partition("=")
    assert name == COOKIE
    assert re.fullmatch(r"[\w-]{43}; Max-Age=28800; Path=/; HttpOnly; SameSite=Strict", rest)
    told = orjson.loads(await reply.get_data())
    assert told == {"role": "read", "keys": True, "expiresAt": "2025-10-03T20:00:00Z"}
    assert KEYS["read"] not in str(reply.headers)
    session = await client.get("/session", headers={"Cookie": await cookie(client)})
    assert orjson.loads(await session.get_data()) == told
    own = await client.get("/session", headers=bearer("admin"))
    assert orjson.loads(await own.get_data())["expiresAt"] is None


async def test_over_https_the_cookie_is_of_this_host_alone(client: Client) -> None:
    reply = await client.post(
        "/session",
        headers=bearer("read") | {"X-Forwarded-Proto": "https"},
        scope_base={"client": ("127.0.0.1", 1)},
    )
    name, _, rest = reply.headers["Set-Cookie"].partition("=")
    assert (name, rest.endswith("; Secure")) == (SECURE_COOKIE, True)
    forged = await client.post(
        "/session",
        headers=bearer("read") | {"X-Forwarded-Proto": "https"},
        scope_base={"client": ("9.9.9.9", 1)},
    )
    assert forged.headers["Set-Cookie"].startswith(f"{COOKIE}=")
    assert token_in(f"a=b; {COOKIE}=x; {SECURE_COOKIE}=y; c") == "y"


async def test_a_cookie_reads_and_keeps_dashboards_and_sends_no_events(client: Client) -> None:
    signed = {"Cookie": await cookie(client)} | OURS
    assert (await client.get("/counters", headers=signed)).status_code == 200
    assert (await client.post("/dashboards", json=BOARD, headers=signed)).status_code == 201
    assert (await client.get("/load/runs", headers=signed)).status_code == 403
    assert (await client.put("/catalog/services/s", json={}, headers=signed)).status_code == 403
    assert (await client.post("/track", data=EVENT, headers=signed)).status_code == 401
    admin = {"Cookie": await cookie(client, "admin")} | OURS
    named = await client.put("/catalog/services/s", json={"name": "S"}, headers=admin)
    assert named.status_code == 200


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "none"}, 201),
        ({"Origin": "http://localhost"}, 201),
        ({}, 201),
        ({"Sec-Fetch-Site": "same-site"}, 401),
        ({"Sec-Fetch-Site": "cross-site"}, 401),
        ({"Sec-Fetch-Site": "cross-site", "Origin": SHOP}, 401),
        ({"Origin": "http://localhost:9"}, 401),
        ({"Origin": "null"}, 401),
        ({"Origin": SHOP}, 401),
    ],
)
async def test_a_page_of_another_origin_cannot_use_the_cookie(
    client: Client, headers: dict[str, str], expected: int
) -> None:
    signed = {"Cookie": await cookie(client), "Host": "localhost"} | headers
    changed = await client.post("/dashboards", json=BOARD, headers=signed)
    assert changed.status_code == expected
    read = await client.get("/counters", headers=signed)
    assert read.status_code == (200 if expected == 201 else 401)
    left = orjson.loads(await (await client.get("/dashboards", headers=bearer("read"))).data)
    assert ("Mine" in [board["name"] for board in left["data"]]) == (expected == 201)


async def test_a_key_in_a_header_needs_no_page(client: Client) -> None:
    headers = bearer("read") | {"Sec-Fetch-Site": "cross-site", "Origin": "https://x.example"}
    assert (await client.post("/dashboards", json=BOARD, headers=headers)).status_code == 201


async def test_a_session_ends_after_eight_hours_by_signing_out_and_with_its_key(
    client: Client, clock: Clock, config: Config, control: Control
) -> None:
    first, second, third = [await cookie(client) for _ in range(3)]
    signed_out = await client.delete("/session", headers={"Cookie": first} | OURS)
    assert signed_out.status_code == 204
    assert "Max-Age=0" in signed_out.headers["Set-Cookie"]
    assert await status(client, Cookie=first) == 401
    assert await status(client, Cookie=second) == 200
    clock.now_ms += 8 * 3_600_000 - 1
    assert await status(client, Cookie=second) == 200
    clock.now_ms += 1
    assert await status(client, Cookie=second) == 401
    clock.now_ms -= 3_600_000
    assert await status(client, Cookie=third) == 200
    store = KeyStore.open(config.data)
    store.revoke(digest_of(KEYS["read"]), now_ms=NOW_MS)
    control.keyring.gate.take(store.entries())
    store.close()
    assert await status(client, Cookie=third) == 401


async def test_a_page_of_another_origin_can_sign_nobody_out(client: Client) -> None:
    signed = await cookie(client)
    forged = {"Cookie": signed, "Sec-Fetch-Site": "cross-site"}
    assert (await client.delete("/session", headers=forged)).status_code == 403
    assert await status(client, Cookie=signed) == 200


async def test_a_session_outlives_a_restart_and_not_its_key(
    client: Client, config: Config, control: Control, service: LateEngine, clock: Clock
) -> None:
    signed = {"Cookie": await cookie(client)}
    control.keyring._store.leave()
    again = Control.open(config, now_ms=clock)
    restarted = create_app(service, config, again).test_client(use_cookies=False)
    assert (await restarted.get("/counters", headers=signed)).status_code == 200
    again.close()
    store = KeyStore.open(config.data)
    store.revoke(digest_of(KEYS["read"]), now_ms=NOW_MS)
    assert store.sessions() == []
    store.close()


async def test_nothing_but_a_key_makes_a_session(client: Client) -> None:
    assert await status(client, "POST", "/session") == 401
    assert await status(client, "POST", "/session", **bearer("write")) == 403
    signed = await cookie(client)
    assert (
        await status(client, "POST", "/session", Cookie=signed, **{"Sec-Fetch-Site": "none"})
        == 403
    )
    assert await status(client, "POST", "/session?key=" + KEYS["read"]) == 401


async def test_no_file_holds_the_token_of_a_session(client: Client, config: Config) -> None:
    token = (await cookie(client)).partition("=")[2].encode()
    assert not any(token in path.read_bytes() for path in config.data.glob("control.db*"))


async def test_without_keys_everybody_is_told_that_none_is_asked_for(
    service: LateEngine, config: Config
) -> None:
    free = msgspec.structs.replace(config, data=config.data / "free")
    free.data.mkdir()
    control = Control.open(free, now_ms=lambda: NOW_MS)
    client = create_app(service, free, control).test_client()
    for reply in (await client.get("/session"), await client.post("/session")):
        assert "Set-Cookie" not in reply.headers
        told = orjson.loads(await reply.get_data())
        assert told == {"role": "admin", "keys": False, "expiresAt": None}
    control.close()


# -- the token of a stream --------------------------------------------------------------------


@pytest.mark.parametrize("has_lane", [True, False])
async def test_a_token_opens_one_stream_once(
    app: Application,
    engine: Engine,
    config: Config,
    client: Client,
    clock: Clock,
    *,
    has_lane: bool,
) -> None:
    async def new_token() -> bytes:
        reply = await client.post("/stream/tokens", headers=bearer("read"))
        made = orjson.loads(await reply.get_data())
        assert (reply.status_code, made["expiresInS"]) == (201, 60)
        return str(made["token"]).encode()

    lane = (
        Lane(engine, config, app.live, app.meter, app.gate, app.untaken) if has_lane else None
    )
    async with served(app, config, lane) as port:

        async def opened(token: bytes, path: bytes = b"/stream") -> bytes:
            raw = request(
                b"GET " + path + b"?token=" + token,
                b"",
                f"Origin: {SHOP}".encode(),
                length=False,
            )
            async with wire(port) as listening:
                await listening.send(raw)
                return await listening.until(b"\r\n\r\n")

        token = await new_token()
        head = (await opened(token)).lower()
        assert b" 200 " in head
        assert b"access-control-allow-origin: https://shop.example" in head
        assert b" 401 " in await opened(token)
        assert b" 401 " in await opened(await new_token(), b"/counters")
        late = await new_token()
        clock.now_ms += 60_000
        assert b" 401 " in await opened(late)


async def test_a_token_is_made_by_who_may_read_and_from_where_that_may_be(
    client: Client,
) -> None:
    assert await status(client, "POST", "/stream/tokens") == 401
    assert await status(client, "POST", "/stream/tokens", **bearer("write")) == 403
    signed = {"Cookie": await cookie(client)}
    assert await status(client, "POST", "/stream/tokens", **signed) == 201
    cross = signed | {"Sec-Fetch-Site": "cross-site", "Origin": SHOP}
    assert await status(client, "POST", "/stream/tokens", **cross) == 401


# -- pages of other origins -------------------------------------------------------------------


async def test_pages_of_an_allowed_origin_read_with_a_key_and_without_credentials(
    client: Client,
) -> None:
    asked = await client.options(
        "/metrics/services",
        headers={"Origin": SHOP, "Access-Control-Request-Method": "GET"},
    )
    assert asked.status_code == 204
    assert asked.headers["Access-Control-Allow-Origin"] == SHOP
    assert asked.headers["Access-Control-Allow-Methods"] == "GET"
    assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]
    for headers, expected in ((bearer("read"), 200), ({}, 401)):
        reply = await client.get("/metrics/services", headers=headers | {"Origin": SHOP})
        assert reply.status_code == expected
        assert reply.headers["Access-Control-Allow-Origin"] == SHOP
        exposed = reply.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Retry-After", "Tallymark-Sample-Interval"} < set(exposed)
        assert "Origin" in reply.headers["Vary"]
        assert "Access-Control-Allow-Credentials" not in reply.headers


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/sql", "GET, POST"),
        ("/stream/tokens", "POST"),
        ("/stream", "GET"),
        ("/dashboards", "GET"),
        ("/load/runs", None),
        ("/session", "GET"),
        ("/nope", None),
    ],
)
async def test_only_what_asks_is_shared_with_other_origins(
    client: Client, path: str, methods: str | None
) -> None:
    reply = await client.options(path, headers={"Origin": SHOP})
    assert reply.headers.get("Access-Control-Allow-Methods") == methods


@pytest.mark.parametrize("origin", ["https://shop.example.evil", "http://shop.example", "null"])
async def test_pages_of_any_other_origin_read_nothing(client: Client, origin: str) -> None:
    for reply in (
        await client.options("/metrics/services", headers={"Origin": origin}),
        await client.get("/metrics/services", headers=bearer("read") | {"Origin": origin}),
    ):
        assert "Access-Control-Allow-Origin" not in reply.headers


async def test_pages_of_any_origin_send_events(client: Client) -> None:
    headers = bearer("write") | {
        "Origin": "https://any.example",
        "Sec-Fetch-Site": "cross-site",
    }
    reply = await client.post("/track", data=EVENT, headers=headers)
    assert (reply.status_code, reply.headers["Access-Control-Allow-Origin"]) == (200, "*")
