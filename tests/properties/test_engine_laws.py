"""What holds of every history: answers are true, whatever the shards, restarts and orders."""

import datetime as dt
import random
from decimal import Decimal
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import asdict, replace

from engine import events
from engine.errors import Unanswerable
from engine.events import Body
from persistence.journal import Journal
from persistence.recovery import recover
from tests.harness import House, records
from tests.properties import oracle
from tests.properties.histories import DAY_MS, HOUR_MS, NOW_MS, SERVICES, Told, history
from tests.properties.oracle import date_of, midnight_ms, within

ZONES = ["UTC", "Asia/Kolkata", "America/New_York"]
EVENTS = 1_600

Answer = dict[str, Any]

zones = pytest.mark.parametrize("zone", ZONES)


@lru_cache
def told_by(zone: str) -> Told:
    return history(ZONES.index(zone), EVENTS)


@lru_cache
def house_in(zone: str) -> House:
    return lived(told_by(zone), timezone=zone, shards=8)


@lru_cache
def facts_in(zone: str) -> list[oracle.Fact]:
    return oracle.known(told_by(zone), zone)


def lived(told: Told, **settings: Any) -> House:
    house = House(**settings)
    for record in records(told):
        house.record(record)
    return house


def ranges(zone: str, count: int) -> list[tuple[dt.date, dt.date]]:
    """Ranges of dates of the last 45 days and a little beyond; today, and everything, first."""
    chance = random.Random(zone)
    today = date_of(NOW_MS, zone)
    found = [(today, today), (today - dt.timedelta(60), today)]
    while len(found) < count:
        first = today - dt.timedelta(chance.randrange(48))
        found.append((first, first + dt.timedelta(chance.choice([0, 0, 1, 6, 29]))))
    return found


def dates(first: dt.date, last: dt.date) -> dict[str, str]:
    return {"startDate": first.isoformat(), "endDate": last.isoformat()}


def instants(start_ms: int, end_ms: int) -> dict[str, str]:
    return {"startDate": iso(start_ms), "endDate": iso(end_ms)}


def iso(at_ms: int) -> str:
    return dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC).isoformat()


def of_dates(
    facts: list[oracle.Fact], zone: str, first: dt.date, last: dt.date
) -> list[oracle.Fact]:
    return within(facts, midnight_ms(first, zone), midnight_ms(last + dt.timedelta(1), zone))


# -- answers are true -------------------------------------------------------------------------


@zones
def test_services_are_what_the_events_say(zone: str) -> None:
    for first, last in ranges(zone, 12):
        facts = of_dates(facts_in(zone), zone, first, last)
        answer = house_in(zone).services(NOW_MS, **dates(first, last))
        calls = oracle.of_type(facts, "service_execution")
        check_row(answer["total"], calls)
        rows = oracle.by_service(facts)
        assert {row["serviceId"] for row in answer["data"]} == set(rows)
        for row in answer["data"]:
            check_row(row, rows[row["serviceId"]])


@zones
def test_services_of_one_category_are_what_its_events_say(zone: str) -> None:
    for first, last in ranges(zone, 5):
        facts = of_dates(facts_in(zone), zone, first, last)
        calls = [
            f
            for f in oracle.of_type(facts, "service_execution")
            if f.get("category") == "design"
        ]
        answer = house_in(zone).services(NOW_MS, category="design", **dates(first, last))
        check_row(answer["total"], calls)
        rows = oracle.by_service(calls)
        assert {row["serviceId"] for row in answer["data"]} == set(rows)
        for row in answer["data"]:
            check_row(row, rows[row["serviceId"]])


def check_row(row: Answer, calls: list[oracle.Fact]) -> None:
    """Counts, rates, codes, average and maximum exactly; percentiles within 1 %."""
    true = oracle.service_row(calls)
    for name in ("executions", "errorRate", "successRate", "errors"):
        assert row[name] == true[name], name
    assert row["latency"]["avg"] == true["avg"]
    assert row["latency"]["max"] == true["max"]
    check_percentiles(row, true["percentiles"])


def check_percentiles(row: Answer, percentiles: dict[str, float | None]) -> None:
    """Each lies in its interval, as does the true one, and the interval is 1 % wide at most."""
    for name, value in percentiles.items():
        answered, interval = row["latency"][name], row["accuracy"][name]
        if value is None:
            assert answered is interval is None
            continue
        low, high = interval
        assert low <= answered <= high
        assert low <= value <= high <= low * (1.01 + 1e-12)
        if row["accuracy"]["exact"]:
            assert low == value == high


