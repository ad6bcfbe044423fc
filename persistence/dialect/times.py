"""Functions of dates and times.

A DateTime is an instant, kept as a TIMESTAMP in UTC; its zone belongs to its type and says
how it is shown and cut. Buckets follow ClickHouse (base/DateLUTImpl.h): days and longer begin
at the zone's midnight, hours are counted from it, and an hour that clocks show twice is two.
"""

import datetime as dt
import re
from calendar import monthrange
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from persistence.dialect import kinds, zones
from persistence.dialect.errors import InvalidQuery, short
from persistence.dialect.kinds import Kind
from persistence.dialect.made import (
    EPOCH,
    Made,
    constant_text,
    instant,
    integer,
    number,
    of,
    texted,
)

UNITS: Final = ("SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR")
QUANTITY_MAX: Final = 1_000_000
"""The most units in one INTERVAL, but for seconds."""

SECONDS_MAX: Final = 2**32
"""As many as a DateTime of ClickHouse can be away from 1970."""

DAYS_MAX: Final = 2**16 - 1
"""The last day of ClickHouse's Date, after 1970 began; above it toDate reads seconds."""

_US: Final = {"SECOND": 1_000_000, "MINUTE": 60_000_000, "HOUR": 3_600_000_000}
_DAY_US: Final = 86_400_000_000
_SHORT: Final = frozenset(_US)

_TEXT: Final = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[ T](\d\d):(\d\d)(?::(\d\d)(?:\.\d+)?)?)?")

_CODES: Final = {
    "Y": "%Y", "m": "%m", "d": "%d", "H": "%H", "i": "%M", "S": "%S", "s": "%S", "y": "%y",
    "j": "%j", "F": "%Y-%m-%d", "T": "%H:%M:%S", "D": "%m/%d/%y", "R": "%H:%M", "I": "%I",
    "h": "%I", "p": "%p", "u": "%u", "w": "%w", "V": "%V", "G": "%G", "b": "%b", "a": "%a",
    "n": "\n", "t": "\t", "%": "%%",
}  # fmt: skip
"""ClickHouse's codes and DuckDB's; %M is left out, for its meaning depends on the version."""


class Span(tuple[int, str]):
    """An INTERVAL: how many, and of what."""

    __slots__ = ()


def span(quantity: str, unit: str) -> Made:
    """INTERVAL 'quantity' unit."""
    unit = unit.upper().removesuffix("S")
    if unit not in UNITS:
        raise InvalidQuery(f'unknown unit "{short(unit)}" of an INTERVAL')
    if not re.fullmatch(r"-?\d{1,10}", quantity.strip()):
        raise InvalidQuery(f'"{short(quantity)}" is no quantity of an INTERVAL')
    count = int(quantity)
    most = SECONDS_MAX if unit == "SECOND" else QUANTITY_MAX
    if abs(count) > most:
        raise InvalidQuery(f"an INTERVAL has at most {most} units")
    if unit == "QUARTER":
        count, unit = 3 * count, "MONTH"
    return Made(f"INTERVAL ({count}) {unit}", kinds.INTERVAL, value=Span((count, unit)))


def shifted(time: Made, by: Made, *, back: bool) -> Made:
    """A time and an INTERVAL added, or subtracted."""
    assert isinstance(by.value, Span)
    count, unit = by.value
    time = _fine_enough(time, unit)
    found = _shifted(time, by, unit, back=back)
    if isinstance(time.value, dt.datetime) and found.kind.base == "DateTime":
        zone = None if unit in _SHORT else found.kind.zone
        local = time.value.astimezone(zones.zone_of(zone)).replace(tzinfo=None)
        return replace(found, value=_moved(local, -count if back else count, unit, zone))
    return found


