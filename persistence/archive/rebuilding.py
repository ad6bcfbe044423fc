"""An archive made anew from its own files and from what the journal still holds."""

import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.config import Config
from engine.state import Dump
from persistence.archive import manifest as manifests
from persistence.archive.archiver import IDS_SOURCE, JOURNAL_FOLDER, Archiver
from persistence.archive.columns import filed_source_of
from persistence.archive.manifest import ARCHIVE_FOLDER, BadManifest, File, Manifest
from persistence.archive.parquet import Merger
from persistence.archive.rows import Taking, Tally
from persistence.archive.store import IDS_FOLDER, ArchiveStore, made
from persistence.journal import Journal
from persistence.lock import hold
from persistence.snapshot import SnapshotStore


class Rebuilt(NamedTuple):
    """What came of it: rows kept of files, rows written from the journal, in so many files."""

    kept_rows: int
    new_rows: int
    files: int
    covered_seq: int


def rebuild(config: Config, *, log: Callable[..., object]) -> Rebuilt:
    """Make the archive of `config.data` anew: one file a day, and up to the journal's end.

    Where the manifest is lost, or the archive is ahead of the journal, what the journal holds
    is taken from there alone, what came before from all files that are there, each number
    once, and the tally begins anew. No server may be running. Raises FolderInUse, Corruption.
    """
    folder = config.data / ARCHIVE_FOLDER
    folder.mkdir(exist_ok=True)
    with hold(config.data), hold(folder):
        journal = Journal.open(config.data / JOURNAL_FOLDER, durability="write")
        former = _put_aside_if_bad(folder)
        store = ArchiveStore(folder)
        is_whole = former is not None and former.covered_seq <= journal.last_seq
        with Merger(store.temp) as merger:
            limit_seq = journal.last_seq if is_whole else journal.first_seq - 1
            manifest = _anew(store, merger, former, limit_seq, is_whole=is_whole)
            store.begin_anew(manifest)
            if not is_whole:
                _remember(config, store, merger)
        archiver = Archiver(config, journal_seq=journal.last_seq, clock_ms=_now_ms, log=log)
        while archiver.follow(journal.last_seq):
            pass
        archiver.close()
        journal.close()
        rebuilt = archiver.store.manifest
    new_rows = rebuilt.rows - manifest.rows
    return Rebuilt(manifest.rows, new_rows, len(rebuilt.files), rebuilt.covered_seq)


def _put_aside_if_bad(folder: Path) -> Manifest | None:
    try:
        return manifests.read(folder)
    except BadManifest:
        path = folder / manifests.NAME
        path.rename(path.with_name(path.name + ".damaged"))
        return None


def _anew(
    store: ArchiveStore,
    merger: Merger,
    former: Manifest | None,
    limit_seq: int,
    *,
    is_whole: bool,
) -> Manifest:
    """One file for each day of the rows up to a number, and the manifest that lists them."""
    if former is None:
        inputs = sorted(store.folder.glob("*/*.parquet"))
    else:
        inputs = [store.path_of(file) for file in former.files]
    files = list(_files_by_day(store, merger, inputs, limit_seq))
    rows = sum(file.rows for file in files)
    next_file = store.manifest.next_file
    if former is not None and is_whole:
        return msgspec.structs.replace(former, files=tuple(files), next_file=next_file)
    tally = Tally(events=rows, rows=rows)
    return Manifest(covered_seq=limit_seq, next_file=next_file, files=tuple(files), tally=tally)


def _files_by_day(
    store: ArchiveStore, merger: Merger, inputs: list[Path], limit_seq: int
) -> Iterator[File]:
    if not inputs:
        return
    source = filed_source_of([str(path) for path in inputs])
    for day in merger.days(source):
        name = store.free_name(day, 0, limit_seq)
        content = merger.write(
            source,
            store.folder / name,
            f"\"timestamp\"::DATE = DATE '{day}' AND seq <= {limit_seq} "
            "QUALIFY row_number() OVER (PARTITION BY seq) = 1",
        )
        if content.rows:
            yield made(name, content, _now_ms())


def _remember(config: Config, store: ArchiveStore, merger: Merger) -> None:
    """Have the ids of the rows dumped as the ids that were seen."""
    folder = store.folder / IDS_FOLDER
    for path in folder.glob("*"):
        path.unlink()
    taking = Taking(config)
    paths = [store.path_of(file) for file in store.manifest.files]
    if paths:
        pairs = merger.ids_in_order(paths)
        for received_ms, alike in groupby(pairs, key=lambda pair: pair[0]):
            taking.know([event_id for _, event_id in alike], received_ms)
    ids = SnapshotStore(folder)
    ids.load_newest()
    dump = Dump(True, taking.dump(full=True))
    ids.checkpoint(store.manifest.covered_seq, taking.meta(), {IDS_SOURCE: dump})


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
