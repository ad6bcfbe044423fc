"""Statistics against figures worked by hand, and against scipy."""

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy import integrate, special, stats

from engine.significance import (
    MIXING_LOG_ODDS,
    Arm,
    always_valid_p,
    chance_to_win,
    chi_square_sf,
    decide,
    lift,
    normal_quantile,
    pearson,
    srm,
    units_needed,
    wilson,
)

CLOSED_FORM = 1e-12
BASE, BETTER = Arm(100, 1000), Arm(150, 1000)


@pytest.mark.parametrize("df", [1, 2, 3, 4, 5, 6, 7, 10, 31, 63, 64, 99, 100])
@pytest.mark.parametrize("x", [1e-8, 0.01, 0.5, 1.0, 3.84, 11.43, 50.0, 300.0, 700.0, 1300.0])
def test_the_tail_of_chi_square_is_that_of_scipy(x: float, df: int) -> None:
    assert chi_square_sf(x, df) == pytest.approx(special.chdtrc(df, x), rel=CLOSED_FORM)


def test_the_tail_of_chi_square_starts_at_one_and_ends_at_nothing() -> None:
    assert [chi_square_sf(0, df) for df in (1, 2, 63)] == [1, 1, 1]
    assert chi_square_sf(1e6, 63) == 0


def test_one_degree_of_freedom_at_the_textbook_limit_is_five_percent() -> None:
    assert chi_square_sf(3.841458820694124, 1) == pytest.approx(0.05, rel=CLOSED_FORM)


def test_the_example_of_the_contract_comes_out_as_stated() -> None:
    test = pearson([BASE, BETTER])
    assert test is not None
    assert test.statistic == pytest.approx(80 / 7, rel=1e-15)  # 2000·(100·850 − 900·150)² / …
    assert test.df == 1
    assert test.p_value == pytest.approx(0.00072, abs=5e-6)
    assert test.expected_min == 125
    assert decide([BASE, BETTER]).confidence == pytest.approx(99.93, abs=0.005)


@pytest.mark.parametrize(
    "arms",
    [
        [BASE, BETTER],
        [Arm(3, 20), Arm(9, 21), Arm(20, 60)],
        [Arm(10_000, 1_000_000), Arm(10_001, 1_000_000)],
        [Arm(i, 1000 + i) for i in range(1, 65)],
    ],
)
def test_pearson_is_that_of_scipy(arms: list[Arm]) -> None:
    table = [[arm.converted, arm.units - arm.converted] for arm in arms]
    truth = stats.chi2_contingency(table, correction=False)
    test = pearson(arms)
    assert test is not None
    exact = sum(  # in fractions, where scipy has lost digits to nearly equal rates
        Fraction((seen * n - of * c) ** 2, of * c * (n - c))
        for seen, of in arms
        for c, n in [(sum(arm.converted for arm in arms), sum(arm.units for arm in arms))]
    )
    assert test.statistic == pytest.approx(float(exact), rel=1e-14)
    assert test.statistic == pytest.approx(truth.statistic, rel=CLOSED_FORM, abs=1e-9)
    assert test.df == truth.dof
    assert test.p_value == pytest.approx(truth.pvalue, rel=1e-6)
    assert test.expected_min == pytest.approx(truth.expected_freq.min(), rel=CLOSED_FORM)


@pytest.mark.parametrize(
    "arms",
    [
        [],
        [BASE],
        [Arm(0, 0), Arm(5, 10)],
        [Arm(0, 10), Arm(0, 20)],
        [Arm(10, 10), Arm(20, 20)],
    ],
)
def test_there_is_no_test_without_two_variants_and_both_outcomes(arms: list[Arm]) -> None:
    assert pearson(arms) is None


