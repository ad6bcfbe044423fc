"""`python -m bench.paired PATH`: another checkout against this one, in turns in one process.

Whoever else uses the machine slows both alike, so the ratio is worth more than either figure.
"""

import gc
import importlib
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

from bench.engine import BATCH_EVENTS, GROUP_EVENTS
from bench.events import bodies
from engine.timebucket import HOUR_MS

EVENTS: Final = 250_000
ROUNDS: Final = 3
PACKAGES: Final = ("bench", "engine", "persistence", "web")


class Side:
    """One checkout's engine, and the CPU seconds that it has spent."""

    def __init__(self, tree: Path, folder: Path, now_ms: int | None = None) -> None:
        self.bench = _engine_of(tree).Bench(folder)
        self.bench.now_ms = now_ms = now_ms or self.bench.now_ms
        self.now_ms: int = now_ms
        self.decode_s = self.fold_s = 0.0

    def take(self, group: list[bytes]) -> None:
        received = [bytes(memoryview(body)) for body in group]
        started = process_time()
        batches = self.bench.decode_all(received)
        decoded = process_time()
        self.bench.take_and_fold(batches)
        self.decode_s += decoded - started
        self.fold_s += process_time() - decoded

    def end(self) -> None:
        started = process_time()
        self.bench.settle()
        self.fold_s += process_time() - started
        self.bench.journal.close()


def _engine_of(tree: Path) -> Any:
    """The module bench.engine of a checkout, with everything that it imports."""
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
    sys.path.insert(0, str(tree))
    module = importlib.import_module("bench.engine")
    sys.path.pop(0)
    assert Path(str(module.__file__)).is_relative_to(tree)
    return module


def compare(other: Path, count: int) -> tuple[Side, Side]:
    """Both sides after the same events, whose groups they took in turns."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        before = Side(other, Path(one))
        now = Side(Path(__file__).parents[1], Path(two), before.now_ms)
        raw = bodies(count, batch=BATCH_EVENTS, seed=1, now_ms=now.now_ms, spread_ms=HOUR_MS)
        per_group = GROUP_EVENTS // BATCH_EVENTS
        gc.collect()
        gc.freeze()
        for start in range(0, len(raw), per_group):
            first, second = (before, now) if start // per_group % 2 else (now, before)
            for side in (first, second):
                side.take(raw[start : start + per_group])
        before.end()
        now.end()
    return before, now


def main() -> None:
    """Print what sequencing and folding cost of each, and how they compare."""
    other = Path(sys.argv[1]).resolve()
    count = int(sys.argv[2]) if len(sys.argv) > 2 else EVENTS
    ratios = []
    for _ in range(ROUNDS):
        for name, side in zip(("before", "now"), sides := compare(other, count), strict=True):
            us = 1e6 * side.fold_s / count
            print(
                f"{name:7} {us:5.2f} µs an event, decoding ×{side.fold_s / side.decode_s:.2f}"
            )
        ratios.append(sides[1].fold_s / sides[0].fold_s)
        print(f"ratio   {ratios[-1]:.2f}\n")
    print(f"median  {median(ratios):.2f}")


if __name__ == "__main__":
    main()
