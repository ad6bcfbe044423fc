"""A handler for every row of the route table, over Quart's request."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any, Protocol

from quart import Response, g, request

from engine.answers.families import FAMILIES
from engine.config import Config
from engine.errors import TallymarkError
from web import body, exports, health, ingest, openapi, queries, sql, tables, wire
from web.answering import Answers, figures_of, replied, whole
from web.control import Control
from web.control import Handler as Handled
from web.embedding import Embedding, ShownAsked
from web.errors import archive_off
from web.exporting import Exports
from web.exports import EventsAsked
from web.exposition import Exposition, Measured
from web.forgetting import ErasureRoutes, Forgetting
from web.ingest import Acceptor, Kind
from web.live import Live, StreamAsked, chosen, wanted
from web.loadrun import OneRun
from web.loadruns import LoadRuns, Runs, asked_in
from web.meter import Meter
from web.pages import Pages
from web.rates import free
from web.reporting import Reports
from web.responses import (
    LiveBody,
    RunBody,
    file_of,
    header,
    nothing,
    response_of,
    streamed_of,
)
from web.route import Route
from web.routes import ROUTES
from web.shownsql import ShownQueries
from web.sql import Archived, Sql
from web.untaken import Untaken
from web.wire import NothingAsked, Reply

Handler = Callable[..., Awaitable[Response]]


class Service(Acceptor, Answers, Archived, health.Watched, Measured, Protocol):
    """What the application needs of the engine."""

    async def look(self) -> None: ...
    def erasures(self) -> Forgetting: ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What handlers have in common with the application that runs it."""

    live: Live
    load_runs: LoadRuns
    exporting: Exports
    reports: Reports
    meter: Meter
    untaken: Untaken