def _shifted(time: Made, by: Made, unit: str, *, back: bool) -> Made:
    """The same, whatever the interval's length; the value is not known."""
    sign = "-" if back else "+"
    if time.kind.base == "Date":
        return of(f"({time.sql} {sign} {by.sql})::DATE", kinds.DATE, time, by)
    if time.kind.base != "DateTime":
        raise InvalidQuery(f"an INTERVAL cannot be added to {time.kind.name}")
    zone = None if unit in _SHORT else time.kind.zone
    sql = zones.instant(f"({zones.local(time.sql, zone)} {sign} {by.sql})", zone)
    return of(sql, time.kind, time, by)


def _fine_enough(time: Made, unit: str) -> Made:
    return to_datetime(time) if time.kind.base == "Date" and unit in _SHORT else time


def _moved(wall: dt.datetime, count: int, unit: str, zone: str | None) -> dt.datetime | None:
    """So many units after what clocks of the zone show; None where there is no such year."""
    try:
        match unit:
            case "MONTH" | "YEAR":
                months = wall.year * 12 + wall.month - 1 + count * (12 if unit == "YEAR" else 1)
                year, month = months // 12, months % 12 + 1
                day = min(wall.day, monthrange(year, month)[1])
                wall = wall.replace(year=year, month=month, day=day)
            case "DAY" | "WEEK":
                wall += dt.timedelta(days=count * (7 if unit == "WEEK" else 1))
            case _:
                wall += dt.timedelta(microseconds=count * _US[unit])
        return zones.moment(wall, zone)
    except (OverflowError, ValueError):
        return None


def parsed(value: str, zone: str | None) -> Made:
    """A text as an instant: 'YYYY-MM-DD[ hh:mm:ss]' by the clocks of the zone, or seconds."""
    if re.fullmatch(r"\d{5,12}", value):
        return _unix(int(value), zone)
    found = _TEXT.fullmatch(value.strip())
    if found is None:
        raise InvalidQuery(f'"{short(value)}" is not a time of the form YYYY-MM-DD hh:mm:ss')
    parts = [int(part or 0) for part in found.groups()]
    try:
        return instant(zones.moment(dt.datetime(*parts), zone), zone)  # type: ignore[arg-type]  # noqa: DTZ001
    except (ValueError, OverflowError):
        raise InvalidQuery(f'there is no time "{short(value)}"') from None


def parsed_date(value: str) -> Made:
    """A text YYYY-MM-DD as a Date."""
    moment = parsed(value, None).value
    assert isinstance(moment, dt.datetime)
    return Made(f"DATE '{moment.date().isoformat()}'", kinds.DATE, value=moment.date())


def _unix(seconds: int, zone: str | None) -> Made:
    try:
        return instant(EPOCH + dt.timedelta(seconds=seconds), zone)
    except OverflowError:
        raise InvalidQuery(f"{seconds} seconds are beyond all dates") from None


def to_datetime(what: Made, zone: str | None = None) -> Made:
    """toDateTime: an instant of seconds, of a text, of a Date, or the same in another zone."""
    kind = Kind("DateTime", zone=zone)
    match what.kind.base:
        case "DateTime":
            shown = kind if zone is not None else what.kind
            return of(what.sql, shown, what, value=what.value)
        case "Date":
            return of(zones.first_instant(f"({what.sql})::TIMESTAMP", zone), kind, what)
        case "String" if isinstance(what.value, str):
            return parsed(what.value, zone)
        case "String":
            seconds = f"make_timestamp(try_cast({what.sql} AS BIGINT) * 1000000)"
            told = zones.instant(f"({what.sql})::TIMESTAMP", zone)
            digits = f"regexp_full_match({what.sql}, '[0-9]+')"
            return of(f"CASE WHEN {digits} THEN {seconds} ELSE {told} END", kind, what)
        case _ if isinstance(what.value, int):
            return _unix(what.value, zone)
        case _:
            return of(f"make_timestamp({integer(what, 'toDateTime')} * 1000000)", kind, what)


