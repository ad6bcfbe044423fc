"""Values on which data on disk depends: a failure here is a bug, never a new value."""

import pytest

from engine.hashing import digests, hash64, hash64_each, shard_of

HASHES = {
    "": 0x2D06800538D394C2,
    "a": 0xE6C632B61E964E1F,
    "svc-1": 0xCCC1F4C130ACA5D1,
    "user-42": 0x50FE4B21CF7B09CD,
    "größe": 0xA6D7BBEA01D4872C,
    "日本語": 0x11FEC42C806050B7,
    "a\x00b": 0xD5A06CD078125351,
}

SHARDS = {
    "": [0, 0, 0, 0],
    "a": [0, 0, 3, 3],
    "svc-1": [0, 0, 6, 46],
    "user-42": [0, 1, 3, 51],
    "größe": [0, 2, 1, 9],
    "日本語": [0, 1, 5, 37],
    "a\x00b": [0, 0, 1, 49],
}


@pytest.mark.parametrize("text", HASHES)
def test_a_hash_is_what_it_has_always_been(text: str) -> None:
    assert hash64(text) == HASHES[text]


@pytest.mark.parametrize("text", SHARDS)
def test_a_key_lives_where_it_has_always_lived(text: str) -> None:
    assert [shard_of(text, shards) for shards in (1, 3, 8, 64)] == SHARDS[text]


def test_hashing_many_is_hashing_each() -> None:
    assert hash64_each(HASHES) == list(HASHES.values())


def test_no_hash_is_0_which_stands_for_none() -> None:
    assert all(hash64(str(n)) for n in range(10_000))


def test_a_thousand_keys_spread_over_all_shards() -> None:
    counts = [0] * 8
    for n in range(1_000):
        counts[shard_of(f"svc-{n}", 8)] += 1
    assert min(counts) > 60


def test_digests_are_the_hashes_in_bytes_and_zeros_where_there_is_no_text() -> None:
    joined = b"".join(value.to_bytes(8, "big") for value in HASHES.values())
    assert digests(list(HASHES)) == joined
    assert digests([None, *HASHES, None]) == bytes(8) + joined + bytes(8)
    assert digests([]) == b""
