"""What all questions share: the period asked for, the cells that cover it, rates and rows."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from engine import timebucket
from engine.config import Config
from engine.errors import InvalidQuestion
from engine.timebucket import DAY_MS, HOUR_MS, Bucket, Calendar, Period, Span

TOP_DEFAULT: Final = 10

Granularity = Literal["hour", "day", "week", "month"]
Text = Annotated[str, Meta(min_length=1, max_length=256)]
Limit = Annotated[int, Meta(ge=1, le=10_000)]


class PeriodAsked(Struct, frozen=True, kw_only=True, rename="camel"):
    """When: the parameters that every metric route takes, as they stand in the query."""

    start_date: (
        Annotated[
            str, Meta(description="ISO date (its whole day) or instant, or epoch milliseconds")
        ]
        | None
    ) = None
    end_date: (
        Annotated[str, Meta(description="ISO date (included whole) or instant (left out)")]
        | None
    ) = None
    timezone: (
        Annotated[str, Meta(description="IANA zone; default: the reporting zone")] | None
    ) = None
    granularity: Granularity | None = None
    compare: Literal["previous"] | None = None


class Range(Struct, frozen=True, kw_only=True):
    """What is answered: instants, the end left out, widened to whole hours or days."""

    start: str
    end: str
    timezone: str


class DistinctAccuracy(Struct, frozen=True, kw_only=True, rename="camel"):
    """How exact a distinct count is: relativeError holds with the probability `level`."""

    exact: bool
    relative_error: float
    level: float


@dataclass(frozen=True, slots=True)
class Frame:
    """What a question is seen from: the reporting zone's cells, the limits, and now."""

    calendar: Calendar
    config: Config
    now_ms: int

    @property
    def hours_from(self) -> int:
        """The oldest hour cell that is kept; what expires does so by times that are past."""
        return self.calendar.cut(self.now_ms - self.config.keep_hours_days * DAY_MS)[0]

    @property
    def today(self) -> int:
        """Today's day cell."""
        return self.calendar.cut(self.now_ms)[1]

    def span(self, start_ms: int, end_ms: int) -> Span:
        """The cells that cover [start_ms, end_ms); Unanswerable where none do exactly."""
        oldest_ms = self.calendar.day_start_ms(self.today - self.config.keep_days)
        start_ms = max(start_ms, min(oldest_ms, end_ms - HOUR_MS))
        return self.calendar.span(start_ms, end_ms, hours_from=self.hours_from)


@dataclass(frozen=True, slots=True)
class Plan:
    """A period, cut as it was asked.

    buckets, spans  the steps of the series and the cells of each; empty without granularity
    before          the period before, without series; None where no comparison was asked for
    """

    period: Period
    span: Span
    buckets: tuple[Bucket, ...] = ()
    spans: tuple[Span, ...] = ()
    before: "Plan | None" = None

    @property
    def range(self) -> Range:
        return range_of(self.period)


def plan(asked: PeriodAsked, frame: Frame, *, default_days: int = 7) -> Plan:
    """Cut what was asked into cells. Raises InvalidQuestion or Unanswerable."""
    period = effective(asked, frame, default_days=default_days)
    before = None
    if asked.compare is not None:
        earlier = timebucket.previous(period)
        before = Plan(earlier, frame.span(earlier.start_ms, earlier.end_ms))
    buckets: tuple[Bucket, ...] = ()
    if asked.granularity is not None:
        buckets = tuple(timebucket.buckets(period, asked.granularity))
    return Plan(
        period=period,
        span=frame.span(period.start_ms, period.end_ms),
        buckets=buckets,
        spans=tuple(frame.span(b.start_ms, b.end_ms) for b in buckets),
        before=before,
    )


def effective(asked: PeriodAsked, frame: Frame, *, default_days: int) -> Period:
    """The period asked for, widened to the hours of the reporting zone."""
    return timebucket.parse_period(
        asked.start_date,
        asked.end_date,
        zone=zone_of(asked, frame),
        now_ms=frame.now_ms,
        default_days=default_days,
    ).effective(frame.calendar, now_ms=frame.now_ms)


def zone_of(asked: PeriodAsked, frame: Frame) -> str:
    """The zone that a question is asked in: by default the reporting zone."""
    if asked.timezone is None:
        return frame.calendar.zone
    if not timebucket.is_zone(asked.timezone):
        raise InvalidQuestion(
            f"timezone: {asked.timezone[:64]!a} is no IANA time zone, such as Europe/Berlin."
        )
    return asked.timezone


def range_of(period: Period) -> Range:
    """A period as answers show it."""
    return Range(
        start=timebucket.iso(period.start_ms, period.zone),
        end=timebucket.iso(period.end_ms, period.zone),
        timezone=period.zone,
    )


def starts(plan: Plan) -> list[str]:
    """When each step of the series begins."""
    return [timebucket.iso(bucket.start_ms, plan.period.zone) for bucket in plan.buckets]


def percent(part: int, whole: int) -> float | None:
    """Percent of a whole, null where there is none."""
    return 100 * part / whole if whole else None


def one_filter(**filters: str | None) -> None:
    """Refuse more than one filter: rollups keep sums by one key each, not by their products."""
    given = [name for name, value in filters.items() if value is not None]
    if len(given) > 1:
        raise InvalidQuestion(
            f"{' and '.join(given)}: figures are kept by one of them at a time. Give one."
        )


def monday(day: dt.date) -> dt.date:
    """The Monday of a date's week."""
    return day - dt.timedelta(days=day.weekday())
