"""Time zones: which there are, and how to get from an instant to local time and back.

Texts are read by the rules by which the reporting zone's days are cut, and never by those of
the operating system, which may be years older: a day named in SQL is the day of /metrics.
"""

import datetime as dt
from functools import lru_cache
from typing import Final

from engine.timebucket import zone_info, zone_names
from persistence.archive.columns import literal
from persistence.dialect.errors import InvalidQuery, meant, short

NAMES: Final = tuple(sorted(zone_names() - {"Factory"}))
_KNOWN: Final = frozenset(NAMES)
_UTC: Final = frozenset(
    ("UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT", "Universal",
     "Etc/Universal", "GMT0", "GMT+0", "GMT-0", "Etc/GMT0", "Etc/GMT+0", "Etc/GMT-0",
     "Greenwich", "Etc/Greenwich")
)  # fmt: skip

_YEARS: Final = range(2015, 2040)
"""Years in which a doubled midnight is looked for; an archive holds months."""

_PUT_BACK: Final = ("1 HOUR", "30 MINUTE", "2 HOUR")
"""By how much clocks are put back: nearly everywhere, on Lord Howe, and at Troll."""


def checked(name: str) -> str:
    """The name of a zone that there is. Raises InvalidQuery."""
    if name not in _KNOWN:
        hint = meant(name, NAMES) or "; SHOW TIMEZONES lists them all"
        raise InvalidQuery(f'unknown time zone "{short(name)}"{hint}')
    return name


def zone_of(name: str | None) -> dt.tzinfo:
    """The rules of a zone; None is UTC."""
    return dt.UTC if is_utc(name) else zone_info(str(name))


def is_utc(name: str | None) -> bool:
    """Whether clocks there show UTC."""
    return name is None or name in _UTC


def local(sql: str, zone: str | None) -> str:
    """What clocks show at an instant: TIMESTAMP in UTC to TIMESTAMP of the zone."""
    if is_utc(zone):
        return sql
    return f"timezone({literal(str(zone))}, timezone('UTC', {sql}))"


def moment(wall: dt.datetime, zone: str | None) -> dt.datetime:
    """When clocks show that, with its offset; `wall` has none. It is `instant`, of one time."""
    told = [wall.replace(tzinfo=zone_of(zone), fold=fold) for fold in (0, 1)]
    return min(told, key=lambda one: one.astimezone(dt.UTC))


def instant(sql: str, zone: str | None) -> str:
    """When clocks show that: TIMESTAMP of the zone to TIMESTAMP in UTC.

    It is the earlier of two, as in ClickHouse: what the clocks show twice is the first, and
    what they leave out is read as if they had been put forward already.
    """
    if is_utc(zone):
        return sql
    later = _later("w", zone)
    left_out = f"{local(later, zone)} - w"
    told = f"CASE WHEN {local(later, zone)} > w THEN {later} - ({left_out}) "
    for back in _PUT_BACK:
        earlier = f"({later} - INTERVAL {back})"
        told += f"WHEN {local(earlier, zone)} = w THEN {earlier} "
    return _once(f"{told}ELSE {later} END", sql)


def first_instant(sql: str, zone: str | None) -> str:
    """When a day or a bucket of hours begins that begins when clocks show that.

    Where they leave it out it is the moment of the change, and the first where they show it
    twice, as midnight in Havana.
    """
    if is_utc(zone):
        return sql
    if not _midnight_comes_twice(str(zone)):
        return _later(sql, zone)
    found = _later("w", zone)
    earlier = f"({found} - INTERVAL 1 HOUR)"
    return _once(f"CASE WHEN {local(earlier, zone)} = w THEN {earlier} ELSE {found} END", sql)


def _later(sql: str, zone: str | None) -> str:
    """The later of two, which the database takes."""
    return f"timezone('UTC', timezone({literal(str(zone))}, {sql}))"


def _once(body: str, sql: str) -> str:
    """SQL of `w`, which is `sql`: with copies of that nested calls would grow at each step."""
    return f"list_transform([{sql}], lambda w: {body})[1]"


@lru_cache(maxsize=64)
def _midnight_comes_twice(zone: str) -> bool:
    rules = zone_info(zone)
    day, last = dt.datetime(_YEARS.start, 1, 1), dt.datetime(_YEARS.stop, 1, 1)  # noqa: DTZ001
    while day < last:
        first = day.replace(tzinfo=rules)
        if first.utcoffset() > first.replace(fold=1).utcoffset():  # type: ignore[operator]
            return True
        day += dt.timedelta(days=1)
    return False
