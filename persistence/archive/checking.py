"""Whether an archive is what its manifest says: every file read, every number once.

Nothing is changed, and a server may be running: files that it merges stay for a minute.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

import duckdb

from engine.errors import TallymarkError
from persistence.archive import manifest as manifests
from persistence.archive.manifest import ARCHIVE_FOLDER, File, Manifest
from persistence.archive.parquet import Merger, is_shortage

MEMORY_MB: Final = 1024


class NoArchive(TallymarkError):
    """There is no archive in the data folder."""

    title = "No archive"


class Flaw(NamedTuple):
    """What is wrong with a file, or with the archive as a whole."""

    path: Path
    reason: str


def manifest_of(data: Path) -> Manifest:
    """What the archive of the data folder `data` consists of. Raises NoArchive, BadManifest."""
    manifest = manifests.read(data / ARCHIVE_FOLDER)
    if manifest is None:
        raise NoArchive(f"{data} has no archive: no {ARCHIVE_FOLDER}/ with a manifest.")
    return manifest


def check(data: Path, manifest: Manifest) -> Iterator[Flaw]:
    """Read everything that the manifest lists, and say what is not as it should be."""
    folder = data / ARCHIVE_FOLDER
    yield from flaws_of(folder, manifest.files)
    yield from (Flaw(folder / manifests.NAME, flaw) for flaw in contradictions(manifest))


def flaws_of(folder: Path, files: Sequence[File]) -> Iterator[Flaw]:
    """What is wrong with these files of the archive in `folder`, read row by row."""
    readable = []
    with TemporaryDirectory() as temp, Merger(Path(temp), memory_mb=MEMORY_MB) as database:
        for file in files:
            path = folder / file.name
            try:
                if database.has_our_columns(path):
                    flaws = list(_flaws_of(database, path, file))
                    readable.append(path)
                else:
                    flaws = ["its columns are not those of the archive"]
            except (OSError, duckdb.Error) as error:
                if is_shortage(error):
                    raise
                flaws = [f"it cannot be read: {str(error).splitlines()[0]}"]
            yield from (Flaw(path, flaw) for flaw in flaws)
        if readable:
            twice = database.numbers_twice(readable)
            if twice:
                yield Flaw(folder, f"{twice} numbers occur in more than one row")


def _flaws_of(database: Merger, path: Path, file: File) -> Iterator[str]:
    found = database.content(path)
    if (found.rows, found.weight) != (file.rows, file.weight):
        yield f"it has {found.rows} rows for {found.weight} events, not {file.rows} for " + (
            f"{file.weight} as the manifest says"
        )
    if not file.first_seq <= found.first_seq <= found.last_seq <= file.last_seq:
        yield f"its numbers are {found.first_seq} to {found.last_seq}, which is beyond " + (
            f"{file.first_seq} to {file.last_seq}"
        )
    if (found.first_ms, found.last_ms) != (file.first_ms, file.last_ms):
        yield "its instants are not those that the manifest says"
    if file.crcs and found.crcs != file.crcs:
        yield "its checksums are not those that the manifest says"
    if file.sorted and not database.is_sorted(path):
        yield "its rows are not sorted"


def contradictions(manifest: Manifest) -> Iterator[str]:
    """What of the manifest cannot be true beside the rest of it."""
    tally = manifest.tally
    if tally.rows != manifest.rows + manifest.dropped + manifest.erased:
        yield f"{tally.rows} rows were written, {manifest.rows} are listed" + (
            f", {manifest.dropped} were dropped and {manifest.erased} erased"
        )
    if tally.events != tally.rows + tally.duplicates + tally.too_old + tally.thinned:
        yield f"its {tally.events} events are not the sum of what became of them"
    last_seq = max((file.last_seq for file in manifest.files), default=0)
    if last_seq > manifest.covered_seq:
        yield f"number {last_seq} is in a file, and it covers {manifest.covered_seq} only"
