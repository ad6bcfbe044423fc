"""Experiments: from the question to rates with intervals, and a verdict or what it lacks."""

import math
from collections.abc import Generator, Sequence
from typing import Final, Literal

from msgspec import UNSET, Struct, UnsetType

from engine import significance, timebucket
from engine.answers.common import (
    Frame,
    Known,
    PeriodAsked,
    Range,
    Text,
    effective,
    percent,
    range_of,
    zone_of,
)
from engine.cells import OTHER
from engine.period import Period
from engine.rollups import experiments, names
from engine.rollups.experiments import SESSION, USER, Experiment, Image, Question, Variant
from engine.significance import Arm
from engine.timebucket import DAY_MS, FAR_MS

RELATIVE_LIFT: Final = 0.10
"""The lift that `unitsNeeded` refers to."""


class Asked(PeriodAsked, frozen=True, kw_only=True, rename="camel"):
    """The parameters of GET /metrics/experiments; without dates: since each one's start."""

    experiment_id: Text | None = None


class VariantRow(Struct, frozen=True, kw_only=True, rename="camel"):
    """One variant. Rates, lift and chance are percent; null where they are not known.

    views, conversions   events; units, convertedUnits  people or sessions
    interval             of unitRate, 95 %, Wilson
    lift, liftInterval   against the first variant, relative, 95 %
    """

    index: int
    name: str
    views: int
    conversions: int
    conversion_rate: float | None
    units: int
    converted_units: int
    unit_rate: float | None
    interval: tuple[float, float] | None
    lift: float | None
    lift_interval: tuple[float, float] | None
    chance_to_win: float | None


class SplitCheck(Struct, frozen=True, kw_only=True):
    """Whether units are split as they should be, evenly; a mismatch where p < 0.001."""

    p: float | None
    expected: tuple[float, ...]
    observed: tuple[int, ...]


class ExperimentRow(Struct, frozen=True, kw_only=True, rename="camel"):
    """One experiment.

    unitKind           what is counted as one: a user, a session, both (mixed), or, without
                       ids, an event: then all certainties are overstated
    unitsNeeded        units per variant to tell a lift of 10 % with a power of 80 %
    daysNeeded         days until then at the present pace; null where that many are never kept
    sampleRate         1 unless units are a sample
    """

    experiment_id: str
    experiment_name: str
    started_at: str
    unit_kind: Literal["user", "session", "mixed", "event"]
    variants: list[VariantRow]
    winner: int | None
    confidence: float | None
    p_value: float | None
    always_valid_p: float | None
    srm: SplitCheck
    multiple_exposures: int
    units_needed: int | None
    days_needed: int | None
    sample_rate: float
    period: str


class Answer(Struct, frozen=True, kw_only=True):
    """GET /metrics/experiments; `range` only where dates were given."""

    data: list[ExperimentRow]
    range: Range | UnsetType = UNSET


def period_of(asked: Asked, frame: Frame) -> Period | None:
    """The period asked for, or None: since each experiment's start."""
    if asked.start_date is None and asked.end_date is None:
        zone_of(asked, frame)
        return None
    return effective(asked, frame, default_days=frame.config.keep_days)


def question(period: Period | None, asked: Asked, frame: Frame) -> Question:
    """What to ask of every shard. Raises InvalidQuestion or Unanswerable."""
    if period is None:
        return Question(asked.experiment_id, span=None, start_ms=0, end_ms=FAR_MS)
    return Question(
        asked.experiment_id,
        span=frame.span(period.start_ms, period.end_ms),
        start_ms=period.start_ms,
        end_ms=period.end_ms,
    )


def answer(
    period: Period | None, asked: Asked, frame: Frame, images: Sequence[Image], known: Known
) -> Generator[None, None, Answer]:
    """Merge the shards' images; yields between experiments, so that the caller may pause."""
    whole = experiments.merged(images).experiments
    rows = []
    for name, found in sorted(whole.items(), key=lambda item: (-item[1].started_ms, item[0])):
        rows.append(_row(name, found, period, asked, frame, known))
        yield
    return Answer(data=rows, range=range_of(period, frame) if period else UNSET)


