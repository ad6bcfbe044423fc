"""The journal: groups of bodies appended for good, in segments, and read back in order.

The rest of Tallymark may rely on the public methods only, and not on there being files: append
a group, replay from a number, the last number, trim up to a number. Calls block and come one at
a time, from whatever thread; the properties may be read at any time.

A record that is not whole is a *torn tail* when nothing whole follows it at the end of the
newest segment: it is cut off at start. Everywhere else it is damage, and `open` refuses it.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Final, NamedTuple, Self

from engine.distribution import SECONDS, Distribution
from engine.errors import Corruption, DiskFull, JournalFailed, UnusableFolder
from engine.events import Body
from persistence.files import REAL_DISK, Bytes, Disk
from persistence.growing import Durability, GrowingSegment, failed
from persistence.record import BadRecord, Record, encode, events_in, pieces, size_of
from persistence.segment import HEADER_BYTES, Segment, check, number_of, read_records

JOURNAL_FOLDER: Final = "journal"
"""Its name in a data folder."""

SEGMENT_BYTES_MAX: Final = 64 * 2**20


class Cut(NamedTuple):
    """The torn tail that `open` has cut off: where, how much, and what was wrong with it."""

    path: Path
    offset_bytes: int
    size_bytes: int
    reason: str


SLOW_WRITE_S: Final = 0.015
"""Longer than a process waits for its next turn on a busy machine, which is 5 to 9 ms."""

SLOW_S: Final = 1.0
"""After a write that took so long, for so long nothing is begun: better that a thread waits."""


class _ForGood:
    """Remembers that a journal has failed; a generator would take five times as long."""

    __slots__ = ("_journal",)

    def __init__(self, journal: "Journal") -> None:
        self._journal = journal

    def __enter__(self) -> None:
        """Nothing is to be done before anything fails."""

    def __exit__(self, _: object, failure: BaseException | None, __: object) -> None:
        if isinstance(failure, JournalFailed):
            self._journal.fail(failure)


class Journal:
    """Records of consecutive numbers in a folder of segments. Use `Journal.open`."""

    def __init__(
        self, folder: Path, durability: Durability, segment_bytes_max: int, disk: Disk
    ) -> None:
        self.cut: Cut | None = None
        self.sync_s = Distribution(SECONDS)
        """How long each sync of a record took."""
        self._folder = folder
        self._durability: Final = durability
        self._segment_bytes_max = segment_bytes_max
        self._disk = disk
        self._sealed: list[Segment] = []
        self._growing: GrowingSegment | None = None
        self._next_seq = 1
        self._received_ms = 0
        self._ends_closed = True  # no record stands behind the last closing one
        self._failure: JournalFailed | None = None
        self._is_closed = False
        self._is_sealed = False  # what comes next begins a segment
        self._begun: tuple[int, Sequence[Body]] | None = None
        self._slow_until_s = 0.0

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        durability: Durability,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        disk: Disk = REAL_DISK,
    ) -> Self:
        """Check every kept byte, cut a torn tail off (see `cut`), and be ready to append.

        Raises Corruption where bytes are damaged or missing, UnknownFormat where another
        version wrote them, JournalFailed where the disk refuses to sync.
        """
        assert segment_bytes_max > HEADER_BYTES
        journal = cls(folder, durability, segment_bytes_max, disk)
        disk.make_folder(folder)
        journal._load()
        return journal

    @property
    def cut_bytes(self) -> int:
        return self.cut.size_bytes if self.cut else 0

    @property
    def failure(self) -> JournalFailed | None:
        """Why nothing can be appended until a restart; None while all is well."""
        return self._failure

    @property
    def segments(self) -> tuple[Segment, ...]:
        """Oldest first; the last one is growing."""
        growing = self._growing
        if growing is None:
            return tuple(self._sealed)
        return (*self._sealed, self._as_segment(growing))

    @property
    def size_bytes(self) -> int:
        return sum(segment.size_bytes for segment in self.segments)

    @property
    def first_seq(self) -> int:
        """The oldest number that can be replayed; last_seq + 1 when there is none."""
        segments = self.segments
        return segments[0].first_seq if segments else self._next_seq

    @property
    def last_seq(self) -> int:
        """The number of the last event appended; 0 before the first."""
        return self._next_seq - 1

    def append(self, first_seq: int, received_ms: int, bodies: Sequence[Body]) -> None:
        """Add one record; with durability `fsync` it is on the disk on return.

        first_seq    last_seq + 1
        received_ms  epoch ms at which the bodies came, for replay
        bodies       at least one, of at least one event each, RECORD_BYTES_MAX together

        Raises DiskFull: nothing was added, and a later append may succeed. JournalFailed:
        nothing can be added until a restart.
        """
        assert first_seq == self._next_seq
        assert bodies
        with self._for_good():
            size = size_of(bodies)
            growing = self._with_room_for(size)
            growing.put(_record(growing, bodies, first_seq, received_ms), size)
        self._have(received_ms, bodies)

    def can_begin(self, bodies: Sequence[Body]) -> bool:
        """Whether `begin` would not wait for the disk, as far as that can be known."""
        growing = self._growing
        return (
            growing is not None
            and growing.syncs_aside
            and not self._is_sealed
            and growing.size_bytes + size_of(bodies) <= self._segment_bytes_max
            and perf_counter() > self._slow_until_s
        )

    def begin(self, first_seq: int, received_ms: int, bodies: Sequence[Body]) -> int | None:
        """As `append`, without waiting for the disk; only where `can_begin` says so.

        Returns the file that can be read once `end` is to be called, None if that is now.
        Nothing else may be asked of the journal in between.
        """
        assert first_seq == self._next_seq
        assert bodies
        growing = self._growing
        assert growing is not None
        with self._for_good():
            started_s = perf_counter()
            record = _record(growing, bodies, first_seq, received_ms)
            told = growing.begin(record, size_of(bodies))
            ended_s = perf_counter()
        if ended_s - started_s > SLOW_WRITE_S:
            self._slow_until_s = ended_s + SLOW_S
        self._begun = (received_ms, bodies)
        return told

    def end(self) -> None:
        """What was begun is as durable as `append` makes it. Raises as that does."""
        growing, begun = self._growing, self._begun
        assert growing is not None
        assert begun is not None
        self._begun = None
        with self._for_good():
            growing.end()
        self._have(*begun)

    def _have(self, received_ms: int, bodies: Sequence[Body]) -> None:
        self._next_seq += events_in(bodies)
        self._received_ms = received_ms
        self._ends_closed = False

    def seal(self) -> None:
        """Let the next record begin a new segment, so that `trim` can take all before it.

        All before it is on the disk on return, whatever the durability. Raises as `append`.
        """
        self._is_sealed = True
        self.sync()

    def flush(self) -> None:
        """Hand to the system what durability `none` holds back. Raises as `append` does."""
        with self._for_good():
            if self._growing is not None:
                self._growing.flush()

    def sync(self) -> None:
        """Put on the disk all that was appended, whatever the durability.

        To be called before a snapshot: what a snapshot covers must not be missing from the
        journal after a power cut. Raises as `append` does. Once closed without a failure there
        is nothing left to do: whoever reads along may ask a moment too late.
        """
        if self._is_closed and self._failure is None:
            return
        with self._for_good():
            if self._growing is not None:
                self._growing.sync()

    def replay(self, after_seq: int) -> Iterator[Record]:
        """Every record that holds a number above `after_seq`, in order.

        Raises Corruption at once when the journal begins only after after_seq + 1, and on the
        way where a byte went bad since `open`.
        """
        if self._failure is None:
            self.flush()
        segments = self.segments
        if segments and after_seq + 1 < segments[0].first_seq:
            oldest = segments[0]
            reason = f"the journal begins here, at number {oldest.first_seq}, but number"
            raise Corruption(oldest.path, 0, f"{reason} {after_seq + 1} is needed")
        return self._records(segments, after_seq)

    def trim(self, up_to_seq: int) -> None:
        """Remove the segments whose every number is at most `up_to_seq`; never the growing one.

        Raises JournalFailed when the disk refuses.
        """
        with self._for_good():
            while self._sealed and self._sealed[0].last_seq <= up_to_seq:
                self._remove(self._sealed[0].path)
                del self._sealed[0]

    def surplus_seq(self, bytes_max: int) -> int:
        """The least number up to which `trim` leaves at most `bytes_max`, if it can."""
        left_bytes = self.size_bytes
        seq = self.first_seq - 1
        for segment in self._sealed:
            if left_bytes <= bytes_max:
                break
            left_bytes -= segment.size_bytes
            seq = segment.last_seq
        return seq

    def restart_after(self, seq: int) -> None:
        """Go on at seq + 1 although the journal ends before `seq`, as a snapshot covers it.

        All segments go. Needed when a power cut under durability `write` or `none`, or an
        operator, has taken the end of a journal whose snapshot is whole.
        """
        assert seq >= self.last_seq
        self.trim(seq)
        with self._for_good():
            if self._growing is not None:
                self._growing.close()
                path, self._growing = self._growing.path, None
                self._remove(path)
        self._next_seq = seq + 1
        self._ends_closed = True

    def close(self) -> None:
        """Sync, end the newest segment with a closing record, and close the file.

        The closing record holds no bodies. It turns a later flaw in the last real record from
        an apparent tear into damage that is found. Raises as `append` does; then what was
        held back under durability `none` is lost.
        """
        growing, self._growing = self._growing, None
        if growing is not None:
            try:
                if self._failure is None:
                    with self._for_good():
                        growing.sync()
                        self._end(growing)
                        growing.sync()
            finally:
                self._is_closed = True
                growing.close()

    def _for_good(self) -> "_ForGood":
        """What fails once has failed for good: every later call raises at once."""
        if self._failure is not None:
            raise JournalFailed(*self._failure.args)
        assert not self._is_closed
        return _ForGood(self)

    def fail(self, failure: JournalFailed) -> None:
        """Take nothing until a restart, for this reason."""
        self._failure = failure

    def _with_room_for(self, record_bytes: int) -> GrowingSegment:
        """The growing segment; a new one when the record would overfill it."""
        growing = self._growing
        if growing is not None:
            is_empty = growing.first_seq == self._next_seq  # a closing record may stand in it
            has_room = growing.size_bytes + record_bytes <= self._segment_bytes_max
            if is_empty or (has_room and not self._is_sealed):
                return growing
            growing.sync()  # a power cut must not leave a hole before the newest segment
        successor = GrowingSegment.create(
            self._disk, self._folder, self._next_seq, self._durability, self.sync_s
        )
        if growing is not None:
            self._sealed.append(self._as_segment(growing))
        self._growing = successor
        self._is_sealed = False
        if growing is not None:
            growing.close()
        return successor

    def _as_segment(self, growing: GrowingSegment) -> Segment:
        return Segment(growing.path, growing.first_seq, self.last_seq, growing.size_bytes)

    def _end(self, growing: GrowingSegment) -> None:
        if self._ends_closed:
            return
        record = encode(
            (),
            segment=growing.first_seq,
            first_seq=self._next_seq,
            received_ms=self._received_ms,
        )
        with contextlib.suppress(DiskFull):  # a precaution, not data
            growing.put([record], len(record))

    def _remove(self, path: Path) -> None:
        """Remove one file for good: were several removed at once, a crash could leave a gap."""
        try:
            self._disk.remove(path)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            raise failed(f"{path} could not be removed", error) from error

    def _sync_folder(self) -> None:
        """Have the names that are seen on the disk: a process may have been killed before."""
        try:
            self._disk.sync_folder(self._folder)
        except OSError as error:
            raise failed(f"{self._folder} could not be synced", error) from error

    def _records(self, segments: tuple[Segment, ...], after_seq: int) -> Iterator[Record]:
        for path, first_seq, last_seq, size_bytes in segments:
            if last_seq <= after_seq:
                continue
            data = self._read(path)[:size_bytes]
            try:
                for record, _ in read_records(path, data, first_seq):
                    is_wanted = record.first_seq > after_seq or record.last_seq > after_seq
                    if is_wanted and record.bodies:
                        yield record
            except BadRecord as bad:
                raise Corruption(path, bad.offset_bytes, bad.reason) from bad

    def _read(self, path: Path) -> bytes:
        try:
            return self._disk.read(path)
        except PermissionError as error:  # no damage, and nothing to be moved away
            raise UnusableFolder(path, error) from error
        except OSError as error:
            reason = f"it cannot be read: {error.strerror or error}"
            raise Corruption(path, 0, reason) from error

    def _load(self) -> None:
        """Check all segments, cut off a torn tail, and open the newest one for appending."""
        self._sync_folder()
        numbered = [(number_of(name), name) for name in self._disk.names(self._folder)]
        found = [(number, self._folder / name) for number, name in numbered if number]
        for place, (number, path) in enumerate(found, start=1):
            if place > 1 and number != self._next_seq:
                reason = f"it begins at number {number}, but {self._next_seq} comes next"
                raise Corruption(path, 0, reason)
            self._take(path, number, is_newest=place == len(found))
        if self._sealed:
            newest = self._sealed.pop()
            doubtful_at = 0
            if self._ends_closed:  # all before the closing record was synced before it
                doubtful_at = max(0, newest.size_bytes - size_of(()))
            self._growing = GrowingSegment.resume(
                self._disk, newest, doubtful_at, self._durability, self.sync_s
            )

    def _take(self, path: Path, number: int, *, is_newest: bool) -> None:
        """Add one segment that was found, as far as it is whole."""
        data = self._read(path)
        checked = check(path, data, number, is_newest=is_newest)
        if checked.flaw is not None:
            cut_bytes = len(data) - checked.good_bytes
            self.cut = Cut(path, checked.good_bytes, cut_bytes, checked.flaw)
        self._next_seq = checked.next_seq
        if checked.good_bytes == 0:
            self._remove(path)
            return
        self._sealed.append(Segment(path, number, self.last_seq, checked.good_bytes))
        self._received_ms = checked.received_ms
        self._ends_closed = checked.is_closed


def _record(
    growing: GrowingSegment, bodies: Sequence[Body], first_seq: int, received_ms: int
) -> Iterator[Bytes]:
    return pieces(
        bodies, segment=growing.first_seq, first_seq=first_seq, received_ms=received_ms
    )
