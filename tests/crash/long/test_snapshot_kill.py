"""A real server is killed at each step of writing a snapshot: it costs a replay and no figure.

The server is the product's own; its disk alone is wrapped (tests/crash/disk). The same at every
call on a disk that stops, and on one that loses its power, is in tests/persistence and
tests/simulation.
"""

import signal
from pathlib import Path

import pytest

from persistence.files import REAL_DISK
from persistence.snapshot import KEPT, read_manifest
from tests.crash.ledger import (
    Ledger,
    assert_in_bounds,
    by_service,
    counted,
    posted,
    send_all_again,
    under_load,
)
from tests.server import ROOT, Server

pytestmark = pytest.mark.crash

LAST = "sync folder after remove part"
STEPS = {
    *("remove temporary", "create part", "write part", "sync part", "rename part"),
    "sync folder after rename part",
    *("create manifest", "write manifest", "sync manifest", "rename manifest"),
    "sync folder after rename manifest",
    *("remove manifest", "remove part", LAST),
}
"""What writing a snapshot consists of, the removal of what is superfluous then among it."""

OF_AN_EARLIER_KILL = f"{0:020d}-shard-0.0.full"
"""A part that no manifest lists, so that there is always one to remove."""


def killed_at(step: str, data: Path, options: tuple[str, ...], ledger: Ledger) -> list[str]:
    """Kill a server under load at that step; all steps that there were, the fatal one last."""
    steps = data.parent / "steps"
    path = f"{ROOT / 'tests' / 'crash' / 'disk'}:{ROOT}"
    fatal = {"PYTHONPATH": path, "FATAL_STEP": step, "STEPS": str(steps)}
    with Server(data, *options, variables=fatal) as server, under_load(server, ledger):
        assert server.wait() == -signal.SIGKILL
    return steps.read_text().splitlines()


def assert_nothing_is_left_over(folder: Path) -> None:
    """The folder has two snapshots, whole, and no other file."""
    manifests = sorted(folder.glob("*.manifest"))
    assert len(manifests) == KEPT
    needed = {path.name for path in manifests}
    for path in manifests:
        chains = read_manifest(REAL_DISK, path).sources.values()
        needed.update(part.name for chain in chains for part in chain)
    assert {path.name for path in folder.iterdir()} == needed


def send_one(server: Server, ledger: Ledger) -> None:
    batch = ledger.next_batch()
    posted(server.client, batch).raise_for_status()
    ledger.note_acknowledged(batch)


def test_a_server_that_is_killed_at_any_step_of_a_snapshot_has_lost_nothing(
    tmp_path: Path, settings: Path
) -> None:
    data, options = tmp_path / "data", ("--config", str(settings), "--shards", "2")
    ledger = Ledger(seed="steps")
    died_at, steps = set[str](), list[str]()
    with Server(data, *options) as server:
        send_one(server, ledger)
        assert server.stop() == 0
        for step in (*map(str, range(1, 100)), *sorted(STEPS)):
            if step in died_at or (step.isdecimal() and LAST in steps):
                continue  # all the numbers of one, and by name what had other numbers meanwhile
            (data / "snapshots" / OF_AN_EARLIER_KILL).touch()
            steps = killed_at(step, data, options, ledger)
            died_at.add(steps[-1])
            server.start()
            assert "snapshot skipped" not in server.messages
            assert_in_bounds(server, ledger)
            send_one(server, ledger)  # so that there is something to take a snapshot of
            assert server.stop() == 0
            assert_nothing_is_left_over(data / "snapshots")
        server.start()
        send_all_again(server, ledger)
        assert counted(server) == by_service(ledger.sent)
    assert died_at == STEPS
