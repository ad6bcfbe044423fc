"""The archive's work: follow the journal, write parts, merge, forget; restartable anywhere.

Rows are committed in this order: the part, then the manifest that lists it, and now and then
the ids seen. So the ids on disk cover at most what the rows cover, and a start feeds the
records between the two to the window again without writing them twice. The journal must reach
back to the older of two dumps of the ids: `trimmable_seq` says how far it may be trimmed.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec

from engine.codec import Dump
from engine.config import Config
from engine.erasure import erased_in
from engine.errors import Corruption, TallymarkError
from engine.timebucket import DAY_MS
from persistence import key
from persistence.archive import merging
from persistence.archive.damage import Damage
from persistence.archive.erasing import Eraser
from persistence.archive.follower import Follower, JournalGap
from persistence.archive.manifest import ARCHIVE_FOLDER, File, Gap, Tombstone
from persistence.archive.merging import day_of
from persistence.archive.parquet import Content, Merger
from persistence.archive.partfile import PartWriter
from persistence.archive.rows import Span, Taking, Told, batches_of
from persistence.archive.store import IDS_FOLDER, ArchiveStore, folder_of, made
from persistence.archive.talk import Unreadable
from persistence.checksums import crcs_of
from persistence.journal import JOURNAL_FOLDER
from persistence.record import Record
from persistence.snapshot import SnapshotStore

PART_EVENTS_MAX: Final = 100_000
"""Events after which a part is written, however many more there are."""

TAKEN_EVENTS: Final = 4_096
"""Events that are decoded before rows are made of them: so many that an array of them costs
little, and so few that the processor's cache still has them."""

IDS_SOURCE: Final = "ids"
IDS_EVENTS_MAX: Final = 2_000_000
"""Events after which the ids seen are dumped, however little time has passed."""


class AheadOfJournal(TallymarkError):
    """The archive holds numbers that the journal has not reached; one of them was replaced."""

    title = "Archive ahead of the journal"


