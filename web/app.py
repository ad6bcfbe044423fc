"""The Quart-Trio application: the route table, and a handler for every row of it."""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from functools import partial
from time import monotonic, perf_counter
from typing import Any, Final, Protocol

import structlog
import trio
from quart import Request, Response, g, request
from quart.typing import ResponseTypes
from quart.wrappers.response import ResponseBody
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException
from werkzeug.exceptions import MethodNotAllowed as NoSuchMethod
from werkzeug.routing import MapAdapter

from engine.answers import counters, experiments, marketplace, revenue, services, users
from engine.config import Config
from engine.errors import NotReady, TallymarkError
from web import body, exports, health, ingest, openapi, queries, tables, wire
from web.access import must_be_our_host, must_be_our_page
from web.asgi import Connection, NoWebsocket
from web.control import Control
from web.control import Handler as Handled
from web.embedding import FAMILIES, Embedding
from web.errors import BadRequest, MethodNotAllowed, NotFound
from web.exporting import Exports
from web.exports import EventsAsked
from web.exposition import Exposition, Measured
from web.headers import DATA_HEADERS
from web.ingest import Acceptor, Kind, NothingAsked
from web.live import STREAM_MEDIA, CountersAsked, Live, StreamAsked, chosen, wanted
from web.loadrun import OneRun
from web.loadruns import LoadRuns, Runs, asked_in
from web.meter import NO_ROUTE, Meter
from web.pages import Pages
from web.route import Route
from web.routes import ROUTES
from web.scratch import scratch_engine
from web.sql import Archived, Sql
from web.wire import INTERNAL, Reply

log: Final = structlog.get_logger()

Handler = Callable[..., Awaitable[Response]]

_INGEST_PATHS: Final = {kind.value: kind for kind in Kind}
_PATHS: Final = {route.name: route.path for route in ROUTES}
_READS_BODY: Final = frozenset(route.name for route in ROUTES if route.takes)


class Service(Acceptor, Archived, health.Watched, Measured, Protocol):
    """What the application needs of the engine."""

    async def services(self, asked: services.Asked) -> services.Answer: ...
    async def revenue(self, asked: revenue.Asked) -> revenue.Answer: ...
    async def marketplace(self, asked: marketplace.Asked) -> marketplace.Answer: ...
    async def experiments(self, asked: experiments.Asked) -> experiments.Answer: ...
    async def users(self, asked: users.Asked) -> users.Answer: ...
    async def counters(self) -> dict[str, int | float | None]: ...


class Answer(Response):
    """A whole answer of ours, which knows the problem that it tells."""

    problem = ""


class Application(QuartTrio):
    """Quart, with the live stream that belongs to it, and the meter of all answers.

    Its lifespan runs the task that makes the stream's frames, so an ASGI server must run that.
    """

    asgi_http_class = Connection
    asgi_websocket_class = NoWebsocket

    def __init__(
        self, live: Live, load_runs: LoadRuns, exporting: Exports, meter: Meter
    ) -> None:
        super().__init__(__name__, static_folder=None)
        self.live = live
        self.exporting = exporting
        self.load_runs = load_runs
        self.meter = meter

    def end_streams(self) -> None:
        """End all streams; a server that stops calls it first, for they never end alone."""
        self.live.end()
        self.load_runs.end()
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
    app = Application(live, load_runs, exporting, meter)
    app.config["MAX_CONTENT_LENGTH"] = None  # `web.body` sees to it, and to the answer's safety
    app.config["BODY_TIMEOUT"] = None
    app.url_map.merge_slashes = False
    handlers = _Handlers(service, config, app, control, sql)
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


