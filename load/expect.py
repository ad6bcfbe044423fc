"""Thresholds on a run: `p99<10ms,errors=0,rate>=9900` sets the exit code.

Figures: p50, p99, p99.9 and every other percentile, mean and max in ms (or with a unit); rate
in events a second; errors, refused, lost, unsent in requests; error_rate in percent. Of the
queries of the audience, with `reads.` before it: percentiles, mean, max, errors.
"""

import operator
import re
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from load.outcome import Distribution, Outcome, Verdict
from load.profile import Profile
from load.quantities import InvalidQuantity, duration_s, rate_per_s

_PATTERN: Final = re.compile(r"(reads\.)?([a-z_]+(?:\d[\d.]*)?)(<=|>=|<|>|=)(.+)")
_COMPARE: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    ">=": operator.ge,
    ">": operator.gt,
}
_COUNTS: Final = ("errors", "refused", "lost", "unsent")


class Threshold(Struct, frozen=True, kw_only=True):
    """One of them; `bound` in the figure's own unit."""

    text: str
    of_reads: bool
    figure: str
    comparison: str
    bound: float


def parse(text: str) -> list[Threshold]:
    """Thresholds, with commas between them. Raises InvalidQuantity."""
    return [_parsed(part.strip()) for part in text.split(",")]


def must_fit(thresholds: Sequence[Threshold], profile: Profile) -> None:
    """Raises InvalidQuantity where one is about queries, and the profile has none."""
    for one in thresholds:
        if one.of_reads and not profile.audience.queries_per_s:
            raise InvalidQuantity(f"{one.text!r}: this profile asks the server for nothing.")


def judge(thresholds: Sequence[Threshold], outcome: Outcome) -> list[Verdict]:
    """Each threshold against what was measured; `must_fit` was asked before the run."""
    verdicts = []
    for one in thresholds:
        measured = _measured(one, outcome)
        met = _COMPARE[one.comparison](measured, one.bound)
        verdicts.append(Verdict(threshold=one.text, measured=measured, met=met))
    return verdicts


def _parsed(text: str) -> Threshold:
    found = _PATTERN.fullmatch(text)
    if found is None:
        raise InvalidQuantity(f"{text!r} is not a threshold: expected for example p99<10ms.")
    reads, figure, comparison, bound = found.groups()
    if reads and figure != "errors" and not _is_latency(figure):
        raise InvalidQuantity(f"{text!r}: reads have percentiles, mean, max and errors.")
    return Threshold(
        text=text,
        of_reads=reads is not None,
        figure=figure,
        comparison=comparison,
        bound=_bound(figure, bound, text),
    )


def _bound(figure: str, bound: str, text: str) -> float:
    if _is_latency(figure):
        return _milliseconds(bound)
    if figure == "rate":
        return rate_per_s(bound)
    if figure in _COUNTS or figure == "error_rate":
        try:
            return float(bound.removesuffix("%"))
        except ValueError:
            raise InvalidQuantity(f"{text!r}: expected a number, got {bound!r}.") from None
    raise InvalidQuantity(
        f"{text!r}: there is no figure {figure}; there are p50, p99, p99.9 and the like, mean, "
        f"max, rate, error_rate, {', '.join(_COUNTS)}."
    )


def _milliseconds(bound: str) -> float:
    is_bare = bound.replace(".", "", 1).isdigit()
    return float(bound) if is_bare else 1000 * duration_s(bound)


def _percent(figure: str) -> float | None:
    try:
        percent = float(figure.removeprefix("p")) if figure.startswith("p") else -1.0
    except ValueError:
        return None
    return percent if 0 < percent <= 100 else None


def _measured(one: Threshold, outcome: Outcome) -> float:
    latencies = outcome.latencies
    if one.of_reads:
        assert outcome.reads is not None
        if one.figure == "errors":
            return float(sum(outcome.reads.errors.values()))
        latencies = outcome.reads.latencies
    if _is_latency(one.figure):
        return _latency(one.figure, latencies)
    return _count(one.figure, outcome)


def _is_latency(figure: str) -> bool:
    return figure in ("mean", "max") or _percent(figure) is not None


def _latency(figure: str, latencies: Distribution) -> float:
    percent = _percent(figure)
    if percent is not None:
        return latencies.percentile_ms(percent)
    return latencies.mean if figure == "mean" else latencies.max


def _count(figure: str, outcome: Outcome) -> float:
    return {
        "rate": outcome.rate_per_s,
        "error_rate": outcome.error_percent,
        "errors": float(outcome.errors),
        "refused": float(sum(outcome.refused.values())),
        "lost": float(sum(outcome.lost.values())),
        "unsent": float(outcome.unsent),
    }[figure]
