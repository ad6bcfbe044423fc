"""An erasure, whatever the history, restarts and shards: as if nobody had told of them."""

import random
from typing import Any

import pytest

from tests.harness import House, records
from tests.properties.histories import NOW_MS, Told, history

ERASED = ["user-0", "user-1", "user-7"]
DAYS = {"startDate": "2026-10-20", "endDate": "2026-11-22"}


def without(told: Told, user: str) -> Told:
    """The history in which nobody told of this user."""
    return [(at_ms, _anonymous(event, user)) for at_ms, event in told]


def _anonymous(event: dict[str, Any], user: str) -> dict[str, Any]:
    if event.get("userId") != user:
        return event
    left = {**event, "userId": None}
    if event["eventType"] == "experiment_view":  # the session was not the unit, and is none
        left["sessionId"] = None
    return left


def figures(house: House) -> Any:
    """What there is to see of single users."""
    experiments = house.experiments(NOW_MS)["data"]
    units = {
        (one["experimentId"], variant["index"]): (variant["units"], variant["convertedUnits"])
        for one in experiments
        for variant in one["variants"]
    }
    counters = house.counters(NOW_MS)
    return house.users(NOW_MS, **DAYS), units, counters["activeUsers:5m"]


def lived(told: Told, erased: dict[int, str], chance: random.Random, shards: int) -> House:
    """A house that takes erasures at these places, and is restarted now and then."""
    house = House(shards=shards)
    for place, record in enumerate(records(told)):
        if place in erased:
            house.erase(record.received_ms, erased[place])
        house.record(record)
        if chance.random() < 0.02:
            house.snapshot(full=chance.random() < 0.3)
        if house.sequence_parts and chance.random() < 0.01:
            taken = house.records
            house.snapshot(full=False)
            house = house.restarted(shards=chance.choice([1, 3, shards]))
            assert house.records == taken
    return house


@pytest.mark.parametrize("seed", range(6))
def test_it_is_as_if_nobody_had_told_of_who_is_erased(seed: int) -> None:
    chance = random.Random(seed)
    told = history(seed, 1_200)
    groups = records(told)
    places = dict(zip(chance.sample(range(1, len(groups)), 3), ERASED, strict=True))
    expected = told
    for place, user in places.items():
        before = sum(len(events_in(group)) for group in groups[:place])
        expected = without(expected[:before], user) + expected[before:]
    plain = House(shards=4)
    for record in records(expected):
        plain.record(record)
    house = lived(told, places, chance, shards=4)
    assert figures(house) == figures(plain)
    assert figures(house.replayed(shards=2)) == figures(plain)


def events_in(record: Any) -> list[Any]:
    from engine import events

    return [e for kind, body in record.bodies for e in events.replay(kind, body).events]
