"""Redundancy kept beside bytes: a few damaged ones can be computed from the others.

The bytes lie in blocks, assigned to LANES lanes in turn: block n to lane n % LANES. Kept are
the CRC of each block and, for each lane, the exclusive or of its blocks, as RAID 4 keeps
it for its disks (Patterson, Gibson, Katz, 1988). The CRCs say which blocks are bad; a
single bad block in a lane is the exclusive or of the others and of what was kept. So it can
mend a flipped bit, a bad sector, up to FOLD_BYTES - BLOCK_BYTES bytes in a row, and in data of
up to FOLD_BYTES everything.

It takes FOLD_BYTES, or as many bytes as the data if that is less, and 4 for each block.
"""

from array import array
from typing import Final

import numpy as np
from isal.isal_zlib import crc32
from numpy.typing import NDArray

BLOCK_BYTES: Final = 1 << 14
FOLD_BYTES: Final = 1 << 20
LANES: Final = FOLD_BYTES // BLOCK_BYTES
CRC_BYTES: Final = 4


class Fold:
    """What is to be kept of bytes that come one after the other."""

    __slots__ = ("_crc", "_crcs", "_folded", "_size")

    def __init__(self) -> None:
        self._size = 0
        self._crc = 0  # of the block that is not full yet
        self._crcs = array("I")
        self._folded = bytearray()

    def add(self, data: bytes) -> None:
        """The next bytes."""
        view = memoryview(data)
        while view:
            room = BLOCK_BYTES - self._size % BLOCK_BYTES
            piece, view = view[:room], view[room:]
            if self._size < FOLD_BYTES:
                self._folded += piece
            else:
                _xor(self._folded, self._size % FOLD_BYTES, piece)
            self._crc = crc32(piece, self._crc)
            self._size += len(piece)
            if self._size % BLOCK_BYTES == 0:
                self._crcs.append(self._crc)
                self._crc = 0

    def kept(self) -> bytes:
        """The CRCs of all blocks, four bytes each, little-endian, and then the lanes."""
        crcs = array("I", self._crcs)
        if self._size % BLOCK_BYTES:
            crcs.append(self._crc)
        return np.asarray(crcs, "<u4").tobytes() + self._folded


def kept_bytes(size: int) -> int:
    """How long `Fold.kept` is for so many bytes."""
    return CRC_BYTES * _blocks(size) + min(size, FOLD_BYTES)


def bad_blocks(data: bytes | bytearray, kept: bytes) -> list[int]:
    """Where blocks begin that are not what they were; `kept` is."""
    crcs = np.frombuffer(kept, "<u4", _blocks(len(data))).tolist()
    view = memoryview(data)
    starts = range(0, len(data), BLOCK_BYTES)
    return [
        start
        for start, crc in zip(starts, crcs, strict=True)
        if crc32(view[start : start + BLOCK_BYTES]) != crc
    ]


def mend(data: bytearray, kept: bytes, bad: list[int]) -> bool:
    """Put right the blocks that begin at `bad`; False, and nothing done, where that cannot be.

    Whoever has a checksum of all of it should look at that once more.
    """
    lanes = {start % FOLD_BYTES for start in bad}
    if len(lanes) < len(bad):
        return False
    folded_at = CRC_BYTES * _blocks(len(data))
    for start in bad:
        lane = start % FOLD_BYTES
        size = min(BLOCK_BYTES, len(data) - start)
        # A lane may be longer than its last block.
        block = bytearray(kept[folded_at + lane : folded_at + lane + BLOCK_BYTES])
        for other in range(lane, len(data), FOLD_BYTES):
            if other != start:
                _xor(block, 0, memoryview(data)[other : other + BLOCK_BYTES])
        data[start : start + size] = block[:size]
    return True


def _xor(into: bytearray, at: int, data: memoryview) -> None:
    target: NDArray[np.uint8] = np.frombuffer(into, np.uint8)[at : at + len(data)]
    target ^= np.frombuffer(data, np.uint8)


def _blocks(size: int) -> int:
    return -(-size // BLOCK_BYTES)
