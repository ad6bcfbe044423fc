"""A data folder of every release loads in this one; of a newer one it is refused in words."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from math import isclose
from pathlib import Path
from typing import Any

import pytest

from engine.errors import TallymarkError, UnusableControlStore
from persistence import rowsums
from persistence.archive import manifest as manifests
from persistence.control import ControlStore
from persistence.record import UnknownFormat
from tests.golden import folder
from tests.golden.forge import header_of_version, part_of_version, record_with_tag
from tests.server import Server, tallymark

Spoil = Callable[[Path], None]


every_version = pytest.mark.parametrize("version", range(1, folder.NEWEST + 1))


@pytest.fixture
def version() -> int:
    return 1


@pytest.fixture
def data(tmp_path: Path, version: int) -> Path:
    return folder.copy_of(version, tmp_path / "data")


def lacks(stored: Any, found: Any, at: str = "$") -> list[str]:
    """Where `found` has not what is `stored`; it may have more, for answers may grow."""
    if isinstance(stored, dict) and isinstance(found, dict):
        missing = [f"{at}.{name} is missing" for name in stored.keys() - found.keys()]
        both = stored.keys() & found.keys()
        return missing + [f for n in both for f in lacks(stored[n], found[n], f"{at}.{n}")]
    if isinstance(stored, list) and isinstance(found, list) and len(stored) == len(found):
        pairs = enumerate(zip(stored, found, strict=True))
        return [f for n, (one, other) in pairs for f in lacks(one, other, f"{at}[{n}]")]
    same = stored == found or (
        # Of powers and logarithms no two processors have the same last digit.
        isinstance(stored, float) and isinstance(found, float) and isclose(stored, found)
    )
    return [] if same else [f"{at}: {stored!r} was written, {found!r} is read"]


@every_version
async def test_the_folder_of_every_version_gives_the_answers_that_it_gave(
    data: Path, version: int
) -> None:
    stored = folder.answers_of(version)
    assert stored["metrics"]["events"] == stored["tally"]["events"] > 50
    assert lacks(stored, await folder.answers(data)) == []


@every_version
async def test_it_gives_them_from_the_journal_alone_too(data: Path, version: int) -> None:
    shutil.rmtree(data / "snapshots")
    assert lacks(folder.answers_of(version), await folder.answers(data)) == []


@every_version
async def test_it_gives_them_from_snapshots_and_no_more_of_the_journal_than_they_need(
    data: Path, version: int
) -> None:
    async with folder.served(data) as life:
        report = life.recovered.report
    assert (report.skipped, report.mended) == ((), ())
    assert 0 < report.snapshot_seq < folder.answers_of(version)["metrics"]["events"]
    assert report.snapshot_seq + report.replayed_events == life.recovered.journal.last_seq


@every_version
def test_a_server_starts_on_it_and_goes_on_counting(data: Path, version: int) -> None:
    events = folder.answers_of(version)["metrics"]["events"]
    options = ("--timezone", "Europe/Berlin", "--archive")
    with Server(data, *options) as server:
        assert server.client.get("/health").json()["events"] == events
        view = {"eventType": "marketplace_view", "serviceId": "s"}
        assert server.client.post("/track", json=view).status_code == 200
        assert server.client.get("/health").json()["journal"]["lastSeq"] == events + 1
        (board,) = server.client.get("/dashboards").json()["data"]
        assert board["name"] == "Golden"
        assert server.stop() == 0


# -- newer formats ------------------------------------------------------------------------


def newest(data: Path, pattern: str) -> Path:
    return max(data.glob(pattern))


def _newer_segment(data: Path) -> None:
    path = newest(data, "journal/*.segment")
    content = path.read_bytes()
    path.write_bytes(header_of_version(content[:24], 2) + content[24:])


def _newer_record(data: Path) -> None:
    path = newest(data, "journal/*.segment")
    content = path.read_bytes()
    number = int(path.stem)
    size = 8 + int.from_bytes(content[24:28], "little")
    record = record_with_tag(content[24 : 24 + size], b"TMR2", segment=number, first_seq=number)
    path.write_bytes(content[:24] + record + content[24 + size :])


def _newer_manifest(data: Path) -> None:
    path = newest(data, "snapshots/*.manifest")
    path.write_bytes(part_of_version(path.read_bytes(), 3))


def _newer_part(data: Path) -> None:
    path = newest(data, "snapshots/*-shard-0.*")
    path.write_bytes(part_of_version(path.read_bytes(), 3))


@pytest.mark.parametrize("spoil", [_newer_segment, _newer_record, _newer_manifest, _newer_part])
def test_a_folder_of_a_newer_version_is_refused_and_left_as_it_is(
    data: Path, spoil: Spoil
) -> None:
    spoil(data)
    before = {path: path.read_bytes() for path in data.rglob("0*") if path.is_file()}
    for words in (
        ("serve", "--port", "0", "--timezone", "Europe/Berlin", "--data"),
        ("verify",),
    ):
        refused = tallymark(*words, str(data))
        assert refused.returncode == 1, refused.stderr
        (line,) = [one for one in refused.stderr.splitlines() if one.startswith("tallymark: ")]
        assert "Start the version that wrote it." in line
    assert {path: path.read_bytes() for path in data.rglob("0*") if path.is_file()} == before


async def test_a_state_of_a_newer_format_is_refused(data: Path) -> None:
    path = newest(data, "snapshots/*.manifest")
    content = path.read_bytes()
    assert content.count(b"\xa6format\x01") == 1
    path.write_bytes(part_of_version(content.replace(b"\xa6format\x01", b"\xa6format\x02"), 1))
    with pytest.raises(TallymarkError, match="Start the version that wrote it"):
        async with folder.served(data):
            pass


def test_a_control_store_of_a_newer_version_is_refused(data: Path) -> None:
    with sqlite3.connect(data / "control.db") as db:
        rowsums.install(db)
        db.execute("INSERT INTO migrations VALUES (1000, 0)")
    db.close()
    with pytest.raises(UnusableControlStore, match="is of version 1000"):
        ControlStore.open(data, now_ms=folder.NOW_MS)


def test_an_archive_of_a_newer_format_is_refused_and_the_server_says_so(data: Path) -> None:
    path = data / "archive" / manifests.NAME
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"format": 1000}))
    with pytest.raises(UnknownFormat, match="has format 1000"):
        manifests.read(path.parent)
    with Server(data, "--timezone", "Europe/Berlin", "--archive") as server:
        server.line("archive failed")
        reason = server.client.get("/health").json()["archive"]["reason"]
        assert "has format 1000" in reason
        assert json.loads(path.read_text())["format"] == 1000
