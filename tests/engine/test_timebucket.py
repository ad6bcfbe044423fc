"""Time in one zone, case by case: DST days, hostile names, what a period says and refuses."""

import re
from datetime import UTC, date, datetime

import pytest

from engine.errors import InvalidQuestion, Unanswerable
from engine.period import BUCKETS_MAX, RANGE_DAYS_MAX, Period, buckets, parse_period, previous
from engine.timebucket import (
    CUTS_MAX,
    DAY_MS,
    FAR_MS,
    HOUR_MS,
    QUARTER_MS,
    Calendar,
    Span,
    add_interval,
    is_zone,
    iso,
)

UTC_DAYS = Calendar("UTC")


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def day(text: str) -> int:
    return date.fromisoformat(text).toordinal()


NOW_MS = ms("2026-11-22T20:41:13Z")


def asked(
    start: str | None, end: str | None, zone: str = "UTC", now_ms: int = NOW_MS
) -> Period:
    return parse_period(start, end, zone=zone, now_ms=now_ms)


def ends(period: Period) -> tuple[str, str]:
    return iso(period.start_ms, period.zone), iso(period.end_ms, period.zone)


def hours_in_day(zone: str, text: str) -> list[int]:
    calendar = Calendar(zone)
    return calendar.hours_of(calendar.day_start_ms(day(text)), calendar.day_end_ms(day(text)))


def lengths_min(zone: str, text: str) -> list[int]:
    calendar = Calendar(zone)
    return [
        (calendar.hour_end_ms(hour) - calendar.hour_start_ms(hour)) // 60_000
        for hour in hours_in_day(zone, text)
    ]


# Zones


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Mars/Base",
        "../../etc/passwd",
        "/etc/passwd",
        "Europe/../UTC",
        "Europe",
        "europe/zurich",
        "UTC ",
        "UTC\0",
        "\0",
        "zones",
        "__init__.py",
        "localtime",
        "A" * 100_000,
        "Zürich\ud800",
        "+02:00",
    ],
)
def test_what_is_not_a_zone_is_refused_by_name_and_never_opened(name: str) -> None:
    assert not is_zone(name)
    with pytest.raises(
        InvalidQuestion, match=r"^timezone: '.*not a zone of the IANA"
    ) as refused:
        Calendar(name)
    assert len(str(refused.value)) < 600
    str(refused.value).encode("ascii")


@pytest.mark.parametrize(
    "name", ["UTC", "Europe/Zurich", "America/Argentina/Ushuaia", "Etc/GMT+5"]
)
def test_every_name_of_the_database_is_a_zone(name: str) -> None:
    assert is_zone(name)
    assert Calendar(name).zone == name


# Cells