@pytest.mark.parametrize(
    "arm", [Arm(0, 1), Arm(0, 50), Arm(1, 2), BASE, Arm(7, 7), Arm(999_999, 1_000_000)]
)
@pytest.mark.parametrize("level", [0.8, 0.95, 0.999])
def test_the_interval_of_a_rate_is_that_of_scipy(arm: Arm, level: float) -> None:
    truth = stats.binomtest(arm.converted, arm.units).proportion_ci(level, method="wilson")
    interval = wilson(arm, level=level)
    assert interval is not None
    assert interval == pytest.approx((truth.low, truth.high), rel=CLOSED_FORM, abs=1e-15)


def test_there_is_no_interval_without_units() -> None:
    assert wilson(Arm(0, 0)) is None


def test_the_lift_is_relative_and_its_interval_that_of_the_log_ratio() -> None:
    found = lift(BASE, BETTER)
    truth = stats.contingency.relative_risk(150, 1000, 100, 1000).confidence_interval(0.95)
    assert found is not None
    assert found.value == pytest.approx(0.5, rel=CLOSED_FORM)
    assert (found.low, found.high) == pytest.approx(
        (truth.low - 1, truth.high - 1), rel=CLOSED_FORM
    )


def test_a_lift_over_nothing_is_none_and_a_lift_to_nothing_has_no_interval() -> None:
    assert lift(Arm(0, 1000), BETTER) is None
    assert lift(Arm(0, 0), BETTER) is None
    assert lift(BASE, Arm(0, 0)) is None
    assert lift(BASE, Arm(0, 1000)) == (-1.0, None, None)
    assert lift(Arm(10, 10), Arm(20, 20)) == (0.0, None, None)


def test_quantiles_of_the_normal_are_those_of_scipy() -> None:
    for probability in (0.001, 0.2, 0.5, 0.8, 0.975, 0.9999):
        truth = special.ndtri(probability)
        assert normal_quantile(probability) == pytest.approx(truth, rel=CLOSED_FORM, abs=1e-15)


def test_an_even_split_is_no_mismatch_and_a_lopsided_one_is() -> None:
    assert not srm([5000, 5050]).is_mismatch
    found = srm([5000, 5500])
    assert found.is_mismatch
    assert found.expected == (5250, 5250)
    assert found.observed == (5000, 5500)
    assert found.p_value == pytest.approx(stats.chisquare([5000, 5500]).pvalue, rel=CLOSED_FORM)


def test_a_split_is_measured_against_its_weights() -> None:
    found = srm([910, 90], [9, 1])
    assert found.expected == (900, 100)
    assert found.p_value == pytest.approx(special.chdtrc(1, 100 / 900 + 1), rel=CLOSED_FORM)


@pytest.mark.parametrize("observed", [[], [10], [0, 0]])
def test_a_split_of_nothing_or_of_one_has_no_p(observed: list[int]) -> None:
    found = srm(observed)
    assert found.p_value is None
    assert not found.is_mismatch


def _beta_exceeds(base: Arm, variant: Arm) -> float:
    """P(variant > base) as a finite sum over the variant's conversions (Evan Miller 2014)."""
    a, b = 1 + base.converted, 1 + base.units - base.converted
    i, d = np.arange(1 + variant.converted), 1 + variant.units - variant.converted
    logs = special.betaln(a + i, b + d) - special.betaln(1 + i, d) - special.betaln(a, b)
    return math.fsum(np.exp(logs) / (d + i))


@pytest.mark.parametrize(
    ("base", "variant"),
    [
        (BASE, BETTER),
        (Arm(0, 10), Arm(1, 5)),
        (Arm(3, 3), Arm(0, 4)),
        (Arm(0, 1_000_000), Arm(3, 1_000_000)),
        (Arm(999_990, 1_000_000), Arm(999_995, 1_000_000)),
        (Arm(100_000, 1_000_000), Arm(100_300, 1_000_000)),
        (Arm(1, 4), Arm(100_500, 1_000_000)),
    ],
)
def test_the_chance_to_win_of_two_is_the_closed_form(base: Arm, variant: Arm) -> None:
    truth = _beta_exceeds(base, variant)
    assert chance_to_win([base, variant]) == pytest.approx([1 - truth, truth], abs=1e-8)


