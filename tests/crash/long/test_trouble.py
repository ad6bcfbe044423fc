"""A real server in trouble: no room, no files, a stopped process, a clock that is set back."""

import contextlib
import re
import resource
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.ledger import (
    Ledger,
    assert_in_bounds,
    by_service,
    counted,
    send_all_again,
    under_load,
)
from tests.server import ROOT, Server, tallymark, wait_until

pytestmark = pytest.mark.crash

SMALL_DISK_BYTES = 4 * 2**20
STOPPED_S = 30.0


def view(number: int) -> dict[str, str]:
    """One event of a kilobyte, whose id no other has."""
    return {
        "eventType": "marketplace_view",
        "serviceId": "s",
        "eventId": f"v-{number}",
        "category": "c" * 900,
    }


def send(server: Server, first: int, events: int = 25) -> int:
    """The status of a batch."""
    body = [view(first + place) for place in range(events)]
    return server.client.post("/track/batch", json=body).status_code


def views(server: Server) -> int:
    data = server.client.get("/metrics/marketplace").raise_for_status().json()["data"]
    found: int = data["views"]
    return found


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of a few megabytes; mounting it needs root."""
    folder = tmp_path / "small"
    folder.mkdir()
    size = f"size={SMALL_DISK_BYTES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk_refuses_answers_and_goes_on_when_there_is_room(
    small_disk: Path, settings: Path
) -> None:
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(SMALL_DISK_BYTES // 2))
    with Server(small_disk / "data", "--config", str(settings)) as server:
        sent, kept, statuses = 0, set(), []
        while len(statuses) < 40 or statuses[-1] == 200:
            statuses.append(send(server, sent))
            if statuses[-1] == 200:
                kept.update(range(sent, sent + 25))
            sent += 25
        for _ in range(20):  # full: every group is refused, each question answered
            statuses.append(send(server, sent))
            if statuses[-1] == 200:
                kept.update(range(sent, sent + 25))
            sent += 25
            assert views(server) == len(kept)
        assert set(statuses) == {200, 507}
        server.kill()
        server.start()  # without any room
        assert views(server) == len(kept)
        ballast.unlink()
        assert send(server, sent) == 200
        kept.update(range(sent, sent + 25))
        assert server.stop() == 0
        server.start()
        assert views(server) == len(kept)


def test_a_disk_without_a_byte_left_is_told_in_a_line_and_keeps_no_server_from_starting(
    small_disk: Path, settings: Path
) -> None:
    with Server(small_disk / "data", "--config", str(settings), "--archive") as server:
        assert send(server, 0) == 200
        wait_until(lambda: server.client.get("/health").json()["archive"]["coveredSeq"] == 25)
        for n in range(40):  # the control store grows by what its log holds alone
            board = {"name": f"board {n}", "widgets": []}
            assert server.client.post("/dashboards", json=board).status_code == 201
        server.kill()
        with contextlib.suppress(OSError), (small_disk / "ballast").open("wb") as ballast:
            while ballast.write(bytes(4_096)):
                ballast.flush()
        server.start()
        assert views(server) == 25
        server.kill()
    for words in (
        ("archive", str(small_disk / "data"), "--rebuild"),
        ("keys", "add", "--role", "read", "--data", str(small_disk / "data")),
        ("keys", "add", "--role", "read", "--data", str(small_disk / "new")),
        ("backup", str(small_disk / "data"), str(small_disk / "backup")),
    ):
        refused = tallymark(*words)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
        assert re.search("No space left on device|make room on the disk", refused.stderr)


def test_without_files_to_open_the_service_refuses_and_recovers(
    tmp_path: Path, settings: Path
) -> None:
    with Server(tmp_path / "data", "--config", str(settings)) as server:
        assert send(server, 0) == 200
        host, port = server.url.removeprefix("http://").split(":")
        open_files = len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
        _, hard = resource.prlimit(server.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (open_files + 8, hard))
        flood = [socket.create_connection((host, int(port))) for _ in range(40)]
        time.sleep(1)  # it takes what it can
        statuses = [send(server, 25 * n) for n in range(1, 200)]
        assert set(statuses) <= {200, 507}
        for connection in flood:
            connection.close()
        resource.prlimit(server.pid, resource.RLIMIT_NOFILE, (hard, hard))
        time.sleep(1)
        assert send(server, 25 * 200) == 200
        assert server.client.get("/ready").status_code == 200
        kept = 25 * (statuses.count(200) + 2)
        assert views(server) == kept
        assert server.stop() == 0
        server.start()
        assert views(server) == kept


def test_a_process_that_stands_still_for_half_a_minute_goes_on_as_if_nothing_was(
    tmp_path: Path, settings: Path
) -> None:
    ledger = Ledger(seed=30)
    with Server(tmp_path / "data", "--config", str(settings), "--archive") as server:
        with under_load(server, ledger):
            ledger.wait_for_more()
            server.send(signal.SIGSTOP)
            time.sleep(STOPPED_S)
            server.send(signal.SIGCONT)
            ledger.wait_for_more()
            assert server.client.get("/ready").status_code == 200
            assert server.stop() == 0
        server.start()
        assert_in_bounds(server, ledger)
        send_all_again(server, ledger)
        assert counted(server) == by_service(ledger.sent)


def test_a_clock_that_is_set_back_loses_nothing_and_counts_nothing_twice(
    tmp_path: Path, settings: Path
) -> None:
    ahead = tmp_path / "ahead"
    ahead.write_text("7200")
    path = f"{ROOT / 'tests' / 'crash' / 'clock'}:{ROOT}"
    clock = {"CLOCK_AHEAD_S": str(ahead), "PYTHONPATH": path}
    ledger = Ledger(seed=60)
    with Server(
        tmp_path / "data", "--config", str(settings), "--archive", variables=clock
    ) as server:
        for ahead_s in (7_200, 3_600, -3_600, 0, 86_400, -7_200):
            with under_load(server, ledger):
                ledger.wait_for_more()
                temporary = tmp_path / "next"
                temporary.write_text(str(ahead_s))
                temporary.rename(ahead)  # while it runs
                ledger.wait_for_more()
                server.kill()
            server.start()
        ahead.write_text("86400")  # so that all has happened
        send_all_again(server, ledger)
        assert kept_events(server) == by_service(ledger.sent).total()


def kept_events(server: Server) -> int:
    """Events without duplicates, of whatever day: the clock was in several."""
    health = server.client.get("/health").raise_for_status().json()
    kept: int = health["events"] - health["duplicates"]
    return kept


def test_many_servers_on_one_folder_are_one(tmp_path: Path, settings: Path) -> None:
    with Server(tmp_path / "data", "--config", str(settings)) as server:
        refused: list[int] = []

        def intrude() -> None:
            other = Server(tmp_path / "data", "--config", str(settings))
            with pytest.raises(AssertionError):
                other.start()
            refused.append(other.wait())

        intruders = [threading.Thread(target=intrude) for _ in range(4)]
        for intruder in intruders:
            intruder.start()
        numbers = range(0, 500, 25)
        assert {send(server, number) for number in numbers} == {200}
        for intruder in intruders:
            intruder.join()
        assert all(refused)
        assert len(refused) == len(intruders)
        assert views(server) == 500
        server.kill()
        server.start()
        assert views(server) == 500
