"""Laws of time: cells partition it in awkward zones, spans and buckets cover what was asked."""

from datetime import UTC, date, datetime, timedelta
from itertools import compress, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.period import Period, buckets, parse_period, previous
from engine.timebucket import (
    DAY_MS,
    HOUR_MS,
    QUARTER_MS,
    Calendar,
    Span,
    add_interval,
    zone_info,
)

ZONES = [
    "UTC",
    "America/New_York",
    "Australia/Lord_Howe",  # shifts by half an hour
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/Havana",  # midnight is skipped in spring and comes twice in autumn
    "Asia/Beirut",  # autumn goes back over midnight
    "Africa/Casablanca",  # four changes a year are possible
    "Pacific/Apia",  # left out 2011-12-30
    "America/Nuuk",
    "America/St_Johns",  # changed one minute after midnight until 2011
]
CALENDARS = {zone: Calendar(zone) for zone in ZONES}
START_MS = 1_230_768_000_000  # 2009-01-01
END_MS = 1_893_456_000_000  # 2030-01-01
NOW_MS = 1_794_000_000_000  # 2026-11-06

zones = st.sampled_from(ZONES)
anywhen_ms = st.integers(START_MS, END_MS)


def changes_of(zone: str) -> list[int]:
    """Every quarter hour in 2009 to 2029 before which the offset of the zone was another."""
    rules = zone_info(zone)
    found = []
    for day_ms in range(START_MS, END_MS, DAY_MS):
        if offset_of(rules, day_ms) != offset_of(rules, day_ms + DAY_MS):
            quarters = range(day_ms, day_ms + DAY_MS + QUARTER_MS, QUARTER_MS)
            offsets = [offset_of(rules, quarter_ms) for quarter_ms in quarters]
            changed = [this != following for this, following in pairwise(offsets)]
            found += list(compress(quarters[1:], changed))
    return found


def offset_of(rules, at_ms: int) -> timedelta:
    return datetime.fromtimestamp(at_ms / 1000, rules).utcoffset()


CHANGES = [(zone, at_ms) for zone in ZONES for at_ms in changes_of(zone)]
near_changes = st.builds(
    lambda change, around_ms: (change[0], change[1] + around_ms),
    st.sampled_from(CHANGES),
    st.integers(-2 * DAY_MS, 2 * DAY_MS),
)
zoned_instants = st.one_of(st.tuples(zones, anywhen_ms), near_changes)


def slow_cut(zone: str, at_ms: int) -> tuple[int, int]:
    """By the definition: walk back while the wall clock shows the same hour and offset.

    For zones and years in which days never go back over midnight.
    """
    rules = zone_info(zone)

    def seen(quarter: int) -> tuple[object, ...]:
        local = datetime.fromtimestamp(quarter * 900, UTC).astimezone(rules)
        return local.utcoffset(), local.date(), local.hour

    hour = at_ms // QUARTER_MS
    while seen(hour - 1) == seen(hour):
        hour -= 1
    local = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(rules)
    return hour, local.date().toordinal()


@given(zoned_instants)
def test_cut_agrees_with_its_definition_in_any_order_of_asking(where: tuple[str, int]) -> None:
    zone, at_ms = where
    if zone == "America/St_Johns" and at_ms < 1_325_376_000_000:
        at_ms += 1_325_376_000_000 - START_MS  # 2012 and later
    assert CALENDARS[zone].cut(at_ms) == slow_cut(zone, at_ms)
    assert Calendar(zone).cut(at_ms) == slow_cut(zone, at_ms)


@given(zoned_instants)
def test_an_instant_lies_in_one_hour_and_that_hour_in_one_day(
    where: tuple[str, int],
) -> None:
    zone, at_ms = where
    calendar = CALENDARS[zone]
    hour, day = calendar.cut(at_ms)
    start_ms, end_ms = calendar.hour_start_ms(hour), calendar.hour_end_ms(hour)
    assert start_ms <= at_ms < end_ms <= start_ms + HOUR_MS
    assert calendar.day_start_ms(day) <= start_ms
    assert end_ms <= calendar.day_end_ms(day)
    assert calendar.day_end_ms(day) == calendar.day_start_ms(day + 1)
    assert calendar.cut(start_ms) == calendar.cut(end_ms - 1) == (hour, day)
    assert calendar.cut(end_ms)[0] == end_ms // QUARTER_MS


@pytest.mark.parametrize("zone", ZONES)
def test_days_never_go_back_around_any_change_of_offset(zone: str) -> None:
    calendar = CALENDARS[zone]
    for at_ms in [at_ms for where, at_ms in CHANGES if where == zone]:
        around = range(at_ms - 8 * HOUR_MS, at_ms + 8 * HOUR_MS, QUARTER_MS)
        days = [calendar.day_of(quarter_ms) for quarter_ms in around]
        assert days == sorted(days)
        for quarter_ms, day in zip(around, days, strict=True):
            assert calendar.day_start_ms(day) <= quarter_ms < calendar.day_end_ms(day)


@pytest.mark.parametrize("zone", ZONES)
def test_hours_follow_one_another_without_gap_around_every_change_of_offset(zone: str) -> None:
    calendar = CALENDARS[zone]
    for at_ms in [at_ms for where, at_ms in CHANGES if where == zone]:
        day = calendar.day_of(at_ms)
        start_ms, end_ms = calendar.day_start_ms(day - 1), calendar.day_end_ms(day + 1)
        hours = calendar.hours_of(start_ms, end_ms)
        assert calendar.hour_start_ms(hours[0]) == start_ms
        assert calendar.hour_end_ms(hours[-1]) == end_ms
        for this, following in pairwise(hours):
            assert calendar.hour_end_ms(this) == calendar.hour_start_ms(following)


