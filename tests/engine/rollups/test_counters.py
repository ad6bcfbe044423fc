from engine.rollups.counters import EXECUTIONS, MINUTE_MS, MINUTES_MAX, Arrived, Counters
from tests.owners import Everything

NOW_MS = 29_900_000 * MINUTE_MS


def add(counters: Counters, minutes_ago: int, executions: int = 1) -> None:
    counters.add(NOW_MS - minutes_ago * MINUTE_MS, Arrived(executions=executions))


def executions(counters: Counters, minutes: int) -> int:
    return counters.last(minutes, now_ms=NOW_MS)[EXECUTIONS]


def test_the_last_minutes_include_the_running_one() -> None:
    counters = Counters()
    for minutes_ago in (5, 4, 1, 0, 0):
        add(counters, minutes_ago)
    assert [executions(counters, minutes) for minutes in (1, 2, 5, 6)] == [2, 3, 4, 5]


def test_an_hour_of_minutes_is_kept_and_no_more() -> None:
    counters = Counters()
    for minutes_ago in range(2 * MINUTES_MAX, -1, -1):
        add(counters, minutes_ago)
    [(_, minutes)] = counters.dump(full=True)
    assert len(minutes) == MINUTES_MAX
    assert executions(counters, 2 * MINUTES_MAX) == MINUTES_MAX


def test_minutes_of_several_former_shards_add_up() -> None:
    back = Counters()
    for count in (1, 10):
        former = Counters()
        add(former, 1, count)
        back.load(dict(former.dump(full=False)), Everything())
    assert executions(back, 2) == 11


def test_after_a_clock_was_set_back_what_came_before_is_not_of_the_last_minutes() -> None:
    counters = Counters()
    for minutes_ago in (-40, -1, 1):
        add(counters, minutes_ago)
    assert executions(counters, 5) == 1
