"""Values of a column as Parquet encodes them: pure, from arrays to bytes.

https://github.com/apache/parquet-format/blob/master/Encodings.md; only encodings whose work
numpy can do. Bit widths are whole bytes, and nothing has a dictionary, because zstd follows.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from persistence.archive.thrift import varint, zigzag

Integers = NDArray[np.int64]
Truths = NDArray[np.bool_]

_BLOCK: Final = 2_048
_MINIBLOCKS: Final = 8
_MINIBLOCK: Final = _BLOCK // _MINIBLOCKS


class Texts(NamedTuple):
    """Texts one after the other, as UTF-8.

    lengths  in bytes, of each
    """

    lengths: Integers
    data: bytes


def texts_of(texts: Sequence[str]) -> Texts:
    """Any texts; a quarter of what their lengths one by one would take."""
    joined = "\0".join(texts).encode()
    (ends,) = (np.frombuffer(joined, np.uint8) == 0).nonzero()
    if len(ends) == len(texts) - 1:
        bounds = np.empty(len(texts) + 1, np.int64)
        bounds[0], bounds[1:-1], bounds[-1] = -1, ends, len(joined)
        return Texts(bounds[1:] - bounds[:-1] - 1, joined.translate(None, b"\0"))
    each = [text.encode() for text in texts]
    return Texts(np.fromiter(map(len, each), np.int64, len(each)), b"".join(each))


def levels(known: Truths) -> bytes:
    """Definition levels of a flat column with their length before: which rows have a value."""
    rows = len(known)
    there = int(np.count_nonzero(known))
    if there in (0, rows):
        runs = varint(rows << 1) + bytes([there > 0])
    else:
        bits = np.packbits(known, bitorder="little").tobytes()
        runs = varint(len(bits) << 1 | 1) + bits
    return len(runs).to_bytes(4, "little") + runs


def deltas(values: Integers) -> bytes:
    """DELTA_BINARY_PACKED, all blocks of one least difference and one width."""
    first = int(values[0]) if len(values) else 0
    head = b"".join((varint(_BLOCK), varint(_MINIBLOCKS), varint(len(values)), zigzag(first)))
    if len(values) < 2:
        return head
    steps = np.diff(values)
    least = steps.min()
    over = (steps - least).view(np.uint64)
    width = (int(over.max()).bit_length() + 7) // 8
    blocks = -(-len(over) // _BLOCK)
    table = np.zeros((blocks * _BLOCK, 8), np.uint8)
    table[: len(over)] = over.astype("<u8", copy=False).view(np.uint8).reshape(-1, 8)
    packed = table[:, :width].reshape(blocks, _BLOCK * width)
    start = zigzag(int(least)) + bytes([8 * width] * _MINIBLOCKS)
    starts = np.tile(np.frombuffer(start, np.uint8), (blocks, 1))
    body = np.concatenate((starts, packed), axis=1).tobytes()
    unused = _MINIBLOCKS - -(-(len(over) - (blocks - 1) * _BLOCK) // _MINIBLOCK)
    return head + body[: len(body) - unused * _MINIBLOCK * width]


def delta_lengths(texts: Sequence[Texts]) -> list[bytes]:
    """DELTA_LENGTH_BYTE_ARRAY of several in a row, in pieces."""
    if not texts:
        return [deltas(np.empty(0, np.int64))]
    lengths = np.concatenate([one.lengths for one in texts])
    return [deltas(lengths), *(one.data for one in texts)]


def split_bytes(values: NDArray[np.float64]) -> bytes:
    """BYTE_STREAM_SPLIT: first of all the first bytes."""
    return values.astype("<f8", copy=False).view(np.uint8).reshape(-1, 8).T.tobytes()


def bits(values: Truths) -> bytes:
    """PLAIN, of truths."""
    return np.packbits(values, bitorder="little").tobytes()
