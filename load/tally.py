"""What events add up to, as the server should count them: whole numbers by figure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, Final

EVENTS: Final = "events"

FIGURES: Final = (
    EVENTS,
    "executions",
    "failed executions",
    "searches",
    "views",
    "conversions",
    "transactions",
    "cents",
    "experiment views",
    "experiment conversions",
    "sessions",
)

Tally = Counter[str]
"""{figure: how many}"""

_OF_TYPE: Final[Mapping[str, str]] = {
    "service_execution": "executions",
    "marketplace_search": "searches",
    "marketplace_view": "views",
    "marketplace_conversion": "conversions",
    "revenue_transaction": "transactions",
    "experiment_view": "experiment views",
    "experiment_conversion": "experiment conversions",
    "user_session": "sessions",
}


def tally_of(events: Iterable[Mapping[str, Any]]) -> Tally:
    """What these events add up to, each counted once."""
    found: Tally = Counter()
    for event in events:
        found[EVENTS] += 1
        found[_OF_TYPE[event["eventType"]]] += 1
        if event.get("success") is False:
            found["failed executions"] += 1
        if "amount" in event:
            found["cents"] += round(100 * event["amount"])
    return found


def times(tally: Tally, factor: int) -> Tally:
    """The same events `factor` times."""
    return Counter({figure: count * factor for figure, count in tally.items()})
