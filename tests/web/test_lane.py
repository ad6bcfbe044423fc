"""The lane answers what the application does, and keeps its connections in order."""

import socket
from collections.abc import AsyncIterator

import msgspec
import orjson
import pytest
import trio

from engine.actors.runtime import Engine
from engine.config import Config
from tests.web.corpus import cases_that_need, request_of
from tests.web.sockets import Answer, Wire, served, wire
from web import hub, line
from web.app import Application, create_app
from web.control import Control
from web.lane import Lane
from web.service import LateEngine

EVENT = b'{"eventType":"marketplace_view","serviceId":"s-1"}'


def request(
    target: bytes = b"POST /track",
    body: bytes = EVENT,
    *headers: bytes,
    host: bytes = b"localhost",
    length: bool = True,
) -> bytes:
    lines = [target + b" HTTP/1.1", b"Host: " + host, *headers]
    if length:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def case(target: bytes, body: bytes, *headers: bytes, **others: object) -> bytes:
    return request(target, body, *headers, b"Connection: close", **others)


JSON = b"Content-Type: application/json"
MANY = b"[" + b",".join([EVENT] * 25) + b"]"
CHUNKED = b"Transfer-Encoding: chunked"

CASES = {
    "one event": case(b"POST /track", EVENT, JSON),
    "one event as text": case(b"POST /track", EVENT, b"Content-Type: text/plain;charset=UTF-8"),
    "one event of no type": case(b"POST /track", EVENT),
    "a batch": case(b"POST /track/batch", MANY, JSON),
    "an envelope": case(b"POST /track/batch", b'{"sentAt":1759492800000,"events":%b}' % MANY),
    "a batch that skips": case(b"POST /track/batch?onInvalid=skip", b'[%b,{}]' % EVENT, JSON),
    "a batch that skips all": case(b"POST /track/batch?onInvalid=skip", b"[{}]", JSON),
    "a key in the query": case(b"POST /track?key=x", EVENT, JSON),
    "in chunks": case(
        b"POST /track", b"5\r\n%b\r\n2d\r\n%b\r\n0\r\n\r\n" % (EVENT[:5], EVENT[5:]),
        JSON, CHUNKED, length=False,
    ),
    "broken JSON": case(b"POST /track", b"{", JSON),
    "nothing": case(b"POST /track", b"", JSON),
    "an unknown event": case(b"POST /track", b'{"eventType":"x"}', JSON),
    "an invalid event in a batch": case(b"POST /track/batch", b"[%b,{}]" % EVENT, JSON),
    "26 events": case(b"POST /track/batch", b"[" + b",".join([EVENT] * 26) + b"]", JSON),
    "no events": case(b"POST /track/batch", b"[]", JSON),
    "another media type": case(b"POST /track", EVENT, b"Content-Type: text/html"),
    "two media types": case(b"POST /track", EVENT, JSON, b"Content-Type: text/html"),
    "another charset": case(b"POST /track", EVENT, b"Content-Type: text/plain;charset=latin-1"),
    "a packed body": case(b"POST /track", EVENT, b"Content-Encoding: gzip"),
    "an unknown parameter": case(b"POST /track?a=b", EVENT, JSON),
    "a parameter twice": case(b"POST /track/batch?onInvalid=skip&onInvalid=skip", MANY, JSON),
    "a parameter that is no UTF-8": case(b"POST /track?a=%ff", EVENT, JSON),
    "another host": case(b"POST /track", EVENT, host=b"evil.example"),
    "another host with a bad body": case(b"POST /track", b"{", host=b"evil.example"),
    "a local host with a port": case(b"POST /track", EVENT, host=b"[::1]:99"),
    "GET where only POST is": case(b"GET /track", b""),
    "PUT": case(b"PUT /track", EVENT),
    "an unknown method": case(b"BREW /track", EVENT),
    "a preflight": case(b"OPTIONS /track/batch", b"", b"Origin: https://shop.example"),
    "no route": case(b"POST /trackk", EVENT),
    "a slash too many": case(b"POST /track/", EVENT),
    "a path in other letters": case(b"POST /TRACK", EVENT),
    "a path with escapes": case(b"POST /%74rack", EVENT),
    "a stream of unknown keys": case(b"GET /stream?keys=nope", b"", length=False),
    "a stream too slow": case(b"GET /stream?interval=11", b"", length=False),
    "a stream of another host": case(b"GET /stream", b"", host=b"evil.example", length=False),
    "a stream posted": case(b"POST /stream", b""),
    "ready": case(b"GET /ready", b"", length=False),
    **{
        f"{name}{query.decode()}": case(b"GET /" + name.encode() + query, b"", length=False)
        for name in (
            "metrics/services", "metrics/revenue", "metrics/marketplace", "metrics/experiments",
            "metrics/users", "counters", "counters/views:today", "counters/nope", "counters/",
            "counters/views%3Atoday", "counters/views/today", "counters/{key}", "counters/;",
            "metrics/services/", "metrics/none", "metrics",
        )
        for query in (b"", b"?startDate=2026-11-01&endDate=2026-11-03", b"?x=%ff")
    },
    "chosen counters": case(b"GET /counters?keys=views:today,errors:5m", b"", length=False),
    "an unknown counter": case(b"GET /counters?keys=nope", b"", length=False),
    "a series": case(b"GET /metrics/services?granularity=hour", b"", length=False),
    "a bad limit": case(b"GET /metrics/services?limit=0", b"", length=False),
    "figures of another host": case(b"GET /counters", b"", host=b"evil.example", length=False),
    "figures for a page": case(
        b"GET /counters/views:today", b"", b"Origin: https://shop.example", length=False
    ),
    "figures for another page of ours": case(
        b"GET /metrics/users", b"", b"Origin: http://localhost", length=False
    ),
    "figures posted": case(b"POST /counters", b"{}", JSON),
    "figures by HEAD": case(b"HEAD /metrics/services", b"", length=False),
    "figures with a body": case(b"GET /counters/views:today", b"{}", JSON),
    "figures with a body in chunks": case(
        b"GET /counters/views:today", b"2\r\n{}\r\n0\r\n\r\n", CHUNKED, length=False
    ),
}  # fmt: skip


