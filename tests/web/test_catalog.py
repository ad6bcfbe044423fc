"""The catalog: a name that somebody gave wins in every answer, until it is taken away."""

from typing import Any

import msgspec
import pytest
from quart.typing import TestClientProtocol as Client

from engine.config import Config
from tests.web.conftest import NOW_MS
from web.app import create_app
from web.control import Control
from web.service import LateEngine

EVENTS: list[dict[str, Any]] = [
    {
        "eventType": "service_execution",
        "serviceId": "s/1",
        "serviceName": "from events",
        "latencyMs": 1,
        "success": True,
    },
    {"eventType": "marketplace_view", "serviceId": "s/1"},
    {
        "eventType": "revenue_transaction",
        "serviceId": "s/1",
        "orderId": "o",
        "amount": 1,
        "currency": "USD",
    },
    {
        "eventType": "experiment_view",
        "experimentId": "e",
        "variantIndex": 0,
        "variantName": "control",
    },
    {"eventType": "experiment_view", "experimentId": "e", "variantIndex": 1},
]


async def data(client: Client, path: str) -> Any:
    return (await (await client.get(path)).get_json())["data"]


async def names(client: Client) -> set[str]:
    """The names of the one service in all answers that have it."""
    services = await data(client, "/metrics/services")
    revenue = await data(client, "/metrics/revenue")
    marketplace = await data(client, "/metrics/marketplace")
    return {
        *(row["serviceName"] for row in services),
        *(row["name"] for row in revenue["topServices"]),
        *(row["name"] for row in marketplace["topServices"]),
    }


async def test_a_name_of_the_catalog_is_in_every_answer_that_follows(client: Client) -> None:
    await client.post("/track/batch", json=EVENTS)
    assert await names(client) == {"from events"}
    given = {"name": "From the catalog", "description": "best"}
    reply = await client.put("/catalog/services/s/1", json=given)
    assert (await reply.get_json())["data"] == {
        "id": "s/1",
        "updatedAt": "2025-10-03T12:00:00+00:00",
        **given,
    }
    assert await names(client) == {"From the catalog"}
    await client.put("/catalog/services/s%2F1", json={"name": "Another"})
    assert await names(client) == {"Another"}
    assert (await client.delete("/catalog/services/s/1")).status_code == 204
    assert await names(client) == {"from events"}


async def test_an_experiment_and_its_variants_have_their_names(client: Client) -> None:
    await client.post("/track/batch", json=EVENTS)
    given = {"name": "Pricing", "variants": [{"index": 1, "name": "Three tiers"}]}
    await client.put("/catalog/experiments/e", json=given)
    (row,) = await data(client, "/metrics/experiments")
    assert row["experimentName"] == "Pricing"
    assert [variant["name"] for variant in row["variants"]] == ["control", "Three tiers"]
    await client.put("/catalog/experiments/e", json={"name": "Pricing 2"})
    (row,) = await data(client, "/metrics/experiments")
    assert [variant["name"] for variant in row["variants"]] == ["control", "Variant B"]
    assert (await data(client, "/catalog/experiments"))[0]["name"] == "Pricing 2"


async def test_services_are_sorted_by_the_names_that_are_shown(client: Client) -> None:
    for key in ("a", "b"):
        await client.post("/track", json=EVENTS[0] | {"serviceId": key, "serviceName": key})
    await client.put("/catalog/services/a", json={"name": "z"})
    rows = await data(client, "/metrics/services?sort=serviceName&limit=1")
    assert [row["serviceName"] for row in rows] == ["b"]


async def test_what_is_not_named_is_not_found(client: Client) -> None:
    for reply in (
        await client.get("/catalog/services/nope"),
        await client.delete("/catalog/experiments/nope"),
    ):
        assert reply.status_code == 404


@pytest.mark.parametrize(
    ("path", "given"),
    [
        ("services/s", {}),
        ("services/s", {"name": ""}),
        ("services/s", {"name": "x" * 201}),
        ("services/s", {"name": " \n"}),
        ("experiments/e", {"name": "x", "variants": [{"index": 64, "name": "x"}]}),
        ("experiments/e", {"name": "x", "variants": [{"index": 0, "name": " "}]}),
        ("experiments/e", {"name": "x", "variants": [{"index": 1, "name": "x"}] * 2}),
        ("services/" + "x" * 257, {"name": "x"}),
    ],
)
async def test_what_is_no_name_is_refused(client: Client, path: str, given: Any) -> None:
    reply = await client.put(f"/catalog/{path}", json=given)
    assert reply.status_code == 422


async def test_names_outlive_a_restart_and_have_a_limit(
    service: LateEngine, config: Config, control: Control, client: Client
) -> None:
    await client.put("/catalog/services/s", json={"name": "Kept"})
    small = msgspec.structs.replace(config, catalog_entries_max=1)
    restarted = Control(control._store, small, keyring=control.keyring, now_ms=lambda: NOW_MS)
    client = create_app(service, config, restarted).test_client()
    assert (await data(client, "/catalog/services/s"))["name"] == "Kept"
    assert (await client.put("/catalog/services/t", json={"name": "x"})).status_code == 409
