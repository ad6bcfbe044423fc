"""A request's body: read whole within bytes and seconds, or thrown away within them.

The deadline is absolute, because a sender that drips one byte at a time is never late for any
single read. What is too large is still read for a moment before it is refused: an answer to a
sender that is still sending is followed by a reset of the connection, which may overtake the
answer. Waiting that long also keeps our refusal apart from the parser's, because Hypercorn does
not survive both at the same instant.
"""

from collections.abc import AsyncIterator
from typing import Final

import trio

from engine.errors import TooLarge
from web.errors import BadRequest, SlowBody

DISCARD_BYTES_MAX: Final = 8 * 1024 * 1024
DISCARD_S: Final = 2.0


async def read(
    chunks: AsyncIterator[bytes],
    *,
    stated_bytes: int | None,
    bytes_max: int,
    deadline_s: float,
) -> bytearray:
    """The whole body. Raises TooLarge or SlowBody.

    chunks        as they arrive; ends with the body
    stated_bytes  its Content-Length, None where it has none
    """
    received = bytearray()
    with trio.move_on_after(deadline_s):
        if stated_bytes is None or stated_bytes <= bytes_max:
            async for chunk in chunks:
                received += chunk
                if len(received) > bytes_max:
                    break
            else:
                return received  # not copied once more: it may have 16 MiB
        await discard(chunks)
        raise too_large(bytes_max)
    raise too_slow(deadline_s)


def too_large(bytes_max: int) -> TooLarge:
    """The refusal of a body above the limit."""
    return TooLarge(f"The body is larger than the {bytes_max} bytes that one request may have.")


def too_slow(deadline_s: float) -> SlowBody:
    """The refusal of a body that was not there in time."""
    return SlowBody(f"The body was not complete after {deadline_s:g} seconds.")


def cut_off() -> BadRequest:
    """The refusal of a body whose sender has ended its side before the end of it."""
    return BadRequest("The body ends before it is complete.")


async def discard(chunks: AsyncIterator[bytes]) -> None:
    """Throw away what still comes, up to DISCARD_BYTES_MAX and DISCARD_S."""
    discarded_bytes = 0
    with trio.move_on_after(DISCARD_S):
        async for chunk in chunks:
            discarded_bytes += len(chunk)
            if discarded_bytes > DISCARD_BYTES_MAX:
                break
