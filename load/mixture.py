"""Seeded events as a marketplace sends them live, about 250 bytes each as JSON.

Every name in them begins with a label, so that a server can be asked for these events alone.
"""

from collections.abc import Iterator
from random import Random
from typing import Any, Final

from load.profile import Data

CATEGORIES: Final = ("ai-ml", "data", "media", "payments", "messaging", "documents")
CREATORS: Final = 10
EXPERIMENTS: Final = 5
CURRENCY: Final = "USD"

Event = dict[str, Any]

_ERRORS: Final = 0.02
_FLATTENED: Final = 2
"""Added to every rank: the first service is then not half of everything."""


def categories(label: str) -> list[str]:
    """Every category that events of this label may carry."""
    return [f"{label}-{category}" for category in CATEGORIES]


def creators(label: str) -> list[str]:
    """Every creator that transactions of this label may carry."""
    return [f"{label}-creator-{number}" for number in range(CREATORS)]


def experiments(label: str) -> list[str]:
    """Every experiment that events of this label may carry."""
    return [f"{label}-experiment-{number}" for number in range(EXPERIMENTS)]


def generate(count: int, *, chance: Random, label: str, data: Data) -> Iterator[Event]:
    """`count` events without id and timestamp, which whoever sends them puts in."""
    ranks = range(data.services)
    weights = [(rank + 1 + _FLATTENED) ** -data.skew for rank in ranks]
    services = chance.choices(ranks, weights=weights, k=count)
    kinds = chance.choices(list(data.mix), weights=list(data.mix.values()), k=count)
    for number, (kind, service) in enumerate(zip(kinds, services, strict=True)):
        user = chance.randrange(data.users)
        event = {
            "eventType": kind,
            "userId": f"user-{user:06}",
            "sessionId": f"session-{user:06}-{number % 7}",
            "category": f"{label}-{CATEGORIES[service % len(CATEGORIES)]}",
        }
        yield event | _fields(kind, service, chance, label)


def _fields(kind: str, service: int, chance: Random, label: str) -> Event:
    service_id = f"{label}-service-{service:04}"
    match kind:
        case "service_execution":
            failed = chance.random() < _ERRORS
            fields = {
                "serviceId": service_id,
                "executionId": f"exec-{chance.getrandbits(40):010x}",
                "latencyMs": round(chance.lognormvariate(5, 0.6), 1),
                "success": not failed,
            }
            return fields | ({"errorCode": "TIMEOUT"} if failed else {})
        case "revenue_transaction":
            return {
                "orderId": f"order-{chance.getrandbits(40):010x}",
                "serviceId": service_id,
                "amount": chance.randrange(5, 200) + 0.99,
                "currency": CURRENCY,
                "takeRate": 15,
                "creatorId": f"{label}-creator-{service % CREATORS}",
            }
        case "marketplace_search":
            query = f"search term {chance.randrange(500)}"
            return {"searchQuery": query, "resultCount": 12}
        case "marketplace_view" | "marketplace_conversion":
            return {"serviceId": service_id}
        case "user_session":
            return {"duration": chance.randrange(1_000, 600_000), "cohort": "2026-11"}
        case _:
            experiment = f"{label}-experiment-{chance.randrange(EXPERIMENTS)}"
            return {"experimentId": experiment, "variantIndex": chance.randrange(2)}
