"""Exactly once: a client sends through faults and a killed server, and each event counts."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.clients.faulty import FaultyProxy
from tests.server import PATIENCE_S, Server

EVENTS = int(os.environ.get("CLIENT_EVENTS", "1000"))
"""How many events a test sends; `make test-clients CLIENT_EVENTS=10000` is the full one."""

BATCH = 25


def must_arrive_once(
    server: Server, command: Sequence[str], *, cwd: Path, env: dict[str, str]
) -> None:
    """Run `command URL EVENTS`, which is to send that many executions of the service `once`.

    The server is killed when a third of the batches has passed, and started again.
    """
    with FaultyProxy(server.url) as proxy:
        with subprocess.Popen(
            [*command, proxy.url, str(EVENTS)],
            cwd=cwd,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as sender:
            proxy.wait_for_passed(EVENTS // BATCH // 3)
            server.kill()
            server.start()
            proxy.target = server.url
            said, _ = sender.communicate(timeout=PATIENCE_S + EVENTS / 50)
    assert sender.returncode == 0, said
    assert min(proxy.seen[fault] for fault in ("refused", "lost", "unanswered")) > 0
    (row,) = server.client.get("/metrics/services?serviceId=once").json()["data"]
    assert row["executions"] == EVENTS
    assert server.client.get("/health").json()["duplicates"] > 0