class Handlers:
    """One handler for each route, under its name."""

    def __init__(
        self,
        service: Service,
        config: Config,
        shared: Shared,
        control: Control,
        sql: Sql | None,
    ) -> None:
        self._service = service
        self._sql = sql
        self._gate = control.keyring.gate
        self._config = config
        self._live = shared.live
        self._load_runs = shared.load_runs
        self._exporting = shared.exporting
        self._reports = shared.reports
        self._untaken = shared.untaken
        self._version = health.running_version()
        self._started_s = monotonic()
        self._description = openapi.describe(ROUTES, version=self._version)
        self._openapi = wire.encode(self._description)
        self._exposition = Exposition(
            service,
            shared.meter,
            version=self._version,
            subscribers=lambda: shared.live.subscribers,
            subscribers_max=config.stream_subscribers_max,
        )
        answers = self._answers()
        kept = ShownQueries(self._stored_query, keep_s=config.embed_query_keep_s)
        self._shown = Embedding(control.dashboards, answers, service.counters, kept)
        shown = self._shown
        exported = {
            f"export{family.capitalize()}": partial(self._exported, family, answers[family])
            for family in FAMILIES
        }
        answers |= {
            "embedDashboard": shown.dashboard,
            "embedCounters": shown.live,
            **{f"embed{family.capitalize()}": shown.family(family) for family in FAMILIES},
        }
        self._by_name: dict[str, Callable[[Route], Handler]] = {
            **{name: partial(_answering, answer) for name, answer in answers.items()},
            **{
                name: partial(self._handling, handle)
                for name, handle in self._handled(control).items()
            },
            **{name: partial(partial, export) for name, export in exported.items()},
            **{name: _always(handler) for name, handler in self._others().items()},
        }

    def _answers(self) -> dict[str, Callable[..., Awaitable[Any]]]:
        """Those that make a Struct of the route's parameters."""
        return {
            **figures_of(self._service),
            "health": self._health,
            "ready": self._ready,
            "loadRuns": self._runs,
            "loadRun": self._run,
            "stopLoadRun": self._stop_run,
        }

    def _handled(self, control: Control) -> dict[str, Handled]:
        """Those that know no framework: a request in, an answer out."""
        pages = Pages(self._config, description=self._description, version=self._version)
        erasures = ErasureRoutes(self._service.erasures)
        return {
            **control.handlers,
            "eraseUser": erasures.erase,
            "erasure": erasures.progress,
            **self._reports.handlers,
            "home": pages.home,
            "ui": pages.asset,
            "embed": pages.shared,
            "docs": pages.reference,
            "docsStyle": pages.style,
        }

    def _others(self) -> dict[str, Handler]:
        """Those that read a body of their own, or send something of their own."""
        return {
            "track": partial(self._take, Kind.ONE),
            "trackBatch": partial(self._take, Kind.MANY),
            "trackBulk": partial(self._take, Kind.BULK),
            "trackPreflight": self._preflight,
            "trackBatchPreflight": self._preflight,
            "trackBulkPreflight": self._preflight,
            "stream": self._stream,
            "prometheus": self._exposed,
            "openapi": self._described,
            "startLoadRun": self._start_run,
            "loadRunStream": self._run_stream,
            "exportEvents": self._export_events,
            "reportFile": self._report_file,
            "embedQuery": self._embedded_query,
            "sqlSent": partial(self._query, queries.superset, in_body=True),
            "sqlAsked": partial(self._query, queries.superset, in_body=False),
            "compatibleSent": partial(self._query, queries.compatible, in_body=True),
            "compatibleAsked": partial(self._query, queries.compatible, in_body=False),
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
        spend: Callable[[int], None] = free
        try:
            content = await self._content(kind.body_bytes_max(self._config))
            if kind is Kind.BULK:
                self._untaken.must_have_room(ingest.REJECTED_BYTES)
            if self._gate.allowance.counts_events:
                spend = self._gate.allowance.events(g.grant, g.asking)
        except TallymarkError as error:
            return response_of(ingest.refused(error, kind))
        reply = await ingest.take(
            self._service,
            kind,
            content,
            query=request.query_string,
            content_type=header("Content-Type"),
            content_encoding=header("Content-Encoding"),
            spend=spend,
        )
        return response_of(reply)

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
        return response_of(await answer(self._asked_sql(), request.query_string, text))

    def _asked_sql(self) -> Sql:
        if self._sql is None:
            raise archive_off()
        return self._sql

    async def _stored_query(self, text: str) -> sql.Answer:
        return await self._asked_sql().answer(sql.Asked(text=text, extra=True, quoted=False))

    async def _embedded_query(self, dashboard: str, query: str) -> Response:
        asked = wire.question(request.query_string, ShownAsked)
        found = await self._shown.rows(asked, dashboard, query)
        return response_of(wire.sent(found.body, media=found.media))

    def _handling(self, handle: Handled, route: Route) -> Handler:
        """A handler that hands on the request as it is, and answers with what comes back."""

        async def handler(**path_parameters: str) -> Response:
            content = b""
            if route.takes:
                content = await self._document()
            called = wire.Called(
                path_parameters, _headers(), request.query_string, content, g.asking, g.grant
            )
            return response_of(await handle(called))

        return handler

    async def _document(self) -> bytes:
        # Read also where its type is refused: what nobody reads costs the connection.
        content = await self._content(self._config.body_bytes_max)
        wire.must_be_json(header("Content-Type"))
        return bytes(content)

    async def _preflight(self) -> Response:
        return response_of(ingest.PREFLIGHT)

    async def _stream(self) -> Response:
        asked = wire.question(request.query_string, StreamAsked)
        keys = wanted(asked.keys)
        if keys is not None and self._service.is_ready:
            chosen(await self._service.counters(), keys)
        self._live.must_have_room()
        if request.method == "HEAD":
            return streamed_of(nothing())
        subscriber = LiveBody(self._live, keys=keys, interval_ticks=asked.interval)
        subscriber.grant = g.grant
        return streamed_of(subscriber)

    async def _start_run(self) -> Response:
        wire.question(request.query_string, NothingAsked)
        content_type = header("Content-Type")
        content = await self._content(self._config.body_bytes_max)
        started = self._load_runs.start(asked_in(content, content_type))
        return response_of(wire.answered(started, status=202))

    async def _runs(self, _: NothingAsked) -> Runs:
        return self._load_runs.runs()

    async def _run(self, _: NothingAsked, run: str) -> OneRun:
        return self._load_runs.one(run)

    async def _stop_run(self, _: NothingAsked, run: str) -> OneRun:
        return await self._load_runs.stop(run)

    async def _run_stream(self, run: str) -> Response:
        wire.question(request.query_string, NothingAsked)
        course = self._load_runs.course(run)
        if request.method == "HEAD":
            return streamed_of(nothing())
        return streamed_of(RunBody(course))

    async def _exported(
        self, family: str, answer: Callable[..., Awaitable[Any]], route: Route
    ) -> Response:
        asked: Any = wire.question(request.query_string, route.asked)
        found = await answer(asked)
        name = exports.file_name(family, tables.period_of(found), asked.format)
        content = await whole(tables.table(found, asked.format))
        return response_of(exports.as_file(content, name, asked.format))

    async def _export_events(self) -> Response:
        asked = wire.question(request.query_string, EventsAsked)
        now_ms = self._service.accepted_times().now_ms
        fresh = asked.fresh == "1"
        wanted, name = exports.events(asked, self._config, fresh=fresh, now_ms=now_ms)
        headers = exports.as_file(b"", name, asked.format).headers
        if request.method == "HEAD":
            return file_of(nothing(), headers)
        return file_of(await self._exporting.open(wanted), headers)

    async def _report_file(self, report: str) -> Response:
        wire.question(request.query_string, NothingAsked)
        headers = await self._reports.headers_of(report)
        if request.method == "HEAD":
            return file_of(nothing(), headers)
        return file_of(await self._reports.open(report), headers)

    async def _health(self, _: NothingAsked) -> health.Health:
        stream = health.StreamHealth(
            subscribers=self._live.subscribers, limit=self._config.stream_subscribers_max
        )
        uptime_s = monotonic() - self._started_s
        if not self._knows_all():
            return health.terse(self._service)
        return health.health_of(
            self._service,
            version=self._version,
            uptime_s=uptime_s,
            stream=stream,
            settings=health.told(self._config, keys=self._gate.is_asked),
        )

    async def _ready(self, _: NothingAsked) -> health.Ready:
        is_terse = not self._knows_all()
        if not is_terse and self._service.is_ready:
            await self._service.look()
        return health.ready(self._service, is_terse=is_terse)

    @staticmethod
    def _knows_all() -> bool:
        """Whether whoever asks may know more than that the service lives."""
        return bool(g.grant.may("read"))

    async def _described(self) -> Response:
        wire.question(request.query_string, NothingAsked)
        return response_of(wire.sent(self._openapi))

    async def _exposed(self) -> Response:
        wire.question(request.query_string, NothingAsked)
        if self._service.is_ready:
            await self._service.look()
        pieces, media = self._exposition.pieces(request.headers.get("Accept", ""))
        return response_of(wire.sent(await whole(pieces), media=media))


def _always(handler: Handler) -> Callable[[Route], Handler]:
    return lambda _: handler


def _answering(answer: Callable[..., Awaitable[Any]], route: Route) -> Handler:
    """A handler that reads the route's parameters, and encodes what `answer` makes of them."""

    async def handler(**path_parameters: str) -> Response:
        query = request.query_string
        return response_of(await replied(answer, route.asked, query, **path_parameters))

    return handler


def _headers() -> dict[str, str]:
    return {name.lower(): value for name, value in request.headers.items()}
