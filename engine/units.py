"""The units of one experiment: which variant each saw first, and whether it converted after.

Exact until `halve` is called; then the units whose hash lies above a threshold are dropped, and
the sample that stays is uniform: rates and lifts need no correction, their intervals widen.
Nothing here depends on the order in which events arrive.
"""

from array import array
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from engine.cells import Slot, Slots
from engine.hashindex import HashIndex

BLOCK_ROWS: Final = 16_384
"""Units that a snapshot writes together: 420 KB."""

RECENT_MAX: Final = 8_192
"""Units whose row is in a dict: those that came last, or were asked for."""

UNSEEN: Final = 255
"""Variant of a unit that converted without ever having been shown one."""

NEVER: Final = -1


class Units:
    """Rows of units; exposures and conversions in any order."""

    __slots__ = (
        "_changed", "_converted_ms", "_exposed_ms", "_hashes", "_index", "_indexed",
        "_multiple", "_recent",
        "_threshold", "_variants", "is_renumbered",
    )  # fmt: skip

    def __init__(self) -> None:
        self._index = HashIndex(payload="uint32")
        self._indexed = 0  # rows from here on are in `_recent` alone
        self._recent: dict[int, int] = {}
        self._threshold = 2**64
        self._hashes = array("Q")
        self._variants = array("B")
        self._multiple = array("B")  # 1: seen in more than one variant, so it tells nothing
        self._exposed_ms = array("q")
        self._converted_ms = array("q")  # the latest conversion
        self._changed: set[int] = set()
        self.is_renumbered = False

    def __len__(self) -> int:
        return len(self._hashes)

    def memory_bytes(self) -> int:
        """What the columns and the index occupy."""
        columns = (
            *(self._hashes, self._variants, self._multiple),
            *(self._exposed_ms, self._converted_ms),
        )
        held = sum(column.itemsize * len(column) for column in columns)
        return held + self._index.memory_bytes() + 100 * len(self._recent)

    @property
    def sample_rate(self) -> float:
        return self._threshold / 2**64

    def expose(self, unit: int, variant: int, at_ms: int) -> None:
        """The unit (its hash64) was shown the variant; its first exposure is what counts."""
        row = self._row(unit)
        if row is None:
            return
        known = self._variants[row]
        first_ms = self._exposed_ms[row]
        if known == UNSEEN:
            self._variants[row] = variant
            self._exposed_ms[row] = at_ms
            return
        if variant != known:
            self._multiple[row] = 1
        if (at_ms, variant) < (first_ms, known):
            self._variants[row] = variant
            self._exposed_ms[row] = at_ms

    def convert(self, unit: int, at_ms: int) -> None:
        """The unit reached the goal."""
        row = self._row(unit)
        if row is not None and at_ms > self._converted_ms[row]:
            self._converted_ms[row] = at_ms

    def _row(self, unit: int) -> int | None:
        if unit >= self._threshold:
            return None
        row = self._recent.get(unit)
        if row is None:
            row = self._found(unit)
        self._changed.add(row // BLOCK_ROWS)
        return row

    def _found(self, unit: int) -> int:
        if len(self._recent) >= RECENT_MAX:
            self._index_recent()
        row = self._index.get(unit) if self._indexed else None
        if row is None:
            row = len(self._hashes)
            self._hashes.append(unit)
            self._variants.append(UNSEEN)
            self._multiple.append(0)
            self._exposed_ms.append(NEVER)
            self._converted_ms.append(NEVER)
        self._recent[unit] = row
        return row

    def _index_recent(self) -> None:
        # By the thousand: the index takes a batch at a tenth of what it takes one by one.
        new = self._hashes[self._indexed :].tolist()
        self._index.rows_of(new, new_from=self._indexed)
        self._indexed = len(self._hashes)
        self._recent.clear()

    def forget(self, unit: int) -> None:
        """Forget one unit; its row stays, empty, until rows are numbered again."""
        self._index_recent()
        row = self._index.remove(unit)
        if row is None:
            return
        self._hashes[row] = 0
        self._variants[row], self._multiple[row] = UNSEEN, 0
        self._exposed_ms[row] = self._converted_ms[row] = NEVER
        self.is_renumbered = True  # no dump before may be read again

    def halve(self) -> None:
        """Let go of half the units, by hash."""
        self._threshold //= 2
        hashes = self._columns()[0]
        self._number_anew((hashes < np.uint64(self._threshold)) & (hashes != 0))

    def _number_anew(self, kept: NDArray[np.bool_]) -> None:
        columns = [column[kept] for column in self._columns()]
        self._index = HashIndex(payload="uint32")
        self._indexed = 0
        self._recent = {}
        self._hashes, self._variants, self._multiple = array("Q"), array("B"), array("B")
        self._exposed_ms, self._converted_ms = array("q"), array("q")
        self._append(columns)
        self.is_renumbered = True

    def _columns(self) -> tuple[NDArray[Any], ...]:
        # Views, to be let go before the next row: while there is one the arrays cannot grow.
        return (
            np.frombuffer(self._hashes, np.uint64),
            np.frombuffer(self._variants, np.uint8),
            np.frombuffer(self._multiple, np.uint8),
            np.frombuffer(self._exposed_ms, np.int64),
            np.frombuffer(self._converted_ms, np.int64),
        )

    def _append(self, columns: list[NDArray[Any]]) -> None:
        first = len(self._hashes)
        self._hashes.frombytes(columns[0].tobytes())
        self._variants.frombytes(columns[1].tobytes())
        self._multiple.frombytes(columns[2].tobytes())
        self._exposed_ms.frombytes(columns[3].tobytes())
        self._converted_ms.frombytes(columns[4].tobytes())
        assert len(self._converted_ms) == len(self._hashes) == first + len(columns[0])
        self._index_recent()

    def counts(self, start_ms: int, end_ms: int) -> tuple[dict[int, tuple[int, int]], int]:
        """{variant: (units, converted)} and how many saw several, first exposed then."""
        _, variants, multiple, exposed_ms, converted_ms = self._columns()
        inside = (variants != UNSEEN) & (exposed_ms >= start_ms) & (exposed_ms < end_ms)
        counted = inside & (multiple == 0)
        converted = counted & (converted_ms >= exposed_ms)
        units = np.bincount(variants[counted], minlength=256)
        goals = np.bincount(variants[converted], minlength=256)
        by_variant = {
            variant: (int(units[variant]), int(goals[variant]))
            for variant in np.flatnonzero(units).tolist()
        }
        return by_variant, int(np.count_nonzero(inside & (multiple == 1)))

    def dump(self, kind: str, *, full: bool) -> list[tuple[Slot, Any]]:
        """Blocks of rows, those that changed or all, as slots of this kind."""
        self.is_renumbered = False
        blocks = set(range(len(self) // BLOCK_ROWS + 1))  # also without rows: the threshold
        if not full:
            blocks &= self._changed
        self._changed = set()
        columns = self._columns() if blocks else ()
        return [
            (
                (kind, block),
                (
                    str(self._threshold),
                    *(
                        c[block * BLOCK_ROWS : (block + 1) * BLOCK_ROWS].tobytes()
                        for c in columns
                    ),
                ),
            )
            for block in sorted(blocks)
        ]

    def load(self, kind: str, slots: Slots) -> None:
        """Take back the blocks of this kind."""
        block = 0
        while (kind, block) in slots:
            threshold, *columns = slots[kind, block]
            block += 1
            self._threshold = int(threshold)
            dtypes = (np.uint64, np.uint8, np.uint8, np.int64, np.int64)
            read = [np.frombuffer(c, dtype) for c, dtype in zip(columns, dtypes, strict=True)]
            kept = read[0] != 0  # an empty row was somebody who is forgotten
            if not kept.all():
                read = [column[kept] for column in read]
                self.is_renumbered = True
            self._append(read)
