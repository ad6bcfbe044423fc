"""The hashes on which data on disk and the choice of a shard depend; pinned, never changed.

`tests/engine/test_hashing.py` holds their values: a different answer would forget every known
event id, cut every user's history in two and change every sample.
"""

from collections.abc import Collection
from zlib import crc32

from xxhash import xxh3_64_intdigest


def hash64(text: str) -> int:
    """64 bits of XXH3 over the UTF-8 of `text`; 0, which stands for "none", becomes 1."""
    return xxh3_64_intdigest(text.encode()) or 1


def hash64_each(texts: Collection[str | None]) -> list[int]:
    """`hash64` of each text, 0 for None; a call for each would cost as much as the hash."""
    if None in texts:
        return [0 if text is None else hash64(text) for text in texts]
    hashes = [xxh3_64_intdigest(text.encode()) for text in texts if text is not None]
    return hashes if 0 not in hashes else [hashed or 1 for hashed in hashes]


def shard_of(key: str, shards: int) -> int:
    """The shard, 0 to shards − 1, that owns the index key `key`."""
    return crc32(key.encode()) % shards
