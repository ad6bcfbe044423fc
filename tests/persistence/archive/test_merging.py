"""Merging: which files become one, and which are left alone."""

from collections.abc import Sequence

import msgspec

from persistence.archive.manifest import File
from persistence.archive.merging import (
    FAN,
    FILE_ROWS_MAX,
    JOINED_BYTES_MAX,
    JOINED_ROWS_MAX,
    MIXED,
    PAGE_ROWS_MIN,
    day_of,
    due,
)

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
NOON_MS = 20_000 * DAY_MS + 12 * HOUR_MS


def file(number: int, rows: int = 100, *, day: int = 20_000, made_ms: int = NOON_MS) -> File:
    return File(
        name=f"{number}",
        rows=rows,
        weight=rows,
        first_seq=number,
        last_seq=number,
        first_ms=day * DAY_MS,
        last_ms=day * DAY_MS + 5,
        size_bytes=1,
        made_ms=made_ms,
    )


def chosen(files: Sequence[File], now_ms: int) -> tuple[File, ...]:
    """What is sorted into one file; () for nothing."""
    found = due(files, now_ms)
    assert found is None or found.sorts
    return () if found is None else found.files


def mixed(number: int, **fields: int) -> File:
    one = file(number, **fields)
    return msgspec.structs.replace(one, last_ms=one.last_ms + DAY_MS)


def test_files_of_one_size_and_day_are_merged_when_there_are_enough() -> None:
    few = [file(number) for number in range(FAN - 1)]
    assert chosen(few, NOON_MS) == ()
    assert chosen([*few, file(99, 1_000_000), file(98, day=19_999)], NOON_MS) == ()
    enough = [*few, file(FAN)]
    assert chosen(enough, NOON_MS) == tuple(enough)


def test_a_days_parts_of_a_second_become_few_files_and_rows_are_rewritten_few_times() -> None:
    files: list[File] = []
    rewritten = 0
    for number in range(20_000):
        files.append(file(number, 50))
        while some := chosen(files, NOON_MS):
            rows = sum(one.rows for one in some)
            rewritten += rows
            files = [one for one in files if one not in some]
            files.append(file(some[0].first_seq, rows))
    assert len(files) < 5 * FAN
    assert sum(one.rows for one in files) == 1_000_000
    assert rewritten < 4 * 1_000_000


def test_no_file_grows_beyond_the_limit() -> None:
    large = [file(number, FILE_ROWS_MAX // 4) for number in range(FAN)]
    assert chosen(large, NOON_MS) == ()
    quiet_ms = 20_001 * DAY_MS + HOUR_MS
    assert sum(one.rows for one in chosen(large, quiet_ms)) == FILE_ROWS_MAX


def test_a_day_that_is_over_and_quiet_becomes_one_file() -> None:
    files = [file(1, 5_000), file(2, 100), file(3, 7)]
    over_ms = 20_001 * DAY_MS + HOUR_MS
    assert chosen(files, over_ms - 1) == ()
    assert chosen(files, over_ms) == tuple(files)
    late = file(4, made_ms=over_ms)
    assert chosen([*files, late], over_ms + HOUR_MS - 1) == ()
    assert chosen([file(1, 5_000)], over_ms) == ()


def test_a_large_file_is_not_rewritten_for_a_few_late_rows() -> None:
    over_ms = 20_002 * DAY_MS
    assert chosen([file(1, 1_000_000), file(2, 10)], over_ms) == ()
    assert chosen([file(1, 1_000_000), file(2, 10), file(3, 9)], over_ms) == (
        file(2, 10),
        file(3, 9),
    )


def test_mixed_files_are_parted_when_there_are_enough_or_it_is_quiet() -> None:
    assert day_of(mixed(1)) == MIXED
    files = [mixed(number) for number in range(FAN)]
    assert chosen(files, NOON_MS) == tuple(files)
    assert chosen(files[:1], NOON_MS) == ()
    assert chosen(files[:1], NOON_MS + HOUR_MS) == tuple(files[:1])


def part(number: int, rows: int, size_bytes: int = 1) -> File:
    return msgspec.structs.replace(file(number, rows), sorted=False, size_bytes=size_bytes)


def test_parts_are_joined_before_they_are_sorted_and_rows_are_sorted_once() -> None:
    files: list[File] = []
    joined = ordered = 0
    for number in range(1_500):
        files.append(part(number, 5_000))
        while found := due(files, NOON_MS):
            rows = sum(one.rows for one in found.files)
            files = [one for one in files if one not in found.files]
            if found.sorts:
                ordered += rows
                files.append(file(number, rows))
            else:
                joined += rows
                files.append(part(number, rows))
            assert rows <= (FILE_ROWS_MAX if found.sorts else JOINED_ROWS_MAX)
    assert len(files) < 3 * FAN
    assert sum(one.rows for one in files) == 7_500_000
    assert 0 < ordered <= 7_500_000
    assert joined <= 2 * 7_500_000


def test_parts_of_few_rows_or_many_bytes_are_sorted_instead() -> None:
    tiny = [part(number, PAGE_ROWS_MIN - 1) for number in range(FAN)]
    found = due(tiny, NOON_MS)
    assert found is not None
    assert found.sorts
    heavy = [part(number, 5_000, JOINED_BYTES_MAX // 3) for number in range(FAN)]
    found = due(heavy, NOON_MS)
    assert found is not None
    assert not found.sorts
    assert len(found.files) == 3
    found = due([part(number, 5_000, JOINED_BYTES_MAX) for number in range(FAN)], NOON_MS)
    assert found is not None
    assert found.sorts
