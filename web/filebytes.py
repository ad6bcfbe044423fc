"""A file of the disk as a stream of an answer."""

import os
from typing import Final, Self

import trio

READ_BYTES: Final = 256 * 1024


class FileBytes:
    """The bytes of an open file, piece by piece."""

    def __init__(self, handle: int) -> None:
        self._handle = handle

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        piece = await trio.to_thread.run_sync(os.read, self._handle, READ_BYTES)
        if not piece:
            raise StopAsyncIteration
        return piece

    async def aclose(self) -> None:
        """Ask for no more of it."""
        os.close(self._handle)
