"""One journal record to bytes and back: a sequence number, a time, and bodies as received.

docs/formats/journal.md draws the bytes; tests/golden/ pins them.
"""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from struct import Struct
from typing import Final, NamedTuple

from isal.isal_zlib import crc32  # 6 KB in 0.3 µs, zlib's own takes 3.0

from engine.config import RECORD_BODIES_BYTES_MAX, RECORD_EVENTS_MAX
from engine.errors import TallymarkError
from engine.events import Body, Kind

TAG: Final = b"TMR1"
"""Format and version of a payload; also what a search for a record in rubbish looks for."""

RECORD_BYTES_MAX: Final = 64 * 2**20
"""A payload's bound. Below 0x09000000, so that no four bytes of JSON text are a length."""

PIECE_BYTES: Final = 2**20
"""Bytes of a record that are put together, and written, at once."""

BODIES_MAX: Final = 100_000

FRAME: Final = Struct("<II")  # length of the payload, CRC
_PAYLOAD: Final = Struct("<4sIQq")  # tag, number of bodies, first_seq, received_ms
_BODY: Final = Struct("<BII")  # kind, events, bytes
_SEED: Final = Struct("<QQ")  # the segment's number, first_seq
_HEAD_BYTES: Final = FRAME.size + _PAYLOAD.size

_NO_FRAME: Final = bytes(FRAME.size)

assert RECORD_BYTES_MAX < 0x09000000
# Whatever the settings, a group of batches fits into a record.
assert RECORD_EVENTS_MAX <= BODIES_MAX
assert _PAYLOAD.size + _BODY.size * BODIES_MAX + RECORD_BODIES_BYTES_MAX <= RECORD_BYTES_MAX


_events_of = attrgetter("events")
_data_of = attrgetter("data")


class UnknownFormat(TallymarkError):
    """Whole bytes of another version's format; never cut or skipped as if they were damage."""

    title = "Unknown format"


class BadRecord(Exception):
    """No whole record begins at this offset; the journal decides if it is a tear or damage."""

    def __init__(self, offset_bytes: int, reason: str) -> None:
        super().__init__(reason)
        self.offset_bytes = offset_bytes
        self.reason = reason


class Record(NamedTuple):
    """What one append wrote. Without bodies it closes a segment and takes no number."""

    first_seq: int
    received_ms: int
    bodies: tuple[Body, ...]

    @property
    def events(self) -> int:
        return events_in(self.bodies)

    @property
    def last_seq(self) -> int:
        return self.first_seq + self.events - 1

    @property
    def notice(self) -> bytes | None:
        """Its content if it is a notice (`engine.erasure`); it then holds nothing else."""
        bodies = self.bodies
        return bodies[0].data if bodies and bodies[0].kind == Kind.NOTICE else None


def events_in(bodies: Sequence[Body]) -> int:
    """By how much these bodies move the sequence on."""
    return sum(map(_events_of, bodies))


def size_of(bodies: Sequence[Body]) -> int:
    """How many bytes `encode` makes of these bodies."""
    return _HEAD_BYTES + len(bodies) * _BODY.size + sum(map(len, map(_data_of, bodies)))


def _seed(segment: int, first_seq: int) -> int:
    """Where the CRC starts, so that stale bytes of another segment or place never pass."""
    return crc32(_SEED.pack(segment, first_seq))


def encode(
    bodies: Sequence[Body], *, segment: int, first_seq: int, received_ms: int
) -> bytearray:
    """The record's bytes; `segment` is the number (first_seq) of the segment they go to.

    5.5 µs for ten bodies of 6.2 KB, 41 µs for 250 of 250 bytes: one copy, one CRC.
    """
    assert 1 <= segment <= first_seq
    datas = [body.data for body in bodies]
    encoded = bytearray().join((*_head(bodies, first_seq, received_ms), *datas))
    crc = crc32(memoryview(encoded)[FRAME.size :], _seed(segment, first_seq))
    FRAME.pack_into(encoded, 0, len(encoded) - FRAME.size, crc)
    return encoded


