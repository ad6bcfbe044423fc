"""What histories found in the journal, each as the shortest story that shows it."""

from collections.abc import Callable
from random import Random

import pytest

from engine.errors import Corruption, DiskFull, JournalFailed
from engine.events import Body, Kind
from persistence.journal import Journal
from tests.simulation import mutants
from tests.simulation.disk import ROOT, Crashed, Faults, SimulatedDisk
from tests.simulation.mutants import Mutant

Story = Callable[[SimulatedDisk], int]
"""What happens to a journal; returns the last number that was acknowledged."""

FOLDER = ROOT / "journal"


def opened(disk: SimulatedDisk, segment_bytes_max: int = 300) -> Journal:
    return Journal.open(
        FOLDER, durability="fsync", segment_bytes_max=segment_bytes_max, disk=disk
    )


def add(journal: Journal, size: int = 100) -> None:
    """One record of one event."""
    journal.append(journal.last_seq + 1, 1, [Body(Kind.ARRAY, 1, b"x" * size)])


def check(story: Story) -> None:
    """However the power goes after the story, what it says was acknowledged is there."""
    for seed in range(60):
        disk = SimulatedDisk(Random(seed))
        acknowledged = story(disk)
        disk.faults = Faults()
        disk.cut_power()
        assert opened(disk).last_seq >= acknowledged


def a_name_of_a_killed_process(disk: SimulatedDisk) -> int:
    """A segment whose maker was killed is not lost with what the next one adds."""
    journal = opened(disk)
    add(journal)
    disk.crash_at, disk.crash_in = "sync_folder", 0
    with pytest.raises(Crashed):
        add(journal, size=200)
    disk.kill()
    again = opened(disk)
    add(again)
    return again.last_seq


def what_a_full_disk_cut_off(disk: SimulatedDisk) -> int:
    """It does not come back in a segment that was sealed since."""
    journal = opened(disk, segment_bytes_max=2_000)
    add(journal)
    disk.faults.room_bytes = 1_200
    with pytest.raises(DiskFull):
        add(journal, size=1_500)
    disk.faults.room_bytes = None
    add(journal, size=1_900)  # in the next segment
    return journal.last_seq


def a_segment_that_found_no_room(disk: SimulatedDisk) -> int:
    """It does not come back beside the one that went on in its place."""
    journal = opened(disk)
    add(journal)
    disk.faults.room_bytes = 10
    with pytest.raises(DiskFull):
        add(journal, size=200)  # not even the header of its segment
    disk.faults.room_bytes = None
    add(journal, size=10)  # fits where the first one is
    return journal.last_seq


def what_only_the_cache_shows(disk: SimulatedDisk) -> int:
    """What a failed sync has left in the cache alone does not become a hole."""
    journal = opened(disk, segment_bytes_max=20_000)
    add(journal)
    disk.faults = Faults(rate=1.0, calls=("sync", "truncate"))
    with pytest.raises(JournalFailed):
        add(journal, size=9_000)
    disk.faults = Faults()
    disk.kill()
    again = opened(disk, segment_bytes_max=20_000)  # may see the record, which is on no disk
    add(again, size=20)
    return again.last_seq


STORIES: tuple[tuple[Story, Mutant], ...] = (
    (a_name_of_a_killed_process, mutants.no_sync_of_the_folder_at_the_start),
    (what_a_full_disk_cut_off, mutants.an_unsynced_cut),
    (a_segment_that_found_no_room, mutants.an_unsynced_removal),
    (what_only_the_cache_shows, mutants.doubtful_bytes_trusted),
)
"""Each with the fault of the code that it is about."""


@pytest.mark.parametrize("story", [story for story, _ in STORIES])
def test_what_was_acknowledged_is_there_however_the_power_goes(story: Story) -> None:
    check(story)


@pytest.mark.parametrize(("story", "mutant"), STORIES)
def test_without_what_mends_it_the_story_ends_badly(story: Story, mutant: Mutant) -> None:
    with mutant(), pytest.raises((AssertionError, Corruption, JournalFailed)):
        check(story)
