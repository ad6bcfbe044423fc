"""Laws of the statistics that hold for all counts."""

import math

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from engine.significance import (
    Arm,
    always_valid_p,
    chance_to_win,
    chi_square_sf,
    decide,
    lift,
    pearson,
    srm,
    wilson,
)

arms = st.integers(0, 10_000).flatmap(
    lambda units: st.builds(Arm, st.integers(0, units), st.just(units))
)
tables = st.lists(arms, min_size=2, max_size=6)


def _mirrored(arm: Arm) -> Arm:
    return Arm(arm.units - arm.converted, arm.units)


@given(st.floats(0, 1400), st.floats(0, 1400), st.integers(1, 100))
def test_a_larger_statistic_is_never_more_likely(x: float, y: float, df: int) -> None:
    low, high = sorted((x, y))
    assert 0 <= chi_square_sf(high, df) <= chi_square_sf(low, df) * (1 + 1e-12) <= 1 + 1e-12


@given(st.floats(0.001, 1400), st.integers(1, 100))
def test_two_more_degrees_of_freedom_add_one_term(x: float, df: int) -> None:
    term = math.exp(df / 2 * math.log(x / 2) - x / 2 - math.lgamma(df / 2 + 1))
    assert chi_square_sf(x, df + 2) == pytest.approx(chi_square_sf(x, df) + term, rel=1e-11)


@given(tables)
def test_neither_order_nor_the_name_of_the_outcome_changes_the_test(table: list[Arm]) -> None:
    test = pearson(table)
    turned = pearson([_mirrored(arm) for arm in reversed(table)])
    assert (test is None) == (turned is None)
    if test is not None:
        assert turned == pytest.approx(test, rel=1e-12)


@given(arms.filter(lambda arm: arm.units > 0), st.integers(1, 9), st.integers(1, 9))
def test_equal_rates_show_nothing(arm: Arm, m: int, n: int) -> None:
    test = pearson(
        [Arm(m * arm.converted, m * arm.units), Arm(n * arm.converted, n * arm.units)]
    )
    assert test is None or (test.statistic, test.p_value) == (0, 1)


@given(arms.filter(lambda arm: arm.units > 0))
def test_the_interval_holds_the_rate_and_mirrors_with_it(arm: Arm) -> None:
    interval, mirrored = wilson(arm), wilson(_mirrored(arm))
    assert interval is not None
    assert mirrored is not None
    low, high = interval
    assert 0 <= low <= arm.rate <= high <= 1
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(arms, arms)
def test_swapping_baseline_and_variant_inverts_the_lift(base: Arm, variant: Arm) -> None:
    there, back = lift(base, variant), lift(variant, base)
    assume(there and back and there.low is not None and there.high is not None)
    assert (1 + there.value) * (1 + back.value) == pytest.approx(1, rel=1e-12)
    assert (1 + there.low) * (1 + back.high) == pytest.approx(1, rel=1e-12)
    assert there.low < there.value < there.high


@settings(max_examples=60)
@given(tables)
def test_chances_to_win_sum_to_one_and_follow_their_variants(table: list[Arm]) -> None:
    shares = chance_to_win(table)
    assert math.fsum(shares) == pytest.approx(1, abs=1e-12)
    assert all(share >= 0 for share in shares)
    assert chance_to_win(table[::-1]) == pytest.approx(shares[::-1], abs=1e-9)


@settings(max_examples=60)
@given(tables, st.integers(1, 500))
def test_more_conversions_raise_the_chance_to_win(table: list[Arm], more: int) -> None:
    first = table[0]
    better = Arm(min(first.converted + more, first.units), first.units)
    assert chance_to_win([better, *table[1:]])[0] >= chance_to_win(table)[0] - 1e-8


@settings(max_examples=60)
@given(arms, arms)
def test_the_chance_of_the_one_is_the_mirrored_chance_of_the_other(a: Arm, b: Arm) -> None:
    assert chance_to_win([a, b]) == pytest.approx(
        chance_to_win([_mirrored(a), _mirrored(b)])[::-1], abs=1e-9
    )


@given(tables)
def test_the_price_of_peeking_is_never_negative(table: list[Arm]) -> None:
    for arm in table[1:]:
        test, valid = pearson([table[0], arm]), always_valid_p([table[0], arm])
        if test is not None:
            assert valid is not None
            assert test.p_value <= valid <= 1


@given(tables)
def test_only_the_highest_rate_wins(table: list[Arm]) -> None:
    winner = decide(table).winner
    if winner is not None:
        assert all(
            arm.rate < table[winner].rate
            for index, arm in enumerate(table)
            if arm.units and index != winner
        )


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=64))
def test_the_expected_split_has_as_many_units_as_the_observed(observed: list[int]) -> None:
    assert math.fsum(srm(observed).expected) == pytest.approx(sum(observed), rel=1e-12)
