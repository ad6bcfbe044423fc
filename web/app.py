"""The Quart-Trio application: the route table, what comes before and after each handler."""

from time import perf_counter, time_ns
from typing import Final, cast

import structlog
import trio
from quart import Request, Response, g, request
from quart.typing import ResponseTypes
from quart_trio import QuartTrio
from werkzeug.datastructures import Headers
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod
from werkzeug.routing import MapAdapter

from engine.config import Config
from engine.errors import TallymarkError
from web import body, ingest, queries, wire
from web.answering import families_of
from web.asgi import Asked, Connection, NoWebsocket
from web.control import Control
from web.errors import BadRequest, MethodNotAllowed, NotFound
from web.exporting import Exports
from web.gate import Gate
from web.grants import STRANGER, Asking
from web.handlers import Handlers, Service, Shared
from web.headers import shared
from web.ingest import Kind
from web.live import Live
from web.loadruns import LoadRuns
from web.making import Makers
from web.meter import NO_ROUTE, Meter
from web.reporting import Reports
from web.responses import Answer, packed, response_of
from web.route import Rest
from web.routes import NO_SUCH, ROUTES
from web.scratch import scratch_engine
from web.sql import Sql
from web.untaken import Untaken
from web.wire import INTERNAL, Reply

log: Final = structlog.get_logger()

_INGEST_PATHS: Final = {kind.value: kind for kind in Kind}
_ROUTES: Final = {route.name: route for route in ROUTES}
_NEVER_COUNTED: Final = frozenset({"health", "ready"})
"""Monitoring never counts as asking too often."""

_PREFLIGHT_METHODS: Final = ("GET", "POST")
PREFLIGHT_S: Final = 600
"""For how long a page need not repeat its preflight."""


class Application(QuartTrio):
    """Quart, with the live stream that belongs to it, and the meter of all answers.

    Its lifespan runs the task that makes the stream's frames, so an ASGI server must run that.
    """

    asgi_http_class = Connection
    asgi_websocket_class = NoWebsocket
    request_class = Asked

    def __init__(
        self,
        live: Live,
        load_runs: LoadRuns,
        exporting: Exports,
        reports: Reports,
        meter: Meter,
        gate: Gate,
        untaken: Untaken,
    ) -> None:
        super().__init__(__name__, static_folder=None)
        self.untaken = untaken
        self.gate = gate
        self.live = live
        self.exporting = exporting
        self.reports = reports
        self.load_runs = load_runs
        self.meter = meter

    def end_streams(self) -> None:
        """End all streams; a server that stops calls it first, for they never end alone."""
        self.live.end()
        self.load_runs.end()
        self.reports.end()
        self.exporting.end()

    def create_url_adapter(self, request: object) -> MapAdapter | None:
        """Route by method and path alone.

        Quart's own also reads Host and query, where bytes that are not UTF-8 end in a bare 500.
        """
        if not isinstance(request, Request):
            return None
        return self.url_map.bind(
            "localhost", default_method=request.method, path_info=request.path
        )


def create_app(
    service: Service, config: Config, control: Control, sql: Sql | None = None
) -> Application:
    """The application over `service`, which may still be recovering, and an open `control`.

    sql  answers SQL; without it every query is NotReady
    """
    live = Live(
        service.counters,
        lambda: service.accepted_times().now_ms,
        is_welcome=control.keyring.gate.is_good,
        subscribers_max=config.stream_subscribers_max,
    )
    setting_up, minding = trio.CancelScope(), trio.CancelScope()
    meter = Meter()
    load_runs = LoadRuns(service, config, scratch_engine)
    exporting = Exports(config, service, log=log.warning)
    gate = control.keyring.gate
    reports = Reports(
        config,
        Makers(config, service, families_of(service), exporting, sql),
        now_ms=lambda: time_ns() // 1_000_000,
        log=log.warning,
    )
    untaken = Untaken(config.answers_bytes_max)
    app = Application(live, load_runs, exporting, reports, meter, gate, untaken)
    shared = Shared(live, load_runs, exporting, reports, meter, untaken)
    app.config["MAX_CONTENT_LENGTH"] = None  # `web.body` sees to it, and to the answer's safety
    app.config["BODY_TIMEOUT"] = None
    app.url_map.merge_slashes = False
    app.url_map.converters["rest"] = Rest
    handlers = Handlers(service, config, shared, control, sql)
    for route in ROUTES:
        app.add_url_rule(
            route.pattern,
            endpoint=route.name,
            view_func=handlers.of(route),
            methods=[route.method],
            provide_automatic_options=False,
        )
    _count_answers(app, meter)
    _refuse_strangers(app, gate)
    _answer_other_origins(app, gate)
    _bound_answers(app)
    _pack_answers(app)
    _refuse_in_problems(app)

    async def start() -> None:
        app.nursery.start_soon(live.run)
        app.nursery.start_soon(load_runs.run)
        app.nursery.start_soon(exporting.run)
        app.nursery.start_soon(reports.run)
        app.nursery.start_soon(looking_up)
        app.nursery.start_soon(minding_keys)

    async def looking_up() -> None:
        with setting_up:
            await control.run()

    async def minding_keys() -> None:
        with minding:
            await control.keyring.run(live.end_unwelcome)

    async def stop() -> None:
        app.end_streams()
        setting_up.cancel()
        minding.cancel()

    app.before_serving(start)
    app.after_serving(stop)
    return app


