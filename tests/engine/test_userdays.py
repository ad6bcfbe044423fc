import math
from collections.abc import Sequence
from typing import Any

import pytest

from engine.hashing import hash64
from engine.timebucket import Calendar
from engine.userdays import UserDays
from tests.columns import active
from tests.owners import Everything

UTC = Calendar("UTC")
DAY_MS = 86_400_000
DAY = 740_000  # a day in 2027
START_MS = UTC.day_start_ms(DAY)


def user(n: int) -> int:
    return hash64(f"user-{n}")


def days_of(told: Sequence[tuple[int, int]], rows_max: int = 10_000) -> UserDays:
    """Users by number, active on the n-th day."""
    users = UserDays(UTC, rows_max=rows_max)
    add(users, told)
    return users


def add(users: UserDays, told: Sequence[tuple[int, int]]) -> None:
    users.add(active([user(n) for n, _ in told], [START_MS + day * DAY_MS for _, day in told]))


def dump(users: UserDays, *, full: bool = True) -> dict[Any, Any]:
    return dict(users.dump(full=full))


class Half(Everything):
    def __init__(self, shard: int) -> None:
        self.shard = shard
        self.unkeyed = shard == 0

    def hash(self, hash64: int, /) -> bool:
        return hash64 % 2 == self.shard


def test_a_user_counts_once_however_often_and_on_however_many_days() -> None:
    users = days_of([(1, 0), (1, 0), (1, 1), (2, 1)])
    assert users.distinct([DAY]).counted == 1
    assert users.distinct([DAY + 1]).counted == 2
    assert users.distinct([DAY, DAY + 1]).counted == 2
    assert users.distinct([DAY + 2]).counted == 0


def test_days_are_those_of_the_zone() -> None:
    users = UserDays(Calendar("Asia/Kolkata"), rows_max=10)
    users.add(active([user(1)], [START_MS - 5_400_000]))  # 22:30 UTC is 04:00 there
    assert users.distinct([DAY]).counted == 1


def test_the_first_day_is_the_earliest_whenever_it_came() -> None:
    users = days_of([(1, 5)])
    add(users, [(2, 5), (1, 3), (1, 9)])
    new = users.newcomers([DAY + n for n in range(10)])
    assert {day - DAY: len(rows) for day, rows in new.items() if len(rows)} == {3: 1, 5: 1}
    assert users.active_of(new[DAY + 3], DAY + 9) == 1
    assert users.active_of(new[DAY + 5], DAY + 9) == 0
    assert users.active_of(new[DAY + 3], DAY + 400) == 0


def test_who_left_was_there_before_and_is_not_now() -> None:
    users = days_of([(1, 0), (2, 0), (2, 1), (3, 1)])
    assert users.left([DAY], [DAY + 1]) == (2, 1)
    assert users.left([DAY + 1], [DAY]) == (2, 1)
    assert users.left([], [DAY]) == (0, 0)


def test_who_was_here_in_the_last_minutes() -> None:
    users = UserDays(UTC, rows_max=10)
    users.add(
        active([user(1), user(2), user(1)], [START_MS, START_MS + 60_000, START_MS - 60_000])
    )
    minute = START_MS // 60_000
    assert [users.active_since(minute + n) for n in (-1, 0, 1, 2)] == [2, 2, 1, 0]


def test_expired_days_are_forgotten_and_take_no_more_events() -> None:
    users = days_of([(1, 0), (1, 1)])
    users.expire(DAY + 1)
    add(users, [(2, 0), (2, 1)])
    assert users.distinct([DAY]).counted == 0
    assert users.distinct([DAY + 1]).counted == 2
    assert ("active", DAY) not in dump(users)


def test_a_user_whose_first_day_has_expired_is_not_new_again() -> None:
    users = days_of([(1, 0)])
    users.expire(DAY + 1)
    add(users, [(1, 2)])
    assert len(users.newcomers([DAY + 1, DAY + 2])[DAY + 2]) == 0


def test_what_was_dumped_comes_back() -> None:
    users = days_of([(n, n % 7) for n in range(20_000)], rows_max=30_000)
    slots = dump(users)
    add(users, [(5, 8), (30_000, 8)])
    slots |= dump(users, full=False)
    back = UserDays(UTC, rows_max=30_000)
    back.load(slots, Everything())
    for days in ([DAY], [DAY + 8], range(DAY, DAY + 9)):
        assert back.distinct(days).counted == users.distinct(days).counted
    assert back.left([DAY + 5], [DAY + 8]) == users.left([DAY + 5], [DAY + 8])
    assert len(back.newcomers([DAY + 8])[DAY + 8]) == 1


