"""What one creator sold of one service, from raw rows: as if nothing else had been sold."""

import datetime as dt
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.server import Server

NOW = dt.datetime.now(dt.UTC)
SERVICES = ("it's \\ a", 'b"; --', "é")
CREATORS = ("x'\\", "y", None)
DAYS = 12

Events = list[dict[str, Any]]


def sales(rng: random.Random, count: int) -> Events:
    found = []
    for n in range(count):
        event: dict[str, Any] = {
            "eventType": "revenue_transaction",
            "orderId": f"o-{n}",
            "amount": rng.choice((0.1, 0.2, 19.99, 1_000_000.5)),
            "currency": rng.choice(("USD", "USD", "EUR")),
            "serviceId": rng.choice(SERVICES),
            "creatorId": rng.choice(CREATORS),
            "takeRate": rng.choice((None, 7.5, 33.3)),
            "status": rng.choice((None, "completed", "completed", "refunded", "failed")),
            "timestamp": int((NOW.timestamp() - rng.random() * DAYS * 86_400) * 1_000),
            "eventId": f"e-{n - n % 7 % 2}",  # some come twice
        }
        if rng.random() < 0.3:
            event |= {"billingInterval": rng.choice(("month", "week", "year"))}
            whose = f"{event['serviceId']}{event['creatorId']}"
            event |= {"subscriptionId": f"{whose}{n % 5}"}
        found.append(event)
    return found


def fill(server: Server, events: Events) -> None:
    lines = b"\n".join(map(orjson.dumps, events))
    assert server.client.post("/track/bulk", content=lines).status_code == 200
    while server.client.post("/sql?fresh=1", content="SELECT 1").status_code == 503:
        pass  # the archive is on its way


@pytest.fixture(scope="module")
def events() -> Events:
    once: dict[str, dict[str, Any]] = {}
    for event in sales(random.Random(11), 900):
        once.setdefault(event["eventId"], event)
    return list(once.values())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, events: Events) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("raw")
    with Server(folder / "data", "--archive", "--durability", "write") as running:
        fill(running, [*events, *events[:100]])
        yield running


def asked(server: Server, **parameters: str) -> dict[str, Any]:
    reply = server.client.get("/metrics/revenue", params=parameters)
    assert reply.status_code == 200, reply.text
    answer: dict[str, Any] = reply.json()
    return answer


START = str((NOW - dt.timedelta(days=5)).date())
PERIODS = (
    {},
    {"startDate": START, "granularity": "day", "compare": "previous"},
    {"startDate": START, "granularity": "hour", "timezone": "Asia/Shanghai"},
    {"startDate": f"{START}T07:00:00Z", "endDate": f"{START}T19:00:00Z"},
)


@pytest.mark.parametrize(("service", "creator"), [(SERVICES[0], CREATORS[0]), ("é", "y")])
def test_both_filters_answer_as_one_of_a_house_that_has_sold_nothing_else(
    server: Server, events: Events, tmp_path: Path, service: str, creator: str
) -> None:
    own = [e for e in events if (e["serviceId"], e["creatorId"]) == (service, creator)]
    assert len(own) > 30
    with Server(tmp_path / "data", "--archive", "--durability", "write") as other:
        fill(other, own)
        for period in PERIODS:
            for only in ({}, {"currency": "USD"}, {"currency": "EUR"}):
                found = asked(server, serviceId=service, creatorId=creator, **period, **only)
                assert found == asked(other, serviceId=service, **period, **only)
                if not only and not period:
                    assert found["data"]["transactionCount"] > 0
                    assert found["data"]["topServices"][0]["id"] == service


def test_an_acknowledged_sale_is_in_the_next_answer(server: Server) -> None:
    for n in range(1, 4):
        sale = {"eventType": "revenue_transaction", "orderId": "o", "amount": 2}
        sale |= {"currency": "USD", "serviceId": "new", "creatorId": "one"}
        assert server.client.post("/track", json=sale).status_code == 200
        assert asked(server, serviceId="new", creatorId="one")["data"]["gmv"] == 2 * n
    assert asked(server, serviceId="new", creatorId="y")["data"]["transactionCount"] == 0


def test_what_raw_rows_do_not_hold_is_never_guessed(server: Server, tmp_path: Path) -> None:
    both = {"serviceId": "é", "creatorId": "y"}
    long_ago = str((NOW - dt.timedelta(days=91)).date())
    reply = server.client.get("/metrics/revenue", params={**both, "startDate": long_ago})
    assert (reply.status_code, reply.json()["title"]) == (422, "Not answerable exactly")
    assert "raw rows, which are kept since" in reply.json()["detail"]
    one = server.client.get(
        "/metrics/revenue", params={"creatorId": "y", "startDate": long_ago}
    )
    assert one.status_code == 200
    with Server(tmp_path / "data") as without:
        reply = without.client.get("/metrics/revenue", params=both)
        assert (reply.status_code, "no archive" in reply.json()["detail"]) == (422, True)


def test_a_service_in_a_category_is_answered(server: Server) -> None:
    for category in ("a", "a", "b"):
        call = {"eventType": "service_execution", "serviceId": "s", "latencyMs": 1}
        call |= {"success": True, "category": category}
        assert server.client.post("/track", json=call).status_code == 200
    reply = server.client.get("/metrics/services?serviceId=s&category=a")
    assert [row["executions"] for row in reply.json()["data"]] == [2]
