from engine.cells import Horizon
from engine.hashing import hash64
from engine.rollups.experiments import NO_UNIT, USER, Experiment, Experiments, Question
from engine.timebucket import DAY_MS, FAR_MS, Calendar
from tests.harness import run
from tests.owners import Everything

UTC = Calendar("UTC")
DAY = 740_000
START_MS = UTC.day_start_ms(DAY)


def experiments(units_max: int = 1_000) -> Experiments:
    return Experiments(UTC, units_max=units_max)


def show(
    into: Experiments, count: int, *, name: str = "x", day: int = 0, first: int = 0
) -> None:
    at_ms = START_MS + day * DAY_MS
    units = range(first, first + count)
    into.fold_exposures([(name, 0, at_ms, hash64(f"u{n}"), USER) for n in units])


def told(of: Experiments) -> dict[str, Experiment]:
    return run(of.image(Question(None, span=None, start_ms=0, end_ms=FAR_MS))).experiments


def test_views_without_any_id_are_counted_and_are_no_units() -> None:
    some = experiments()
    some.fold_exposures([("x", 0, START_MS, 0, NO_UNIT)] * 3)
    found = told(some)["x"]
    assert (found.variants[0].views, found.variants[0].units) == (3, 0)
    assert found.exposures == (0, 0, 3)


def test_a_large_experiment_becomes_a_sample_and_small_ones_stay_exact() -> None:
    some = experiments(units_max=1_000)
    show(some, 100, name="small")
    show(some, 5_000, name="large")
    found = told(some)
    assert found["small"].sample_rate == 1.0
    assert found["small"].variants[0].units == 100
    assert found["large"].sample_rate < 0.5
    assert found["large"].variants[0].views == 5_000


def test_an_experiment_without_any_event_left_is_forgotten_with_its_units() -> None:
    some = experiments()
    show(some, 10, name="old")
    show(some, 10, name="new", day=1)
    some.expire(Horizon(0, DAY + 1))
    assert set(told(some)) == {"new"}
    show(some, 1, name="old", day=2)
    assert told(some)["old"].variants[0].units == 1


def test_a_forgotten_experiment_does_not_come_back_with_its_name() -> None:
    some = experiments()
    show(some, 20_000, name="x")  # more than one block of units
    slots = dict(some.dump(full=True))
    some.expire(Horizon(0, DAY + 1))
    show(some, 5, name="x", day=1)
    if some.needs_full_dump:
        slots = {}
    slots |= dict(some.dump(full=not slots))
    back = experiments()
    back.load(slots, Everything())
    assert told(back) == told(some)


def test_changes_and_the_whole_come_back_from_dumps() -> None:
    some = experiments(units_max=100_000)
    show(some, 20)
    slots = dict(some.dump(full=True))
    some.fold_conversions([("x", 0, START_MS + 1, hash64("u3"), 0)])
    show(some, 5, name="y", day=1)
    slots |= dict(some.dump(full=False))
    back = experiments(units_max=100_000)
    back.load(slots, Everything())
    assert told(back) == told(some)
    assert told(back)["x"].variants[0].converted == 1
