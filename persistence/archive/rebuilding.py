"""Rebuilding an archive from its own files and from what the journal still holds."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import msgspec

from engine.codec import SEQUENCE, Dump
from engine.config import Config
from engine.erasure import Erasures
from persistence.archive import manifest as manifests
from persistence.archive.archiver import IDS_SOURCE, Archiver
from persistence.archive.columns import filed_source_of
from persistence.archive.manifest import (
    ARCHIVE_FOLDER,
    BadManifest,
    File,
    Gap,
    Manifest,
    Tombstone,
)
from persistence.archive.parquet import Merger
from persistence.archive.rows import Taking, Tally
from persistence.archive.salvaging import Lost, put_aside, salvage
from persistence.archive.store import IDS_FOLDER, ArchiveStore, made
from persistence.audit import must_be_data_folder
from persistence.journal import JOURNAL_FOLDER, Journal
from persistence.lock import hold
from persistence.snapshot import SNAPSHOT_FOLDER, SnapshotStore


class Rebuilt(NamedTuple):
    """What came of it: rows kept of files, rows written from the journal, in so many files.

    journal_seq  the first number that was taken from the journal
    lost         the files that could not be read; what of their rows has a number of before
                 `journal_seq` is gone
    """

    kept_rows: int
    new_rows: int
    files: int
    covered_seq: int
    journal_seq: int
    lost: tuple[Lost, ...]


def rebuild(config: Config, *, log: Callable[..., object]) -> Rebuilt:
    """Rebuild the archive of `config.data`: one file a day, and up to the journal's end.

    Where the manifest or a file is lost, or the archive is ahead of the journal, what the
    journal holds is taken from there alone, what came before from all files that can be read,
    each number once, and the tally begins anew. Files that cannot be read are put aside. No
    server may be running. Raises NotADataFolder, FolderInUse, Corruption, UnknownFormat.
    """
    must_be_data_folder(config.data)
    folder = config.data / ARCHIVE_FOLDER
    folder.mkdir(exist_ok=True)
    with (
        hold(config.data),
        hold(folder),
        closing(Journal.open(config.data / JOURNAL_FOLDER, durability="write")) as journal,
    ):
        former = _put_aside_if_bad(folder)
        store = ArchiveStore(folder, grace_s=config.archive_grace_s)
        with Merger(store.temp) as merger:
            inputs, lost = salvage(merger, folder, former)
            is_ahead = former is not None and former.covered_seq > journal.last_seq
            if former is None or lost or is_ahead:
                limit_seq = journal.first_seq - 1
                files = tuple(_files_by_day(store, merger, inputs, limit_seq))
                manifest = _begun_anew(store, former, files, limit_seq, lost)
                for one in lost:
                    if one.path.exists():
                        put_aside(one.path)
                store.begin_anew(manifest)
                _remember(config, store, merger)
            else:
                limit_seq = former.covered_seq
                files = tuple(_files_by_day(store, merger, inputs, limit_seq))
                next_file = store.manifest.next_file
                manifest = msgspec.structs.replace(former, files=files, next_file=next_file)
                store.begin_anew(manifest)
        archiver = Archiver(config, journal_seq=journal.last_seq, clock_ms=_now_ms, log=log)
        while archiver.follow(journal.last_seq):
            pass
        archiver.close()
        rebuilt = archiver.store.manifest
    return Rebuilt(
        kept_rows=manifest.rows,
        new_rows=rebuilt.rows - manifest.rows,
        files=len(rebuilt.files),
        covered_seq=rebuilt.covered_seq,
        journal_seq=limit_seq + 1,
        lost=tuple(lost),
    )


def _put_aside_if_bad(folder: Path) -> Manifest | None:
    try:
        return manifests.read(folder)
    except BadManifest:
        put_aside(folder / manifests.NAME)
        return None


def _begun_anew(
    store: ArchiveStore,
    former: Manifest | None,
    files: tuple[File, ...],
    limit_seq: int,
    lost: list[Lost],
) -> Manifest:
    """A manifest of these files, which knows that rows up to a number are missing."""
    rows = sum(file.rows for file in files)
    dropped = former.dropped if former else 0
    gaps = [Gap(one.first_seq, min(one.last_seq, limit_seq)) for one in lost]
    return Manifest(
        covered_seq=limit_seq,
        next_file=store.manifest.next_file,
        files=files,
        tally=Tally(events=rows + dropped, rows=rows + dropped),
        dropped=dropped,
        gaps=(
            *(former.gaps if former else ()),
            *(gap for gap in gaps if 0 < gap.first_seq <= gap.last_seq),
        ),
        erasing=_erased(store.folder.parent, limit_seq),
    )


def _erased(data: Path, limit_seq: int) -> tuple[Tombstone, ...]:
    """Everybody who was erased up to a number, as a snapshot knows: the journal may not.

    Files that nobody lists any more may hold them still, and have just been taken in again.
    """
    loaded = SnapshotStore(data / SNAPSHOT_FOLDER).load_newest()
    if loaded is None:
        return ()
    erasures = Erasures.of(loaded.parts[SEQUENCE])
    return tuple(Tombstone(e.name.hex(), e.seq) for e in erasures if e.seq <= limit_seq)


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
