"""The folder of the archive: parts come in, files are merged, old ones go; each step is atomic.

    archive/manifest.json       what counts; persistence/archive/manifest
    archive/2026-11-22/….v2.parquet   rows of one UTC day
    archive/mixed/….v2.parquet  rows of several days, until a merge has parted them
    archive/ids/                the event ids seen: a snapshot store of its own
    archive/temp/               what sorting spills; emptied at a start

A file is whole before it has its name, and counts once the manifest lists it. What no manifest
lists any more stays for a while, since a query may have been given its name just before.
"""

import datetime as dt
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Final

import msgspec

from persistence.archive import manifest as manifests
from persistence.archive.columns import SUFFIX, Hidden
from persistence.archive.manifest import File, Gap, Manifest, Tombstone
from persistence.archive.merging import MIXED, Due, day_of
from persistence.archive.parquet import Content, Merger
from persistence.archive.partfile import Group, groups_of, put
from persistence.archive.rows import Tally
from persistence.checksums import crcs_in, crcs_of
from persistence.files import REAL_DISK

MIXED_FOLDER: Final = "mixed"
TEMP_FOLDER: Final = "temp"
IDS_FOLDER: Final = "ids"
_FILE_NAME: Final = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}|mixed)/[0-9]{20}-[0-9]{20}\.([0-9]+)(?:\.v2)?\.parquet"
)


