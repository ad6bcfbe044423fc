"""A table that is asked by batches answers as a dict does that is asked one by one."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.hashindex import BATCH_MAX, PLACE_BITS, SEGMENTS, HashIndex

SPREAD = 0x9E37_79B9_7F4A_7C15

scattered = st.integers(1, 20_000).map(lambda number: number * SPREAD % 2**64)
crowding = st.integers(1, 4_000).map(lambda number: (number << PLACE_BITS) + 7)
near = st.integers(1, 4_000)
"""All of their homes are the first ones, or the same: chosen to collide."""


@st.composite
def call(draw: st.DrawFn) -> list[int]:
    """Few hashes as drawn, or many of a seed, with repetitions and events without an id."""
    if draw(st.booleans()):
        return draw(st.lists(st.one_of(scattered, crowding, near, st.just(0)), max_size=40))
    size = draw(st.integers(48, BATCH_MAX + 300))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    numbers = rng.integers(1, draw(st.sampled_from([40, 5_000, 300_000])), size).tolist()
    kind = draw(st.sampled_from(["scattered", "crowding", "near"]))
    if kind == "scattered":
        hashes = [number * SPREAD % 2**64 for number in numbers]
    else:
        hashes = [(n << PLACE_BITS) + 7 if kind == "crowding" else n for n in numbers]
    return [0 if number % 37 == 0 else key for number, key in zip(numbers, hashes, strict=True)]


def _claimed(held: dict[int, int], hashes: list[int], mark: int, alive: bytes) -> list[int]:
    """What `claim` does, said plainly."""
    known = []
    for position, key in enumerate(hashes):
        if key and key in held and alive[held[key]]:
            known.append(position)
        elif key:
            held[key] = mark
    return known


@settings(max_examples=60, deadline=None)
@given(st.lists(call(), max_size=14), st.integers(1, 5))
def test_claiming_is_that_of_a_dict_whose_dead_are_forgotten(
    calls: list[list[int]], keeps: int
) -> None:
    index, held = HashIndex("uint8", foreseen=9_000), dict[int, int]()
    for mark, hashes in enumerate(calls, start=1):
        alive = bytes(mark - keeps < other <= mark for other in range(256))
        assert index.claim(hashes, mark, alive) == _claimed(held, hashes, mark, alive)
        for segment in range(mark * 50 % SEGMENTS, SEGMENTS, mark):
            index.drop_dead(segment, alive)
        keys, payloads = index.pairs()
        pairs = dict(zip(keys.tolist(), payloads.tolist(), strict=True))
        assert len(index) == len(keys) == len(pairs)
        expected = {key: old for key, old in held.items() if alive[old]}
        assert {key: old for key, old in pairs.items() if alive[old]} == expected


@settings(max_examples=60, deadline=None)
@given(st.lists(call(), max_size=10))
def test_rows_are_those_of_a_dict(calls: list[list[int]]) -> None:
    index, held = HashIndex("uint32"), dict[int, int]()
    for with_zeros in calls:
        hashes = [key for key in with_zeros if key]
        before = len(held)
        expected = [held.setdefault(key, len(held)) for key in hashes]
        assert index.rows_of(hashes, new_from=before) == expected
        assert len(index) == len(held)
    assert [index.get(key) for key in held] == list(held.values())


def test_chosen_hashes_and_others_are_held_while_the_table_is_stretched() -> None:
    """Homes that all collide, in a table large enough to be stretched over many calls."""
    index, held, alive = HashIndex("uint8"), dict[int, int](), bytes([1]) * 256
    rng = np.random.default_rng(3)
    crowd = [(n << PLACE_BITS) + 2**29 for n in range(1, 3_001)]
    for turn in range(120):
        hashes = rng.integers(1, 2**63, 1_500, np.uint64).tolist()
        hashes += crowd[turn * 25 : turn * 25 + 40]
        assert index.claim(hashes, 1, alive) == _claimed(held, hashes, 1, alive)
    assert len(index) == len(held)
    assert sorted(index.pairs()[0].tolist()) == sorted(held)


@settings(max_examples=60, deadline=None)
@given(st.lists(call(), min_size=1, max_size=6), st.integers(1, 9), st.booleans())
def test_removing_is_that_of_a_dict_also_while_the_table_grows(
    calls: list[list[int]], every: int, is_crowded: bool
) -> None:
    index, held = HashIndex("uint32"), dict[int, int]()
    for hashes in calls:
        for key, row in zip(
            keys_of(hashes), index.rows_of(keys_of(hashes), new_from=len(held)), strict=True
        ):
            held.setdefault(key, row)
        for key in list(held)[:: every * (7 if is_crowded else 1)]:
            assert index.remove(key) == held.pop(key)
            assert index.remove(key) is None
        assert len(index) == len(held)
        assert {key: index.get(key) for key in held} == held
        found, payloads = index.pairs()
        assert dict(zip(found.tolist(), payloads.tolist(), strict=True)) == held


def keys_of(hashes: list[int]) -> list[int]:
    return [key for key in hashes if key]
