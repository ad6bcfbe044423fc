"""Rates and durations as people write them."""

import pytest

from load.quantities import InvalidQuantity, duration_s, rate_per_s


@pytest.mark.parametrize(
    ("text", "per_s"), [("10000/s", 10_000), ("10k/s", 10_000), ("2.5k", 2_500), ("7", 7)]
)
def test_a_rate_is_events_a_second(text: str, per_s: float) -> None:
    assert rate_per_s(text) == per_s


@pytest.mark.parametrize(
    ("text", "seconds"), [("60s", 60), ("5m", 300), ("1h", 3600), ("500ms", 0.5), ("2", 2)]
)
def test_a_duration_is_seconds_unless_it_says_otherwise(text: str, seconds: float) -> None:
    assert duration_s(text) == seconds


@pytest.mark.parametrize("text", ["", "fast", "-1/s", "0/s", "10/min", "1e5", "10 000/s"])
def test_what_is_no_rate_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="expected for example 10000/s"):
        rate_per_s(text)


@pytest.mark.parametrize("text", ["", "soon", "-1s", "0s", "10/s", "1d"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidQuantity, match="expected for example 60s"):
        duration_s(text)