class ArchiveStore:
    """The files of the archive in `folder`. One process changes them; two threads of it may.

    Raises BadManifest where the folder cannot be understood.
    """

    def __init__(
        self,
        folder: Path,
        *,
        grace_s: float,
        clock_s: Callable[[], float] = monotonic,
    ) -> None:
        """grace_s  for which a file stays that no longer counts"""
        self.folder = folder
        self._grace_s = grace_s
        self.temp = folder / TEMP_FOLDER
        self._clock_s = clock_s
        self._lock = threading.Lock()
        REAL_DISK.make_folder(folder)
        shutil.rmtree(self.temp, ignore_errors=True)
        REAL_DISK.make_folder(self.temp)
        self._manifest = manifests.read(folder) or Manifest()
        self._retired: dict[str, float] = {}  # by name, when the manifest let go of it
        self._find_leftovers()

    @property
    def manifest(self) -> Manifest:
        """What counts now; never changed, only replaced."""
        return self._manifest

    def path_of(self, file: File) -> Path:
        return self.folder / file.name

    def free_name(self, folder: str, first_seq: int, last_seq: int) -> str:
        """A name that no file has or had."""
        with self._lock:
            number = self._manifest.next_file
            self._manifest = msgspec.structs.replace(self._manifest, next_file=number + 1)
        return f"{folder}/{first_seq:020d}-{last_seq:020d}.{number}{SUFFIX}"

    def advance(
        self,
        covered_seq: int,
        tally: Tally,
        part: File | None,
        tombstone: Tombstone | None = None,
    ) -> None:
        """From here on the archive covers `covered_seq`, and `part`, which is whole, counts.

        tombstone  of who was erased with this number
        """
        with self._lock:
            old = self._manifest
            assert covered_seq >= old.covered_seq
            self._replace(
                msgspec.structs.replace(
                    old,
                    covered_seq=covered_seq,
                    tally=msgspec.structs.replace(tally),
                    files=old.files if part is None else (*old.files, part),
                    erasing=old.erasing if tombstone is None else (*old.erasing, tombstone),
                )
            )

    def skip(self, gap: Gap) -> None:
        """Go on behind numbers that nobody has any more."""
        with self._lock:
            old = self._manifest
            gaps = (*old.gaps, gap)
            self._replace(msgspec.structs.replace(old, covered_seq=gap.last_seq, gaps=gaps))

    def replace(self, former: Sequence[File], files: Sequence[File]) -> None:
        """In one instant `files`, which are whole, count in place of `former`."""
        assert sum(file.rows for file in files) == sum(file.rows for file in former)
        assert sum(file.weight for file in files) == sum(file.weight for file in former)
        with self._lock:
            kept = self._without(former)
            self._replace(msgspec.structs.replace(self._manifest, files=(*kept, *files)))
            self._retire(former)

    def erase(
        self, merger: Merger, former: File, hidden: Hidden, *, now_ms: int
    ) -> File | None:
        """Rewrite a file without the hidden rows; None if it had no others."""
        name = self.free_name(folder_of(day_of(former)), former.first_seq, former.last_seq)
        content = merger.merge([self.path_of(former)], self.folder / name, hidden=hidden)
        left = made(name, content, now_ms) if content.rows else None
        with self._lock:
            kept = self._without([former])
            self._replace(
                msgspec.structs.replace(
                    self._manifest,
                    files=kept if left is None else (*kept, left),
                    erased=self._manifest.erased + former.rows - content.rows,
                )
            )
            self._retire([former])
        if left is None:
            REAL_DISK.remove(self.folder / name)
        return left

    @property
    def retired(self) -> frozenset[str]:
        """Files that lie about and do not count."""
        with self._lock:
            return frozenset(self._retired)

    def let_go(self, up_to_seq: int) -> None:
        """Nothing in the folder holds anybody who was erased up to this number."""
        with self._lock:
            kept = tuple(one for one in self._manifest.erasing if one.seq > up_to_seq)
            self._replace(msgspec.structs.replace(self._manifest, erasing=kept))

    def drop_older(self, oldest_ms: int) -> int:
        """Let go of the files all of whose rows happened before `oldest_ms`; how many rows."""
        with self._lock:
            old = [file for file in self._manifest.files if file.last_ms < oldest_ms]
            if not old:
                return 0
            rows = sum(file.rows for file in old)
            dropped = self._manifest.dropped + rows
            kept = self._without(old)
            self._replace(msgspec.structs.replace(self._manifest, files=kept, dropped=dropped))
            self._retire(old)
            return rows

    def begin_anew(self, manifest: Manifest) -> None:
        """Make `manifest` what counts, whatever did before."""
        with self._lock:
            listed = {file.name for file in manifest.files}
            former = [
                file
                for file in self._manifest.files
                if file.name not in listed and self.path_of(file).exists()
            ]
            self._replace(manifest)
            self._retire(former)

    def sweep(self) -> None:
        """Remove what has not counted for `grace_s`."""
        now_s = self._clock_s()
        with self._lock:
            due = [
                name for name, at_s in self._retired.items() if now_s - at_s >= self._grace_s
            ]
        for name in due:
            path = self.folder / name
            REAL_DISK.remove(path)
            if path.parent.exists() and not any(path.parent.iterdir()):
                path.parent.rmdir()
        with self._lock:
            for name in due:
                del self._retired[name]

    def change(self, merger: Merger, due: Due, *, now_ms: int) -> None:
        """Do what is due."""
        if due.sorts or not self.join(due.files, now_ms=now_ms):
            self.merge(merger, due.files, now_ms=now_ms)

    def join(self, former: Sequence[File], *, now_ms: int) -> bool:
        """Make one file from the pages of `former`, and retire these.

        False, and nothing is done, where one is not as it was written, or not by us.
        """
        groups: list[Group] = []
        for file in former:
            data = self.path_of(file).read_bytes()
            found = groups_of(data) if crcs_in(data) == file.crcs else None
            if found is None:
                return False
            groups += found
        days = {day_of(file) for file in former}
        folder = folder_of(days.pop() if len(days) == 1 else MIXED)
        span = (min(f.first_seq for f in former), max(f.last_seq for f in former))
        path = self.folder / self.free_name(folder, *span)
        put(path, groups)
        content = Content(
            rows=sum(file.rows for file in former),
            weight=sum(file.weight for file in former),
            first_seq=span[0],
            last_seq=span[1],
            first_ms=min(file.first_ms for file in former),
            last_ms=max(file.last_ms for file in former),
            size_bytes=path.stat().st_size,
            crcs=crcs_of(path),
        )
        joined = made(str(path.relative_to(self.folder)), content, now_ms)
        self.replace(former, [msgspec.structs.replace(joined, sorted=False)])
        return True

    def merge(self, merger: Merger, former: Sequence[File], *, now_ms: int) -> Sequence[File]:
        """Make one file for each UTC day of the rows of `former`, and retire these."""
        inputs = [self.path_of(file) for file in former]
        span = (min(f.first_seq for f in former), max(f.last_seq for f in former))
        days = {day_of(file) for file in former}
        if MIXED not in days and len(days) == 1:
            name = self.free_name(folder_of(days.pop()), *span)
            files = [made(name, merger.merge(inputs, self.folder / name), now_ms)]
        else:
            files = []
            with merger.gathered(inputs) as gathered:
                for day in gathered.days():
                    name = self.free_name(day, *span)
                    content = gathered.write(day, self.folder / name)
                    files.append(made(name, content, now_ms))
        self.replace(former, files)
        return files

    def leftovers(self) -> Iterator[Path]:
        """Files of rows that lie in the folder and do not count."""
        listed = {file.name for file in self._manifest.files}
        for path in sorted(self.folder.glob("*/*.parquet")):
            if str(path.relative_to(self.folder)) not in listed:
                yield path

    def _without(self, files: Sequence[File]) -> tuple[File, ...]:
        gone = set(files)
        assert gone <= set(self._manifest.files)
        return tuple(file for file in self._manifest.files if file not in gone)

    def _replace(self, manifest: Manifest) -> None:
        manifests.write(self.folder, manifest)
        self._manifest = manifest

    def _retire(self, files: Sequence[File]) -> None:
        now_s = self._clock_s()
        self._retired.update((file.name, now_s) for file in files)

    def _find_leftovers(self) -> None:
        """Remove what was being written, and retire what a crash has left."""
        for path in self.folder.glob("*/*.parquet.tmp"):
            REAL_DISK.remove(path)
        now_s = self._clock_s()
        next_file = self._manifest.next_file
        for path in self.leftovers():
            name = str(path.relative_to(self.folder))
            if match := _FILE_NAME.fullmatch(name):
                self._retired[name] = now_s
                next_file = max(next_file, int(match[1]) + 1)
        self._manifest = msgspec.structs.replace(self._manifest, next_file=next_file)


def made(name: str, content: Content, now_ms: int) -> File:
    """The manifest's line for a file that holds `content`."""
    return File(
        name=name,
        rows=content.rows,
        weight=content.weight,
        first_seq=content.first_seq,
        last_seq=content.last_seq,
        first_ms=content.first_ms,
        last_ms=content.last_ms,
        size_bytes=content.size_bytes,
        made_ms=now_ms,
        crcs=content.crcs,
    )


def folder_of(day: int) -> str:
    """The name of the folder of a UTC day counted from 1970, or of MIXED."""
    if day == MIXED:
        return MIXED_FOLDER
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()
