"""The hashes on which data on disk and the choice of a shard depend; pinned, never changed.

`tests/engine/test_hashing.py` holds their values: a different answer would forget every known
event id, cut every user's history in two and change every sample.
"""

from collections.abc import Collection, Sequence
from typing import Final, cast
from zlib import crc32

from xxhash import xxh3_64_digest, xxh3_64_intdigest

DIGEST_BYTES: Final = 8
NO_DIGEST: Final = bytes(DIGEST_BYTES)
_ONE: Final = (1).to_bytes(8, "big")


def hash64(text: str) -> int:
    """64 bits of XXH3 over the UTF-8 of `text`; 0, which stands for "none", becomes 1."""
    return xxh3_64_intdigest(text.encode()) or 1


def hash64_each(texts: Collection[str | None]) -> list[int]:
    """`hash64` of each text, 0 for None; a call for each would cost as much as the hash."""
    if None in texts:
        return [0 if text is None else hash64(text) for text in texts]
    hashes = [xxh3_64_intdigest(text.encode()) for text in texts if text is not None]
    return hashes if 0 not in hashes else [hashed or 1 for hashed in hashes]


def digests(texts: Sequence[str | None]) -> bytes:
    """`hash64` of each text, zeros for None: 8 bytes each, big-endian, in a row."""
    try:
        joined = b"".join(map(xxh3_64_digest, map(str.encode, cast("Sequence[str]", texts))))
    except TypeError:  # at the first None; to look for one before would cost half of this
        return b"".join([NO_DIGEST if text is None else _digest(text) for text in texts])
    if NO_DIGEST in joined:
        return b"".join([_digest(text) for text in texts if text is not None])
    return joined


def _digest(text: str) -> bytes:
    digest = xxh3_64_digest(text.encode())
    return _ONE if digest == NO_DIGEST else digest


def shard_of(key: str, shards: int) -> int:
    """The shard, 0 to shards − 1, that owns the index key `key`."""
    return crc32(key.encode()) % shards
