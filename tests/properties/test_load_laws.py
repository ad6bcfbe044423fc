"""What holds of every load run: when requests are due, what is told, what is searched."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from load.capacity import HIGHEST_PER_S, PRECISION, Search
from load.latency import LONGEST_US, Latencies
from load.profile import Phase, Profile, rates
from load.schedule import arrivals_ns, due_before

rate = st.floats(0.0, 400.0).map(lambda value: round(value, 2))
phases = st.lists(
    st.builds(
        lambda share, start, end: Phase(share=share, start=start, end=end),
        st.floats(0.05, 5.0),
        rate,
        st.one_of(st.none(), rate),
    ),
    min_size=1,
    max_size=5,
)
durations = st.floats(0.1, 5.0)
courses = st.builds(
    lambda found, duration_s: rates(
        Profile(description="", phase=tuple(found)), rate_per_s=1.0, duration_s=duration_s
    ),
    phases,
    durations,
)
seeds = st.integers(0, 2**32)
latencies = st.lists(st.integers(1, LONGEST_US), min_size=1, max_size=200)


@given(courses, st.floats(0.0, 1.0))
def test_even_arrivals_follow_the_integral_of_the_rate_at_every_instant(course, share):
    at_s = share * course[-1][0]
    due = [ns / 1e9 for ns in arrivals_ns(course, arrivals="even", seed=0)]
    before = sum(one < at_s - 1e-6 for one in due)
    until = sum(one <= at_s + 1e-6 for one in due)
    assert before <= math.ceil(due_before(course, at_s) + 1e-6)
    assert until >= math.ceil(due_before(course, at_s) - 1e-6)


@given(courses, seeds, st.sampled_from(["even", "poisson"]))
def test_arrivals_never_fall_and_lie_within_the_run(course, seed, kind):
    due = list(arrivals_ns(course, arrivals=kind, seed=seed))
    assert due == sorted(due)
    assert all(0 <= ns <= course[-1][0] * 1e9 for ns in due)


@given(courses, seeds, st.sampled_from(["even", "poisson"]), st.integers(1, 5))
def test_the_workers_together_take_each_arrival_once(course, seed, kind, workers):
    whole = list(arrivals_ns(course, arrivals=kind, seed=seed))
    shared = [
        ns
        for worker in range(workers)
        for ns in arrivals_ns(course, arrivals=kind, seed=seed, worker=worker, workers=workers)
    ]
    assert sorted(shared) == whole


@given(courses, seeds)
def test_poisson_arrivals_are_as_many_as_the_rate_says_give_or_take_chance(course, seed):
    due = list(arrivals_ns(course, arrivals="poisson", seed=seed))
    mean = due_before(course, course[-1][0])
    assert abs(len(due) - mean) <= 7 * math.sqrt(mean) + 12


@given(st.floats(1.0, 1000.0), seeds)
def test_nothing_is_due_while_the_rate_is_zero(per_s, seed):
    course = [(0.0, per_s), (1.0, per_s), (1.0, 0.0), (2.0, 0.0), (2.0, per_s), (3.0, per_s)]
    due = list(arrivals_ns(course, arrivals="poisson", seed=seed))
    assert not [ns for ns in due if 1.0e9 < ns < 2.0e9]


@settings(max_examples=30)
@given(latencies, st.floats(0.1, 100.0))
def test_a_percentile_is_that_of_the_values_within_a_thousandth(values, percent):
    told_us = round(1000 * Latencies.of(values).percentile_ms(percent), 3)  # told in ms
    # The rank is rounded to the nearest in HDR, and up in NumPy.
    ranks = [percent, max(percent - 50 / len(values), 0), min(percent + 50 / len(values), 100)]
    exact = [np.percentile(values, rank, method="inverted_cdf") for rank in ranks]
    assert min(exact) <= told_us <= 1.001 * max(exact) + 1


@settings(max_examples=30)
@given(latencies, latencies)
def test_merged_histograms_tell_what_one_of_all_values_tells(some, others):
    merged, whole = Latencies.of(some), Latencies.of(some + others)
    merged.merge(Latencies.decoded(Latencies.of(others).encoded()))
    assert merged.count == whole.count
    assert merged.curve((1, 50, 90, 99, 100)) == whole.curve((1, 50, 90, 99, 100))


@given(st.floats(1.0, HIGHEST_PER_S), st.floats(1.0, 100_000.0))
def test_the_search_ends_just_below_the_capacity(capacity, first):
    search, tried = Search(first), 0
    while (tried_rate := search.next) is not None:
        search.tell(tried_rate, is_held=tried_rate <= capacity)
        tried += 1
        assert tried < 100
    if capacity < 2:
        assert search.held is None or search.held <= capacity
    else:
        assert search.held is not None
        assert search.held <= capacity <= search.held * (1 + PRECISION) * 2
        assert capacity <= search.held * (1 + PRECISION) or search.held >= HIGHEST_PER_S / 2