def test_an_hour_is_named_by_its_first_quarter_and_a_day_by_its_date() -> None:
    at_ms = ms("2026-11-10T13:47:12.345Z")
    assert UTC_DAYS.cut(at_ms) == (ms("2026-11-10T13:00Z") // QUARTER_MS, day("2026-11-10"))
    assert UTC_DAYS.iso_day(UTC_DAYS.day_of(at_ms)) == "2026-11-10"


@pytest.mark.parametrize(
    ("zone", "at", "hour_start", "local_date"),
    [
        ("Asia/Kolkata", "2026-11-10T18:29:59Z", "2026-11-10T17:30Z", "2026-11-10"),
        ("Asia/Kolkata", "2026-11-10T18:30:00Z", "2026-11-10T18:30Z", "2026-11-11"),
        ("Asia/Kathmandu", "2026-11-10T18:15:00Z", "2026-11-10T18:15Z", "2026-11-11"),
        ("America/New_York", "2026-11-01T05:59:59Z", "2026-11-01T05:00Z", "2026-11-01"),
        ("America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T06:00Z", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-04-04T15:10:00Z", "2026-04-04T15:00Z", "2026-04-05"),
        ("Australia/Lord_Howe", "2026-04-04T15:40:00Z", "2026-04-04T15:30Z", "2026-04-05"),
    ],
)
def test_cut_follows_the_clock_on_the_wall(
    zone: str, at: str, hour_start: str, local_date: str
) -> None:
    assert Calendar(zone).cut(ms(at)) == (ms(hour_start) // QUARTER_MS, day(local_date))


def test_days_of_23_and_25_hours_have_so_many_cells() -> None:
    assert lengths_min("America/New_York", "2026-03-08") == [60] * 23
    assert lengths_min("America/New_York", "2026-11-01") == [60] * 25
    assert lengths_min("America/New_York", "2026-11-02") == [60] * 24


def test_lord_howe_shifts_by_half_an_hour_in_a_cell_of_its_own() -> None:
    assert lengths_min("Australia/Lord_Howe", "2026-04-05") == [60, 60, 30] + [60] * 22
    assert lengths_min("Australia/Lord_Howe", "2026-10-04") == [60, 60, 30] + [60] * 21


@pytest.mark.parametrize(
    ("zone", "text", "start", "hours"),
    [
        ("America/Havana", "2024-03-10", "2024-03-10T05:00Z", 23),  # 00:00 is skipped
        ("America/Havana", "2024-11-03", "2024-11-03T04:00Z", 25),  # 00:00 comes twice
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00Z", 23),  # 00:00 is skipped
        ("Asia/Beirut", "2026-10-24", "2026-10-23T21:00Z", 25),  # 23:00 comes twice
        ("America/Toronto", "1919-03-31", "1919-03-31T04:30Z", 24),  # 23:30 became 00:30
    ],
)
def test_a_day_begins_with_its_first_instant(
    zone: str, text: str, start: str, hours: int
) -> None:
    assert Calendar(zone).day_start_ms(day(text)) == ms(start)
    assert len(hours_in_day(zone, text)) == hours


def test_a_date_that_the_zone_left_out_is_empty_and_no_cell_of_a_span() -> None:
    apia = Calendar("Pacific/Apia")
    assert apia.day_start_ms(day("2011-12-30")) == apia.day_end_ms(day("2011-12-30"))
    start_ms, end_ms = apia.day_start_ms(day("2011-12-29")), apia.day_end_ms(day("2011-12-31"))
    assert end_ms - start_ms == 2 * DAY_MS
    span = apia.span(start_ms, end_ms, hours_from=0)
    assert span == Span((day("2011-12-29"), day("2011-12-31")), ())


def test_what_a_calendar_remembers_is_bounded_and_does_not_change_answers() -> None:
    calendar = Calendar("UTC")
    for quarter in range(CUTS_MAX + 10):
        assert calendar.cut(quarter * QUARTER_MS)[0] == quarter // 4 * 4
    assert len(calendar._cuts) == 10
    assert calendar.cut(0) == (0, day("1970-01-01"))


def test_hours_of_takes_only_cells_that_lie_wholly_inside() -> None:
    hours = UTC_DAYS.hours_of(ms("2026-11-10T10:30Z"), ms("2026-11-10T13:59Z"))
    assert hours == [
        ms("2026-11-10T11:00Z") // QUARTER_MS,
        ms("2026-11-10T12:00Z") // QUARTER_MS,
    ]
    assert UTC_DAYS.hours_of(NOW_MS, NOW_MS) == []


# Spans


def test_a_span_takes_whole_days_and_fills_the_edges_with_hours() -> None:
    span = UTC_DAYS.span(ms("2026-11-09T22:00Z"), ms("2026-11-12T01:00Z"), hours_from=0)
    assert span.days == (day("2026-11-10"), day("2026-11-11"))
    starts = [iso(UTC_DAYS.hour_start_ms(hour), "UTC")[:13] for hour in span.hours]
    assert starts == ["2026-11-09T22", "2026-11-09T23", "2026-11-12T00"]


def test_a_span_within_a_day_is_hours_and_a_whole_day_is_one_cell() -> None:
    hours = UTC_DAYS.span(ms("2026-11-10T01:00Z"), ms("2026-11-10T03:00Z"), hours_from=0)
    assert hours.days == ()
    assert len(hours.hours) == 2
    whole = UTC_DAYS.span(ms("2026-11-10T00:00Z"), ms("2026-11-11T00:00Z"), hours_from=0)
    assert whole == Span((day("2026-11-10"),), ())


@pytest.mark.parametrize(
    ("start", "end", "moves"),
    [
        ("2026-11-10T18:30:00Z", "2026-11-11T00:00:00Z", "begins at 2026-11-10T18:30:00+00:00"),
        ("2026-11-10T00:00:00Z", "2026-11-10T18:30:00Z", "ends at 2026-11-10T18:30:00+00:00"),
        ("2026-11-10T00:00:00Z", "2026-11-10T18:00:00.001Z", "ends at 2026-11-10T18:00:00.001"),
    ],
)
def test_an_edge_inside_an_hour_cannot_be_answered_from_cells(
    start: str, end: str, moves: str
) -> None:
    with pytest.raises(Unanswerable, match=re.escape(moves)) as refused:
        UTC_DAYS.span(ms(start), ms(end), hours_from=0)
    assert "whole hours" in str(refused.value)
    assert "full hours of UTC" in str(refused.value)


def test_hours_that_are_kept_no_longer_cannot_be_answered_and_days_can() -> None:
    hours_from = ms("2026-11-14T20:00Z") // QUARTER_MS
    start_ms = ms("2026-11-14T19:00Z")
    with pytest.raises(Unanswerable) as refused:
        UTC_DAYS.span(start_ms, ms("2026-11-16T00:00Z"), hours_from=hours_from)
    assert str(refused.value) == (
        "The range needs the hour that begins at 2026-11-14T19:00:00+00:00, and hours are kept "
        "since 2026-11-14T20:00:00+00:00 only. Ask for whole days of the reporting zone UTC."
    )
    kept = UTC_DAYS.span(start_ms + HOUR_MS, ms("2026-11-15T00:00Z"), hours_from=hours_from)
    assert len(kept.hours) == 4
    old = UTC_DAYS.span(ms("2025-11-14T00:00Z"), ms("2026-11-14T00:00Z"), hours_from=hours_from)
    assert len(old.days) == 365


# Periods


def test_instants_as_the_users_of_the_first_service_wrote_them() -> None:
    period = asked("2025-10-01T00:00:00Z", "2025-10-03T00:00:00Z")
    assert period.label == "2025-10-01 to 2025-10-03"
    assert (period.start_ms, period.end_ms) == (
        ms("2025-10-01T00:00Z"),
        ms("2025-10-03T00:00Z"),
    )
    assert (period.first, period.last) == (date(2025, 10, 1), date(2025, 10, 2))


def test_a_bare_end_date_is_inside_the_period() -> None:
    period = asked("2025-10-01", "2025-10-03")
    assert period.label == "2025-10-01 to 2025-10-03"
    assert period.end_ms == ms("2025-10-04T00:00Z")
    assert asked("2025-10-01", "2025-10-01").end_ms == ms("2025-10-02T00:00Z")


def test_a_bare_date_covers_its_day_in_the_zone_of_the_question() -> None:
    period = asked("2026-11-01", "2026-11-01", "America/New_York")
    assert (period.start_ms, period.end_ms) == (
        ms("2026-11-01T04:00Z"),
        ms("2026-11-02T05:00Z"),
    )


def test_without_dates_it_is_the_last_seven_days_with_today() -> None:
    period = asked(None, None, "Asia/Tokyo")  # where it is Monday already
    assert period.label == "2026-11-17 to 2026-11-23"
    assert period.start_ms == ms("2026-11-16T15:00Z")
    assert period.end_ms == ms("2026-11-23T15:00Z")
    assert period.is_whole_days


def test_a_start_alone_runs_to_today_and_an_end_alone_takes_seven_days() -> None:
    assert asked("2026-11-20", None).label == "2026-11-20 to 2026-11-22"
    assert asked(None, "2026-11-10").label == "2026-11-04 to 2026-11-10"
    until_noon = asked(None, "2026-11-10T12:00:00Z")
    assert until_noon.label == "2026-11-04 to 2026-11-10"
    assert until_noon.end_ms == ms("2026-11-10T12:00Z")
    assert asked(None, "2026-11-10T00:00:00Z").first == date(2026, 11, 3)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-11-10T12:00:00Z", "2026-11-10T12:00Z"),
        ("2026-11-10t12:00:00z", "2026-11-10T12:00Z"),
        ("2026-11-10T12:00Z", "2026-11-10T12:00Z"),
        ("2026-11-10T12:00:00.123456789Z", "2026-11-10T12:00:00.123Z"),
        ("2026-11-10T12:00:00+02:00", "2026-11-10T10:00Z"),
        ("2026-11-10T12:00:00 02:00", "2026-11-10T10:00Z"),  # an unescaped + in a query string
        ("2026-11-10T12:00:00-0330", "2026-11-10T15:30Z"),
        ("2026-11-10T12:00:00", "2026-11-10T17:00Z"),  # in the zone of the question
        ("2026-11-01T01:30:00", "2026-11-01T05:30Z"),  # comes twice: the first
        ("1794312000000", "2026-11-10T12:00Z"),
    ],
)
def test_an_instant_may_be_written_so(text: str, instant: str) -> None:
    period = asked(text, None, "America/New_York")
    assert period.start_ms == ms(instant)
    assert period.start_is_instant


def test_the_label_shows_the_dates_as_given_and_local_ones_for_epoch_milliseconds() -> None:
    assert asked("2026-11-10T23:00:00Z", "2026-11-12", "Asia/Tokyo").label == (
        "2026-11-10 to 2026-11-12"
    )
    assert asked(str(ms("2026-11-10T23:00Z")), "2026-11-12", "Asia/Tokyo").label == (
        "2026-11-11 to 2026-11-12"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "yesterday",
        "2026-02-30",
        "2026-13-01",
        "2026-11-01T99:00:00Z",
        "2026-11-01T24:00:00Z",
        "2026-11-01T12:00:60Z",
        "2026-11-01T12:00:00+99:00",
        "2026-11-01T12:00:00Z[UTC]",
        "20261101",
        "2026-W40-3",
        "1794312000",  # seconds
        "-1",
        "1e12",
        "99999999999999999999",
        "0001-01-01",
        "1979-12-31",
        "2200-01-01",
        "9999-12-31T23:59:59-23:59",
        "\uff12026-11-01",  # a full-width digit
        "2026-11-\u0661\u0662",
        "2026-11-01\n",
        "2026-11-01\0",
        "9" * 100_000,
        "\ud800",
    ],
)
def test_a_bad_date_is_refused_naming_the_parameter_and_what_is_accepted(text: str) -> None:
    for start, end, name in (
        (text, "2026-11-10", "startDate"),
        ("2026-11-01", text, "endDate"),
    ):
        with pytest.raises(InvalidQuestion, match=f"^{name}: '.*Accepted is a date") as refused:
            asked(start, end)
        assert len(str(refused.value)) < 900


