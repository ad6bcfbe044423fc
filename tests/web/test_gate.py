"""Every route asks for its role on both lanes, and a key opens what it should and no more."""

import base64
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import msgspec
import orjson
import pytest
import trio

from engine.actors.runtime import Engine
from engine.config import Config
from persistence.keys import ROLES, KeyStore, digest_of, new_key
from tests.web.conftest import NOW_MS
from tests.web.corpus import cases_that_need, request_of
from tests.web.keyed import KEYS, bearer, keyed_control, under
from tests.web.sockets import Answer, served, wire
from tests.web.test_lane import EVENT, JSON, compared, request
from web.app import Application, create_app
from web.control import Control
from web.lane import Lane
from web.route import Route
from web.routes import ROUTES
from web.service import LateEngine

WRITE, READ, ADMIN = (f"Authorization: Bearer {KEYS[role]}".encode() for role in ROLES)


@pytest.fixture
def control(config: Config) -> Iterator[Control]:
    control = keyed_control(config)
    yield control
    control.close()


@pytest.fixture
async def port(app: Application, config: Config, engine: Engine) -> AsyncIterator[int]:
    lane = Lane(engine, config, app.live, app.meter, app.gate, app.untaken)
    async with served(app, config, lane) as port:
        yield port


async def asked(port: int, raw: bytes) -> Answer:
    async with wire(port) as connection:
        await connection.send(raw)
        return await connection.answer(method=raw.split(b" ")[0].decode())


def track(*headers: bytes, target: bytes = b"POST /track") -> bytes:
    return request(target, EVENT, JSON, b"Connection: close", *headers)


def get(path: bytes, *headers: bytes) -> bytes:
    return request(b"GET " + path, b"", b"Connection: close", *headers, length=False)


QUERY_KEYS = {role: f"?key={key}".encode() for role, key in KEYS.items()}
STREAM = b"/stream?keys=nope"
"""422 for whoever is let in, so that it has an end."""

TRACK = b"POST /track"
OTHER = b"Authorization: Bearer " + new_key("write").encode()
OTHER_CASE = b"Authorization: Bearer " + KEYS["write"].swapcase().encode()
BASIC = b"Authorization: Basic " + base64.b64encode(KEYS["write"].encode())
SMALL = b"Authorization: bearer " + KEYS["write"].encode()
CLOSE = b"Connection: close"

