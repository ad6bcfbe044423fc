"""What the simulated disk may lose, and what it must not: else the histories prove nothing."""

from random import Random

import pytest

from persistence.files import write_whole
from tests.simulation.disk import ROOT, SECTOR_BYTES, Crashed, SimulatedDisk

PATH = ROOT / "folder" / "file"
OTHER = ROOT / "folder" / "other"


def a_disk(seed: int = 0) -> SimulatedDisk:
    """With one folder that is there for good."""
    disk = SimulatedDisk(Random(seed))
    disk.make_folder(PATH.parent)
    return disk


def written(disk: SimulatedDisk, data: bytes, *, for_good: bool = False) -> int:
    """A handle of the new file at PATH, whose name is there for good."""
    handle = disk.create(PATH)
    disk.write(handle, data)
    if for_good:
        disk.sync(handle)
    disk.sync_folder(PATH.parent)
    return handle


def after_power_cuts(change, seeds: int = 400) -> set[bytes | None]:
    """What PATH may hold when the power goes after `change(disk)`; None where it is not."""
    found = set()
    for seed in range(seeds):
        disk = a_disk(seed)
        change(disk)
        disk.cut_power()
        there = disk.is_folder(PATH.parent) and PATH.name in disk.names(PATH.parent)
        found.add(disk.read(PATH) if there else None)
    return found


def test_what_was_synced_with_its_name_is_there_after_every_power_cut() -> None:
    data = bytes(range(256)) * 9
    assert after_power_cuts(lambda disk: written(disk, data, for_good=True)) == {data}


def test_bytes_that_were_not_synced_are_there_by_sectors_or_zero_or_not_at_all() -> None:
    a, b = b"a" * SECTOR_BYTES, b"b" * SECTOR_BYTES
    found = after_power_cuts(lambda disk: written(disk, a + b))
    zeros = bytes(SECTOR_BYTES)
    assert found == {b"", a + b, a + zeros, zeros + b, zeros + zeros}


def test_a_write_may_be_torn_between_two_sectors_and_never_within_one() -> None:
    def change(disk: SimulatedDisk) -> None:
        disk.write(written(disk, b"old", for_good=True), b"n" * 600)

    for left in after_power_cuts(change):
        assert left is not None
        first, second = left[:SECTOR_BYTES], left[SECTOR_BYTES:]
        assert first in (b"old", b"old" + b"n" * 509, (b"old" + bytes(509))[: len(left)])
        assert set(second) <= {0} or set(second) == {ord("n")}


def test_a_new_name_is_certain_only_once_the_folder_was_synced() -> None:
    def change(disk: SimulatedDisk) -> None:
        disk.sync(disk.create(PATH))

    assert after_power_cuts(change) == {None, b""}


def test_a_rename_is_one_step_that_may_be_lost() -> None:
    def change(disk: SimulatedDisk) -> None:
        written(disk, b"former", for_good=True)
        write_whole(disk, PATH, [b"new"])

    assert after_power_cuts(change) == {b"former", b"new"}


def test_a_removed_file_may_come_back_until_the_folder_is_synced() -> None:
    def change(disk: SimulatedDisk) -> None:
        written(disk, b"x", for_good=True)
        disk.remove(PATH)

    assert after_power_cuts(change) == {b"x", None}


def test_steps_of_a_folder_may_arrive_in_another_order() -> None:
    found = set()
    for seed in range(200):
        disk = a_disk(seed)
        for path in (PATH, OTHER):
            disk.create(path)
        disk.cut_power()
        found.add(tuple(disk.names(PATH.parent)))
    assert found == {(), ("file",), ("other",), ("file", "other")}


def test_a_folder_whose_parent_was_not_synced_goes_with_all_that_is_in_it() -> None:
    def change(disk: SimulatedDisk) -> None:
        disk.cut_power()
        disk.add_folder(ROOT / "new")
        handle = disk.create(ROOT / "new" / "file")
        disk.sync(handle)
        disk.sync_folder(ROOT / "new")

    outcomes = set()
    for seed in range(50):
        disk = a_disk(seed)
        change(disk)
        disk.cut_power()
        outcomes.add(disk.is_folder(ROOT / "new"))
    assert outcomes == {True, False}


def test_bytes_of_a_removed_file_may_turn_up_in_a_new_one() -> None:
    def change(disk: SimulatedDisk) -> None:
        written(disk, b"s" * SECTOR_BYTES, for_good=True)
        disk.remove(PATH)
        written(disk, b"n" * SECTOR_BYTES)

    assert b"s" * SECTOR_BYTES in after_power_cuts(change)


def test_a_kill_loses_nothing_that_was_written() -> None:
    disk = a_disk()
    written(disk, b"x")
    disk.kill()
    assert disk.read(PATH) == b"x"


def test_after_a_failed_sync_no_later_one_writes_what_was_lost() -> None:
    outcomes = set()
    for seed in range(100):
        disk = a_disk(seed)
        handle = written(disk, b"x")
        fail_next(disk, "sync")
        with pytest.raises(OSError, match="Errno"):
            disk.sync(handle)
        seen = disk.read(PATH)
        disk.sync(handle)
        disk.cut_power()
        outcomes.add((seen, disk.read(PATH)))
    # It was seen, a sync said yes, and it was not on the disk.
    assert any(seen == b"x" != left for seen, left in outcomes)


def test_every_handle_that_was_open_is_told_of_a_failed_sync_once() -> None:
    disk = a_disk()
    first = written(disk, b"x")
    second = disk.open_append(PATH)
    fail_next(disk, "sync")
    with pytest.raises(OSError, match="Errno"):
        disk.sync(first)
    with pytest.raises(OSError, match="Errno"):
        disk.sync(second)
    disk.sync(second)
    disk.sync(disk.open_append(PATH))


def test_bytes_that_are_written_again_are_on_the_disk() -> None:
    disk = a_disk()
    handle = written(disk, b"x")
    fail_next(disk, "sync")
    with pytest.raises(OSError, match="Errno"):
        disk.sync(handle)
    seen = disk.read(PATH)
    disk.write_again(PATH, 0, seen)
    disk.cut_power()
    assert disk.read(PATH) == seen


def test_a_full_disk_takes_what_fits_and_then_says_so() -> None:
    disk = a_disk()
    handle = disk.create(PATH)
    disk.faults.room_bytes = 3
    assert disk.write(handle, b"four") == 3
    with pytest.raises(OSError, match="No space left"):
        disk.write(handle, b"r")


def test_a_process_that_has_ended_changes_nothing() -> None:
    disk = a_disk()
    handle = written(disk, b"x", for_good=True)
    disk.crash_in = 0
    with pytest.raises(Crashed):
        disk.create(OTHER)
    disk.kill()
    with pytest.raises(Crashed):
        disk.write(handle, b"y")
    assert disk.names(PATH.parent) == ["file"]


def fail_next(disk: SimulatedDisk, call: str) -> None:
    """The next such call fails, and no later one."""
    disk.faults.calls, disk.faults.rate = (call,), 1.0
    real = disk._call

    def once(name: str, *args: object) -> None:
        try:
            real(name, *args)
        except OSError:
            disk.faults.rate = 0.0
            raise

    disk._call = once  # type: ignore[method-assign]
