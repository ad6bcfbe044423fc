"""Packed bodies come out as they went in, or not at all: whole, alone, and within the limit."""

import gzip
import random

import pytest
import zstandard

from engine.errors import MalformedBody, TooLarge, WrongMediaType
from web.unpack import STEP_BYTES, WINDOW_BYTES_MAX, packing_of, unpacked

MIB = 2**20
TEXT = b"".join(b'{"n":%d,"text":"as it may be"}\n' % n for n in range(9_000))
NOISE = random.Random(7).randbytes(200_000)
PACKERS = {
    "gzip": lambda data: gzip.compress(data, mtime=0),
    "zstd": zstandard.ZstdCompressor(write_checksum=True).compress,
}

each_packing = pytest.mark.parametrize("packing", ["gzip", "zstd"])


def whole(body, packing, *, bytes_max=16 * MIB):
    return b"".join(unpacked(body, packing, bytes_max=bytes_max))


def streamed(data, *, window_log=21, checksum=False):
    """A frame that does not tell its size, made of a block for every 10,000 bytes."""
    parameters = zstandard.ZstdCompressionParameters(
        window_log=window_log, write_checksum=checksum
    )
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    blocks = []
    for start in range(0, len(data), 10_000):
        blocks.append(packer.compress(data[start : start + 10_000]))
        blocks.append(packer.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK))
    return b"".join(blocks) + packer.flush()


@pytest.mark.parametrize("data", [TEXT, NOISE, b"x", b" " * MIB], ids=len)
@each_packing
def test_what_was_packed_comes_out_in_small_pieces(packing, data):
    pieces = list(unpacked(PACKERS[packing](data), packing, bytes_max=16 * MIB))
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= STEP_BYTES


@pytest.mark.parametrize("checksum", [False, True])
def test_a_frame_of_many_blocks_and_no_stated_size_comes_out_whole(checksum):
    assert whole(streamed(TEXT, checksum=checksum), "zstd") == TEXT


def test_what_is_not_packed_stays_as_it_is():
    assert whole(bytearray(TEXT), None) == TEXT
    with pytest.raises(TooLarge):
        whole(TEXT, None, bytes_max=len(TEXT) - 1)


@each_packing
def test_the_limit_can_be_reached_and_not_passed(packing):
    body = PACKERS[packing](TEXT)
    assert whole(body, packing, bytes_max=len(TEXT)) == TEXT
    with pytest.raises(TooLarge, match=f"{len(TEXT) - 1} bytes"):
        whole(body, packing, bytes_max=len(TEXT) - 1)


@each_packing
def test_a_bomb_is_given_up_at_the_limit(packing):
    body = PACKERS[packing](bytes(64 * MIB))
    assert len(body) < 70_000
    taken = []
    with pytest.raises(TooLarge):
        taken.extend(map(len, unpacked(body, packing, bytes_max=MIB)))
    assert sum(taken) <= MIB


@each_packing
def test_a_body_that_is_cut_off_anywhere_is_malformed(packing):
    body = PACKERS[packing](TEXT[:20_000])
    for size in [*range(40), *range(40, len(body), 61), len(body) - 1]:
        with pytest.raises(MalformedBody, match=f"not {packing} as a whole"):
            whole(body[:size], packing)


@pytest.mark.parametrize("more", [b"\0", b"more", "again"])
@each_packing
def test_nothing_may_follow_what_is_packed(packing, more):
    for data in (TEXT, b"x"):
        body = PACKERS[packing](data)
        with pytest.raises(MalformedBody, match="more follows"):
            whole(body + (body if more == "again" else more), packing)


@each_packing
def test_a_flipped_bit_is_found_by_the_checksum(packing):
    body = bytearray(PACKERS[packing](TEXT))
    for place in range(20, len(body), 97):
        body[place] ^= 4
        with pytest.raises((MalformedBody, TooLarge)):
            whole(body, packing)
        body[place] ^= 4


@pytest.mark.parametrize("body", [b"hello", b"", TEXT, NOISE])
@each_packing
def test_what_was_never_packed_is_malformed(packing, body):
    with pytest.raises(MalformedBody):
        whole(body, packing)


def test_packed_twice_is_unpacked_once():
    assert whole(gzip.compress(PACKERS["zstd"](TEXT)), "gzip") == PACKERS["zstd"](TEXT)


def test_a_window_beyond_what_the_web_may_send_is_refused():
    at_limit = streamed(TEXT, window_log=WINDOW_BYTES_MAX.bit_length() - 1)
    assert whole(at_limit, "zstd") == TEXT
    with pytest.raises(MalformedBody, match="too much memory"):
        whole(streamed(TEXT, window_log=WINDOW_BYTES_MAX.bit_length()), "zstd")


def test_a_frame_that_lies_about_its_size_is_malformed():
    body = bytearray(zstandard.compress(b"x" * 1000))
    assert zstandard.get_frame_parameters(bytes(body)).content_size == 1000
    body[5:7] = (10_000).to_bytes(2, "little")
    with pytest.raises(MalformedBody):
        whole(body, "zstd")


def test_millions_of_empty_blocks_are_walked_in_steps():
    frame = zstandard.compress(b"x")
    head = frame[: zstandard.frame_header_size(frame)]
    steps = []
    with pytest.raises(MalformedBody, match="cut off"):
        steps.extend(unpacked(head + bytes(3) * 100_000, "zstd", bytes_max=MIB))
    assert len(steps) >= 50
    assert set(steps) == {b""}


@pytest.mark.parametrize(
    ("said", "packing"),
    [(None, None), ("", None), ("identity", None), (" GZIP ", "gzip"), ("zstd", "zstd")],
)
def test_packings_go_by_their_names(said, packing):
    assert packing_of(said) == packing


@pytest.mark.parametrize("said", ["br", "deflate", "gzip, gzip", "gzip,zstd", "x" * 100])
def test_other_packings_and_two_at_once_are_refused(said):
    with pytest.raises(WrongMediaType, match="packed once"):
        packing_of(said)