@pytest.fixture
def lane(engine: Engine, app: Application, config: Config) -> Lane:
    return Lane(engine, config, app.live, app.meter, app.gate, app.untaken)


@pytest.fixture
async def port(app: Application, config: Config, lane: Lane) -> AsyncIterator[int]:
    async with served(app, config, lane) as port:
        yield port


async def asked(port: int, raw: bytes) -> Answer:
    async with wire(port) as connection:
        await connection.send(raw)
        answer = await connection.answer(method=raw.split(b" ")[0].decode())
        assert await connection.end() == b""
        return answer


def compared(answer: Answer) -> tuple[int, bytes, dict[str, str]]:
    """All but what says when, and how the body is delimited."""
    passing = {"date", "connection", "content-length", "transfer-encoding"}
    kept = {name: value for name, value in answer.headers.items() if name not in passing}
    return answer.status, answer.body, kept


@pytest.mark.parametrize("name", CASES)
async def test_the_lane_answers_as_the_application_does(
    port: int, plain_port: int, name: str
) -> None:
    with_lane = await asked(port, CASES[name])
    without = await asked(plain_port, CASES[name])
    assert compared(with_lane) == compared(without)


@pytest.mark.parametrize(
    "target", [b"post /track", b"get /counters", b"Post /sql", b"get /docs"]
)
async def test_a_method_in_small_letters_is_none_on_hot_routes_and_on_others(
    port: int, target: bytes
) -> None:
    method, path = target[:4], target[4:]
    answer = await asked(port, case(target, EVENT, JSON))
    assert answer.status == 501
    assert b"capital letters" in answer.body
    assert (await asked(port, case(method.upper() + path, EVENT, JSON))).status != 501


async def test_the_lane_and_the_application_count_alike(
    engine: Engine, service: LateEngine, config: Config, control: Control
) -> None:
    both = [create_app(service, config, control) for _ in range(2)]
    lanes = [
        Lane(engine, config, both[0].live, both[0].meter, both[0].gate, both[0].untaken),
        None,
    ]
    counted = []
    for app, lane in zip(both, lanes, strict=True):
        async with served(app, config, lane) as port:
            for name in ("one event", "a batch", "broken JSON", "nothing", "no route"):
                await asked(port, CASES[name])
            await asked(port, CASES["another host"])
            await asked(port, case(b"POST /track/bulk", EVENT + b"\n{}"))
            await asked(port, CASES["a stream of unknown keys"])
            for name in ("counters", "counters/views:today", "counters/nope", "metrics/users"):
                await asked(port, CASES[name])
            await asked(port, CASES["a bad limit"])
            await asked(port, CASES["figures of another host"])
        answers = {route: sum(one.counts) for route, one in app.meter.answer_s.items()}
        counted.append((app.meter.refusals, answers))
    assert counted[0] == counted[1]
    assert counted[0][0]["/track", "malformed-body"] == 2
    assert counted[0][1]["/track"] == 4


