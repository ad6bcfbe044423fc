"""One segment of the journal as bytes: its name, its header, its records, torn or damaged.

docs/formats/journal.md draws the bytes and says where the rule of `check` cannot know better.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from isal.isal_zlib import crc32

from engine.errors import Corruption
from persistence.record import BadRecord, Record, UnknownFormat, decode, find

MAGIC: Final = b"TMJOURN\n"
VERSION: Final = 1
_HEADER: Final = Struct("<8sIQ")  # magic, version, number
_CRC: Final = Struct("<I")  # of what stands before it
HEADER_BYTES: Final = _HEADER.size + _CRC.size
_NAME: Final = re.compile(r"([0-9]{20})\.segment")


class Segment(NamedTuple):
    """A file of the journal and the numbers it holds, both ends included."""

    path: Path
    first_seq: int
    last_seq: int
    size_bytes: int


class Checked(NamedTuple):
    """What `check` found out about a segment.

    good_bytes   its header and all whole records; 0 when not even the header is whole
    next_seq     the number after its last event
    received_ms  when its last record came; 0 without one
    is_closed    its last record is a closing one, or it has none
    flaw         why the bytes from good_bytes on are a torn tail; None when there are none
    """

    good_bytes: int
    next_seq: int
    received_ms: int
    is_closed: bool
    flaw: str | None


def name_of(number: int) -> str:
    """The file name of the segment that begins at `number`; names sort as their numbers do."""
    return f"{number:020d}.segment"


def number_of(name: str) -> int | None:
    """The number of the segment with this file name; None when it is no segment's."""
    match = _NAME.fullmatch(name)
    return int(match[1]) if match else None


def encode_header(number: int) -> bytes:
    """The first bytes of segment `number`."""
    head = _HEADER.pack(MAGIC, VERSION, number)
    return head + _CRC.pack(crc32(head))


def check_header(path: Path, data: bytes, number: int) -> None:
    """Raises BadRecord, UnknownFormat or Corruption where `data` begins no segment `number`."""
    if len(data) < HEADER_BYTES:
        raise BadRecord(0, f"{len(data)} bytes are too few for a segment's header")
    magic, version, found = _HEADER.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    if magic != MAGIC or crc32(memoryview(data)[: _HEADER.size]) != crc:
        raise BadRecord(0, "the segment's header is not whole")
    if version != VERSION:
        raise UnknownFormat(
            f"{path} has version {version} of the journal format; this Tallymark reads "
            f"version {VERSION}. Start the version that wrote it."
        )
    if found != number:
        reason = f"its header belongs to the segment that begins at {found}"
        if len(data) == HEADER_BYTES:  # what a removed one has left in the blocks of a new one
            raise BadRecord(0, reason)
        raise Corruption(path, 0, reason)


def read_records(path: Path, data: bytes, number: int) -> Iterator[tuple[Record, int]]:
    """The records of segment `number` in order, each with the offset at which it ends.

    The one reader, for the check at start and for replay. Raises BadRecord where the next
    record, or the header (offset 0), is not whole.
    """
    check_header(path, data, number)
    offset, next_seq = HEADER_BYTES, number
    while offset < len(data):
        record, offset = decode(data, offset, segment=number, first_seq=next_seq)
        next_seq += record.events
        yield record, offset


def check(path: Path, data: bytes, number: int, *, is_newest: bool) -> Checked:
    """Read a whole segment and tell a torn tail from damage.

    Bytes that are no whole record are a torn tail when this is the newest segment and no whole
    record follows them, since appends are synced one by one. Else raises Corruption.
    """
    next_seq, received_ms, is_closed = number, 0, True
    try:
        for record, _ in read_records(path, data, number):
            next_seq += record.events
            received_ms = record.received_ms
            is_closed = not record.bodies
    except BadRecord as bad:
        offset, flaw = bad.offset_bytes, bad.reason
    else:
        return Checked(len(data), next_seq, received_ms, is_closed, None)
    if not is_newest:
        raise Corruption(path, offset, flaw)
    follows_at = find(data, offset, segment=number, from_seq=next_seq)
    if follows_at is not None:
        raise Corruption(path, offset, f"{flaw}, and a whole record follows at {follows_at}")
    return Checked(offset, next_seq, received_ms, is_closed, flaw)
