import numpy as np

from engine.hashing import hash64
from engine.units import Units

EVER = (0, 2**60)


def unit(n: int) -> int:
    return hash64(f"user-{n}")


def test_a_unit_counts_once_for_the_variant_that_it_saw_first() -> None:
    units = Units()
    for at_ms in (30, 10, 20):
        units.expose(unit(1), 2, at_ms)
    assert units.counts(*EVER) == ({2: (1, 0)}, 0)
    assert units.counts(10, 11) == ({2: (1, 0)}, 0)
    assert units.counts(11, 2**60) == ({}, 0)


def test_a_unit_that_saw_several_variants_is_left_out_and_counted() -> None:
    units = Units()
    units.expose(unit(1), 0, 10)
    units.expose(unit(1), 1, 20)
    units.expose(unit(1), 0, 30)
    units.expose(unit(2), 1, 20)
    assert units.counts(*EVER) == ({1: (1, 0)}, 1)
    assert units.counts(11, 2**60) == ({1: (1, 0)}, 0)  # its first exposure was before


def test_only_a_conversion_after_the_exposure_counts_and_it_counts_once() -> None:
    units = Units()
    for n, goals in enumerate([(5,), (10,), (11, 12), (5, 50), ()]):
        for at_ms in goals:
            units.convert(unit(n), at_ms)
        units.expose(unit(n), 0, 10)
    assert units.counts(*EVER) == ({0: (5, 3)}, 0)


def test_a_conversion_without_exposure_is_no_unit() -> None:
    units = Units()
    units.convert(unit(1), 10)
    assert units.counts(*EVER) == ({}, 0)


def test_every_order_of_arrival_gives_the_same_counts() -> None:
    told = [(n % 40, n % 3, (n * 7919) % 100) for n in range(300)]
    straight, reverse = Units(), Units()
    for units, order in ((straight, told), (reverse, told[::-1])):
        for n, what, at_ms in order:
            if what == 2:
                units.convert(unit(n), at_ms)
            else:
                units.expose(unit(n), n % 4 if n < 35 else what, at_ms)
    assert straight.counts(20, 80) == reverse.counts(20, 80)
    assert straight.counts(*EVER)[1] > 0


def test_what_was_dumped_comes_back_whole_and_in_changes() -> None:
    units = Units()
    for n in range(20_000):  # more than one block
        units.expose(unit(n), n % 2, n)
    slots = dict(units.dump("units/x", full=True))
    assert len(slots) == 2
    units.convert(unit(19_999), 30_000)
    changed = dict(units.dump("units/x", full=False))
    assert set(changed) == {("units/x", 1)}
    assert units.dump("units/x", full=False) == []
    back = Units()
    back.load("units/x", slots | changed)
    back.expose(unit(19_998), 1, 5)  # of which both know that it is there
    units.expose(unit(19_998), 1, 5)
    assert back.counts(*EVER) == units.counts(*EVER)
    assert back.counts(*EVER)[0][1] == (10_000, 1)


def test_a_sample_keeps_its_share_of_units_and_says_which() -> None:
    units = Units()
    for n in range(8_000):
        units.expose(unit(n), 0, 10)
        if n % 4 == 0:
            units.convert(unit(n), 20)
    units.halve()
    units.halve()
    assert units.sample_rate == 0.25
    assert units.is_renumbered
    kept, converted = units.counts(*EVER)[0][0]
    assert kept == len(units)
    assert abs(kept - 2_000) < 4 * np.sqrt(8_000 * 0.25 * 0.75)
    assert abs(converted / kept - 0.25) < 4 * np.sqrt(0.25 * 0.75 / kept)


def test_a_sample_stays_the_same_sample_after_a_restart() -> None:
    units = Units()
    for n in range(1_000):
        units.expose(unit(n), 0, 10)
    units.halve()
    back = Units()
    back.load("units/x", dict(units.dump("units/x", full=True)))
    for n in range(2_000):
        for some in (units, back):
            some.expose(unit(n), 0, 30)
    assert back.sample_rate == 0.5
    assert back.counts(*EVER) == units.counts(*EVER)
    assert len(back) < 1_200


def test_a_unit_that_is_forgotten_is_gone_from_counts_dumps_and_loads() -> None:
    units = Units()
    for n in range(20_000):  # more than are in the dict
        units.expose(unit(n), n % 2, 10)
        units.convert(unit(n), 20)
    units.dump("k", full=True)
    for n in (3, 4, 19_999):
        units.forget(unit(n))
    assert units.counts(*EVER) == ({0: (9_999, 9_999), 1: (9_998, 9_998)}, 0)
    assert units.is_renumbered
    slots = dict(units.dump("k", full=True))
    assert unit(3).to_bytes(8, "little") not in b"".join(slot[1] for slot in slots.values())
    again = Units()
    again.load("k", slots)
    assert again.counts(*EVER) == units.counts(*EVER)
    assert again.is_renumbered  # rows have other numbers than in that dump
    again.expose(unit(19_998), 1, 5)
    assert again.counts(*EVER)[1] == 1  # who is there is still known


def test_a_unit_that_was_forgotten_is_new_when_it_comes_again() -> None:
    units = Units()
    units.expose(unit(1), 0, 10)
    units.forget(unit(1))
    units.forget(unit(2))
    assert units.counts(*EVER) == ({}, 0)
    units.expose(unit(1), 1, 30)
    assert units.counts(*EVER) == ({1: (1, 0)}, 0)
    units.halve()
    assert len(units) <= 1