CASES = {
    "no key": (track(), 401),
    "a key that writes": (track(WRITE), 200),
    "an admin key": (track(ADMIN), 200),
    "a key that reads": (track(READ), 403),
    "a key nobody made": (track(OTHER), 401),
    "a key cut short": (track(WRITE[:-1]), 401),
    "a key made longer": (track(WRITE + b"x"), 401),
    "a key in other letters": (track(OTHER_CASE), 401),
    "a key without its scheme": (track(b"Authorization: " + KEYS["write"].encode()), 401),
    "a scheme in small letters": (track(SMALL), 200),
    "the wrong scheme": (track(BASIC), 401),
    "a key twice": (track(WRITE, WRITE), 401),
    "an empty header": (track(b"Authorization:"), 401),
    "no letters of ASCII": (track(b"Authorization: Bearer tm_w_\xff\xfe"), 401),
    "a key in the address": (track(target=TRACK + QUERY_KEYS["write"]), 200),
    "a reading key in the address": (track(target=TRACK + QUERY_KEYS["read"]), 403),
    "an admin key in the address": (track(target=TRACK + QUERY_KEYS["admin"]), 403),
    "another key in the address": (track(target=b"POST /track?key=" + OTHER[22:]), 401),
    "an empty key in the address": (track(target=b"POST /track?key="), 401),
    "two keys in the address": (track(target=TRACK + QUERY_KEYS["write"] + b"&key=x"), 401),
    "a bad header and a good address": (
        track(b"Authorization: x", target=TRACK + QUERY_KEYS["write"]), 401
    ),
    "a batch": (request(b"POST /track/batch", b"[" + EVENT + b"]", JSON, CLOSE), 401),
    "many": (request(b"POST /track/bulk", EVENT, CLOSE), 401),
    "a body too large": (request(b"POST /track", b"x" * 2_000_000, CLOSE), 401),
    "no JSON": (request(b"POST /track", b"{", JSON, CLOSE), 401),
    "another host": (request(b"POST /track", EVENT, WRITE, CLOSE, host=b"tally.example"), 200),
    "a preflight": (request(b"OPTIONS /track", b"", b"Origin: https://x.example", CLOSE), 204),
    "a stream without a key": (get(STREAM), 401),
    "a stream with a key that writes": (get(STREAM, WRITE), 403),
    "a stream with a key that reads": (get(STREAM, READ), 422),
    "a stream with a key in the address": (get(STREAM + b"&key=" + KEYS["read"].encode()), 401),
    "a stream with an unknown token": (get(STREAM + b"&token=x"), 401),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_both_lanes_ask_for_keys_alike(port: int, plain_port: int, name: str) -> None:
    raw, status = CASES[name]
    with_lane, without = await asked(port, raw), await asked(plain_port, raw)
    assert with_lane.status == status, with_lane.body
    assert compared(with_lane) == compared(without)


async def test_whoever_has_no_key_changes_nothing(port: int, engine: Engine) -> None:
    for raw, status in CASES.values():
        if status in (401, 403):
            await asked(port, raw)
    assert engine.health().events == 0


async def test_the_corpus_without_a_good_key_is_refused_on_both_lanes(
    port: int, plain_port: int, engine: Engine
) -> None:
    cases = cases_that_need("keys")
    assert len(cases) == 3
    for one in cases:
        raw = request_of(one)
        with_lane, without = await asked(port, raw), await asked(plain_port, raw)
        assert compared(with_lane) == compared(without), one["id"]
        assert with_lane.status == 401
        assert orjson.loads(with_lane.body)["type"] == "/problems/unauthorized"
        assert with_lane.headers["www-authenticate"] == 'Bearer realm="tallymark"'
    assert engine.health().events == 0


@pytest.mark.parametrize("path", [b"/track", b"/track/bulk", b"/sql"])
async def test_a_body_of_a_stranger_is_not_waited_for(
    port: int, app: Application, path: bytes
) -> None:
    raw = request(b"POST " + path, b"x" * 900_000, b"Expect: 100-continue")
    head = raw[: raw.index(b"\r\n\r\n") + 4]
    async with wire(port) as connection:
        with trio.fail_after(10):  # and not the 30 that a body may take
            await connection.send(head)
            answer = await connection.answer()
            if answer.status == 100:  # Hypercorn asks for the body, and it is thrown away
                answer = await connection.answer()
    assert answer.status == 401


async def test_an_unknown_key_and_no_key_are_told_the_same(port: int) -> None:
    answers = [CASES[name][0] for name in ("no key", "a key nobody made", "a key cut short")]
    assert len({(await asked(port, raw)).body for raw in answers}) == 1


async def test_a_head_that_is_known_is_asked_again_after_each_change(
    port: int, config: Config, app: Application
) -> None:
    other = new_key("write")
    store = KeyStore.open(config.data)
    store.add(digest_of(other), "write", "", now_ms=NOW_MS)
    raw = request(b"POST /track", EVENT, b"Authorization: Bearer " + other.encode())
    async with wire(port) as connection:

        async def status() -> int:
            await connection.send(raw)
            return (await connection.answer()).status

        await trio.to_thread.run_sync(applied, store)
        assert [await status(), await status()] == [200, 200]
        store.revoke(digest_of(other), now_ms=NOW_MS)
        await trio.to_thread.run_sync(applied, store)
        assert await status() == 401
    assert (await asked(port, track(WRITE))).status == 200
    store.close()


def applied(store: KeyStore) -> None:
    """Wait as `tallymark keys` does."""
    while not store.is_applied:
        pass


async def test_a_stream_ends_with_its_key(port: int, config: Config) -> None:
    async with wire(port) as listening:
        await listening.send(request(b"GET /stream", b"", READ, length=False))
        await listening.until(b"connected")
        store = KeyStore.open(config.data)
        store.revoke(digest_of(KEYS["read"]), now_ms=NOW_MS)
        store.close()
        assert (await listening.end()).endswith(b"0\r\n\r\n")


# -- every route -----------------------------------------------------------------------------

CHANGING = {
    "startLoadRun": b'{"profile":"steady","rate":1,"durationS":1}',
    "createReport": b"{}",
    "createDashboard": b"{}",
    "importDashboard": b"{}",
    "replaceDashboard": b"{}",
    "nameService": b'{"name":"x"}',
    "nameExperiment": b'{"name":"x"}',
    "sqlSent": b"SELECT 1",
    "compatibleSent": b"SELECT 1",
}
NEED = {"open": {None, "write", "read", "admin"}, "admin": {"admin"}} | {
    role: {role, "admin"} for role in ("write", "read")
}


def path_of(route: Route) -> str:
    path = route.path
    for name in route.path_parameters:
        path = path.replace(f"{{{name}}}", "x")
    return path


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
async def test_a_route_opens_for_its_role_and_for_no_other(
    app: Application, route: Route
) -> None:
    client = app.test_client()
    opened = set()
    for role in (None, *ROLES):
        reply = await client.open(
            path_of(route),
            method=route.method,
            headers={"Content-Type": "application/json"} | (bearer(role) if role else {}),
            data=CHANGING.get(route.name, b""),
            query_string={"keys": "nope"} if route.media == "text/event-stream" else None,
        )
        assert reply.status_code != 500
        if reply.status_code not in (401, 403):
            opened.add(role)
        else:
            assert reply.status_code == (401 if role is None else 403), role
    assert opened == (NEED["read"] if route.name == "home" else NEED[route.role])


async def test_clients_of_analytics_engine_read_refused_credentials_as_they_know_them(
    app: Application,
) -> None:
    client = app.test_client()
    path = "/client/v4/accounts/0123456789abcdef0123456789abcdef/analytics_engine/sql"
    for headers, status, code in (({}, 401, 10_000), (bearer("write"), 403, 9_109)):
        reply = await client.post(path, data=b"SELECT 1", headers=headers)
        assert (reply.status_code, reply.content_type) == (status, "application/json")
        envelope = orjson.loads(await reply.get_data())
        assert (envelope["success"], envelope["result"]) == (False, None)
        (error,) = envelope["errors"]
        assert error["code"] == code
        assert error["message"]
    assert ("WWW-Authenticate" in reply.headers) == (reply.status_code == 401)


async def test_the_page_itself_is_open_and_tells_nothing(app: Application) -> None:
    client = app.test_client()
    reply = await client.get("/", headers={"Accept": "text/html"})
    assert reply.status_code == 200
    assert b"version" not in await reply.get_data()


async def test_a_stranger_is_told_that_it_lives_and_no_more(app: Application) -> None:
    client = app.test_client()
    stranger = orjson.loads(await (await client.get("/health")).get_data())
    assert stranger == {"status": "ok"}
    reader = await client.get("/health", headers=bearer("read"))
    assert {"version", "settings"} <= set(orjson.loads(await reader.get_data()))
    ready = await client.get("/ready")
    assert orjson.loads(await ready.get_data()) == {"ready": True}


async def test_a_route_that_is_not_there_asks_for_no_key(app: Application) -> None:
    client = app.test_client()
    assert (await client.get("/nope")).status_code == 404
    assert (await client.delete("/track")).status_code == 405


# -- beyond a key ----------------------------------------------------------------------------


@pytest.fixture
def standstill(monkeypatch: pytest.MonkeyPatch) -> None:
    """No time passes for limits."""
    monkeypatch.setattr("web.allowance.monotonic", lambda: 1.0)


@pytest.mark.usefixtures("standstill")
async def test_wrong_keys_from_one_address_are_slowed_down_and_good_ones_are_not(
    service: LateEngine, config: Config, control: Control
) -> None:
    slow = msgspec.structs.replace(config, failed_keys_per_minute_max=3)
    with_limit = under(control, slow)
    client = create_app(service, slow, with_limit).test_client()
    wrong = {"Authorization": f"Bearer {new_key('read')}"}
    statuses = [(await client.get("/counters", headers=wrong)).status_code for _ in range(4)]
    assert statuses == [401, 401, 401, 429]
    refused = await client.get("/counters", headers=wrong)
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.headers["RateLimit-Policy"] == '"failed-keys";q=3;w=60'
    assert (await client.get("/counters", headers=bearer("read"))).status_code == 200
    assert (await client.get("/counters")).status_code == 401


@pytest.mark.usefixtures("standstill")
async def test_events_are_counted_against_their_key_and_refused_with_when_to_come_again(
    engine: Engine, service: LateEngine, config: Config, control: Control
) -> None:
    few = msgspec.structs.replace(config, key_events_per_s_max=1, rate_burst_s=10)
    for has_lane in (True, False):
        app = create_app(service, few, under(control, few))
        lane = (
            Lane(engine, few, app.live, app.meter, app.gate, app.untaken) if has_lane else None
        )
        batch = b"[" + b",".join([EVENT] * 6) + b"]"
        raw = request(b"POST /track/batch", batch, JSON, WRITE, b"Connection: close")
        async with served(app, few, lane) as port:
            assert [(await asked(port, raw)).status for _ in range(2)] == [200, 200]
            refused = await asked(port, raw)
            assert (await asked(port, track(ADMIN))).status == 200
        assert refused.status == 429
        assert 1 <= int(refused.headers["retry-after"]) <= 3
        assert refused.headers["ratelimit-policy"] == '"key-events";q=10;w=10'
        assert refused.headers["ratelimit"].startswith('"key-events";r=0;t=')
        assert refused.headers["access-control-allow-origin"] == "*"
        assert orjson.loads(refused.body)["type"] == "/problems/too-many-requests"


@pytest.mark.usefixtures("standstill")
async def test_large_requests_count_with_every_event(
    engine: Engine, service: LateEngine, config: Config, control: Control
) -> None:
    few = msgspec.structs.replace(config, key_events_per_s_max=1, rate_burst_s=10)
    app = create_app(service, few, under(control, few))
    lane = Lane(engine, few, app.live, app.meter, app.gate, app.untaken)
    raw = request(b"POST /track/bulk", b"\n".join([EVENT] * 30), WRITE, b"Connection: close")
    async with served(app, few, lane) as port:
        assert (await asked(port, raw)).status == 200
        refused = await asked(port, raw)
    assert (refused.status, 19 <= int(refused.headers["retry-after"]) <= 21) == (429, True)


@pytest.mark.usefixtures("standstill")
async def test_addresses_are_limited_with_keys_and_without(
    service: LateEngine, config: Config, tmp_path: Path
) -> None:
    few = msgspec.structs.replace(
        config,
        data=tmp_path / "other",
        address_requests_per_s_max=1,
        address_events_per_s_max=2,
        rate_burst_s=2,
        trusted_proxies=("127.0.0.0/8",),
    )
    few.data.mkdir()
    keyless = Control.open(few, now_ms=lambda: NOW_MS)
    app = create_app(service, few, keyless)
    async with served(app, few) as port:
        one, two = b"X-Forwarded-For: 1.1.1.1", b"X-Forwarded-For: 2.2.2.2"
        statuses = [(await asked(port, get(b"/counters", one))).status for _ in range(3)]
        assert statuses == [200, 200, 429]
        assert (await asked(port, get(b"/counters", two))).status == 200
        assert (await asked(port, get(b"/health", one))).status == 200
        statuses = [(await asked(port, track(one))).status for _ in range(5)]
        assert statuses == [200, 200, 200, 200, 429]
        assert (await asked(port, track(two))).status == 200
    keyless.close()
