"""Thresholds: how they are read, and when they are met."""

import pytest

from load import expect, profile
from load.latency import Latencies
from load.outcome import Distribution, Outcome, Reads
from load.quantities import InvalidQuantity
from tests.load.outcomes import an_outcome


def verdicts(text: str, outcome: Outcome) -> list[bool]:
    return [one.met for one in expect.judge(expect.parse(text), outcome)]


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("p99<10ms", True),
        ("p99<9ms", False),
        ("p50<=5.1ms, p50>=4.9, p99.9<0.1s", [True, True, True]),
        ("max<11", True),
        ("mean=1", False),
        ("errors=0", False),
        ("errors<=5,refused=2,lost=1,unsent=2", [True, True, True, True]),
        ("error_rate<5%", True),
        ("rate>=9900/s", True),
        ("rate>10k/s", False),
    ],
)
def test_a_threshold_is_met_or_not(text: str, met: bool | list[bool]) -> None:
    assert verdicts(text, an_outcome()) == (met if isinstance(met, list) else [met])


def test_queries_have_thresholds_of_their_own() -> None:
    reads = Reads(
        latencies=Distribution.of(Latencies.of([20_000] * 10)),
        errors={"503": 1},
        frames=0,
        frames_expected=0,
    )
    found = verdicts("reads.p99<15ms,reads.max<21ms,reads.errors=0", an_outcome(reads=reads))
    assert found == [False, True, False]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "'' is not a threshold: expected for example p99<10ms."),
        ("p99", "'p99' is not a threshold"),
        ("p0<1ms", "there is no figure p0; there are p50"),
        ("p101<1ms", "there is no figure p101"),
        ("speed>1", "there is no figure speed"),
        ("p99<fast", "'fast' is not a duration"),
        ("errors=none", "expected a number, got 'none'"),
        ("rate>fast", "'fast' is not a rate"),
        ("reads.rate>5", "reads have percentiles, mean, max and errors"),
    ],
)
def test_what_is_no_threshold_is_refused_with_the_reason(text: str, complaint: str) -> None:
    with pytest.raises(InvalidQuantity) as caught:
        expect.parse(text)
    assert complaint in str(caught.value)


@pytest.mark.parametrize("text", ["reads.p99<1ms", "reads.errors=0"])
def test_a_threshold_on_queries_needs_queries(text: str) -> None:
    expect.must_fit(expect.parse(text), profile.load("mixed"))
    with pytest.raises(InvalidQuantity, match="asks the server for nothing"):
        expect.must_fit(expect.parse(text), profile.load("steady"))