@zones
def test_revenue_is_what_the_events_say(zone: str) -> None:
    for first, last in ranges(zone, 12):
        facts = of_dates(facts_in(zone), zone, first, last)
        end_ms = midnight_ms(last + dt.timedelta(1), zone)
        today_end_ms = midnight_ms(date_of(NOW_MS, zone) + dt.timedelta(1), zone)
        mrr = oracle.mrr(facts_in(zone), min(end_ms, today_end_ms))
        answer = house_in(zone).revenue(NOW_MS, **dates(first, last))["data"]
        check_money(answer["byCurrency"], oracle.revenue(facts), mrr)


@zones
@pytest.mark.parametrize(
    ("parameter", "field", "value"),
    [
        ("serviceId", "serviceId", "svc-2"),
        ("creatorId", "creatorId", "anna"),
        ("currency", "currency", "JPY"),
    ],
)
def test_revenue_of_one_is_what_its_events_say(
    zone: str, parameter: str, field: str, value: str
) -> None:
    of_one = [fact for fact in facts_in(zone) if fact.get(field) == value]
    for first, last in ranges(zone, 4):
        answer = house_in(zone).revenue(NOW_MS, **dates(first, last), **{parameter: value})
        facts = of_dates(of_one, zone, first, last)
        found = answer["data"]["byCurrency"]
        check_money(found, oracle.revenue(facts), dict.fromkeys(found))


def check_money(found: Answer, true: dict[str, Answer], mrr: dict[str, Decimal | None]) -> None:
    assert set(found) == {*true, *mrr}
    for currency, figures in found.items():
        expected = true.get(currency)
        for name in ("gmv", "grossGmv", "refunds", "fees", "creatorEarnings"):
            assert Decimal(str(figures[name])) == (expected[name] if expected else 0), name
        for name in ("takeRate", "avgOrderValue"):
            assert oracle.is_close(figures[name], expected[name] if expected else None), name
        assert figures["transactionCount"] == (expected["transactionCount"] if expected else 0)
        recurring = mrr.get(currency, Decimal(0))
        if recurring is not None:
            assert Decimal(str(figures["mrr"])) == recurring


@zones
def test_marketplace_is_what_the_events_say(zone: str) -> None:
    for first, last in ranges(zone, 12):
        facts = of_dates(facts_in(zone), zone, first, last)
        check_market(house_in(zone).marketplace(NOW_MS, **dates(first, last))["data"], facts)
        design = [fact for fact in facts if fact.get("category") == "design"]
        answer = house_in(zone).marketplace(NOW_MS, category="design", **dates(first, last))
        check_market(answer["data"], design)


def check_market(found: Answer, facts: list[oracle.Fact]) -> None:
    true = oracle.marketplace(facts)
    for name in ("searches", "views", "conversions", "conversionRate"):
        assert found[name] == true[name], name
    assert [(row["id"], row["views"]) for row in found["topServices"]] == true["topServices"]
    tops = [(row["category"], row["views"]) for row in found["topCategories"]]
    assert tops == true["topCategories"]
    terms = [
        (row["query"], row["searches"], row["withoutResult"]) for row in found["topSearches"]
    ]
    assert terms == true["topSearches"]


@zones
def test_experiments_are_what_the_events_say(zone: str) -> None:
    facts = facts_in(zone)
    names = {fact["experimentId"] for fact in facts if "experimentId" in fact}
    for period in [None, *ranges(zone, 8)]:
        asked, start_ms, end_ms = {}, 0, 2**53
        if period is not None:
            asked = dates(*period)
            start_ms = midnight_ms(period[0], zone)
            end_ms = midnight_ms(period[1] + dt.timedelta(1), zone)
        rows = {
            r["experimentId"]: r for r in house_in(zone).experiments(NOW_MS, **asked)["data"]
        }
        for name in names:
            of_one = [fact for fact in facts if fact.get("experimentId") == name]
            true = oracle.experiment(of_one, start_ms, end_ms)
            assert (name in rows) == bool(true["variants"])
            if name in rows:
                check_experiment(rows[name], true)


