"""What the parts say they occupy is what they occupy, and beyond its cap no part grows."""

import gc
import tracemalloc
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

import msgspec
import pytest

from engine.actors.measures import memory_of
from engine.config import Config
from engine.decoding import decode_many
from engine.events import AcceptedTimes
from engine.sequence import Sequencing
from engine.state import ShardState
from engine.timebucket import DAY_MS, HOUR_MS, Calendar
from tests.harness import run

NOW_MS = 1_735_689_600_000 + 399 * DAY_MS
BATCH = 250

CAPS = Config(
    shards=2,
    services_max=100,
    creators_max=100,
    experiments_max=10,
    categories_max=20,
    service_categories_max=5,
    service_error_codes_max=5,
    search_terms_per_day_max=100,
    subscriptions_max=500,
    users_exact_max=1_000,
    experiment_units_max=500,
    dedupe_ids_max=2_000,
)

Made = Callable[[int], dict[str, Any]]


class State:
    """Sequencing and shards without actors."""

    def __init__(self, config: Config) -> None:
        calendar = Calendar("UTC")
        self.sequencing = Sequencing(config, calendar)
        self.states = [ShardState(config, calendar) for _ in range(config.shards)]

    def take(self, events: Iterable[dict[str, Any]]) -> None:
        times = AcceptedTimes(NOW_MS - 400 * DAY_MS, NOW_MS + DAY_MS, NOW_MS)
        for some in batched_events(events):
            body = msgspec.json.encode(some)
            batch = decode_many(body, events_max=BATCH, times=times, text_bytes_max=2**14)
            for state, group in zip(
                self.states, self.sequencing.take(NOW_MS, [batch]), strict=True
            ):
                state.fold(group)
        for state in self.states:
            for _ in chain(state.settle(), state.services.settle()):
                pass
            state.users.days.settle()
        # As every minute: what waits to be written is written, and is told no more.
        for dump in (self.sequencing, *self.states):
            for _ in dump.dump(full=False):
                pass

    def told(self) -> dict[str, int]:
        return run(memory_of(self.sequencing, self.states))


def batched_events(events: Iterable[dict[str, Any]]) -> Iterable[list[dict[str, Any]]]:
    pending: list[dict[str, Any]] = []
    for event in events:
        pending.append(event)
        if len(pending) == BATCH:
            yield pending
            pending = []
    if pending:
        yield pending


def call(n: int) -> dict[str, Any]:
    """Of 200 services, in the hours of a week and long ago, some of them named and failed."""
    hours_ago = n // 200 % 20 if n % 2 else 24 * (40 + n // 200)
    return {
        "eventType": "service_execution",
        "serviceId": f"service-{n % 200:05d}",
        "serviceName": f"The service {n % 200:05d}",
        "category": "text",
        "latencyMs": 5 + n % 900,
        "success": n % 7 > 0,
        "errorCode": f"error-{n % 3}",
        "timestamp": NOW_MS - hours_ago * HOUR_MS,
    }


def sale(n: int) -> dict[str, Any]:
    return {
        "eventType": "revenue_transaction",
        "orderId": f"order-{n}",
        "amount": 10 + n % 90,
        "currency": "USD",
        "serviceId": f"service-{n:05d}",
        "creatorId": f"creator-{n:05d}",
        "timestamp": NOW_MS - n % 40 * HOUR_MS,
    }


def payment(n: int) -> dict[str, Any]:
    return sale(n) | {
        "serviceId": f"service-{n % 20:05d}",
        "creatorId": f"creator-{n % 20:05d}",
        "billingInterval": "month",
        "subscriptionId": f"subscription-{n}",
    }


def search(n: int) -> dict[str, Any]:
    return {
        "eventType": "marketplace_search",
        "searchQuery": f"how to {n:05d}",
        "category": f"category-{n % 50}",
        "resultCount": n % 3,
    }


def exposure(n: int) -> dict[str, Any]:
    return {
        "eventType": "experiment_view",
        "experimentId": f"experiment-{n % 40}",
        "variantIndex": n % 2,
        "userId": f"user-{n}",
        "eventId": f"exposure-{n}",
    }


def session(n: int) -> dict[str, Any]:
    return {
        "eventType": "user_session",
        "sessionId": f"session-{n}",
        "userId": f"user-{n}",
        "duration": 1_000,
        "eventId": f"session-{n}",
        "timestamp": NOW_MS - n % 3 * DAY_MS,
    }


def distinct_call(n: int) -> dict[str, Any]:
    """One of ever new services, under ever new names, categories and codes."""
    return call(n) | {
        "serviceId": f"service-{n:05d}",
        "serviceName": f"The service {n:05d}",
        "category": f"category-{n}",
        "errorCode": f"error-{n}",
        "timestamp": NOW_MS,
    }


@pytest.mark.parametrize(
    ("made", "count"),
    [(call, 12_000), (sale, 4_000), (payment, 6_000), (search, 6_000), (session, 12_000)],
)
def test_what_the_parts_tell_is_what_they_occupy(made: Made, count: int) -> None:
    State(Config(shards=2)).take(map(made, range(BATCH)))  # what is made once for a process
    state = State(Config(shards=2))
    gc.collect()
    tracemalloc.start()
    try:
        told = sum(state.told().values())
        state.take(map(made, range(count)))
        told = sum(state.told().values()) - told
        gc.collect()
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown > 1_000_000
    assert 0.6 < told / grown < 1.6, f"{told:,} bytes told, {grown:,} taken: {state.told()}"


@pytest.mark.parametrize("made", [distinct_call, sale, payment, search, exposure, session])
def test_beyond_the_caps_no_part_grows(made: Made) -> None:
    state = State(CAPS)
    state.take(map(made, range(24_000)))
    full = state.told()
    state.take(map(made, range(24_000, 60_000)))
    grown = {part: (full[part], size) for part, size in state.told().items()}
    # A third more: samples are halved at their bound, and tables have room to grow into.
    assert {part: sizes for part, sizes in grown.items() if sizes[1] > 1.34 * sizes[0]} == {}
