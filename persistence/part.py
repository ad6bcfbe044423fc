"""The files of a snapshot: kind, version, contents, and the checksums that reveal damage.

A manifest is written at once, with its length and CRC in front. A part is written as its bytes
come, so both follow them, after the redundancy with which a few damaged bytes can be mended.

docs/formats/snapshot.md draws the bytes; tests/golden/ pins them.
"""

from collections.abc import Iterable
from pathlib import Path
from struct import Struct
from typing import Final, NamedTuple

from isal.isal_zlib import crc32

from persistence.files import Disk, WholeFile, write_whole
from persistence.mending import BLOCK_BYTES, Fold, bad_blocks, kept_bytes, mend
from persistence.record import UnknownFormat

PART: Final = b"TMSPART\n"
MANIFEST: Final = b"TMSMANI\n"
VERSION: Final = 2
READ: Final = frozenset({1, 2})
"""Versions of a manifest; those of the first list parts of the first alone."""

_HEADER: Final = Struct("<8sIQ")  # magic, version, bytes of the payload
_CRC: Final = Struct("<I")  # of header and payload
_PAYLOAD_AT: Final = _HEADER.size + _CRC.size

PART_VERSION_1: Final = 1
_PART_HEAD: Final = Struct("<8sI").pack(PART, VERSION)
_PART_END: Final = Struct("<QI")  # bytes of the payload, CRC of head and payload
_PART_TAIL_BYTES: Final = _PART_END.size + _CRC.size


class BadFile(Exception):
    """The file is missing, or damaged from `offset_bytes` on; its text says which."""

    def __init__(self, reason: str, offset_bytes: int = 0) -> None:
        super().__init__(reason)
        self.offset_bytes = offset_bytes


class Stamp(NamedTuple):
    """What must be true of a part for it to be the one that was written."""

    payload_bytes: int
    crc: int


class Content(NamedTuple):
    """The payload of a part, and what is wrong with the file all the same, None if nothing."""

    payload: bytes
    flaw: BadFile | None = None


def write_manifest(disk: Disk, path: Path, payload: bytes) -> None:
    """Put the payload, framed, into the file `path`, whole or not at all.

    The name is safe once the caller has synced the folder. Raises OSError; `path` is untouched.
    """
    header = _HEADER.pack(MANIFEST, VERSION, len(payload))
    crc = crc32(payload, crc32(header))
    write_whole(disk, path, (header, _CRC.pack(crc), payload))


def manifest_payload(disk: Disk, path: Path) -> bytes:
    """The payload of a manifest.

    Raises BadFile; UnknownFormat for a whole file where another version wrote it: to go on
    without it, as if it were damaged, would be to go back in time.
    """
    payload, version, _ = _framed(_read(disk, path), MANIFEST)
    if version not in READ:
        raise _unknown(path, version)
    return payload


class PartFile:
    """A part that is being written.

    Every method but `abandon` raises OSError, after which that one is to be called.
    """

    def __init__(self, disk: Disk, path: Path) -> None:
        self.path = path
        self._file = WholeFile(disk, path)
        self._fold = Fold()
        self._payload_bytes = 0
        self._crc = crc32(_PART_HEAD)
        self._is_begun = False

    @property
    def stamp(self) -> Stamp:
        """That of what has been added."""
        return Stamp(self._payload_bytes, self._crc)

    def add(self, pieces: Iterable[bytes]) -> None:
        """Write the next bytes of the payload."""
        if not self._is_begun:
            self._file.write(_PART_HEAD)
            self._is_begun = True
        for piece in pieces:
            self._file.write(piece)
            self._fold.add(piece)
            self._crc = crc32(piece, self._crc)
            self._payload_bytes += len(piece)

    def finish(self) -> None:
        """Have all of it on the disk; the name is safe once the caller synced the folder."""
        self.add(())
        end = _PART_END.pack(self._payload_bytes, self._crc)
        tail = self._fold.kept() + end
        self._file.write(tail + _CRC.pack(crc32(tail)))
        self._file.finish()

    def abandon(self) -> None:
        """Remove it as far as the disk allows; raises nothing."""
        self._file.abandon()


