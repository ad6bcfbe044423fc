"""Load on a real server, and a ledger of what was sent and what was acknowledged."""

import json
import threading
import time
from collections import Counter
from contextlib import contextmanager
from random import Random

import httpx

from tests.server import PATIENCE_S, Server

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


def counted(server, services=SERVICES):
    answer = server.client.get("/metrics/marketplace", params={"limit": services})
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


def kill_soon(server: Server, rng: Random) -> None:
    """Kill it at a moment of the next tenth of a second that nothing else decides."""
    time.sleep(rng.random() / 10)
    server.kill()


def assert_in_bounds(server, ledger):
    """acknowledged ≤ counted ≤ sent, service by service."""
    found = counted(server)
    assert by_service(ledger.acknowledged) <= found <= by_service(ledger.sent)


def assert_nothing_is_made_up(server, ledger):
    """counted ≤ sent, service by service: all that durability `none` promises of a kill."""
    assert counted(server) <= by_service(ledger.sent)


def send_all_again(server, ledger):
    for batch in ledger.sent:
        server.client.post("/track/batch", json=batch).raise_for_status()
