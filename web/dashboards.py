"""Dashboards: what one may hold, and the routes that store, share, export and import them."""

import re
import secrets
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Final, Literal

import trio
from msgspec import Meta, Struct, json, structs

from engine.config import Config
from engine.decoding import decode_document
from engine.errors import Fault, InvalidDocument, LimitReached, NameTaken, TooLarge
from engine.refusal import NAMED
from engine.timebucket import iso
from persistence.control import ControlStore, Kept, Sketch
from web import wire
from web.errors import NotFound
from web.headers import DATA_HEADERS
from web.sharing import Shares
from web.widgets import fault_of_name, fault_of_range, fault_of_value
from web.wire import Called, Reply

COLUMNS: Final = 12
"""Columns of the grid that layouts count in."""

FORMAT: Final = "tallymark.dashboard"
FORMAT_VERSION: Final = 1

Family = Literal[
    "services", "revenue", "marketplace", "experiments", "users", "counters", "sql"
]
Metric = Annotated[
    str,
    Meta(
        pattern=r"^(services|revenue|marketplace|experiments|users|counters|sql)"
        r"(\.[A-Za-z0-9_:.-]{1,64})?$(?!\n)",
        description="a family of figures, and after a dot the one that is meant: services.p95",
        extra={
            NAMED: "services, revenue, marketplace, experiments, users, counters or sql, and "
            "after a dot the figure that is meant, such as services.p95"
        },
    ),
]
Filter = Annotated[str, Meta(max_length=4096)]
Named = Annotated[str, Meta(min_length=1, max_length=200)]


class Layout(Struct, frozen=True):
    """Where a widget stands: columns (of 12) and rows of the grid, from 0."""

    x: Annotated[int, Meta(ge=0, lt=COLUMNS)]
    y: Annotated[int, Meta(ge=0, le=10_000)]
    w: Annotated[int, Meta(ge=1, le=COLUMNS)]
    h: Annotated[int, Meta(ge=1, le=100)]


class Widget(Struct, frozen=True, kw_only=True):
    """One figure, chart or table.

    metric   the family it asks, and which figure of it
    filters  {parameter of the family's route: value}; for sql the query, as sql
    range    a period relative to now (24h, 7d, today), or two dates with .. between them,
             each also with a full hour (T09:00); null: the one that is looked at
    layout   absent: below all others, half as wide as the page
    """

    kind: Literal["counter", "lineChart", "barChart", "table", "funnel"]
    title: Annotated[str, Meta(max_length=200)]
    metric: Metric
    filters: dict[Named, Filter] = {}
    range: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9:.+-]{0,79}$(?!\n)")] | None = (
        None
    )
    layout: Layout | None = None

    @property
    def family(self) -> str:
        """The part of the metric that names the route."""
        return self.metric.partition(".")[0]


class Given(Struct, frozen=True, kw_only=True, rename="camel"):
    """A dashboard as it is sent; other fields, such as its id and times, are ignored.

    refreshInterval in seconds; isLive: it follows the stream as well
    """

    name: Named
    type: Literal[
        "service_performance", "revenue", "marketplace", "experiments", "users", "custom"
    ] = "custom"
    is_active: bool = True
    is_live: bool = False
    refresh_interval: Annotated[int, Meta(ge=1, le=86_400)] = 30
    description: Annotated[str, Meta(max_length=2_000)] = ""
    widgets: tuple[Widget, ...] = ()


class Dashboard(Given, frozen=True, kw_only=True, rename="camel"):
    """A dashboard as it is answered; every widget has a layout. ETag is its version."""

    id: str
    is_shared: bool
    created_at: str
    updated_at: str


class DashboardList(Struct, frozen=True):
    """GET /dashboards: all of them, the oldest first."""

    data: list[Dashboard]


class OneDashboard(Struct, frozen=True):
    """One dashboard."""

    data: Dashboard


class Exported(Struct, frozen=True):
    """A dashboard to be carried to another Tallymark."""

    format: Literal["tallymark.dashboard"]
    version: Literal[1]
    dashboard: Given


class Share(Struct, frozen=True):
    """What opens a dashboard read-only, until sharing is ended."""

    token: str
    path: str


class Shared(Struct, frozen=True):
    """POST /dashboards/{id}/share."""

    data: Share


