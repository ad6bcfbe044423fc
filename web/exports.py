"""Questions for exports: which figures or events, in which format, in which file."""

from typing import Final, Literal, NamedTuple

import msgspec
from msgspec import Struct

from engine.answers.common import PeriodAsked, Text
from engine.answers.families import FAMILIES
from engine.config import Config
from engine.period import Period, parse_period
from engine.timebucket import zone_info
from persistence.tabular import MEDIA, Format, TextFormat
from web import wire
from web.exporting import EventsWanted
from web.wire import Reply

EventType = Literal[
    "service_execution",
    "revenue_transaction",
    "marketplace_search",
    "marketplace_view",
    "marketplace_conversion",
    "experiment_view",
    "experiment_conversion",
    "user_session",
]


class EventsChosen(Struct, frozen=True, kw_only=True, rename="camel"):
    """Which events an export has, and how."""

    format: Format = "csv"
    start_date: str | None = None
    end_date: str | None = None
    timezone: str | None = None
    event_type: EventType | None = None
    service_id: Text | None = None
    user_id: Text | None = None


class EventsAsked(EventsChosen, frozen=True, kw_only=True, rename="camel"):
    """The parameters of GET /export/events."""

    fresh: Literal["0", "1"] = "0"


def _with_format(family: str, asked: type[PeriodAsked]) -> type[Struct]:
    return msgspec.defstruct(
        f"{family.capitalize()}ExportAsked",
        [("format", TextFormat, "csv")],
        bases=(asked,),
        frozen=True,
        kw_only=True,
        rename="camel",
    )


ASKED: Final = {family: _with_format(family, asked) for family, (asked, _) in FAMILIES.items()}
"""{family: its parameters and the format}"""


class Events(NamedTuple):
    """An export of events that was asked for, and the name of its file."""

    wanted: EventsWanted
    file_name: str


def events(asked: EventsChosen, config: Config, *, fresh: bool, now_ms: int) -> Events:
    """Which events are asked for, to the millisecond. Raises InvalidQuestion."""
    period = period_of(asked, config, now_ms=now_ms)
    wanted = EventsWanted(
        format=asked.format,
        start_ms=period.start_ms,
        end_ms=period.end_ms,
        event_type=asked.event_type,
        service=asked.service_id,
        user=asked.user_id,
        fresh=fresh,
    )
    return Events(wanted, file_name("events", period.label, asked.format))


def period_of(asked: EventsChosen | PeriodAsked, config: Config, *, now_ms: int) -> Period:
    """The period that is asked for. Raises InvalidQuestion."""
    zone = config.timezone if asked.timezone is None else asked.timezone
    zone_info(zone)
    return parse_period(asked.start_date, asked.end_date, zone=zone, now_ms=now_ms)


def file_name(what: str, period: str | None, format_: Format) -> str:
    """`services_2025-10-01_2025-10-03.csv`"""
    dates = "" if period is None else "_" + period.replace(" to ", "_")
    return f"{what}{dates}.{format_}"


def as_file(content: bytes, name: str, format_: Format) -> Reply:
    """An answer that a browser keeps as a file."""
    reply = wire.sent(content, media=MEDIA[format_])
    disposition = ("Content-Disposition", f'attachment; filename="{name}"')
    return reply._replace(headers=(*reply.headers, disposition))