class _Handlers:
    """One handler for each route, under its name."""

    def __init__(
        self,
        service: Service,
        config: Config,
        app: Application,
        control: Control,
        sql: Sql | None,
    ) -> None:
        self._service = service
        self._sql = sql
        self._config = config
        self._live = app.live
        self._load_runs = app.load_runs
        self._exporting = app.exporting
        self._version = health.running_version()
        self._started_s = monotonic()
        description = openapi.describe(ROUTES, version=self._version)
        self._openapi = wire.encode(description)
        pages = Pages(config, description=description, version=self._version)
        self._exposition = Exposition(
            service,
            app.meter,
            version=self._version,
            subscribers=lambda: app.live.subscribers,
            subscribers_max=config.stream_subscribers_max,
        )
        answers: dict[str, Callable[..., Awaitable[Any]]] = {
            "services": service.services,
            "revenue": service.revenue,
            "marketplace": service.marketplace,
            "experiments": service.experiments,
            "users": service.users,
            "counters": self._counters,
            "counter": self._counter,
            "health": self._health,
            "ready": self._ready,
            "loadRuns": self._runs,
            "loadRun": self._run,
            "stopLoadRun": self._stop_run,
        }
        shown = Embedding(control.dashboards, answers, service.counters)
        answers |= {
            "embedDashboard": shown.dashboard,
            "embedCounters": shown.live,
            **{f"embed{family.capitalize()}": shown.family(family) for family in FAMILIES},
        }
        handled: dict[str, Handled] = {
            **control.handlers,
            "home": pages.home,
            "ui": pages.asset,
            "embed": pages.shared,
            "docs": pages.reference,
            "docsStyle": pages.style,
        }
        exported = {
            f"export{family.capitalize()}": partial(self._exported, family, answers[family])
            for family in FAMILIES
        }
        self._by_name: dict[str, Callable[[Route], Handler]] = {
            **{name: partial(_answering, answer) for name, answer in answers.items()},
            **{name: partial(self._handling, handle) for name, handle in handled.items()},
            "track": lambda _: partial(self._take, Kind.ONE),
            "trackBatch": lambda _: partial(self._take, Kind.MANY),
            "trackBulk": lambda _: partial(self._take, Kind.BULK),
            "trackPreflight": lambda _: self._preflight,
            "trackBatchPreflight": lambda _: self._preflight,
            "trackBulkPreflight": lambda _: self._preflight,
            "stream": lambda _: self._stream,
            "prometheus": lambda _: self._exposed,
            "openapi": lambda _: self._described,
            "startLoadRun": lambda _: self._start_run,
            "loadRunStream": lambda _: self._run_stream,
            **{name: partial(partial, export) for name, export in exported.items()},
            "exportEvents": lambda _: self._export_events,
            "sqlSent": lambda _: partial(self._query, queries.superset, in_body=True),
            "sqlAsked": lambda _: partial(self._query, queries.superset, in_body=False),
            "compatibleSent": lambda _: partial(self._query, queries.compatible, in_body=True),
            "compatibleAsked": lambda _: partial(
                self._query, queries.compatible, in_body=False
            ),
        }

    def of(self, route: Route) -> Handler:
        """The handler of a route, as Quart takes it."""
        return self._by_name[route.name](route)

    async def _content(self, bytes_max: int) -> bytearray:
        return await body.read(
            aiter(request.body),
            stated_bytes=request.content_length,
            bytes_max=bytes_max,
            deadline_s=self._config.body_deadline_s,
        )

    async def _take(self, kind: Kind) -> Response:
        try:
            content = await self._content(kind.body_bytes_max(self._config))
        except TallymarkError as error:
            return _response(ingest.refused(error, kind))
        reply = await ingest.take(
            self._service,
            kind,
            content,
            query=request.query_string,
            content_type=_joined("Content-Type"),
            content_encoding=_joined("Content-Encoding"),
        )
        return _response(reply)

    async def _query(
        self,
        answer: Callable[[Sql, bytes, str | None], Awaitable[Reply]],
        *,
        in_body: bool,
        account: str = "",
    ) -> Response:
        text = None
        if in_body:
            content = aiter(request.body)
            text = await queries.sent(content, request.content_length, self._config)
        if self._sql is None:
            raise NotReady("There is no archive to ask.")
        return _response(await answer(self._sql, request.query_string, text))

    def _handling(self, handle: Handled, route: Route) -> Handler:
        """A handler that hands on the request as it is, and answers with what comes back."""

        async def handler(**path_parameters: str) -> Response:
            content = b""
            if route.takes:
                content = await self._document()
            called = wire.Called(path_parameters, _headers(), request.query_string, content)
            return _response(await handle(called))

        return handler

    async def _document(self) -> bytes:
        wire.must_be_json(request.headers.get("Content-Type"))
        return bytes(await self._content(self._config.body_bytes_max))

    async def _preflight(self) -> Response:
        return _response(ingest.PREFLIGHT)

    async def _counters(self, asked: CountersAsked) -> counters.Answer:
        keys = wanted(asked.keys)
        return counters.Answer(data=chosen(await self._service.counters(), keys))

    async def _counter(self, _: NothingAsked, key: str) -> counters.OneAnswer:
        found = await self._service.counters()
        if key not in found:
            raise NotFound(f"There is no counter {key[:64]!a}; GET /counters lists them all.")
        return counters.OneAnswer(data=counters.One(key=key, value=found[key]))

    async def _stream(self) -> Response:
        asked = wire.question(request.query_string, StreamAsked)
        keys = wanted(asked.keys)
        if keys is not None and self._service.is_ready:
            chosen(await self._service.counters(), keys)
        self._live.must_have_room()
        if request.method == "HEAD":
            return _response(wire.sent(b"", media=STREAM_MEDIA))
        subscriber = self._live.subscribe(keys=keys, interval_s=asked.interval)
        return _streamed(subscriber)

    async def _start_run(self) -> Response:
        wire.question(request.query_string, NothingAsked)
        content_type = request.headers.get("Content-Type")
        content = await self._content(self._config.body_bytes_max)
        started = self._load_runs.start(asked_in(content, content_type))
        return _response(wire.answered(started, status=202))

    async def _runs(self, _: NothingAsked) -> Runs:
        return self._load_runs.runs()

    async def _run(self, _: NothingAsked, run: str) -> OneRun:
        return self._load_runs.one(run)

    async def _stop_run(self, _: NothingAsked, run: str) -> OneRun:
        return await self._load_runs.stop(run)

    async def _run_stream(self, run: str) -> Response:
        wire.question(request.query_string, NothingAsked)
        stream = self._load_runs.stream(run)
        if request.method == "HEAD":
            return _response(wire.sent(b"", media=STREAM_MEDIA))
        return _streamed(stream)

    async def _exported(
        self, family: str, answer: Callable[..., Awaitable[Any]], route: Route
    ) -> Response:
        asked: Any = wire.question(request.query_string, route.asked)
        found = await answer(asked)
        name = exports.file_name(family, tables.period_of(found), asked.format)
        content = await _whole(tables.table(found, asked.format))
        return _response(exports.as_file(content, name, asked.format))

    async def _export_events(self) -> Response:
        asked = wire.question(request.query_string, EventsAsked)
        now_ms = self._service.accepted_times().now_ms
        wanted, name = exports.events(asked, self._config, now_ms=now_ms)
        reply = exports.as_file(b"", name, asked.format)
        if request.method == "HEAD":
            return _response(reply)
        return _streamed(await self._exporting.open(wanted), reply.headers)

    async def _health(self, _: NothingAsked) -> health.Health:
        stream = health.StreamHealth(
            subscribers=self._live.subscribers, limit=self._config.stream_subscribers_max
        )
        uptime_s = monotonic() - self._started_s
        return health.health_of(
            self._service,
            version=self._version,
            uptime_s=uptime_s,
            stream=stream,
            settings=health.told(self._config),
        )

    async def _ready(self, _: NothingAsked) -> health.Ready:
        return health.ready(self._service)

    async def _described(self) -> Response:
        wire.question(request.query_string, NothingAsked)
        return _response(wire.sent(self._openapi))

    async def _exposed(self) -> Response:
        wire.question(request.query_string, NothingAsked)
        pieces, media = self._exposition.pieces(request.headers.get("Accept", ""))
        return _response(wire.sent(await _whole(pieces), media=media))


