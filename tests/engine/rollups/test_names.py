from engine.rollups.names import EXPERIMENT, SERVICE, VARIANT, Names
from tests.owners import Owns


def test_the_latest_name_stays() -> None:
    names = Names()
    names.fold([(SERVICE, "a", 0, "Old"), (SERVICE, "a", 0, "New")])
    assert names.get(SERVICE, "a") == "New"
    assert names.get(EXPERIMENT, "a") is None


def test_variants_have_names_of_their_own() -> None:
    names = Names()
    names.fold([(VARIANT, "x", 0, "Red"), (VARIANT, "x", 1, "Blue"), (EXPERIMENT, "x", 0, "X")])
    found = [names.get(VARIANT, "x", 0), names.get(VARIANT, "x", 1), names.get(EXPERIMENT, "x")]
    assert found == ["Red", "Blue", "X"]


def test_changes_come_back_in_their_order_and_only_to_their_owner() -> None:
    names = Names()
    slots = {}
    for number in range(12):  # more than ten: the order is that of numbers and not of texts
        names.fold([(SERVICE, "a", 0, f"v{number}"), (SERVICE, "b", 0, "B")])
        slots |= dict(names.dump(full=number == 0))
    back = Names()
    back.load(slots, Owns("a", unkeyed=False))
    assert back.get(SERVICE, "a") == "v11"
    assert back.get(SERVICE, "b") is None
    back.fold([(SERVICE, "a", 0, "after")])
    assert set(dict(back.dump(full=False))).isdisjoint(slots)


def test_a_name_that_did_not_change_is_not_dumped_again() -> None:
    names = Names()
    names.fold([(SERVICE, "a", 0, "A")])
    list(names.dump(full=False))
    names.fold([(SERVICE, "a", 0, "A")])
    assert list(names.dump(full=False)) == []
