"""Users: from the question to who came, who came back, who left, and how long they stayed."""

import dataclasses
import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from engine import timebucket
from engine.answers.common import (
    DistinctAccuracy,
    Frame,
    PeriodAsked,
    Range,
    monday,
    shown,
)
from engine.cardinality import UserSketch
from engine.errors import InvalidQuestion, Unanswerable
from engine.period import Period, parse_period
from engine.period import buckets as cut_in_buckets
from engine.rollups.users import CURVE_DAYS, Cohort, Image, Question
from engine.timebucket import Calendar, Span
from engine.userdays import Distinct

MONTH_DAYS: Final = 30
TABLE_DAYS: Final = (1, 2, 3, 4, 5, 6, 7, 14, 21, 30)
"""Columns of the cohort table."""


class Asked(PeriodAsked, frozen=True, kw_only=True, rename="camel"):
    """The parameters of GET /metrics/users."""

    cohorts: Literal["week"] | None = None


class Retention(Struct, frozen=True, kw_only=True):
    """Percent of the users new in the range active on day N after; null without any."""

    day1: float | None
    day7: float | None
    day30: float | None


class CurvePoint(Struct, frozen=True, kw_only=True):
    """Retention on one day; `users` is how many have reached it."""

    day: int
    percent: float | None
    users: int


class CohortDay(Struct, frozen=True, kw_only=True):
    """One cell of the cohort table; complete: all of the cohort have reached that day."""

    day: int
    percent: float | None
    complete: bool


class CohortRow(Struct, frozen=True, kw_only=True):
    """The users whose first day lies in one week, which begins on that Monday."""

    week: str
    users: int
    days: list[CohortDay]


