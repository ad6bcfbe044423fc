"""Distinct users: exact while few, within the stated error beyond, the same in any form."""

import random

import numpy as np
import pytest

from engine.cardinality import EXACT_MAX, Estimate, UserSketch


def _sketch(first: int, end: int) -> UserSketch:
    """Users `first` to `end`, each under the hash that is drawn for it."""
    sketch = UserSketch()
    sketch.add_many([random.Random(user).getrandbits(64) for user in range(first, end)])
    return sketch


def test_nobody_is_nobody() -> None:
    assert UserSketch().estimate() == Estimate(0, 0.0, 1.0)
    assert UserSketch.merged([]).estimate() == Estimate(0, 0.0, 1.0)


@pytest.mark.parametrize("users", [EXACT_MAX, EXACT_MAX + 1])
def test_the_limit_of_exactness_is_a_limit(users: int) -> None:
    sketch = _sketch(0, users)
    assert sketch.is_exact == (users == EXACT_MAX)
    assert sketch.estimate().count == users


def test_a_user_counts_once() -> None:
    sketch = _sketch(0, 700)
    sketch.add_many([random.Random(user).getrandbits(64) for user in range(600, 800)] * 2)
    assert sketch.estimate() == Estimate(800, 0.0, 1.0)


def test_many_users_are_counted_within_twice_the_stated_error() -> None:
    estimate = _sketch(0, 50_000).estimate()
    assert 0.0 < estimate.relative_error < 0.02
    assert estimate.level == 0.95
    assert abs(estimate.count / 50_000 - 1) < 2 * estimate.relative_error


def test_parts_of_all_sizes_merge_into_one() -> None:
    parts = [_sketch(0, 900), _sketch(500, 20_000), UserSketch(), _sketch(15_000, 30_000)]
    before = [part.dump() for part in parts[:3]]
    whole = UserSketch.merged(parts)
    estimate = whole.estimate()
    assert abs(estimate.count / 30_000 - 1) < 2 * estimate.relative_error
    assert [part.dump() for part in parts[:3]] == before
    whole.add_many([5])
    assert not whole.is_exact


def test_exact_parts_stay_exact_while_they_are_few() -> None:
    assert UserSketch.merged([_sketch(0, 800), _sketch(224, 1024)]).estimate().count == 1024
    assert not UserSketch.merged([_sketch(0, 800), _sketch(800, 1600)]).is_exact


@pytest.mark.parametrize("users", [0, 3, 1_500, 20_000])
def test_what_was_dumped_loads_and_dumps_the_same(users: int) -> None:
    dumped = _sketch(0, users).dump()
    again = UserSketch.load(dumped)
    assert again.dump() == dumped
    assert again.estimate() == _sketch(0, users).estimate()
    again.add_many([random.Random(user).getrandbits(64) for user in range(users)])
    assert again.estimate() == UserSketch.load(dumped).estimate()
    assert UserSketch.load(again.dump()).estimate() == again.estimate()


def test_the_bytes_of_an_exact_sketch_are_pinned() -> None:
    sketch = UserSketch()
    sketch.add_many([(1 << 64) - 1, 258, 258])
    assert sketch.dump().hex() == "01010201000000000000ffffffffffffffff" + "114cd275"


def test_bytes_stay_few() -> None:
    assert len(_sketch(0, 1_000).dump()) < 8_100
    assert len(_sketch(0, 30_000).dump()) < 8_500
    assert _sketch(0, 30_000).memory_bytes() < 10_000


def test_garbage_is_refused() -> None:
    good = _sketch(0, 1_500).dump()
    rng = np.random.default_rng(3)
    for _ in range(300):
        bad = bytearray(good)
        bad[rng.integers(len(bad))] ^= int(rng.integers(1, 256))
        with pytest.raises(ValueError, match="user sketch"):
            UserSketch.load(bytes(bad))
    for cut in (0, 3, 5, len(good) - 1):
        with pytest.raises(ValueError, match="no whole user sketch: checksum differs"):
            UserSketch.load(good[:cut])


def test_a_user_is_taken_out_of_an_exact_sketch_and_stays_in_an_estimate() -> None:
    exact = UserSketch()
    exact.add_many([5, 9, 2**64 - 1])
    assert exact.remove(9)
    assert not exact.remove(9)
    assert not exact.remove(10)
    assert exact.remove(2**64 - 1)
    assert exact.estimate().count == 1
    assert UserSketch.load(exact.dump()).estimate().count == 1
    large = UserSketch()
    large.add_many(list(range(1, 5_000)))
    before = large.estimate()
    assert not large.remove(7)
    assert large.estimate() == before
