"""The hot routes on the hub: POST /track*, figures, and the live stream, without a framework.

The same functions answer here as behind Quart (`web.ingest`, `web.answering`, `web.live`,
`web.wire`), so that no client can tell which of the two it got; tests/web/test_lane.py sends
each case through both.
"""

from collections.abc import Callable
from functools import partial
from time import perf_counter
from typing import Final, Protocol

import structlog

from engine.actors.queue import Released
from engine.config import Config
from engine.errors import TallymarkError
from engine.events import Batch
from web import ingest, wire
from web.access import must_be_our_host
from web.answering import Answers, figures_of, replied, replied_now
from web.framing import Head
from web.gate import Gate
from web.grants import Asking, Grant
from web.headers import shared
from web.hub import Hub
from web.ingest import Acceptor, Decoded, Kind
from web.line import Line
from web.live import (
    GREETING,
    STREAM_MEDIA,
    Live,
    StreamAsked,
    Subscriber,
    chosen,
    wanted,
)
from web.meter import NO_ROUTE, Meter
from web.packing import packed
from web.rates import free
from web.route import Route
from web.routes import FIGURES, STREAM, TRACK
from web.untaken import Untaken
from web.wire import INTERNAL, Internal, Reply

HOSTS_KNOWN_MAX: Final = 64
KEPT_ANSWER_BYTES_MAX: Final = 64

_STREAM: Final = "/stream"
_COUNTER: Final = "/counters/"
_BY_PATH: Final = {route.path: route for route in FIGURES.values() if not route.path_parameters}
_KINDS: Final = {kind.value: kind for kind in Kind}
_BULK: Final = Kind.BULK  # finding it by its class takes 0.3 µs
_STREAM_HEADERS: Final = wire.sent(b"", media=STREAM_MEDIA).headers
_LAST_CHUNK: Final = b"0\r\n\r\n"

log = structlog.get_logger()


class Service(Acceptor, Answers, Protocol):
    """What the lane needs of the engine."""

    @property
    def is_ready(self) -> bool: ...

    def submit(self, batch: Batch, released: Released) -> bool: ...


