"""Users of the last minutes: counted as whoever remembers everything does, or not at all."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine import lately
from engine.lately import ActiveUsers
from engine.timebucket import MINUTE_MS

MINUTES = 5
NOW = 1_000  # a minute of the epoch

ARRIVALS = st.lists(
    st.tuples(
        st.integers(0, 3),  # minutes since those before
        st.lists(st.tuples(st.integers(1, 12), st.integers(-9, 2)), max_size=9),
    ),
    max_size=12,
)


def added(users: ActiveUsers, now: int, *active: tuple[int, int]) -> None:
    users.add(now * MINUTE_MS, [(user, minute * MINUTE_MS) for user, minute in active])


@pytest.mark.parametrize("users_max", [3, 100])
@given(arrivals=ARRIVALS)
def test_what_it_says_is_what_a_list_of_all_says(users_max: int, arrivals) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lately, "USERS_MAX", users_max)
        users, last, now = ActiveUsers(MINUTES), dict[int, int](), NOW
        for passed, active in arrivals:
            now += passed
            told = [(user, now + later) for user, later in active]
            added(users, now, *told)
            for user, minute in told:
                last[user] = max(minute, last.get(user, 0))
            first = now - MINUTES + 1
            said = users.since(first)
            if said is None:
                assert users_max < 12
            else:
                assert said == sum(minute >= first for minute in last.values())


def test_where_users_are_too_many_it_does_not_know_until_their_minutes_have_passed(monkeypatch):
    monkeypatch.setattr(lately, "USERS_MAX", 2)
    users = ActiveUsers(MINUTES)
    added(users, NOW, (1, NOW), (2, NOW))
    assert users.since(NOW) == 2
    added(users, NOW, (3, NOW))
    assert users.since(NOW) is None
    added(users, NOW + MINUTES, (1, NOW + MINUTES))
    assert users.since(NOW + 1) == 1


def test_it_does_not_know_of_minutes_that_it_has_let_go() -> None:
    users = ActiveUsers(MINUTES)
    added(users, NOW, (1, NOW))
    added(users, NOW + MINUTES, (2, NOW + MINUTES))
    assert users.since(NOW + 1) == 1
    assert users.since(NOW) is None  # a clock that was put back asks so


def test_more_than_are_let_go_at_a_time_are_not_counted_meanwhile(monkeypatch):
    monkeypatch.setattr(lately, "LET_GO_MAX", 2)
    users = ActiveUsers(MINUTES)
    added(users, NOW, *((user, NOW) for user in range(1, 8)))
    later = NOW + MINUTES
    added(users, later, (9, later), (1, later))
    assert users.since(NOW + 1) == 2


def test_who_is_erased_is_not_counted() -> None:
    users = ActiveUsers(MINUTES)
    added(users, NOW, (1, NOW), (2, NOW))
    users.forget(1)
    users.forget(3)
    assert users.since(NOW) == 1
    added(users, NOW, (1, NOW))
    assert users.since(NOW) == 2
