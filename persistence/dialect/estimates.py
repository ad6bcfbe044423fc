"""What a sample says about all rows: which figures are scaled, and how far off they may be.

One row in N is read, each chosen independently, so the sum of N times the values that were read
is an unbiased estimate of the sum over all rows (Horvitz and Thompson, Journal of the American
Statistical Association 47, 1952). Its variance is estimated by N (N - 1) times the sum of the
squares of those values, that of a mean by (1 - 1/N) s^2 / n of the n values.

A figure is marked `estimate` if it describes all rows, and `sample` if no factor can make it do
so: distinct values, extremes, lists, and the rows and groups themselves.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from persistence.dialect.made import Made, Mark

Rule = Literal["count", "total", "mean", "shape", "rows"]
"""How an aggregate of a sample is to be taken: times N in the first two, as it is with an error
and without one, or as a figure of the sample alone."""

Read = Literal["rows", "groups"]
"""What a source has where a sample is read: rows, each for N, or what was made of them."""


def aggregate(
    found: Made,
    rule: Rule,
    value: str,
    *,
    parts: Sequence[Made],
    filtered: str,
    read: Read | None,
    interval: int,
) -> Made:
    """An aggregate that describes all rows.

    value     as SQL of a DOUBLE: what is added up, or averaged
    parts     its arguments, and its condition behind them
    filtered  its FILTER
    interval  N
    """
    if read is None:
        return found
    if read == "groups":
        return replace(found, mark=_of_groups(rule, parts))
    match rule:
        case "count" | "total":
            square = f"sum({value} * {value}){filtered}"
            error = f"sqrt({float(interval * (interval - 1))!r} * coalesce({square}, 0))"
            sql = f"({found.sql} * {interval})"
            return replace(found, sql=sql, mark="estimate", error=error)
        case "mean":
            spread = f"var_samp({value}){filtered} / count({value}){filtered}"
            error = f"sqrt({1 - 1 / interval!r} * {spread})"
            return replace(found, mark="estimate", error=error)
        case "shape":
            return replace(found, mark="estimate")
        case "rows":
            return replace(found, mark="sample")


def over_window(found: Made, rule: Rule, parts: Sequence[Made], read: Read | None) -> Made:
    """An aggregate over a window: of groups as theirs, of rows as one of the sample alone."""
    if read is None:
        return found
    of_groups = any(part.aggregate for part in parts) or read == "groups"
    return replace(found, mark=_of_groups(rule, parts) if of_groups else "sample")


def _of_groups(rule: Rule, parts: Sequence[Made]) -> Mark:
    """Groups of few events are missing from a sample; only sums of estimates do not mind."""
    if rule == "total" and [part.mark for part in parts] in (["estimate"], ["estimate", None]):
        return "estimate"
    return "sample"
