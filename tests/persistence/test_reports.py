"""The folder of reports: what a crash leaves behind is put right at the next start."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from persistence.reports import FOLDER, Report, ReportStore

KEY = "0123456789abcdef" * 2
OTHER = "f" * 32


def report(key: str = KEY, **fields: Any) -> Report:
    given = {
        "asked": msgspec.Raw(b'{"family":"users"}'),
        "owner": "",
        "created_ms": 1,
        **fields,
    }
    return Report(id=key, file_name="users.csv", media="text/csv", **given)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / FOLDER


@pytest.fixture
def store(tmp_path: Path) -> ReportStore:
    return ReportStore(tmp_path)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_without_a_folder_there_are_no_reports_and_none_is_made(
    store: ReportStore, folder: Path
) -> None:
    assert store.load() == ([], [])
    assert not folder.exists()


def test_what_was_kept_is_read_again_the_oldest_first(store: ReportStore) -> None:
    late = report(created_ms=2, reason="é", status="failed", finished_ms=3)
    early = report(OTHER, starts=2)
    store.keep(late)
    store.keep(report(OTHER))
    store.keep(early)
    assert store.load() == ([early, late], [])


def test_rows_are_there_once_they_are_whole(store: ReportStore, folder: Path) -> None:
    store.keep(report())
    handle = store.begin(KEY)
    store.write(handle, b"first,")
    store.close(handle)
    handle = store.begin(KEY)  # after a crash
    store.write(handle, b"se")
    store.write(handle, b"cond")
    store.finish(KEY, handle)
    store.close(handle)
    assert names(folder) == [f"{KEY}.json", f"{KEY}.rows"]
    assert store.rows_of(KEY).read_bytes() == b"second"
    store.keep(report(status="done", size_bytes=6))
    assert store.load()[0] == [report(status="done", size_bytes=6)]
    store.remove(KEY)
    assert names(folder) == []


def test_a_start_removes_what_belongs_to_no_report_and_nothing_else(
    store: ReportStore, folder: Path
) -> None:
    store.keep(report())  # of which rows were whole when the crash came
    store.keep(report(OTHER, status="done"))  # and this one has lost its own
    (folder / "notes.txt").write_text("of somebody else")
    for name in (f"{KEY}.rows", f"{KEY}.part", f"{'a' * 32}.rows", f"{OTHER}.json.tmp"):
        (folder / name).write_bytes(b"x")
    assert store.load() == ([report()], [])
    assert names(folder) == [f"{KEY}.json", "notes.txt"]


def test_a_folder_that_cannot_be_opened_is_named(store: ReportStore, folder: Path) -> None:
    folder.symlink_to("x" * 300)
    assert store.load() == ([], [folder])


def test_what_cannot_be_opened_or_removed_is_named_and_stays(
    store: ReportStore, folder: Path
) -> None:
    store.keep(report(OTHER))
    for name in (f"{KEY}.json", f"{KEY}.part"):
        (folder / name).mkdir()
    assert store.load() == ([report(OTHER)], [folder / f"{KEY}.json"])
    assert names(folder) == sorted([f"{KEY}.json", f"{KEY}.part", f"{OTHER}.json"])


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"id": 1}', b"\xff", b'{"id":"\xff"}'])
def test_what_cannot_be_read_is_named_and_stays(
    store: ReportStore, folder: Path, content: bytes
) -> None:
    store.keep(report(OTHER))
    (folder / f"{KEY}.json").write_bytes(content)
    assert store.load() == ([report(OTHER)], [folder / f"{KEY}.json"])
    assert f"{KEY}.json" in names(folder)
