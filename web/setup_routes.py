"""The routes for what people set up and look at: dashboards, shares, the catalog, the pages."""

from typing import Any, Final

from engine.answers import counters
from engine.answers.families import FAMILIES
from engine.errors import (
    ChangedMeanwhile,
    DiskFull,
    InvalidDocument,
    InvalidQuestion,
    LimitReached,
    MalformedBody,
    NameTaken,
    NotReady,
    Overloaded,
    TooLarge,
    Unanswerable,
    WrongMediaType,
)
from persistence.keys import Role
from web.catalog import ExperimentGiven, NamedList, OneNamed, ServiceGiven
from web.dashboards import DashboardList, Exported, Given, OneDashboard, Shared
from web.embedding import ASKED, CountersShownAsked, ShownAsked
from web.errors import Forbidden, NotFound, SlowBody
from web.grants import Needed
from web.queries import REFUSALS as QUERY_REFUSALS
from web.route import Refusals, Route
from web.sessions import Session, StreamToken

JSON: Final = ("application/json",)
HTML: Final = "text/html"

_BODY: Final[Refusals] = (
    MalformedBody,
    SlowBody,
    TooLarge,
    WrongMediaType,
    InvalidDocument,
    Forbidden,
    DiskFull,
)
_QUESTION: Final[Refusals] = (InvalidQuestion, Unanswerable, Overloaded, NotReady)


def _get(name: str, path: str, summary: str, answer: Any, *refusals: Any) -> Route:  # noqa: ANN401  # a type
    return Route(
        name=name,
        role="read",
        method="GET",
        path=path,
        summary=summary,
        answer=answer,
        refusals=refusals,
    )


def _delete(
    name: str,
    path: str,
    summary: str,
    *refusals: Any,  # noqa: ANN401  # as above
    role: Role = "read",
    rest: bool = False,
) -> Route:
    return Route(
        name=name,
        role=role,
        method="DELETE",
        path=path,
        summary=summary,
        media=None,
        status=204,
        refusals=(NotFound, Forbidden, *refusals),
        rest=rest,
    )


def _file(
    name: str, path: str, summary: str, media: str, *, role: Needed = "open", rest: bool = False
) -> Route:
    return Route(
        name=name,
        role=role,
        method="GET",
        path=path,
        summary=summary,
        media=media,
        refusals=(NotFound,) if rest else (),
        rest=rest,
    )


def _catalog(kind: str, one: str, given: type[Any]) -> tuple[Route, ...]:
    path, name = f"/catalog/{kind}/{{id}}", one.capitalize()
    return (
        Route(
            name=f"named{name}s",
            role="read",
            method="GET",
            path=f"/catalog/{kind}",
            summary=f"All {kind} that the catalog names.",
            answer=NamedList,
            packs=True,
        ),
        Route(
            name=f"named{name}",
            role="read",
            method="GET",
            path=path,
            summary=f"What the catalog says about one {one}.",
            answer=OneNamed,
            refusals=(NotFound,),
            rest=True,
        ),
        Route(
            name=f"name{name}",
            role="admin",
            method="PUT",
            path=path,
            summary="Give a name, which wins over those that events carry.",
            answer=OneNamed,
            takes=(given,),
            takes_media=JSON,
            refusals=(*_BODY, LimitReached),
            rest=True,
        ),
        _delete(
            f"unname{name}",
            path,
            "Remove the name; that of the events is shown again.",
            role="admin",
            rest=True,
        ),
    )