class Lane:
    """Takes the hot requests of a hub; `hub` is set before the first of them."""

    hub: Hub

    def __init__(
        self,
        service: Service,
        config: Config,
        live: Live,
        meter: Meter,
        gate: Gate,
        untaken: Untaken,
    ) -> None:
        self.untaken = untaken
        self._service = service
        self._answers = figures_of(service)
        self._gate = gate
        self._config = config
        self._live = live
        self._meter = meter
        self._hosts: set[str | None] = set()
        self._rendered: dict[bytes, bytes] = {}
        self._rendered_on = b""
        self._chunked: tuple[bytes, bytes] = (b"", b"")

    def body_bytes_max(self, line: Line, head: Head) -> int | None:
        """The bytes that the body of this request may have; None if it is not for a hot route.

        Raises a TallymarkError where the sender may not: the body of a stranger is never held.
        """
        if head.method == "POST" and head.path in _KINDS:
            if self._gate.is_asked:
                self._writer(line, head)
            return _KINDS[head.path].body_bytes_max(self._config)
        if head.method == "GET" and head.path == _STREAM and not head.length and head.is_newer:
            return 0  # without chunks, for HTTP/1.0, Hypercorn makes it
        return None if _figures(head) is None else 0

    def refusal(self, error: TallymarkError, head: Head | None) -> Reply:
        """Worded as Quart words it; without a head its route is not known."""
        reply = _refused(error, head)
        self._meter.refused(NO_ROUTE if head is None else _route(head), reply.problem)
        return reply

    def take(self, line: Line, head: Head, content: bytes) -> None:
        """Answer it, now or once its events are kept."""
        asked_s = perf_counter()
        try:
            self._must_be_our_host(head.host)
            kind = _KINDS.get(head.path)
            if head.path == _STREAM:
                self.hub.start(self._stream, line, head, asked_s)
            elif kind is None:
                self._tell_now(line, head, asked_s)
            elif kind is _BULK:
                self.hub.start(self._bulk, line, head, content, asked_s)
            else:
                self._ingest(line, head, kind, content, asked_s)
        except TallymarkError as error:
            self._answer(line, head, _refused(error, head), asked_s, _route(head))
        except Exception as error:
            self._answer(line, head, _failed(error, head), asked_s, _route(head))

    def _must_be_our_host(self, host: str | None) -> None:
        if self._config.allow_public or host in self._hosts or self._gate.is_asked:
            return
        must_be_our_host(host, self._config.allowed_hosts)
        if len(self._hosts) < HOSTS_KNOWN_MAX:
            self._hosts.add(host)

    def _writer(self, line: Line, head: Head) -> Grant:
        """Whose key it is: for a known head one look-up, by a text whose hash is known too."""
        grant = self._gate.writers.get(head.authorization or "")
        if grant is None or grant.key is None:
            return self._gate.admit(TRACK, _asking(line, head))
        grant.key.is_used = True
        return grant

    # -- ingest -------------------------------------------------------------------------------

    def _ingest(
        self, line: Line, head: Head, kind: Kind, content: bytes, asked_s: float
    ) -> None:
        spend = self._spend(line, head)
        decoded = ingest.decode(
            self._service,
            kind,
            content,
            query=head.query,
            content_type=head.content_type,
            content_encoding=head.content_encoding,
        )
        spend(len(decoded.batch.events))
        answer = decoded.answer  # alone: the closure below must not keep the events
        if not decoded.batch.events:
            self._answer(line, head, answer, asked_s, kind.value)
            return

        def released(refusal: TallymarkError | None) -> None:
            if refusal is None:
                self._acknowledge(line, head, answer, asked_s)
            else:
                self._answer(line, head, ingest.refused(refusal, kind), asked_s, kind.value)

        if not self._service.submit(decoded.batch, released):
            self.hub.start(self._wait_for_room, decoded, released)

    def _spend(self, line: Line, head: Head) -> Callable[[int], None]:
        if not self._gate.allowance.counts_events:
            return free
        return self._gate.allowance.events(self._writer(line, head), _asking(line, head))

    async def _wait_for_room(self, decoded: Decoded, released: Released) -> None:
        """The rare case: the queue is full, and may have room within its second."""
        try:
            await self._service.accept(decoded.batch)
        except TallymarkError as error:
            released(error)
        else:
            released(None)

    async def _bulk(self, line: Line, head: Head, content: bytes, asked_s: float) -> None:
        """Thousands of events: taken in slices, so in a task."""
        try:
            self.untaken.must_have_room(ingest.REJECTED_BYTES)
            reply = await ingest.take(
                self._service,
                Kind.BULK,
                content,
                query=head.query,
                content_type=head.content_type,
                content_encoding=head.content_encoding,
                spend=self._spend(line, head),
            )
        except TallymarkError as error:
            reply = ingest.refused(error, Kind.BULK)
        except Exception as error:
            reply = _failed(error, head)
        self._answer(line, head, reply, asked_s, Kind.BULK.value)

    def _acknowledge(self, line: Line, head: Head, reply: Reply, asked_s: float) -> None:
        """Answer that events are kept: few different answers, each rendered once a second."""
        if line.must_close:
            self._answer(line, head, reply, asked_s, head.path)
            return
        self._meter.answered(head.path, perf_counter() - asked_s)
        date = self.hub.date
        if date is not self._rendered_on:
            self._rendered.clear()
            self._rendered_on = date
        rendered = self._rendered.get(reply.body)
        if rendered is None:
            rendered = self.hub.rendered(reply, is_last=False)
            if len(reply.body) <= KEPT_ANSWER_BYTES_MAX:
                self._rendered[reply.body] = rendered
        line.answer(rendered, is_last=False)

    def _answer(self, line: Line, head: Head, reply: Reply, asked_s: float, path: str) -> None:
        """path  of the route, as the meter and the table name it"""
        self._meter.answered(path, perf_counter() - asked_s, reply.problem)
        is_last = line.must_close
        if path not in _KINDS and self._gate.allows_origin(head.origin):
            reply = reply._replace(headers=shared(reply.headers, head.origin))
        line.answer(self.hub.rendered(reply, is_last=is_last), is_last=is_last)

    # -- figures ------------------------------------------------------------------------------

    def _tell_now(self, line: Line, head: Head, asked_s: float) -> None:
        """Answer in this very turn, or in a task if the shards have to be asked."""
        found = _figures(head)
        assert found is not None
        route, path_parameters = found
        asking = _asking(line, head)
        self._gate.allowance.count_request(self._gate.admit(route, asking), asking)
        reply = replied_now(self._service, route, head.query, **path_parameters)
        if reply is None:
            self.hub.start(self._tell, line, head, route, path_parameters, asked_s)
        else:
            self.untaken.must_have_room(len(reply.body))
            self._answer(line, head, reply, asked_s, route.path)

    async def _tell(
        self,
        line: Line,
        head: Head,
        route: Route,
        path_parameters: dict[str, str],
        asked_s: float,
    ) -> None:
        answering = self._answers[route.name]
        try:
            reply = await replied(answering, route.asked, head.query, **path_parameters)
            if route.packs:
                reply = await packed(reply, head.accept_encoding)
            self.untaken.must_have_room(len(reply.body))
        except TallymarkError as error:
            reply = _refused(error, head)
        except Exception as error:
            reply = _failed(error, head)
        self._answer(line, head, reply, asked_s, route.path)

    # -- the live stream ----------------------------------------------------------------------

    async def _stream(self, line: Line, head: Head, asked_s: float) -> None:
        try:
            asking = _asking(line, head)
            grant = self._gate.admit(STREAM, asking)
            self._gate.allowance.count_request(grant, asking)
            asked = wire.question(head.query, StreamAsked)
            keys = wanted(asked.keys)
            if keys is not None and self._service.is_ready:
                chosen(await self._service.counters(), keys)
            # No await from here to `enter`: the room would be somebody else's by then.
            self._live.must_have_room()
        except TallymarkError as error:
            self._answer(line, head, _refused(error, head), asked_s, _STREAM)
        except Exception as error:
            self._answer(line, head, _failed(error, head), asked_s, _STREAM)
        else:
            self._meter.answered(_STREAM, perf_counter() - asked_s)
            listener = _Listener(self, line, keys=keys, interval_ticks=asked.interval)
            listener.grant = grant
            # In this order: the line may find out at once that nobody is there any more.
            self._live.enter(listener)
            line.stream(self._opening(head.origin), partial(self._live.leave, listener))

    def _opening(self, origin: str | None) -> bytes:
        lines = [b"HTTP/1.1 200 OK", b"Transfer-Encoding: chunked", b"Date: %b" % self.hub.date]
        headers = _STREAM_HEADERS
        if self._gate.allows_origin(origin):
            headers = shared(headers, origin)
        lines += [f"{name}: {value}".encode() for name, value in headers]
        return b"\r\n".join((*lines, b"", _chunk(GREETING)))

    def chunked(self, frame: bytes) -> bytes:
        """The frame as a chunk, made once for all who get it."""
        if self._chunked[0] is not frame:
            self._chunked = (frame, _chunk(frame))
        return self._chunked[1]