def test_a_period_must_end_after_it_begins() -> None:
    for start, end in (
        ("2026-11-10", "2026-11-01"),
        ("2026-11-10T10:00:00Z", "2026-11-10T10:00:00Z"),
        ("2026-11-10", "2026-11-10T00:00:00Z"),
    ):
        with pytest.raises(InvalidQuestion, match=r"^endDate: the range would end at"):
            asked(start, end)
    with pytest.raises(InvalidQuestion, match=r"^startDate: .* after today\. Give endDate too"):
        asked("2027-01-01", None)


def test_a_period_may_reach_into_the_future() -> None:
    assert asked("2026-11-01", "2026-12-31").end_ms == ms("2027-01-01T00:00Z")
    assert asked("2027-01-01", "2027-01-31").first == date(2027, 1, 1)


def test_a_period_has_at_most_so_many_days() -> None:
    assert RANGE_DAYS_MAX == 401
    longest = asked("2025-10-18", "2026-11-22")
    assert (longest.last - longest.first).days + 1 == 401
    with pytest.raises(InvalidQuestion, match="covers 402 days, and at most 401 are accepted"):
        asked("2025-10-17", "2026-11-22")
    with pytest.raises(
        InvalidQuestion, match=r"^startDate: the range 2020-01-01 to 2026-11-22"
    ):
        asked("2020-01-01", None)


