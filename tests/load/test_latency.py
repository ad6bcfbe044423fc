"""Histograms of latencies: what they tell, and that other processes and tools can read them."""

import pytest
from hdrh.histogram import HdrHistogram

from load.latency import LONGEST_US, PERCENTILES, Latencies


def test_a_histogram_of_nothing_tells_nought() -> None:
    nothing = Latencies()
    assert (nothing.count, nothing.mean_ms, nothing.max_ms) == (0, 0.0, 0.0)
    assert nothing.percentile_ms(99) == 0.0


def test_microseconds_go_in_and_milliseconds_come_out() -> None:
    found = Latencies.of([*range(1_000, 100_001, 1_000)])
    assert found.count == 100
    assert found.mean_ms == pytest.approx(50.5, rel=1e-3)
    assert found.max_ms == pytest.approx(100, rel=1e-3)
    assert [round(found.percentile_ms(p)) for p in PERCENTILES[:5]] == [50, 75, 90, 95, 99]


def test_what_lies_beyond_the_scale_is_counted_at_its_ends() -> None:
    found = Latencies.of([-5, 0, 10 * LONGEST_US])
    assert found.count == 3
    assert found.percentile_ms(50) == 0.001
    assert found.max_ms == pytest.approx(LONGEST_US / 1000, rel=1e-3)


def test_the_encoded_form_is_the_one_that_hdr_tools_read() -> None:
    encoded = Latencies.of([1_000, 2_000, 3_000]).encoded()
    assert HdrHistogram.decode(encoded).get_total_count() == 3
    assert Latencies.decoded(encoded).percentile_ms(50) == pytest.approx(2, rel=1e-3)
