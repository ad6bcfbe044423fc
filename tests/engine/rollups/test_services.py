import numpy as np

from engine.cells import Horizon
from engine.intake import KLL_DAYS, PENDING_MAX
from engine.rollups.services import Image, Question, Services
from engine.timebucket import DAY_MS, Calendar, Span
from tests.columns import KEYS, calls
from tests.harness import run
from tests.owners import Everything

UTC = Calendar("UTC")
DAY = 740_000
START_MS = UTC.day_start_ms(DAY)
HOUR_MS = 3_600_000


def services() -> Services:
    return Services(UTC, codes_max=3, categories_max=3)


def fold(
    into: Services,
    *latencies: float,
    day: float = 0,
    service: str = "s",
    code: str | None = None,
) -> None:
    at_ms = START_MS + round(day * DAY_MS)
    told = calls([(service, "", at_ms, latency) for latency in latencies])
    failures = [] if code is None else [(KEYS.number((service, "")), at_ms, code)]
    into.fold(told, failures * len(latencies), KEYS)


def image(of: Services, *days: int, hours: tuple[int, ...] = ()) -> Image:
    span = Span(tuple(DAY + day for day in days), hours)
    return run(of.image(Question(span, None, None, 100, "executions", True)))


def executions(of: Services, *days: int) -> int:
    whole = image(of, *days)
    assert whole.total.executions == sum(row.now.executions for row in whole.rows)
    return whole.total.executions


def test_what_waits_is_in_every_answer() -> None:
    for count in (1, PENDING_MAX - 1, PENDING_MAX, PENDING_MAX + 1, 3 * PENDING_MAX):
        some = services()
        fold(some, *range(count))
        assert executions(some, 0) == count


def test_a_late_event_changes_what_was_merged_before() -> None:
    some = services()
    for day in range(5):
        fold(some, 1.0, day=day)
    assert executions(some, 0, 1, 2) == 3
    fold(some, 1.0, day=1, code="E")
    assert executions(some, 0, 1, 2) == 4
    assert image(some, 0, 1, 2).rows[0].now.failures == 1
    assert executions(some, 0, 1, 2) == 4


def test_an_image_does_not_change_with_what_comes_after() -> None:
    some = services()
    fold(some, 1.0, 2.0, code="E")
    before = image(some, 0)
    fold(some, 3.0, code="F")
    fold(some, 4.0, service="t")
    image(some, 0)
    assert (before.total.executions, before.rows[0].now.executions) == (2, 2)
    assert before.rows[0].now.failures_by_code == {"E": 2}


def test_hours_and_days_agree_also_after_old_hours_are_forgotten() -> None:
    some = services()
    for hour in range(48):
        fold(some, 1.0, day=hour / 24)
    first = UTC.cut(START_MS)[0]
    assert image(some, hours=(first, first + 4)).total.executions == 2
    some.expire(Horizon(first + 4 * 24, DAY))
    assert image(some, hours=(first, first + 4)).total.executions == 0
    assert executions(some, 0, 1) == 48
    fold(some, 1.0)  # its hour is gone, its day is not
    assert executions(some, 0) == 25


def test_old_days_keep_their_bound_without_a_kll() -> None:
    some = services()
    values = np.random.default_rng(1).lognormal(3, 1, 2_000)
    fold(some, *values)
    for day in range(1, KLL_DAYS + 2):
        fold(some, 1.0, day=day)
        some.expire(Horizon(0, DAY))
    true = np.quantile(values, 0.95, method="inverted_cdf")
    p95 = image(some, 0).total.latency.quantile(0.95)
    assert p95 is not None
    assert p95.low <= true <= p95.high <= p95.low * 1.0101
    assert executions(some, 0) == 2_000


def test_services_beyond_the_limit_are_counted_and_the_best_are_told() -> None:
    some = services()
    for n in range(20):
        fold(some, *range(n + 1), service=f"s{n:02}")
    span = Span((DAY,), ())
    for descending, best in ((True, ["s19", "s18"]), (False, ["s00", "s01"])):
        found = run(some.image(Question(span, None, None, 2, "executions", descending)))
        assert [row.service for row in found.rows] == best
        assert (found.rows_all, found.total.executions) == (20, 210)


def test_changes_and_the_whole_come_back_from_dumps() -> None:
    some = services()
    fold(some, 1.0, 2.0)
    slots = dict(some.dump(full=True))
    fold(some, 3.0, day=1, code="E")
    fold(some, 5.0)  # into cells that the last dump holds
    slots |= dict(some.dump(full=False))
    back = services()
    back.load(slots, Everything())
    for days in ((0,), (1,), (0, 1)):
        assert executions(back, *days) == executions(some, *days)
        assert (
            image(back, *days).total.latency.sum_us == image(some, *days).total.latency.sum_us
        )
    assert image(back, 1).rows[0].now.failures_by_code == {"E": 1}


def test_caps_are_still_known_after_a_restart() -> None:
    some = services()
    for n in range(3):
        fold(some, 1.0, code=f"E{n}")
    back = services()
    back.load(dict(some.dump(full=True)), Everything())
    fold(back, 1.0, code="E2")
    fold(back, 1.0, code="E9")
    assert image(back, 0).total.failures_by_code == {"E0": 1, "E1": 1, "E2": 2, "__other__": 1}