def part_content(disk: Disk, path: Path, stamp: Stamp) -> Content:
    """The payload of a part, put right where that can be done.

    stamp  what its manifest says of it

    Raises BadFile where it cannot be put right, and UnknownFormat as `manifest_payload`.
    """
    head_bytes, payload_end = len(_PART_HEAD), len(_PART_HEAD) + stamp.payload_bytes
    tail_bytes = kept_bytes(stamp.payload_bytes) + _PART_TAIL_BYTES
    try:
        head = disk.read_from(path, 0, head_bytes)
        payload = _read_from(disk, path, head_bytes, stamp.payload_bytes)
        tail = disk.read_from(path, payload_end, tail_bytes + 1)
    except OSError as error:
        raise _unread(error) from error
    if stamp == (len(payload), crc32(payload, crc32(_PART_HEAD))):
        return Content(payload, _flaw_around(head, tail, payload_end, tail_bytes))
    version = int.from_bytes(head[len(PART) :], "little")
    if version != VERSION:
        try:
            return Content(_first_version(head + payload + tail, path, stamp))
        except BadFile:
            if version == PART_VERSION_1:  # nothing is beside it that would mend it
                raise
    if len(tail) != tail_bytes:
        found = len(head) + len(payload) + len(tail)
        due = payload_end + tail_bytes
        raise BadFile(f"it does not have the {due} bytes that it had", min(found, due))
    if not _is_sound(tail):
        raise BadFile("its checksum is wrong, and so is that of what would mend it", head_bytes)
    if _PART_END.unpack_from(tail, tail_bytes - _PART_TAIL_BYTES) != stamp:
        raise BadFile("it is whole, but not the one that the manifest lists")
    whole = bytearray(payload)
    bad = bad_blocks(whole, tail)
    first = head_bytes + min(bad, default=0)
    blocks = f"{len(bad)} of its blocks of {BLOCK_BYTES} bytes"
    if not mend(whole, tail, bad) or crc32(whole, crc32(_PART_HEAD)) != stamp.crc:
        raise BadFile(f"{blocks} are damaged, which is too much to be mended", first)
    return Content(bytes(whole), BadFile(f"{blocks} are damaged, and can be mended", first))


def _flaw_around(head: bytes, tail: bytes, payload_end: int, tail_bytes: int) -> BadFile | None:
    """What is wrong with a file of which the payload is right."""
    if head != _PART_HEAD:
        return BadFile("its first bytes are damaged; what it holds is whole")
    if len(tail) != tail_bytes or not _is_sound(tail):
        return BadFile("what would mend it is damaged; what it holds is whole", payload_end)
    return None


def _is_sound(tail: bytes) -> bool:
    return _CRC.pack(crc32(tail[: -_CRC.size])) == tail[-_CRC.size :]


def _first_version(data: bytes, path: Path, stamp: Stamp) -> bytes:
    payload, version, crc = _framed(data, PART)
    if version != PART_VERSION_1:
        raise _unknown(path, version)
    if stamp != (len(payload), crc):
        raise BadFile("it is whole, but not the one that the manifest lists")
    return payload


def _unknown(path: Path, version: int) -> UnknownFormat:
    return UnknownFormat(
        f"{path} has version {version} of the snapshot format; this Tallymark reads up to "
        f"version {VERSION}. Start the version that wrote it."
    )


def _read(disk: Disk, path: Path) -> bytes:
    try:
        return disk.read(path)
    except OSError as error:
        raise _unread(error) from error


def _read_from(disk: Disk, path: Path, offset_bytes: int, size: int) -> bytes:
    """All of it, as far as it is there: at once no system reads more than 2 GiB."""
    data = disk.read_from(path, offset_bytes, size)
    while data and len(data) < size:
        more = disk.read_from(path, offset_bytes + len(data), size - len(data))
        if not more:
            break
        data += more
    return data


def _unread(error: OSError) -> BadFile:
    return BadFile(f"it cannot be read: {error.strerror or error}")


def _framed(data: bytes, magic: bytes) -> tuple[bytes, int, int]:
    """(payload, version, CRC) of bytes with their length and CRC in front."""
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
    return payload, version, crc
