"""Reads the journal while it grows, record after record, never beyond what is durable.

It decodes with the decoder of recovery. The process that writes says how far it may read: what
lies behind that may yet be cut off, or lost in a power cut. Only that process can sync the
journal: after a failed sync the kernel reports success to a handle that was opened later.
"""

from pathlib import Path
from typing import Final

from engine.errors import Corruption, TallymarkError
from persistence.files import REAL_DISK, Disk
from persistence.record import BadRecord, Record, decode
from persistence.segment import HEADER_BYTES, check_header, name_of, number_of

CHUNK_BYTES: Final = 2**20


class JournalGap(TallymarkError):
    """The journal begins behind the number that is needed: what lies between is gone."""

    title = "Journal gap"

    def __init__(self, needed_seq: int, first_seq: int) -> None:
        super().__init__(
            f"The journal begins at number {first_seq}, and {needed_seq} is needed: events "
            f"{needed_seq} to {first_seq - 1} were trimmed before they were archived."
        )
        self.needed_seq = needed_seq
        self.first_seq = first_seq


class Follower:
    """A place in the journal. `take` moves it on."""

    def __init__(self, folder: Path, *, after_seq: int, disk: Disk = REAL_DISK) -> None:
        self._folder = folder
        self._disk = disk
        self._wanted_seq = after_seq + 1  # what comes before is passed over
        self._number = 0  # of the segment that is read; 0 before the first
        self._next_seq = 0  # with which the next record must begin
        self._data = b""
        self._at = 0  # in `_data`, where the next record begins
        self._data_at = 0  # in the file, where `_data` begins
        self._held: Record | None = None

    def take(self, up_to_seq: int) -> Record | None:
        """The next record, if all of it is at most `up_to_seq`; else None.

        up_to_seq  what the journal has on the disk

        Raises JournalGap, and Corruption where a record should be and is not.
        """
        while self._wanted_seq <= up_to_seq:
            record, self._held = self._held or self._next(up_to_seq), None
            if record.last_seq < self._wanted_seq:
                continue
            if record.last_seq > up_to_seq:
                self._held = record
                return None
            self._wanted_seq = record.last_seq + 1
            return record
        return None

    @property
    def _path(self) -> Path:
        return self._folder / name_of(self._number)

    def _next(self, up_to_seq: int) -> Record:
        if not self._number:
            self._open(self._segment_of(self._wanted_seq, up_to_seq))
        while True:
            try:
                record, end = decode(
                    self._data, self._at, segment=self._number, first_seq=self._next_seq
                )
            except BadRecord as bad:
                if not self._read_on() and not self._turn():
                    at = self._data_at + self._at
                    reason = f"number {self._next_seq} should be here, and {bad.reason}"
                    raise Corruption(self._path, at, reason) from bad
                continue
            self._at = end
            self._next_seq += record.events
            return record

    def _read_on(self) -> bool:
        """Read some more of the segment; whether there was more."""
        read_to = self._data_at + len(self._data)
        rest = self._data[self._at :]
        try:
            more = self._disk.read_from(self._path, read_to, max(CHUNK_BYTES, len(rest)))
        except FileNotFoundError:  # trimmed, which is well where nothing more was wanted of it
            self._open(self._segment_of(self._wanted_seq, self._wanted_seq))
            return True
        if not more:
            return False
        self._data_at += self._at
        self._data, self._at = rest + more, 0
        return True

    def _turn(self) -> bool:
        """Go to the next segment, if there is one; whether there is."""
        successor = self._next_seq
        if successor == self._number or successor not in self._numbers():
            return False
        self._open(successor)
        return True

    def _open(self, number: int) -> None:
        self._number = self._next_seq = number
        self._data_at = HEADER_BYTES
        self._data, self._at = b"", 0
        try:
            header = self._disk.read_from(self._path, 0, HEADER_BYTES)
        except FileNotFoundError:
            raise JournalGap(self._wanted_seq, self._first_seq()) from None
        try:
            check_header(self._path, header, number)
        except BadRecord as bad:
            raise Corruption(self._path, bad.offset_bytes, bad.reason) from bad

    def _segment_of(self, seq: int, up_to_seq: int) -> int:
        """The number of the segment that holds `seq`, where the journal ends at `up_to_seq`."""
        numbers = self._numbers()
        if not numbers or numbers[0] > seq:
            raise JournalGap(seq, numbers[0] if numbers else up_to_seq + 1)
        return max(number for number in numbers if number <= seq)

    def _first_seq(self) -> int:
        return min(self._numbers(), default=self._wanted_seq)

    def _numbers(self) -> list[int]:
        names = self._disk.names(self._folder)
        return [number for name in names if (number := number_of(name)) is not None]