@given(zoned_instants)
def test_local_dates_decide_the_day_once_clocks_change_on_quarter_hours(
    where: tuple[str, int],
) -> None:
    zone, at_ms = where
    at_ms = max(at_ms, 1_325_376_000_000)
    local = datetime.fromtimestamp(at_ms // 1000, zone_info(zone))
    assert CALENDARS[zone].iso_day(CALENDARS[zone].day_of(at_ms)) == local.date().isoformat()


def covered(calendar: Calendar, span: Span) -> list[tuple[int, int]]:
    """The stretches of a span's cells, in order, joined where they touch."""
    cells = [(calendar.day_start_ms(day), calendar.day_end_ms(day)) for day in span.days]
    cells += [(calendar.hour_start_ms(hour), calendar.hour_end_ms(hour)) for hour in span.hours]
    joined: list[tuple[int, int]] = []
    for start_ms, end_ms in sorted(cells):
        assert not joined or start_ms >= joined[-1][1], "cells overlap"
        if joined and start_ms == joined[-1][1]:
            joined[-1] = (joined[-1][0], end_ms)
        else:
            joined.append((start_ms, end_ms))
    return joined


@given(zoned_instants, st.integers(0, 40 * DAY_MS))
def test_a_span_covers_its_stretch_without_gap_or_overlap(
    where: tuple[str, int], length_ms: int
) -> None:
    zone, at_ms = where
    calendar = CALENDARS[zone]
    start_ms = calendar.hour_start_ms(calendar.cut(at_ms)[0])
    end_ms = calendar.hour_end_ms(calendar.cut(at_ms + length_ms)[0])
    span = calendar.span(start_ms, end_ms, hours_from=0)
    assert covered(calendar, span) == [(start_ms, end_ms)]
    assert len(span.hours) <= 2 * 26


def period_of(zone: str, at_ms: int, length_ms: int) -> Period:
    return parse_period(str(at_ms), str(at_ms + length_ms), zone=zone, now_ms=NOW_MS)


@settings(max_examples=60)
@given(
    zoned_instants,
    st.integers(1, 60 * DAY_MS),
    st.sampled_from(["hour", "day", "week", "month"]),
)
def test_buckets_partition_the_period_and_break_only_at_borders(
    where: tuple[str, int], length_ms: int, granularity: str
) -> None:
    zone, at_ms = where
    period = period_of(zone, at_ms, length_ms)
    cut = buckets(period, granularity)
    assert cut[0].start_ms == period.start_ms
    assert cut[-1].end_ms == period.end_ms
    assert all(this.end_ms == following.start_ms for this, following in pairwise(cut))
    assert all(bucket.start_ms < bucket.end_ms for bucket in cut)
    calendar = CALENDARS[zone]
    for bucket in cut[1:]:
        hour, day = calendar.cut(bucket.start_ms)
        assert calendar.hour_start_ms(hour) == bucket.start_ms
        if granularity != "hour":
            assert calendar.day_start_ms(day) == bucket.start_ms


@given(zones, st.dates(date(2010, 1, 1), date(2029, 1, 1)), st.integers(0, 60))
def test_the_previous_whole_days_are_as_many_and_end_where_the_period_begins(
    zone: str, first: date, more_days: int
) -> None:
    last = first + timedelta(days=more_days)
    period = parse_period(first.isoformat(), last.isoformat(), zone=zone, now_ms=NOW_MS)
    if period.first != first or period.last != last:
        return  # a date that the zone left out
    before = previous(period)
    assert before.end_ms == period.start_ms
    assert before.last == first - timedelta(days=1)
    assert before.last - before.first == last - first
    assert before.start_ms == CALENDARS[zone].day_start_ms(before.first.toordinal())


@given(zoned_instants, st.integers(1, 30 * DAY_MS), st.integers(-2 * HOUR_MS, 2 * HOUR_MS))
def test_the_effective_range_holds_the_asked_one_and_its_instants_can_be_spanned(
    where: tuple[str, int], length_ms: int, now_after_end_ms: int
) -> None:
    zone, at_ms = where
    calendar = CALENDARS[zone]
    asked = period_of("UTC", at_ms, length_ms)
    now_ms = asked.end_ms + now_after_end_ms
    answered = asked.effective(calendar, now_ms=now_ms)
    assert answered.start_ms <= asked.start_ms
    assert answered.start_ms > asked.start_ms - HOUR_MS
    assert asked.end_ms <= answered.end_ms < asked.end_ms + HOUR_MS
    if asked.end_ms >= now_ms:
        span = calendar.span(answered.start_ms, answered.end_ms, hours_from=0)
        assert covered(calendar, span) == [(answered.start_ms, answered.end_ms)]


@given(anywhen_ms, st.sampled_from(["day", "week", "month", "year"]), st.integers(1, 400))
def test_intervals_are_about_as_long_as_they_say_and_keep_the_time_of_day(
    at_ms: int, interval, count: int
) -> None:
    later_ms = add_interval(at_ms, interval, count)
    days = (later_ms - at_ms) / DAY_MS
    mean_days = {"day": 1, "week": 7, "month": 365.2425 / 12, "year": 365.2425}[interval]
    assert abs(days - count * mean_days) <= 4
    assert later_ms % DAY_MS == at_ms % DAY_MS