class Dashboards:
    """The dashboards of one control store; one call at a time, in a thread."""

    def __init__(
        self,
        store: ControlStore,
        config: Config,
        shares: Shares,
        *,
        thread: trio.CapacityLimiter,
        now_ms: Callable[[], int],
    ) -> None:
        self._store = store
        self._config = config
        self._shares = shares
        self._thread = thread
        self._now_ms = now_ms

    async def list(self, _: Called) -> Reply:
        """GET /dashboards."""
        kept = await self._run(self._store.dashboards)
        return wire.answered(DashboardList([_answer(one) for one in kept]))

    async def create(self, called: Called) -> Reply:
        """POST /dashboards. Raises LimitReached or NameTaken."""
        return await self._added(self._given(called.body))

    async def get(self, called: Called) -> Reply:
        """GET /dashboards/{id}; 304 where the caller has this version."""
        kept = await self._kept(called)
        if _etag(kept) in _tags(called.header("If-None-Match")):
            return Reply(304, (("ETag", _etag(kept)), *DATA_HEADERS), b"")
        return _one(kept)

    async def replace(self, called: Called) -> Reply:
        """PUT /dashboards/{id}. Raises ChangedMeanwhile or NameTaken."""
        given = self._given(called.body)
        sketch = Sketch(called.path["id"], given.name, json.encode(given))
        revision = _revision_wanted(called)
        kept = await self._run(
            lambda: self._store.replace(sketch, now_ms=self._now_ms(), revision=revision)
        )
        return _one(_found(kept, called))

    async def remove(self, called: Called) -> Reply:
        """DELETE /dashboards/{id}. Raises ChangedMeanwhile."""
        key, revision = called.path["id"], _revision_wanted(called)
        if not await self._run(lambda: self._store.remove(key, revision=revision)):
            raise _unknown(called)
        return wire.nothing()

    async def export(self, called: Called) -> Reply:
        """GET /dashboards/{id}/export: a file for `take_over`."""
        kept = await self._kept(called)
        exported = Exported(FORMAT, FORMAT_VERSION, _stored(kept))
        name = re.sub(r"[^a-z0-9]+", "-", kept.name.lower()).strip("-") or "dashboard"
        reply = wire.answered(exported)
        disposition = ("Content-Disposition", f'attachment; filename="{name}.json"')
        return reply._replace(headers=(*reply.headers, disposition))

    async def take_over(self, called: Called) -> Reply:
        """POST /dashboards/import: a new one of what was exported, under a free name."""
        self._must_fit(called.body)
        given = _placed(decode_document(called.body, Exported).dashboard)
        self._must_be_sound(given)
        for number in range(1, self._config.dashboards_max + 2):
            name = given.name if number == 1 else f"{given.name[:190]} ({number})"
            try:
                return await self._added(structs.replace(given, name=name))
            except NameTaken:
                continue
        raise LimitReached("There is no free name for this dashboard.")

    async def share(self, called: Called) -> Reply:
        """POST /dashboards/{id}/share: its token, the same until it is taken back."""
        key = called.path["id"]
        kept = await self._run(lambda: self._store.share(key, Shares.new()))
        found = _found(kept, called)
        assert found.share is not None
        token = self._shares.token(found.id, found.share)
        return wire.answered(Shared(Share(token, f"/embed/{found.id}?token={token}")))

    async def unshare(self, called: Called) -> Reply:
        """DELETE /dashboards/{id}/share: every token of it is worth nothing from now on."""
        kept = await self._run(lambda: self._store.share(called.path["id"], None))
        _found(kept, called)
        return wire.nothing()

    async def shown(self, key: str, token: str) -> Dashboard:
        """The dashboard that a token opens. Raises NotFound for any other."""
        kept = await self._run(lambda: self._store.dashboard(key))
        if kept is None or kept.share is None:
            raise _SEALED
        if not self._shares.opens(token, kept.id, kept.share):
            raise _SEALED
        return _answer(kept)

    async def _added(self, given: Given) -> Reply:
        sketch = Sketch(secrets.token_hex(8), given.name, json.encode(given))
        kept = await self._run(
            lambda: self._store.add(
                sketch, now_ms=self._now_ms(), dashboards_max=self._config.dashboards_max
            )
        )
        reply = _one(kept, status=201)
        return reply._replace(headers=(*reply.headers, ("Location", f"/dashboards/{kept.id}")))

    async def _kept(self, called: Called) -> Kept:
        key = called.path["id"]
        return _found(await self._run(lambda: self._store.dashboard(key)), called)

    async def _run(self, call: Callable[[], Any]) -> Any:  # noqa: ANN401  # what the call gives
        return await trio.to_thread.run_sync(call, limiter=self._thread)

    def _given(self, body: bytes) -> Given:
        self._must_fit(body)
        given = _placed(decode_document(body, Given))
        self._must_be_sound(given)
        return given

    def _must_fit(self, body: bytes) -> None:
        limit = self._config.dashboard_bytes_max
        if len(body) > limit:
            raise TooLarge(f"A dashboard has at most {limit} bytes, this one {len(body)}.")

    def _must_be_sound(self, given: Given) -> None:
        if not given.name.strip():
            raise _invalid(0, "$.name", "Expected a name of more than blanks")
        limit = self._config.dashboard_widgets_max
        if len(given.widgets) > limit:
            raise _invalid(limit, "$.widgets", f"Expected at most {limit} widgets")
        for index, widget in enumerate(given.widgets):
            for part, fault in _faults(widget):
                raise _invalid(index, f"$.widgets[{index}].{part}", fault)


