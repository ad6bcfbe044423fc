"""Fifty times kill -9 under load, with torn tails and kills during the recovery."""

from pathlib import Path
from random import Random

import pytest

from tests.crash.ledger import (
    Ledger,
    assert_in_bounds,
    by_service,
    counted,
    kill_soon,
    send_all_again,
    under_load,
)
from tests.server import Server

pytestmark = pytest.mark.crash

ROUNDS = 50


def tear(data: Path, rng: Random) -> None:
    """What the last write of a dying system may leave behind the newest record."""
    newest = max((data / "journal").glob("*.segment"))
    size = rng.randrange(1, 2_000)
    tail = rng.choice((bytes(size), b"\xff" * size, rng.randbytes(size)))
    with newest.open("ab") as file:
        file.write(tail)


@pytest.mark.parametrize("archive", ["--archive", "--no-archive"])
def test_fifty_kills_lose_nothing_and_count_nothing_twice(
    tmp_path: Path, settings: Path, archive: str
) -> None:
    rng, ledger = Random(archive), Ledger(seed=archive)
    with Server(tmp_path / "data", "--config", str(settings), archive) as server:
        for _ in range(ROUNDS // 2):
            with under_load(server, ledger):
                ledger.wait_for_more()
                kill_soon(server, rng)
            if rng.random() < 0.3:
                tear(server.data, rng)
            if rng.random() < 0.3:
                server.start(until="listening on ")
                server.kill()  # while it recovers
            server.start()
            assert_in_bounds(server, ledger)
        send_all_again(server, ledger)
        assert counted(server) == by_service(ledger.sent)
        assert server.stop() == 0
        server.start()
        assert server.line("recovered")["replayed_events"] == 0
        assert counted(server) == by_service(ledger.sent)
