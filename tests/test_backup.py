"""A backup is whole whenever it is taken, and a restore proves it."""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from typing import Any, Self

import httpx
import pytest

from engine.errors import Corruption
from persistence.audit import NotADataFolder
from persistence.backup import NAME, STAGING, BackupFailed, back_up
from persistence.lock import hold
from persistence.record import UnknownFormat
from persistence.restoring import RestoreFailed, restore
from tests.damage import flip
from tests.golden import folder as golden
from tests.server import PATIENCE_S, Server, patiently, tallymark, wait_until

BUSY = """
segment_bytes_max = 131072
body_bytes_max = 65536
group_bytes_max = 131072
snapshot_interval_s = 1
"""


class Sender:
    """Sends batches until told to stop; knows what was sent and what was acknowledged."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=PATIENCE_S, trust_env=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.sent = self.acknowledged = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            events = [
                {
                    "eventType": "service_execution", "serviceId": f"s-{n % 5}",
                    "success": True, "latencyMs": n, "eventId": f"e-{self.sent + n}",
                }
                for n in range(25)
            ]  # fmt: skip
            self.sent += 25
            assert self._client.post("/track/batch", json=events).status_code == 200
            self.acknowledged += 25


def test_a_backup_under_load_holds_all_that_was_acknowledged_and_restores(
    tmp_path: Path,
) -> None:
    (tmp_path / "busy.toml").write_text(BUSY)
    options = ("--archive", "--config", str(tmp_path / "busy.toml"))
    taken: list[tuple[int, int, Path]] = []
    with Server(tmp_path / "data", *options) as server:
        board = {"name": "Kept", "type": "custom"}
        assert server.client.post("/dashboards", json=board).status_code == 201
        with Sender(server.url) as sender:
            for number in range(2):
                # So that snapshots, trims and merges lie between.
                due = server.messages.count("snapshot written") + 2
                wait_until(lambda due=due: server.messages.count("snapshot written") >= due)
                target = tmp_path / f"backup-{number}"
                acknowledged = sender.acknowledged
                copy = ("--copy",) if number % 2 else ()
                done = tallymark("backup", str(server.data), str(target), *copy)
                assert done.returncode == 0, done.stderr
                taken.append((acknowledged, sender.sent, target))
        assert server.client.get("/health").json()["events"] == sender.sent
        assert server.client.get("/health").json()["snapshot"]["seq"] > 0
        assert not list(server.data.glob(f"{STAGING}*"))
        assert server.stop() == 0
    for acknowledged, sent, target in taken:
        last_seq = json.loads((target / NAME).read_text())["last_seq"]
        assert acknowledged <= last_seq <= sent
        data = tmp_path / f"restored-{target.name}"
        done = tallymark("restore", str(target), str(data), "--json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["start"]["events"] == last_seq
    with Server(data, "--archive") as server:
        health = server.client.get("/health").json()
        assert (health["events"], health["duplicates"]) == (last_seq, 0)
        sql = "SELECT count() AS n FROM events FORMAT JSON"
        counted = patiently(lambda: server.client.post("/sql?fresh=1", content=sql))
        assert int(counted.json()["data"][0]["n"]) == last_seq
        names = [one["name"] for one in server.client.get("/dashboards").json()["data"]]
        assert "Kept" in names


# -- on a folder at rest ----------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return golden.copy_of(1, tmp_path / "data")


def made(data: Path, target: Path, **options: Any) -> Path:
    back_up(data, target, now_ms=golden.NOW_MS, **options)
    return target


async def test_what_was_restored_gives_the_answers_of_the_original(
    data: Path, tmp_path: Path
) -> None:
    restored = restore(made(data, tmp_path / "backup"), tmp_path / "again")
    assert (restored.events, restored.duplicates) == (274, 4)
    answers = await golden.answers(tmp_path / "again")
    assert answers == await golden.answers(data)


def test_a_backup_is_taken_while_the_folder_is_held(data: Path, tmp_path: Path) -> None:
    with hold(data):
        made(data, tmp_path / "backup")
    assert not (tmp_path / "backup" / "lock").exists()


def test_what_happens_to_the_folder_later_does_not_reach_the_backup(
    data: Path, tmp_path: Path
) -> None:
    target = made(data, tmp_path / "backup")
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    view = {"eventType": "marketplace_view", "serviceId": "s"}
    with Server(data, "--timezone", "Europe/Berlin", "--archive") as server:
        for _ in range(20):
            assert server.client.post("/track", json=view).status_code == 200
        assert server.stop() == 0
    shutil.rmtree(data)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert restore(target, tmp_path / "again").events == 274


def test_a_copy_shares_no_file(data: Path, tmp_path: Path) -> None:
    def shared(target: Path) -> int:
        return sum(path.stat().st_nlink > 1 for path in target.rglob("*") if path.is_file())

    assert shared(made(data, tmp_path / "copied", copies=True)) == 0
    assert shared(made(data, tmp_path / "linked")) > 15


def test_files_that_are_private_stay_private(data: Path, tmp_path: Path) -> None:
    secret = data / "some.key"
    secret.write_bytes(b"x")
    secret.chmod(0o600)
    again = tmp_path / "again"
    restore(made(data, tmp_path / "backup", copies=True), again)
    assert (again / "some.key").stat().st_mode & 0o777 == 0o600
    modes = {path.name: path.stat().st_mode & 0o007 for path in again.rglob("0*")}
    assert (again / "control.db").stat().st_mode & 0o007 == 0
    newest = max((data / "journal").iterdir()).name
    assert modes[newest] == 0


@pytest.mark.parametrize("pattern", ["journal/*", "snapshots/*.full", "archive/*/*.parquet"])
def test_a_damaged_folder_gives_no_backup(data: Path, tmp_path: Path, pattern: str) -> None:
    path = min(data.glob(pattern))
    flip(path, 100)
    with pytest.raises(Corruption, match="No backup was made") as damaged:
        made(data, tmp_path / "backup")
    assert damaged.value.path == path
    assert sorted(one.name for one in tmp_path.iterdir()) == ["data"]
    assert not list(data.glob(f"{STAGING}*"))


@pytest.mark.parametrize("pattern", ["snapshots/*.full", "archive/*/*.parquet"])
def test_a_file_that_is_missing_is_named_and_nothing_is_said_to_change(
    data: Path, tmp_path: Path, pattern: str
) -> None:
    path = min(data.glob(pattern))
    path.unlink()
    with pytest.raises(Corruption, match="lists it, and it is missing") as damaged:
        made(data, tmp_path / "backup")
    assert damaged.value.path == path


@pytest.mark.parametrize(
    "pattern",
    ["journal/*", "snapshots/*", "archive/*/*.parquet", "archive/ids/*", "control.db"],
)
def test_a_damaged_backup_is_not_restored_and_the_file_is_named(
    data: Path, tmp_path: Path, pattern: str
) -> None:
    target = made(data, tmp_path / "backup")
    path = min(target.glob(pattern))
    flip(path, path.stat().st_size - 7)
    with pytest.raises(Corruption, match="Nothing was restored") as caught:
        restore(target, tmp_path / "again")
    assert caught.value.path == path
    assert sorted(one.name for one in tmp_path.iterdir()) == ["backup", "data"]
    path.unlink()
    with pytest.raises(Corruption, match="it is missing"):
        restore(target, tmp_path / "again")


def test_a_backup_that_was_never_finished_is_none(data: Path, tmp_path: Path) -> None:
    target = made(data, tmp_path / "backup")
    told = json.loads((target / NAME).read_text())
    (target / NAME).write_text(json.dumps(told | {"format": 2}))
    with pytest.raises(UnknownFormat, match="has format 2"):
        restore(target, tmp_path / "again")
    (target / NAME).write_text(json.dumps(told | {"last_seq": 275}))
    with pytest.raises(RestoreFailed, match="holds 274 events, not 275"):
        restore(target, tmp_path / "again")
    outside = [{"path": "../data/control.db", "size_bytes": 1, "crc": 0}]
    (target / NAME).write_text(json.dumps(told | {"files": outside}))
    with pytest.raises(RestoreFailed, match="which is not inside"):
        restore(target, tmp_path / "again")
    (target / NAME).unlink()
    with pytest.raises(RestoreFailed, match="never finished"):
        restore(target, tmp_path / "again")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["backup", "data"]


def test_nothing_is_written_over(data: Path, tmp_path: Path) -> None:
    target = made(data, tmp_path / "backup")
    with pytest.raises(BackupFailed, match="exists already"):
        made(data, target)
    with pytest.raises(RestoreFailed, match="exists already"):
        restore(target, data)
    with pytest.raises(NotADataFolder):
        made(tmp_path, tmp_path / "other")


def test_what_a_killed_backup_has_left_goes_with_the_next(data: Path, tmp_path: Path) -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    killed, at_work = data / f"{STAGING}{ended.pid}-a", data / f"{STAGING}{os.getpid()}-a"
    killed.mkdir()
    at_work.mkdir()
    made(data, tmp_path / "backup")
    assert (killed.exists(), at_work.exists()) == (False, True)


def test_a_disk_without_room_is_told_in_a_line(data: Path, tmp_path: Path) -> None:
    refused = tallymark("backup", str(data), "/proc/nowhere")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"tallymark: No backup was made of {data}: ")
