"""Damaged files of the archive: they are left as they are, and everything else goes on.

A file is compared with its checksums before anything is made from it: Parquet reads a flipped
bit within a value as another value, and a file made from that would have correct checksums.
Each damaged file is reported once, and looked at again when it has changed, as after a restore
from a backup.
"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import duckdb

from persistence.archive.manifest import File, Manifest
from persistence.archive.parquet import Merger
from persistence.archive.salvaging import flaw_of
from persistence.archive.talk import Unreadable

Stamp = tuple[int, int, int] | None
"""What reveals that a file was changed; None if there is no file."""


class Damage:
    """What was found damaged. One thread looks; another may ask."""

    def __init__(self, folder: Path, *, log: Callable[..., object]) -> None:
        self._folder = folder
        self._log = log
        self._found: dict[str, tuple[Unreadable, Stamp]] = {}  # replaced, never changed

    def of(self, files: Iterable[File]) -> tuple[Unreadable, ...]:
        """Those of some files that were found damaged."""
        found = self._found
        return tuple(found[file.name][0] for file in files if file.name in found)

    def without(self, files: Iterable[File]) -> list[File]:
        """Those of some files that were not."""
        found = self._found
        return [file for file in files if file.name not in found]

    def look_again(self, manifest: Manifest) -> None:
        """Forget those that no longer count, or are not what was looked at."""
        if self._found:
            listed = {file.name for file in manifest.files}
            self._found = {
                name: (one, stamp)
                for name, (one, stamp) in self._found.items()
                if name in listed and stamp == self._stamp(name)
            }

    def unless_in(
        self, merger: Merger, files: Sequence[File], do: Callable[[], object]
    ) -> None:
        """Do what makes something of these files, unless one of them is found damaged."""
        if self._is_in(merger, files):
            return
        try:
            do()
        except (OSError, duckdb.Error):
            if not self._is_in(merger, files):
                raise

    def _is_in(self, merger: Merger, files: Sequence[File]) -> bool:
        damaged = [file for file in files if self._is_damaged(merger, file)]
        return bool(damaged)

    def _is_damaged(self, merger: Merger, file: File) -> bool:
        stamp = self._stamp(file.name)
        flaw = flaw_of(merger, self._folder / file.name, file)
        if flaw is None:
            return False
        reason = flaw.replace(f"{self._folder}/", "")
        self._found = {**self._found, file.name: (Unreadable(file.name, reason), stamp)}
        self._log("archive file failed", file=file.name, reason=reason)
        return True

    def _stamp(self, name: str) -> Stamp:
        try:
            found = (self._folder / name).stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
