"""Money: what was written is what is kept, to the micro, and rounding is half to even."""

import re
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.money import CURRENCIES, fee_micros, micros, month_micros, units


@pytest.mark.parametrize(
    ("amount", "expected"),
    [
        (0.0, 0),
        (19.99, 19_990_000),
        (0.000001, 1),
        (1.005, 1_005_000),
        (4.35, 4_350_000),
        (0.0000005, 0),  # half to even
        (0.0000015, 2),
        (0.0000025, 2),
        (1.0000005, 1_000_000),
        (1.0000015, 1_000_002),
        (0.1 + 0.2, 300_000),
        (999_999_999.999999, 999_999_999_999_999),
        (2_250_000_000.000001, 2_250_000_000_000_001),
        (123_456_789_012.34, 123_456_789_012_340_000),
        (1e15, 10**21),
        (1e22, 10**28),
        (-19.99, -19_990_000),
        (-0.0000015, -2),
    ],
)
def test_an_amount_is_kept_as_it_was_written(amount: float, expected: int) -> None:
    assert micros(amount) == expected
    assert type(micros(amount)) is int


@given(st.integers(0, 10**15 - 1))
def test_every_whole_micro_below_a_billion_units_survives_the_way_through_json(k: int) -> None:
    assert micros(units(k)) == k
    assert Decimal(repr(units(k))) == Decimal(k) / 10**6
    assert micros(float(f"{k // 10**6}.{k % 10**6:06d}")) == k


@given(st.one_of(st.floats(-1e18, 1e18), st.integers(10**14, 10**18).map(lambda k: k / 10**6)))
def test_micros_is_the_nearest_to_the_decimal_whichever_way_it_took(amount: float) -> None:
    assert micros(amount) == round(Fraction(repr(amount)) * 10**6)


@given(st.integers(0, 10**7), st.sampled_from(["5", "49", "51", "4999", "5001"]))
def test_micros_rounds_next_to_a_tie_as_the_decimal_does(k: int, tail: str) -> None:
    written = f"{k // 10**6}.{k % 10**6:06d}{tail}"
    expected = Decimal(written).quantize(Decimal("0.000001"), ROUND_HALF_EVEN)
    assert micros(float(written)) == int(expected * 10**6)


@pytest.mark.parametrize(
    ("amount_micros", "take_rate", "expected"),
    [
        (100_000_000, 15.0, 15_000_000),
        (19_990_000, 2.9, 579_710),
        (100_000_000, 33.3333, 33_333_300),
        (100_000_000, 0.0, 0),
        (100_000_000, 100.0, 100_000_000),
        (1, 50.0, 0),  # half to even
        (3, 50.0, 2),
        (5, 50.0, 2),
        (7, 0.1, 0),
        (10**24, 0.1, 10**21),  # a float product would be off by millions
        (-3, 50.0, -2),
    ],
)
def test_a_fee_is_the_exact_share_rounded_once(
    amount_micros: int, take_rate: float, expected: int
) -> None:
    assert fee_micros(amount_micros, take_rate) == expected


@given(st.integers(0, 10**18), st.floats(0, 100))
def test_a_fee_agrees_with_fractions_and_never_exceeds_the_amount(k: int, rate: float) -> None:
    fee = fee_micros(k, rate)
    assert fee == round(Fraction(repr(rate)) * k / 100)
    assert 0 <= fee <= k


@pytest.mark.parametrize(
    ("interval", "count", "expected"),
    [
        ("month", 1, 10_000_000),
        ("month", 3, 3_333_333),
        ("year", 1, 833_333),
        ("year", 2, 416_667),
        ("week", 1, 43_452_381),
        ("week", 2, 21_726_190),  # 21,726,190.476…
        ("day", 1, 304_166_667),
        ("day", 365, 833_333),  # as much as once a year
    ],
)
def test_ten_a_time_comes_to_so_much_a_month(interval, count: int, expected: int) -> None:
    assert month_micros(10_000_000, interval, count) == expected


def test_half_a_micro_a_month_goes_to_the_even_one() -> None:
    assert [month_micros(k, "month", 2) for k in (1, 3, 5, 7)] == [0, 2, 2, 4]


def test_units_of_whole_micros_print_as_written() -> None:
    assert repr(units(19_990_000)) == "19.99"
    assert repr(units(0)) == "0.0"


def test_currencies_are_the_active_codes_and_what_events_of_this_year_may_carry() -> None:
    assert all(re.fullmatch("[A-Z]{3}", code) for code in CURRENCIES)
    assert {"USD", "EUR", "JPY", "XAU", "XTS", "XXX"} <= CURRENCIES
    assert {"SLE", "VED", "XCG", "ZWG", "XAD"} <= CURRENCIES
    assert "BGN" in CURRENCIES
    assert CURRENCIES.isdisjoint({"HRK", "ZWL", "SLL", "CUC", "ANG", "DEM", "usd", "BTC", ""})
    assert len(CURRENCIES) == 179
