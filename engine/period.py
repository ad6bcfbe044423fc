"""The stretches of time that people ask for: periods, and the steps of a series."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final, Self

from engine.errors import InvalidQuestion
from engine.timebucket import QUARTER_MS, Calendar, epoch_ms, iso, quoted, zone_info

DAYS_DEFAULT: Final = 7
"""Days of a question without startDate."""
RANGE_DAYS_MAX: Final = 401
"""Local days in one question: the 400 that rollups keep, and today."""
BUCKETS_MAX: Final = 10_000
YEAR_FIRST: Final = 1980
YEAR_LAST: Final = 2199


@dataclass(frozen=True, slots=True)
class Period:
    """A stretch of time somebody asks for: [start_ms, end_ms), seen from one zone.

    first, last            local dates of the first and the last instant asked for
    from_date, to_date     the calendar dates of the two parameters as they were given
    start_is_instant       the start was given as an instant, which may be widened to its hour
    is_whole_days          it was asked from the beginning of `first` to the end of `last`
    """

    start_ms: int
    end_ms: int
    zone: str
    first: date
    last: date
    from_date: date
    to_date: date
    start_is_instant: bool
    is_whole_days: bool

    @property
    def label(self) -> str:
        """As answers show it: `2025-10-01 to 2025-10-03`."""
        return f"{self.from_date} to {self.to_date}"

    def effective(self, calendar: Calendar, *, now_ms: int) -> Self:
        """What is answered: an instant widened to the hours of the reporting calendar.

        A start given as an instant goes back to the beginning of its hour; an end in the
        running hour or later goes on to the end of its hour, where nothing is yet. All else
        stays, for `span` to take or refuse: a date is never widened in silence.
        """
        start_ms, end_ms = self.start_ms, self.end_ms
        if self.start_is_instant:
            start_ms = calendar.hour_start_ms(calendar.cut(start_ms)[0])
        if end_ms > calendar.hour_start_ms(calendar.cut(now_ms)[0]):
            end_ms = calendar.hour_end_ms((end_ms - 1) // QUARTER_MS)
        return replace(self, start_ms=start_ms, end_ms=end_ms)


@dataclass(frozen=True, slots=True)
class _Edge:
    """One parameter as given: a date stands for [start_ms, end_ms), an instant for a point."""

    start_ms: int
    end_ms: int
    named: date
    is_date: bool


_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_INSTANT = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?)(Z|[+\- ]\d\d:?\d\d)?",
    re.ASCII | re.IGNORECASE,
)
_EPOCH_MS = re.compile(r"\d{12,13}", re.ASCII)


def parse_period(
    start: str | None,
    end: str | None,
    *,
    zone: str,
    now_ms: int,
    default_days: int = DAYS_DEFAULT,
) -> Period:
    """The period of the parameters startDate and endDate, each absent (None) or as given.

    A bare date covers its whole day in `zone`, an instant without offset is read in `zone`. An
    absent end is the end of today, an absent start makes it `default_days` days.
    Raises InvalidQuestion naming the parameter and what is accepted.
    """
    calendar = Calendar(zone)
    upto = _day_edge(calendar, calendar.day_of(now_ms))
    if end is not None:
        upto = _edge("endDate", end, calendar)
    if start is not None:
        since = _edge("startDate", start, calendar)
    else:
        since = _day_edge(calendar, calendar.day_of(upto.end_ms - 1) - default_days + 1)
    if upto.end_ms <= since.start_ms:
        raise InvalidQuestion(_upside_down(since, upto, end, zone))
    period = _period(calendar, since, upto)
    days = (period.last - period.first).days + 1
    if days > RANGE_DAYS_MAX:
        raise InvalidQuestion(
            f"startDate: the range {period.label} covers {days} days, and at most "
            f"{RANGE_DAYS_MAX} are accepted. Give a later startDate or an earlier endDate."
        )
    return period


def _upside_down(since: _Edge, upto: _Edge, end: str | None, zone: str) -> str:
    begins = iso(since.start_ms, zone)
    if end is None:
        return f"startDate: the range would begin at {begins}, after today. Give endDate too."
    return (
        f"endDate: the range would end at {iso(upto.end_ms, zone)}, not after its beginning at "
        f"{begins}. Accepted is an endDate after startDate, or the same date."
    )


def _period(calendar: Calendar, since: _Edge, upto: _Edge) -> Period:
    first = calendar.day_of(since.start_ms)
    last = calendar.day_of(upto.end_ms - 1)
    return Period(
        start_ms=since.start_ms,
        end_ms=upto.end_ms,
        zone=calendar.zone,
        first=date.fromordinal(first),
        last=date.fromordinal(last),
        from_date=since.named,
        to_date=upto.named,
        start_is_instant=not since.is_date,
        is_whole_days=calendar.day_start_ms(first) == since.start_ms
        and calendar.day_end_ms(last) == upto.end_ms,
    )


def must_be_time(parameter: str, text: str, zone: str) -> None:
    """Raises InvalidQuestion, as `parse_period` does, for what is no date and no instant."""
    _edge(parameter, text, Calendar(zone))


def _edge(parameter: str, text: str, calendar: Calendar) -> _Edge:
    try:
        if _DATE.fullmatch(text):
            edge = _day_edge(calendar, _checked(date.fromisoformat(text)).toordinal())
        else:
            edge = _instant_edge(text, calendar)
    except ValueError as error:
        raise InvalidQuestion(
            f"{parameter}: {quoted(text)} is not a date from {YEAR_FIRST} to {YEAR_LAST}. "
            f"Accepted is a date (2025-10-01), an instant (2025-10-01T12:00:00Z, or without "
            f"offset in the zone of the question), or epoch milliseconds (1759320000000)."
        ) from error
    return edge


def _day_edge(calendar: Calendar, day: int) -> _Edge:
    start_ms, end_ms = calendar.day_start_ms(day), calendar.day_end_ms(day)
    return _Edge(start_ms, end_ms, date.fromordinal(day), is_date=True)


def _instant_edge(text: str, calendar: Calendar) -> _Edge:
    rules = zone_info(calendar.zone)
    if _EPOCH_MS.fullmatch(text):
        at_ms = int(text)
        named = datetime.fromtimestamp(at_ms // 1000, rules).date()
    else:
        match = _INSTANT.fullmatch(text)
        if match is None:
            raise ValueError(text)
        # An unescaped + of a query string arrives as a space, and nothing else can be meant.
        offset = (match[2] or "").replace(" ", "+")
        given = datetime.fromisoformat((match[1] + offset).upper())
        named = given.date()
        _checked(named)
        at_ms = epoch_ms(given if given.tzinfo else given.replace(tzinfo=rules))
    _checked(named)
    return _Edge(at_ms, at_ms, named, is_date=False)


def _checked(named: date) -> date:
    """The date, if its year is one we can cut. Raises ValueError."""
    if not YEAR_FIRST <= named.year <= YEAR_LAST:
        raise ValueError(named)
    return named


def previous(period: Period) -> Period:
    """The period of equal length that ends where this one begins.

    Whole days go back by as many calendar days, whatever their hours; all else by its length.
    Give it the effective period, so that both have full hours.
    """
    calendar = Calendar(period.zone)
    day_first = period.first.toordinal()
    days = period.last.toordinal() - day_first + 1
    if period.is_whole_days:
        back = timedelta(days=days)
        return replace(
            period,
            start_ms=calendar.day_start_ms(day_first - days),
            end_ms=calendar.day_start_ms(day_first),
            first=period.first - back,
            last=period.last - back,
            from_date=period.from_date - back,
            to_date=period.to_date - back,
        )
    start_ms = period.start_ms - (period.end_ms - period.start_ms)
    since, upto = (
        _Edge(ms, ms, date.fromordinal(calendar.day_of(ms)), is_date=False)
        for ms in (start_ms, period.start_ms)
    )
    return _period(calendar, since, upto)


@dataclass(frozen=True, slots=True)
class Bucket:
    """One step of a series, [start_ms, end_ms)."""

    start_ms: int
    end_ms: int


def _next_hour_ms(calendar: Calendar, at_ms: int) -> int:
    return calendar.hour_end_ms(at_ms // QUARTER_MS)


def _next_day_ms(calendar: Calendar, at_ms: int) -> int:
    return calendar.day_end_ms(calendar.day_of(at_ms))


def _next_week_ms(calendar: Calendar, at_ms: int) -> int:
    day = calendar.day_of(at_ms)
    return calendar.day_start_ms(day + 7 - (day - 1) % 7)  # day 1, 0001-01-01, is a Monday


def _next_month_ms(calendar: Calendar, at_ms: int) -> int:
    first = date.fromordinal(calendar.day_of(at_ms)).replace(day=1)
    return calendar.day_start_ms((first + timedelta(days=32)).replace(day=1).toordinal())


_NEXT_BORDER: Final[dict[str, Callable[[Calendar, int], int]]] = {
    "hour": _next_hour_ms,
    "day": _next_day_ms,
    "week": _next_week_ms,
    "month": _next_month_ms,
}


def buckets(period: Period, granularity: str, *, count_max: int = BUCKETS_MAX) -> list[Bucket]:
    """The period cut at the hours, days, weeks (from Monday) or months of its own zone.

    The first and the last are clipped to the period, so that together they are the period.
    Raises InvalidQuestion for another granularity, or for more than `count_max` of them.
    """
    next_border_ms = _NEXT_BORDER.get(granularity)
    if next_border_ms is None:
        raise InvalidQuestion(
            f"granularity: {quoted(granularity)} is not known. "
            f"Accepted are {', '.join(_NEXT_BORDER)}."
        )
    calendar = Calendar(period.zone)  # its own, so that no question fills a lasting memory
    cut: list[Bucket] = []
    at_ms = period.start_ms
    while at_ms < period.end_ms:
        if len(cut) == count_max:
            raise InvalidQuestion(
                f"granularity: by {granularity} the range {period.label} has more than "
                f"{count_max} rows. Take a coarser granularity or a shorter range."
            )
        end_ms = min(next_border_ms(calendar, at_ms), period.end_ms)
        cut.append(Bucket(at_ms, end_ms))
        at_ms = end_ms
    return cut
