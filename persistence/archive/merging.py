"""Which files become one: pure, a function of what the manifest lists and of the time.

Parts are joined page by page first, which costs next to nothing and leaves them unsorted. Files
of one UTC day and of about one size are merged when there are enough of them, so that a row
is sorted once for each growth by a factor of `FAN`, and a day of parts a second old never
becomes many files. When a day is over and quiet, its small files join the large ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from engine.timebucket import DAY_MS, HOUR_MS
from persistence.archive.manifest import File

FAN: Final = 12
"""Files of one size that are merged."""

FILE_ROWS_MAX: Final = 8_000_000
"""A file that is merged grows to this many rows at the most."""

JOINED_ROWS_MAX: Final = 262_144
JOINED_BYTES_MAX: Final = 64 * 2**20
"""A file of joined parts grows to this at the most, and a dozen of these are sorted into one. A
question for one service reads all rows of what is not sorted (docs/decisions/0016)."""

PAGE_ROWS_MIN: Final = 256
"""A part of fewer rows is merged: a file of such pages would be mostly their headers."""

PART_ROWS_MAX: Final = JOINED_ROWS_MAX // 4

LARGER_TIMES: Final = 64
"""In a quiet day a file is rewritten for the sake of others if it is at most this many times as
large as they are together."""

MIXED: Final = -1
"""In place of a day: the file holds rows of several."""


def day_of(file: File) -> int:
    """The UTC day, counted from 1970, of all rows of the file, or MIXED."""
    first, last = file.first_ms // DAY_MS, file.last_ms // DAY_MS
    return first if first == last else MIXED


class Due(NamedTuple):
    """Files that should become one now, in the order of their numbers.

    sorts  whether their rows are put in order; else the pages of all stand one after the other
    """

    files: tuple[File, ...]
    sorts: bool


def due(files: Iterable[File], now_ms: int) -> Due | None:
    """What should be done next; None for nothing."""
    by_day: dict[int, list[File]] = defaultdict(list)
    for file in files:
        by_day[day_of(file)].append(file)
    for day, of_day in sorted(by_day.items()):
        joined = _joined(of_day)
        chosen = joined or _same_size(of_day) or _quiet(day, of_day, now_ms)
        if chosen:
            in_order = sorted(chosen, key=lambda file: file.first_seq)
            return Due(tuple(in_order), sorts=not joined)
    return None


def _joined(files: Sequence[File]) -> Sequence[File]:
    """Parts of one size, if there are enough to join them."""
    parts = [f for f in files if not f.sorted and PAGE_ROWS_MIN <= f.rows < PART_ROWS_MAX]
    for tier in _tiers(parts):
        fitting = _fitting(tier, rows_max=JOINED_ROWS_MAX, bytes_max=JOINED_BYTES_MAX)
        if len(tier) >= FAN and len(fitting) > 1:
            return fitting
    return ()


def _same_size(files: Sequence[File]) -> Sequence[File]:
    for tier in _tiers(files):
        fitting = _fitting(tier)
        if len(tier) >= FAN and len(fitting) >= FAN // 2:
            return fitting
    return ()


def _tiers(files: Sequence[File]) -> Iterator[Sequence[File]]:
    """Files of about one size, the smallest first."""
    tiers: dict[int, list[File]] = defaultdict(list)
    for file in files:
        tiers[file.rows.bit_length() * 2 // 7].append(file)  # one tier: a factor of 11.3
    for _, tier in sorted(tiers.items()):
        yield tier


def _quiet(day: int, files: Sequence[File], now_ms: int) -> Sequence[File]:
    """What joins when the day has been over for an hour, and nothing came for one."""
    ended_ms = (day + 1) * DAY_MS if day != MIXED else 0
    if max(ended_ms, *(file.made_ms for file in files)) + HOUR_MS > now_ms:
        return ()
    if day == MIXED:
        return _fitting(files)
    chosen: list[File] = []
    rows = 0
    for file in sorted(files, key=lambda file: file.rows):
        if chosen and file.rows > LARGER_TIMES * rows:
            break
        chosen.append(file)
        rows += file.rows
    fitting = _fitting(chosen)
    return fitting if len(fitting) > 1 else ()


def _fitting(
    files: Sequence[File], *, rows_max: int = FILE_ROWS_MAX, bytes_max: int | None = None
) -> Sequence[File]:
    """The smallest of them, as many as make no larger file than may be."""
    chosen: list[File] = []
    rows = size_bytes = 0
    for file in sorted(files, key=lambda file: file.rows):
        rows += file.rows
        size_bytes += file.size_bytes
        if rows > rows_max or (bytes_max is not None and size_bytes > bytes_max):
            break
        chosen.append(file)
    return chosen
