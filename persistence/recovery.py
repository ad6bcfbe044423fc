"""The way back: the newest good snapshot, then the journal after it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import msgspec

from engine import events
from engine.codec import SEQUENCE, STATE_FORMAT, shard_source
from engine.config import Config
from engine.erasure import Secret, WrongKey
from engine.errors import Corruption, TallymarkError
from engine.group import Group
from engine.resuming import resolved, restore
from engine.sequence import Forget, Sequencing
from engine.sharing import Shared
from engine.state import ShardState
from engine.timebucket import Calendar
from persistence import key
from persistence.aside import real_disk
from persistence.files import REAL_DISK, Disk
from persistence.journal import JOURNAL_FOLDER, Journal
from persistence.record import Record
from persistence.snapshot import SNAPSHOT_FOLDER, Loaded, Mended, Skipped, SnapshotStore

_NO_SNAPSHOT: Final = (
    "Restore a backup; without one, `tallymark salvage` lets the folder start with what is "
    "whole, and says what is lost."
)


class ZoneChanged(TallymarkError):
    """The data was cut into hours and days of another zone than the one configured."""

    title = "Reporting zone changed"


@dataclass(frozen=True, slots=True)
class Report:
    """What recovery did; for the log.

    snapshot_seq  what the snapshot covered, 0 without one
    mended        parts of it that were damaged, and cost nothing
    cut_bytes     of a torn tail that was never acknowledged
    """

    snapshot_seq: int
    skipped: tuple[Skipped, ...]
    mended: tuple[Mended, ...]
    replayed_events: int
    cut_bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """Everything the engine is made from, as of the journal's last number."""

    calendar: Calendar
    journal: Journal
    snapshots: SnapshotStore
    sequencing: Sequencing
    states: Sequence[ShardState]
    snapshot_ms: int | None
    report: Report
    secret: Secret


def recover(config: Config, *, disk: Disk | None = None) -> Recovered:
    """Bring back what the data folder holds; an empty or absent one is a new beginning.

    Raises Corruption, UnknownFormat, ZoneChanged, WrongKey, JournalFailed, or OSError where
    the folder cannot be used.
    """
    started = perf_counter()
    secret = key.of(config.data, disk or REAL_DISK)
    calendar = Calendar(config.timezone)
    journal = Journal.open(
        config.data / JOURNAL_FOLDER,
        durability=config.durability,
        segment_bytes_max=config.segment_bytes_max,
        disk=disk or real_disk(),
    )
    snapshots = SnapshotStore(config.data / SNAPSHOT_FOLDER, disk=disk or REAL_DISK)
    sequencing = Sequencing(config, calendar, secret)
    states = [ShardState(config, calendar) for _ in range(config.shards)]
    loaded = snapshots.load_newest()
    snapshot_seq = 0
    if loaded is not None:
        snapshot_seq = loaded.seq
        _load(loaded, config, sequencing, states)
        _must_be_the_key(secret, loaded, sequencing, config)
    if journal.last_seq < snapshot_seq:
        # Without fsync the end of the journal may be gone that the snapshot covers already.
        journal.restart_after(snapshot_seq)
    if snapshots.skipped and journal.first_seq > snapshot_seq + 1:
        path, reason = snapshots.skipped[0]
        needed = f"the journal begins only at number {journal.first_seq}"
        raise Corruption(
            path,
            0,
            f"{reason}; and {needed}, so that nothing can take its place",
            advice=_NO_SNAPSHOT,
        )
    replayed = replay(journal, snapshot_seq, sequencing, states)
    return Recovered(
        calendar=calendar,
        journal=journal,
        snapshots=snapshots,
        sequencing=sequencing,
        states=states,
        snapshot_ms=None if loaded is None else loaded.meta["written_ms"],
        report=Report(
            snapshot_seq=snapshot_seq,
            skipped=snapshots.skipped,
            mended=() if loaded is None else loaded.mended,
            replayed_events=replayed,
            cut_bytes=journal.cut_bytes,
            seconds=perf_counter() - started,
        ),
        secret=secret,
    )


def _load(
    loaded: Loaded, config: Config, sequencing: Sequencing, states: Sequence[ShardState]
) -> None:
    meta = loaded.meta
    if meta["format"] != STATE_FORMAT:
        raise TallymarkError(
            f"The snapshot of sequence number {loaded.seq} has the state format "
            f"{meta['format']}, and this version reads {STATE_FORMAT}. Start the version "
            f"that wrote it."
        )
    if meta["timezone"] != config.timezone:
        raise ZoneChanged(
            f"The data in {config.data} was cut into hours and days of {meta['timezone']}, "
            f"which cannot be cut anew in {config.timezone}. Start with --timezone "
            f"{meta['timezone']}, or with a new data folder."
        )
    shared = Shared()
    sequencing.load(loaded.parts[SEQUENCE], shared)
    shards = meta["shards"]
    former = (resolved(loaded.parts[shard_source(n)]) for n in range(shards))
    restore(states, former, formerly=shards, shared=shared)


def _must_be_the_key(
    secret: Secret, loaded: Loaded, sequencing: Sequencing, config: Config
) -> None:
    """Another key matters while rows are to be found by it, or ids are hashed under it."""
    if loaded.meta.get("key", secret.check) == secret.check:
        return
    if sequencing.erasures.unswept or config.pseudonymise:
        raise WrongKey(
            "secret.key in the data folder is not the key with which it was written, and "
            "people are known by it: somebody is being erased, or ids are pseudonyms. Restore "
            "that file."
        )


def replay(
    journal: Journal, after_seq: int, sequencing: Sequencing, states: Sequence[ShardState]
) -> int:
    """Take and fold every record after `after_seq`, as live did; returns how many events."""
    replayed = 0
    for record in journal.replay(after_seq):
        replayed += record.events
        if record.notice is not None:
            _fold(sequencing.deal(), states)
            forget = sequencing.note(record.first_seq, record.received_ms, record.notice)
            _forget(forget, states)
            continue
        for _ in sequencing.take_in(record.received_ms, _batches(record, journal)):
            _fold(sequencing.deal_due(), states)
    _fold(sequencing.deal(), states)
    return replayed


def _fold(dealt: Iterable[list[Group]], states: Sequence[ShardState]) -> None:
    for groups in dealt:
        for state, group in zip(states, groups, strict=True):
            if group.facts:
                state.fold(group)


def _forget(forget: Forget | None, states: Sequence[ShardState]) -> None:
    if forget is not None:
        for shard, state in enumerate(states):
            for _ in state.forget(forget.user, owns=shard == forget.owner):
                pass


def _batches(record: Record, journal: Journal) -> list[events.Batch]:
    try:
        return [events.replay(body.kind, body.data) for body in record.bodies]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        holding = [s for s in journal.segments if s.first_seq <= record.first_seq]
        reason = f"the events from number {record.first_seq} on no longer decode ({error})"
        raise Corruption(holding[-1].path, 0, reason) from error
