"""Bytes that our code never writes: other versions, with checksums that are right."""

import struct
import zlib


def record_with_tag(record, tag, *, segment, first_seq):
    payload = tag + record[12:]
    crc = zlib.crc32(payload, zlib.crc32(struct.pack("<QQ", segment, first_seq)))
    return struct.pack("<II", len(payload), crc) + payload


def header_of_version(header, version):
    head = header[:8] + struct.pack("<I", version) + header[12:20]
    return head + struct.pack("<I", zlib.crc32(head))


def part_of_version(frame, version):
    """A file of a snapshot, whatever it was changed to, as if that version had written it."""
    head = frame[:8] + struct.pack("<I", version) + frame[12:20]
    return head + struct.pack("<I", zlib.crc32(frame[24:], zlib.crc32(head))) + frame[24:]