async def test_what_is_no_request_is_counted_as_a_refusal(port: int, app: Application) -> None:
    await asked(port, request(b"POST /track", EVENT, b"Content-Length: 1"))
    assert (
        app.meter.refusals["/track", "bad-request"] + app.meter.refusals["other", "bad-request"]
        == 1
    )


async def test_the_corpus_of_bad_inputs_is_refused_alike_by_both(
    port: int, plain_port: int, engine: Engine
) -> None:
    for one in cases_that_need(None):
        if not one["path"].startswith("/track"):
            continue
        raw = request_of(one)
        with_lane, without = await asked(port, raw), await asked(plain_port, raw)
        assert compared(with_lane) == compared(without), one["id"]
        assert with_lane.status in one["expect_status"], (one["id"], one["why"])
    assert engine.health().events == 0


# -- framing, on whichever lane the request would have gone ---------------------------------

AMBIGUOUS = {
    "length and chunks": (b"Content-Length: 5", b"Transfer-Encoding: chunked"),
    "two lengths": (b"Content-Length: 5", b"Content-Length: 6"),
    "a folded line": (b"A: b\r\n c", b"Content-Length: 0"),
    "a bare line feed": (b"A: b\nC: d", b"Content-Length: 0"),
    "a bare carriage return": (b"A: b\rC: d", b"Content-Length: 0"),
    "an unknown coding": (b"Transfer-Encoding: gzip, chunked",),
    "two hosts": (b"Host: localhost", b"Content-Length: 0"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
@pytest.mark.parametrize("target", [b"POST /track", b"POST /nope", b"GET /ready"])
async def test_ambiguous_framing_is_refused_and_the_connection_closed(
    port: int, target: bytes, name: str
) -> None:
    raw = request(target, b"0\r\n\r\n", *AMBIGUOUS[name], length=False)
    async with wire(port) as connection:
        await connection.send(raw + request())
        answer = await connection.answer()
        assert answer.status == 400
        assert orjson.loads(answer.body)["type"] == "/problems/bad-request"
        assert answer.headers["connection"] == "close"
        assert await connection.end() == b""


@pytest.mark.parametrize("target", [b"POST /track", b"POST /nope"])
async def test_broken_chunks_are_refused_on_both_lanes(port: int, target: bytes) -> None:
    async with wire(port) as connection:
        await connection.send(
            request(target, b"5 \r\nhello\r\n0\r\n\r\n", CHUNKED, length=False)
        )
        answer = await connection.answer()
        assert (answer.status, answer.headers["connection"]) == (400, "close")
        assert await connection.end() == b""


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (request(b"GET /" + b"a" * 9_000, b""), 414),
        (request(b"GET /ready", b"", b"A: " + b"a" * 17_000), 431),
        (request(b"GET /ready", b"", *[b"A: b"] * 101), 431),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (request(b"GET /ready", b"", b"Expect: magic"), 417),
        (request(b"CONNECT localhost:80", b""), 501),
    ],
)
async def test_a_head_that_is_not_taken_is_refused_by_a_problem(
    port: int, raw: bytes, status: int
) -> None:
    answer = await asked(port, raw)
    assert answer.status == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert orjson.loads(answer.body)["status"] == status


@pytest.mark.parametrize("target", [b"POST http://%b/track", b"GET http://%b/ready"])
async def test_an_absolute_target_counts_and_not_the_host_beside_it(
    port: int, target: bytes
) -> None:
    body = EVENT if target.startswith(b"POST") else b""
    for authority, host, status in (
        (b"localhost", b"evil.example", 200),
        (b"evil.example", b"localhost", 421),
    ):
        assert (await asked(port, case(target % authority, body, host=host))).status == status


