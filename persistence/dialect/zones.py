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


def instant(sql: str, zone: str | None) -> str:
    """When clocks show that: TIMESTAMP of the zone to TIMESTAMP in UTC.

    What the clocks leave out becomes the moment of the change, what they show twice the later.
    """
    if is_utc(zone):
        return sql
    return f"timezone('UTC', timezone({literal(str(zone))}, {sql}))"


def first_instant(sql: str, zone: str | None) -> str:
    """The same, and the earlier where clocks show it twice, as midnight in Havana."""
    found = instant(sql, zone)
    if is_utc(zone) or not _midnight_comes_twice(str(zone)):
        return found
    earlier = f"({found} - INTERVAL 1 HOUR)"
    return f"CASE WHEN {local(earlier, zone)} = {sql} THEN {earlier} ELSE {found} END"


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
