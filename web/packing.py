"""Compression of answers for clients that accept it: one decision for the lane and for Quart.

Only routes that say so (`Route.packs`) have their answers compressed: the length of a
compressed answer reveals something about its content, so none of them holds a token
(docs/security.md).

CPU of one packing, an answer of GET /metrics/services with 1,000 services, 364 KB (2026-11-30,
x86_64, least of 15; the levels of zlib beside what is used here):

    zlib 1   57.3 KB  1.19 ms      isal 1   59.3 KB  0.24 ms      zstd 1   45.5 KB  0.38 ms
    zlib 4   49.5 KB  1.76 ms      isal 2   59.1 KB  0.24 ms      zstd 3   45.5 KB  0.41 ms
    zlib 6   45.7 KB  3.79 ms      isal 3   56.7 KB  0.66 ms      zstd 6   40.0 KB  1.71 ms
"""

import re
from collections.abc import AsyncIterator, Callable
from functools import lru_cache
from typing import Any, Final, Protocol, Self

import trio
from isal import isal_zlib
from zstandard import COMPRESSOBJ_FLUSH_BLOCK, COMPRESSOBJ_FLUSH_FINISH, ZstdCompressor

from web.unpack import Packing
from web.wire import Reply

PACK_BYTES_MIN: Final = 4_096
"""Below it compression saves a packet or two, but no time."""

THREAD_BYTES_MIN: Final = 512 * 1024
"""From here on in a thread: a megabyte takes 1 ms, and nobody should wait for 3."""

THREADS: Final = 2

GZIP_LEVEL: Final = 2
ZSTD_LEVEL: Final = 3

OFFERED: Final[tuple[Packing, ...]] = ("zstd", "gzip")
"""The first of those that are equally welcome is taken."""

_GZIP_WBITS: Final = 31  # a gzip header and trailer, and the largest window
_PARAMETER: Final = re.compile(r"q=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")
_TEXT: Final = re.compile(r"text/(?!event-stream).*|application/(.*json|openmetrics-text)")
_VARY: Final = ("Vary", "Accept-Encoding")
_limiter: Final = trio.CapacityLimiter(THREADS)

Headers = tuple[tuple[str, str], ...]


@lru_cache(256)  # browsers and libraries have one each
def packing_for(accepted: str | None, offered: tuple[Packing, ...] = OFFERED) -> Packing | None:
    """The packing that somebody wants most, by an Accept-Encoding (RFC 9110, 12.5.3); None: the
    answer as it is, which is also meant where nothing is said.

    `*` stands for gzip: a client that knows zstd names it.
    """
    weights: dict[str, float] = {}
    for one in (accepted or "").lower().split(","):
        coding, _, parameter = one.replace(" ", "").replace("\t", "").partition(";")
        weights[coding] = _weight(parameter)
    weights.setdefault("gzip", weights.get("*", 0.0))
    best = max(offered, key=lambda packing: weights.get(packing, 0.0))
    weight = weights.get(best, 0.0)
    return best if weight > 0 and weight >= weights.get("identity", 0.0) else None


def _weight(parameter: str) -> float:
    """0 where it cannot be read: no client is sent what it may not understand."""
    if not parameter:
        return 1.0
    found = _PARAMETER.fullmatch(parameter)
    return float(found[1]) if found else 0.0


async def packed(reply: Reply, accepted: str | None) -> Reply:
    """A whole answer, packed if it is worth it and wanted.

    accepted  the Accept-Encoding of the request, None where there is none
    """
    size = len(reply.body)
    if size < PACK_BYTES_MIN or not _is_packable(reply.headers):
        return reply
    packing = packing_for(accepted)
    if packing is None:
        return reply._replace(headers=(*reply.headers, _VARY))
    pack = _PACKERS[packing]
    if size < THREAD_BYTES_MIN:
        body = pack(reply.body)
    else:
        body = await trio.to_thread.run_sync(pack, reply.body, limiter=_limiter)
    return reply._replace(headers=_with(reply.headers, packing), body=body)


def streamed(
    pieces: AsyncIterator[bytes], headers: Headers, accepted: str | None
) -> tuple[AsyncIterator[bytes], Headers]:
    """The same for an answer that is sent as it comes: each piece is packed as it is, so no
    more than one is held. A Content-Length goes, for nobody knows it any more.
    """
    stated = dict(headers).get("Content-Length")
    if not _is_packable(headers) or (stated and int(stated) < PACK_BYTES_MIN):
        return pieces, headers
    packing = packing_for(accepted)
    if packing is None:
        return pieces, (*headers, _VARY)
    return _Packed(pieces, packing), _with(headers, packing)


def _is_packable(headers: Headers) -> bool:
    """Text, but no events that are waited for; an ETag is of the answer as it is."""
    found = {name.lower(): value for name, value in headers}
    if "content-encoding" in found or "etag" in found:
        return False
    return _TEXT.fullmatch(found.get("content-type", "").partition(";")[0]) is not None


def _with(headers: Headers, packing: Packing) -> Headers:
    kept = tuple(one for one in headers if one[0].lower() != "content-length")
    return (*kept, ("Content-Encoding", packing), _VARY)


def _gzipped(body: bytes) -> bytes:
    packer = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WBITS)
    return packer.compress(body) + packer.flush()


def _zstd(body: bytes) -> bytes:
    return ZstdCompressor(level=ZSTD_LEVEL).compress(body)


_PACKERS: Final[dict[Packing, Callable[[bytes], bytes]]] = {"gzip": _gzipped, "zstd": _zstd}


class _Packer(Protocol):
    """Of a stream: a piece goes out with what came before it."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self, mode: int, /) -> bytes: ...


class _Packed:
    """Pieces of a stream, packed."""

    def __init__(self, pieces: AsyncIterator[bytes], packing: Packing) -> None:
        self._pieces = pieces
        self._packer: _Packer
        if packing == "gzip":
            self._packer = isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, _GZIP_WBITS)
            self._through, self._last = isal_zlib.Z_SYNC_FLUSH, isal_zlib.Z_FINISH
        else:
            self._packer = ZstdCompressor(level=ZSTD_LEVEL).compressobj()
            self._through, self._last = COMPRESSOBJ_FLUSH_BLOCK, COMPRESSOBJ_FLUSH_FINISH
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        if self._is_over:
            raise StopAsyncIteration
        try:
            piece = await anext(self._pieces)
        except StopAsyncIteration:
            self._is_over = True
            return self._packer.flush(self._last)
        return self._packer.compress(piece) + self._packer.flush(self._through)

    async def aclose(self) -> None:
        """Ask for no more of it."""
        pieces: Any = self._pieces
        await pieces.aclose()
