from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import Corruption
from engine.events import Body
from persistence.record import BadRecord, Record, decode, encode, find, size_of
from persistence.segment import HEADER_BYTES, check, encode_header

NUMBERS = st.integers(1, 2**63)
BODIES = st.lists(
    st.builds(Body, kind=st.integers(1, 255), events=st.integers(1, 10_000), data=st.binary()),
    max_size=6,
)


@settings(max_examples=200)
@given(NUMBERS, NUMBERS, st.integers(0, 2**63 - 1), BODIES, st.binary(), st.binary())
def test_decoding_is_the_inverse_of_encoding(one, other, received_ms, bodies, before, after):
    segment, first_seq = sorted((one, other))
    record = bytes(
        encode(bodies, segment=segment, first_seq=first_seq, received_ms=received_ms)
    )
    assert len(record) == size_of(bodies)
    found, end = decode(
        before + record + after, len(before), segment=segment, first_seq=first_seq
    )
    assert found == Record(first_seq, received_ms, tuple(bodies))
    assert end == len(before) + len(record)
    assert (
        bytes(
            encode(found.bodies, segment=segment, first_seq=first_seq, received_ms=received_ms)
        )
        == record
    )


@settings(max_examples=200)
@given(BODIES, st.data())
def test_a_record_with_other_bytes_anywhere_is_no_record(bodies, data):
    record = bytearray(encode(bodies, segment=3, first_seq=9, received_ms=1))
    place = data.draw(st.integers(0, len(record) - 1))
    burst = data.draw(st.binary(min_size=1, max_size=4))
    changed = record[:place] + burst + record[place + len(burst) :]
    if changed == record:
        return
    try:
        found, _ = decode(bytes(changed), 0, segment=3, first_seq=9)
    except BadRecord:
        return
    assert found == decode(bytes(record), 0, segment=3, first_seq=9)[0]  # appended to only


@settings(max_examples=200)
@given(st.binary(), BODIES, st.binary())
def test_a_whole_record_is_found_behind_any_rubbish(rubbish, bodies, after):
    record = bytes(encode(bodies, segment=3, first_seq=9, received_ms=1))
    at = find(rubbish + record + after, 0, segment=3, from_seq=9)
    assert at == len(rubbish)


@settings(max_examples=200)
@given(st.lists(BODIES, min_size=1, max_size=5), st.data())
def test_a_segment_is_whole_or_a_prefix_or_refused(groups, data):
    """The law of the torn tail: what is cut off holds no whole record, whatever the bytes."""
    segment, next_seq, ends = encode_header(1), 1, [(HEADER_BYTES, 1)]
    for bodies in groups:
        segment += encode(bodies, segment=1, first_seq=next_seq, received_ms=1)
        next_seq += sum(body.events for body in bodies)
        ends.append((len(segment), next_seq))
    place = data.draw(st.integers(0, len(segment)))
    spoilt = segment[:place] + data.draw(st.binary(max_size=40))
    spoilt += segment[len(spoilt) :] if data.draw(st.booleans()) else b""
    found = outcome(spoilt)
    if isinstance(found, Corruption):
        assert find(spoilt, found.offset_bytes, segment=1, from_seq=1) is not None
        return
    assert (found.good_bytes, found.next_seq) in [(0, 1), *ends]
    if found.flaw is not None:
        assert find(spoilt, found.good_bytes, segment=1, from_seq=found.next_seq) is None


def outcome(data):
    try:
        return check(Path("a.segment"), data, 1, is_newest=True)
    except Corruption as error:
        return error
