"""How often Python's cyclic garbage collector runs in a server."""

import gc
from typing import Final

YOUNG_MAX: Final = 5_000
MIDDLE_MAX: Final = 200
OLD_MAX: Final = 100
"""New containers before a young collection; young ones before a middle one, and so on.

Nothing on the hot path makes cycles: reference counts free it all. With the defaults (700, 10,
10) sequencing and folding took 5.8 and 6.7 µs of CPU an event in two runs, 5.2 in both with the
collector off (2026-11-22, a noisy machine): every fact is a container that lives for a moment.
How much of that these numbers bring back was not measured by itself.

What a request beside the lane leaves are cycles, objects of the libraries, and to free them is
what takes long: four thousand such requests cost 91 ms in all and up to 30 at once with 50,000,
63 and 1.7 with 5,000; 400,000 events cost 35 and 41 ms (`gc.callbacks`, 2026-11-30, load
average 7). A middle collection comes as seldom as with 50,000 and 20.
"""


def tune_collector() -> None:
    """Let the collector run rarely, and never look again at what exists by now.

    Called after recovery: what it has built stays for good, millions of objects that every
    full collection would walk through, with everybody waiting.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_MAX, MIDDLE_MAX, OLD_MAX)
