import pytest
from hypothesis import given
from hypothesis import strategies as st

from persistence.mending import (
    BLOCK_BYTES,
    FOLD_BYTES,
    LANES,
    Fold,
    bad_blocks,
    kept_bytes,
    mend,
)

SIZES = (0, 1, BLOCK_BYTES, FOLD_BYTES - 1, FOLD_BYTES, FOLD_BYTES + 1, 3 * FOLD_BYTES + 5_000)


def told(size):
    """Bytes that no two blocks share."""
    return b"".join(n.to_bytes(4, "little") for n in range(size // 4 + 1))[:size]


def kept(data, step=100_003):
    fold = Fold()
    for start in range(0, len(data), step):
        fold.add(data[start : start + step])
    return fold.kept()


def mended(data, beside):
    """What mending makes of it; None where it cannot."""
    whole = bytearray(data)
    return bytes(whole) if mend(whole, beside, bad_blocks(whole, beside)) else None


@pytest.mark.parametrize("size", SIZES)
def test_what_is_kept_is_as_long_as_foretold_and_finds_no_fault_in_what_is_whole(size):
    data = told(size)
    assert len(kept(data)) == kept_bytes(size)
    assert bad_blocks(data, kept(data)) == []


@pytest.mark.parametrize("step", [1_000, BLOCK_BYTES, 3 * FOLD_BYTES])
def test_what_is_kept_does_not_depend_on_how_the_bytes_came(step):
    data = told(2 * FOLD_BYTES + 77)
    assert kept(data, step) == kept(data)


@given(size=st.sampled_from(SIZES[1:]), at=st.floats(0, 1, exclude_max=True), data=st.data())
def test_damage_within_a_block_is_mended_wherever_it_is(size, at, data):
    whole = told(size)
    place = int(at * size)
    block_end = min(size, place // BLOCK_BYTES * BLOCK_BYTES + BLOCK_BYTES)
    end = data.draw(st.integers(place + 1, block_end))
    spoilt = whole[:place] + bytes(~b & 255 for b in whole[place:end]) + whole[end:]
    assert bad_blocks(spoilt, kept(whole)) == [place // BLOCK_BYTES * BLOCK_BYTES]
    assert mended(spoilt, kept(whole)) == whole


def test_a_stretch_that_meets_each_lane_once_is_mended_and_a_longer_one_is_not():
    whole = told(3 * FOLD_BYTES)
    start = 5 * BLOCK_BYTES + 1
    for blocks, due in ((LANES - 1, whole), (LANES, None)):
        end = start + blocks * BLOCK_BYTES
        spoilt = whole[:start] + bytes(~b & 255 for b in whole[start:end]) + whole[end:]
        assert mended(spoilt, kept(whole)) == due


def test_of_little_everything_may_be_gone():
    whole = told(FOLD_BYTES)
    assert mended(bytes(~b & 255 for b in whole), kept(whole)) == whole
