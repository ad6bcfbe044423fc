"""A server is killed under load; a ledger of what was sent and acknowledged tells the truth.

kill -9 leaves the page cache to the system, so nothing here is about fsync: that a record is on
the disk before its acknowledgement is tested with disks that fail and stop (tests/persistence).
"""

import json
import threading
from collections import Counter
from contextlib import contextmanager
from random import Random

import httpx
import pytest

from tests.server import PATIENCE_S, Server

pytestmark = pytest.mark.crash

SENDERS = 6
SERVICES = 5

SETTINGS = """
snapshot_interval_s = 1
segment_bytes_max = 65_536
group_bytes_max = 65_536
body_bytes_max = 65_536
"""
"""Snapshots, new segments and trimming all happen within these seconds."""


class Ledger:
    """Every batch that was sent, in the order of sending, and those that were acknowledged."""

    def __init__(self, seed):
        self._rng = Random(seed)
        self._change = threading.Condition()
        self.sent = []
        self.acknowledged = []

    def next_batch(self):
        """A new batch of events that no other has, noted as sent."""
        with self._change:
            number, size = len(self.sent), self._rng.randint(1, 25)
            batch = [
                {
                    "eventType": "marketplace_view",
                    "serviceId": f"s{(number + place) % SERVICES}",
                    "eventId": f"e-{number}-{place}",
                    "userId": f"u{number % 100}",
                }
                for place in range(size)
            ]
            self.sent.append(batch)
            return batch

    def note_acknowledged(self, batch):
        with self._change:
            self.acknowledged.append(batch)
            self._change.notify_all()

    def wait_for_more(self):
        """Return after a random number of further acknowledgements."""
        with self._change:
            goal = len(self.acknowledged) + self._rng.randint(30, 120)
            assert self._change.wait_for(lambda: len(self.acknowledged) >= goal, PATIENCE_S)


def by_service(batches):
    return Counter(event["serviceId"] for batch in batches for event in batch)


def counted(server):
    answer = server.client.get("/metrics/marketplace", params={"limit": SERVICES})
    data = answer.raise_for_status().json()["data"]
    views = Counter({row["id"]: row["views"] for row in data["topServices"]})
    assert views.total() == data["views"]
    return views


def posted(client, batch):
    """Send it as a batch, or as a large request: of either, all is kept or nothing."""
    if len(batch) % 3:
        return client.post("/track/batch", json=batch)
    return client.post("/track/bulk", content="\n".join(map(json.dumps, batch)))


def send_until_it_is_gone(url, ledger):
    with httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
        while True:
            batch = ledger.next_batch()
            try:
                answer = posted(client, batch)
            except httpx.TransportError:
                return
            if answer.status_code == 503:  # it stops: refused, so it must not be counted
                return
            assert answer.status_code == 200, answer.text
            ledger.note_acknowledged(batch)


@contextmanager
def under_load(server, ledger):
    """Send from several threads until the server is gone, which the block sees to."""
    senders = [
        threading.Thread(target=send_until_it_is_gone, args=(server.url, ledger))
        for _ in range(SENDERS)
    ]
    for sender in senders:
        sender.start()
    try:
        yield
    finally:
        server.kill()
        for sender in senders:
            sender.join(PATIENCE_S)


def assert_in_bounds(server, ledger):
    """acknowledged ≤ counted ≤ sent, service by service."""
    found = counted(server)
    assert by_service(ledger.acknowledged) <= found <= by_service(ledger.sent)


def send_all_again(server, ledger):
    for batch in ledger.sent:
        server.client.post("/track/batch", json=batch).raise_for_status()


@pytest.fixture
def settings(tmp_path):
    path = tmp_path / "crash.toml"
    path.write_text(SETTINGS)
    return path


@pytest.mark.parametrize("durability", ["fsync", "write"])
def test_what_was_acknowledged_is_counted_once_whenever_the_server_is_killed(
    tmp_path, settings, durability
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
            assert_in_bounds(server, ledger)
        send_all_again(server, ledger)
        assert counted(server) == by_service(ledger.sent)
        server.kill()
        server.start()
        assert counted(server) == by_service(ledger.sent)


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