def _count_answers(app: Application, meter: Meter) -> None:
    async def before() -> None:
        g.started_s = perf_counter()

    async def after(response: ResponseTypes) -> ResponseTypes:
        route = _ROUTES.get(request.endpoint or "")
        path = NO_ROUTE if route is None else route.path
        problem = response.reply.problem if isinstance(response, Answer) else ""
        meter.answered(path, perf_counter() - g.started_s, problem)
        return response

    app.before_request(before)
    app.after_request(after)


def _refuse_strangers(app: Application, gate: Gate) -> None:
    async def before() -> None:
        route = _ROUTES.get(request.endpoint or "")
        g.asking, g.grant = _asking(request), STRANGER
        try:
            if route is None or not route.takes:
                await _discard_body()  # nobody reads it, see `web.body`
            g.grant = gate.admit(route or NO_SUCH, g.asking)
            if request.path not in _INGEST_PATHS and request.endpoint not in _NEVER_COUNTED:
                gate.allowance.count_request(g.grant, g.asking)
        except TallymarkError:
            if route is not None and route.takes:
                await _discard_body()
            raise

    app.before_request(before)


def _answer_other_origins(app: Application, gate: Gate) -> None:
    """Pages of `cors_origins` may read what is shared; a cookie never counts for them."""

    async def preflight() -> Response | None:
        origin = request.headers.get("Origin")
        if request.method != "OPTIONS" or not gate.allows_origin(origin):
            return None
        if request.path in _INGEST_PATHS:
            return None
        methods = [method for method in _PREFLIGHT_METHODS if _is_shared(app, method)]
        if not methods:
            return None
        allowed = (
            ("Access-Control-Allow-Methods", ", ".join(methods)),
            ("Access-Control-Allow-Headers", "Authorization, Content-Type"),
            ("Access-Control-Max-Age", str(PREFLIGHT_S)),
        )
        return response_of(Reply(204, shared(allowed, origin), b""))

    async def after(response: ResponseTypes) -> ResponseTypes:
        origin = request.headers.get("Origin")
        route = _ROUTES.get(request.endpoint or "")
        if route is not None and route.is_shared and gate.allows_origin(origin):
            for name, value in shared((), origin):
                response.headers.add(name, value)
        return response

    app.before_request(preflight)
    app.after_request(after)


def _bound_answers(app: Application) -> None:
    """Right after they are packed: what lies here for slow readers has an end."""

    async def after(response: ResponseTypes) -> ResponseTypes:
        if not isinstance(response, Answer):
            return response
        size = len(response.reply.body)
        route = _ROUTES.get(request.endpoint or "")
        try:
            if route is None or route.only_asks:  # what was changed must be told
                app.untaken.must_have_room(size)
        except TallymarkError as full:
            return _refusal(full)
        cast("Asked", request).answered(app.untaken, size)
        return response

    app.after_request(after)


def _pack_answers(app: Application) -> None:
    """Runs before all other after-handlers, because it replaces the whole answer."""

    async def after(response: ResponseTypes) -> ResponseTypes:
        route = _ROUTES.get(request.endpoint or "")
        if route is not None and route.packs and isinstance(response, Answer):
            return await packed(response)
        return response

    app.after_request(after)


def _is_shared(app: Application, method: str) -> bool:
    """Whether pages of `cors_origins` may use this method on the path that is asked for."""
    try:
        name, _ = app.url_map.bind("localhost").match(request.path, method)
    except HTTPException:
        return False
    return _ROUTES[name].is_shared


def _asking(asked: Request) -> Asking:
    headers = asked.headers
    return Asking(
        method=asked.method,
        query=asked.query_string,
        authorization=_joined(headers, "Authorization"),
        cookie=_joined(headers, "Cookie", by="; "),
        host=headers.get("Host"),
        origin=headers.get("Origin"),
        site=headers.get("Sec-Fetch-Site"),
        peer=asked.remote_addr or "",
        forwarded=_joined(headers, "X-Forwarded-For"),
        proto=headers.get("X-Forwarded-Proto"),
    )


def _joined(headers: Headers, name: str, *, by: str = ", ") -> str | None:
    """As `web.framing` reads it: a header that is there and empty is not absent."""
    values = headers.getlist(name)
    return by.join(values) if values else None


async def _discard_body() -> None:
    if _has_body(request):
        await body.discard(aiter(request.body))


def _has_body(asked: Request) -> bool:
    return "Transfer-Encoding" in asked.headers or bool(asked.content_length)


def _refuse_in_problems(app: Application) -> None:
    async def known(error: TallymarkError) -> Response:
        return _refusal(error)

    async def unroutable(error: HTTPException) -> Response:
        match error:
            case NoSuchMethod():
                allowed = tuple(sorted(error.valid_methods or ()))
                return _refusal(MethodNotAllowed(request.method, request.path[:256], allowed))
            case HTTPException(code=404):
                return _refusal(NotFound("There is no such route; see GET /openapi.json."))
            case HTTPException(code=int(code)) if code >= 500:
                return _refusal(INTERNAL)
            case _:
                return _refusal(BadRequest("The request could not be read."))

    async def bug(error: Exception) -> Response:
        log.error("request failed", method=request.method, path=request.path, exc_info=error)
        return _refusal(INTERNAL)

    app.register_error_handler(TallymarkError, known)
    app.register_error_handler(HTTPException, unroutable)
    app.register_error_handler(Exception, bug)


def _refusal(error: TallymarkError | wire.Internal) -> Response:
    kind = _INGEST_PATHS.get(request.path)
    if kind is not None:
        return response_of(ingest.refused(error, kind))
    if queries.COMPATIBLE.fullmatch(request.path):
        return response_of(queries.refused_plainly(error))
    return response_of(wire.refused(error, request.path))
