"""A body is read whole within its limits, and what is refused is discarded within others."""

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import trio
from trio.testing import MockClock

from engine.errors import TooLarge
from web import body
from web.errors import SlowBody


async def _chunks(*chunks: bytes, then_silence: bool = False) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if then_silence:
        await trio.sleep_forever()


async def test_a_body_that_tells_no_length_is_stopped_at_the_limit() -> None:
    with pytest.raises(TooLarge):
        await body.read(_chunks(b"abc", b"d"), stated_bytes=None, bytes_max=3, deadline_s=1)
    assert (
        await body.read(_chunks(b"ab", b"c"), stated_bytes=None, bytes_max=3, deadline_s=1)
        == b"abc"
    )


async def test_a_body_that_does_not_end_is_given_up_at_its_deadline(
    autojump_clock: MockClock,
) -> None:
    silent = _chunks(b"a", then_silence=True)
    with pytest.raises(SlowBody):
        await body.read(silent, stated_bytes=9, bytes_max=9, deadline_s=30)
    assert trio.current_time() == 30


async def test_a_large_body_that_does_not_end_is_refused_after_a_moment(
    autojump_clock: MockClock,
) -> None:
    silent = _chunks(b"aaaa", then_silence=True)
    with pytest.raises(TooLarge):
        await body.read(silent, stated_bytes=4, bytes_max=3, deadline_s=30)
    assert trio.current_time() == body.DISCARD_S


async def test_what_is_discarded_is_bounded() -> None:
    taken = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal taken
        while True:
            taken += 1
            yield bytes(1024 * 1024)

    async with aclosing(endless()) as chunks:
        await body.discard(chunks)
    assert taken == body.DISCARD_BYTES_MAX // (1024 * 1024) + 1
