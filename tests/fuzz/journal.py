"""Any bytes as a segment: records, a torn tail, or a refusal that names a byte; never a guess.

The first byte says what the others are: the file as it stands, or a recipe of records whose
frames are right, so that what is behind the checksum is reached too.
"""

from pathlib import Path
from struct import Struct
from typing import Final

from isal.isal_zlib import crc32

from engine.errors import Corruption
from persistence.archive.follower import Follower
from persistence.journal import Journal
from persistence.record import FRAME, TAG, Record, UnknownFormat, encode, find
from persistence.segment import HEADER_BYTES, Checked, encode_header, name_of
from persistence.segment import check as check_segment
from tests.fuzz.shelf import Shelf

FOLDER: Final = Path("journal")
NUMBER: Final = 1
_SEED: Final = Struct("<QQ")
_PAYLOAD: Final = Struct("<4sIQq")

WORDS: Final = (
    "TMJOURN\n", "TMR1", "TMR2", "\x18\x00\x00\x00", "\x01\x00\x00\x00",
    "\x00\x00\x00\x00\x00\x00\x00\x00", "\x01\x00\x00\x00\x00\x00\x00\x00", "ÿÿÿÿ",
    "ÿÿÿÿÿÿÿ\x7f", "\x00\x00\x00\x04",
)  # fmt: skip


def check(data: bytes) -> None:
    """The law of the module."""
    if not data:
        return
    segment = data[1:] if data[0] % 2 == 0 else _cooked(data[1:])
    is_newest = data[0] % 4 < 2
    try:
        found = check_segment(Path("a"), segment, NUMBER, is_newest=is_newest)
    except UnknownFormat:
        return
    except Corruption as damage:
        assert 0 <= damage.offset_bytes <= len(segment)
        assert _opened(segment) is None or not is_newest
        return
    _must_hold(segment, found)
    if is_newest:
        _must_be_read_by_all(segment, found)


def _cooked(recipe: bytes) -> bytes:
    """A segment of records with right lengths and checksums around the pieces of a recipe."""
    segment = encode_header(NUMBER)
    next_seq = NUMBER
    while recipe:
        size, recipe = recipe[0] % 80, recipe[1:]
        piece, recipe = recipe[:size], recipe[size:]
        payload = TAG + piece[:4].ljust(4, b"\0") + next_seq.to_bytes(8, "little") + piece[4:]
        payload = payload.ljust(_PAYLOAD.size, b"\0")
        crc = crc32(payload, crc32(_SEED.pack(NUMBER, next_seq)))
        segment += FRAME.pack(len(payload), crc) + payload
        next_seq += payload[25] if len(payload) > 25 else 0
    return segment


def _must_hold(segment: bytes, found: Checked) -> None:
    """What was called good is good by itself, and what was cut off holds no whole record."""
    good = segment[: found.good_bytes]
    if found.flaw is not None:
        at = found.good_bytes
        assert find(segment, at, segment=NUMBER, from_seq=found.next_seq) is None
    if good:
        assert len(good) >= HEADER_BYTES
        again = check_segment(Path("a"), good, NUMBER, is_newest=False)
        assert again == found._replace(flaw=None)


def _must_be_read_by_all(segment: bytes, found: Checked) -> None:
    """A start and the archive read the same records, and writing them again gives the bytes."""
    opened = _opened(segment)
    assert opened is not None
    records, last_seq = opened
    assert last_seq == found.next_seq - 1
    shelf = Shelf({FOLDER / name_of(NUMBER): segment[: found.good_bytes]})
    follower = Follower(FOLDER, after_seq=0, disk=shelf)
    followed = []
    while last_seq and (record := follower.take(last_seq)) is not None:
        followed.append(record)
    assert [one for one in followed if one.bodies] == records
    for record in records:
        body = encode(
            record.bodies,
            segment=NUMBER,
            first_seq=record.first_seq,
            received_ms=record.received_ms,
        )
        assert bytes(body) in segment


def _opened(segment: bytes) -> tuple[list[Record], int] | None:
    """The records that a start replays, and the last number; None where it is refused."""
    shelf = Shelf({FOLDER / name_of(NUMBER): segment})
    try:
        journal = Journal.open(FOLDER, durability="fsync", disk=shelf)
    except (Corruption, UnknownFormat):
        return None
    return list(journal.replay(0)), journal.last_seq
