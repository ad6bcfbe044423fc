"""An id is known while it is in the window, forgotten soon after, and across a restart."""

import random
from itertools import chain as chained

import numpy as np
import pytest

from engine.dedup import GENERATIONS, HEADER, SORTED_MAX, IdWindow

HOUR_MS = 3_600_000

WINDOW_HEX = [
    "0100000001000000000000000100000000000000e803000000000000e80300000000000002000000"
    "0201000000000000ffffffffffffffff1096e7b4",
    "0100000001000000000000000200000000000000d007000000000000d00700000000000001000000"
    "03000000000000000e1d518b",
]


def _hashes(count: int, seed: int = 1) -> list[int]:
    rng = random.Random(seed)
    return [rng.getrandbits(64) or 1 for _ in range(count)]


def test_an_id_is_new_once() -> None:
    window = IdWindow(ids_max=1_600, keep_ms=HOUR_MS)
    assert window.duplicates([5, 6, 5], 1_000) == [2]
    assert window.duplicates([7, 6], 2_000) == [1]
    assert len(window) == 3


def test_an_event_without_id_is_always_new() -> None:
    window = IdWindow(ids_max=1_600, keep_ms=HOUR_MS)
    assert window.duplicates([0, 5, 0, 5, 0], 1_000) == [3]
    assert window.duplicates([0, 0], 1_000) == []
    assert len(window) == 1


def test_the_last_ids_are_remembered_and_few_more() -> None:
    window = IdWindow(ids_max=1_600, keep_ms=HOUR_MS)
    hashes = _hashes(10_000)
    for start in range(0, 10_000, 25):
        assert window.duplicates(hashes[start : start + 25], 1_000) == []
    assert 1_600 <= len(window) <= 1_600 + 100 + 25
    assert window.duplicates(hashes[-1_600:], 1_000) == list(range(1_600))
    assert window.duplicates(hashes[:5_000], 1_000) == []


@pytest.mark.parametrize("ids_max", [1, 2, 15, 16, 17, 33])
def test_a_window_may_be_as_small_as_one_id(ids_max: int) -> None:
    window = IdWindow(ids_max=ids_max, keep_ms=HOUR_MS)
    hashes = _hashes(1_000)
    assert window.duplicates(hashes, 1_000) == []
    assert window.duplicates(hashes[-ids_max:], 1_000) == list(range(ids_max))
    assert ids_max <= len(window) <= ids_max + ids_max // GENERATIONS + 1
    again = IdWindow(ids_max=ids_max, keep_ms=HOUR_MS)
    again.load(window.dump(full=True))
    assert again.duplicates(hashes[-ids_max:], 1_000) == list(range(ids_max))
    assert again.duplicates(hashes[:-ids_max], 1_000) == []


