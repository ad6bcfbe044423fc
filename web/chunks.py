"""A chunked body, read strictly and piece by piece, wherever the network cuts it.

RFC 9112 §7.1. Stricter than that in three places, where parsers are known to disagree: sizes
have at most 8 hexadecimal digits and no spaces, extensions hold no control characters, and the
lines of the trailer, which is thrown away, must still be whole.
"""

import re
from typing import Final

from web.errors import BadRequest

SIZE_LINE_BYTES_MAX: Final = 256
TRAILER_BYTES_MAX: Final = 4 * 1024
FRAMING_BYTES_MAX: Final = 64 * 1024
"""What sizes and line ends may take, on top of four bytes for each byte of content.

A body in chunks of one byte has six for each; a million of those are an attack on our patience.
"""

_SIZE_LINE: Final = re.compile(rb"([0-9A-Fa-f]{1,8})(?:;[\t\x20-\x7e\x80-\xff]*)?\r\n")


class Chunks:
    """Takes the bytes of one body, and knows where it ends.

    `is_whole` once the last chunk and the trailer are in; `rest` is then what came behind them.
    `size` counts content so far, and is what a caller holds against its limit.
    """

    def __init__(self) -> None:
        self.size = 0
        self.is_whole = False
        self.rest = b""
        self._received = b""
        self._left = 0  # of the chunk under way, with its line end
        self._in_trailer = False
        self._framing = 0

    def feed(self, received: bytes) -> bytes:
        """The content in the next bytes. Raises BadRequest."""
        assert not self.is_whole
        data = self._received + received
        content: list[bytes] = []
        at = 0
        while not self.is_whole:
            step = (
                self._trailer(data, at) if self._in_trailer else self._chunk(data, at, content)
            )
            if step is None:
                break
            at = step
        self._received = data[at:]
        if self.is_whole:
            self.rest, self._received = self._received, b""
        return b"".join(content)

    def _chunk(self, data: bytes, at: int, content: list[bytes]) -> int | None:
        """Read on from `at`; where that ended, or None where more is needed."""
        if not self._left:
            return self._size_line(data, at)
        if len(data) == at:
            return None
        piece = data[at : at + self._left]
        line_end_at = self._left - 2
        text = piece[: max(line_end_at, 0)]
        if not b"\r\n"[max(-line_end_at, 0) :].startswith(piece[len(text) :]):
            raise BadRequest("A chunk of the body is longer than it said.")
        content.append(text)
        self.size += len(text)
        self._left -= len(piece)
        return at + len(piece)

    def _size_line(self, data: bytes, at: int) -> int | None:
        line = _SIZE_LINE.match(data, at)
        if line is None:
            if b"\n" in data[at:] or len(data) - at > SIZE_LINE_BYTES_MAX:
                raise BadRequest("The size of a chunk could not be read.")
            return None
        if line.end() - at > SIZE_LINE_BYTES_MAX:
            raise BadRequest("The size of a chunk could not be read.")
        self._count_framing(line.end() - at + 2)
        size = int(line[1], 16)
        if size:
            self._left = size + 2
        else:
            self._in_trailer = True
        return line.end()

    def _trailer(self, data: bytes, at: int) -> int | None:
        end = data.find(b"\r\n", at)
        if end < 0:
            if b"\n" in data[at:] or len(data) - at > TRAILER_BYTES_MAX:
                raise BadRequest("The trailer of the body could not be read.")
            return None
        line = data[at:end]
        self._count_framing(len(line) + 2)
        if not line:
            self.is_whole = True
        elif b"\n" in line or b"\r" in line or b"\x00" in line or b":" not in line[1:]:
            raise BadRequest("The trailer of the body could not be read.")
        elif line.lower().startswith((b"content-length", b"transfer-encoding", b"host")):
            raise BadRequest("What frames a request stands in its head, not in its trailer.")
        return end + 2

    def _count_framing(self, size: int) -> None:
        self._framing += size
        if self._framing > FRAMING_BYTES_MAX + 4 * self.size:
            raise BadRequest("The body comes in too many small chunks.")
