"""Facts: in parts as in one, and without some events as if they had never been."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from engine.admission import Admission
from engine.config import Config
from engine.events import Event, Kind, replay
from engine.facts import Facts, read
from engine.timebucket import DAY_MS, Calendar
from tests.living import NOW_MS

UTC = Calendar("UTC")

NAMES = st.sampled_from("abc")
MAYBE = st.none() | NAMES
COMMON = {"eventId": MAYBE, "userId": MAYBE, "sessionId": MAYBE, "category": MAYBE}


def told(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"eventType": st.just(kind), **COMMON, **fields})


SHOWN = {
    "experimentId": NAMES,
    "variantIndex": st.integers(0, 2),
    "experimentName": MAYBE,
    "variantName": MAYBE,
}
EVENTS = st.lists(
    st.one_of(
        told(
            "service_execution",
            serviceId=NAMES,
            latencyMs=st.integers(0, 9),
            success=st.booleans(),
            errorCode=MAYBE,
            serviceName=MAYBE,
        ),
        told("marketplace_view", serviceId=NAMES, serviceName=MAYBE),
        told("marketplace_conversion", serviceId=NAMES),
        told("marketplace_search", searchQuery=NAMES, resultCount=st.none() | st.just(0)),
        told(
            "revenue_transaction",
            orderId=NAMES,
            amount=st.integers(0, 9),
            currency=st.just("USD"),
            serviceId=NAMES,
        ),
        told("experiment_view", **SHOWN),
        told("experiment_conversion", **SHOWN),
        told("user_session", sessionId=NAMES, duration=st.integers(0, 9)),
    ),
    min_size=1,
    max_size=30,
)


def admission() -> Admission:
    """Where some pairs have a number and some have none."""
    some = Admission(Config(shards=4), UTC)
    day = UTC.day_of(NOW_MS)
    some.begin(day, UTC.day_start_ms(day), UTC.day_end_ms(day))
    for text in (
        b'{"eventType":"marketplace_view","serviceId":"a","category":"b"}',
        b'{"eventType":"marketplace_view","serviceId":"b"}',
        b'{"eventType":"marketplace_search","searchQuery":"a"}',
    ):
        [event] = replay(Kind.ONE, text).events
        some.number_of(event, NOW_MS)
    return some


def decoded(events: list[dict[str, Any]]) -> tuple[list[Event], list[int]]:
    body = b"[" + b",".join(_encoded(event) for event in events) + b"]"
    times_ms = [NOW_MS - n * DAY_MS // 4 for n in range(len(events))]
    return list(replay(Kind.ARRAY, body).events), times_ms


def _encoded(event: dict[str, Any]) -> bytes:
    return orjson.dumps(event)


def plain(facts: Facts) -> dict[str, Any]:
    return {name: getattr(facts, name) for name in Facts.__slots__}


@given(EVENTS, st.data())
def test_facts_of_parts_are_those_of_the_whole(told, data):
    some = admission()
    events, times_ms = decoded(told)
    cut = data.draw(st.integers(0, len(events)))
    parts = read(events[:cut], times_ms[:cut], some, received_ms=NOW_MS)
    parts.extend(read(events[cut:], times_ms[cut:], some, received_ms=NOW_MS))
    assert plain(parts) == plain(read(events, times_ms, some, received_ms=NOW_MS))


@given(EVENTS, st.data())
def test_events_that_are_dropped_leave_nothing_behind(told, data):
    some = admission()
    events, times_ms = decoded(told)
    places = st.integers(0, len(events) - 1)
    dropped = sorted(data.draw(st.sets(places, min_size=1)))
    facts = read(events, times_ms, some, received_ms=NOW_MS)
    facts.drop(dropped)
    kept = [n for n in range(len(events)) if n not in dropped]
    expected = read(
        [events[n] for n in kept], [times_ms[n] for n in kept], some, received_ms=NOW_MS
    )
    assert plain(facts) == plain(expected)


@given(EVENTS)
def test_what_may_bring_a_new_name_is_told_in_the_order_of_the_events(told):
    some = admission()
    events, times_ms = decoded(told)
    facts = read(events, times_ms, some, received_ms=NOW_MS)
    named = facts.named()
    assert named == [event for event in events if any(event is one for one in named)]
    assert len(named) == sum(map(len, facts.unnumbered)) + sum(map(len, facts.others))
