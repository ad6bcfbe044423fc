"""Thinning: beyond a rate per index key and second a row stands for several events.

The n-th event of a key in one second of receipt, n above the rate r, is kept with a probability
of 1 / m and then stands for m events, where m is the least power of two with n <= r * m. So the
expected weight of every event is one, sums over `_sample_interval` are unbiased, and what is
kept of a key grows by r / 2 with each doubling of its rate: at 20 times r it is 3.1 r. Whether
an event is kept is decided by a hash of its key and its number, and n counts within the second
of the journal, so the outcome is a function of the journal alone, however it is cut into files.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from engine.hashing import hash64

E = TypeVar("E")

Seqs = Sequence[int] | NDArray[np.int64]

SECOND_MS: Final = 1_000


class Thinning(Generic[E]):
    """Counts the events of the running second; `weights` says what each of them stands for."""

    def __init__(self, per_second: int, key_of: Callable[[E], str]) -> None:
        self._per_second = per_second
        self._key_of = key_of
        self._second = -1
        self._events = 0  # of the running second
        self._uncounted: list[Callable[[], Sequence[E]]] = []  # of it; not in `_counts` yet
        self._counts: Counter[str] = Counter()

    def weights(
        self,
        events: Sequence[E],
        seqs: Seqs,
        received_ms: int,
        again: Callable[[], Sequence[E]] | None = None,
    ) -> list[int] | None:
        """For each event how many it stands for, 0 where it is left out; None: all are kept.

        events, seqs  of one journal record, in its order; duplicates are gone already
        received_ms   of the record; a step back counts as the same second
        again         makes equal events once more: to hold a second's takes memory and time
        """
        second = received_ms // SECOND_MS
        if second > self._second:
            self._second, self._events = second, 0
            self._uncounted.clear()
            self._counts.clear()
        self._events += len(events)
        if self._events <= self._per_second:  # so no key can be above it
            self._uncounted.append(again or (lambda: events))
            return None
        self._count()
        return self._decide(events, seqs)

    def begin_anew(self) -> None:
        """Forget the running second, and the keys in it, which may be ids of people."""
        self._second, self._events = -1, 0
        self._uncounted.clear()
        self._counts.clear()

    def dump(self) -> dict[str, object]:
        """The running second, for `load`."""
        self._count()
        return {"second": self._second, "events": self._events, "counts": dict(self._counts)}

    def load(self, dumped: Mapping[str, object]) -> None:
        """Go on where `dump` was taken."""
        second, events, counts = dumped["second"], dumped["events"], dumped["counts"]
        assert isinstance(second, int)
        assert isinstance(events, int)
        assert isinstance(counts, dict)
        self._second, self._events = second, events
        self._uncounted.clear()
        self._counts = Counter(counts)

    def _count(self) -> None:
        for events in self._uncounted:
            self._counts.update(map(self._key_of, events()))
        self._uncounted.clear()

    def _decide(self, events: Sequence[E], seqs: Seqs) -> list[int] | None:
        weights: list[int] = []
        counts, rate = self._counts, self._per_second
        for event, seq in zip(events, map(int, seqs), strict=True):
            key = self._key_of(event)
            nth = counts[key] = counts[key] + 1
            if nth <= rate:
                weights.append(1)
            else:
                weight = 1 << (-(-nth // rate) - 1).bit_length()
                kept = hash64(f"{seq} {key}") % weight == 0
                weights.append(weight if kept else 0)
        return None if weights.count(1) == len(weights) else weights
