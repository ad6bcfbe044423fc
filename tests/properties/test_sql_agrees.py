"""The metric endpoints and SQL agree: docs/metrics-in-sql.md over random histories."""

import datetime as dt
import json
import random
import re
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from engine.events import Body, Kind
from tests import archives, harness
from tests.properties.histories import DAY_MS, NOW_MS, history
from tests.properties.oracle import date_of, is_close, midnight_ms
from tests.server import ROOT
from tests.sqlworkers import Asking

PAGE = (ROOT / "docs" / "metrics-in-sql.md").read_text()
QUESTIONS = dict(re.findall(r"### (.*?)\n.*?```sql\n(.*?)```", PAGE, re.DOTALL))
IN_PAGE = {"first": "2025-09-01", "end": "2025-10-01", "before": "2025-08-02"}
TODAY_IN_PAGE, ZONE_IN_PAGE = "2025-11-15", "Europe/Berlin"

ZONES = ["UTC", "Asia/Kolkata", "America/New_York"]
EVENTS = 900

Row = dict[str, Any]


class Both(NamedTuple):
    """One history, in an engine and in an archive."""

    engine: harness.House
    asking: Asking
    files: list[str]
    zone: str

    def sql(self, name: str, first: dt.date, last: dt.date) -> list[Row]:
        """What the page's question of that name answers for these days, both included."""
        end = last + dt.timedelta(1)
        days = {"first": first, "end": end, "before": first - (end - first)}
        query = QUESTIONS[name].replace(ZONE_IN_PAGE, self.zone)
        today = date_of(NOW_MS, self.zone)
        texts = {text: days[part] for part, text in IN_PAGE.items()} | {TODAY_IN_PAGE: today}
        query = re.sub("|".join(texts), lambda found: texts[found[0]].isoformat(), query)
        return self.asking.rows(query, self.files, extra=True)

    def metrics(self, family: str, first: dt.date, last: dt.date, **asked: Any) -> Any:
        dates = {"startDate": first.isoformat(), "endDate": last.isoformat()}
        return getattr(self.engine, family)(NOW_MS, **dates, **asked)["data"]

    def one(self, name: str, first: dt.date, last: dt.date) -> Row:
        (row,) = self.sql(name, first, last)
        return row


def records(seed: int, zone: str) -> Iterator[tuple[int, list[Body]]]:
    """A history as bodies of every kind, some of senders whose clocks are wrong."""
    chance = random.Random(f"{seed} {zone}")
    for record in harness.records(history(seed, EVENTS)):
        told = [event for _, body in record.bodies for event in json.loads(body)]
        bodies = []
        while told:
            count = chance.choice([1, 3, 25])
            some, told = told[:count], told[count:]
            bodies.append(_body(chance, record.received_ms, some))
        yield record.received_ms, bodies


def _body(chance: random.Random, received_ms: int, told: list[Row]) -> Body:
    kind = chance.choice([Kind.ARRAY, Kind.LINES, Kind.ENVELOPE])
    if kind == Kind.LINES:
        return Body(kind, len(told), b"".join(json.dumps(one).encode() + b"\n" for one in told))
    if kind == Kind.ARRAY:
        return Body(kind, len(told), json.dumps(told).encode())
    skew_ms = chance.choice([0, 40_000, 3 * 3_600_000, -DAY_MS, 1_234_567])
    sent_ms = received_ms - max(skew_ms, received_ms - NOW_MS)
    envelope = {"sentAt": sent_ms, "events": told}
    return Body(kind, len(told), json.dumps(envelope).encode())


@pytest.fixture(scope="module", params=[(zone, seed) for zone in ZONES for seed in (1, 2)])
def both(request: pytest.FixtureRequest) -> Iterator[Both]:
    zone, seed = request.param
    with lived(records(seed, zone), zone) as found:
        yield found


@contextmanager
def lived(told: Iterable[tuple[int, list[Body]]], zone: str) -> Iterator[Both]:
    engine = harness.House(timezone=zone, shards=4)
    with tempfile.TemporaryDirectory() as folder, Asking() as asking:
        archive = archives.House(Path(folder), timezone=zone)
        for received_ms, bodies in told:
            archive.journal.append(archive.journal.last_seq + 1, received_ms, bodies)
            engine.record(
                harness.Record(received_ms, [(body.kind, body.data) for body in bodies])
            )
        archive.now_ms = NOW_MS
        last_seq = archive.journal.last_seq
        for seq in range(0, last_seq, 200):
            archive.follow(seq)
        yield Both(engine, asking, archive.follow().merge().files, zone)