# The effective range


def test_a_start_inside_an_hour_is_widened_and_an_end_in_the_running_hour_means_now() -> None:
    period = asked("2026-11-20T10:25:00Z", "2026-11-22T20:41:13Z")
    answered = period.effective(UTC_DAYS, now_ms=NOW_MS)
    assert iso(answered.start_ms, "UTC") == "2026-11-20T10:00:00+00:00"
    assert iso(answered.end_ms, "UTC") == "2026-11-22T21:00:00+00:00"
    assert answered.label == "2026-11-20 to 2026-11-22"


def test_an_end_inside_an_hour_that_is_over_stays_for_span_to_refuse() -> None:
    answered = asked("2026-11-20", "2026-11-22T19:30:00Z").effective(UTC_DAYS, now_ms=NOW_MS)
    assert answered.end_ms == ms("2026-11-22T19:30Z")
    with pytest.raises(Unanswerable, match="ends at"):
        UTC_DAYS.span(answered.start_ms, answered.end_ms, hours_from=0)


def test_a_date_of_another_zone_is_never_widened_in_silence() -> None:
    answered = asked("2026-11-20", "2026-11-21", "Asia/Kolkata").effective(
        UTC_DAYS, now_ms=NOW_MS
    )
    assert answered.start_ms == ms("2026-11-19T18:30Z")
    assert answered.end_ms == ms("2026-11-21T18:30Z")


