"""What Prometheus reads: right figures, known names, both formats, at any time of a life."""

import re
from collections.abc import Iterator

import pytest
import trio
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as read_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as read_plain
from quart.typing import TestClientProtocol as Client

from engine.actors.runtime import Engine
from engine.config import Config
from tests.server import PATIENCE_S, ROOT
from web.app import create_app
from web.control import Control
from web.service import LateEngine

VIEW = b'{"eventType":"marketplace_view","serviceId":"s-1","eventId":"e-1"}'
OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
PATH = "/metrics/prometheus"


async def read(client: Client) -> dict[str, float]:
    """{sample with its labels: its value}"""
    text = (await (await client.get(PATH)).get_data()).decode()
    return {
        sample.name + "".join(f" {label}" for label in sorted(sample.labels.values())): (
            sample.value
        )
        for family in read_plain(text)
        for sample in family.samples
    }


def names(families: Iterator[Metric]) -> set[str]:
    """Families as the manual names them: a counter and an info with their endings."""
    endings = {"counter": "_total", "info": "_info"}
    return {family.name + endings.get(family.type, "") for family in families}


async def test_what_was_accepted_dropped_and_refused_is_counted(client: Client) -> None:
    await client.post("/track", data=VIEW)
    await client.post("/track/batch", data=b"[" + VIEW + b"," + VIEW + b"]")
    await client.post("/track/bulk", data=VIEW.replace(b"e-1", b"e-2"))
    await client.post("/track/bulk", data=b"{}")
    await client.post("/track", data=b"{")
    await client.post("/track", data=b"{")
    await client.get("/nope")
    await client.get("/counters/nope")
    await client.put("/track")
    await client.get("/metrics/users", headers={"Host": "evil.example"})
    await client.get("/metrics/marketplace")
    found = await read(client)
    assert found["tallymark_events_total"] == 4
    assert found["tallymark_duplicate_events_total"] == 2
    refusals = {k: v for k, v in found.items() if k.startswith("tallymark_refusals_total")}
    assert refusals == {
        "tallymark_refusals_total /track malformed-body": 2,
        "tallymark_refusals_total /track/bulk invalid-event": 1,
        "tallymark_refusals_total not-found other": 1,
        "tallymark_refusals_total /counters/{key} not-found": 1,
        "tallymark_refusals_total method-not-allowed other": 1,
        "tallymark_refusals_total /metrics/users misdirected-request": 1,
    }
    assert found["tallymark_answer_seconds_count /track"] == 3
    assert found["tallymark_answer_seconds_bucket +Inf /track/bulk"] == 2
    assert found["tallymark_group_events_count"] == 3
    assert found["tallymark_group_events_sum"] == 4
    assert found["tallymark_group_events_bucket 1"] == 2
    # The question above has folded what waited: by themselves a few facts are no cells yet.
    assert found["tallymark_cells marketplace"] > 0
    assert found["tallymark_memory_bytes eventIds"] > 0
    assert found["tallymark_ready"] == 1


async def test_answers_of_others_are_counted_with_ours(
    service: LateEngine, config: Config, control: Control
) -> None:
    app = create_app(service, config, control)
    client = app.test_client()
    app.meter.answered("/track", 0.5, "overloaded")
    await client.post("/track", data=VIEW)
    found = await read(client)
    assert found["tallymark_refusals_total /track overloaded"] == 1
    assert found["tallymark_answer_seconds_count /track"] == 2
    assert found["tallymark_answer_seconds_bucket /track 0.5"] == 2


async def test_both_formats_can_be_read_and_say_the_same(client: Client) -> None:
    plain = await client.get(PATH)
    media = plain.headers["Content-Type"]
    assert media.startswith("text/plain; version=0.0.4")
    # The first reads an info as the gauge that it is there, and knows no other difference.
    families = names(read_plain((await plain.get_data()).decode()))
    strict = await client.get(PATH, headers={"Accept": OPENMETRICS})
    assert strict.headers["Content-Type"].startswith("application/openmetrics-text; version=1")
    assert names(read_openmetrics((await strict.get_data()).decode())) == families
    assert (await client.head(PATH)).status_code == 200


@pytest.mark.parametrize(
    "accept",
    [
        "text/plain;version=abc",
        "application/openmetrics-text;version=1.x",
        "\xe9",
        ";;,",
        "*/*",
    ],
)
async def test_a_strange_wish_is_answered_in_the_plain_format(
    client: Client, accept: str
) -> None:
    reply = await client.get(PATH, headers={"Accept": accept})
    assert reply.status_code == 200
    assert reply.headers["Content-Type"].startswith("text/plain")


async def test_while_it_recovers_it_says_so(config: Config, control: Control) -> None:
    found = await read(create_app(LateEngine(config), config, control).test_client())
    assert found["tallymark_ready"] == 0
    assert "tallymark_events_total" not in found


async def test_the_archive_tells_how_far_it_is(
    client: Client, service: LateEngine, engine: Engine
) -> None:
    archiving, service.archive = service.archive, None
    assert archiving is not None
    assert "tallymark_archive_running" not in await read(client)  # it is not found yet
    service.archive = archiving
    await client.post("/track", data=VIEW)
    assert (await read(client))["tallymark_archive_running"] == 0
    async with trio.open_nursery() as nursery:
        await nursery.start(archiving.run, engine)
        await archiving.fresh(1, deadline_s=PATIENCE_S)
        found = await read(client)
        archiving.stop()
    assert found["tallymark_archive_running"] == 1
    assert found["tallymark_archive_lag_events"] == 0
    assert found["tallymark_archive_bytes"] > 0
    assert found["tallymark_archive_restarts_total"] == 0


async def test_the_manual_explains_every_metric_and_no_other(
    client: Client, engine: Engine
) -> None:
    await client.post("/track", data=VIEW)
    await engine.checkpoint()
    text = (await (await client.get(PATH)).get_data()).decode()
    manual = (ROOT / "docs/operations.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", manual, re.MULTILINE)
    assert set(re.findall(r"\btallymark_\w+", manual)) <= {name for name, _ in rows}
    stated = {(name, "gauge" if kind == "info" else kind) for name, kind in rows}
    served = {
        (family.name + ("_total" if family.type == "counter" else ""), family.type)
        for family in read_plain(text)
    }
    assert stated == served
