import subprocess
import sys

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.columns import QUARTERS_MAX, RADIX_MAX, Grouped, Keys, column, cut_each, dealt
from engine.hashing import shard_of
from engine.timebucket import QUARTER_MS, Calendar
from tests.server import environment


def test_a_pair_has_one_number_and_the_shard_of_its_first_name() -> None:
    keys = Keys(8)
    pairs = [(f"s{n}", label) for n in range(40) for label in ("", "c")]
    numbers = [keys.number(pair) for pair in pairs]
    assert numbers == list(range(80)) == [keys.number(pair) for pair in pairs]
    assert keys.pairs == pairs
    assert keys.homes(column(numbers)).tolist() == [shard_of(pair[0], 8) for pair in pairs]
    assert keys.number(("t", "")) == 80  # it still grows


def test_facts_are_dealt_in_their_order() -> None:
    table = np.arange(12).reshape(2, 6)
    first, none, last = dealt(table, np.array([2, 0, 2, 2, 0, 0], np.uint8), 3)
    assert none is None
    assert first is not None
    assert last is not None
    assert first.tolist() == [[1, 4, 5], [7, 10, 11]]
    assert last.tolist() == [[0, 2, 3], [6, 8, 9]]


@given(st.lists(st.sampled_from([0, 1, 2, RADIX_MAX - 1, RADIX_MAX, 2**40]), min_size=1))
def test_groups_are_those_of_a_dict(codes: list[int]) -> None:
    values = list(range(len(codes)))
    expected: dict[int, list[int]] = {}
    for code, value in zip(codes, values, strict=True):
        expected.setdefault(code, []).append(value)
    grouped = Grouped(column(codes))
    ordered = column(values).take(grouped.order).tolist()
    spans = zip(grouped.codes, grouped.starts.tolist(), grouped.ends, strict=True)
    assert {code: ordered[start:end] for code, start, end in spans} == expected
    assert grouped.codes == sorted(expected)
    assert grouped.counts() == [len(expected[code]) for code in grouped.codes]
    assert grouped.sums(column(values)) == [sum(expected[code]) for code in grouped.codes]


def test_instants_are_cut_as_the_calendar_does_it_however_far_apart() -> None:
    calendar = Calendar("America/New_York")
    for step_ms in (1_000, QUARTER_MS, QUARTERS_MAX * QUARTER_MS // 7):
        at_ms = [1_790_000_000_000 + step_ms * (n * 7 % 20) for n in range(20)]
        cuts, which = cut_each(calendar, column(at_ms))
        assert [cuts[n] for n in which.tolist()] == [calendar.cut(ms) for ms in at_ms]
        assert len(set(cuts)) == len(cuts)


def test_nothing_is_imported_for_the_first_events() -> None:
    script = (
        "import sys, engine.columns, numpy\n"
        "known = set(sys.modules)\n"
        "numpy.unique(numpy.arange(3))\n"
        "assert set(sys.modules) == known, set(sys.modules) - known\n"
    )
    subprocess.run([sys.executable, "-c", script], env=environment(), check=True)
