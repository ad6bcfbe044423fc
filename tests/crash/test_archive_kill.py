"""The archive and the server are killed in turns under load: every event is a row, once."""

from collections import Counter
from pathlib import Path

import pytest

from persistence.archive import manifest as manifests
from tests.crash.archived import ids_in, kill_archive
from tests.crash.ledger import Ledger, send_all_again, under_load
from tests.server import PATIENCE_S, Server, tallymark

pytestmark = pytest.mark.crash


def test_every_accepted_event_is_one_row_whoever_is_killed(
    tmp_path: Path, settings: Path
) -> None:
    ledger = Ledger(seed=7)
    data = tmp_path / "data"
    with Server(data, "--config", str(settings), "--archive") as server:
        for turn in range(3):
            with under_load(server, ledger):
                ledger.wait_for_more()
                kill_archive(server)
                ledger.wait_for_more()
                if turn % 2:
                    kill_archive(server)
                server.kill()
            server.start()
        send_all_again(server, ledger)
        assert server.stop() == 0
    sent = Counter(event["eventId"] for batch in ledger.sent for event in batch)
    assert ids_in(data) == sent
    manifest = manifests.read(data / "archive")
    assert manifest is not None
    tally = manifest.tally
    assert tally.rows == sent.total() == manifest.rows
    assert tally.events == manifest.covered_seq == tally.rows + tally.duplicates
    checked = tallymark("archive", str(data), "--check", patience_s=PATIENCE_S)
    assert checked.returncode == 0, checked.stderr
    assert "0 flaws" in checked.stdout