def check_experiment(row: Answer, true: Answer) -> None:
    found = {
        variant["index"]: {
            name: variant[name] for name in ("views", "conversions", "units", "convertedUnits")
        }
        for variant in row["variants"]
    }
    assert found == true["variants"]
    assert row["multipleExposures"] == true["multipleExposures"]
    assert oracle.instant_ms(row["startedAt"]) == true["startedAt"]
    for variant in row["variants"]:
        assert variant["unitRate"] == oracle.percent(
            variant["convertedUnits"], variant["units"]
        )
        rate = oracle.percent(variant["conversions"], variant["views"])
        assert variant["conversionRate"] == rate
    arms = [(v["convertedUnits"], v["units"]) for v in row["variants"]]
    assert oracle.is_close(row["pValue"], oracle.p_value(arms))


@zones
def test_users_are_what_the_events_say(zone: str) -> None:
    today = date_of(NOW_MS, zone)
    for first, last in ranges(zone, 12):
        found = house_in(zone).users(NOW_MS, **dates(first, last))["data"]
        true = oracle.users(facts_in(zone), first, last, today)
        for name in ("dau", "mau", "newUsers", "churnRate", "sessions", "avgSessionDuration"):
            assert found[name] == true[name], name
        assert found["avgDau"] == true["avgDau"]
        assert [point["percent"] for point in found["curve"]] == true["curve"]
        retention = found["retention"]
        assert [retention[f"day{n}"] for n in (1, 7, 30)] == [
            true["curve"][n - 1] for n in (1, 7, 30)
        ]
        assert found["accuracy"]["dau"]["exact"]
        assert found["accuracy"]["retention"]["exact"]


@pytest.mark.parametrize("shape", ["log-normal", "few values", "zeros", "slow tail", "tiny"])
def test_percentiles_of_many_merged_cells_are_certain_to_1_percent(shape: str) -> None:
    chance = random.Random(shape)
    draw = {
        "log-normal": lambda: round(chance.lognormvariate(4, 1), 3),
        "few values": lambda: float(chance.choice([1, 2, 3, 500])),
        "zeros": lambda: chance.choice([0.0, 0.0, 0.0, 7.5]),
        "slow tail": lambda: 30_000.0 if chance.random() < 0.011 else chance.uniform(5, 6),
        "tiny": lambda: chance.choice([5e-324, 1e-300, 0.001, 1e300]),
    }[shape]
    told: Told = []
    for n in range(6_000):
        at_ms = NOW_MS - n % 40 * 6 * HOUR_MS - 1  # ten days: some of hours, some of days
        call = {"eventType": "service_execution", "serviceId": SERVICES[n % 3], "success": True}
        told.append((NOW_MS - 1, {**call, "latencyMs": draw(), "timestamp": at_ms}))
    house = lived(told, shards=2)
    facts = oracle.known(told, "UTC")
    for asked in ({}, instants(NOW_MS - NOW_MS % HOUR_MS - 30 * HOUR_MS, NOW_MS)):
        answer = house.services(NOW_MS, **asked)
        start, end = (oracle.instant_ms(answer["range"][edge]) for edge in ("start", "end"))
        inside = within(facts, start, end)
        if shape != "tiny":
            check_row(answer["total"], inside)
        for row in [*answer["data"], answer["total"]]:
            some = [f for f in inside if row.get("serviceId") in (None, f["serviceId"])]
            check_percentiles(row, oracle.service_row(some)["percentiles"])


# -- by the hour, and in other zones ----------------------------------------------------------


