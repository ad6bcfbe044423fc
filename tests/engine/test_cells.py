from typing import Any

from engine.cells import Cells, Horizon, add_counts
from engine.sharing import Shared
from engine.timebucket import Span


def counts() -> Cells[str, list[int]]:
    return Cells("count")


def add(cells: Cells[str, list[int]], hour: int, day: int, key: str = "a", by: int = 1) -> None:
    for place in cells.places((hour, day)):
        add_counts(place.setdefault(key, [0]), (by,))


def dumped(cells: Cells[str, list[int]], *, full: bool) -> dict[Any, Any]:
    return dict(cells.dump(full=full, dumped=list))


def total(cells: Cells[str, list[int]], *, days: Any = (), hours: Any = ()) -> int:
    found = cells.within(Span(days=tuple(days), hours=tuple(hours)))
    return sum(cell[0] for place in found for cell in place.values())


def load(into: Cells[str, list[int]], slots: dict[Any, Any], owned: str = "abc") -> None:
    for slot, content in slots.items():
        into.load(
            slot,
            content,
            loaded=list,
            merge=add_counts,
            owns=lambda key: key in owned,
            same=Shared().same,
        )


def test_an_event_counts_in_its_hour_and_in_its_day() -> None:
    cells = counts()
    add(cells, 40, 1)
    add(cells, 44, 1, by=2)
    assert total(cells, days=[1]) == 3
    assert total(cells, hours=[40]) == 1
    assert total(cells, days=[0, 2], hours=[36, 48]) == 0


def test_what_is_older_than_the_horizon_counts_no_more() -> None:
    cells = counts()
    cells.expire(Horizon(hour=40, day=2))
    add(cells, 36, 1)  # beyond both
    add(cells, 39, 2)  # its hour is gone, its day is not
    add(cells, 40, 2)
    assert total(cells, days=[1], hours=[36, 39]) == 0
    assert total(cells, days=[2]) == 2
    assert total(cells, hours=[40]) == 1


def test_what_has_expired_is_forgotten_also_where_it_was_counted_a_moment_ago() -> None:
    cells = counts()
    add(cells, 40, 1)
    cells.expire(Horizon(hour=44, day=2))
    add(cells, 40, 1)
    assert (cells.hours, cells.days) == ({}, {})


def test_a_dump_of_changes_holds_what_changed_since_the_last_dump() -> None:
    cells = counts()
    add(cells, 40, 1)
    add(cells, 140, 2)
    assert set(dumped(cells, full=False)) == {
        ("count/hour", 40), ("count/hour", 140), ("count/day", 1), ("count/day", 2)
    }  # fmt: skip
    assert dumped(cells, full=False) == {}
    add(cells, 140, 2)
    assert dumped(cells, full=False) == {
        ("count/hour", 140): [("a", [2])],
        ("count/day", 2): [("a", [2])],
    }


def test_a_full_dump_holds_everything() -> None:
    cells = counts()
    add(cells, 40, 1)
    dumped(cells, full=False)
    assert set(dumped(cells, full=True)) == {("count/hour", 40), ("count/day", 1)}


def test_what_expired_before_a_dump_is_not_in_it() -> None:
    cells = counts()
    add(cells, 40, 1)
    add(cells, 140, 2)
    cells.expire(Horizon(hour=140, day=2))
    assert set(dumped(cells, full=False)) == {("count/hour", 140), ("count/day", 2)}


def test_a_dump_that_is_loaded_is_the_same() -> None:
    cells, back = counts(), counts()
    add(cells, 40, 1, "a")
    add(cells, 44, 1, "b", by=7)
    load(back, dumped(cells, full=True))
    assert (back.hours, back.days) == (cells.hours, cells.days)


def test_loading_takes_the_keys_that_are_owned_and_adds_up_what_two_held() -> None:
    one, two, back = counts(), counts(), counts()
    add(one, 40, 1, "a", by=1)
    add(one, 40, 1, "x", by=10)
    add(two, 40, 1, "a", by=100)
    for part in (one, two):
        load(back, dumped(part, full=True))
    assert back.days == {1: {"a": [101]}}
