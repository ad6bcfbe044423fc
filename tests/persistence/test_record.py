from struct import pack
from zlib import crc32

import pytest

from engine.events import Body, Kind
from persistence.record import (
    BODIES_MAX,
    FRAME,
    PIECE_BYTES,
    RECORD_BYTES_MAX,
    BadRecord,
    Record,
    UnknownFormat,
    decode,
    encode,
    find,
    pieces,
    size_of,
)
from tests.golden.forge import record_with_tag

ONE = Body(Kind.ONE, 1, b'{"eventType":"user_session"}')
TWO = Body(Kind.ARRAY, 2, b"[{},{}]")


def encoded(*bodies, segment=1, first_seq=7, received_ms=1_700_000_000_000):
    return bytes(encode(bodies, segment=segment, first_seq=first_seq, received_ms=received_ms))


def test_a_record_comes_back_as_it_went_and_says_where_the_next_begins():
    data = b"before" + encoded(ONE, TWO) + b"after"
    record, end = decode(data, 6, segment=1, first_seq=7)
    assert record == Record(7, 1_700_000_000_000, (ONE, TWO))
    assert data[end:] == b"after"


def test_the_last_number_of_a_record_follows_from_the_events_of_its_bodies():
    record, _ = decode(encoded(ONE, TWO), 0, segment=1, first_seq=7)
    assert (record.events, record.last_seq) == (3, 9)


def test_a_body_without_events_is_no_body():
    """The archive and a start would otherwise count such records differently."""
    data = bytearray(encoded(ONE))
    data[FRAME.size + 24 + 1 : FRAME.size + 24 + 5] = bytes(4)
    crc = crc32(memoryview(data)[FRAME.size :], crc32(pack("<QQ", 1, 7)))
    FRAME.pack_into(data, 0, len(data) - FRAME.size, crc)
    with pytest.raises(BadRecord, match="one of its bodies holds no event"):
        decode(bytes(data), 0, segment=1, first_seq=7)


def test_a_closing_record_holds_no_number():
    record, _ = decode(encoded(), 0, segment=1, first_seq=7)
    assert (record.events, record.last_seq) == (0, 6)


@pytest.mark.parametrize("sizes", [[], [7], [2**20], [300_000] * 9, [2**21, 1], [9] * 2_000])
def test_in_pieces_it_is_the_same_record(sizes):
    bodies = [Body(Kind.LINES, 1, bytes([n % 251]) * size) for n, size in enumerate(sizes)]
    place = {"segment": 1, "first_seq": 7, "received_ms": 1_700_000_000_000}
    found = list(pieces(bodies, **place))
    assert b"".join(found) == encoded(*bodies)
    assert len(found) <= 1 + sum(sizes) // PIECE_BYTES
    assert all(found)


def test_the_size_is_known_before_encoding():
    assert size_of([ONE, TWO]) == len(encoded(ONE, TWO))


@pytest.mark.parametrize(("segment", "first_seq"), [(2, 7), (1, 8)])
def test_bytes_of_another_segment_or_place_do_not_pass(segment, first_seq):
    with pytest.raises(BadRecord, match="the checksum is wrong"):
        decode(encoded(ONE), 0, segment=segment, first_seq=first_seq)


def test_every_changed_byte_is_noticed():
    whole = encoded(ONE)
    for place in range(len(whole)):
        data = bytearray(whole)
        data[place] ^= 0x10
        with pytest.raises(BadRecord):
            decode(bytes(data), 0, segment=1, first_seq=7)


def test_every_cut_is_noticed():
    whole = encoded(ONE)
    for size in range(len(whole)):
        with pytest.raises(BadRecord):
            decode(whole[:size], 0, segment=1, first_seq=7)


@pytest.mark.parametrize("length", [0, 23, RECORD_BYTES_MAX + 1])
def test_a_length_that_cannot_be_is_named(length):
    data = length.to_bytes(4, "little") + encoded(ONE)[4:]
    with pytest.raises(BadRecord, match=f"cannot have a length of {length} bytes"):
        decode(data, 0, segment=1, first_seq=7)


def test_a_whole_record_of_another_version_is_not_taken_for_damage():
    data = record_with_tag(encoded(ONE), b"TMR9", segment=1, first_seq=7)
    with pytest.raises(UnknownFormat, match="Start the version that wrote it"):
        decode(data, 0, segment=1, first_seq=7)


def test_the_search_finds_the_first_whole_record_in_rubbish():
    rubbish = b"TMR1" * 5 + bytes(40)
    data = rubbish + encoded(ONE)[:-1] + encoded(TWO, first_seq=8)
    at = len(rubbish) + len(encoded(ONE)) - 1
    assert find(data, 0, segment=1, from_seq=7) == at


def test_the_search_passes_over_records_of_the_past_and_of_other_segments():
    data = encoded(ONE, first_seq=6) + encoded(ONE, segment=2)
    assert find(data, 0, segment=1, from_seq=7) is None


@pytest.mark.parametrize("rubbish", [b"", b"T", b"\0" * 99, b"\xff" * 99, b"TMR1" * 9])
def test_the_search_finds_nothing_in_mere_rubbish(rubbish):
    assert find(rubbish, 0, segment=1, from_seq=1) is None


def test_a_record_may_be_as_large_as_its_bound_and_not_a_byte_larger():
    room = RECORD_BYTES_MAX + 8 - size_of([Body(Kind.ARRAY, 1, b"")])
    record, _ = decode(encoded(Body(Kind.ARRAY, 1, bytes(room))), 0, segment=1, first_seq=7)
    assert len(record.bodies[0].data) == room
    with pytest.raises(AssertionError):
        encoded(Body(Kind.ARRAY, 1, bytes(room + 1)))


def test_a_record_may_have_as_many_bodies_as_its_bound_and_not_one_more():
    record, _ = decode(encoded(*[ONE] * BODIES_MAX), 0, segment=1, first_seq=7)
    assert record.events == BODIES_MAX
    with pytest.raises(AssertionError):
        encoded(*[ONE] * (BODIES_MAX + 1))


def test_a_body_without_events_is_a_bug_of_the_caller():
    with pytest.raises(AssertionError):
        encoded(Body(Kind.ARRAY, 0, b"[]"))