async def test_a_wish_for_http_2_is_passed_over(port: int) -> None:
    for target in (b"GET /ready", b"POST /track"):
        body = EVENT if target.startswith(b"POST") else b""
        headers = (
            b"Connection: Upgrade, HTTP2-Settings",
            b"Upgrade: h2c",
            b"HTTP2-Settings: AA",
        )
        async with wire(port) as connection:
            await connection.send(request(target, body, *headers) * 2)
            assert (await connection.answer()).status == 200
            assert (await connection.answer()).status == 200


# -- connections ----------------------------------------------------------------------------


async def test_a_connection_changes_lanes_at_every_request(port: int) -> None:
    async with wire(port) as connection:
        for _ in range(3):
            await connection.send(request())
            assert (await connection.answer()).body == b'{"success":true}'
            await connection.send(request(b"GET /ready", b"", length=False))
            body = orjson.loads((await connection.answer()).body)
            assert body.pop("ready") is True
            assert list(body) == ["memoryBytes"]


async def test_pipelined_requests_are_answered_in_order_across_lanes(port: int) -> None:
    one, other = request(), request(b"GET /ready", b"", length=False)
    chunked = request(b"POST /nope", b"5\r\nhello\r\n0\r\n\r\n", CHUNKED, length=False)
    many = request(b"POST /track/batch", MANY)
    async with wire(port) as connection:
        await connection.send((one + other + chunked + many + other + one) * 3)
        bodies = [(await connection.answer()).body for _ in range(18)]
    begun = [
        b'{"success":true}', b'{"ready":', b'{"type":"', b'{"success":true,', b'{"ready":',
        b'{"success":true}',
    ]  # fmt: skip
    told = zip(bodies, begun * 3, strict=True)
    assert all(body.startswith(beginning) for body, beginning in told)


async def test_who_takes_no_answer_is_given_no_other_and_loses_none(
    port: int, app: Application
) -> None:
    asked_for = 12_000
    one = request(b"GET /metrics/services?limit=0", b"", length=False)
    sock = trio.socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    await sock.connect(("127.0.0.1", port))
    async with trio.SocketStream(sock) as stream, trio.open_nursery() as nursery:
        nursery.start_soon(stream.send_all, one * asked_for)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert 0 < sum(app.meter.answer_s["/metrics/services"].counts) < asked_for
        found, kept = 0, b""
        with trio.fail_after(60):
            while found < asked_for:
                received = kept + await stream.receive_some()
                found += received.count(b"HTTP/1.1 422 ")
                kept = received[-12:]


@pytest.mark.parametrize("target", [b"POST /track", b"POST /nope"])
async def test_a_request_byte_by_byte_is_read_whole(port: int, target: bytes) -> None:
    async with wire(port) as connection:
        for byte in request(target):
            await connection.send(bytes([byte]))
        answer = await connection.answer()
        assert answer.status == (200 if target == b"POST /track" else 404)


@pytest.mark.parametrize("target", [b"POST /track", b"GET /ready"])
async def test_who_has_ended_its_side_is_still_answered(port: int, target: bytes) -> None:
    body = EVENT if target.startswith(b"POST") else b""
    async with wire(port) as connection:
        await connection.send(request(target, body))
        await connection.stream.send_eof()
        assert (await connection.answer()).status == 200
        assert await connection.end() == b""


HALF_CHUNK = request(b"POST /track", b"5\r\nhel", CHUNKED, length=False)


@pytest.mark.parametrize(
    "raw", [request()[:-5], request()[:30], request(b"POST /no")[:-5], HALF_CHUNK]
)
async def test_what_ends_before_it_is_whole_is_refused(
    port: int, raw: bytes, engine: Engine
) -> None:
    async with wire(port) as connection:
        await connection.send(raw)
        await connection.stream.send_eof()
        assert (await connection.answer()).status == 400
        assert await connection.end() == b""
    assert engine.health().events == 0


