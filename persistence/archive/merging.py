"""Which files become one: pure, a function of what the manifest lists and of the time.

Files of one UTC day and of about one size are merged when there are enough of them, so that a
row is rewritten once for each growth by a factor of `FAN`, and a day of parts a second old
never becomes many files. When a day is over and quiet, its small files join the large ones.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final

from engine.timebucket import DAY_MS, HOUR_MS
from persistence.archive.manifest import File

FAN: Final = 12
"""Files of one size that are merged."""

FILE_ROWS_MAX: Final = 8_000_000
"""A file that is merged grows to this many rows at the most."""

LARGER_TIMES: Final = 64
"""In a quiet day a file is rewritten for the sake of others if it is at most this many times as
large as they are together."""

MIXED: Final = -1
"""In place of a day: the file holds rows of several."""


def day_of(file: File) -> int:
    """The UTC day, counted from 1970, of all rows of the file, or MIXED."""
    first, last = file.first_ms // DAY_MS, file.last_ms // DAY_MS
    return first if first == last else MIXED


def due(files: Iterable[File], now_ms: int) -> tuple[File, ...]:
    """The files that should be merged now, in the order of their numbers; () for none."""
    by_day: dict[int, list[File]] = defaultdict(list)
    for file in files:
        by_day[day_of(file)].append(file)
    for day, of_day in sorted(by_day.items()):
        chosen = _same_size(of_day) or _quiet(day, of_day, now_ms)
        if chosen:
            return tuple(sorted(chosen, key=lambda file: file.first_seq))
    return ()


def _same_size(files: Sequence[File]) -> Sequence[File]:
    tiers: dict[int, list[File]] = defaultdict(list)
    for file in files:
        tiers[file.rows.bit_length() * 2 // 7].append(file)  # one tier: a factor of 11.3
    for _, tier in sorted(tiers.items()):
        fitting = _fitting(tier)
        if len(tier) >= FAN and len(fitting) >= FAN // 2:
            return fitting
    return ()


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


def _fitting(files: Sequence[File]) -> Sequence[File]:
    """The smallest of them, as many as make no larger file than may be."""
    chosen: list[File] = []
    rows = 0
    for file in sorted(files, key=lambda file: file.rows):
        if rows + file.rows > FILE_ROWS_MAX:
            break
        chosen.append(file)
        rows += file.rows
    return chosen