def _answering(answer: Callable[..., Awaitable[Any]], route: Route) -> Handler:
    """A handler that reads the route's parameters, and encodes what `answer` makes of them."""

    async def handler(**path_parameters: str) -> Response:
        asked = wire.question(request.query_string, route.asked)
        pieces = wire.pieces(await answer(asked, **path_parameters))
        return _response(wire.sent(await _whole(pieces)))

    return handler


async def _whole(pieces: Iterator[bytes]) -> bytes:
    """All pieces together, each made in a turn of its own."""
    made: list[bytes] = []
    for piece in pieces:
        made.append(piece)
        await trio.lowlevel.checkpoint()
    return b"".join(made)


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


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}


def _joined(name: str) -> str | None:
    return ", ".join(request.headers.getlist(name)) or None


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
        return _response(ingest.refused(error, kind))
    if queries.COMPATIBLE.fullmatch(request.path):
        return _response(queries.refused_plainly(error))
    return _response(wire.refused(error, request.path))


def _streamed(
    pieces: ResponseBody | AsyncIterable[bytes],
    headers: tuple[tuple[str, str], ...] = (("Content-Type", STREAM_MEDIA), *DATA_HEADERS),
) -> Response:
    response = Response(pieces)
    response.headers.update(dict(headers))
    response.timeout = None  # Quart would end it after a minute
    return response


def _response(reply: Reply) -> Response:
    response = Answer(reply.body, status=reply.status)
    response.problem = reply.problem
    response.headers.clear()
    response.headers.extend(reply.headers)
    if reply.status not in (204, 304):
        response.headers["Content-Length"] = str(len(reply.body))
    return response
