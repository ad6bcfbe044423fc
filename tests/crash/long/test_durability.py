"""kill -9 again and again under durability `write`: what was written survives."""

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

ROUNDS = 10


def test_what_was_written_survives_every_kill(tmp_path: Path, settings: Path) -> None:
    rng, ledger = Random(1), Ledger(seed="write")
    options = ("--config", str(settings), "--durability", "write")
    with Server(tmp_path / "data", *options) as server:
        for _ in range(ROUNDS):
            with under_load(server, ledger):
                ledger.wait_for_more()
                kill_soon(server, rng)
            server.start()
            assert_in_bounds(server, ledger)
        send_all_again(server, ledger)
        assert counted(server) == by_service(ledger.sent)
