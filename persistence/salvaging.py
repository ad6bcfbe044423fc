"""A snapshot made from what is left of others, when a start is refused and no backup exists.

The journal reaches back to the older of two snapshots, so if neither can be read, what they
counted is gone. But a snapshot has a part for each shard and one for what is known of events,
and seldom are all of them bad. Each part that is whole is kept; one of which only the beginning
is whole is kept as it was at that point; the others are replaced by what a new folder begins
with.
"""

from collections.abc import Iterator
from itertools import takewhile
from operator import not_
from pathlib import Path
from typing import NamedTuple

from engine.codec import SEQUENCE, STATE_FORMAT, shard_source
from engine.config import Config
from engine.errors import TallymarkError
from engine.sequence import Sequencing
from engine.state import ShardState
from engine.timebucket import Calendar
from persistence.audit import must_be_data_folder, undisturbed
from persistence.files import REAL_DISK
from persistence.journal import JOURNAL_FOLDER, Journal
from persistence.part import BadFile
from persistence.snapshot import (
    SNAPSHOT_FOLDER,
    Manifest,
    Part,
    SnapshotStore,
    is_manifest,
    read_manifest,
    read_part,
)


class NothingToSalvage(TallymarkError):
    """A start needs nothing that would be made here."""

    title = "Nothing to salvage"


class Lost(NamedTuple):
    """What is gone of a source: all that it knew, or what came after the number `kept_seq`."""

    source: str
    kept_seq: int
    reason: str


class Salvaged(NamedTuple):
    """What was made: a snapshot that covers `seq`, behind which the journal goes on.

    whole  sources of which nothing is lost
    """

    seq: int
    whole: tuple[str, ...]
    lost: tuple[Lost, ...]


def salvage(data: Path, *, timezone: str | None, now_ms: int) -> Salvaged:
    """Make a snapshot with which the data folder starts, of what is left of those in it.

    timezone  that of a folder whose manifests are all lost, None where one can be read
    now_ms    when it is made

    All snapshots of before go: take a copy first. Raises NotADataFolder, FolderInUse,
    Corruption where the journal is damaged, UnknownFormat where another version wrote a
    snapshot, NothingToSalvage, SnapshotFailed, and TallymarkError where the zone is needed.
    """
    must_be_data_folder(data)
    with undisturbed(data):
        journal = Journal.open(data / JOURNAL_FOLDER, durability="fsync")
        first_seq = journal.first_seq
        journal.close()
        store = SnapshotStore(data / SNAPSHOT_FOLDER)
        loaded = store.load_newest()
        if first_seq <= (loaded.seq if loaded else 0) + 1:
            raise NothingToSalvage(f"A start of {data} loses nothing: nothing was changed.")
        manifest = next(_manifests(data / SNAPSHOT_FOLDER, first_seq), None)
        if manifest is None:
            manifest = _of_nothing(first_seq - 1, timezone, now_ms)
        return _made(store, manifest, Config(data=data))


def _manifests(folder: Path, first_seq: int) -> Iterator[Manifest]:
    """Those that can be read and that the journal goes on from, newest first."""
    for name in filter(is_manifest, reversed(REAL_DISK.names(folder))):
        try:
            manifest = read_manifest(REAL_DISK, folder / name)
        except BadFile:
            continue
        if manifest.seq + 1 >= first_seq:
            yield manifest


def _of_nothing(seq: int, timezone: str | None, now_ms: int) -> Manifest:
    if timezone is None:
        raise TallymarkError(
            "No manifest can be read that says in which zone days were cut: tell it with "
            "--timezone."
        )
    shards = Config().shards
    meta = {
        "format": STATE_FORMAT,
        "timezone": timezone,
        "shards": shards,
        "written_ms": now_ms,
    }
    return Manifest(seq, meta, dict.fromkeys(_sources(shards), ()))


def _sources(shards: int) -> Iterator[str]:
    yield SEQUENCE
    yield from map(shard_source, range(shards))


def _made(store: SnapshotStore, manifest: Manifest, config: Config) -> Salvaged:
    folder = config.data / SNAPSHOT_FOLDER
    whole: list[str] = []
    lost: list[Lost] = []
    kept: dict[str, tuple[Part, ...]] = {}
    for source in _sources(manifest.meta["shards"]):
        chain = manifest.sources.get(source, ())
        flaws = [_flaw(folder, part) for part in chain]
        kept[source] = chain[: sum(1 for _ in takewhile(not_, flaws))]
        if chain and not any(flaws):
            whole.append(source)
        else:
            kept_seq = int(kept[source][-1].name[:20]) if kept[source] else 0
            nowhere = "no manifest can be read that lists it"
            reason = next(filter(None, flaws), nowhere)
            lost.append(Lost(source, kept_seq, reason))
    store.build_on(Manifest(manifest.seq, manifest.meta, kept))
    writing = store.begin(manifest.seq)
    calendar = Calendar(manifest.meta["timezone"])
    for source, chain in kept.items():
        new = Sequencing if source == SEQUENCE else ShardState
        pieces = () if chain else new(config, calendar).dump(full=True)
        writing.add(source, pieces, full=not chain)
    writing.commit(manifest.meta)
    return Salvaged(manifest.seq, tuple(whole), tuple(lost))


def _flaw(folder: Path, part: Part) -> str:
    """Why a part cannot be kept; empty where it can."""
    try:
        read_part(REAL_DISK, folder, part)
    except BadFile as bad:
        return f"{part.name}: {bad}"
    return ""