class _Listener(Subscriber):
    """A subscriber of the live stream on a line of the hub."""

    def __init__(
        self, lane: Lane, line: Line, *, keys: tuple[str, ...] | None, interval_ticks: int
    ) -> None:
        super().__init__(keys=keys, interval_ticks=interval_ticks)
        self._lane = lane
        self._line = line

    def put(self, frame: bytes) -> None:
        """Send the frame, unless the one before is still on its way."""
        self._line.push(self._lane.chunked(frame))

    def end(self) -> None:
        """End the stream and its connection."""
        self._line.end_stream(_LAST_CHUNK)


def _asking(line: Line, head: Head) -> Asking:
    return Asking(
        head.method,
        head.query,
        head.authorization,
        head.cookie,
        head.host,
        head.origin,
        head.site,
        line.peer,
        head.forwarded,
        head.proto,
    )


def _chunk(content: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(content), content)


def _figures(head: Head) -> tuple[Route, dict[str, str]] | None:
    """The route for figures, with what its path says; None where it is for none of them.

    Requests with a body, an expectation or an upgrade, and paths with escapes, are left to
    Hypercorn, which handles all of that anyhow.
    """
    if head.method != "GET" or head.length != 0 or head.continues or head.upgrade is not None:
        return None
    route = _BY_PATH.get(head.path)
    if route is not None:
        return route, {}
    key = head.path.removeprefix(_COUNTER)
    if not key or key == head.path or "/" in key or "%" in key:
        return None
    return FIGURES["counter"], {"key": key}


def _route(head: Head) -> str:
    """Its name for the meter: other paths get here only with a refusal."""
    if head.path in _KINDS or head.path == _STREAM:
        return head.path
    found = _figures(head)
    return NO_ROUTE if found is None else found[0].path


def _failed(error: Exception, head: Head) -> Reply:
    """Details of a bug go to the log and nowhere else."""
    log.error("request failed", method=head.method, path=head.path, exc_info=error)
    return _refused(INTERNAL, head)


def _refused(error: TallymarkError | Internal, head: Head | None) -> Reply:
    kind = None if head is None else _KINDS.get(head.path)
    if kind is not None:
        return ingest.refused(error, kind)
    return wire.refused(error, None if head is None else head.path)