def pieces(
    bodies: Sequence[Body], *, segment: int, first_seq: int, received_ms: int
) -> Iterator[bytearray]:
    """The same in one piece or, where it is large, in several of about PIECE_BYTES.

    Copying a large record as a whole would hold up every other thread of the process.
    """
    size = size_of(bodies)
    if size <= PIECE_BYTES:
        yield encode(bodies, segment=segment, first_seq=first_seq, received_ms=received_ms)
        return
    piece = bytearray().join(_head(bodies, first_seq, received_ms))
    crc = crc32(memoryview(piece)[FRAME.size :], _seed(segment, first_seq))
    for body in bodies:
        crc = crc32(body.data, crc)
    FRAME.pack_into(piece, 0, size - FRAME.size, crc)
    for body in bodies:
        piece += body.data
        if len(piece) >= PIECE_BYTES:
            yield piece
            piece = bytearray()
    if piece:
        yield piece


def _head(bodies: Sequence[Body], first_seq: int, received_ms: int) -> list[bytes]:
    """What stands before the bodies, its first bytes free for the frame."""
    assert received_ms >= 0
    assert len(bodies) <= BODIES_MAX
    assert min(map(_events_of, bodies), default=1) > 0
    assert size_of(bodies) - FRAME.size <= RECORD_BYTES_MAX
    table = [_BODY.pack(kind, events, len(data)) for kind, events, data in bodies]
    return [_NO_FRAME, _PAYLOAD.pack(TAG, len(bodies), first_seq, received_ms), *table]


def decode(data: bytes, offset: int, *, segment: int, first_seq: int) -> tuple[Record, int]:
    """The record at `offset` of a segment's bytes, and the offset of the next one.

    segment    number of the segment that `data` is
    first_seq  number that this record must begin with, from the record before it

    Raises BadRecord where no such record stands there, UnknownFormat where a whole one stands
    there whose tag is not ours.
    """
    end = _framed(data, offset, segment=segment, first_seq=first_seq)
    tag, count, found_seq, received_ms = _PAYLOAD.unpack_from(data, offset + FRAME.size)
    if tag != TAG:
        raise UnknownFormat(
            f"the journal record at byte {offset} of segment {segment} has the format {tag!r}; "
            f"this version reads {TAG!r}. Start the version that wrote it."
        )
    at = offset + _HEAD_BYTES
    data_at = at + count * _BODY.size
    if found_seq != first_seq or received_ms < 0 or data_at > end:
        raise BadRecord(offset, "its fields contradict each other")
    bodies = []
    for kind, events, size in _BODY.iter_unpack(memoryview(data)[at:data_at]):
        if not events:
            raise BadRecord(offset, "one of its bodies holds no event")
        bodies.append(Body(kind, events, data[data_at : data_at + size]))
        data_at += size
    if data_at != end:
        raise BadRecord(offset, "its bodies do not fill it")
    return Record(first_seq, received_ms, tuple(bodies)), end


def _framed(data: bytes, offset: int, *, segment: int, first_seq: int) -> int:
    """Where the payload of the frame at `offset` ends, when length and CRC are right."""
    left = len(data) - offset
    if left < _HEAD_BYTES:
        raise BadRecord(offset, f"{left} bytes are too few for a record")
    length: int
    length, crc = FRAME.unpack_from(data, offset)
    if not _PAYLOAD.size <= length <= RECORD_BYTES_MAX:
        raise BadRecord(offset, f"a record cannot have a length of {length} bytes")
    if FRAME.size + length > left:
        raise BadRecord(offset, f"the record is cut off: {left} of {FRAME.size + length} bytes")
    start = offset + FRAME.size
    payload = memoryview(data)[start : start + length]
    if crc32(payload, _seed(segment, first_seq)) != crc:
        raise BadRecord(offset, "the checksum is wrong")
    return start + length


def find(data: bytes, start: int, *, segment: int, from_seq: int) -> int | None:
    """Where the first whole record at or after `start` begins that holds from_seq or later.

    This is what tells damage (there is one) from a torn tail (there is none). A search for the
    tag, so rubbish costs what `bytes.find` costs.
    """
    offset = data.find(TAG, start + FRAME.size) - FRAME.size
    while offset >= start:
        if len(data) - offset >= _HEAD_BYTES:
            first_seq = _PAYLOAD.unpack_from(data, offset + FRAME.size)[2]
            if first_seq >= from_seq and _stands(data, offset, segment, first_seq):
                return offset
        offset = data.find(TAG, offset + FRAME.size + 1) - FRAME.size
    return None


def _stands(data: bytes, offset: int, segment: int, first_seq: int) -> bool:
    try:
        decode(data, offset, segment=segment, first_seq=first_seq)
    except BadRecord:
        return False
    return True
