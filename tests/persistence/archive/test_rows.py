"""Rows: every field of every type arrives as it was sent, however odd."""

import datetime as dt
import json
from pathlib import Path
from typing import Any

import pytest

from engine.events import Body, Kind
from persistence.archive import rows
from persistence.archive.rows import KINDS, Tally, key_of
from tests.archives import DAY_MS, EPOCH, NOW_MS, House, decoded, true_rows, view

FULL: list[dict[str, Any]] = [
    {
        "eventType": "service_execution", "serviceId": "s", "latencyMs": 0.1, "success": False,
        "executionId": "x", "errorCode": "", "serviceName": "S", "eventId": "e", "userId": "u",
        "sessionId": "t", "category": "", "timestamp": NOW_MS - 1,
    },
    {
        "eventType": "revenue_transaction", "orderId": "o", "amount": 19.99, "currency": "USD",
        "serviceId": "s", "takeRate": 12.5, "creatorId": "c", "status": "refunded",
        "billingInterval": "month", "billingIntervalCount": 3, "subscriptionId": "b",
        "timestamp": "2026-09-22T11:59:59.999+05:30",
    },
    {
        "eventType": "revenue_transaction", "orderId": "o", "amount": 1e15, "currency": "JPY",
        "serviceId": "s",
    },
    {"eventType": "marketplace_search", "searchQuery": "", "resultCount": 2**53 - 1},
    {"eventType": "marketplace_search", "searchQuery": "a\u0000'\"\\\nÜ😀", "userId": "ü" * 99},
    {"eventType": "marketplace_view", "serviceId": "s", "serviceName": "N"},
    {"eventType": "marketplace_conversion", "serviceId": "s"},
    {
        "eventType": "marketplace_conversion", "serviceId": "s", "orderId": "o", "amount": 5e-7,
        "currency": "EUR",
    },
    {
        "eventType": "experiment_view", "experimentId": "x", "variantIndex": 63,
        "experimentName": "E", "variantName": "V", "userId": "u",
    },
    {
        "eventType": "experiment_conversion", "experimentId": "x", "variantIndex": 0,
        "value": -1.5e300,
    },
    {"eventType": "user_session", "sessionId": "t", "duration": 1e308, "cohort": "2025-10"},
]  # fmt: skip


def test_every_field_of_every_type_is_in_the_file_as_it_was_sent(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.track(NOW_MS, *FULL)
    assert house.follow().rows() == true_rows([(NOW_MS, event) for event in FULL])


@pytest.mark.parametrize("event", FULL, ids=lambda event: event["eventType"])
def test_every_type_alone_is_as_it_is_among_others(
    tmp_path: Path, event: dict[str, Any]
) -> None:
    house = House(tmp_path)
    house.track(NOW_MS, event)
    assert house.follow().rows() == true_rows([(NOW_MS, event)])


def test_a_senders_wrong_clock_is_mended_as_the_metrics_do(tmp_path: Path) -> None:
    house = House(tmp_path)
    sent = {"sentAt": NOW_MS - 3_600_000, "events": [view(timestamp=NOW_MS - 3_600_500)]}
    house.journal.append(1, NOW_MS, [Body(Kind.ENVELOPE, 1, json.dumps(sent).encode())])
    (row,) = house.follow().rows()
    at_ms = (row["timestamp"] - EPOCH) // dt.timedelta(milliseconds=1) + row["timestampMillis"]
    assert at_ms == NOW_MS - 500


def test_an_event_as_old_as_the_raw_keep_is_a_row_and_an_older_one_is_not(
    tmp_path: Path,
) -> None:
    house = House(tmp_path, raw_keep_days=3)
    oldest_ms = NOW_MS - 3 * DAY_MS
    house.track(NOW_MS, view("old", timestamp=oldest_ms - 1), view("edge", timestamp=oldest_ms))
    assert [row["index1"] for row in house.follow().rows()] == ["edge"]
    assert house.manifest.tally == Tally(events=2, too_old=1, rows=1)


def test_a_record_without_any_row_is_covered_without_a_file(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.track(NOW_MS, view(eventId="a"))
    house.follow()
    house.track(NOW_MS, view(eventId="a"), view(eventId="a"))
    assert len(house.follow().files) == 1
    assert house.manifest.covered_seq == 3
    assert house.manifest.tally == Tally(events=3, duplicates=2, rows=1)


def test_a_file_of_days_and_weights_says_so(tmp_path: Path) -> None:
    house = House(tmp_path, thin_above_per_s=4)
    house.track(NOW_MS, *[view() for _ in range(20)], view(timestamp=NOW_MS - DAY_MS))
    (file,) = house.follow().manifest.files
    assert file.name.startswith("mixed/")
    weights = [row["_sample_interval"] for row in house.rows()]
    assert file.weight == sum(weights) > file.rows == len(weights)
    assert house.manifest.tally.thinned == 21 - len(weights)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.tag)
def test_the_index_of_each_type_is_the_first_of_its_keys(kind: rows.Kind) -> None:
    events = [event for event in FULL if event["eventType"] == kind.tag]
    for event, decoded_event in zip(events, decoded(*events).events, strict=True):
        assert key_of(decoded_event) == true_rows([(NOW_MS, event)])[0]["index1"]
