import random

from engine.cells import OTHER, Cells
from engine.columns import Keys
from engine.intake import PENDING_MAX, WAITING_MAX, Intakes, ServiceCell, ServiceCells
from engine.timebucket import DAY_MS, Calendar
from tests.columns import calls

UTC = Calendar("UTC")
DAY = 740_000
START_MS = UTC.day_start_ms(DAY)
HOUR_MS = 3_600_000


def intakes(**settings: int) -> tuple[Intakes, ServiceCells, ServiceCells]:
    cells: ServiceCells = Cells("cell")
    sums: ServiceCells = Cells("sum")
    limits = {"codes_max": 100, "categories_max": 100} | settings
    return Intakes(UTC, cells, sums, **limits), cells, sums


def settled(some: Intakes) -> None:
    for _ in some.settle():
        pass


def counts(cells: ServiceCells) -> dict[object, tuple[int, int, float]]:
    return {
        (unit, number, pair): (cell.latency.count, cell.failures, cell.latency.sum_us)
        for unit, by_number in (("hour", cells.hours), ("day", cells.days))
        for number, by_pair in by_number.items()
        for pair, cell in by_pair.items()
    }


def test_parts_in_which_calls_are_handed_over_change_nothing() -> None:
    chance = random.Random(3)
    keys = Keys(1)
    rows = [
        (
            f"s{chance.randrange(4)}",
            chance.choice("abc"),
            START_MS + n * 7_000_000 % DAY_MS,
            2.5,
        )
        for n in range(3 * PENDING_MAX)
    ]
    for service, category in sorted({row[:2] for row in rows}, reverse=True):
        keys.number((service, category))  # numbered in another order than they come in
    found = []
    for size in (1, 7, len(rows)):
        some, cells, sums = intakes(categories_max=2, codes_max=2)
        for start in range(0, len(rows), size):
            part = rows[start : start + size]
            failures = [
                (keys.number(row[:2]), row[2], f"E{row[2] % 5}") for row in part if row[2] % 3
            ]
            some.fold(calls(part, keys), failures, keys)
        settled(some)
        codes = [cell.failures_by_code for by in cells.days.values() for cell in by.values()]
        found.append((counts(cells), counts(sums), sorted(map(sorted, codes))))
    assert found[0] == found[1] == found[2]
    assert any(pair[1] == OTHER for _, _, pair in found[0][0])


def test_other_numbers_for_the_same_pairs_lead_to_the_same_cells() -> None:
    some, cells, _ = intakes()
    for names in ("ab", "ba"):
        keys = Keys(1)
        some.fold(calls([(name, "", START_MS, 1.0) for name in names], keys), [], keys)
    settled(some)
    assert {pair: cell.latency.count for pair, cell in cells.days[DAY].items()} == {
        ("a", ""): 2,
        ("b", ""): 2,
    }


def test_what_waits_is_bounded_and_told() -> None:
    some, _, sums = intakes()
    keys = Keys(1)
    rows = [(f"s{n}", "", START_MS, 1.0) for n in range(WAITING_MAX + 50)]
    some.fold(calls(rows, keys), [], keys)
    [total] = sums.days[DAY].values()
    assert total.latency.count + some.waiting_on([DAY]) == len(rows)
    assert some.waiting_on([DAY + 1]) == 0
    settled(some)
    assert (total.latency.count, some.waiting_on([DAY])) == (len(rows), 0)


def test_cells_add_up() -> None:
    some, cells, _ = intakes()
    keys = Keys(1)
    told = calls([("s", "", START_MS, 1.0), ("s", "", START_MS + HOUR_MS, 4.0)], keys)
    some.fold(told, [(0, START_MS, "E")], keys)
    settled(some)
    first, second = [cell for by in cells.hours.values() for cell in by.values()]
    assert isinstance(first, ServiceCell)
    first.add(second)
    assert (first.latency.count, first.failures, first.failures_by_code) == (2, 1, {"E": 1})
