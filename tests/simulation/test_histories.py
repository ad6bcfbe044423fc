"""The whole engine on a simulated disk, crashed hundreds of times as seeds have it.

`make test-long` runs ten thousand crashes more; `python -m tests.simulation` any others.
"""

import subprocess
import sys

import pytest
import trio._core._run as trio_run

from tests.server import ROOT, environment
from tests.simulation.history import Broken, run
from tests.simulation.mutants import MUTANTS, Mutant

CRASHES = 500
BLOCKS = 4


@pytest.mark.parametrize("block", range(BLOCKS))
def test_what_was_acknowledged_is_counted_once_whenever_the_power_goes(block: int) -> None:
    crashes, seed = 0, block * 1_000
    while crashes < CRASHES / BLOCKS:
        crashes += run(seed).crashes
        seed += 1


def test_a_seed_gives_the_same_history_in_every_process() -> None:
    first = run(11)
    assert run(11) == first
    for hash_seed in ("1", "2"):
        words = [sys.executable, "-m", "tests.simulation", "--first", "11", "--seeds", "1"]
        done = subprocess.run(
            words,
            cwd=ROOT,
            env=environment() | {"PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert repr(first) in done.stdout
    assert run(12).digest != first.digest


def test_another_order_of_tasks_is_another_history() -> None:
    assert len({run(seed).digest for seed in range(20, 26)}) == 6


def test_the_order_of_tasks_is_still_ours_to_decide() -> None:
    # Private names of Trio: where they go, `seeded` decides nothing.
    assert isinstance(trio_run._ALLOW_DETERMINISTIC_SCHEDULING, bool)
    assert callable(trio_run._r.random)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.__name__)
def test_a_fault_of_the_code_is_found(mutant: Mutant) -> None:
    found = first_found(mutant)
    assert found is not None, f"{SEEDS_MAX} histories with {mutant.__name__} found nothing"
    assert f"--first {found[0]} --seeds 1" in found[1]  # who reads it can run it again


SEEDS_MAX = 400

HINTS = {
    "no_sync": 2,
    "no_checksum": 27,
    "a_manifest_before_its_parts": 68,
    "a_snapshot_written_in_place": 79,
    "a_full_disk_that_says_yes": 13,
    "an_archive_ahead_of_the_journal": 25,
}
"""Seeds that find what others seldom do; a search when they no longer do."""


def first_found(mutant: Mutant) -> tuple[int, str] | None:
    """The seed that finds it, tried where it was found before, and what it says."""
    with mutant():
        for seed in (HINTS.get(mutant.__name__, 0), *range(SEEDS_MAX)):
            try:
                run(seed)
            except Broken as broken:
                return seed, str(broken)
    return None