def test_a_dump_of_changes_holds_the_days_that_changed() -> None:
    users = days_of([(1, 0), (2, 1)])
    dump(users)
    assert set(dump(users, full=False)) == {("recent", 0)}
    add(users, [(1, 1)])
    changed = set(dump(users, full=False))
    assert ("active", DAY + 1) in changed
    assert ("active", DAY) not in changed


@pytest.fixture(scope="module")
def sampled() -> UserDays:
    """20,000 users of which a tenth come back the next day, in a sample of at most 3,000."""
    users = days_of([], rows_max=3_000)
    for start in range(0, 20_000, 1_000):
        add(users, [(n, 0) for n in range(start, start + 1_000)])
        add(users, [(n, 1) for n in range(start, start + 1_000) if n % 10 == 0])
    return users


def test_beyond_its_bound_it_keeps_a_uniform_sample_of_a_known_rate(sampled: UserDays) -> None:
    assert sampled.sample_rate == 0.125
    new = sampled.newcomers([DAY])[DAY]
    assert len(new) <= 3_000
    assert abs(len(new) - 2_500) < 4 * math.sqrt(20_000 * 0.125 * 0.875)
    back = sampled.active_of(new, DAY + 1) / len(new)
    assert abs(back - 0.1) < 4 * math.sqrt(0.1 * 0.9 / len(new))
    were, gone = sampled.left([DAY], [DAY + 1])
    assert were == len(new)
    assert abs(gone / were - 0.9) < 4 * math.sqrt(0.1 * 0.9 / were)


def test_beyond_its_bound_distinct_users_come_from_sketches_that_saw_all(
    sampled: UserDays,
) -> None:
    for days, true in (([DAY], 20_000), ([DAY + 1], 2_000), ([DAY, DAY + 1], 20_000)):
        found = sampled.distinct(days)
        assert found.counted == 0
        assert found.sketch is not None
        estimate = found.sketch.estimate()
        assert abs(estimate.count - true) <= 2 * estimate.relative_error * true


