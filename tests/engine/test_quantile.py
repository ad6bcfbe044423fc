"""Latency percentiles: exact while few, certain to 1 % beyond, in small cells."""

import math

import numpy as np
import pytest

from engine.quantile import LatencySketch

QS = (0.0, 0.5, 0.95, 0.99, 1.0)

EXACT_HEX = (
    "010300010300000000000000000000000000000000000000000000000000000000406f4000000000"
    "03000000000003f4d00300000000000000009a9999999999b93f0000000000406f40b0fbba2e"
)
DENSE_HEX = (
    "01000200040000000000000001000000000000000000000000000000cdccccccccccf03f1b160100"
    "06000000000002ef0b020000000001ca45fd9c"
)
SPARSE_HEX = (
    "0104020003000000000000000000000000000000000000000000f03fea8ca039593e29461b160100"
    "0200000000000ee803000000000074261b898c9b621b160100393101000102837045e5"
)


def _sketch(values: object, exact_max: int = 256, *, keeps_kll: bool = True) -> LatencySketch:
    sketch = LatencySketch(exact_max, keeps_kll=keeps_kll)
    for part in np.array_split(np.asarray(values, np.float64), 7):
        sketch.add_many(part)
    return sketch


def _log_normal(count: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).lognormal(5.0, 1.0, count)


def test_nothing_has_no_percentile_and_no_average() -> None:
    sketch = LatencySketch()
    assert sketch.quantile(0.5) is None
    assert sketch.avg_ms is None
    assert LatencySketch.merged([]).quantiles((0.5, 0.9)) == (None, None)


def test_percentiles_of_few_values_are_the_values_themselves() -> None:
    sketch = _sketch(range(1, 101))
    assert sketch.is_exact
    assert [sketch.quantile(q) for q in QS] == [(v, v, v) for v in (1, 50, 95, 99, 100)]


@pytest.mark.parametrize("count", [256, 257])
def test_the_limit_of_exactness_is_a_limit(count: int) -> None:
    assert _sketch(_log_normal(count)).is_exact == (count == 256)


@pytest.mark.parametrize("keeps_kll", [True, False])
def test_the_true_percentile_lies_in_the_stated_interval(keeps_kll: bool) -> None:
    values = _log_normal(5000)
    sketch = _sketch(values, keeps_kll=keeps_kll)
    truth = np.quantile(values, QS, method="inverted_cdf")
    for quantile, true in zip(sketch.quantiles(QS), truth, strict=True):
        assert quantile is not None
        assert quantile.low <= true <= quantile.high <= quantile.low * 1.0100001
        assert quantile.low <= quantile.value <= quantile.high


def test_the_lowest_and_the_highest_rank_are_exact() -> None:
    values = _log_normal(5000)
    sketch = _sketch(values)
    assert sketch.quantile(1.0) == (values.max(),) * 3
    low = sketch.quantile(0.0)
    assert low is not None
    assert low.low == values.min()


def test_zeros_are_exact_among_other_values() -> None:
    sketch = _sketch([0.0, -0.0] * 300 + [5.0, 9.0] * 200)
    assert sketch.quantile(0.5) == (0.0, 0.0, 0.0)
    assert _sketch([0.0] * 900).quantiles(QS) == ((0.0, 0.0, 0.0),) * 5


def test_kll_finds_the_value_that_many_calls_share() -> None:
    values = np.concatenate((_log_normal(900), np.full(500, 30_000.0)))
    found = _sketch(values).quantile(0.8)
    assert found is not None
    assert found.value == 30_000.0


def test_sums_do_not_depend_on_how_values_came() -> None:
    values = [0.0005, 0.0015, 0.0025, 1e16 / 3, 1.7e308, 123.4567]
    whole = LatencySketch(2)
    whole.add_many(values)
    single = [LatencySketch(2) for _ in values]
    for sketch, value in zip(single, values, strict=True):
        sketch.add_many([value])
    assert LatencySketch.merged(single).sum_us == whole.sum_us
    assert single[0].sum_us + single[1].sum_us + single[2].sum_us == 0 + 2 + 2


def test_the_average_survives_the_largest_values() -> None:
    sketch = _sketch([1.7e308] * 300)
    assert sketch.avg_ms == pytest.approx(1.7e308)


