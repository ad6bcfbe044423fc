"""What all questions share: the period asked for, the cells that cover it, rates and rows."""

import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Final, Literal, Protocol, overload

from msgspec import UNSET, Meta, Struct, UnsetType

from engine import timebucket
from engine.config import Config
from engine.errors import Unanswerable
from engine.period import DAYS_DEFAULT, Bucket, Period, parse_period, previous
from engine.period import buckets as cut_in_buckets
from engine.rollups import names
from engine.timebucket import DAY_MS, Calendar, Span

TOP_DEFAULT: Final = 10

Granularity = Literal["hour", "day", "week", "month"]
Text = Annotated[str, Meta(min_length=1, max_length=256)]
Limit = Annotated[int, Meta(ge=1, le=10_000)]


class Known(Protocol):
    """The names that an answer uses: those that events carried, or what stands above them."""

    @overload
    def get(self, key: names.Key, /) -> str | None: ...

    @overload
    def get(self, key: names.Key, default: str, /) -> str: ...


class PeriodAsked(Struct, frozen=True, kw_only=True, rename="camel"):
    """When: the parameters that every metric route takes, as they stand in the query."""

    start_date: (
        Annotated[
            str, Meta(description="ISO date (its whole day) or instant, or epoch milliseconds")
        ]
        | None
    ) = None
    end_date: (
        Annotated[
            str,
            Meta(description="ISO date (included with its whole day) or instant (excluded)"),
        ]
        | None
    ) = None
    timezone: (
        Annotated[str, Meta(description="IANA zone; default: the reporting zone")] | None
    ) = None
    granularity: Granularity | None = None
    compare: Literal["previous"] | None = None


class Range(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was answered, the end excluded; widened to whole hours or days.

    keptSince is there if the range begins earlier: the figures include nothing before it.
    """

    start: str
    end: str
    timezone: str
    kept_since: str | UnsetType = UNSET


class DistinctAccuracy(Struct, frozen=True, kw_only=True, rename="camel"):
    """How exact a distinct count is: relativeError holds with the probability `level`."""

    exact: bool
    relative_error: float
    level: float


@dataclass(frozen=True, slots=True)
class Frame:
    """What a question is asked against: the reporting zone's cells, the limits, and now."""

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

    @property
    def oldest_day(self) -> int:
        """The oldest day cell that is kept."""
        return self.today - self.config.keep_days

    def span(self, start_ms: int, end_ms: int) -> Span:
        """The cells that cover [start_ms, end_ms); Unanswerable where none do exactly.

        There are no cells older than the days that are kept, so there may be none at all.
        """
        oldest_ms = self.calendar.day_start_ms(self.oldest_day)
        if end_ms <= oldest_ms:
            return Span((), ())
        return self.calendar.span(max(start_ms, oldest_ms), end_ms, hours_from=self.hours_from)

    def must_keep_before(self, first_day: int) -> None:
        """Refuse to compare with a period that begins before the days that are kept.

        What is left of it would look like less, and not like part of it.
        """
        if first_day < self.oldest_day:
            begins, oldest = map(self.calendar.iso_day, (first_day, self.oldest_day))
            raise Unanswerable(
                f"compare: the period before begins on {begins}, and days are kept since "
                f"{oldest} only. Ask for a shorter or later range, or without compare."
            )


@dataclass(frozen=True, slots=True)
class Plan:
    """A period, cut as it was asked.

    range           as answers show it
    buckets, spans  the steps of the series and the cells of each; empty without granularity
    before          the period before, without series; None where no comparison was asked for
    """

    period: Period
    span: Span
    range: Range
    buckets: tuple[Bucket, ...] = ()
    spans: tuple[Span, ...] = ()
    before: "Plan | None" = None


def plan(asked: PeriodAsked, frame: Frame) -> Plan:
    """Cut what was asked into cells. Raises InvalidQuestion or Unanswerable."""
    period = effective(asked, frame, default_days=DAYS_DEFAULT)
    span = frame.span(period.start_ms, period.end_ms)
    before = None if asked.compare is None else _before(period, frame)
    buckets: tuple[Bucket, ...] = ()
    if asked.granularity is not None:
        buckets = tuple(cut_in_buckets(period, asked.granularity))
    return Plan(
        period=period,
        span=span,
        range=range_of(period, frame),
        buckets=buckets,
        spans=tuple(frame.span(b.start_ms, b.end_ms) for b in buckets),
        before=before,
    )


def _before(period: Period, frame: Frame) -> Plan:
    earlier = previous(period)
    frame.must_keep_before(frame.calendar.day_of(earlier.start_ms))
    try:
        span = frame.span(earlier.start_ms, earlier.end_ms)
    except Unanswerable as refusal:  # of a range that whoever asks has not named
        told = f"compare: the period before cannot be answered. {refusal}"
        raise Unanswerable(told) from None
    return Plan(earlier, span, range_of(earlier, frame))


def effective(asked: PeriodAsked, frame: Frame, *, default_days: int) -> Period:
    """The period asked for, widened to the hours of the reporting zone."""
    return parse_period(
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
    timebucket.zone_info(asked.timezone)
    return asked.timezone


def range_of(period: Period, frame: Frame) -> Range:
    """A period as answers show it."""
    return shown(period.start_ms, period.end_ms, period.zone, frame)


def shown(start_ms: int, end_ms: int, zone: str, frame: Frame) -> Range:
    """[start_ms, end_ms) as answers show it."""
    oldest_ms = frame.calendar.day_start_ms(frame.oldest_day)
    return Range(
        start=timebucket.iso(start_ms, zone),
        end=timebucket.iso(end_ms, zone),
        timezone=zone,
        kept_since=timebucket.iso(oldest_ms, zone) if start_ms < oldest_ms else UNSET,
    )


def starts(plan: Plan) -> list[str]:
    """When each step of the series begins."""
    return [timebucket.iso(bucket.start_ms, plan.period.zone) for bucket in plan.buckets]


def percent(part: int, whole: int) -> float | None:
    """Percent of a whole, null where there is none."""
    return 100 * part / whole if whole else None


def monday(day: dt.date) -> dt.date:
    """The Monday of a date's week."""
    return day - dt.timedelta(days=day.weekday())