def to_date(what: Made, zone: str | None = None) -> Made:
    """toDate: the day of an instant in its zone; a number up to DAYS_MAX is one of days."""
    if what.kind.base == "Date":
        return what
    if isinstance(what.value, str):
        return parsed_date(what.value)
    shown = to_datetime(what, zone)
    sql = f"({zones.local(shown.sql, zone or shown.kind.zone)})::DATE"
    if what.kind.is_number and what.kind.base != "Null":
        days = integer(what, "toDate")
        sql = f"CASE WHEN {days} <= {DAYS_MAX} THEN {_day(days)} ELSE {sql} END"
    return of(sql, kinds.DATE, what)


def _day(days: str) -> str:
    """The SQL of a day so many after 1970 began, and never before it."""
    return f"(DATE '1970-01-01' + greatest({days}, 0)::INTEGER)"


def seconds_of(what: Made) -> str:
    """The SQL of its seconds since 1970."""
    if what.kind.base == "Date":
        return f"(epoch_us(({what.sql})::TIMESTAMP) // 1000000)"
    return f"(epoch_us({what.sql}) // 1000000)"


def unix_timestamp(what: Made) -> Made:
    """toUnixTimestamp."""
    shown = to_datetime(what) if what.kind.base == "String" else what
    if not shown.kind.is_time:
        raise InvalidQuery(f"toUnixTimestamp takes a time, not {what.kind.name}")
    return of(seconds_of(shown), kinds.UINT32, what)


def clocks(what: Made, where: str, zone: str | None) -> str:
    """The SQL of what the clocks of its zone show."""
    if what.kind.base == "Date":
        return f"({what.sql})::TIMESTAMP"
    if what.kind.base == "String" and isinstance(what.value, str):
        what = parsed(what.value, zone)
    if what.kind.base != "DateTime":
        raise InvalidQuery(f"{where} takes a time, not {what.kind.name}")
    return zones.local(what.sql, zone or what.kind.zone)


def part_of(name: str, piece: str, kind: Kind) -> Callable[..., Made]:
    """toYear and its like: a number of what the clocks show."""

    def made(what: Made, zone: Made | None = None) -> Made:
        shown = clocks(what, name, zone_named(zone))
        return of(f"{piece}({shown})::BIGINT", kind, what)

    return made


def zone_named(zone: Made | None) -> str | None:
    """The zone that an argument names."""
    return None if zone is None else zones.checked(constant_text(zone, "a time zone"))


def start_of(name: str, unit: str, count: int = 1) -> Callable[..., Made]:
    """toStartOfHour and its like; a Date where ClickHouse gives one."""

    def made(what: Made, zone: Made | None = None) -> Made:
        by = Made("", kinds.INTERVAL, value=Span((count, unit)))
        found = start_of_interval(what, by, zone, where=name)
        if unit in {"WEEK", "MONTH", "YEAR"}:
            return to_date(found)
        return found

    return made


def start_of_interval(
    what: Made, by: Made, zone: Made | None = None, where: str = "toStartOfInterval"
) -> Made:
    """The beginning of the bucket of `by` in which an instant lies."""
    if not isinstance(by.value, Span):
        raise InvalidQuery(f"{where} takes an INTERVAL as its second argument")
    count, unit = by.value
    if count < 1:
        raise InvalidQuery(f"{where} takes an INTERVAL above 0")
    time = to_datetime(what)
    named = zone_named(zone) or time.kind.zone
    kind = Kind("DateTime", zone=named)
    if what.value is not None and isinstance(what.value, str):
        time = parsed(what.value, named)
    shown = zones.local(time.sql, named)
    if unit in _SHORT and (unit != "HOUR" or count == 1):
        sql = f"(epoch_us({shown}) % {count * _US[unit]})"
        if zones.is_utc(named) and count == 1:
            return of(f"date_trunc('{unit.lower()}', {time.sql})", kind, what)
        return of(f"make_timestamp(epoch_us({time.sql}) - {sql})", kind, what)
    return of(zones.first_instant(_bucket(shown, count, unit), named), kind, what)


