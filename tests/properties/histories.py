"""Random but repeatable histories of 45 days, with everything in them that could go wrong."""

import datetime as dt
import random
from typing import Any

Told = list[tuple[int, dict[str, Any]]]

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = round(dt.datetime(2026, 11, 22, 14, 41, 7, tzinfo=dt.UTC).timestamp() * 1000)
DAYS = 45

SERVICES = [f"svc-{n}" for n in range(7)]
CATEGORIES = [None, None, "design", "writing", "größe"]
CODES = [None, "", "TIMEOUT", "E500"]
TERMS = ["", "logo", "seo", "Übersetzung"]
CURRENCIES = ["USD", "USD", "EUR", "JPY"]


def history(seed: int, events: int) -> Told:
    """(received, event) in the order of arrival; the last one came just before NOW_MS."""
    chance = random.Random(seed)
    told: Told = []
    for received_ms in sorted(_received(chance, NOW_MS) for _ in range(events)):
        if told and chance.random() < 0.04:
            _, event = chance.choice(told)
            first_ms = next(at_ms for at_ms, earlier in told if earlier is event)
            if received_ms - first_ms < 6 * DAY_MS:  # well inside the window of duplicates
                told.append((received_ms, event))
        else:
            told.append((received_ms, _event(chance, received_ms, len(told))))
    return told


def _received(chance: random.Random, now_ms: int) -> int:
    back_ms = chance.randrange(1, DAYS * DAY_MS)
    if chance.random() < 0.3:
        back_ms = chance.randrange(1, 3 * DAY_MS)
    if chance.random() < 0.2:
        back_ms = chance.randrange(20 * DAY_MS, 23 * DAY_MS)  # the clocks of New York change
    at_ms = now_ms - back_ms
    if chance.random() < 0.7:
        at_ms -= at_ms % (6 * HOUR_MS)  # many come together, as one record
    return at_ms


def _stamp(chance: random.Random, received_ms: int) -> int | str | None:
    kind = chance.random()
    at_ms = received_ms - int(chance.expovariate(1 / HOUR_MS))
    if kind < 0.1:
        return None
    if kind < 0.2:
        at_ms = received_ms + chance.randrange(300_000)
    elif kind < 0.3:
        at_ms = received_ms - chance.randrange(12 * DAY_MS)
    elif kind < 0.5:
        step_ms = chance.choice([HOUR_MS, HOUR_MS // 2, HOUR_MS // 4])
        at_ms = at_ms // step_ms * step_ms + chance.choice([-1, 0, 0, 1])
    at_ms = min(at_ms, NOW_MS - 1)  # what is still to come is not asked for
    if kind < 0.7:
        return at_ms
    minutes = chance.choice([0, 0, 330, -300, 825])
    zone = dt.timezone(dt.timedelta(minutes=minutes))
    at = dt.datetime.fromtimestamp(at_ms // 1000, zone).replace(microsecond=at_ms % 1000 * 1000)
    if minutes == 0 and kind > 0.9:
        return at.replace(tzinfo=None).isoformat()
    return at.isoformat()


def _event(chance: random.Random, received_ms: int, number: int) -> dict[str, Any]:
    fill = chance.choice(
        [_call, _call, _call, _sale, _sale, _look, _goal, _search, _trial, _stay]
    )
    event: dict[str, Any] = {
        "eventId": f"id-{number}" if chance.random() < 0.8 else None,
        "timestamp": _stamp(chance, received_ms),
        "userId": f"user-{int(chance.paretovariate(0.8)) % 60}"
        if chance.random() < 0.8
        else None,
        "sessionId": f"session-{chance.randrange(80)}" if chance.random() < 0.5 else None,
        "category": chance.choice(CATEGORIES),
        **fill(chance),
    }
    return {name: value for name, value in event.items() if value is not None}


def _call(chance: random.Random) -> dict[str, Any]:
    usual = round(chance.lognormvariate(4, 1.2), 3)
    return {
        "eventType": "service_execution",
        "serviceId": SERVICES[min(int(chance.expovariate(0.8)), 6)],
        "latencyMs": chance.choice([usual, usual, usual, usual, round(usual), 0.0, 30_000.0]),
        "success": chance.random() < 0.9,
        "errorCode": chance.choice(CODES),
    }


def _sale(chance: random.Random) -> dict[str, Any]:
    recurs = chance.random() < 0.6
    return {
        "eventType": "revenue_transaction",
        "serviceId": chance.choice(SERVICES),
        "orderId": f"order-{chance.randrange(300)}",
        "amount": round(chance.expovariate(0.02), chance.choice([0, 2, 2, 5])),
        "currency": chance.choice(CURRENCIES),
        "takeRate": chance.choice([None, 10, 12.5, 20, 0]),
        "creatorId": chance.choice([None, "anna", "ben"]),
        "status": chance.choice([None, "completed", "completed", "refunded", "failed"]),
        "billingInterval": chance.choice(["day", "week", "month", "year"]) if recurs else None,
        "billingIntervalCount": chance.choice([None, 1, 2, 13]) if recurs else None,
        "subscriptionId": f"sub-{chance.randrange(40)}" if chance.random() < 0.6 else None,
    }


def _look(chance: random.Random) -> dict[str, Any]:
    return {"eventType": "marketplace_view", "serviceId": chance.choice(SERVICES)}


def _goal(chance: random.Random) -> dict[str, Any]:
    return {"eventType": "marketplace_conversion", "serviceId": chance.choice(SERVICES)}


def _search(chance: random.Random) -> dict[str, Any]:
    return {
        "eventType": "marketplace_search",
        "searchQuery": chance.choice(TERMS),
        "resultCount": chance.choice([None, 0, 3]),
    }


def _trial(chance: random.Random) -> dict[str, Any]:
    shown = chance.random() < 0.6
    return {
        "eventType": "experiment_view" if shown else "experiment_conversion",
        "experimentId": chance.choice(["button", "price", "price"]),
        "variantIndex": chance.choice([0, 0, 0, 1, 3]),
    }


def _stay(chance: random.Random) -> dict[str, Any]:
    return {
        "eventType": "user_session",
        "sessionId": f"session-{chance.randrange(80)}",
        "duration": round(chance.expovariate(1e-5), 3),
    }
