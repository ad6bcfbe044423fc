"""Reports on disk: for each, what was asked for, its progress, and the file that came of it.

A folder with `<id>.json`, which is replaced as a whole at each step, `<id>.part` while rows are
written, and `<id>.rows` once they are complete. A report that a crash interrupted is still
queued there, and is made again; nothing else needs this folder.
"""

import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from persistence.files import REAL_DISK, Bytes, write_fully, write_whole

FOLDER: Final = "reports"

Status = Literal["queued", "running", "done", "failed"]

_ID: Final = r"[0-9a-f]{32}"
_TOLD: Final = re.compile(rf"({_ID})\.json")
_OURS: Final = re.compile(rf"{_ID}\.(json|part|rows|json\.tmp)")


class Report(Struct, frozen=True, kw_only=True, rename="camel"):
    """One report. On the disk none is `running`: one that was is queued again.

    asked        the request, as it was taken
    owner        who asked for it; empty where nobody has a name
    file_name    for whoever downloads it
    created_ms   epoch ms; also the time that the report sees as now
    starts       how often its making was begun
    finished_ms  when it was done or failed
    rows         where they are counted
    reason       why it failed
    """

    id: str
    asked: msgspec.Raw
    owner: str
    file_name: str
    media: str
    created_ms: int
    status: Status = "queued"
    starts: int = 0
    finished_ms: int | None = None
    rows: int | None = None
    size_bytes: int = 0
    reason: str | None = None


class ReportStore:
    """The folder of reports in a data folder; every call blocks, and may raise OSError."""

    def __init__(self, data: Path) -> None:
        self._folder = data / FOLDER

    def load(self) -> tuple[list[Report], list[Path]]:
        """All reports, the oldest first, and what could not be read; removes what is left over.

        A report whose rows are gone is left over too.
        """
        try:
            names = REAL_DISK.names(self._folder) if self._folder.is_dir() else []
        except OSError:
            return [], [self._folder]
        found: list[Report] = []
        damaged: list[Path] = []
        for name in names:
            if _TOLD.fullmatch(name):
                try:
                    content = REAL_DISK.read(self._folder / name)
                    report = msgspec.json.decode(content, type=Report)
                except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
                    damaged.append(self._folder / name)
                    continue
                if report.status != "done" or f"{report.id}.rows" in names:
                    found.append(report)
        known = {report.id: report for report in found}
        for name in names:
            if _OURS.fullmatch(name) and not _is_wanted(name, known, damaged):
                with suppress(OSError):  # of a disk that may only be read: the next start
                    REAL_DISK.remove(self._folder / name)
        return sorted(found, key=lambda report: (report.created_ms, report.id)), damaged

    def keep(self, report: Report) -> None:
        """Have the disk say this of the report from now on."""
        REAL_DISK.make_folder(self._folder)
        content = msgspec.json.encode(report)
        write_whole(REAL_DISK, self._folder / f"{report.id}.json", [content])
        REAL_DISK.sync_folder(self._folder)

    def begin(self, report: str) -> int:
        """A handle for the rows of a report, in place of what was begun before."""
        path = self._folder / f"{report}.part"
        REAL_DISK.remove(path)
        return REAL_DISK.create(path)

    def write(self, handle: int, piece: Bytes) -> None:
        """Add to the rows."""
        write_fully(REAL_DISK, handle, piece)

    def finish(self, report: str, handle: int) -> None:
        """Have the rows on the disk, whole; `keep` comes next."""
        REAL_DISK.sync(handle)
        REAL_DISK.rename(self._folder / f"{report}.part", self.rows_of(report))

    def give_up(self, report: str) -> None:
        """Forget the rows that were begun."""
        REAL_DISK.remove(self._folder / f"{report}.part")

    def close(self, handle: int) -> None:
        """Write no more to it."""
        REAL_DISK.close(handle)

    def rows_of(self, report: str) -> Path:
        """Where the rows of a report are once it is done."""
        return self._folder / f"{report}.rows"

    def open_rows(self, report: str) -> int:
        """A handle for reading, which holds the rows also when they are removed."""
        return os.open(self.rows_of(report), os.O_RDONLY)

    def remove(self, report: str) -> None:
        """Remove all of a report."""
        for end in ("json", "part", "rows"):
            REAL_DISK.remove(self._folder / f"{report}.{end}")
        if self._folder.is_dir():
            REAL_DISK.sync_folder(self._folder)


def _is_wanted(name: str, known: dict[str, Report], damaged: list[Path]) -> bool:
    key, _, end = name.partition(".")
    report = known.get(key)
    if end == "json":
        return report is not None or any(path.name == name for path in damaged)
    return end == "rows" and report is not None and report.status == "done"
