from engine.cells import Horizon
from engine.hashing import hash64
from engine.rollups.users import CURVE_DAYS, Image, Question, Sessions, Users
from engine.timebucket import DAY_MS, Calendar, Span
from tests.columns import active
from tests.harness import run

UTC = Calendar("UTC")
DAY = 740_000
START_MS = UTC.day_start_ms(DAY)


def users(*told: tuple[str, int]) -> Users:
    some = Users(UTC, users_max=1_000)
    hashes = [hash64(name) for name, _ in told]
    if told:
        some.days.add(active(hashes, [START_MS + day * DAY_MS for _, day in told]))
    return some


def image(of: Users, first: int, last: int, today: int) -> Image:
    days = range(DAY + first, DAY + last + 1)
    before = range(days.start - len(days), days.start)
    span = Span(tuple(days), ())
    windows = ((days[-1],), tuple(days))
    return run(of.image(Question(days, before, DAY + today, windows, (span,))))


def test_a_cohort_is_told_by_its_first_day_and_up_to_yesterday() -> None:
    some = users(("a", 0), ("a", 1), ("a", 3), ("b", 0), ("c", 1))
    found = image(some, 0, 1, today=3)
    assert {day - DAY: cohort.users for day, cohort in found.cohorts.items()} == {0: 2, 1: 1}
    assert found.cohorts[DAY].returned[:3] == (1, 0, None)
    assert found.cohorts[DAY + 1].returned[:2] == (0, None)
    assert len(found.cohorts[DAY].returned) == CURVE_DAYS


def test_windows_are_distinct_users() -> None:
    found = image(users(("a", 0), ("a", 1), ("b", 0)), 0, 1, today=1)
    assert [window.counted for window in found.distinct] == [1, 2]


def test_sessions_are_summed_in_their_days() -> None:
    some = users()
    some.fold_sessions(
        [(START_MS, 1, 5), (START_MS + DAY_MS - 1, 1, 7), (START_MS + DAY_MS, 1, 2**80)]
    )
    assert image(some, 0, 0, today=9).sessions == (Sessions(2, 12),)
    assert image(some, 0, 1, today=9).sessions == (Sessions(3, 2**80 + 12),)


def test_what_expired_is_forgotten() -> None:
    some = users(("a", 0), ("b", 1))
    some.fold_sessions([(START_MS, 1, 5)])
    some.expire(Horizon(0, DAY + 1))
    found = image(some, 0, 0, today=9)
    assert found.sessions == (Sessions(0, 0),)
    assert found.distinct[0].counted == 0
