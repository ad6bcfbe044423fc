"""Thinning: unbiased, the same wherever parts are cut, and nothing below the rate."""

import math

import numpy as np
import pytest

from persistence.archive.thinning import Thinning

RATE = 200
TIMES = 20
SEEDS = 30


def thinned(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values of a second with 20 times the rate; those that are kept, and their weights."""
    values = np.random.default_rng(seed).lognormal(4, 1, RATE * TIMES)
    first_seq = 1 + seed * values.size
    seqs = range(first_seq, first_seq + values.size)
    weights = Thinning(RATE, lambda _: "svc").weights(list(values), seqs, 5_000)
    assert weights is not None
    kept = np.array(weights) > 0
    return values, values[kept], np.array(weights)[kept]


def weighted_quantile(values: np.ndarray, weights: np.ndarray, q: float) -> float:
    """The first value whose cumulated weight reaches ceil(q × total)."""
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    place = int(np.searchsorted(reached, math.ceil(q * reached[-1])))
    return float(values[order][place])


def within(errors: list[float], times: float = 4) -> bool:
    """Whether the mean of independent errors lies within `times` of its standard error of 0."""
    spread = np.std(errors, ddof=1) / math.sqrt(len(errors))
    return abs(float(np.mean(errors))) <= times * float(spread)


def variance_of_sum(values: np.ndarray) -> float:
    """Of a weighted sum, by the chances with which each value was kept."""
    nth = np.arange(1, values.size + 1)
    weights = np.exp2(np.ceil(np.log2(np.maximum(nth / RATE, 1))))
    return float(np.sum(values**2 * (weights - 1)))


def test_counts_and_sums_at_20_times_the_rate_lie_within_four_standard_errors() -> None:
    for seed in range(SEEDS):
        values, kept, weights = thinned(seed)
        for true, found in ((np.ones_like(values), np.ones_like(kept)), (values, kept)):
            error = float(np.sum(found * weights) - np.sum(true))
            assert abs(error) <= 4 * math.sqrt(variance_of_sum(true))


def test_counts_and_sums_and_quantiles_at_20_times_the_rate_are_not_biased() -> None:
    errors: dict[str, list[float]] = {"count": [], "sum": [], "p50": [], "p95": []}
    for seed in range(SEEDS):
        values, kept, weights = thinned(seed)
        errors["count"].append(float(weights.sum()) - values.size)
        errors["sum"].append(float((kept * weights).sum() - values.sum()))
        for name, q in (("p50", 0.5), ("p95", 0.95)):
            true = float(np.quantile(values, q, method="inverted_cdf"))
            errors[name].append(weighted_quantile(kept, weights, q) - true)
    assert {name: within(found) for name, found in errors.items()} == dict.fromkeys(
        errors, True
    )


def test_weighted_quantiles_lie_within_four_standard_errors_of_their_rank() -> None:
    for seed in range(SEEDS):
        values, kept, weights = thinned(seed)
        for q in (0.5, 0.9, 0.95):
            rank = float(np.mean(values <= weighted_quantile(kept, weights, q)))
            below = values <= np.quantile(values, q)
            # Of the share below the true quantile, as a ratio of two weighted sums.
            spread = math.sqrt(variance_of_sum(below - q)) / values.size
            assert abs(rank - q) <= 4 * spread + 2 * float(weights.max()) / values.size


def test_at_20_times_the_rate_about_three_times_the_rate_is_kept() -> None:
    _, kept, weights = thinned(1)
    assert 2.8 * RATE < kept.size < 3.4 * RATE
    assert set(weights) == {1, 2, 4, 8, 16, 32}


def test_at_the_rate_nothing_is_thinned_and_one_beyond_stands_for_two_or_is_left_out() -> None:
    thinning = Thinning(3, str)
    assert thinning.weights(["a"] * 3, [1, 2, 3], 1_999) is None
    fate = {Thinning(3, str).weights(["a"] * 4, range(n, n + 4), 0)[-1] for n in range(50)}
    assert fate == {0, 2}
    assert thinning.weights(["a"] * 3, [4, 5, 6], 2_000) is None  # a new second


def test_the_rate_is_that_of_each_key_and_not_of_all() -> None:
    thinning = Thinning(2, str)
    assert thinning.weights(["a", "b", "a", "b", "c"], range(5), 0) is None
    weights = thinning.weights(["b", "c"], [5, 6], 0)
    assert weights is not None
    assert weights[0] in (0, 2)
    assert weights[1] == 1


@pytest.mark.parametrize("cut", [1, 3, 40])
def test_a_dump_goes_on_where_it_was_taken(cut: int) -> None:
    keys = ["a", "b", "a"] * 20
    whole = Thinning(4, str).weights(keys, range(60), 700) or [1] * 60
    first, second = Thinning(4, str), Thinning(4, str)
    before = first.weights(keys[:cut], range(cut), 700) or [1] * cut
    second.load(first.dump())
    after = second.weights(keys[cut:], range(cut, 60), 999) or [1] * (60 - cut)
    assert before + after == whole


def test_a_step_back_of_the_clock_counts_as_the_same_second() -> None:
    thinning = Thinning(2, str)
    assert thinning.weights(["a", "a"], [1, 2], 5_000) is None
    assert thinning.weights(["a"], [3], 4_000) in ([0], [2])
