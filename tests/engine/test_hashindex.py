"""A table of hashes answers like a dict, whatever the hashes and however it grew."""

import random
from zlib import crc32

import numpy as np
import pytest

from engine.hashindex import SEGMENTS, HashIndex
from engine.slots import LOAD_FORESEEN

ALIVE = bytes([1]) * 256


def _hashes(count: int, seed: int = 1) -> list[int]:
    rng = random.Random(seed)
    return [rng.getrandbits(64) or 1 for _ in range(count)]


def test_what_was_inserted_is_found_and_nothing_else() -> None:
    index = HashIndex("uint32")
    hashes = _hashes(60_000)
    for row, key in enumerate(hashes):
        index.insert(key, row)
    assert [index.get(key) for key in hashes] == list(range(60_000))
    assert {index.get(key) for key in _hashes(5_000, seed=2)} == {None}
    assert len(index) == 60_000


def test_unknown_hashes_get_new_rows_in_their_order() -> None:
    index = HashIndex("uint32")
    assert index.rows_of([7, 8, 7], new_from=0) == [0, 1, 0]
    assert index.rows_of([9, 8, 10, 9], new_from=2) == [2, 1, 3, 2]
    many = _hashes(60_000)
    assert index.rows_of(many, new_from=4) == list(range(4, 60_004))
    assert index.rows_of(many, new_from=60_004) == list(range(4, 60_004))


def test_inserting_again_changes_the_payload() -> None:
    index = HashIndex("uint32")
    index.insert(5, 1)
    index.insert(5, 4_000_000_000)
    assert index.get(5) == 4_000_000_000
    assert index.get(6) is None
    assert len(index) == 1


@pytest.mark.parametrize("step", [1, 1 << 30, 1 << 56])
@pytest.mark.parametrize("first", [1, (1 << 30) - 1])
def test_hashes_that_all_want_one_place_are_held_too(first: int, step: int) -> None:
    index = HashIndex("uint32")
    crowd = [first + step * i for i in range(250)]
    for row, key in enumerate(crowd):
        index.insert(key, row)
    assert [index.get(key) for key in crowd] == list(range(250))
    assert index.get(first + step * 250) is None


def test_claiming_tells_what_was_known() -> None:
    index = HashIndex("uint8")
    assert index.claim([7, 8, 7, 0, 0], 1, ALIVE) == [2]
    assert index.claim([9, 8], 2, ALIVE) == [1]
    assert [index.get(key) for key in (7, 8, 9, 11)] == [1, 1, 2, None]


def test_a_dead_hash_is_unknown_and_takes_the_new_payload() -> None:
    index = HashIndex("uint8")
    index.claim([7, 8], 1, ALIVE)
    dead = bytes(mark != 1 for mark in range(256))
    assert index.claim([7], 2, dead) == []
    assert index.claim([7], 3, dead) == [0]
    assert index.get(7) == 2


def test_dead_hashes_are_dropped_when_a_segment_is_rebuilt() -> None:
    index = HashIndex("uint8")
    index.claim(_hashes(20_000), 1, ALIVE)
    index.claim(_hashes(300, seed=2), 2, ALIVE)
    dead = bytes(mark != 1 for mark in range(256))
    for segment in range(SEGMENTS):
        index.drop_dead(segment, dead)
    assert len(index) == 300
    assert index.claim(_hashes(300, seed=2), 3, dead) == list(range(300))


def test_an_index_made_of_pairs_is_the_one_that_grew() -> None:
    grown = HashIndex("uint8")
    hashes = _hashes(30_000)
    grown.claim(hashes, 3, ALIVE)
    keys, payloads = grown.pairs()
    made = HashIndex.of("uint8", keys, payloads)
    assert sorted(made.pairs()[0].tolist()) == sorted(hashes)
    assert made.claim(hashes, 4, ALIVE) == list(range(30_000))
    made.claim(_hashes(30_000, seed=2), 4, ALIVE)
    assert len(made) == 60_000


def test_a_million_and_a_half_ids_cost_16_bytes_each() -> None:
    hashes = np.random.default_rng(1).integers(1, 1 << 63, 1_500_000, np.uint64) * np.uint64(2)
    made = HashIndex.of("uint8", hashes, np.ones(1_500_000, np.uint8))
    assert made.memory_bytes() <= 16 * 1_500_000
    assert crc32(np.sort(made.pairs()[0]).tobytes()) == crc32(np.sort(hashes).tobytes())


def test_a_table_of_a_foreseen_size_stops_there() -> None:
    index = HashIndex("uint8", foreseen=900_000)
    hashes = np.random.default_rng(1).integers(1, 1 << 63, 890_000, np.uint64).tolist()
    for start in range(0, len(hashes), 4_000):
        assert index.claim(hashes[start : start + 4_000], 1, ALIVE) == []
    assert 9 * 890_000 < LOAD_FORESEEN * index.memory_bytes() < 9 * 910_000
    assert index.claim(hashes[::100], 1, ALIVE) == list(range(8_900))


@pytest.mark.parametrize("step", [1, 1 << 30])
def test_thousands_that_all_want_one_place_are_told_apart_in_batches(step: int) -> None:
    index = HashIndex("uint8")
    crowd = [1 + step * i for i in range(6_000)]
    assert index.claim(crowd, 1, ALIVE) == []
    assert index.claim(crowd[::-1], 2, ALIVE) == list(range(6_000))
    assert index.claim([0] * 100, 2, ALIVE) == []
    assert index.get(crowd[-1]) == 1
    dead = bytes(256)
    for segment in range(SEGMENTS):
        index.drop_dead(segment, dead)
    assert len(index) == 0


def test_equal_hashes_of_one_batch_are_new_once_wherever_they_stand() -> None:
    hashes = _hashes(1_500)
    twice = [key for pair in zip(hashes, reversed(hashes), strict=True) for key in pair]
    expected = [i for i, key in enumerate(twice) if twice.index(key) < i]
    assert HashIndex("uint8").claim(twice, 1, ALIVE) == expected
    numbers: dict[int, int] = {}
    rows = [numbers.setdefault(key, len(numbers)) for key in twice]
    assert HashIndex("uint32").rows_of(twice, new_from=0) == rows
