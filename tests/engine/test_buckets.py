"""The bucket table is pinned, and a histogram keeps exact counts in every form."""

from zlib import crc32

import numpy as np

from engine.buckets import (
    DENSE_BUCKETS,
    EDGES,
    Histogram,
    bucket_numbers,
    bucket_numbers_of_few,
)

TABLE_CRC = 0x6840EA4E
NUMBERS = [0, 1, 2, 70963, 71195, 71750, 72231, 142522]


def _histogram(values: list[float]) -> Histogram:
    histogram = Histogram()
    histogram.add_numbers(bucket_numbers(np.array(values)))
    return histogram


def test_the_bucket_table_is_what_data_on_disk_was_written_with() -> None:
    assert len(EDGES) == 142_529
    assert EDGES[2] == 2.0**-1022
    assert EDGES[3] == 2.0**-1022 * 1.01
    assert crc32(EDGES.astype("<f8").tobytes()) == TABLE_CRC


def test_bucket_numbers_never_change() -> None:
    values = np.array([0.0, 5e-324, 2.0**-1022, 0.1, 1.0, 250.0, 30_000.0, 1.7e308])
    assert bucket_numbers(values).tolist() == NUMBERS


def test_a_value_on_an_edge_belongs_to_the_bucket_above() -> None:
    edges = EDGES[:-1]
    assert (bucket_numbers(edges) == np.arange(len(edges))).all()
    assert (bucket_numbers(np.nextafter(EDGES[1:], 0.0)) == np.arange(len(edges))).all()


def test_few_values_are_in_the_buckets_of_many() -> None:
    edges = EDGES[:-1:7]
    values = np.concatenate((edges, np.nextafter(EDGES[1::7], 0.0), [1.7e308]))
    assert bucket_numbers_of_few(values) == bucket_numbers(values).tolist()


def test_what_is_counted_one_by_one_is_what_is_counted_at_once() -> None:
    values = [5.0] * 70_000 + [7.0, 1.0, 9.0, 1e-300, 1e300, 5.0, 1.0]
    one_by_one = Histogram()
    for start in range(0, len(values), 1000):
        one_by_one.add_few(bucket_numbers_of_few(np.array(values[start : start + 1000])))
    at_once = _histogram(values)
    assert [column.tolist() for column in one_by_one.pairs()] == [
        column.tolist() for column in at_once.pairs()
    ]
    for histogram in (one_by_one, at_once):
        histogram.narrow()
    assert one_by_one.counts.tobytes() == at_once.counts.tobytes()


def test_buckets_are_one_percent_wide() -> None:
    ratios = EDGES[3:-1] / EDGES[2:-2]
    assert ratios.max() <= 1.01 * (1 + 1e-15)


def test_counts_widen_before_they_overflow() -> None:
    part = _histogram([5.0] * 200 + [7.0])
    whole = Histogram()
    for _ in range(400):
        whole.add(part)
    _, counts = whole.pairs()
    assert counts.tolist() == [80_000, 400]


def test_a_pathological_span_is_kept_as_pairs() -> None:
    histogram = _histogram([1e-300, 1.0, 1e300])
    histogram.add(_histogram([1.0, 2.0]))
    assert histogram.numbers is not None
    assert histogram.pairs()[1].tolist() == [1, 2, 1, 1]
    assert histogram.memory_bytes() < 1000


def test_the_form_depends_on_the_contents_alone() -> None:
    wide = np.exp(np.linspace(-200.0, 200.0, 30_000))
    at_once, in_turn = Histogram(), Histogram()
    at_once.add_numbers(bucket_numbers(wide))
    for part in np.array_split(wide[::-1], 40):
        in_turn.add_numbers(bucket_numbers(part.copy()))
    assert at_once.end - at_once.first > DENSE_BUCKETS
    assert at_once.numbers is None  # more than a quarter of the span is in use
    assert in_turn.numbers is None
    assert in_turn.first == at_once.first
    assert in_turn.counts.tolist() == at_once.counts.tolist()


def test_a_place_is_the_bucket_that_holds_the_rank() -> None:
    histogram = _histogram([1.0, 1.0, 2.0, 3.0])
    one, two, three = bucket_numbers(np.array([1.0, 2.0, 3.0])).tolist()
    assert histogram.places([1, 2, 3, 4]) == [
        (one, 0, 2),
        (one, 0, 2),
        (two, 2, 1),
        (three, 3, 1),
    ]
