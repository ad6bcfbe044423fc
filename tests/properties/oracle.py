"""What every metric ought to be, worked out the slow and obvious way from a list of events.

Written from the meanings that the documentation fixes, and from nothing of the engine: no
cells, no shards, no sketches. Events are dictionaries as they were sent; `known` turns
(received, event) pairs into facts: duplicates dropped, instants in epoch ms under "at", days of
the zone under "day".
"""

import datetime as dt
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from scipy import stats

Told = Iterable[tuple[int, dict[str, Any]]]
Fact = dict[str, Any]

DAY_MS = 86_400_000
MICRO = Decimal("0.000001")


def instant_ms(text: int | str) -> int:
    """Epoch ms of a timestamp as an event carries it; without offset it is UTC."""
    if isinstance(text, int):
        return text
    at = dt.datetime.fromisoformat(text)
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    return (at - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(milliseconds=1)


def date_of(at_ms: int, zone: str) -> dt.date:
    """The date on the calendar of a zone."""
    return dt.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date()


def midnight_ms(day: dt.date, zone: str) -> int:
    """When a date begins, in a zone whose clocks never change at midnight."""
    at = dt.datetime.combine(day, dt.time(), ZoneInfo(zone))
    return round(at.timestamp() * 1000)


def known(told: Told, zone: str) -> list[Fact]:
    """Every event once, with its instant and its day."""
    seen: set[str] = set()
    facts = []
    for received_ms, event in told:
        name = event.get("eventId")
        if name is not None and name in seen:
            continue
        seen.add(name)
        stamp = event.get("timestamp")
        at_ms = received_ms if stamp is None else instant_ms(stamp)
        facts.append({**event, "at": at_ms, "day": date_of(at_ms, zone)})
    return facts


def within(facts: Iterable[Fact], start_ms: int, end_ms: int) -> list[Fact]:
    """Those of [start, end)."""
    return [fact for fact in facts if start_ms <= fact["at"] < end_ms]


def of_type(facts: Iterable[Fact], *types: str) -> list[Fact]:
    return [fact for fact in facts if fact["eventType"] in types]


def percent(part: int, whole: int) -> float | None:
    return 100 * part / whole if whole else None


# -- services ---------------------------------------------------------------------------------


def service_row(facts: Sequence[Fact]) -> dict[str, Any]:
    """Counts, rates, codes, average and true percentiles of some executions."""
    values = [fact["latencyMs"] for fact in facts]
    failed = [fact for fact in facts if not fact["success"]]
    codes = Counter(fact.get("errorCode") or "(none)" for fact in failed)
    micros = sum(round(Decimal(str(value)) * 1000) for value in values)
    true = {"p50": None, "p95": None, "p99": None}
    if values:
        ranks = np.quantile(values, (0.5, 0.95, 0.99), method="inverted_cdf").tolist()
        true = dict(zip(true, ranks, strict=True))
    return {
        "executions": len(facts),
        "errorRate": percent(len(failed), len(facts)),
        "successRate": percent(len(facts) - len(failed), len(facts)),
        "errors": dict(codes),
        "avg": float(Fraction(micros, 1000 * len(values))) if values else None,
        "max": max(values, default=None),
        "percentiles": true,
    }


def by_service(facts: Iterable[Fact]) -> dict[str, list[Fact]]:
    rows = defaultdict(list)
    for fact in of_type(facts, "service_execution"):
        rows[fact["serviceId"]].append(fact)
    return dict(rows)


# -- revenue ----------------------------------------------------------------------------------


def revenue(facts: Sequence[Fact]) -> dict[str, dict[str, Any]]:
    """{currency: figures without mrr}; failed payments count nowhere."""
    paid = defaultdict(list)
    for fact in of_type(facts, "revenue_transaction"):
        if fact.get("status") != "failed":
            paid[fact["currency"]].append(fact)
    return {currency: _revenue_of_one_currency(some) for currency, some in paid.items()}


def _revenue_of_one_currency(facts: Sequence[Fact]) -> dict[str, Any]:
    zero = Decimal(0)
    sold = [fact for fact in facts if fact.get("status") != "refunded"]
    back = [fact for fact in facts if fact.get("status") == "refunded"]
    gross = sum((_amount(fact) for fact in sold), zero)
    refunds = sum((_amount(fact) for fact in back), zero)
    fees = sum(map(_fee, sold), zero) - sum(map(_fee, back), zero)
    gmv = gross - refunds
    return {
        "gmv": gmv,
        "grossGmv": gross,
        "refunds": refunds,
        "fees": fees,
        "creatorEarnings": gmv - fees,
        "takeRate": float(100 * Fraction(fees) / Fraction(gmv)) if gmv else None,
        "transactionCount": len(sold),
        "avgOrderValue": float(Fraction(gross) / len(sold)) if sold else None,
    }


def _amount(fact: Fact) -> Decimal:
    return Decimal(str(fact["amount"])).quantize(MICRO, ROUND_HALF_EVEN)


def _fee(fact: Fact) -> Decimal:
    share = _amount(fact) * Decimal(str(fact.get("takeRate") or 0)) / 100
    return share.quantize(MICRO, ROUND_HALF_EVEN)


def mrr(facts: Sequence[Fact], at_ms: int) -> dict[str, Decimal]:
    """{currency: recurring revenue a month at an instant}."""
    lines = defaultdict(list)
    for fact in of_type(facts, "revenue_transaction"):
        is_refund = fact.get("status") == "refunded"
        recurs = fact.get("billingInterval") is not None
        if fact.get("status") != "failed" and (is_refund or recurs) and fact["at"] < at_ms:
            lines[fact.get("subscriptionId") or fact["orderId"]].append(fact)
    totals: dict[str, Decimal] = defaultdict(Decimal)
    for line in lines.values():
        last = max(line, key=lambda fact: (fact["at"], fact.get("status") == "refunded"))
        if last.get("status") == "refunded":
            continue
        count = last.get("billingIntervalCount") or 1
        if at_ms < _later(last["at"], last["billingInterval"], count) + 3 * DAY_MS:
            totals[last["currency"]] += _a_month(last, count)
    return dict(totals)


def _a_month(fact: Fact, count: int) -> Decimal:
    months = {
        "day": Fraction(12, 365),
        "week": Fraction(84, 365),
        "month": Fraction(1),
        "year": Fraction(12),
    }[fact["billingInterval"]]
    exact = Fraction(_amount(fact)) / (months * count)
    return Decimal(round(exact * 1_000_000)) * MICRO


def _later(at_ms: int, interval: str, count: int) -> int:
    """So many days, weeks, months or years on; the day of the month is at most its last."""
    if interval in ("day", "week"):
        return at_ms + count * DAY_MS * (7 if interval == "week" else 1)
    at = dt.datetime.fromtimestamp(at_ms // 1000, dt.UTC)
    month = at.month - 1 + count * (12 if interval == "year" else 1)
    year, month = at.year + month // 12, month % 12 + 1
    day = at.day
    while True:
        try:
            moved = at.replace(year=year, month=month, day=day)
        except ValueError:
            day -= 1
        else:
            return round(moved.timestamp()) * 1000 + at_ms % 1000


# -- marketplace ------------------------------------------------------------------------------


def marketplace(facts: Sequence[Fact]) -> dict[str, Any]:
    """The funnel and its tops, unlimited."""
    searches = of_type(facts, "marketplace_search")
    views = of_type(facts, "marketplace_view")
    goals = of_type(facts, "marketplace_conversion")
    terms = Counter(fact["searchQuery"] for fact in searches)
    empty = Counter(f["searchQuery"] for f in searches if f.get("resultCount") == 0)
    return {
        "searches": len(searches),
        "views": len(views),
        "conversions": len(goals),
        "conversionRate": percent(len(goals), len(views)),
        "topServices": _top(Counter(fact["serviceId"] for fact in views)),
        "topCategories": _top(Counter(f["category"] for f in views if f.get("category"))),
        "topSearches": [(term, n, empty[term]) for term, n in _top(terms)],
    }


def _top(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


# -- experiments ------------------------------------------------------------------------------


def experiment(facts: Sequence[Fact], start_ms: int, end_ms: int) -> dict[str, Any]:
    """One experiment, all of whose events are `facts`, in a period."""
    shown = of_type(facts, "experiment_view")
    goals = of_type(facts, "experiment_conversion")
    units = _exposed(shown)
    variants: dict[int, dict[str, int]] = defaultdict(lambda: dict.fromkeys(_COUNTS, 0))
    for fact in within(shown, start_ms, end_ms):
        variants[fact["variantIndex"]]["views"] += 1
    for fact in within(goals, start_ms, end_ms):
        variants[fact["variantIndex"]]["conversions"] += 1
    multiple = 0
    for unit, (first_ms, variant, is_mixed) in units.items():
        if not start_ms <= first_ms < end_ms:
            continue
        if is_mixed:
            multiple += 1
            continue
        variants[variant]["units"] += 1
        variants[variant]["convertedUnits"] += any(
            unit in _units_of(goal) and goal["at"] >= first_ms for goal in goals
        )
    return {
        "variants": {index: dict(variants[index]) for index in sorted(variants)},
        "multipleExposures": multiple,
        "startedAt": min(fact["at"] for fact in facts),
    }


_COUNTS = ("views", "conversions", "units", "convertedUnits")


def _exposed(shown: Sequence[Fact]) -> dict[tuple[str, str], tuple[int, int, bool]]:
    """{unit: (first seen, variant seen first, whether it saw several)}."""
    seen = defaultdict(list)
    for fact in shown:
        if fact.get("userId") is not None:
            seen["user", fact["userId"]].append((fact["at"], fact["variantIndex"]))
        elif fact.get("sessionId") is not None:
            seen["session", fact["sessionId"]].append((fact["at"], fact["variantIndex"]))
    return {unit: (*min(some), len({v for _, v in some}) > 1) for unit, some in seen.items()}


def _units_of(goal: Fact) -> list[tuple[str, str]]:
    """A goal counts for the user and for the session that it carries."""
    carried = [("user", goal.get("userId")), ("session", goal.get("sessionId"))]
    return [(kind, name) for kind, name in carried if name is not None]


def p_value(arms: Sequence[tuple[int, int]]) -> float | None:
    """Pearson's χ² without Yates on (converted, units); None where it is not defined."""
    table = [(goals, units - goals) for goals, units in arms if units]
    if len(table) < 2 or not all(map(sum, zip(*table, strict=True))):
        return None
    return float(stats.chi2_contingency(table, correction=False).pvalue)


# -- users ------------------------------------------------------------------------------------


def users(
    facts: Sequence[Fact], first: dt.date, last: dt.date, today: dt.date
) -> dict[str, Any]:
    """Who was active, new, back and gone from `first` to `last`, as seen `today`."""
    active = defaultdict(set)
    for fact in facts:
        if fact.get("userId") is not None:
            active[fact["day"]].add(fact["userId"])
    days = _days(first, last)
    before = _days(first - dt.timedelta(len(days)), first - dt.timedelta(1))
    were, are = (set().union(*(active[day] for day in some)) for some in (before, days))
    began: dict[str, dt.date] = {}
    for day in sorted(active):
        for user in active[day]:
            began.setdefault(user, day)
    cohort = {user: day for user, day in began.items() if first <= day <= last}
    sessions = [f for f in of_type(facts, "user_session") if first <= f["day"] <= last]
    micros = sum(round(Decimal(str(fact["duration"])) * 1000) for fact in sessions)
    past = [day for day in days if day <= today]
    return {
        "dau": len(active[last]),
        "mau": len(set().union(*(active[d] for d in _days(last - dt.timedelta(29), last)))),
        "avgDau": sum(len(active[day]) for day in past) / len(past) if past else None,
        "newUsers": len(cohort),
        "churnRate": percent(len(were - are), len(were)),
        "sessions": len(sessions),
        "avgSessionDuration": (
            float(Fraction(micros, 1000 * len(sessions))) if sessions else None
        ),
        "curve": [_returned(cohort, active, n, today) for n in range(1, 31)],
    }


def _days(first: dt.date, last: dt.date) -> list[dt.date]:
    return [first + dt.timedelta(n) for n in range((last - first).days + 1)]


def _returned(
    cohort: dict[str, dt.date], active: dict[dt.date, set[str]], n: int, today: dt.date
) -> float | None:
    later = dt.timedelta(n)
    reached = [user for user, day in cohort.items() if day + later < today]
    back = [user for user in reached if user in active[cohort[user] + later]]
    return percent(len(back), len(reached))


def is_close(a: float | None, b: float | None) -> bool:
    """Equal up to the last bits of a float, null included."""
    if a is None or b is None:
        return a is b
    return math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-9)
