"""A server is killed under load; a ledger of what was sent and acknowledged tells the truth.

kill -9 leaves the page cache to the system, so nothing here is about fsync: that a record is on
the disk before its acknowledgement is tested with disks that fail and stop (tests/persistence).
"""

import json

import pytest

from tests.crash.ledger import (
    Ledger,
    assert_in_bounds,
    assert_nothing_is_made_up,
    by_service,
    counted,
    send_all_again,
    under_load,
)
from tests.server import Server

pytestmark = pytest.mark.crash


@pytest.mark.parametrize(
    ("durability", "assert_as_promised"),
    [
        ("fsync", assert_in_bounds),
        ("write", assert_in_bounds),
        ("none", assert_nothing_is_made_up),
    ],
)
def test_what_was_acknowledged_is_counted_once_whenever_the_server_is_killed(
    tmp_path, settings, durability, assert_as_promised
):
    options = ("--config", str(settings), "--durability", durability)
    ledger = Ledger(seed=durability)
    with Server(tmp_path / "data", *options) as server:
        for kill in range(3):
            with under_load(server, ledger):
                ledger.wait_for_more()
                server.kill()
            if kill == 1:
                server.start(until="listening on ")
                server.kill()  # while it recovers
            server.start()
            assert_as_promised(server, ledger)
        send_all_again(server, ledger)
        assert counted(server) == by_service(ledger.sent)
        if durability == "none":
            assert server.stop() == 0
        else:
            server.kill()
        server.start()
        assert counted(server) == by_service(ledger.sent)


def test_a_kill_under_none_takes_the_last_batches_and_about_a_megabyte_at_most(tmp_path):
    batches = [
        [
            {
                "eventType": "marketplace_view",
                "serviceId": f"s{number}",
                "eventId": f"e-{number}-{place}",
                "category": "c" * 10_000,
            }
            for place in range(3)
        ]
        for number in range(100)
    ]
    bytes_each = len(json.dumps(batches[0]))
    with Server(tmp_path / "data", "--durability", "none") as server:
        for sent in (20, 60, 100):  # from before the first megabyte to three of them
            for batch in batches[:sent]:
                server.client.post("/track/batch", json=batch).raise_for_status()
            server.kill()
            server.start()
            kept = len(counted(server, services=100))
            assert counted(server, services=100) == by_service(batches[:kept])
            assert (sent - kept) * bytes_each <= 2**20
        for batch in batches:
            server.client.post("/track/batch", json=batch).raise_for_status()
        assert counted(server, services=100) == by_service(batches)


def test_a_stop_under_load_loses_nothing(tmp_path, settings):
    ledger = Ledger(seed=4)
    with Server(tmp_path / "data", "--config", str(settings)) as server:
        for _ in range(2):
            with under_load(server, ledger):
                ledger.wait_for_more()
                assert server.stop() == 0
                assert server.messages[-1] == "stopped"
            server.start()
            assert server.line("recovered")["replayed_events"] == 0
            assert_in_bounds(server, ledger)
        send_all_again(server, ledger)
        assert counted(server) == by_service(ledger.sent)


def test_a_stop_writes_down_which_ids_it_has_seen(tmp_path, settings):
    ledger = Ledger(seed=5)
    batch = ledger.next_batch()
    with Server(tmp_path / "data", "--config", str(settings)) as server:
        server.client.post("/track/batch", json=batch).raise_for_status()
        assert server.stop() == 0
        server.start()
        server.client.post("/track/batch", json=batch).raise_for_status()
        assert counted(server) == by_service([batch])
