"""Latencies as HDR histograms: recorded in microseconds, shown in milliseconds, merged exactly.

Source: HdrHistogram (Gil Tene), in its Python port. Three significant figures: what is reported
is at most 0.1 % above what was recorded, from 1 µs to an hour, after any number of merges. A
histogram takes 140 KB of memory, a millisecond to make, 1 µs per value to record, and a few
hundred bytes encoded: so senders keep plain lists for a second, and whoever gathers them makes
histograms.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Self

from hdrh.histogram import HdrHistogram

LONGEST_US: Final = 3_600_000_000
"""A latency beyond an hour is recorded as an hour."""

SIGNIFICANT_FIGURES: Final = 3

PERCENTILES: Final = (50.0, 75.0, 90.0, 95.0, 99.0, 99.9, 99.99)
"""Those that a report shows."""


class Latencies:
    """A distribution of latencies; `max_ms` and the mean are within 0.1 % like the rest."""

    def __init__(self) -> None:
        self._hdr = HdrHistogram(1, LONGEST_US, SIGNIFICANT_FIGURES)

    @classmethod
    def decoded(cls, encoded: str) -> Self:
        """What `encoded` made, also of another process."""
        found = cls()
        found._hdr.decode_and_add(encoded.encode())
        return found

    @property
    def count(self) -> int:
        """How many were recorded."""
        return int(self._hdr.get_total_count())

    @property
    def mean_ms(self) -> float:
        """0 where nothing was recorded."""
        return float(self._hdr.get_mean_value()) / 1000 if self.count else 0.0

    @property
    def max_ms(self) -> float:
        """0 where nothing was recorded."""
        return float(self._hdr.get_max_value()) / 1000 if self.count else 0.0

    @classmethod
    def of(cls, latencies_us: Iterable[int]) -> Self:
        """The distribution of these; less than 1 µs is 1 µs."""
        found = cls()
        for latency_us in latencies_us:
            found._hdr.record_value(min(max(latency_us, 1), LONGEST_US))
        return found

    def merge(self, other: "Latencies") -> None:
        """Add all of another's; the order of merging does not matter."""
        self._hdr.add(other._hdr)

    def percentile_ms(self, percent: float) -> float:
        """The latency that `percent` of all do not exceed; 0 where nothing was recorded."""
        return float(self._hdr.get_value_at_percentile(percent)) / 1000 if self.count else 0.0

    def curve(self, percents: Sequence[float]) -> list[tuple[float, float]]:
        """(percent, ms) for each of `percents`: 1 ms for a hundred of them as for one."""
        if not self.count:
            return [(percent, 0.0) for percent in percents]
        values = self._hdr.get_percentile_to_value_dict(percents)
        return [(percent, float(values[percent]) / 1000) for percent in percents]

    def encoded(self) -> str:
        """The HDR histogram's own compressed V2 form in base64, which other tools read too."""
        return bytes(self._hdr.encode()).decode("ascii")
