from collections.abc import Sequence
from typing import Any

import msgspec

from engine.admission import PAIRS_MAX, Admission, Cap
from engine.cells import OTHER
from engine.config import Config
from engine.events import MarketplaceSearch, MarketplaceView
from engine.timebucket import DAY_MS, Calendar

UTC = Calendar("UTC")
TODAY = 740_000
NOON_MS = UTC.day_start_ms(TODAY) + DAY_MS // 2


def admission(**settings: Any) -> Admission:
    some = Admission(Config(shards=4, **settings), UTC)
    some.begin(TODAY, UTC.day_start_ms(TODAY), UTC.day_end_ms(TODAY))
    return some


def numbered(
    of: Admission, events: Sequence[Any], known: Sequence[int | None], at_ms: int
) -> list[int]:
    """The number of each event, those that have none yet given one in their order."""
    return [
        of.number_of(event, at_ms) if number is None else number
        for event, number in zip(events, known, strict=True)
    ]


def pairs(of: Admission, *told: tuple[str, str | None]) -> list[tuple[str, str]]:
    views = [MarketplaceView(service_id=service, category=label) for service, label in told]
    return [of.keys.pairs[n] for n in numbered(of, views, of.numbered(views), NOON_MS)]


def searched(of: Admission, *terms: str, at_ms: int = NOON_MS) -> list[str]:
    some = [MarketplaceSearch(search_query=term) for term in terms]
    times_ms = [at_ms] * len(some)
    numbers = numbered(of, some, of.numbered_searches(some, times_ms), at_ms)
    return [of.keys.pairs[n][0] for n in numbers]


def test_the_first_names_are_admitted_and_later_ones_counted_together() -> None:
    cap = Cap(2)
    assert [cap.admit(name) for name in "abcab"] == ["a", "b", OTHER, "a", "b"]
    assert cap.refused == 1
    assert cap.has_room(5)  # for none, whatever comes
    assert [Cap(2).has_room(count) for count in (2, 3)] == [True, False]


def test_whoever_is_refused_is_counted_each_time() -> None:
    some = admission(services_max=1, categories_max=1)
    told = [("a", "c"), ("b", "c"), ("a", "d"), ("a", None), ("a", ""), ("b", "c")]
    expected = [("a", "c"), (OTHER, "c"), ("a", OTHER), ("a", ""), ("a", ""), (OTHER, "c")]
    assert pairs(some, *told) == expected
    assert pairs(some, *told) == expected
    assert some.over_cap() == {"services": 4, "categories": 2}


def test_terms_are_admitted_day_by_day_and_forgotten_with_it() -> None:
    some = admission(search_terms_per_day_max=1, keep_days=10)
    assert searched(some, "a", "b", "a") == ["a", OTHER, "a"]
    assert searched(some, "b", at_ms=NOON_MS - DAY_MS) == ["b"]
    assert some.over_cap() == {"searchTerms": 1}
    some.begin(TODAY + 11, NOON_MS, NOON_MS + 1)
    assert some.over_cap() == {}


def test_numbers_begin_anew_where_there_are_too_many() -> None:
    some = admission(services_max=2 * PAIRS_MAX)
    before = pairs(some, *((f"s{n}", None) for n in range(PAIRS_MAX)))
    keys = some.keys
    some.make_room()
    assert some.keys is not keys
    assert keys.pairs == before  # as those who were given numbers of it need them
    assert pairs(some, ("s7", None), ("new", None)) == [("s7", ""), ("new", "")]
    assert len(some.caps["services"].names) == PAIRS_MAX + 1


def test_what_was_admitted_comes_back() -> None:
    some, back = admission(services_max=1), admission(services_max=1)
    pairs(some, ("a", None), ("b", None))
    searched(some, "q")
    for part in some.dump(full=True):
        back.load(*msgspec.msgpack.decode(part))
    assert pairs(back, ("b", None), ("a", None)) == [(OTHER, ""), ("a", "")]
    assert back.over_cap() == {"services": 2}
    assert back.terms_of(TODAY).names == {"q"}