_SEALED: Final = NotFound(
    "This link does not open a dashboard: sharing was ended, or the link is incomplete. Ask "
    "whoever shared it for a new one."
)


def _invalid(index: int, path: str, message: str) -> InvalidDocument:
    return InvalidDocument(f"{message} (at {path}).", (Fault(index, path, message),))


def _faults(widget: Widget) -> Iterator[tuple[str, str]]:
    """What is wrong with a widget that is one by its type: (the part of it, the fault)."""
    layout = widget.layout
    if layout is not None and layout.x + layout.w > COLUMNS:
        yield "layout", f"Expected x + w of at most {COLUMNS}"
    if widget.range is not None and (fault := fault_of_range(widget.range)):
        yield "range", fault
    for name, text in widget.filters.items():
        if fault := fault_of_name(widget.family, name):
            yield "filters", fault
        elif fault := fault_of_value(widget.family, name, text):
            yield f"filters.{name}", fault


def _placed(given: Given) -> Given:
    """The same with a layout for every widget: those without one come below all others."""
    bottom = max((w.layout.y + w.layout.h for w in given.widgets if w.layout), default=0)
    widgets: list[Widget] = []
    free = 0
    for widget in given.widgets:
        if widget.layout is None:
            x, row = free % 2 * 6, free // 2
            layout = Layout(x=x, y=min(bottom + row * 4, 10_000), w=6, h=4)
            widget = structs.replace(widget, layout=layout)
            free += 1
        widgets.append(widget)
    return structs.replace(given, widgets=tuple(widgets))


def _stored(kept: Kept) -> Given:
    return json.decode(kept.content, type=Given)


def _answer(kept: Kept) -> Dashboard:
    own = {
        "id": kept.id,
        "is_shared": kept.share is not None,
        "created_at": iso(kept.created_ms, "UTC"),
        "updated_at": iso(kept.updated_ms, "UTC"),
    }
    return Dashboard(**structs.asdict(_stored(kept)), **own)  # type: ignore[arg-type]


def _one(kept: Kept, *, status: int = 200) -> Reply:
    reply = wire.answered(OneDashboard(_answer(kept)), status=status)
    return reply._replace(headers=(*reply.headers, ("ETag", _etag(kept))))


def _etag(kept: Kept) -> str:
    return f'"{kept.id}-{kept.revision}"'


def _tags(header: str | None) -> list[str]:
    """The entity tags of a header, weak ones as if they were strong."""
    return [tag.strip().removeprefix("W/") for tag in (header or "").split(",")]


def _revision_wanted(called: Called) -> int | None:
    """The revision in If-Match, None where any will do, 0 where none can be it."""
    header = called.header("If-Match")
    if header is None or header.strip() == "*":
        return None
    for tag in _tags(header):
        key, _, revision = tag.strip('"').rpartition("-")
        if key == called.path["id"] and revision.isascii() and revision.isdigit():
            return int(revision)
    return 0


def _found(kept: Kept | None, called: Called) -> Kept:
    if kept is None:
        raise _unknown(called)
    return kept


def _unknown(called: Called) -> NotFound:
    return NotFound(
        f"There is no dashboard {called.path['id'][:64]!a}; GET /dashboards lists them all."
    )