@pytest.mark.parametrize(
    "target", [b"POST /nope", b"POST /dashboards", b"POST /sql", b"GET /ready", b"PUT /track"]
)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_cut_is_refused_in_the_same_words_on_both_lanes(
    port: int, target: bytes, *, chunked: bool
) -> None:
    told = []
    for each in (b"POST /track", target):
        whole = request(each, EVENT, JSON)
        if chunked:
            whole = request(each, b"32\r\n" + EVENT, JSON, CHUNKED, length=False)
        async with wire(port) as connection:
            await connection.send(whole[:-5])
            await connection.stream.send_eof()
            answer = await connection.answer()
            assert answer.headers["connection"] == "close"
            assert await connection.end() == b""
        told.append(orjson.loads(answer.body))
    hot, other = told
    assert hot.pop("instance") == "/track"
    assert other.pop("instance") == target.split(b" ")[1].decode()
    assert other == hot
    assert (hot["status"], hot["detail"]) == (400, "The body ends before it is complete.")


@pytest.mark.parametrize("target", [b"POST /track", b"POST /nope"])
async def test_a_body_that_is_cut_after_its_sender_was_told_to_go_on_is_refused(
    port: int, target: bytes
) -> None:
    async with wire(port) as connection:
        await connection.send(request(target, EVENT, b"Expect: 100-continue")[: -len(EVENT)])
        assert (await connection.answer()).status == 100
        await connection.send(EVENT[:-5])
        await connection.stream.send_eof()
        assert (await connection.answer()).status == 400
        assert await connection.end() == b""


async def test_who_is_answered_before_its_body_is_whole_cannot_keep_the_connection(
    port: int,
) -> None:
    """It would be held for as long as a letter comes now and then."""
    raw = request(b"POST /nope", b"", b"Content-Length: 1000000", length=False)
    async with wire(port) as connection:
        await connection.send(raw + b"a")
        assert (await connection.answer()).status == 404
        with trio.fail_after(30):
            assert await connection.end() == b""


async def test_http_1_0_is_answered_and_closed(port: int) -> None:
    raw = b"POST /track HTTP/1.0\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(EVENT)
    answer = await asked(port, raw + EVENT)
    assert (answer.status, answer.headers["connection"]) == (200, "close")


@pytest.mark.parametrize("target", [b"POST /track", b"POST /nope"])
async def test_a_sender_that_waits_is_told_to_go_on(port: int, target: bytes) -> None:
    raw = request(target, EVENT, b"Expect: 100-continue")
    async with wire(port) as connection:
        await connection.send(raw.removesuffix(EVENT))
        if target == b"POST /track":
            assert (await connection.answer()).status == 100
            await connection.send(EVENT)
        else:
            while (answer := await connection.answer()).status == 100:
                await connection.send(EVENT)
            assert answer.status == 404
            return
        assert (await connection.answer()).status == 200


async def test_a_body_announced_too_large_is_refused_before_it_is_sent(port: int) -> None:
    head = request(b"POST /track", b"", b"Content-Length: 4000000", length=False)
    async with wire(port) as connection:
        await connection.send(head)
        answer = await connection.answer()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert orjson.loads(answer.body)["type"] == "/problems/too-large"


async def test_a_large_body_is_refused_by_an_answer_that_arrives(port: int) -> None:
    body = bytes(4_000_000)
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    for raw in (
        request(b"POST /track", body),
        request(b"POST /track", chunked, CHUNKED, length=False),
    ):
        async with wire(port) as connection:
            await connection.send(raw)
            assert (await connection.answer()).status == 413


async def test_bodies_under_way_are_bounded_together(
    app: Application, engine: Engine, config: Config
) -> None:
    small = msgspec.structs.replace(config, bodies_bytes_max=config.body_bytes_max)
    async with served(
        app, small, Lane(engine, small, app.live, app.meter, app.gate, app.untaken)
    ) as port:
        async with wire(port) as first, wire(port) as second:
            head = request(b"POST /track", b"", b"Content-Length: 600000", length=False)
            await first.send(head + EVENT)
            await second.send(head + bytes(500_000))
            await trio.testing.wait_all_tasks_blocked(0.05)
            await first.send(b" " * 550_000)
            refused = await first.answer()
            assert (refused.status, refused.headers["retry-after"]) == (503, "1")
            await second.send(b" " * 100_000)
            assert (await second.answer()).status == 400  # read whole, and no JSON
        async with wire(port) as third:
            await third.send(request())
            assert (await third.answer()).status == 200


