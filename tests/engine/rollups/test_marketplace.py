from engine.cells import Horizon
from engine.rollups.marketplace import (
    CONVERSIONS,
    VIEWS,
    Activity,
    Image,
    Marketplace,
    Question,
    merged,
)
from engine.timebucket import Calendar, Span
from tests.columns import KEYS, looks, searches
from tests.harness import run
from tests.owners import Owns

UTC = Calendar("UTC")
DAY = 740_000
START_MS = UTC.day_start_ms(DAY)
SPAN = Span((DAY,), ())


def filled() -> Marketplace:
    some = Marketplace(UTC)
    some.fold_looks(looks([("s", "c", START_MS)]), VIEWS, KEYS)
    some.fold_looks(looks([("t", "", START_MS)]), CONVERSIONS, KEYS)
    some.fold_searches(searches([("q", "c", START_MS, 1), ("q", "", START_MS, 0)]), KEYS)
    return some


def image(of: Marketplace, service: str | None = None, category: str | None = None) -> Image:
    return run(of.image(Question(SPAN, service, category)))


def test_activity_is_counted_in_all_and_by_key() -> None:
    assert image(filled()).now == Activity(searches=2, views=1, conversions=1)
    assert image(filled(), category="c").now == Activity(searches=1, views=1)
    assert image(filled(), service="t").now == Activity(conversions=1)
    assert image(filled()).terms == {"q": [2, 1]}


def test_what_is_counted_one_by_one_is_what_is_counted_at_once() -> None:
    told = [(f"k{n % 7}", "ab"[n % 2], START_MS + n * 3_000_000, n % 3 % 2) for n in range(200)]
    at_once, one_by_one = Marketplace(UTC), Marketplace(UTC)
    for some, parts in ((at_once, [told]), (one_by_one, [[one] for one in told])):
        for part in parts:
            some.fold_looks(looks([one[:3] for one in part]), VIEWS, KEYS)
            some.fold_looks(looks([one[:3] for one in part]), CONVERSIONS, KEYS)
            some.fold_searches(searches(part), KEYS)
    one, other = (
        {slot: dict(content) for slot, content in some.dump(full=True)}
        for some in (at_once, one_by_one)
    )
    assert one == other


def test_shares_of_a_dump_add_up_to_the_whole() -> None:
    slots = dict(filled().dump(full=True))
    parts = []
    for owner in (Owns("sq", unkeyed=True), Owns("t", unkeyed=False)):
        part = Marketplace(UTC)
        part.load(slots, owner)
        parts.append(part)
    for asked in ({}, {"category": "c"}, {"service": "s"}, {"service": "t"}):
        found = merged([image(part, **asked) for part in parts])
        assert found == merged([image(filled(), **asked)])


def test_what_expired_is_forgotten() -> None:
    some = filled()
    some.expire(Horizon(0, DAY + 1))
    some.fold_looks(looks([("s", "c", START_MS)]), VIEWS, KEYS)
    found = image(some)
    assert (found.now, found.views, found.terms) == (Activity(), {}, {})
