import random

import numpy as np

from engine.columns import column
from engine.recent import SLOTS, RecentUsers
from engine.timebucket import DAY_MS, MINUTE_MS, Calendar
from engine.userdays import UserDays
from tests.columns import active

UTC = Calendar("UTC")
TODAY = 740_000
START_MS = UTC.day_start_ms(TODAY)


def test_what_is_left_out_would_have_told_nothing() -> None:
    chance = random.Random(1)
    recent, heard, all_of_it = RecentUsers(), _users(), _users()
    # Two share one slot, so that one is forgotten for the other and comes back.
    hashes = [*range(1, 30), *range(SLOTS + 20, SLOTS + 30)]
    facts = left_out = 0
    for day in (TODAY, TODAY + 1):
        recent.begin(UTC.day_start_ms(day), UTC.day_end_ms(day))
        for _ in range(40):
            told = [chance.choice(hashes) for _ in range(20)]
            base_ms = UTC.day_start_ms(day) + chance.choice([0, DAY_MS // 2, DAY_MS - 1])
            at_ms = [base_ms + chance.randrange(-5, 5) * MINUTE_MS for _ in told]
            news = recent.news(np.array(told, np.uint64), column(at_ms))
            all_of_it.add(active(told, at_ms))
            if len(news):
                kept = news.tolist()
                heard.add(active([told[n] for n in kept], [at_ms[n] for n in kept]))
            facts += len(told)
            left_out += len(told) - len(news)
    assert left_out > facts / 4
    assert dict(heard.dump(full=True)) == dict(all_of_it.dump(full=True))


def _users() -> UserDays:
    return UserDays(UTC, rows_max=1_000)


def test_what_comes_of_a_user_who_was_forgotten_is_news() -> None:
    recent = RecentUsers()
    recent.begin(0, 86_400_000)
    hashes, at_ms = np.array([5, 6], np.uint64), np.array([1, 1], np.int64)
    assert recent.news(hashes, at_ms).tolist() == [0, 1]
    recent.forget(5)
    recent.forget(7)
    assert recent.news(hashes, at_ms).tolist() == [0]