async def test_a_late_head_and_a_late_body_end_their_connection(
    app: Application, engine: Engine, config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line, "HEAD_S", 0.1)
    monkeypatch.setattr(hub, "SWEEP_S", 0.05)
    hasty = msgspec.structs.replace(config, body_deadline_s=1)
    async with served(
        app, hasty, Lane(engine, hasty, app.live, app.meter, app.gate, app.untaken)
    ) as port:
        async with wire(port) as slow_head, wire(port) as slow_body:
            await slow_head.send(request()[:20])
            await slow_body.send(request()[:-1])
            assert (await slow_head.answer()).status == 408
            answer = await slow_body.answer()
            assert orjson.loads(answer.body)["type"] == "/problems/body-too-slow"
        monkeypatch.setattr(line, "IDLE_S", 0.1)  # not before all have sent
        async with wire(port) as idle:
            assert await idle.end() == b""


async def test_a_connection_beyond_the_limit_is_refused_with_a_reason(
    app: Application, engine: Engine, config: Config
) -> None:
    narrow = msgspec.structs.replace(config, connections_max=1, stream_subscribers_max=1)
    async with served(
        app, narrow, Lane(engine, narrow, app.live, app.meter, app.gate, app.untaken)
    ) as port:
        async with wire(port) as first:
            await first.send(request())
            assert (await first.answer()).status == 200
            async with wire(port) as second:
                answer = await second.answer()
                assert (answer.status, answer.headers["retry-after"]) == (503, "1")
                assert orjson.loads(answer.body)["type"] == "/problems/too-many-connections"
        await trio.testing.wait_all_tasks_blocked(0.05)
        async with wire(port) as again:
            await again.send(request())
            assert (await again.answer()).status == 200


# -- the stream -----------------------------------------------------------------------------


async def frames(connection: Wire, count: int) -> list[bytes]:
    """The next events of the stream, chunk by chunk."""
    found = []
    for _ in range(count):
        size = int(await connection.until(b"\r\n"), 16)
        found.append((await connection.exactly(size + 2))[:-2])
    return found


async def test_the_stream_greets_and_counts(port: int, engine: Engine) -> None:
    async with wire(port) as connection, wire(port) as sender:
        await connection.send(request(b"GET /stream?keys=views:today", b"", length=False))
        head = await connection.until(b"\r\n\r\n")
        assert b"Content-Type: text/event-stream" in head
        (greeting,) = await frames(connection, 1)
        assert greeting.startswith(b'data: {"type":"connected"}\n\nretry: ')
        await sender.send(request())
        await sender.answer()
        (update,) = await frames(connection, 1)
        told = orjson.loads(update.partition(b"data: ")[2])
        assert told["counters"] == {"views:today": 1}


async def test_a_listener_that_leaves_gives_its_place_back(port: int, app: Application) -> None:
    async with wire(port) as connection:
        await connection.send(request(b"GET /stream", b"", length=False))
        await connection.until(b"connected")
        assert app.live.subscribers == 1
    with trio.fail_after(30):
        while app.live.subscribers:
            await trio.testing.wait_all_tasks_blocked(0.01)


async def test_a_listener_that_left_before_it_was_let_in_takes_no_place_and_no_frames(
    port: int, app: Application
) -> None:
    await trio.testing.wait_all_tasks_blocked()  # whoever makes the frames waits for somebody
    async with wire(port) as connection:
        await connection.send(request(b"GET /stream", b"", length=False))
    await trio.testing.wait_all_tasks_blocked(0.05)
    assert app.live.subscribers == 0
    async with wire(port) as connection:
        await connection.send(request(b"GET /stream?keys=views:today", b"", length=False))
        await connection.until(b"\r\n\r\n")
        with trio.fail_after(30):
            _, update = await frames(connection, 2)
        assert b'"type":"update"' in update


async def test_a_stop_ends_streams_and_finishes_what_is_under_way(
    app: Application, engine: Engine, config: Config, lane: Lane
) -> None:
    received = b""
    async with trio.open_nursery() as nursery:
        listening = trio.Event()

        async def listen(port: int) -> None:
            nonlocal received
            async with wire(port) as connection:
                await connection.send(request(b"GET /stream?interval=10", b"", length=False))
                await connection.until(b"connected")
                listening.set()
                received = await connection.end()

        async with served(app, config, lane) as port:
            nursery.start_soon(listen, port)
            await listening.wait()
    assert received.endswith(b"0\r\n\r\n")  # ended by us, not cut off