def test_who_was_here_lately_is_estimated_from_the_sample(sampled: UserDays) -> None:
    found = sampled.active_since((START_MS + DAY_MS) // 60_000)
    assert abs(found - 2_000) < 4 * math.sqrt(2_000 * 0.125 * 0.875) / 0.125


def test_a_sample_is_the_same_whatever_the_order_and_the_groups() -> None:
    told = [(n, n % 3) for n in range(3_000)]
    straight, reverse = days_of(told, rows_max=500), UserDays(UTC, rows_max=500)
    for n, day in reversed(told):
        add(reverse, [(n, day)])
        if n % 100 == 0:
            reverse.settle()
    assert straight.left([DAY], [DAY + 1]) == reverse.left([DAY], [DAY + 1])
    assert straight.sample_rate == reverse.sample_rate < 1


def test_a_sample_comes_back_as_it_was(sampled: UserDays) -> None:
    back = UserDays(UTC, rows_max=3_000)
    back.load(dump(sampled), Everything())
    assert back.sample_rate == sampled.sample_rate
    assert back.left([DAY], [DAY + 1]) == sampled.left([DAY], [DAY + 1])
    one, two = back.distinct([DAY]).sketch, sampled.distinct([DAY]).sketch
    assert one is not None
    assert two is not None
    assert one.estimate() == two.estimate()


@pytest.mark.parametrize("rows_max", [500, 10_000])
def test_users_told_one_by_one_are_those_told_at_once(rows_max: int) -> None:
    told = [(n * n % 700, n % 5 - n % 3) for n in range(2_000)]
    at_once, one_by_one = days_of(told, rows_max), UserDays(UTC, rows_max=rows_max)
    for one in told:
        add(one_by_one, [one])
        one_by_one.settle()
    days = range(DAY - 2, DAY + 5)
    for minute in {(START_MS + day * DAY_MS) // 60_000 for day in range(6)}:
        assert at_once.active_since(minute) == one_by_one.active_since(minute)
    assert at_once.left(days[:2], days[2:]) == one_by_one.left(days[:2], days[2:])
    newcomers = [
        {day: len(rows) for day, rows in users.newcomers(days).items()}
        for users in (at_once, one_by_one)
    ]
    assert newcomers[0] == newcomers[1]
    assert sorted(dump(one_by_one, full=False)) == sorted(dump(at_once))


def test_halving_makes_the_next_dump_a_full_one() -> None:
    users = days_of([(n, 0) for n in range(100)], rows_max=60)
    users.settle()
    assert users.is_renumbered
    dump(users)
    assert not users.is_renumbered


def halves(former: Sequence[UserDays], rows_max: int = 10_000) -> list[UserDays]:
    """What two shards make of what `former` shards dumped."""
    slots = [dump(users) for users in former]
    parts = [UserDays(UTC, rows_max=rows_max) for _ in range(2)]
    for shard, part in enumerate(parts):
        for one in slots:
            part.load(one, Half(shard))
    return parts


def test_shares_of_what_was_dumped_add_up_to_it() -> None:
    whole = days_of([(n, n % 3) for n in range(1_000)])
    parts = halves([whole])
    assert sum(part.distinct([DAY]).counted for part in parts) == 334
    left = [part.left([DAY], [DAY + 1]) for part in parts]
    assert sum(were for were, _ in left) == sum(gone for _, gone in left) == 334


def test_heirs_of_a_small_and_a_large_sample_take_the_smaller_one() -> None:
    exact = days_of([(n, 0) for n in range(400)])
    sample = days_of([(n, 0) for n in range(400, 4_400)], rows_max=2_500)
    sample.settle()
    assert sample.sample_rate == 0.5
    for order in ([exact, sample], [sample, exact]):
        parts = halves(order)
        assert [part.sample_rate for part in parts] == [0.5, 0.5]
        were = sum(part.left([DAY], [DAY + 1])[0] for part in parts)
        assert abs(were - 2_200) < 4 * math.sqrt(4_400 * 0.25)


def test_an_heir_that_begins_to_sample_knows_the_users_of_its_own_share_alone() -> None:
    parts = halves([days_of([(n, 0) for n in range(1_000)])], rows_max=600)
    alone = parts[0].distinct([DAY]).counted
    add(parts[0], [(n, 0) for n in range(1_000, 2_000) if user(n) % 2 == 0])
    added = sum(user(n) % 2 == 0 for n in range(1_000, 2_000))
    found = parts[0].distinct([DAY])
    assert found.sketch is not None
    assert found.sketch.estimate().count == alone + added  # small sets are exact


def forget(users: UserDays, n: int) -> None:
    for _ in users.forget(user(n)):
        pass


def test_a_user_who_is_forgotten_was_never_active() -> None:
    told = [(n, day) for n in range(300) for day in range(n % 3 + 1)]
    users = days_of(told)
    users.distinct([DAY])
    for n in (0, 7, 8, 299):
        forget(users, n)
    left = days_of([(n, day) for n, day in told if n not in (0, 7, 8, 299)])
    days = [DAY, DAY + 1, DAY + 2]
    for day in days:
        assert users.distinct([day]).counted == left.distinct([day]).counted
    assert users.left(days[:1], days[1:]) == left.left(days[:1], days[1:])
    newcomers, expected = users.newcomers(days), left.newcomers(days)
    assert [len(newcomers[day]) for day in days] == [len(expected[day]) for day in days]
    assert users.active_since(1) == left.active_since(1) > 0


def test_a_dump_after_it_holds_no_hash_and_loads_whatever_the_shards() -> None:
    users = days_of([(n, 0) for n in range(100)])
    dump(users)
    forget(users, 7)
    assert users.is_renumbered
    slots = dump(users)
    assert user(7).to_bytes(8, "little") not in repr_of(slots)
    whole = UserDays(UTC, rows_max=10_000)
    whole.load(slots, Everything())
    assert whole.distinct([DAY]).counted == 99
    assert whole.is_renumbered
    halves = [UserDays(UTC, rows_max=10_000) for _ in range(2)]
    for shard, half in enumerate(halves):
        half.load(slots, Half(shard))
    assert sum(half.distinct([DAY]).counted for half in halves) == 99


def repr_of(slots: dict[Any, Any]) -> bytes:
    return b"".join(
        part
        for content in slots.values()
        for part in (content if isinstance(content, tuple) else (content,))
        if isinstance(part, bytes)
    )


def test_exact_sketches_lose_the_user_when_others_only_estimate() -> None:
    users = days_of([(n, 0) for n in range(60)], rows_max=40)
    before = users.distinct([DAY]).sketch
    assert before is not None
    for n in range(10):
        forget(users, n)
    after = users.distinct([DAY]).sketch
    assert after is not None
    assert (before.estimate().count, after.estimate().count) == (60, 50)


def test_a_user_who_was_forgotten_is_a_newcomer_when_active_again() -> None:
    users = days_of([(1, 0), (2, 0)])
    users.distinct([DAY])
    forget(users, 1)
    add(users, [(1, 2)])
    found = users.newcomers([DAY, DAY + 1, DAY + 2])
    assert [len(found[day]) for day in (DAY, DAY + 1, DAY + 2)] == [1, 0, 1]
    assert users.distinct([DAY]).counted == 1


def test_rows_of_the_forgotten_go_when_rows_are_numbered_anew() -> None:
    users = days_of([(n, 0) for n in range(30)], rows_max=30)
    for n in range(20):
        forget(users, n)
    add(users, [(n, 1) for n in range(100, 140)])
    users.distinct([DAY])
    assert users.sample_rate < 1
    assert all(int(one) for one in users._hashes[: users._rows])
