"""Ten thousand simulated crashes, of seeds that no quicker test uses. `make test-long`.

TALLYMARK_SIMULATION_FIRST is the first seed, for whoever wants others than the last time.
"""

import os

import pytest

from tests.simulation.history import run

CRASHES = 10_000
BLOCKS = 40
FIRST = int(os.environ.get("TALLYMARK_SIMULATION_FIRST", "1000000"))


@pytest.mark.parametrize("block", range(BLOCKS))
def test_ten_thousand_crashes_lose_nothing(block: int) -> None:
    crashes, seed = 0, FIRST + block * 10_000
    while crashes < CRASHES / BLOCKS:
        crashes += run(seed).crashes
        seed += 1
