"""What a process of foreign queries gives up: here its place before others on the processor."""

import re
import subprocess
import sys
from pathlib import Path

from persistence.sandbox import NICE, TURN_NS

ROOT = Path(__file__).parents[2]

TOLD = """
import os, threading
from pathlib import Path
from persistence import sandbox
sandbox.limit(64 * 2**20)
def tell():
    print(os.nice(0))
    told = Path("/proc/thread-self/sched")
    print(told.read_text() if told.exists() else "")
thread = threading.Thread(target=tell)
thread.start()
thread.join()
"""


def test_threads_of_a_query_are_nice_and_have_long_turns_where_the_kernel_tells_of_turns() -> (
    None
):
    done = subprocess.run(
        [sys.executable, "-c", TOLD], cwd=ROOT, capture_output=True, text=True, check=True
    )
    nice, _, told = done.stdout.partition("\n")
    assert int(nice) == NICE
    turn = re.search(r"se\.slice +: +([0-9]+)", told)
    assert turn is None or int(turn[1]) == TURN_NS
