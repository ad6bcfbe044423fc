"""What a widget may ask for: a period that the page can show, filters that its route takes."""

import datetime as dt
import re
from typing import Final

from msgspec import structs

from engine.answers.families import FAMILIES, must_be_answerable
from engine.errors import InvalidQuestion
from engine.timebucket import quoted
from web.wire import asked_in

PERIODS: Final = (
    "today", "yesterday", "24h", "7d", "28d", "30d", "90d", "month", "lastmonth", "year",
)  # fmt: skip
"""The periods relative to now, as the page knows them."""

FILTERS: Final[dict[str, tuple[str, ...]]] = {
    family: tuple(field.encode_name for field in structs.fields(asked))
    for family, (asked, _) in FAMILIES.items()
} | {"counters": (), "sql": ("sql",)}
"""{family: the filters that decide what its widgets show}"""

_EDGE: Final = r"(\d{4}-\d\d-\d\d(?:T\d\d:00)?)"
_BETWEEN: Final = re.compile(rf"{_EDGE}\.\.{_EDGE}", re.ASCII)


def fault_of_range(word: str) -> str | None:
    """What is wrong with the period of a widget; None where the page can show it."""
    if word in PERIODS or _is_between(word):
        return None
    return (
        f"Expected one of {', '.join(PERIODS)}, or two dates in order such as "
        f"2026-11-01..2026-11-30, each also with a full hour (T09:00), got {quoted(word)}"
    )


def _is_between(word: str) -> bool:
    edges = _BETWEEN.fullmatch(word)
    if edges is None:
        return False
    try:
        start, end = map(dt.datetime.fromisoformat, edges.groups())
    except ValueError:  # no such day or hour
        return False
    return start < end or (start == end and "T" not in word)


def fault_of_name(family: str, name: str) -> str | None:
    """What is wrong with a filter of that name; None where the family's route takes it."""
    known = FILTERS[family]
    if name in known:
        return None
    takes = f"one of {', '.join(known)}" if known else "no filter"
    return f"Expected {takes} for {family}, got {quoted(name)}"


def fault_of_value(family: str, name: str, text: str) -> str | None:
    """What is wrong with a filter of a known name; None where the route may answer with it."""
    if family not in FAMILIES:  # SQL, and a query that fails can be kept until it is mended
        return None
    asked, _ = FAMILIES[family]
    try:
        must_be_answerable(asked_in({name: text}, asked))
    except InvalidQuestion as refusal:
        return str(refusal).removesuffix(".")
    return None
