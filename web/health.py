"""What the service says of itself: whether it lives, whether it is ready, and how it goes."""

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, Protocol

from msgspec import UNSET, Struct, UnsetType, structs

from engine.actors import health as engine_health
from engine.actors.health import JournalHealth, QueueHealth, SnapshotHealth
from engine.config import Config
from engine.errors import JournalFailed, NotReady
from web.archiving import ArchiveHealth


class StreamHealth(Struct, frozen=True, kw_only=True):
    """Subscribers of the live stream, and how many there may be."""

    subscribers: int
    limit: int


class ToldSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    """The settings that whoever shows the figures needs to know; no secret, and no path."""

    timezone: str
    reporting_currency: str
    keep_hours_days: int
    load_runs: bool


class Health(Struct, frozen=True, kw_only=True, rename="camel"):
    """GET /health; the figures of the engine are there once it is.

    `failed`: no event is taken until a restart, questions are answered; `reason` says why.
    """

    status: Literal["ok", "recovering", "stopping", "failed"]
    version: str
    uptime_s: float
    stream: StreamHealth
    settings: ToldSettings
    reason: str | UnsetType = UNSET
    events_per_second: float | UnsetType = UNSET
    events: int | UnsetType = UNSET
    duplicates: int | UnsetType = UNSET
    queue: QueueHealth | UnsetType = UNSET
    journal: JournalHealth | UnsetType = UNSET
    snapshot: SnapshotHealth | UnsetType = UNSET
    over_cap: dict[str, int] | UnsetType = UNSET
    archive: ArchiveHealth | UnsetType = UNSET


class Ready(Struct, frozen=True):
    """GET /ready, where it is 200."""

    ready: Literal[True] = True


class Watched(Protocol):
    """What is asked of the engine; `health` raises NotReady before there is one."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def failure(self) -> JournalFailed | None: ...

    def health(self) -> engine_health.Health: ...

    def archive_health(self) -> ArchiveHealth | None: ...


def running_version() -> str:
    """The version of the installed package; "source" where it runs without being installed."""
    try:
        return version("tallymark")
    except PackageNotFoundError:
        return "source"


def told(config: Config) -> ToldSettings:
    """What of the settings everybody may know."""
    return ToldSettings(
        timezone=config.timezone,
        reporting_currency=config.reporting_currency,
        keep_hours_days=config.keep_hours_days,
        load_runs=config.load_hooks,
    )


def health_of(
    engine: Watched,
    *,
    version: str,
    uptime_s: float,
    stream: StreamHealth,
    settings: ToldSettings,
) -> Health:
    """How it goes, whatever the state."""
    status: Literal["ok", "recovering", "stopping", "failed"] = "ok"
    reason: str | UnsetType = UNSET
    figures: Mapping[str, Any] = {}
    try:
        figures = structs.asdict(engine.health())
    except NotReady as not_yet:
        status, reason = "recovering", str(not_yet)
    else:
        if engine.failure is not None:
            status, reason = "failed", str(engine.failure)
        elif not engine.is_ready:
            status = "stopping"
    archive = engine.archive_health()
    return Health(
        status=status,
        version=version,
        uptime_s=round(uptime_s, 1),
        stream=stream,
        settings=settings,
        reason=reason,
        archive=UNSET if archive is None else archive,
        **figures,
    )


def ready(engine: Watched) -> Ready:
    """Raises NotReady, or JournalFailed where only a restart helps."""
    if engine.failure is not None:
        raise engine.failure
    if not engine.is_ready:
        raise NotReady("Tallymark is recovering or stopping; GET /health says which.")
    return Ready()
