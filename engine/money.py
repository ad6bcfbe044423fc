"""Millionths of a currency unit, in integers: amounts, fees, months of a subscription.

Money is never added as a float. What a user writes is a decimal, and a float is the nearest
binary fraction to it, so everything here goes back to the decimal (the shortest that reads as
the same float) and rounds it once, half to even. So no sum depends on the order of adding.
"""

from decimal import Context, Decimal
from functools import lru_cache
from typing import Final, Literal

MICROS: Final = 1_000_000
"""Micros in a unit."""

SAFE_PRODUCT: Final = 1e15
"""Up to here `amount * 1e6` is off by less than 0.23: twice half a unit in the last place."""

MONTHS: Final = {"day": (365, 12), "week": (365, 84), "month": (1, 1), "year": (1, 12)}
"""How many of an interval make a month, as a fraction: a year is 12 months and 365 days."""

_EXACT: Final = Context(prec=64)
"""Never rounds, as a float has 17 digits at most; the default context is open to change."""


def micros(amount: float) -> int:
    """The amount as written, in micros: 19.99 gives 19_990_000. Finite, of either sign.

    The product decides where it cannot be wrong: below SAFE_PRODUCT its error is under 0.23, so
    within a quarter of an integer that integer is the nearest to the decimal as well. The rest
    (about a billion and more, or more than six decimals) goes by way of the decimal, in 1 µs.
    """
    product = amount * 1e6
    if -SAFE_PRODUCT < product < SAFE_PRODUCT:
        nearest = round(product)
        if -0.25 < product - nearest < 0.25:
            return nearest
    return round(_EXACT.multiply(Decimal(str(amount)), Decimal(MICROS)))


def fee_micros(amount_micros: int, take_rate: float) -> int:
    """The share of an amount that the marketplace keeps; the rate in percent, as written."""
    numerator, denominator = _fraction(take_rate)
    return _divided(amount_micros * numerator, denominator * 100)


@lru_cache(maxsize=1_024)
def _fraction(rate: float) -> tuple[int, int]:
    return Decimal(str(rate)).as_integer_ratio()


def month_micros(
    amount_micros: int, interval: Literal["day", "week", "month", "year"], count: int
) -> int:
    """What an amount paid every `count` intervals (1 or more) comes to in a month."""
    numerator, denominator = MONTHS[interval]
    return _divided(amount_micros * numerator, denominator * count)


def _divided(dividend: int, divisor: int) -> int:
    """The quotient rounded half to even, in integers; the divisor is positive."""
    quotient, rest = divmod(dividend, divisor)
    return quotient + (2 * rest > divisor or (2 * rest == divisor and quotient % 2))


def units(micros: int) -> float:
    """The amount as a JSON number; below a billion it prints as the user wrote it."""
    return micros / MICROS


def mean_units(micros: int, count: int) -> float:
    """The mean of amounts as a JSON number, rounded once: 0.3 in three is 0.1."""
    return micros / (MICROS * count)


_CODES: Final = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP
    BYN BZD CAD CDF CHE CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB
    EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD
    JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD MMK MNT MOP
    MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR
    RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND
    TOP TRY TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA
    XBB XBC XBD XCD XCG XDR XOF XPD XPF XPT XSU XTS XUA XXX YER ZAR ZMW ZWG
"""

CURRENCIES: Final = frozenset(_CODES.split())
"""The codes of ISO 4217, list one, through amendment 180, and BGN.

In: funds, metals, XTS and XXX; BGN, withdrawn on 2026-01-01, for events up to 400 days old are
taken. Out: what went earlier (HRK 2023, ZWL 2024, ANG 2025). The journal is validated again on
replay, so a code that is in is never taken out.
"""