def _row(
    experiment: str,
    found: Experiment,
    period: Period | None,
    asked: Asked,
    frame: Frame,
    known: Known,
) -> ExperimentRow:
    kind = _unit_kind(found)
    arms = [_arm(variant, by_events=kind == "event") for variant in found.variants.values()]
    # Those beyond the cap are counted together, and variants of several are no alternatives.
    compared = [] if experiment == OTHER else arms
    decision = significance.decide(compared)
    test = decision.test
    indexes = list(found.variants)
    needed = _units_needed(compared)
    kept_max = math.inf if kind == "event" else frame.config.experiment_units_max
    since_ms = max(found.started_ms, period.start_ms) if period else found.started_ms
    until_ms = min(frame.now_ms, period.end_ms) if period else frame.now_ms
    return ExperimentRow(
        experiment_id=experiment,
        experiment_name=known.get((names.EXPERIMENT, experiment, 0), experiment),
        started_at=timebucket.iso(found.started_ms, zone_of(asked, frame)),
        unit_kind=kind,
        variants=_variants(experiment, found, arms, known, is_compared=bool(compared)),
        winner=None if decision.winner is None else indexes[decision.winner],
        confidence=decision.confidence,
        p_value=None if test is None else test.p_value,
        always_valid_p=significance.always_valid_p(compared),
        srm=SplitCheck(
            p=decision.srm.p_value,
            expected=decision.srm.expected,
            observed=decision.srm.observed,
        ),
        multiple_exposures=found.multiple,
        units_needed=needed,
        days_needed=_days_needed(arms, needed, until_ms - since_ms, kept_max),
        sample_rate=found.sample_rate,
        period=period.label if period else _since(since_ms, frame, asked),
    )


def _since(start_ms: int, frame: Frame, asked: Asked) -> str:
    zone = zone_of(asked, frame)
    first, last = (timebucket.iso(ms, zone)[:10] for ms in (start_ms, frame.now_ms))
    return f"{first} to {last}"


def _unit_kind(found: Experiment) -> Literal["user", "session", "mixed", "event"]:
    users, sessions = found.exposures[USER], found.exposures[SESSION]
    if users and sessions:
        return "mixed"
    if users:
        return "user"
    return "session" if sessions else "event"


def _arm(variant: Variant, *, by_events: bool) -> Arm:
    if not by_events:
        return Arm(variant.converted, variant.units)
    # More goals than views can only be miscounted views: the rate stays within its scale.
    return Arm(min(variant.conversions, variant.views), variant.views)


def _variants(
    experiment: str, found: Experiment, arms: Sequence[Arm], known: Known, *, is_compared: bool
) -> list[VariantRow]:
    has_units = any(arm.units for arm in arms)
    chances = significance.chance_to_win(arms) if is_compared and has_units else None
    rows = []
    for position, (index, variant) in enumerate(found.variants.items()):
        arm = arms[position]
        interval = significance.wilson(arm)
        lift = significance.lift(arms[0], arm) if is_compared and position else None
        rows.append(
            VariantRow(
                index=index,
                name=known.get((names.VARIANT, experiment, index)) or _letter_name(index),
                views=variant.views,
                conversions=variant.conversions,
                conversion_rate=percent(variant.conversions, variant.views),
                units=arm.units,
                converted_units=arm.converted,
                unit_rate=percent(arm.converted, arm.units),
                interval=interval and (100 * interval[0], 100 * interval[1]),
                lift=None if lift is None else 100 * lift.value,
                lift_interval=_percents(lift),
                chance_to_win=None if chances is None else 100 * chances[position],
            )
        )
    return rows


def _percents(lift: significance.Lift | None) -> tuple[float, float] | None:
    if lift is None or lift.low is None or lift.high is None:
        return None
    return 100 * lift.low, 100 * lift.high


def _letter_name(index: int) -> str:
    """Variant A … Variant Z, Variant AA …"""
    letters = ""
    index += 1
    while index:
        index, digit = divmod(index - 1, 26)
        letters = chr(ord("A") + digit) + letters
    return f"Variant {letters}"


def _units_needed(arms: Sequence[Arm]) -> int | None:
    if not arms:
        return None
    base = arms[0]
    if not base.units or not 0 < base.converted < base.units:
        return None
    if base.rate * (1 + RELATIVE_LIFT) >= 1:
        return None
    return significance.units_needed(base.rate, relative_lift=RELATIVE_LIFT)


def _days_needed(
    arms: Sequence[Arm], needed: int | None, elapsed_ms: int, kept_max: float
) -> int | None:
    """None also if a sample starts before there are enough of them: it never grows so far."""
    fewest = min(arm.units for arm in arms)
    if needed is None or not fewest or elapsed_ms <= 0:
        return None
    if fewest < needed and needed * len(arms) > kept_max:
        return None
    per_day = fewest * DAY_MS / elapsed_ms
    return max(0, math.ceil((needed - fewest) / per_day))
