"""Live figures: today's and the last week's counters, and those of the last minutes."""

from typing import Final

from msgspec import Struct

from engine.answers.common import Frame
from engine.answers.revenue import Converter
from engine.money import units
from engine.rollups import counters
from engine.state import ActiveQuestion
from engine.timebucket import MINUTE_MS
from engine.totals import DayTotals, Totals

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


def question(frame: Frame) -> ActiveQuestion:
    """What to ask of every shard: the one figure that no running total tells."""
    return ActiveQuestion(minute=frame.now_ms // MINUTE_MS - counters.LIVE_MINUTES + 1)


def values(frame: Frame, totals: Totals, active_users: int) -> Values:
    """{name: figure}: `…:today`, `…:2026-11-10` for each of seven days, `…:5m`."""
    found: Values = {}
    days = [_of_day(totals.day(frame.today - back), frame) for back in range(DAYS)]
    for name, value in days[0].items():
        found[f"{name}:today"] = value
    minutes = totals.minutes.last(counters.LIVE_MINUTES, now_ms=frame.now_ms)
    found["activeUsers:5m"] = active_users
    found["executions:5m"] = minutes[counters.EXECUTIONS]
    found["errors:5m"] = minutes[counters.ERRORS]
    for back, figures in enumerate(days):
        day = frame.calendar.iso_day(frame.today - back)
        for name, value in figures.items():
            found[f"{name}:{day}"] = value
    return found


def _of_day(totals: DayTotals, frame: Frame) -> Values:
    config, gmv_micros = frame.config, totals.gmv_micros
    converter = Converter(config.reporting_currency, config.currency_rates, set(gmv_micros))
    micros = converter.micros(gmv_micros)
    counts = totals.counts
    return {
        "executions": counts[counters.EXECUTIONS],
        "errors": counts[counters.ERRORS],
        "revenue": None if micros is None else units(micros),
        "views": counts[counters.VIEWS],
        "searches": counts[counters.SEARCHES],
        "conversions": counts[counters.CONVERSIONS],
        "sessions": counts[counters.SESSIONS],
    }
