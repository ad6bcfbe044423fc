"""What holds of sketches and of the window of ids for every input and every order."""

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.buckets import EDGES
from engine.cardinality import UserSketch
from engine.dedup import IdWindow
from engine.quantile import LatencySketch

QS = (0.0, 0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 1.0)
HOUR_MS = 3_600_000

edges = st.integers(0, len(EDGES) - 2).map(lambda number: float(EDGES[number]))
nasty = st.one_of(
    st.just(0.0),
    edges,
    edges.map(lambda edge: float(np.nextafter(edge, 0.0))),
    st.floats(0.0, 1.7e308),
    st.floats(0.1, 60_000.0),
    st.integers(0, 60_000).map(float),
)
few = st.lists(nasty, max_size=40)
repeated = st.lists(st.tuples(nasty, st.integers(1, 200)), max_size=8).map(
    lambda pairs: [value for value, times in pairs for _ in range(times)]
)
heavy = st.integers(0, 2**32).map(
    lambda seed: (np.random.default_rng(seed).pareto(0.7, 400) * 3).tolist()
)
latencies = st.one_of(few, repeated, heavy)
kinds = st.tuples(st.sampled_from([0, 8, 64, 256]), st.booleans())


def _sketch(values: Sequence[float], kind: tuple[int, bool]) -> LatencySketch:
    sketch = LatencySketch(kind[0], keeps_kll=kind[1])
    for start in range(0, len(values), 100):
        sketch.add_many(values[start : start + 100])
    return sketch


def _micros(value_ms: float) -> int:
    scaled = value_ms * 1000.0
    return int(value_ms) * 1000 if scaled == float("inf") else round(Fraction(scaled))


def _holds(sketch: LatencySketch, values: Sequence[float]) -> None:
    """Totals are exact, and each true percentile lies in an interval of 1 %."""
    assert sketch.count == len(values)
    assert sketch.sum_us == sum(map(_micros, values))
    if not values:
        return
    assert (sketch.min_ms, sketch.max_ms) == (min(values), max(values))
    truth = np.quantile(values, QS, method="inverted_cdf").tolist()
    for quantile, true in zip(sketch.quantiles(QS), truth, strict=True):
        assert quantile is not None
        assert quantile.low <= true <= quantile.high
        assert quantile.low <= quantile.value <= quantile.high
        if true >= 2.0**-1022:  # below, one bucket holds all
            assert quantile.high - quantile.low <= quantile.low * 0.01 * (1 + 1e-12)
            assert abs(quantile.value - true) <= true * 0.01 * (1 + 1e-12)


@settings(max_examples=80, deadline=None)
@given(latencies, kinds)
def test_percentiles_lie_in_their_interval(values: list[float], kind: tuple[int, bool]) -> None:
    _holds(_sketch(values, kind), values)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(latencies, kinds), max_size=5), st.randoms(use_true_random=False))
def test_merging_in_any_order_holds_the_same(
    parts: list[tuple[list[float], tuple[int, bool]]], rng: object
) -> None:
    values = [value for part, _ in parts for value in part]
    at_once = LatencySketch.merged(_sketch(*part) for part in parts)
    in_turn = LatencySketch()
    rng.shuffle(parts)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
    for part in parts:
        in_turn.merge(_sketch(*part))
    paired = LatencySketch.merged(
        [LatencySketch.merged(_sketch(*p) for p in half) for half in (parts[:2], parts[2:])]
    )
    for whole in (at_once, in_turn, paired):
        _holds(whole, values)


@settings(max_examples=60, deadline=None)
@given(st.lists(latencies, min_size=1, max_size=4), st.sampled_from([0, 64]))
def test_bytes_without_kll_do_not_depend_on_the_order(
    parts: list[list[float]], exact_max: int
) -> None:
    forth, back = (LatencySketch(exact_max, keeps_kll=False) for _ in range(2))
    for part in parts:
        forth.merge(_sketch(part, (exact_max, False)))
    for part in reversed(parts):
        back.add_many(part[::-1])
    assert forth.dump() == back.dump()


@settings(max_examples=80, deadline=None)
@given(latencies, kinds, few)
def test_a_loaded_sketch_is_the_one_that_was_dumped(
    values: list[float], kind: tuple[int, bool], later: list[float]
) -> None:
    sketch = _sketch(values, kind)
    again = LatencySketch.load(sketch.dump())
    assert again.dump() == sketch.dump()
    assert again.quantiles(QS) == sketch.quantiles(QS)
    again.add_many(later)
    _holds(again, values + later)


@settings(max_examples=40, deadline=None, derandomize=True)  # a bound of chance: no surprises
@given(st.lists(st.sets(st.integers(1, 3_000), max_size=900), max_size=4))
def test_distinct_users_are_exact_or_within_four_standard_deviations(
    parts: list[set[int]],
) -> None:
    spread = 0x9E37_79B9_7F4A_7C15  # odd: distinct users stay distinct
    sketches = []
    for users in parts:
        sketch = UserSketch()
        sketch.add_many([user * spread % 2**64 for user in users])
        sketches.append(sketch)
    estimate = UserSketch.merged(sketches).estimate()
    true = len(set().union(*parts))
    assert abs(estimate.count - true) <= 2 * estimate.relative_error * true + 1e-9
    assert UserSketch.merged(sketches[::-1]).is_exact == (true <= 1024)


calls = st.lists(
    st.tuples(st.lists(st.integers(0, 300), max_size=30), st.integers(0, HOUR_MS // 4)),
    max_size=60,
)


@settings(max_examples=80, deadline=None)
@given(calls, st.sampled_from([16, 100, 10_000]), st.integers(0, 60))
def test_the_window_is_a_set_of_the_last_ids(
    calls: list[tuple[list[int], int]], ids_max: int, restart_at: int
) -> None:
    """Known while in the window, unknown where never seen; between, as its own memory says."""
    window = IdWindow(ids_max=ids_max, keep_ms=HOUR_MS)
    parts: list[bytes] = []
    accepted: dict[int, tuple[int, int]] = {}  # id → (its number, when) of its last acceptance
    now_ms = numbered = 0
    for turn, (ids, step_ms) in enumerate(calls):
        now_ms += step_ms
        if turn == restart_at:
            parts += window.dump(full=False)
            window = IdWindow(ids_max=ids_max, keep_ms=HOUR_MS)
            window.load(parts)
        known = set(window.duplicates(ids, now_ms))
        for position, key in enumerate(ids):
            number, at_ms = accepted.get(key, (-1, 0))
            if position in known:
                assert number >= 0
                assert key
                assert numbered - number <= ids_max + ids_max // 16 + 1 + 2 * 30
                assert now_ms - at_ms <= HOUR_MS + HOUR_MS // 16
            else:
                is_inside = numbered - number <= ids_max and now_ms - at_ms < HOUR_MS
                assert not key or number < 0 or not is_inside
                if key:
                    accepted[key] = (numbered, now_ms)
                    numbered += 1
        if turn % 5 == 0:
            parts += window.dump(full=False)