def test_an_id_is_remembered_until_it_is_too_old() -> None:
    keep_ms = 16 * HOUR_MS
    for age_ms, is_known in ((keep_ms - 1, True), (keep_ms + HOUR_MS + 1, False)):
        window = IdWindow(ids_max=1_000, keep_ms=keep_ms)
        window.duplicates([5], 1_000)
        window.duplicates([6], 1_000 + HOUR_MS // 2)
        assert window.duplicates([5], 1_000 + age_ms) == ([0] if is_known else [])


def test_a_clock_that_steps_back_forgets_nothing() -> None:
    window = IdWindow(ids_max=1_000, keep_ms=HOUR_MS)
    window.duplicates([5], 10 * HOUR_MS)
    assert window.duplicates([5, 6], 1) == [0]
    assert window.duplicates([5, 6], 10 * HOUR_MS + 1) == [0, 1]


def test_memory_levels_off_under_churn() -> None:
    window = IdWindow(ids_max=20_000, keep_ms=HOUR_MS)
    sizes = []
    for turn in range(12):
        hashes = _hashes(20_000, seed=turn)
        for start in range(0, 20_000, 250):
            window.duplicates(hashes[start : start + 250], 1_000)
        window.dump(full=False)
        sizes.append(window.memory_bytes())
    assert max(sizes[4:]) <= 1.25 * sizes[3]


def test_an_id_takes_at_most_16_bytes_however_many_came_before() -> None:
    ids_max, call = 1_100_000, 2_500
    window = IdWindow(ids_max=ids_max, keep_ms=HOUR_MS)
    chance = np.random.default_rng(1)
    for start in range(0, 5 * ids_max // 2, call):
        window.duplicates(chance.integers(1, 2**64, call, np.uint64), 1_000)
        if start % (20 * call) == 0:
            window.dump(full=False)
            assert len(window) < ids_max or window.memory_bytes() <= 16 * len(window)
    assert len(window) >= ids_max


def test_a_trickle_drops_what_a_flood_left() -> None:
    window = IdWindow(ids_max=200_000, keep_ms=16 * HOUR_MS)
    window.duplicates(_hashes(200_000), 0)
    window.dump(full=False)
    flooded = window.memory_bytes()
    for hour in range(300):
        window.duplicates([hour + 1], hour * HOUR_MS)
    window.dump(full=False)
    assert len(window) <= GENERATIONS + 2
    assert window.memory_bytes() < flooded / 4


def test_marks_that_come_again_never_bring_back_the_dead() -> None:
    window = IdWindow(ids_max=16, keep_ms=16 * HOUR_MS)
    hashes = _hashes(1_200)
    for hour, key in enumerate(hashes):
        assert window.duplicates([key], hour * HOUR_MS) == []
        if hour >= 40:
            assert window.duplicates([hashes[hour - 40]], hour * HOUR_MS) == []


def _loaded(parts: list[bytes]) -> IdWindow:
    window = IdWindow(ids_max=1_600, keep_ms=HOUR_MS)
    window.load(parts)
    return window


def _filled(window: IdWindow, hashes: list[int], first_ms: int) -> list[bytes]:
    parts = []
    for turn, start in enumerate(range(0, len(hashes), 40)):
        window.duplicates(hashes[start : start + 40], first_ms + turn * 60_000)
        if turn % 7 == 3:
            parts += window.dump(full=False)
    return [*parts, *window.dump(full=False)]


def test_a_restart_forgets_nothing_and_goes_on_the_same() -> None:
    live = IdWindow(ids_max=1_600, keep_ms=HOUR_MS)
    parts = _filled(live, _hashes(4_000), 0)
    again = _loaded(parts)
    assert len(again) == len(live)
    later = _hashes(3_000, seed=2) + _hashes(4_000)[-1_000:]
    for start in range(0, len(later), 40):
        now_ms = 101 * 60_000 + start * 100
        assert again.duplicates(later[start : start + 40], now_ms) == live.duplicates(
            later[start : start + 40], now_ms
        )
    assert again.dump(full=True) == live.dump(full=True)


def test_a_full_dump_replaces_all_that_came_before() -> None:
    live = IdWindow(ids_max=1_600, keep_ms=HOUR_MS)
    parts = _filled(live, _hashes(2_000), 0)
    full = live.dump(full=True)
    live.duplicates([77], 60 * 60_000)
    last = live.dump(full=False)
    for chain in ([*full, *last], [*parts, *full, *last], [*parts, *last]):
        again = _loaded(chain)
        assert again.dump(full=True) == live.dump(full=True)
        assert again.duplicates([77], 60 * 60_000) == [0]


def test_no_parts_are_an_empty_window() -> None:
    window = _loaded([])
    assert len(window) == 0
    assert _loaded(window.dump(full=True)).duplicates([5], 1) == []


def test_the_bytes_of_a_dump_are_pinned() -> None:
    window = IdWindow(ids_max=32, keep_ms=HOUR_MS)
    window.duplicates([258, (1 << 64) - 1], 1_000)
    window.duplicates([3], 2_000)
    assert [part.hex() for part in window.dump(full=False)] == WINDOW_HEX


def test_garbage_is_refused() -> None:
    window = IdWindow(ids_max=1_600, keep_ms=HOUR_MS)
    window.duplicates(_hashes(50), 1_000)
    (good,) = window.dump(full=True)
    for at in range(len(good)):
        bad = bytearray(good)
        bad[at] ^= 4
        with pytest.raises(ValueError, match="no whole part of a window: checksum differs"):
            _loaded([bytes(bad)])
    with pytest.raises(ValueError, match="no whole part of a window"):
        _loaded([b""])


@pytest.mark.parametrize("are_chosen", [False, True])
def test_a_full_dump_puts_the_ids_in_order_in_small_steps(are_chosen: bool) -> None:
    count = 5 * SORTED_MAX
    window = IdWindow(ids_max=16 * 2 * SORTED_MAX, keep_ms=HOUR_MS)
    hashes = list(range(1, count + 1)) if are_chosen else _hashes(count)
    for start in range(0, count, 4_096):
        window.duplicates(hashes[start : start + 4_096], 1_000)
    steps = list(window.dumping(full=True))
    parts = [b"".join(part) for part in steps if part]
    ids = [np.frombuffer(part[HEADER.size : -4], np.uint64).tolist() for part in parts]
    assert [len(of_part) for of_part in ids] == [2 * SORTED_MAX, 2 * SORTED_MAX, SORTED_MAX]
    assert all(of_part == sorted(of_part) for of_part in ids)
    assert sorted(chained(*ids)) == sorted(hashes)
    assert len(steps) > len(parts) + count / SORTED_MAX
