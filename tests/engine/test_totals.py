"""Running totals: by day, whatever was received together, for as long as days are kept."""

from engine.columns import column
from engine.facts import CALLS, KINDS, SESSIONS, VIEWS
from engine.rollups.counters import Arrived
from engine.rollups.revenue import COMPLETED, REFUNDED, Fact
from engine.timebucket import Calendar
from engine.totals import DayTotals, Totals

UTC = Calendar("UTC")
DAY = 740_000
START_MS = UTC.day_start_ms(DAY)
DAY_MS = 86_400_000


def kept(days: int) -> Totals:
    totals = Totals(UTC, keep_days=days)
    totals.begin(DAY)
    return totals


def sale(at_ms: int, status: int = COMPLETED, micros: int = 7) -> Fact:
    return ("s", "", "USD", at_ms, status, micros, 0)


def test_events_of_two_days_that_come_together_count_on_their_days() -> None:
    totals = kept(days=3)
    sizes = [{CALLS: 3, VIEWS: 1, SESSIONS: 1}.get(kind, 0) for kind in range(len(KINDS))]
    days_ago = [0, 1, 1, 1, 0]  # of the calls, the view and the session
    totals.count(
        START_MS,
        Arrived(executions=3, errors=1, views=1, sessions=1),
        sizes=sizes,
        ordered_ms=column([START_MS - ago * DAY_MS for ago in days_ago]),
        failed=[1],
    )
    assert totals.day(DAY) == DayTotals(Arrived(executions=1, sessions=1))
    assert totals.day(DAY - 1) == DayTotals(Arrived(executions=2, errors=1, views=1))
    assert totals.minutes.last(5, now_ms=START_MS) == [3, 1, 1, 0, 0, 1]


def test_money_that_went_back_is_taken_off_and_leaves_its_currency() -> None:
    totals = kept(days=3)
    totals.sell([sale(START_MS), sale(START_MS, REFUNDED)])
    assert totals.day(DAY).gmv_micros == {"USD": 0}


def test_days_that_are_no_longer_kept_go_and_count_no_more() -> None:
    totals = kept(days=3)
    for _ in range(2):
        totals.sell([sale(START_MS - 3 * DAY_MS)])
        assert totals.day(DAY - 3).gmv_micros == {"USD": 7}
        totals.begin(DAY + 1)
        assert totals.day(DAY - 3) == DayTotals()
        totals.sell([sale(START_MS - 3 * DAY_MS)])
        assert totals.day(DAY - 3) == DayTotals()
        totals.begin(DAY)