def _bucket(shown: str, count: int, unit: str) -> str:
    """The beginning of a bucket of hours or longer, by the clocks."""
    if unit == "HOUR":
        into = f"((epoch_us({shown}) % {_DAY_US}) % {count * _US['HOUR']})"
        return f"make_timestamp(epoch_us({shown}) - {into})"
    if count == 1:
        return f"date_trunc('{unit.lower()}', {shown})::TIMESTAMP"
    origin = {"WEEK": "1970-01-05", "MONTH": "1900-01-01"}.get(unit, "1970-01-01")
    if unit == "YEAR":  # they are counted from the year 0
        origin = f"{max(1, 2000 - 2000 % count):04}-01-01"
    return f"time_bucket(INTERVAL ({count}) {unit}, {shown}, TIMESTAMP '{origin}')"


def formatted(what: Made, pattern: Made, zone: Made | None = None) -> Made:
    """formatDateTime."""
    codes = constant_text(pattern, "the format of formatDateTime")
    shown = clocks(what, "formatDateTime", zone_named(zone))
    if not codes:  # of which strftime says that it is no format
        return of(f"CASE WHEN {shown} IS NOT NULL THEN '' END", kinds.STRING, what)
    return of(f"strftime({shown}, {texted(strftime_of(codes)).sql})", kinds.STRING, what)


def strftime_of(codes: str) -> str:
    """ClickHouse's format as DuckDB's."""
    made, at = "", 0
    while at < len(codes):
        if codes[at] != "%":
            made += codes[at]
            at += 1
            continue
        code = codes[at + 1 : at + 2]
        if code not in _CODES or not code:
            raise InvalidQuery(f'formatDateTime does not know "%{short(code)}"')
        made += _CODES[code]
        at += 2
    return made


def shown_text(sql: str, kind: Kind) -> str:
    """A time as its text in an answer."""
    if kind.base == "Date":
        return f"strftime({sql}, '%Y-%m-%d')"
    return f"strftime({zones.local(sql, kind.zone)}, '%Y-%m-%d %H:%M:%S')"


def difference(unit: Made, first: Made, last: Made, zone: Made | None = None) -> Made:
    """dateDiff: how many borders of a unit lie between two times."""
    name = constant_text(unit, "the unit of dateDiff").upper()
    if name not in UNITS:
        raise InvalidQuery(f'dateDiff does not know the unit "{short(name)}"')
    named = zone_named(zone)
    left, right = (clocks(one, "dateDiff", named) for one in (first, last))
    if name in _SHORT:  # between two instants, whatever clocks were put forward in between
        left, right = (_start(one, name, named) for one in (first, last))
        sql = f"((epoch_us({right}) - epoch_us({left})) // {_US[name]})"
    elif name == "WEEK":  # those of date_diff begin seven days after the first time
        left, right = (f"date_trunc('week', {one})" for one in (left, right))
        sql = f"(date_diff('day', {left}, {right}) // 7)"
    else:
        sql = f"date_diff('{name.lower()}', {left}, {right})"
    return of(sql, kinds.INT64, first, last)


def _start(what: Made, unit: str, zone: str | None) -> str:
    """The SQL of the instant at which the second, minute or hour of a time begins."""
    time = to_datetime(what, zone)
    by = Made("", kinds.INTERVAL, value=Span((1, unit)))
    return start_of_interval(time, by, where="dateDiff").sql


def added(unit: str, *, back: bool) -> Callable[..., Made]:
    """addDays, subtractHours and their like, with a whole number."""

    def made(what: Made, count: Made) -> Made:
        if isinstance(count.value, int):
            return shifted(what, span(str(count.value), unit), back=back)
        if count.kind.base != "Int":
            raise InvalidQuery("the quantity must be a whole number")
        by = of(f"INTERVAL ({number(count, 'an INTERVAL')}) {unit}", kinds.INTERVAL, count)
        return _shifted(_fine_enough(what, unit.upper()), by, unit.upper(), back=back)

    return made