@pytest.mark.parametrize(
    "arms",
    [
        [BASE, BETTER, Arm(140, 900)],
        [Arm(0, 5), Arm(1, 4), Arm(30, 200), Arm(1000, 9000)],
        [Arm(1, 1), Arm(0, 0), Arm(5, 9)],
    ],
)
def test_the_chance_to_win_of_many_is_what_adaptive_quadrature_finds(arms: list[Arm]) -> None:
    posteriors = [stats.beta(1 + c, 1 + n - c) for c, n in arms]
    breaks = sorted(
        {x for one in posteriors for x in one.ppf([1e-9, 0.05, 0.5, 0.95, 1 - 1e-9])}
    )
    for i, share in enumerate(chance_to_win(arms)):
        others = posteriors[:i] + posteriors[i + 1 :]
        pieces = [
            integrate.quad(
                lambda x, one, rest: one.pdf(x) * math.prod(other.cdf(x) for other in rest),
                *ends,
                args=(posteriors[i], others),
                epsabs=1e-12,
            )[0]
            for ends in zip([0.0, *breaks], [*breaks, 1.0], strict=True)
        ]
        assert share == pytest.approx(math.fsum(pieces), abs=1e-8)


def test_the_chance_to_win_of_sixty_four_ranks_them_by_rate() -> None:
    shares = chance_to_win([Arm(100 + i, 1000) for i in range(64)])
    assert shares == sorted(shares)
    assert sum(shares) == pytest.approx(1, abs=1e-12)


def test_without_data_every_variant_has_the_same_chance() -> None:
    assert chance_to_win([]) == []
    assert chance_to_win([Arm(3, 9)]) == [1]
    assert chance_to_win([Arm(0, 0)] * 5) == pytest.approx([0.2] * 5, abs=1e-12)


def test_the_always_valid_p_is_the_mixture_it_claims_to_be() -> None:
    test = pearson([BASE, BETTER])
    assert test is not None
    information = 0.125 * 0.875 * 500  # p(1 − p) / (1/1000 + 1/1000)
    score = 75 / 3  # observed less expected conversions: 150 − 125
    assert score**2 / information == pytest.approx(test.statistic, rel=CLOSED_FORM)
    mixed, _ = integrate.quad(
        lambda effect: (
            math.exp(effect * score - effect**2 * information / 2)
            * stats.norm.pdf(effect, scale=MIXING_LOG_ODDS)
        ),
        -2,
        2,
        epsabs=1e-12,
    )
    assert always_valid_p([BASE, BETTER]) == pytest.approx(1 / mixed, rel=1e-9)


def test_the_always_valid_p_pays_for_every_further_variant() -> None:
    alone = always_valid_p([BASE, BETTER])
    assert alone is not None
    assert always_valid_p([BASE, BASE, BETTER, Arm(0, 0)]) == pytest.approx(3 * alone)


def test_the_always_valid_p_of_nothing_to_compare_is_none_and_of_no_evidence_one() -> None:
    assert always_valid_p([]) is None
    assert always_valid_p([BASE]) is None
    assert always_valid_p([BASE, Arm(0, 0)]) is None
    assert always_valid_p([Arm(0, 0), BASE]) is None
    assert always_valid_p([Arm(0, 10), Arm(0, 10)]) == 1
    assert always_valid_p([Arm(0, 1), Arm(1, 1)]) == pytest.approx(1, abs=0.01)


def _looks(rates: tuple[float, float], *, runs: int) -> list[list[tuple[Arm, Arm]]]:
    """Seeded experiments, each looked at 80 times, after every 100 units of a variant."""
    random = np.random.default_rng(20_261_122)
    converted = random.binomial(100, rates, size=(runs, 80, 2)).cumsum(axis=1).tolist()
    return [
        [(Arm(a, 100 * n), Arm(b, 100 * n)) for n, (a, b) in enumerate(run, start=1)]
        for run in converted
    ]


