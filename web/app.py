"""The Quart-Trio application: the route table, what comes before and after each handler."""

from time import perf_counter, time_ns
from typing import Final

import structlog
import trio
from quart import Request, Response, g, request
from quart.typing import ResponseTypes
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod
from werkzeug.routing import MapAdapter

from engine.config import Config
from engine.errors import TallymarkError
from web import body, ingest, queries, wire
from web.access import must_be_our_host, must_be_our_page
from web.asgi import Connection, NoWebsocket
from web.control import Control
from web.errors import BadRequest, MethodNotAllowed, NotFound
from web.exporting import Exports
from web.handlers import Answer, Handlers, Service, Shared, answers_of, response_of
from web.ingest import Kind
from web.live import Live
from web.loadruns import LoadRuns
from web.making import Makers
from web.meter import NO_ROUTE, Meter
from web.reporting import Reports
from web.routes import ROUTES
from web.scratch import scratch_engine
from web.sql import Sql
from web.wire import INTERNAL

log: Final = structlog.get_logger()

_INGEST_PATHS: Final = {kind.value: kind for kind in Kind}
_PATHS: Final = {route.name: route.path for route in ROUTES}
_READS_BODY: Final = frozenset(route.name for route in ROUTES if route.takes)


class Application(QuartTrio):
    """Quart, with the live stream that belongs to it, and the meter of all answers.

    Its lifespan runs the task that makes the stream's frames, so an ASGI server must run that.
    """

    asgi_http_class = Connection
    asgi_websocket_class = NoWebsocket

    def __init__(
        self,
        live: Live,
        load_runs: LoadRuns,
        exporting: Exports,
        reports: Reports,
        meter: Meter,
    ) -> None:
        super().__init__(__name__, static_folder=None)
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

        Quart's own reads Host and query too, where what is no UTF-8 ends in a bare 500.
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
        subscribers_max=config.stream_subscribers_max,
    )
    names = trio.CancelScope()
    meter = Meter()
    load_runs = LoadRuns(service, config, scratch_engine)
    exporting = Exports(config, service, log=log.warning)
    reports = Reports(
        config,
        Makers(config, service, answers_of(service), exporting, sql),
        now_ms=lambda: time_ns() // 1_000_000,
        log=log.warning,
    )
    app = Application(live, load_runs, exporting, reports, meter)
    shared = Shared(live, load_runs, exporting, reports, meter)
    app.config["MAX_CONTENT_LENGTH"] = None  # `web.body` sees to it, and to the answer's safety
    app.config["BODY_TIMEOUT"] = None
    app.url_map.merge_slashes = False
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
    _refuse_strangers(app, config)
    _refuse_in_problems(app)

    async def start() -> None:
        app.nursery.start_soon(live.run)
        app.nursery.start_soon(load_runs.run)
        app.nursery.start_soon(exporting.run)
        app.nursery.start_soon(reports.run)
        app.nursery.start_soon(looking_up)

    async def looking_up() -> None:
        with names:
            await control.run()

    async def stop() -> None:
        app.end_streams()
        names.cancel()

    app.before_serving(start)
    app.after_serving(stop)
    return app


def _count_answers(app: Application, meter: Meter) -> None:
    async def before() -> None:
        g.started_s = perf_counter()

    async def after(response: ResponseTypes) -> ResponseTypes:
        route = _PATHS.get(request.endpoint or "", NO_ROUTE)
        problem = response.problem if isinstance(response, Answer) else ""
        meter.answered(route, perf_counter() - g.started_s, problem)
        return response

    app.before_request(before)
    app.after_request(after)


def _refuse_strangers(app: Application, config: Config) -> None:
    async def before() -> None:
        if request.endpoint not in _READS_BODY and _has_body(request):
            await body.discard(aiter(request.body))  # nobody reads it, see `web.body`
        if not config.allow_public:
            must_be_our_host(request.headers.get("Host"), config.allowed_hosts)
        if request.path not in _INGEST_PATHS:
            must_be_our_page(
                request.method,
                host=request.headers.get("Host"),
                origin=request.headers.get("Origin"),
                site=request.headers.get("Sec-Fetch-Site"),
            )

    app.before_request(before)


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