def test_an_end_in_the_future_goes_on_to_the_end_of_its_hour() -> None:
    answered = asked("2026-11-20", "2026-11-30T10:30:00Z").effective(UTC_DAYS, now_ms=NOW_MS)
    assert answered.end_ms == ms("2026-11-30T11:00Z")


# The period before


def test_before_whole_days_are_as_many_whole_days_whatever_their_hours() -> None:
    week = asked("2026-11-01", "2026-11-07", "America/New_York")  # begins with 25 hours
    before = previous(week)
    assert before.label == "2026-10-25 to 2026-10-31"
    assert before.start_ms == ms("2026-10-25T04:00Z")
    assert before.end_ms == week.start_ms
    assert previous(before).label == "2026-10-18 to 2026-10-24"


def test_before_instants_is_the_same_length_and_the_label_keeps_its_manner() -> None:
    whole = previous(asked("2025-10-01T00:00:00Z", "2025-10-03T00:00:00Z"))
    assert whole.label == "2025-09-29 to 2025-10-01"
    part = previous(asked("2026-11-10T06:00:00Z", "2026-11-10T18:00:00Z"))
    assert ends(part) == ("2026-11-09T18:00:00+00:00", "2026-11-10T06:00:00+00:00")
    assert part.label == "2026-11-09 to 2026-11-10"


def test_before_the_effective_range_there_are_full_hours_again() -> None:
    last_day = asked("2026-11-21T20:41:13Z", "2026-11-22T20:41:13Z")
    before = previous(last_day.effective(UTC_DAYS, now_ms=NOW_MS))
    assert (before.start_ms, before.end_ms) == (
        ms("2026-11-20T19:00Z"),
        ms("2026-11-21T20:00Z"),
    )
    assert UTC_DAYS.span(before.start_ms, before.end_ms, hours_from=0).hours


# Buckets


def starts(period: Period, granularity: str) -> list[str]:
    return [iso(bucket.start_ms, period.zone)[:16] for bucket in buckets(period, granularity)]


def test_weeks_begin_on_monday_and_are_clipped_to_the_period() -> None:
    period = asked("2026-11-11", "2026-11-24")
    assert starts(period, "week") == [
        "2026-11-11T00:00",
        "2026-11-16T00:00",
        "2026-11-23T00:00",
    ]
    assert buckets(period, "week")[-1].end_ms == period.end_ms


