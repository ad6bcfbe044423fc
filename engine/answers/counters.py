"""Live figures: today's and the last week's counters, and those of the last minutes."""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from engine.answers.common import Frame
from engine.answers.revenue import Converter
from engine.money import units
from engine.rollups import counters, revenue
from engine.state import CountersImage, CountersQuestion, DayCounts

DAYS: Final = 7

Values = dict[str, int | float | None]


class Answer(Struct, frozen=True, kw_only=True):
    """GET /counters: {name: figure}; money is null where currencies cannot be added."""

    data: Values


class One(Struct, frozen=True, kw_only=True):
    """GET /counters/{key}."""

    key: str
    value: int | float | None


class OneAnswer(Struct, frozen=True, kw_only=True):
    """GET /counters/{key}, wrapped."""

    data: One


def question(frame: Frame) -> CountersQuestion:
    """What to ask of every shard."""
    days = range(frame.today - DAYS + 1, frame.today + 1)
    return CountersQuestion(days=tuple(days), now_ms=frame.now_ms)


def values(frame: Frame, images: Sequence[CountersImage]) -> Values:
    """{name: figure}: `…:today`, `…:2026-11-10` for each of seven days, `…:5m`."""
    minutes = [sum(counts) for counts in zip(*(i.minutes for i in images), strict=True)]
    found: Values = {}
    days = list(zip(*(image.days for image in images), strict=True))
    for name, value in _of_day(days[-1], frame).items():
        found[f"{name}:today"] = value
    found["activeUsers:5m"] = sum(image.active_users for image in images)
    found["executions:5m"] = minutes[counters.EXECUTIONS]
    found["errors:5m"] = minutes[counters.ERRORS]
    for back, parts in enumerate(reversed(days)):
        day = frame.calendar.iso_day(frame.today - back)
        for name, value in _of_day(parts, frame).items():
            found[f"{name}:{day}"] = value
    return found


def _of_day(parts: Sequence[DayCounts], frame: Frame) -> Values:
    sales = revenue.add_sales([part.sales for part in parts])
    config = frame.config
    converter = Converter(config.reporting_currency, config.currency_rates, set(sales))
    micros = converter.micros({code: s.gmv_micros for code, s in sales.items()})
    return {
        "executions": sum(part.executions for part in parts),
        "errors": sum(part.errors for part in parts),
        "revenue": None if micros is None else units(micros),
        "views": sum(part.activity.views for part in parts),
        "searches": sum(part.activity.searches for part in parts),
        "conversions": sum(part.activity.conversions for part in parts),
        "sessions": sum(part.sessions for part in parts),
    }