class RetentionAccuracy(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether all users are known, or a sample of this rate; standard errors in percent."""

    exact: bool
    sample_rate: float
    standard_error: dict[str, float]


class SampleAccuracy(Struct, frozen=True, kw_only=True, rename="camel"):
    """Whether all users are known; the standard error of a figure of a sample, in its unit."""

    exact: bool
    standard_error: float


class Accuracy(Struct, frozen=True, kw_only=True, rename="camel"):
    """How exact each figure is; newUsers in users, churnRate in percent."""

    dau: DistinctAccuracy
    mau: DistinctAccuracy
    avg_dau: DistinctAccuracy
    new_users: SampleAccuracy
    retention: RetentionAccuracy
    churn_rate: SampleAccuracy


class Step(Struct, frozen=True, kw_only=True, rename="camel"):
    """One step of the series: dau and mau as of its last day."""

    start: str
    dau: int
    mau: int
    new_users: int
    sessions: int


class Figures(Struct, frozen=True, kw_only=True, rename="camel"):
    """Users of a range of days; durations in ms, rates in percent."""

    dau: int
    mau: int
    retention: Retention
    avg_session_duration: float | None
    churn_rate: float | None
    avg_dau: float | None
    new_users: int
    sessions: int
    curve: list[CurvePoint]
    period: str
    accuracy: Accuracy
    cohorts: list[CohortRow] | UnsetType = UNSET
    series: list[Step] | UnsetType = UNSET


class Answer(Struct, kw_only=True):
    """GET /metrics/users."""

    data: Figures
    range: Range
    previous: Figures | UnsetType = UNSET


@dataclass(frozen=True, slots=True)
class Days:
    """A range of days of the reporting zone, the last included, and its steps.

    steps  [(first, last)] of the series, clipped to the range
    """

    first: int
    last: int
    label: str
    steps: tuple[tuple[int, int], ...]

    @property
    def every(self) -> range:
        return range(self.first, self.last + 1)

    def before(self, frame: Frame) -> "Days":
        """The range of equal length that ends where this one begins."""
        first, last = 2 * self.first - self.last - 1, self.first - 1
        iso_day = frame.calendar.iso_day
        return Days(first, last, f"{iso_day(first)} to {iso_day(last)}", ())


def days_of(asked: Asked, frame: Frame) -> Days:
    """The days asked for. Raises InvalidQuestion or Unanswerable.

    Instants are widened to their days, for active users are told by days; dates of a zone whose
    days are not those of the reporting zone are refused.
    """
    must_be_by_days(asked)
    calendar = frame.calendar
    zone = calendar.zone if asked.timezone is None else asked.timezone
    period = parse_period(asked.start_date, asked.end_date, zone=zone, now_ms=frame.now_ms)
    if period.is_whole_days:
        for edge_ms in (period.start_ms, period.end_ms):
            if calendar.day_start_ms(calendar.day_of(edge_ms)) != edge_ms:
                raise Unanswerable(
                    f"Users are counted by days of the reporting zone {calendar.zone}, and "
                    f"days of {zone} begin at another time. Choose {calendar.zone} as the time "
                    f"zone, or one whose days begin when those of {calendar.zone} do."
                )
    first, last = calendar.day_of(period.start_ms), calendar.day_of(period.end_ms - 1)
    steps: tuple[tuple[int, int], ...] = ()
    if asked.granularity is not None:
        steps = _steps(period, first, last, asked.granularity, calendar)
    days = Days(first, last, period.label, steps)
    if asked.compare is not None:
        frame.must_keep_before(days.before(frame).first)
    return days


def must_be_by_days(asked: Asked) -> None:
    """Raises InvalidQuestion for a series by hours."""
    if asked.granularity == "hour":
        raise InvalidQuestion(
            "granularity: users are counted by day. Ask for day, week or month."
        )


def _steps(
    period: Period, first: int, last: int, granularity: str, calendar: Calendar
) -> tuple[tuple[int, int], ...]:
    # By days of the reporting zone, whatever zone was asked in: no day is in two steps.
    whole = dataclasses.replace(
        period,
        zone=calendar.zone,
        start_ms=calendar.day_start_ms(first),
        end_ms=calendar.day_end_ms(last),
    )
    return tuple(
        (calendar.day_of(bucket.start_ms), calendar.day_of(bucket.end_ms - 1))
        for bucket in cut_in_buckets(whole, granularity)
    )


def question(days: Days, frame: Frame) -> Question:
    """What to ask of every shard."""
    before = days.before(frame)
    counted = [day for day in days.every if day <= frame.today]
    windows = [(days.last,), _month(days.last), *((day,) for day in counted)]
    for _, last in days.steps:
        windows += [(last,), _month(last)]
    spans = [_span(days.first, days.last), *(_span(*step) for step in days.steps)]
    return Question(
        days=days.every,
        days_before=before.every,
        today=frame.today,
        windows=tuple(windows),
        session_spans=tuple(spans),
    )


def _month(last: int) -> tuple[int, ...]:
    return tuple(range(last - MONTH_DAYS + 1, last + 1))


def _span(first: int, last: int) -> Span:
    return Span(days=tuple(range(first, last + 1)), hours=())


def figures(days: Days, asked: Asked, frame: Frame, images: Sequence[Image]) -> Figures:
    """Merge the shards' images."""
    distinct = [_added(parts) for parts in zip(*(i.distinct for i in images), strict=True)]
    dau, mau, *rest = distinct
    counted = sum(1 for day in days.every if day <= frame.today)
    daily, steps = rest[:counted], rest[counted:]
    cohorts = Cohorts(images)
    curve = [cohorts.point(days.every, n) for n in range(1, CURVE_DAYS + 1)]
    sessions, duration_us = _sessions(images, 0)
    were = sum(image.were_active / image.sample_rate for image in images)
    left = sum(image.left / image.sample_rate for image in images)
    if days.before(frame).first < frame.oldest_day:
        were = 0  # of the period before only a part is known
    return Figures(
        dau=dau.count,
        mau=mau.count,
        retention=Retention(
            day1=curve[0].percent, day7=curve[6].percent, day30=curve[29].percent
        ),
        avg_session_duration=duration_us / (1000 * sessions) if sessions else None,
        churn_rate=100 * left / were if were else None,
        avg_dau=sum(day.count for day in daily) / counted if counted else None,
        new_users=cohorts.users(days.every),
        sessions=sessions,
        curve=curve,
        period=days.label,
        accuracy=Accuracy(
            dau=dau.accuracy,
            mau=mau.accuracy,
            avg_dau=_of_mean(daily),
            new_users=cohorts.accuracy_of_users(days.every),
            retention=cohorts.accuracy(days.every),
            churn_rate=SampleAccuracy(
                exact=cohorts.rate == 1,
                standard_error=_percent_error(left, were, cohorts.rate),
            ),
        ),
        cohorts=_table(days, frame, cohorts) if asked.cohorts else UNSET,
        series=_series(days, frame, images, steps, cohorts) if days.steps else UNSET,
    )


@dataclass(frozen=True, slots=True)
class Counted:
    """Distinct users of all shards, who are different people in each."""

    count: int
    accuracy: DistinctAccuracy


def _added(parts: Sequence[Distinct]) -> Counted:
    counted = sum(part.counted for part in parts)
    sketches = [part.sketch for part in parts if part.sketch is not None]
    if not sketches:
        return Counted(counted, DistinctAccuracy(exact=True, relative_error=0.0, level=1.0))
    estimate = UserSketch.merged(sketches).estimate()
    total = counted + estimate.count
    error = estimate.relative_error * estimate.count / total if total else 0.0
    return Counted(
        total,
        DistinctAccuracy(exact=error == 0.0, relative_error=error, level=estimate.level),
    )


def _of_mean(daily: Sequence[Counted]) -> DistinctAccuracy:
    """How exact the mean is: no further off than its parts are, were they all off one way."""
    total = sum(day.count for day in daily)
    off = sum(day.count * day.accuracy.relative_error for day in daily)
    return DistinctAccuracy(
        exact=not off,
        relative_error=off / total if total else 0.0,
        level=min((day.accuracy.level for day in daily), default=1.0),
    )


def _percent_error(part: float, whole: float, rate: float) -> float:
    """The standard error in percent of the share part/whole, both told from a sample.

    The share goes by Laplace's rule of succession, so that nobody or everybody of a few in the
    sample does not pass for certain.
    """
    found = whole * rate
    if rate == 1 or not found:
        return 0.0
    share = (part * rate + 1) / (found + 2)
    return 100 * math.sqrt(share * (1 - share) * (1 - rate) / found)


class Cohorts:
    """First days and returns of all shards; a shard that samples counts for more."""

    def __init__(self, images: Sequence[Image]) -> None:
        self._shards: list[tuple[float, dict[int, Cohort]]] = [
            (image.sample_rate, image.cohorts) for image in images
        ]
        self.rate = min(rate for rate, _ in self._shards)

    def users(self, days: Sequence[int]) -> int:
        """Users whose first day is one of these."""
        return round(
            sum(
                cohorts[day].users / rate
                for rate, cohorts in self._shards
                for day in days
                if day in cohorts
            )
        )

    def reached(self, days: Sequence[int], n: int) -> tuple[float, float]:
        """(users whose day N is over, those of them who were active on it)."""
        users = returned = 0.0
        for rate, cohorts in self._shards:
            for day in days:
                cohort = cohorts.get(day)
                if cohort is not None and (back := cohort.returned[n - 1]) is not None:
                    users += cohort.users / rate
                    returned += back / rate
        return users, returned

    def point(self, days: Sequence[int], n: int) -> CurvePoint:
        """Retention on day N."""
        users, returned = self.reached(days, n)
        return CurvePoint(
            day=n, percent=100 * returned / users if users else None, users=round(users)
        )

    def accuracy(self, days: Sequence[int]) -> RetentionAccuracy:
        """Exact, or the standard error of a simple random sample for each day that is shown."""
        errors = {}
        if self.rate < 1:
            for n in (1, 7, 30):
                users, returned = self.reached(days, n)
                if users:
                    errors[f"day{n}"] = _percent_error(returned, users, self.rate)
        return RetentionAccuracy(
            exact=self.rate == 1, sample_rate=self.rate, standard_error=errors
        )

    def accuracy_of_users(self, days: Sequence[int]) -> SampleAccuracy:
        """How exact `users` is: each is in its shard's sample by itself."""
        variance = 0.0
        for rate, cohorts in self._shards:
            found = sum(cohorts[day].users for day in days if day in cohorts)
            variance += max(found, 1) * (1 - rate) / rate**2
        return SampleAccuracy(exact=self.rate == 1, standard_error=math.sqrt(variance))


def _sessions(images: Sequence[Image], position: int) -> tuple[int, int]:
    parts = [image.sessions[position] for image in images]
    return sum(part.count for part in parts), sum(part.duration_us for part in parts)


def _table(days: Days, frame: Frame, cohorts: Cohorts) -> list[CohortRow]:
    weeks: dict[dt.date, list[int]] = {}
    for day in days.every:
        if day <= frame.today:
            weeks.setdefault(monday(dt.date.fromordinal(day)), []).append(day)
    return [
        CohortRow(
            week=week.isoformat(),
            users=cohorts.users(of_week),
            days=[_cell(cohorts, of_week, n, frame.today) for n in TABLE_DAYS],
        )
        for week, of_week in weeks.items()
    ]


def _cell(cohorts: Cohorts, days: Sequence[int], n: int, today: int) -> CohortDay:
    users, returned = cohorts.reached(days, n)
    return CohortDay(
        day=n,
        percent=100 * returned / users if users else None,
        complete=days[-1] + n < today,
    )


def _series(
    days: Days,
    frame: Frame,
    images: Sequence[Image],
    distinct: Sequence[Counted],
    cohorts: Cohorts,
) -> list[Step]:
    zone = frame.calendar.zone
    return [
        Step(
            start=timebucket.iso(frame.calendar.day_start_ms(first), zone),
            dau=distinct[2 * i].count,
            mau=distinct[2 * i + 1].count,
            new_users=cohorts.users(range(first, last + 1)),
            sessions=_sessions(images, i + 1)[0],
        )
        for i, (first, last) in enumerate(days.steps)
    ]


def range_of_days(days: Days, frame: Frame) -> Range:
    """The range that is answered, as answers show it."""
    calendar = frame.calendar
    start_ms, end_ms = calendar.day_start_ms(days.first), calendar.day_end_ms(days.last)
    return shown(start_ms, end_ms, calendar.zone, frame)