def test_months_begin_on_the_first_in_the_zone_of_the_question() -> None:
    period = asked("2026-01-31", "2026-04-01", "Europe/Zurich")
    assert starts(period, "month") == [
        "2026-01-31T00:00",
        "2026-02-01T00:00",
        "2026-03-01T00:00",
        "2026-04-01T00:00",
    ]


def test_days_of_a_week_with_a_change_of_clocks_are_seven() -> None:
    period = asked("2026-11-01", "2026-11-07", "America/New_York")
    lengths = [bucket.end_ms - bucket.start_ms for bucket in buckets(period, "day")]
    assert lengths == [25 * HOUR_MS] + [DAY_MS] * 6


def test_hours_begin_where_the_period_does_and_go_on_with_the_clock() -> None:
    period = asked("2026-11-10T10:20:00Z", "2026-11-10T12:10:00Z")
    assert starts(period, "hour") == [
        "2026-11-10T10:20",
        "2026-11-10T11:00",
        "2026-11-10T12:00",
    ]


@pytest.mark.parametrize("granularity", ["second", "", "Day", "week\0", "x" * 1000])
def test_another_granularity_is_refused(granularity: str) -> None:
    with pytest.raises(InvalidQuestion, match=r"^granularity: .*hour, day, week, month\.$"):
        buckets(asked(None, None), granularity)


def test_rows_of_a_series_are_bounded() -> None:
    period = asked("2025-10-18", "2026-11-22")
    assert len(buckets(period, "hour")) == 401 * 24 <= BUCKETS_MAX
    assert len(buckets(period, "day", count_max=401)) == 401
    with pytest.raises(InvalidQuestion, match=r"^granularity: by day .* more than 400 rows"):
        buckets(period, "day", count_max=400)


# Intervals and ISO


@pytest.mark.parametrize(
    ("at", "interval", "count", "later"),
    [
        ("2026-01-31T10:11:12.013Z", "month", 1, "2026-02-28T10:11:12.013Z"),
        ("2028-01-31T00:00:00Z", "month", 1, "2028-02-29T00:00:00Z"),
        ("2026-12-31T00:00:00Z", "month", 1, "2027-01-31T00:00:00Z"),
        ("2026-11-30T00:00:00Z", "month", 13, "2027-12-30T00:00:00Z"),
        ("2028-02-29T12:00:00Z", "year", 1, "2029-02-28T12:00:00Z"),
        ("2028-02-29T12:00:00Z", "year", 4, "2032-02-29T12:00:00Z"),
        ("9998-11-30T12:00:00Z", "month", 1, "9998-12-30T12:00:00Z"),
        ("2026-03-28T12:00:00Z", "day", 2, "2026-03-30T12:00:00Z"),
        ("2026-12-28T12:00:00Z", "week", 1, "2027-01-04T12:00:00Z"),
    ],
)
def test_an_interval_later_by_the_calendar(at: str, interval, count: int, later: str) -> None:
    assert add_interval(ms(at), interval, count) == ms(later)


@pytest.mark.parametrize("interval", ["day", "week", "month", "year"])
def test_an_absurd_interval_ends_with_the_calendar(interval) -> None:
    assert add_interval(NOW_MS, interval, 10**15) == FAR_MS
    assert iso(FAR_MS, "UTC") == "9999-12-31T00:00:00+00:00"
    assert add_interval(ms("9998-12-31T00:00Z"), interval, 400) == FAR_MS


def test_iso_carries_the_offset_and_milliseconds_only_where_there_are_any() -> None:
    assert iso(ms("2026-11-10T12:00:00Z"), "Asia/Kathmandu") == "2026-11-10T17:45:00+05:45"
    assert iso(ms("2026-11-10T12:00:00Z") + 7, "UTC") == "2026-11-10T12:00:00.007+00:00"
    at = datetime.fromisoformat(iso(NOW_MS, "America/New_York"))
    assert at.astimezone(UTC) == datetime(2026, 11, 22, 20, 41, 13, tzinfo=UTC)
