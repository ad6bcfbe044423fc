"""Seeded events for benchmarks: a live mixture, about 250 bytes each as JSON."""

import json
import random
from collections.abc import Iterator
from typing import Any, Final

SERVICES: Final = 1_000
USERS: Final = 20_000
CATEGORIES: Final = ("ai-ml", "data", "media", "payments", "messaging", "documents")

MIX: Final = (
    ("service_execution", 50),
    ("marketplace_view", 20),
    ("marketplace_search", 10),
    ("user_session", 6),
    ("experiment_view", 6),
    ("revenue_transaction", 4),
    ("marketplace_conversion", 2),
    ("experiment_conversion", 2),
)
"""Event types and their share in percent."""


def generate(count: int, *, seed: int, now_ms: int, spread_ms: int) -> Iterator[dict[str, Any]]:
    """`count` events with timestamps in the last `spread_ms`, services by Zipf's law."""
    rng = random.Random(seed)
    services = rng.choices(
        range(SERVICES), weights=[1 / (rank + 3) for rank in range(SERVICES)], k=count
    )
    kinds = rng.choices([kind for kind, _ in MIX], weights=[n for _, n in MIX], k=count)
    for number in range(count):
        user = rng.randrange(USERS)
        event = {
            "eventType": kinds[number],
            "eventId": f"{seed:08x}-{rng.getrandbits(48):012x}-{number:012x}",
            "timestamp": now_ms - rng.randrange(spread_ms),
            "userId": f"user-{user:06}",
            "sessionId": f"session-{user:06}-{number % 7}",
            "category": CATEGORIES[services[number] % len(CATEGORIES)],
        }
        yield event | _fields(kinds[number], services[number], rng)


def _fields(kind: str, service: int, rng: random.Random) -> dict[str, Any]:
    service_id = f"service-{service:04}"
    match kind:
        case "service_execution":
            failed = rng.random() < 0.02
            fields = {
                "serviceId": service_id,
                "executionId": f"exec-{rng.getrandbits(40):010x}",
                "latencyMs": round(rng.lognormvariate(5, 0.6), 1),
                "success": not failed,
            }
            return fields | ({"errorCode": "TIMEOUT"} if failed else {})
        case "revenue_transaction":
            return {
                "orderId": f"order-{rng.getrandbits(40):010x}",
                "serviceId": service_id,
                "amount": rng.randrange(5, 200) + 0.99,
                "currency": "USD",
                "takeRate": 15,
                "creatorId": f"creator-{service % 100}",
            }
        case "marketplace_search":
            return {"searchQuery": f"search term {rng.randrange(500)}", "resultCount": 12}
        case "marketplace_view" | "marketplace_conversion":
            return {"serviceId": service_id}
        case "user_session":
            return {"duration": rng.randrange(1_000, 600_000), "cohort": "2026-11"}
        case _:
            experiment = f"experiment-{rng.randrange(5)}"
            return {"experimentId": experiment, "variantIndex": rng.randrange(2)}


def bodies(count: int, *, batch: int, seed: int, now_ms: int, spread_ms: int) -> list[bytes]:
    """The same as JSON arrays of `batch` events."""
    found, pending = [], []
    for event in generate(count, seed=seed, now_ms=now_ms, spread_ms=spread_ms):
        pending.append(event)
        if len(pending) == batch:
            found.append(json.dumps(pending, separators=(",", ":")).encode())
            pending = []
    return found