@pytest.fixture(params=range(5))
def days(both: Both, request: pytest.FixtureRequest) -> tuple[dt.date, dt.date]:
    """First and last day of a range; today, and everything, among them."""
    chance = random.Random(f"{both.zone} {request.param}")
    today = date_of(NOW_MS, both.zone)
    if request.param < 2:
        return today - dt.timedelta(60 * request.param), today
    first = today - dt.timedelta(chance.randrange(48))
    return first, first + dt.timedelta(chance.choice([0, 1, 6, 29]))


def test_every_question_of_the_page_is_asked_here() -> None:
    asked = set(re.findall(r'(?:sql|one)\("([a-z ]+)", \*days', Path(__file__).read_text()))
    assert asked == set(QUESTIONS)


def test_services_are_the_same_in_sql(both: Both, days: tuple[dt.date, dt.date]) -> None:
    found = {row["serviceId"]: row for row in both.metrics("services", *days)}
    told = {row["serviceId"]: row for row in both.sql("services", *days)}
    assert found.keys() == told.keys()
    for service, row in found.items():
        sql = told[service]
        for name in ("executions", "errorRate", "successRate"):
            assert row[name] == sql[name], name
        assert row["latency"]["max"] == sql["max"]
        assert is_close(row["latency"]["avg"], sql["avg"])
        for level in ("p50", "p95", "p99"):
            low, high = row["accuracy"][level]
            assert low <= sql[level] <= high, level
            assert low <= row["latency"][level] <= high, level
    errors = both.sql("errors of services", *days)
    assert {(r["serviceId"], r["code"]): r["n"] for r in errors} == {
        (service, code): n
        for service, row in found.items()
        for code, n in row["errors"].items()
    }


def test_services_by_day_are_the_same_in_sql(both: Both, days: tuple[dt.date, dt.date]) -> None:
    asked = {"startDate": days[0].isoformat(), "endDate": days[1].isoformat()}
    answer = both.engine.services(NOW_MS, **asked, granularity="day")
    told = {row["start"][:10]: row for row in both.sql("services by day", *days)}
    for step in answer["series"]:
        sql = told.pop(step["start"][:10], {"executions": 0, "errors": 0})
        assert (step["executions"], step["errors"]) == (sql["executions"], sql["errors"])
    assert not told


def test_revenue_is_the_same_in_sql(both: Both, days: tuple[dt.date, dt.date]) -> None:
    found = both.metrics("revenue", *days)["byCurrency"]
    told = {row["currency"]: row for row in both.sql("revenue", *days)}
    for currency, row in found.items():
        sql = told.pop(currency, None)
        if sql is None:  # nothing but recurring revenue of before
            assert row["transactionCount"] == row["grossGmv"] == row["refunds"] == 0
            continue
        for name in ("grossGmv", "refunds", "gmv", "fees", "creatorEarnings"):
            assert row[name] == sql[name], name
        assert row["transactionCount"] == sql["transactionCount"]
        assert is_close(row["takeRate"], sql["takeRate"])
        assert is_close(row["avgOrderValue"], sql["avgOrderValue"])
    assert not told


def test_revenue_of_services_is_the_same_in_sql(
    both: Both, days: tuple[dt.date, dt.date]
) -> None:
    found = both.metrics("revenue", *days, currency="EUR")["topServices"]
    told = both.sql("revenue of services", *days)
    assert [(r["id"], r["gmv"], r["transactionCount"]) for r in found] == [
        (r["id"], r["gmv"], r["transactionCount"]) for r in told
    ]


def test_recurring_revenue_is_the_same_in_sql(
    both: Both, days: tuple[dt.date, dt.date]
) -> None:
    first, last = days[0], min(days[1], date_of(NOW_MS, both.zone))
    found = both.metrics("revenue", *days)["byCurrency"]
    told = {row["currency"]: row["mrr"] for row in both.sql("recurring revenue", *days)}
    if last < days[1]:  # it is told for the end of today at the latest
        told = {r["currency"]: r["mrr"] for r in both.sql("recurring revenue", first, last)}
    assert {code: row["mrr"] for code, row in found.items() if row["mrr"]} == told


@pytest.mark.parametrize("later_first", [False, True])
@pytest.mark.parametrize(
    ("earlier", "later"),
    [
        ({"billingInterval": "year", "amount": 12}, {"billingIntervalCount": 13}),
        ({"amount": 7}, {"amount": 9}),
        ({"currency": "EUR"}, {"currency": "USD"}),
        ({"currency": "USD", "amount": 9}, {"status": "refunded"}),
    ],
)
def test_payments_of_one_millisecond_have_one_order_in_sql_too(
    earlier: Row, later: Row, *, later_first: bool
) -> None:
    sale = {"eventType": "revenue_transaction", "serviceId": "s", "timestamp": NOW_MS}
    sale |= {
        "subscriptionId": "sub",
        "billingInterval": "month",
        "amount": 8,
        "currency": "EUR",
    }
    pair = [{**sale, **earlier, "orderId": "a"}, {**sale, **later, "orderId": "b"}]
    answers = []
    for told in (pair[::-1] if later_first else pair, pair[1:]):
        bodies = [Body(Kind.ARRAY, len(told), json.dumps(told).encode())]
        with lived([(NOW_MS, bodies)], "UTC") as found:
            days = (date_of(NOW_MS, "UTC"),) * 2
            currencies = found.metrics("revenue", *days)["byCurrency"]
            answers.append({c: row["mrr"] for c, row in currencies.items() if row["mrr"]})
            sql = {row["currency"]: row["mrr"] for row in found.sql("recurring revenue", *days)}
            assert answers[-1] == sql
    assert answers[0] == answers[1]


