"""Over any time, nobody gets more than the rate and one bucket; and whoever waits gets on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web import rates
from web.errors import RateLimited
from web.rates import Rates


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def limited(clock: Clock, per_s: float = 10, burst_s: float = 2) -> Rates:
    return Rates("events", per_s=per_s, burst_s=burst_s, clock_s=clock)


def is_let_in(bucket: Rates, holder: str, units: int = 1) -> bool:
    try:
        bucket.must_have_left(holder)
    except RateLimited:
        return False
    bucket.spend(holder, units)
    return True


def test_a_full_bucket_is_what_may_be_used_at_once() -> None:
    clock = Clock()
    bucket = limited(clock)
    assert [is_let_in(bucket, "a") for _ in range(21)] == [True] * 20 + [False]
    assert is_let_in(bucket, "b")
    clock.now_s += 0.1
    assert [is_let_in(bucket, "a"), is_let_in(bucket, "a")] == [True, False]


def test_a_batch_beyond_the_bucket_is_taken_and_paid_for() -> None:
    clock = Clock()
    bucket = limited(clock)
    assert is_let_in(bucket, "a", 100)
    with pytest.raises(RateLimited) as refused:
        bucket.must_have_left("a")
    assert refused.value.retry_after_s == 9  # 80 of debt, and one to be let in with
    clock.now_s += 8
    assert not is_let_in(bucket, "a")
    clock.now_s += 1
    assert is_let_in(bucket, "a")


@given(
    st.lists(st.tuples(st.floats(0, 3), st.integers(1, 40)), max_size=60),
    st.floats(0.5, 50),
    st.floats(1, 5),
)
def test_never_more_than_rate_and_bucket_and_the_last_batch(
    asked: list[tuple[float, int]], per_s: float, burst_s: float
) -> None:
    clock = Clock()
    bucket = limited(clock, per_s, burst_s)
    began_s, taken, last = clock.now_s, 0, 0
    for wait_s, units in asked:
        clock.now_s += wait_s
        if is_let_in(bucket, "a", units):
            taken, last = taken + units, units
            allowed = per_s * (clock.now_s - began_s) + per_s * burst_s
            assert taken - last <= allowed + 1e-6


@given(st.integers(1, 500), st.floats(0.5, 50))
def test_whoever_waits_as_long_as_told_is_let_in(units: int, per_s: float) -> None:
    clock = Clock()
    bucket = limited(clock, per_s, 1)
    bucket.spend("a", units)
    try:
        bucket.must_have_left("a")
    except RateLimited as refused:
        clock.now_s += refused.retry_after_s
    assert is_let_in(bucket, "a")


def test_many_holders_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rates, "HOLDERS_MAX", 100)
    clock = Clock()
    bucket = limited(clock)
    for number in range(1_000):
        bucket.spend(str(number), 1_000)
    assert len(bucket._full_s) <= 100
    assert not is_let_in(bucket, "999")
