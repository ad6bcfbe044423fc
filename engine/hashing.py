"""The hashes on which data on disk and the choice of a shard depend; pinned, never changed.

`tests/engine/test_hashing.py` holds their values: a different answer would forget every known
event id, cut every user's history in two and change every sample.
"""

from array import array
from collections.abc import Collection
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from xxhash import xxh3_64_intdigest


def hash64(text: str) -> int:
    """64 bits of XXH3 over the UTF-8 of `text`; 0, which stands for "none", becomes 1."""
    return xxh3_64_intdigest(text.encode()) or 1


def hash64_column(texts: Collection[str | None]) -> NDArray[np.uint64]:
    """`hash64` of each text, 0 for None; a call for each would cost as much as the hash."""
    if None in texts:
        hashes = np.zeros(len(texts), np.uint64)
        is_text = [text is not None for text in texts]
        hashes[is_text] = hash64_column([text for text in texts if text is not None])
        return hashes
    digests = [xxh3_64_intdigest(text.encode()) for text in texts if text is not None]
    return np.maximum(np.frombuffer(array("Q", digests), np.uint64), np.uint64(1))


def shard_of(key: str, shards: int) -> int:
    """The shard, 0 to shards − 1, that owns the index key `key`."""
    return crc32(key.encode()) % shards
