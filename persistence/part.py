"""The frame around every snapshot file: what it is, which version, how long, and its CRC.

docs/formats/snapshot.md draws the bytes; tests/golden/ pins them.
"""

from collections.abc import Sequence
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from isal.isal_zlib import crc32

from persistence.files import Disk, write_whole
from persistence.record import UnknownFormat

PART: Final = b"TMSPART\n"
MANIFEST: Final = b"TMSMANI\n"
VERSION: Final = 1
_HEADER: Final = Struct("<8sIQ")  # magic, version, bytes of the payload
_CRC: Final = Struct("<I")  # of header and payload
_PAYLOAD_AT: Final = _HEADER.size + _CRC.size


class BadFile(Exception):
    """The file is missing, or damaged from `offset_bytes` on; its text says which."""

    def __init__(self, reason: str, offset_bytes: int = 0) -> None:
        super().__init__(reason)
        self.offset_bytes = offset_bytes


class Stamp(NamedTuple):
    """What must be true of a file for it to be the one that was written."""

    payload_bytes: int
    crc: int


def write(disk: Disk, path: Path, magic: bytes, chunks: Sequence[bytes]) -> Stamp:
    """Put the chunks, framed, into the file `path`, whole or not at all.

    The name is safe once the caller has synced the folder. Raises OSError; `path` is untouched.
    """
    payload_bytes = sum(map(len, chunks))
    header = _HEADER.pack(magic, VERSION, payload_bytes)
    crc = crc32(header)
    for chunk in chunks:
        crc = crc32(chunk, crc)
    write_whole(disk, path, (header + _CRC.pack(crc), *chunks))
    return Stamp(payload_bytes, crc)


def read(disk: Disk, path: Path, magic: bytes, stamp: Stamp | None = None) -> bytes:
    """The payload of `path`.

    Raises BadFile, also for a whole file that is not `stamp`'s; UnknownFormat where another
    version wrote it: to go on without it, as if it were damaged, would be to go back in time.
    """
    try:
        data = disk.read(path)
    except OSError as error:
        raise BadFile(f"it cannot be read: {error.strerror or error}") from error
    if len(data) < _PAYLOAD_AT:
        raise BadFile(f"{len(data)} bytes are too few for its header", len(data))
    found_magic, version, payload_bytes = _HEADER.unpack_from(data)
    (crc,) = _CRC.unpack_from(data, _HEADER.size)
    payload = data[_PAYLOAD_AT:]
    if found_magic != magic:
        raise BadFile(f"it begins with {found_magic!r} in place of {magic!r}")
    if len(payload) != payload_bytes:
        said_at = _HEADER.size - 8
        raise BadFile(f"it holds {len(payload)} bytes in place of {payload_bytes}", said_at)
    if crc32(payload, crc32(data[: _HEADER.size])) != crc:
        raise BadFile("its checksum is wrong", len(magic))
    if version != VERSION:
        raise UnknownFormat(
            f"{path} has version {version} of the snapshot format; this Tallymark reads "
            f"version {VERSION}. Start the version that wrote it."
        )
    if stamp is not None and stamp != (payload_bytes, crc):
        raise BadFile("it is whole, but not the one that the manifest lists")
    return payload
