"""CRC-32 of files: of a whole one, and of its sixteenths, so that damage has a place."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from isal.isal_zlib import crc32

STRETCHES: Final = 16
STRETCH_BYTES_MIN: Final = 4_096
PIECE_BYTES: Final = 2**20


def stretch_bytes(size_bytes: int) -> int:
    """How long each stretch of a file of this size is; the last one may be shorter."""
    return max(STRETCH_BYTES_MIN, -(-size_bytes // STRETCHES))


def crc_of(path: Path) -> int:
    """Of all its bytes. Raises OSError."""
    crc = 0
    for piece in _pieces(path, 0, None):
        crc = crc32(piece, crc)
    return crc


def crcs_of(path: Path) -> tuple[int, ...]:
    """Of each stretch; STRETCHES at the most. Raises OSError."""
    size_bytes = path.stat().st_size
    length = stretch_bytes(size_bytes)
    crcs = []
    for start in range(0, size_bytes, length):
        crc = 0
        for piece in _pieces(path, start, length):
            crc = crc32(piece, crc)
        crcs.append(crc)
    return tuple(crcs)


def crcs_in(data: bytes) -> tuple[int, ...]:
    """The same of the bytes of a whole file."""
    view, length = memoryview(data), stretch_bytes(len(data))
    return tuple(crc32(view[start : start + length]) for start in range(0, len(data), length))


def _pieces(path: Path, start: int, size_bytes: int | None) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while size_bytes is None or size_bytes > 0:
            most = PIECE_BYTES if size_bytes is None else min(PIECE_BYTES, size_bytes)
            piece = file.read(most)
            if not piece:
                return
            yield piece
            if size_bytes is not None:
                size_bytes -= len(piece)