_DASHBOARDS: Final[tuple[Route, ...]] = (
    _get("dashboards", "/dashboards", "All dashboards, the oldest first.", DashboardList),
    Route(
        name="createDashboard",
        role="read",
        method="POST",
        path="/dashboards",
        summary="Create a dashboard.",
        answer=OneDashboard,
        status=201,
        takes=(Given,),
        takes_media=JSON,
        refusals=(*_BODY, NameTaken, LimitReached),
    ),
    Route(
        name="importDashboard",
        role="read",
        method="POST",
        path="/dashboards/import",
        summary="Create a dashboard from an exported one, under a free name.",
        answer=OneDashboard,
        status=201,
        takes=(Exported,),
        takes_media=JSON,
        refusals=(*_BODY, LimitReached),
    ),
    _get(
        "dashboard",
        "/dashboards/{id}",
        "One dashboard; ETag is its version.",
        OneDashboard,
        NotFound,
    ),
    Route(
        name="replaceDashboard",
        role="read",
        method="PUT",
        path="/dashboards/{id}",
        summary="Replace a dashboard; with If-Match only the version that was read.",
        answer=OneDashboard,
        takes=(Given,),
        takes_media=JSON,
        refusals=(*_BODY, NotFound, NameTaken, ChangedMeanwhile),
    ),
    _delete(
        "deleteDashboard",
        "/dashboards/{id}",
        "Delete a dashboard; with If-Match only the version that was read.",
        ChangedMeanwhile,
    ),
    _get(
        "exportDashboard",
        "/dashboards/{id}/export",
        "A dashboard as a file for /dashboards/import.",
        Exported,
        NotFound,
    ),
    Route(
        name="shareDashboard",
        role="read",
        method="POST",
        path="/dashboards/{id}/share",
        summary="Share a dashboard: a read-only link, the same until sharing is ended.",
        answer=Shared,
        refusals=(NotFound, Forbidden, DiskFull),
    ),
    _delete(
        "unshareDashboard",
        "/dashboards/{id}/share",
        "End sharing: the link opens nothing from now on.",
    ),
)

_SHARED: Final[tuple[Route, ...]] = (
    Route(
        name="embed",
        role="open",
        method="GET",
        path="/embed/{dashboard}",
        summary="The page of a shared dashboard, for a frame or a link.",
        asked=ShownAsked,
        media=HTML,
    ),
    Route(
        name="embedDashboard",
        role="open",
        method="GET",
        path="/embed/{dashboard}/dashboard",
        summary="The dashboard that a token opens.",
        asked=ShownAsked,
        answer=OneDashboard,
        refusals=(NotFound, InvalidQuestion),
    ),
    Route(
        name="embedCounters",
        role="open",
        method="GET",
        path="/embed/{dashboard}/counters",
        summary="Live counters that a shared dashboard shows.",
        asked=CountersShownAsked,
        answer=counters.Answer,
        refusals=(NotFound, Forbidden, *_QUESTION),
        packs=True,
    ),
    *(
        Route(
            name=f"embed{family.capitalize()}",
            role="open",
            method="GET",
            path=f"/embed/{{dashboard}}/metrics/{family}",
            summary=f"As /metrics/{family}, with the filters of a widget of the dashboard.",
            asked=ASKED[family],
            answer=answer,
            refusals=(NotFound, Forbidden, *_QUESTION),
            packs=True,
        )
        for family, (_, answer) in FAMILIES.items()
    ),
    Route(
        name="embedQuery",
        role="open",
        method="GET",
        path="/embed/{dashboard}/queries/{query}",
        summary="The rows of a query that a shared dashboard holds, as /sql answers them.",
        asked=ShownAsked,
        refusals=(NotFound, Forbidden, *QUERY_REFUSALS),
        packs=True,
    ),
)

_SESSIONS: Final[tuple[Route, ...]] = (
    _get("session", "/session", "The caller's role, and when the session ends.", Session),
    Route(
        name="signIn",
        role="read",
        method="POST",
        path="/session",
        summary="Sign in: swap a key that may read for a cookie of this page.",
        answer=Session,
        refusals=(Forbidden, DiskFull),
    ),
    Route(
        name="signOut",
        role="open",
        method="DELETE",
        path="/session",
        summary="End the session of the cookie.",
        media=None,
        status=204,
        refusals=(Forbidden, DiskFull),
    ),
    Route(
        name="streamToken",
        role="read",
        method="POST",
        path="/stream/tokens",
        summary="A token for the address of one GET /stream, good once and for a minute.",
        answer=StreamToken,
        status=201,
        is_asking=True,
        refusals=(Forbidden, Overloaded),
    ),
)

_PAGES: Final[tuple[Route, ...]] = (
    _file("ui", "/ui/{path}", "A file of the dashboard page.", "*/*", rest=True),
    _file("docs", "/docs", "This description as a page.", HTML, role="read"),
    _file("docsStyle", "/docs/style.css", "What that page looks like.", "text/css"),
)

SETUP_ROUTES: Final[tuple[Route, ...]] = (
    *_DASHBOARDS,
    *_SHARED,
    *_SESSIONS,
    *_catalog("services", "service", ServiceGiven),
    *_catalog("experiments", "experiment", ExperimentGiven),
    *_PAGES,
)
