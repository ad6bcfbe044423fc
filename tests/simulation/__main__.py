"""Run histories from the command line: `python -m tests.simulation --first 7 --seeds 1`.

Ends with 0 when all promises held. A history that broke one is printed with its last calls and
with the command that runs it again.
"""

import argparse
import sys

from tests.simulation.history import Broken, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--seeds", type=int, default=100, help="how many of them")
    asked = parser.parse_args()
    crashes = broken = 0
    for seed in range(asked.first, asked.first + asked.seeds):
        try:
            outcome = run(seed)
        except Broken as failure:
            broken += 1
            print(failure, flush=True)
        else:
            crashes += outcome.crashes
            if asked.seeds == 1:
                print(outcome)
    print(f"{asked.seeds} histories, {crashes} crashes, {broken} broken")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