class Archiver:
    """Everything of one archive but the process around it. Calls come one at a time."""

    def __init__(
        self,
        config: Config,
        *,
        journal_seq: int,
        clock_ms: Callable[[], int],
        log: Callable[..., object],
    ) -> None:
        """Open the archive of `config.data`; begins one where there is none.

        journal_seq  the last number that the journal holds for good

        Raises AheadOfJournal, BadManifest, Corruption.
        """
        self._config = config
        self._clock_ms = clock_ms
        self._log = log
        self._folder = config.data / ARCHIVE_FOLDER
        self.store = ArchiveStore(self._folder, grace_s=config.archive_grace_s)
        self._damage = Damage(self._folder, log=log)
        self._eraser = Eraser(self.store, key.of(config.data).salt, self._damage)
        self._ids = SnapshotStore(self._folder / IDS_FOLDER)
        self._taking = Taking(config)
        self._writer = PartWriter()
        self._ids_ms = clock_ms()
        covered_seq = self.store.manifest.covered_seq
        if covered_seq > journal_seq:
            raise AheadOfJournal(
                f"The archive covers number {covered_seq}, and the journal ends at "
                f"{journal_seq}: its end was lost or replaced. `tallymark archive "
                f"{config.data} --rebuild` makes the archive agree with it again."
            )
        self._follower = self._resume(covered_seq)

    @property
    def covered_seq(self) -> int:
        """Every event up to here is in a file, or rightly not."""
        return self.store.manifest.covered_seq

    @property
    def trimmable_seq(self) -> int:
        """Up to where the archive needs the journal no longer."""
        return self._ids.trimmable_seq

    def follow(self, up_to_seq: int) -> bool:
        """Write the next part, with numbers up to `up_to_seq`; whether there was anything.

        up_to_seq  what the journal holds for good
        """
        try:
            records = self._records(up_to_seq)
        except JournalGap as gap:
            self._skip(gap)
            return True
        if not records:
            return False
        self._commit(records)
        self.keep_ids_now_and_then()
        return True

    def close(self) -> None:
        """Dump the ids."""
        self.keep_ids()

    # -- commit -------------------------------------------------------------------------------

    def _records(self, up_to_seq: int) -> list[Record]:
        records: list[Record] = []
        events = 0
        while events < PART_EVENTS_MAX:
            try:
                record = self._follower.take(up_to_seq)
            except JournalGap:
                if not records:
                    raise
                break  # what was read is kept first, and the next call raises again
            if record is None:
                break
            records.append(record)
            events += record.events
            if record.notice is not None:
                break
        return records

    def _commit(self, records: list[Record]) -> None:
        notice = records[-1].notice
        of_events = [record for record in records if record.notice is None]
        found = [span for span in self._taken(of_events) if span.rows]
        last_seq = records[-1].last_seq
        part = None
        if found:
            content = Content(
                rows=sum(span.rows for span in found),
                weight=sum(span.weight for span in found),
                first_seq=records[0].first_seq,
                last_seq=last_seq,
                first_ms=min(span.first_ms for span in found),
                last_ms=max(span.last_ms for span in found),
                size_bytes=0,
            )
            part = self._write(content)
        name = None if notice is None else erased_in(notice)
        tombstone = None if name is None else Tombstone(name.hex(), last_seq)
        self.store.advance(last_seq, self._taking.tally, part, tombstone)
        if notice is not None:
            self._taking.pass_notice()
            self.keep_ids()  # so that the journal may go as far as here

    def _taken(self, records: Sequence[Record]) -> Iterator[Span]:
        """Have all records taken by the writer, some at a time."""
        told: list[Told] = []
        events = 0
        for record in records:
            told.append(_decoded(record, self._config.data))
            events += record.events
            if events >= TAKEN_EVENTS or record is records[-1]:
                taken = self._taking.take(told)
                self._writer.add(taken)
                yield taken.span()
                told, events = [], 0

    def _write(self, content: Content) -> File:
        file = msgspec.structs.replace(made("", content, self._clock_ms()), sorted=False)
        name = self.store.free_name(
            folder_of(day_of(file)), content.first_seq, content.last_seq
        )
        path = self._folder / name
        self._writer.write(path)
        size_bytes = path.stat().st_size
        return msgspec.structs.replace(
            file, name=name, size_bytes=size_bytes, crcs=crcs_of(path)
        )

    def _skip(self, gap: JournalGap) -> None:
        last_seq = gap.first_seq - 1
        self._log("archive gap failed", reason=str(gap))
        self.store.skip(Gap(gap.needed_seq, last_seq))
        self._follower = Follower(self._config.data / JOURNAL_FOLDER, after_seq=last_seq)

    # -- ids ----------------------------------------------------------------------------------

    def _resume(self, covered_seq: int) -> Follower:
        """The follower at `covered_seq`, and the window of ids as it was there."""
        loaded = self._ids.load_newest()
        journal = self._config.data / JOURNAL_FOLDER
        ids_seq = 0
        if loaded is not None and loaded.seq <= covered_seq:
            ids_seq = loaded.seq
            self._taking.load(loaded.parts[IDS_SOURCE], loaded.meta)
        follower = Follower(journal, after_seq=ids_seq)
        while ids_seq < covered_seq:
            try:
                record = follower.take(covered_seq)
            except JournalGap as gap:
                ids_seq = min(gap.first_seq - 1, covered_seq)
                self._log("archive ids failed", reason=str(gap))
                follower = Follower(journal, after_seq=ids_seq)
                continue
            if record is None:
                raise Corruption(
                    self._folder / "manifest.json",
                    0,
                    f"it covers number {covered_seq}, where no record of the journal ends",
                )
            if record.notice is None:
                self._taking.pass_by([_decoded(record, self._config.data)])
            else:
                self._taking.pass_notice()
            ids_seq = record.last_seq
        self._taking.tally = msgspec.structs.replace(self.store.manifest.tally)
        return follower

    def keep_ids_now_and_then(self) -> None:
        """The same, where it is due."""
        elapsed_ms = self._clock_ms() - self._ids_ms
        is_early = 0 <= elapsed_ms < self._config.snapshot_interval_s * 1000
        # Below 0 the clock was set back; to wait until it has caught up would hold the journal.
        if not is_early or self.covered_seq - self._ids.newest_seq >= IDS_EVENTS_MAX:
            self.keep_ids()

    def keep_ids(self) -> None:
        """Have the ids seen on the disk, as of `covered_seq`."""
        self._ids_ms = self._clock_ms()
        if self.covered_seq > self._ids.newest_seq:
            full = self._ids.wants_full(IDS_SOURCE)
            dump = Dump(full, self._taking.dump(full=full))
            meta: dict[str, Any] = self._taking.meta()
            self._ids.checkpoint(self.covered_seq, meta, {IDS_SOURCE: dump})

    # -- upkeep -------------------------------------------------------------------------------

    @property
    def erasing_files(self) -> int:
        """Files to be read for the sake of people who were erased."""
        return self._eraser.files_left

    @property
    def unreadable(self) -> tuple[Unreadable, ...]:
        """Damaged files in which people who were erased may be."""
        return self._eraser.unreadable

    def upkeep(self, merger: Merger) -> bool:
        """Erase, merge what is due, drop what is too old; whether there may be more to do.

        May run in a thread of its own beside `follow`.
        """
        now_ms = self._clock_ms()
        self.store.sweep()
        self._damage.look_again(self.store.manifest)
        dropped = self.store.drop_older(now_ms - self._config.raw_keep_days * DAY_MS)
        if dropped:
            self._log("archive dropped", rows=dropped)
        if self._eraser.step(merger, now_ms=now_ms):
            return True
        due = merging.due(self._damage.without(self.store.manifest.files), now_ms)
        if due is not None:
            change = partial(self.store.change, merger, due, now_ms=now_ms)
            self._damage.unless_in(merger, due.files, change)
        return due is not None


class Upkeep:
    """A thread that merges, so that no part waits for a merge. Its failure ends the process."""

    def __init__(
        self,
        archiver: Archiver,
        *,
        pause_s: float = 1.0,
        told: Callable[[], object] = lambda: None,
    ) -> None:
        """told  called whenever erased people are gone from some more files"""
        self._archiver = archiver
        self._told = told
        self._pause_s = pause_s
        self._stop = threading.Event()
        self.failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="archive upkeep", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End after what is being merged."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with Merger(self._archiver.store.temp) as merger:
                while not self._stop.is_set():
                    erasing = self._archiver.store.manifest.erasing
                    is_done = not self._archiver.upkeep(merger)
                    if erasing:
                        self._told()
                    if is_done:
                        self._stop.wait(self._pause_s)
        except BaseException as failure:
            self.failure = failure
            raise


def _decoded(record: Record, data: Path) -> Told:
    try:
        batches = list(batches_of(record.bodies))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        reason = f"the events from number {record.first_seq} on no longer decode ({error})"
        raise Corruption(data / JOURNAL_FOLDER, 0, reason) from error
    return Told(record.first_seq, record.received_ms, batches)