@zones
def test_what_is_asked_by_the_hour_is_true_or_refused(zone: str) -> None:
    chance = random.Random(zone)
    answered = 0
    for _ in range(60):
        start_ms = NOW_MS - chance.randrange(10 * DAY_MS)
        start_ms -= start_ms % chance.choice([HOUR_MS, HOUR_MS // 2])
        end_ms = start_ms + chance.randrange(1, 30) * HOUR_MS
        try:
            answer = house_in(zone).services(NOW_MS, **instants(start_ms, end_ms))
        except Unanswerable:
            continue
        answered += 1
        start = oracle.instant_ms(answer["range"]["start"])
        end = oracle.instant_ms(answer["range"]["end"])
        assert start <= start_ms < start + HOUR_MS
        assert end_ms <= end
        facts = within(facts_in(zone), start, end)
        check_row(answer["total"], oracle.of_type(facts, "service_execution"))
        check_market(
            house_in(zone).marketplace(NOW_MS, **instants(start_ms, end_ms))["data"], facts
        )
    assert answered > 10


@zones
@pytest.mark.parametrize("asked_in", [*ZONES, "Australia/Lord_Howe", "Asia/Kathmandu"])
def test_days_of_another_zone_are_true_or_refused(zone: str, asked_in: str) -> None:
    for first, last in ranges(asked_in, 20):
        asked = {**dates(first, last), "timezone": asked_in}
        start_ms = midnight_ms(first, asked_in)
        end_ms = midnight_ms(last + dt.timedelta(1), asked_in)
        facts = within(facts_in(zone), start_ms, end_ms)
        try:
            services = house_in(zone).services(NOW_MS, **asked)
            revenue = house_in(zone).revenue(NOW_MS, **asked)
        except Unanswerable:
            assert asked_in != zone
            continue
        check_row(services["total"], oracle.of_type(facts, "service_execution"))
        money = revenue["data"]["byCurrency"]
        check_money(money, oracle.revenue(facts), dict.fromkeys(money))


def test_recent_days_of_a_zone_whole_hours_away_are_not_refused() -> None:
    today = date_of(NOW_MS, "America/New_York")
    for back in range(6):
        day = today - dt.timedelta(back)
        house_in("UTC").services(NOW_MS, **dates(day, day), timezone="America/New_York")


# -- shards, restarts, orders -----------------------------------------------------------------


def everything(house: House) -> dict[str, Any]:
    """Many answers; percentiles and their intervals taken out, for KLL flips coins."""
    zone = house.calendar.zone
    today = date_of(NOW_MS, zone)
    whole = dates(today - dt.timedelta(46), today)
    recent = instants(NOW_MS // HOUR_MS * HOUR_MS - 50 * HOUR_MS, NOW_MS)
    fine = {"granularity": "hour"}
    coarse = {"granularity": "week", "compare": "previous"}
    found: dict[str, Any] = {"counters": house.counters(NOW_MS)}
    for name in ("services", "revenue", "marketplace"):
        ask = getattr(house, name)
        found[name] = [
            ask(NOW_MS, **whole, **coarse), ask(NOW_MS, **recent, **fine), ask(NOW_MS)
        ]  # fmt: skip
    found["experiments"] = [house.experiments(NOW_MS), house.experiments(NOW_MS, **whole)]
    found["users"] = [
        house.users(NOW_MS, **whole, **coarse, cohorts="week"),
        house.users(NOW_MS),
    ]
    return without_percentiles(found)


SKETCHED = {"p50", "p95", "p99", "exact"}


def without_percentiles(value: Any) -> Any:
    if isinstance(value, dict):
        kept = ((k, v) for k, v in value.items() if k not in SKETCHED)
        return {key: without_percentiles(one) for key, one in kept}
    if isinstance(value, list):
        return [without_percentiles(one) for one in value]
    return value


@zones
def test_one_shard_answers_as_eight_do(zone: str) -> None:
    assert everything(lived(told_by(zone), timezone=zone, shards=1)) == everything(
        house_in(zone)
    )


@zones
def test_replay_answers_as_live_did(zone: str) -> None:
    live = lived(told_by(zone)[: EVENTS // 2], timezone=zone, shards=3)
    everything(live)  # questions in between change nothing
    for record in records(told_by(zone)[EVENTS // 2 :]):
        live.record(record)
    assert everything(live.replayed()) == everything(live)


@zones
@pytest.mark.parametrize("shards", [8, 1, 3])
def test_a_snapshot_answers_as_live_did(zone: str, shards: int) -> None:
    live = lived(told_by(zone), timezone=zone, shards=8)
    live.snapshot(full=True)
    assert everything(live.restarted(shards=shards)) == everything(live)


@zones
@pytest.mark.parametrize("shards", [8, 5])
def test_a_snapshot_with_deltas_and_the_rest_replayed_answer_as_live_did(
    zone: str, shards: int
) -> None:
    parts = records(told_by(zone))
    live = House(timezone=zone, shards=8)
    cuts = [len(parts) * n // 10 for n in (0, 4, 5, 7, 9)]
    for number, (start, end) in enumerate(pairwise(cuts)):
        for record in parts[start:end]:
            live.record(record)
        live.snapshot(full=number == 0)
        if number == 1:
            everything(live)
    back = live.restarted(shards=shards)
    for record in parts[cuts[-1] :]:
        live.record(record)
        back.record(record)
    assert back.sequencing.tally == live.sequencing.tally
    assert everything(back) == everything(live)


def test_a_journal_on_disk_answers_as_live_did(tmp_path: Path) -> None:
    live = lived(told_by("Asia/Kolkata"), timezone="Asia/Kolkata", shards=8)
    journal = Journal.open(tmp_path / "journal", durability="none")
    for record in live.records:
        bodies = [
            Body(kind, len(events.replay(kind, body).events), body)
            for kind, body in record.bodies
        ]
        journal.append(journal.last_seq + 1, record.received_ms, bodies)
    journal.close()
    config = replace(live.config, data=tmp_path, shards=3)
    recovered = recover(config)
    back = House(**asdict(config))
    back.sequencing, back.states = recovered.sequencing, list(recovered.states)
    recovered.journal.close()
    assert recovered.report.replayed_events == len(told_by("Asia/Kolkata"))
    assert everything(back) == everything(live)


def test_a_restart_from_a_restart_answers_as_live_did() -> None:
    live = house_in("Asia/Kolkata")
    live.snapshot(full=True)
    once = live.restarted(shards=3)
    once.snapshot(full=True)
    assert everything(once.restarted(shards=8)) == everything(live)


def test_any_order_of_arrival_gives_the_same_counts() -> None:
    told = [(NOW_MS - 1, event) for _, event in told_by("UTC") if "timestamp" in event]
    straight = everything(lived(told, shards=8))
    random.Random(1).shuffle(told)
    assert everything(lived(told, shards=8)) == straight


def test_a_batch_cut_into_single_records_gives_the_same_counts() -> None:
    told = told_by("UTC")[:800]
    alone = House(shards=4)
    for received_ms, event in told:
        alone.track(received_ms, event)
    assert everything(alone) == everything(lived(told, shards=4))


NEARLY_FULL = {
    "services_max": 4,
    "creators_max": 1,
    "categories_max": 2,
    "experiments_max": 1,
    "search_terms_per_day_max": 3,
    "service_categories_max": 1,
    "service_error_codes_max": 1,
}


@zones
@pytest.mark.parametrize("caps", [{}, NEARLY_FULL])
def test_how_many_records_are_dealt_at_a_time_changes_nothing(
    zone: str, caps: dict[str, int]
) -> None:
    told = told_by(zone)
    together = lived(told, timezone=zone, shards=8, **caps)
    alone, at_random = House(timezone=zone, **caps), House(timezone=zone, shards=3, **caps)
    alone.is_eager = True
    chance = random.Random(zone)
    for record in records(told):
        alone.record(record)
        at_random.record(record)
        if chance.random() < 0.02:
            at_random.counters(NOW_MS)
        at_random.is_eager = chance.random() < 0.1
    assert everything(alone) == everything(together) == everything(at_random)
    over_cap = together.sequencing.over_cap()
    assert alone.sequencing.over_cap() == at_random.sequencing.over_cap() == over_cap
    assert bool(over_cap) == bool(caps)


# -- series and comparison --------------------------------------------------------------------


@zones
@pytest.mark.parametrize("granularity", ["hour", "day", "week", "month"])
def test_a_series_adds_up_to_the_whole(zone: str, granularity: str) -> None:
    house = house_in(zone)
    today = date_of(NOW_MS, zone)
    asked = {**dates(today - dt.timedelta(6), today), "granularity": granularity}
    if granularity != "hour":
        asked["startDate"] = (today - dt.timedelta(44)).isoformat()
    services = house.services(NOW_MS, **asked)
    assert (
        sum(step["executions"] for step in services["series"])
        == services["total"]["executions"]
    )
    revenue = house.revenue(NOW_MS, currency="EUR", **asked)["data"]
    assert sum(s["transactionCount"] for s in revenue["series"]) == revenue["transactionCount"]
    gmv = sum(Decimal(str(step["gmv"])) for step in revenue["series"])
    assert gmv == Decimal(str(revenue["gmv"]))
    market = house.marketplace(NOW_MS, **asked)["data"]
    for name in ("searches", "views", "conversions"):
        assert sum(step[name] for step in market["series"]) == market[name]
    if granularity != "hour":
        users = house.users(NOW_MS, **asked)["data"]
        for name in ("newUsers", "sessions"):
            assert sum(step[name] for step in users["series"]) == users[name]


@zones
def test_trends_add_up_to_each_row(zone: str) -> None:
    today = date_of(NOW_MS, zone)
    asked = dates(today - dt.timedelta(20), today)
    for row in house_in(zone).services(NOW_MS, trend=True, **asked)["data"]:
        assert len(row["trend"]) == 21
        assert sum(row["trend"]) == row["executions"]


@zones
@pytest.mark.parametrize("filters", [{}, {"serviceId": "svc-1"}])
def test_comparing_is_asking_for_the_period_before(zone: str, filters: dict[str, str]) -> None:
    house = house_in(zone)
    today = date_of(NOW_MS, zone)
    for days in (1, 3, 7, 20):
        first = today - dt.timedelta(days - 1)
        asked = {**dates(first, today), **filters}
        before = {**dates(first - dt.timedelta(days), first - dt.timedelta(1)), **filters}
        for ask in (house.revenue, house.marketplace):
            compared = ask(NOW_MS, **asked, compare="previous")
            assert compared["previous"] == ask(NOW_MS, **before)["data"]
        if not filters:
            compared = house.users(NOW_MS, **asked, compare="previous")
            assert compared["previous"] == house.users(NOW_MS, **before)["data"]


@zones
@pytest.mark.parametrize(
    "filters", [{}, {"serviceId": "svc-5"}, {"category": "design"}, {"category": "größe"}]
)
def test_comparing_services_is_asking_for_the_period_before(
    zone: str, filters: dict[str, str]
) -> None:
    house = house_in(zone)
    today = date_of(NOW_MS, zone)
    for days in (1, 3, 7, 20):
        first = today - dt.timedelta(days - 1)
        asked = {**dates(first, today), **filters}
        before = {**dates(first - dt.timedelta(days), first - dt.timedelta(1)), **filters}
        compared = without_percentiles(house.services(NOW_MS, **asked, compare="previous"))
        earlier = without_percentiles(house.services(NOW_MS, **before))
        assert compared["previous"] == earlier["total"]
        rows = {row["serviceId"]: row for row in earlier["data"]}
        for row in compared["data"]:
            then = rows.get(row["serviceId"], {"executions": 0, "errorRate": None})
            assert row["previous"]["executions"] == then["executions"]
            assert row["previous"]["errorRate"] == then["errorRate"]


# -- beyond the bounds ------------------------------------------------------------------------

TIGHT = {
    "users_exact_max": 20,
    "experiment_units_max": 12,
    "services_max": 4,
    "service_categories_max": 2,
    "service_error_codes_max": 2,
    "categories_max": 3,
    "search_terms_per_day_max": 2,
    "creators_max": 1,
    "experiments_max": 1,
}


@pytest.mark.parametrize("shards", [1, 3])
def test_beyond_all_bounds_replay_and_restarts_answer_as_live_did(shards: int) -> None:
    parts = records(told_by("UTC"))
    live = House(shards=shards, **TIGHT)
    for number, record in enumerate(parts):
        live.record(record)
        if number % 800 == 100:
            live.snapshot(full=number < 800)
            everything(live)
    live.snapshot(full=False)
    answer = everything(live)
    assert answer["users"][0]["data"]["accuracy"]["retention"]["sampleRate"] < 1
    assert answer["experiments"][0]["data"][0]["sampleRate"] < 1
    assert everything(live.replayed()) == answer
    assert everything(live.restarted()) == answer


def test_beyond_all_bounds_nothing_is_lost_but_told_together() -> None:
    live = lived(told_by("UTC"), shards=3, **TIGHT)
    free = house_in("UTC")
    today = date_of(NOW_MS, "UTC")
    asked = dates(today - dt.timedelta(46), today)
    for ask in ("services", "revenue", "marketplace"):
        bound = without_percentiles(getattr(live, ask)(NOW_MS, **asked))
        whole = without_percentiles(getattr(free, ask)(NOW_MS, **asked))
        if ask == "services":
            assert bound["total"]["executions"] == whole["total"]["executions"]
            assert bound["total"]["latency"] == whole["total"]["latency"]
            continue
        for name in whole["data"].keys() - {"topServices", "topCategories", "topSearches"}:
            assert bound["data"][name] == whole["data"][name], name
