"""The routes as a table, from which the application and its OpenAPI description are made."""

from typing import Final

from engine.answers import counters, experiments, marketplace, revenue, services, users
from engine.answers.families import FAMILIES
from engine.errors import (
    DiskFull,
    InvalidDocument,
    InvalidEvents,
    InvalidQuestion,
    JournalFailed,
    LimitReached,
    MalformedBody,
    NotReady,
    Overloaded,
    TooLarge,
    Unanswerable,
    WrongMediaType,
)
from engine.events import Envelope, Event
from persistence.dialect.errors import InvalidQuery, QueryTooLong
from persistence.tabular import MEDIA
from web import exports, forgetting
from web.archiving import ArchiveLate
from web.errors import (
    LoadHooksOff,
    LoadRunUnderWay,
    NotFound,
    ReportUnfinished,
    SlowBody,
    TooManyStreams,
)
from web.exporting import TooManyExports
from web.exports import EventsAsked
from web.health import Health, Ready
from web.home import Home
from web.ingest import (
    BULK_MEDIA_TYPES,
    MEDIA_TYPES,
    BatchAsked,
    BatchTaken,
    Taken,
)
from web.live import CountersAsked, StreamAsked
from web.loadrun import NewRun, OneRun
from web.loadruns import Runs
from web.queries import REFUSALS, CompatibleAsked, CompatibleSent, SqlAsked, SqlSent
from web.reports import KINDS, Told, ToldList
from web.route import Refusals, Route
from web.setup_routes import SETUP_ROUTES
from web.sql import TooManyQueries

_INGEST: Final[Refusals] = (
    MalformedBody,
    SlowBody,
    TooLarge,
    WrongMediaType,
    InvalidEvents,
    InvalidQuestion,
    Overloaded,
    NotReady,
    JournalFailed,
    DiskFull,
)
_SQL_PATH: Final = "/sql"
_COMPATIBLE_PATH: Final = "/client/v4/accounts/{account}/analytics_engine/sql"
_QUESTION: Final[Refusals] = (InvalidQuestion, Unanswerable, Overloaded, NotReady)
_REVENUE: Final[Refusals] = (*_QUESTION, TooManyQueries, ArchiveLate)
_REPORT: Final[Refusals] = (NotFound, InvalidQuestion)
_TEXTS: Final = (MEDIA["json"], MEDIA["ndjson"])


def _export(family: str, summary: str) -> Route:
    return Route(
        name=f"export{family.capitalize()}",
        role="read",
        method="GET",
        path=f"/export/{family}",
        summary=summary,
        asked=exports.ASKED[family],
        media=MEDIA["csv"],
        formats=_TEXTS,
        refusals=_QUESTION,
        packs=True,
    )


def _preflight(name: str, path: str) -> Route:
    return Route(
        name=name,
        role="open",
        method="OPTIONS",
        path=path,
        summary="Preflight for pages of other origins.",
        media=None,
        status=204,
    )


