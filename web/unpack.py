"""Compressed bodies: gzip and zstd unpacked in small steps, up to a limit and never beyond it.

What a body claims as its own size is not believed: steps end when the limit is passed. Nothing
may follow the compressed data, and nothing of it may be missing. gzip is RFC 1952, one member;
zstd is RFC 8878, one frame, with the window that RFC 9659 allows on the wire.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import zstandard
from isal import isal_zlib
from zstandard import ZstdDecompressor, ZstdError

from engine.errors import MalformedBody, TooLarge, WrongMediaType

Packing = Literal["gzip", "zstd"]
Bytes = bytes | bytearray

STEP_BYTES: Final = 64 * 1024
"""Unpacked bytes a step: 60 to 600 µs. Of 250 events each costs an eighth less than of 125."""

INPUT_BYTES: Final = 16 * 1024
"""Packed bytes handed over at once: what a step leaves of them is copied for the next."""

WINDOW_BYTES_MAX: Final = 8 * 1024 * 1024
"""Of a zstd frame; RFC 9659 demands that no more is sent."""

BLOCKS_A_STEP: Final = 2_000
"""Block headers of a zstd frame that are looked at without a pause."""

_GZIP_WBITS: Final = 31  # a gzip header and trailer, and the largest window
_NOT_GZIP: Final[type[Exception]] = isal_zlib.error  # type: ignore[assignment]  # a class, whatever its stub says
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"


def packing_of(content_encoding: str | None) -> Packing | None:
    """How a body is packed; None where it is not. Raises WrongMediaType."""
    match (content_encoding or "identity").strip().lower():
        case "identity":
            return None
        case "gzip":
            return "gzip"
        case "zstd":
            return "zstd"
        case _:
            raise WrongMediaType(
                f"Content-Encoding {str(content_encoding)[:64]!a} is not read here; send the "
                f"body uncompressed, or packed once, with gzip or zstd."
            )


def unpacked(body: Bytes, packing: Packing | None, *, bytes_max: int) -> Iterator[bytes]:
    """The body in pieces of at most STEP_BYTES; some are empty, a step that led to none.

    Raises MalformedBody where it is not packed as it says, and TooLarge as soon as it has
    more than `bytes_max` bytes.
    """
    total = 0
    for piece in _UNPACKERS[packing](body):
        total += len(piece)
        if total > bytes_max:
            raise TooLarge(f"The body has more than {bytes_max} bytes once it is unpacked.")
        yield piece


def _as_it_is(body: Bytes) -> Iterator[bytes]:
    view = memoryview(body)
    for start in range(0, len(body), STEP_BYTES):
        yield bytes(view[start : start + STEP_BYTES])


def _from_gzip(body: Bytes) -> Iterator[bytes]:
    member = isal_zlib.decompressobj(wbits=_GZIP_WBITS)
    view = memoryview(body)
    try:
        for start in range(0, len(body), INPUT_BYTES):
            if member.eof:
                raise _malformed("gzip", "more follows after its end")
            yield from _inflated(member, bytes(view[start : start + INPUT_BYTES]))
    except _NOT_GZIP as refusal:
        raise _malformed("gzip", str(refusal)) from None
    if not member.eof:
        raise _malformed("gzip", "it is cut off")
    if member.unused_data:
        raise _malformed("gzip", "more follows after its end")


def _inflated(member: Any, packed: bytes) -> Iterator[bytes]:  # noqa: ANN401  # a nameless type
    """What becomes of these bytes, in steps."""
    has_more = True
    while has_more and not member.eof:
        piece = member.decompress(packed, STEP_BYTES)
        packed = member.unconsumed_tail
        has_more = bool(packed) or len(piece) == STEP_BYTES
        yield piece


def _from_zstd(body: Bytes) -> Iterator[bytes]:
    end = 0
    for end in _frame_ends(body):
        yield b""
        if end > len(body):
            raise _malformed("zstd", "it is cut off")
    if end < len(body):
        raise _malformed("zstd", "more follows after its end")
    frame = ZstdDecompressor(max_window_size=WINDOW_BYTES_MAX).stream_reader(
        body, read_size=INPUT_BYTES
    )
    try:
        while piece := frame.read(STEP_BYTES):
            yield piece
    except ZstdError as refusal:
        raise _malformed("zstd", str(refusal)) from None


def _frame_ends(body: Bytes) -> Iterator[int]:
    """Where the frame ends at the earliest, as far as its blocks have been walked; the last
    one is its end, or lies beyond the body (RFC 8878, 3.1.1).

    The library tells neither a frame that is cut off nor a second one from a whole one.
    """
    if body[:4] != _ZSTD_MAGIC:
        raise _malformed("zstd", "it does not begin with a frame")
    try:
        at: int = zstandard.frame_header_size(body)
        has_checksum = zstandard.get_frame_parameters(body).has_checksum
    except ZstdError as refusal:
        raise _malformed("zstd", str(refusal)) from None
    is_last = False
    while not is_last:
        for _ in range(BLOCKS_A_STEP):
            # Three bytes: whether it is the last block, two bits of type, 21 of size.
            header = int.from_bytes(body[at : at + 3], "little")
            is_last = bool(header & 1)
            is_one_byte_repeated = header >> 1 & 3 == 1
            at += 3 + (1 if is_one_byte_repeated else header >> 3)
            if is_last or at > len(body):
                break
        yield at
    yield at + (4 if has_checksum else 0)


def _malformed(packing: Packing, reason: str) -> MalformedBody:
    return MalformedBody(f"The body is not {packing} as a whole: {reason}.")


_UNPACKERS: Final[dict[Packing | None, Callable[[Bytes], Iterator[bytes]]]] = {
    None: _as_it_is,
    "gzip": _from_gzip,
    "zstd": _from_zstd,
}