def test_the_marketplace_is_the_same_in_sql(both: Both, days: tuple[dt.date, dt.date]) -> None:
    found = both.metrics("marketplace", *days, limit=1_000)
    sql = both.one("marketplace", *days)
    for name in ("searches", "views", "conversions"):
        assert found[name] == sql[name], name
    assert found["conversionRate"] == sql["conversionRate"]
    services = both.sql("services by views", *days)
    assert [(r["id"], r["views"]) for r in found["topServices"]] == [
        (r["id"], r["views"]) for r in services
    ]
    assert found["topSearches"] == both.sql("searches", *days)


def test_experiments_are_the_same_in_sql(both: Both, days: tuple[dt.date, dt.date]) -> None:
    found = both.metrics("experiments", *days)
    events = {
        (row["experimentId"], row["index"]): (row["views"], row["conversions"])
        for row in both.sql("experiment events", *days)
    }
    units = both.sql("experiment units", *days)
    exposed = {(r["experimentId"], r["index"]): r for r in units}
    nothing = {"units": 0, "convertedUnits": 0}
    for row in found:
        name = row["experimentId"]
        for variant in row["variants"]:
            counted = events.pop((name, variant["index"]), (0, 0))
            assert (variant["views"], variant["conversions"]) == counted
            if row["unitKind"] == "event":
                continue
            sql = exposed.get((name, variant["index"]), nothing)
            assert variant["units"] == sql["units"]
            assert variant["convertedUnits"] == sql["convertedUnits"]
        mixed = sum(r["multipleExposures"] for r in units if r["experimentId"] == name)
        assert row["multipleExposures"] == mixed
    assert not events


def test_users_are_the_same_in_sql(both: Both, days: tuple[dt.date, dt.date]) -> None:
    first, last = days
    found = both.metrics("users", *days)
    by_day = {row["day"]: row["dau"] for row in both.sql("active users by day", *days)}
    assert found["dau"] == by_day.get(last.isoformat(), 0)
    past = (min(last, date_of(NOW_MS, both.zone)) - first).days + 1
    assert is_close(found["avgDau"], sum(by_day.values()) / past if past > 0 else None)
    assert found["mau"] == both.one("monthly users", *days)["mau"]
    assert found["newUsers"] == both.one("new users", *days)["newUsers"]
    assert found["churnRate"] == both.one("churn", *days)["churnRate"]
    sessions = both.one("sessions", *days)
    assert found["sessions"] == sessions["sessions"]
    assert is_close(found["avgSessionDuration"], sessions["avgSessionDuration"])
    told = {row["n"]: row["percent"] for row in both.sql("retention", *days)}
    for n, point in enumerate(found["curve"], start=1):
        assert (point["percent"] or 0) == told.get(n, 0), n


def test_half_a_microsecond_is_rounded_alike_in_both() -> None:
    call = {"eventType": "service_execution", "serviceId": "s", "success": True}
    told = [{**call, "latencyMs": ms, "timestamp": NOW_MS} for ms in (0.0625, 1.0, 2.0)]
    session = {"eventType": "user_session", "sessionId": "s", "timestamp": NOW_MS}
    told += [{**session, "duration": ms} for ms in (0.0625, 1.0)]
    bodies = [Body(Kind.ARRAY, len(told), json.dumps(told).encode())]
    with lived([(NOW_MS, bodies)], "UTC") as found:
        days = (date_of(NOW_MS, "UTC"),) * 2
        (row,) = found.metrics("services", *days)
        assert row["latency"]["avg"] == found.one("services", *days)["avg"] == 3.062 / 3
        mean = found.metrics("users", *days)["avgSessionDuration"]
        assert mean == found.one("sessions", *days)["avgSessionDuration"] == 1.062 / 2


def test_a_day_of_the_zone_begins_at_its_midnight_in_both(both: Both) -> None:
    today = date_of(NOW_MS, both.zone)
    start = both.asking.value(
        f"SELECT toUnixTimestamp(toDateTime('{today} 00:00:00', '{both.zone}')) AS s",
        extra=True,
    )
    assert start * 1000 == midnight_ms(today, both.zone)