ROUTES: Final[tuple[Route, ...]] = (
    Route(
        name="home",
        role="open",
        method="GET",
        path="/",
        summary="The dashboard for browsers; for everyone else a list of the routes.",
        answer=Home,
    ),
    Route(
        name="track",
        role="write",
        method="POST",
        path="/track",
        summary="Track one event; it is on disk and counted when this answers.",
        answer=Taken,
        takes=(Event,),
        takes_media=MEDIA_TYPES,
        refusals=_INGEST,
    ),
    _preflight("trackPreflight", "/track"),
    Route(
        name="trackBatch",
        role="write",
        method="POST",
        path="/track/batch",
        summary="Track 1 to 25 events, all or nothing unless onInvalid=skip.",
        asked=BatchAsked,
        answer=BatchTaken,
        takes=(list[Event], Envelope),
        takes_media=MEDIA_TYPES,
        refusals=_INGEST,
    ),
    _preflight("trackBatchPreflight", "/track/batch"),
    Route(
        name="trackBulk",
        role="write",
        method="POST",
        path="/track/bulk",
        summary=(
            "Track many events, one JSON object per line; gzip or zstd may compress them."
        ),
        asked=BatchAsked,
        answer=BatchTaken,
        takes=(Event,),
        takes_media=BULK_MEDIA_TYPES,
        refusals=_INGEST,
    ),
    _preflight("trackBulkPreflight", "/track/bulk"),
    Route(
        name="services",
        role="read",
        method="GET",
        path="/metrics/services",
        summary="Executions, latency percentiles and error rates by service.",
        asked=services.Asked,
        answer=services.Answer,
        refusals=_QUESTION,
        packs=True,
    ),
    Route(
        name="revenue",
        role="read",
        method="GET",
        path="/metrics/revenue",
        summary="Money: GMV, MRR, fees, earnings, by currency.",
        asked=revenue.Asked,
        answer=revenue.Answer,
        refusals=_REVENUE,
        packs=True,
    ),
    Route(
        name="marketplace",
        role="read",
        method="GET",
        path="/metrics/marketplace",
        summary="Searches, views, conversions, and what is looked for most.",
        asked=marketplace.Asked,
        answer=marketplace.Answer,
        refusals=_QUESTION,
        packs=True,
    ),
    Route(
        name="experiments",
        role="read",
        method="GET",
        path="/metrics/experiments",
        summary="A/B tests: variants, winner, and how sure that is.",
        asked=experiments.Asked,
        answer=experiments.Answer,
        refusals=_QUESTION,
        packs=True,
    ),
    Route(
        name="users",
        role="read",
        method="GET",
        path="/metrics/users",
        summary="Active users, retention, churn, sessions.",
        asked=users.Asked,
        answer=users.Answer,
        refusals=_QUESTION,
        packs=True,
    ),
    Route(
        name="counters",
        role="read",
        method="GET",
        path="/counters",
        summary="The live counters: today, the last seven days, the last minutes.",
        asked=CountersAsked,
        answer=counters.Answer,
        refusals=_QUESTION,
        packs=True,
    ),
    Route(
        name="counter",
        role="read",
        method="GET",
        path="/counters/{key}",
        summary="One live counter.",
        answer=counters.OneAnswer,
        refusals=(NotFound, *_QUESTION),
        packs=True,
    ),
    Route(
        name="stream",
        role="read",
        takes_token=True,
        method="GET",
        path="/stream",
        summary="The live counters as server-sent events, also while the service recovers.",
        asked=StreamAsked,
        media="text/event-stream",
        refusals=(InvalidQuestion, TooManyStreams),
    ),
    Route(
        name="sqlSent",
        role="read",
        is_asking=True,
        method="POST",
        path=_SQL_PATH,
        summary="Run a query over every event: Analytics Engine's dialect, and more.",
        asked=SqlSent,
        takes=(str,),
        takes_media=("text/plain",),
        refusals=(*REFUSALS, SlowBody),
        packs=True,
    ),
    Route(
        name="sqlAsked",
        role="read",
        method="GET",
        path=_SQL_PATH,
        summary="The same, with the query in the URL.",
        asked=SqlAsked,
        refusals=REFUSALS,
        packs=True,
    ),
    Route(
        name="compatibleSent",
        role="read",
        is_asking=True,
        method="POST",
        path=_COMPATIBLE_PATH,
        summary="Run a query of Analytics Engine as its clients send it, any Content-Type.",
        asked=CompatibleSent,
        takes=(str,),
        takes_media=("text/plain",),
        refusals=(*REFUSALS, SlowBody),
        plain=True,
        packs=True,
    ),
    Route(
        name="compatibleAsked",
        role="read",
        method="GET",
        path=_COMPATIBLE_PATH,
        summary="The same, with the query in the URL.",
        asked=CompatibleAsked,
        refusals=REFUSALS,
        plain=True,
        packs=True,
    ),
    _export("services", "GET /metrics/services as a flat table in a file."),
    _export("revenue", "GET /metrics/revenue as a flat table in a file."),
    _export("marketplace", "GET /metrics/marketplace as a flat table in a file."),
    _export("experiments", "GET /metrics/experiments as a flat table, a variant a row."),
    _export("users", "GET /metrics/users as a flat table in a file."),
    Route(
        name="exportEvents",
        role="read",
        method="GET",
        path="/export/events",
        summary="Every event of a period as a file, streamed, in no particular order.",
        asked=EventsAsked,
        media=MEDIA["csv"],
        formats=(*_TEXTS, MEDIA["parquet"], MEDIA["arrow"]),
        refusals=(InvalidQuestion, TooManyExports, ArchiveLate, Overloaded, NotReady),
        packs=True,
    ),
    Route(
        name="eraseUser",
        method="DELETE",
        path="/users/{userId}",
        role="admin",
        summary="Erase a person from all events so far; later answers do not show the person.",
        answer=forgetting.Answer,
        status=202,
        refusals=(InvalidQuestion, Overloaded, NotReady, JournalFailed, DiskFull),
        rest=True,
    ),
    Route(
        name="erasure",
        method="GET",
        path="/users/{userId}",
        role="admin",
        summary="How far the erasure of a person has got.",
        answer=forgetting.Answer,
        refusals=(NotFound, InvalidQuestion, NotReady),
        rest=True,
    ),
    Route(
        name="reports",
        role="read",
        method="GET",
        path="/exports",
        summary="The reports that are kept, the newest first.",
        answer=ToldList,
        refusals=(InvalidQuestion,),
        packs=True,
    ),
    Route(
        name="createReport",
        role="read",
        method="POST",
        path="/exports",
        summary="Have a report made: figures, events or a query, as a file for later.",
        answer=Told,
        status=202,
        takes=KINDS,
        takes_media=("application/json",),
        refusals=(
            MalformedBody,
            SlowBody,
            TooLarge,
            WrongMediaType,
            InvalidDocument,
            InvalidQuestion,
            InvalidQuery,
            QueryTooLong,
            TooManyQueries,
            LimitReached,
            DiskFull,
            Overloaded,
            NotReady,
        ),
    ),
    Route(
        name="report",
        role="read",
        method="GET",
        path="/exports/{report}",
        summary="One report, and how far it has got.",
        answer=Told,
        refusals=_REPORT,
    ),
    Route(
        name="reportFile",
        role="read",
        method="GET",
        path="/exports/{report}/file",
        summary="The file of a report that is done.",
        media=MEDIA["csv"],
        formats=(*_TEXTS, MEDIA["parquet"], MEDIA["arrow"]),
        refusals=(*_REPORT, ReportUnfinished),
        packs=True,
    ),
    Route(
        name="removeReport",
        role="read",
        method="DELETE",
        path="/exports/{report}",
        summary="Remove a report and its file, or stop making it.",
        media=None,
        status=204,
        refusals=_REPORT,
    ),
    Route(
        name="health",
        role="open",
        method="GET",
        path="/health",
        summary="What the service is doing; 200 as long as it lives.",
        answer=Health,
    ),
    Route(
        name="ready",
        role="open",
        method="GET",
        path="/ready",
        summary="Whether events are taken and questions answered now.",
        answer=Ready,
        refusals=(NotReady, JournalFailed),
    ),
    Route(
        name="startLoadRun",
        role="admin",
        method="POST",
        path="/load/runs",
        summary="Start a synthetic load run inside the process, one at a time.",
        answer=OneRun,
        status=202,
        takes=(NewRun,),
        takes_media=("application/json",),
        refusals=(
            MalformedBody,
            SlowBody,
            TooLarge,
            WrongMediaType,
            InvalidQuestion,
            LoadRunUnderWay,
            Overloaded,
            LoadHooksOff,
        ),
    ),
    Route(
        name="loadRuns",
        role="admin",
        method="GET",
        path="/load/runs",
        summary="The load runs of this process, the newest first.",
        answer=Runs,
        refusals=(LoadHooksOff, InvalidQuestion),
    ),
    Route(
        name="loadRun",
        role="admin",
        method="GET",
        path="/load/runs/{run}",
        summary="One load run, second by second.",
        answer=OneRun,
        refusals=(LoadHooksOff, NotFound, InvalidQuestion),
    ),
    Route(
        name="loadRunStream",
        role="admin",
        method="GET",
        path="/load/runs/{run}/stream",
        summary="The seconds of a load run as server-sent events, then how it ended.",
        media="text/event-stream",
        refusals=(LoadHooksOff, NotFound, InvalidQuestion),
    ),
    Route(
        name="stopLoadRun",
        role="admin",
        method="DELETE",
        path="/load/runs/{run}",
        summary="Stop a load run; answers when all that it sent is counted.",
        answer=OneRun,
        refusals=(LoadHooksOff, NotFound, InvalidQuestion),
    ),
    Route(
        name="prometheus",
        role="read",
        method="GET",
        path="/metrics/prometheus",
        summary="What the service counts of itself, for Prometheus.",
        media="text/plain",
        packs=True,
    ),
    Route(
        name="openapi",
        role="read",
        method="GET",
        path="/openapi.json",
        summary="This description.",
        packs=True,
    ),
    *SETUP_ROUTES,
)

_BY_NAME: Final = {route.name: route for route in ROUTES}

TRACK: Final = _BY_NAME["track"]
"""One of the three ingest routes, which all ask the same of a key."""

STREAM: Final = _BY_NAME["stream"]

FIGURES: Final = {name: _BY_NAME[name] for name in (*FAMILIES, "counters", "counter")}
"""What `web.answering` answers."""

NO_SUCH: Final = Route(
    name="", role="open", method="", path="", summary="What no other route answers."
)
