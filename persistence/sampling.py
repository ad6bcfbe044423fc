"""How many of the rows a query with a time budget reads: one in N, N a power of two.

A query is run over a small sample first, and then over larger ones for as long as the earlier
runs suggest that the next one will be over in time. The time of a run is one part for reading,
which a sample does not shorten, and one part proportional to the rows of the sample.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

FIRST_ROWS: Final = 65_536
"""About so many rows has the first sample."""

CAUTION: Final = 1.25
"""By how much a run is expected to take longer than was reckoned."""


class Run(NamedTuple):
    """One run that has ended: it read one row of `interval`."""

    interval: int
    seconds: float


def first(rows: int) -> int:
    """The interval of the first run."""
    return 1 << max(0, (rows // FIRST_ROWS).bit_length())  # 1 where there are fewer


def following(runs: Sequence[Run], left_s: float) -> int | None:
    """The interval of the next run, smaller than that of the last; None where time is over."""
    last = runs[-1]
    interval = 1
    while interval < last.interval:
        if CAUTION * _expected(runs, interval) <= left_s:
            return interval
        interval *= 2
    return None


def _expected(runs: Sequence[Run], interval: int) -> float:
    """Seconds that a run would take. Of one run alone all is taken to go with the rows."""
    last = runs[-1]
    by_rows = last.seconds * last.interval
    if len(runs) > 1:
        shares = 1 / last.interval - 1 / runs[-2].interval
        by_rows = min(by_rows, max(0.0, (last.seconds - runs[-2].seconds) / shares))
    return last.seconds + by_rows * (1 / interval - 1 / last.interval)
