"""State as the bytes of a snapshot: msgpack with integers of any size, by source."""

from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import msgpack

_BYTES_32: Final = b"\xc6"
"""In msgpack: bytes follow, behind their number in 32 bits."""

_BIG_INT: Final = 1
"""Extension type of an integer beyond 64 bits, signed, big-endian: sums of money may be."""

STATE_FORMAT: Final = 1
"""Of what the shards and the sequence put into a snapshot; docs/formats/state.md."""

SEQUENCE: Final = "sequence"
"""The source that a snapshot has of `engine.sequence`."""


def shard_source(number: int) -> str:
    """The source that a snapshot has of a shard."""
    return f"shard-{number}"


class Dump(NamedTuple):
    """What a source hands to a snapshot: all it knows, or what changed since its last dump.

    An empty delta says that nothing changed.
    """

    full: bool
    chunks: Iterable[bytes]


def _extended(value: object) -> msgpack.ExtType:
    if isinstance(value, int):
        return msgpack.ExtType(
            _BIG_INT, value.to_bytes(value.bit_length() // 8 + 1, signed=True)
        )
    raise TypeError(f"a snapshot cannot hold a {type(value).__name__}")


def _hook(code: int, data: bytes) -> int:
    if code != _BIG_INT:
        raise ValueError(f"unknown extension type {code}")
    return int.from_bytes(data, signed=True)


def pack(value: object) -> bytes:
    """Bytes of nested lists, maps, texts, bytes and integers. Tuples come back as tuples."""
    return bytes(msgpack.packb(value, default=_extended))


def packed_before_bytes(before: tuple[object, ...], size: int) -> bytes:
    """What `pack` says of a tuple that ends with so many bytes, up to these.

    For bytes that are there in pieces: to put them together takes as much memory once more.
    """
    head = msgpack.Packer().pack_array_header(len(before) + 1) + b"".join(map(pack, before))
    return bytes(head + _BYTES_32 + size.to_bytes(4, "big"))


def unpack_all(data: bytes) -> Iterator[Any]:
    """The values that were packed one behind the other; ValueError where they were not."""
    unpacker = msgpack.Unpacker(
        ext_hook=_hook, use_list=False, strict_map_key=False, max_buffer_size=max(len(data), 1)
    )
    unpacker.feed(data)
    try:
        while unpacker.tell() < len(data):
            yield unpacker.unpack()
    except msgpack.OutOfData:
        raise ValueError(f"{len(data)} bytes end within a value") from None
    except TypeError as error:  # a key of a map that cannot be one
        raise ValueError(f"these bytes were never packed here: {error}") from None
