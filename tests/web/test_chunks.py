import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.chunks import FRAMING_BYTES_MAX, TRAILER_BYTES_MAX, Chunks
from web.errors import BadRequest

CUTS = st.lists(st.integers(1, 40), min_size=1, max_size=50)


def fed(wire: bytes, cuts: list[int]) -> tuple[bytes, Chunks, bytes]:
    """The content, the reader, and what it was not given, feeding `cuts` bytes in turn."""
    chunks, content, at, turn = Chunks(), b"", 0, 0
    while at < len(wire) and not chunks.is_whole:
        size = cuts[turn % len(cuts)]
        content += chunks.feed(wire[at : at + size])
        at, turn = at + size, turn + 1
    return content, chunks, wire[at:]


@given(st.lists(st.binary(min_size=1, max_size=60)), st.binary(max_size=20), CUTS)
def test_a_body_is_the_same_however_it_is_cut(
    pieces: list[bytes], behind: bytes, cuts: list[int]
) -> None:
    wire = b"".join(b"%X;a=b\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
    wire += b"0\r\nX-Trailer: y\r\n\r\n"
    content, chunks, unfed = fed(wire + behind, cuts)
    assert content == b"".join(pieces)
    assert chunks.is_whole
    assert chunks.size == len(content)
    assert chunks.rest + unfed == behind


@given(st.binary(max_size=200), CUTS)
def test_any_bytes_end_in_content_or_a_refusal(wire: bytes, cuts: list[int]) -> None:
    try:
        content, chunks, _ = fed(wire, cuts)
    except BadRequest:
        return
    assert chunks.size == len(content)


@pytest.mark.parametrize(
    "wire",
    [
        b"5 \r\nhello\r\n",
        b" 5\r\nhello\r\n",
        b"5\nhello",
        b"+5\r\nhello\r\n",
        b"-5\r\n",
        b"0x5\r\nhello\r\n",
        b"g\r\n",
        b"\r\n",
        b"100000000\r\n",
        b"10000000000000002\r\n",
        b"5;a\x00b\r\nhello\r\n",
        b"5;a\nb\r\nhello\r\n",
        b"5\r\nhelloo\r\n",
        b"5\r\nhello\n",
        b"5\r\nhello\rX",
        b"0\r\nno colon\r\n\r\n",
        b"0\r\n: no name\r\n\r\n",
        b"0\r\nA: b\nC: d\r\n\r\n",
        b"0\r\nContent-Length: 5\r\n\r\n",
        b"0\r\ntransfer-encoding: chunked\r\n\r\n",
        b"5;" + b"a" * 300,
        b"0\r\n" + b"a" * (TRAILER_BYTES_MAX + 1),
    ],
)
@pytest.mark.parametrize("cuts", [[1], [1_000_000]])
def test_what_parsers_disagree_about_is_refused(wire: bytes, cuts: list[int]) -> None:
    with pytest.raises(BadRequest):
        fed(wire, cuts)


def test_tiny_chunks_are_taken_for_a_while() -> None:
    each = b"1\r\nx\r\n"
    some = FRAMING_BYTES_MAX // 8
    content, _, _ = fed(each * some, [65_536])
    assert len(content) == some
    with pytest.raises(BadRequest, match="too many small chunks"):
        fed(each * FRAMING_BYTES_MAX * 2, [65_536])
