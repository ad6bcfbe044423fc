"""What the service says about itself: whether it lives, is ready, and how it is doing."""

from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal, Protocol

from msgspec import UNSET, Struct, UnsetType, structs

from engine.actors import health as engine_health
from engine.actors.health import JournalHealth, QueueHealth, SnapshotHealth
from engine.actors.measures import Measures
from engine.config import Config
from engine.errors import JournalFailed, NotReady
from web.archiving import ArchiveHealth

Status = Literal["ok", "recovering", "stopping", "failed"]


class StreamHealth(Struct, frozen=True, kw_only=True):
    """Subscribers of the live stream, and how many there may be."""

    subscribers: int
    limit: int


class ToldSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    """The settings that are needed to show figures; no secret, and no path."""

    timezone: str
    reporting_currency: str
    keep_hours_days: int
    load_runs: bool
    keys: bool


class Health(Struct, frozen=True, kw_only=True, rename="camel"):
    """GET /health; the figures of the engine are there once it is.

    If there are keys, whoever has none that may read is told only the status.

    `failed`: no event is taken until a restart, questions are answered; `reason` says why.
    """

    status: Status
    version: str | UnsetType = UNSET
    uptime_s: float | UnsetType = UNSET
    stream: StreamHealth | UnsetType = UNSET
    settings: ToldSettings | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    events_per_second: float | UnsetType = UNSET
    events: int | UnsetType = UNSET
    duplicates: int | UnsetType = UNSET
    queue: QueueHealth | UnsetType = UNSET
    journal: JournalHealth | UnsetType = UNSET
    snapshot: SnapshotHealth | UnsetType = UNSET
    over_cap: dict[str, int] | UnsetType = UNSET
    archive: ArchiveHealth | UnsetType = UNSET


class Ready(Struct, frozen=True, kw_only=True, rename="camel"):
    """GET /ready, where it is 200; `memoryBytes` says what each part of the state occupies.

    If there are keys, whoever has none that may read is told only that it is ready.
    """

    ready: Literal[True] = True
    memory_bytes: dict[str, int] | UnsetType = UNSET


class Watched(Protocol):
    """What is asked of the engine; `health` raises NotReady before there is one."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def failure(self) -> JournalFailed | None: ...

    def health(self) -> engine_health.Health: ...

    def measures(self) -> Measures: ...

    def archive_health(self) -> ArchiveHealth | None: ...


def running_version() -> str:
    """The version of the installed package; "source" where it runs without being installed."""
    try:
        return version("tallymark")
    except PackageNotFoundError:
        return "source"


def told(config: Config, *, keys: bool) -> ToldSettings:
    """The settings that a reader may know.

    keys  whether the service asks for keys
    """
    return ToldSettings(
        timezone=config.timezone,
        reporting_currency=config.reporting_currency,
        keep_hours_days=config.keep_hours_days,
        load_runs=config.load_hooks,
        keys=keys,
    )


def health_of(
    engine: Watched,
    *,
    version: str,
    uptime_s: float,
    stream: StreamHealth,
    settings: ToldSettings,
) -> Health:
    """How it is doing, whatever the state."""
    figures: Mapping[str, Any] = {}
    with suppress(NotReady):
        figures = structs.asdict(engine.health())
    status, reason = _status(engine)
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


def terse(engine: Watched) -> Health:
    """That it lives, for whoever may not know more."""
    status, _ = _status(engine)
    return Health(status=status)


def _status(engine: Watched) -> tuple[Status, str | UnsetType]:
    """What it is doing, and why where it is not what it should."""
    try:
        engine.health()
    except NotReady as not_yet:
        return "recovering", str(not_yet)
    if engine.failure is not None:
        return "failed", str(engine.failure)
    return ("ok" if engine.is_ready else "stopping"), UNSET


def ready(engine: Watched, *, is_terse: bool) -> Ready:
    """Raises NotReady, or JournalFailed where only a restart helps.

    is_terse  without the reason, which may name files, and without figures
    """
    if engine.failure is not None:
        raise JournalFailed("The journal has failed.") if is_terse else engine.failure
    if not engine.is_ready:
        raise NotReady("Tallymark is recovering or stopping; GET /health says which.")
    return Ready() if is_terse else Ready(memory_bytes=engine.measures().memory_bytes)