def test_peeking_fools_the_plain_p_and_not_the_always_valid_one() -> None:
    runs = _looks((0.1, 0.1), runs=300)
    plain = [min(test.p_value for look in run if (test := pearson(look))) for run in runs]
    valid = [min(p for look in run if (p := always_valid_p(look)) is not None) for run in runs]
    assert np.mean(np.array(plain) < 0.05) > 0.3
    assert np.mean(np.array(valid) < 0.05) <= 0.05


def test_the_always_valid_p_finds_a_true_difference() -> None:
    last = [always_valid_p(run[-1]) for run in _looks((0.10, 0.12), runs=100)]
    assert sum(p is not None and p < 0.05 for p in last) >= 80


def test_the_units_needed_are_those_of_the_textbook() -> None:
    # The first is 14750.79 by hand and by R's power.prop.test.
    assert units_needed(0.10, relative_lift=0.10) == 14_751
    assert units_needed(0.5, relative_lift=0.2) == 388
    assert units_needed(0.10, relative_lift=-0.10) == 13_495


def test_that_many_units_find_the_lift_in_four_of_five_experiments() -> None:
    units = units_needed(0.2, relative_lift=0.25)
    assert units is not None
    random = np.random.default_rng(1)
    pairs = random.binomial(units, (0.2, 0.25), size=(2_000, 2)).tolist()
    tests = [pearson([Arm(a, units), Arm(b, units)]) for a, b in pairs]
    assert np.mean([test is not None and test.p_value < 0.05 for test in tests]) == (
        pytest.approx(0.8, abs=0.03)
    )


@pytest.mark.parametrize(("rate", "change"), [(0.0, 0.1), (1.0, 0.1), (0.95, 0.1), (0.2, 0.0)])
def test_no_number_of_units_finds_what_cannot_be(rate: float, change: float) -> None:
    assert units_needed(rate, relative_lift=change) is None


def test_the_better_variant_wins_once_it_is_proven() -> None:
    decision = decide([BASE, BETTER])
    assert decision.winner == 1
    assert decision.confidence == pytest.approx(99.93, abs=0.005)


@pytest.mark.parametrize(
    ("arms", "why"),
    [
        ([BASE, Arm(105, 1000)], "p is 0.7"),
        ([Arm(0, 30), Arm(6, 30)], "p is 0.01, but 3 conversions are expected"),
        ([Arm(100, 1000), Arm(200, 1300)], "the split is broken"),
        ([Arm(50, 1000), BETTER, BETTER], "two are equally good"),
        ([Arm(50, 1000), BETTER, Arm(140, 1000)], "two are about equally good"),
        ([BASE], "it is alone"),
        ([BASE, Arm(0, 0)], "the other was never seen"),
    ],
)
def test_there_is_no_winner_as_long_as(arms: list[Arm], why: str) -> None:
    assert decide(arms).winner is None, why


@pytest.mark.parametrize(
    "rates", [(0.1, 0.1), (0.1, 0.1, 0.05), (0.1, 0.1, 0.1, 0.02), (0.3,) * 9 + (0.2,)]
)
def test_of_equally_good_variants_one_wins_in_no_more_than_one_in_twenty_experiments(
    rates: tuple[float, ...],
) -> None:
    random = np.random.default_rng(20_261_201)
    counts = random.binomial(1_000, rates, size=(2_000, len(rates))).tolist()
    won = [decide([Arm(c, 1_000) for c in found]).winner is not None for found in counts]
    assert np.mean(won) < 0.05 + 3 * math.sqrt(0.05 * 0.95 / len(won))


def test_the_best_of_many_wins_once_it_is_better_than_each() -> None:
    assert decide([BASE, Arm(200, 1000), BETTER]).winner == 1


def test_a_confidence_is_given_without_a_winner_and_withheld_without_a_test() -> None:
    assert decide([BASE, Arm(105, 1000)]).confidence == pytest.approx(28.8, abs=0.05)
    assert decide([BASE]).confidence is None


def test_a_split_that_was_meant_to_be_uneven_can_have_a_winner() -> None:
    assert decide([Arm(900, 9000), Arm(150, 1000)], weights=[9, 1]).winner == 1