@pytest.mark.parametrize("wrong", [-1.0, math.nan, math.inf])
def test_what_the_decoder_refuses_never_gets_in(wrong: float) -> None:
    sketch = LatencySketch()
    with pytest.raises(AssertionError):
        sketch.add_many([1.0, wrong])
    assert sketch.count == 0


def test_merging_leaves_the_other_as_it_was() -> None:
    other = _sketch(_log_normal(400))
    before = other.dump()
    whole = _sketch(_log_normal(300, seed=2))
    whole.merge(other)
    whole.merge(_sketch([7.0]))
    copied = other.copy()
    copied.add_many([1.0] * 300)
    assert other.dump() == before
    assert whole.count == 701


def test_a_part_without_kll_leaves_the_whole_without() -> None:
    parts = [_sketch(_log_normal(400, seed), keeps_kll=seed != 2) for seed in (1, 2, 3)]
    whole = LatencySketch.merged(parts)
    in_turn = LatencySketch()
    for part in parts:
        in_turn.merge(part)
    assert not whole.keeps_kll
    assert not in_turn.keeps_kll
    assert whole.quantiles(QS) == in_turn.quantiles(QS)


def test_exact_parts_stay_exact_while_they_are_few() -> None:
    hours = [_sketch([seed, seed + 0.5], 64, keeps_kll=False) for seed in range(24)]
    whole = LatencySketch.merged(hours)
    assert whole.is_exact
    assert whole.count == 48
    assert whole.quantile(0.5) == (11.5, 11.5, 11.5)


def test_without_kll_is_the_histogram_alone() -> None:
    sketch = _sketch(_log_normal(400))
    lean = sketch.without_kll()
    assert lean.dump() == _sketch(_log_normal(400), keeps_kll=False).dump()
    assert sketch.keeps_kll


def test_an_ordinary_cell_is_small() -> None:
    values = _log_normal(400)
    assert _sketch(values).memory_bytes() <= 5_000
    lean = _sketch(values, keeps_kll=False)
    assert lean.memory_bytes() <= 1_500
    assert len(lean.dump()) <= 1_500


def test_a_hostile_cell_costs_bytes_by_the_value_and_not_by_the_span() -> None:
    hostile = np.exp(np.linspace(-700.0, 700.0, 2_000))
    assert _sketch(hostile, keeps_kll=False).memory_bytes() <= 12_000


@pytest.mark.parametrize("keeps_kll", [True, False])
@pytest.mark.parametrize("values", [[], [3.0, 1.0], _log_normal(400), [1e-300, 1e300] * 200])
def test_what_was_dumped_loads_and_dumps_the_same(values: object, keeps_kll: bool) -> None:
    sketch = _sketch(values, keeps_kll=keeps_kll)
    again = LatencySketch.load(sketch.dump())
    assert again.dump() == sketch.dump()
    assert again.quantiles(QS) == sketch.quantiles(QS)
    again.add_many(_log_normal(300))
    assert again.count == sketch.count + 300


def test_the_bytes_of_an_exact_sketch_are_pinned() -> None:
    assert _sketch([250.0, 0.1, 0.0]).dump().hex() == EXACT_HEX


def test_the_bytes_of_a_histogram_are_pinned() -> None:
    dense = _sketch([1.0, 1.005, 1.05, 0.0], 2, keeps_kll=False)
    assert dense.dump().hex() == DENSE_HEX
    sparse = _sketch([1.0, 1e30, 1e30], 2, keeps_kll=False)
    assert sparse.dump().hex() == SPARSE_HEX


def test_garbage_is_refused() -> None:
    good = _sketch(_log_normal(400)).dump()
    rng = np.random.default_rng(3)
    for _ in range(300):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= int(rng.integers(1, 256))
        with pytest.raises(ValueError, match="latency sketch"):
            LatencySketch.load(bytes(bad))
    for cut in (0, 3, 20, 60, len(good) - 1):
        with pytest.raises(ValueError, match="no whole latency sketch: checksum differs"):
            LatencySketch.load(good[:cut])


def test_the_mean_of_latencies_below_a_microsecond_stays_within_them() -> None:
    sketch = LatencySketch()
    sketch.add_many([0.0006, 0.0006])
    assert sketch.avg_ms == 0.0006
