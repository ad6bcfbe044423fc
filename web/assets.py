"""Files of the built page: read and compressed once, then sent from memory.

A request's path is a key of a dict and never a path on disk, so `..` leads nowhere.
"""

import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from web.packing import packing_for
from web.wire import Called, Reply

MEDIA: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""The kinds of files that are served, and their media types."""

_PACKED_ALREADY: Final = frozenset({".ico", ".png", ".woff2"})
PACK_BYTES_MIN: Final = 1_024
"""Below it compression does not save a single packet."""

IMMUTABLE: Final = "public, max-age=31536000, immutable"
ASK_AGAIN: Final = "no-cache"

HASHED_FOLDER: Final = "assets/"
"""Whose files carry the hash of their content in their name, and so never change."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, as it is sent; `packed` is None where gzip would gain nothing."""

    media: str
    body: bytes
    packed: bytes | None
    tag: str

    @classmethod
    def of(cls, body: bytes, suffix: str) -> Self:
        """A file by its content and the end of its name, which is one of MEDIA."""
        packed = None
        if len(body) >= PACK_BYTES_MIN and suffix not in _PACKED_ALREADY:
            packed = gzip.compress(body, 9, mtime=0)
            packed = packed if len(packed) < len(body) else None
        return cls(MEDIA[suffix], body, packed, sha256(body).hexdigest()[:20])

    def reply(
        self, called: Called, headers: tuple[tuple[str, str], ...], *, cache: str = ASK_AGAIN
    ) -> Reply:
        """The file, or 304 where the caller has it; packed where the caller takes that."""
        is_packed = self.packed is not None and packing_for(
            called.header("Accept-Encoding"), ("gzip",)
        )
        tag = f'"{self.tag}-gzip"' if is_packed else f'"{self.tag}"'
        own = (("ETag", tag), ("Cache-Control", cache), ("Vary", "Accept, Accept-Encoding"))
        given = {one.strip().removeprefix("W/") for one in _header(called, "If-None-Match")}
        if tag in given:
            return Reply(304, (*own, *headers), b"")
        media = ("Content-Type", self.media)
        if is_packed:
            assert self.packed is not None
            encoding = ("Content-Encoding", "gzip")
            return Reply(200, (media, encoding, *own, *headers), self.packed)
        return Reply(200, (media, *own, *headers), self.body)


def read_assets(folder: Path) -> Mapping[str, Asset]:
    """{path below `folder`: file}; empty where there is no such folder."""
    return {
        path.relative_to(folder).as_posix(): Asset.of(path.read_bytes(), path.suffix)
        for path in sorted(folder.rglob("*"))
        if path.suffix in MEDIA and path.is_file()
    }


def cache_of(path: str) -> str:
    """For how long a file may be kept without asking again."""
    return IMMUTABLE if path.startswith(HASHED_FOLDER) else ASK_AGAIN


def _header(called: Called, name: str) -> list[str]:
    return (called.header(name) or "").split(",")
