import hashlib

import pytest

from engine.erasure import (
    ERASURES_MAX,
    KEY_BYTES,
    Erase,
    Erasure,
    Erasures,
    Secret,
    Swept,
    WrongKey,
    erased_in,
    swept,
)
from engine.hashing import hash64
from engine.timebucket import DAY_MS

SECRET = Secret(bytes(range(KEY_BYTES)))
OTHER = Secret(bytes(KEY_BYTES))
ANNA, BEN = b"a" * 32, b"b" * 32


@pytest.mark.parametrize("user", ["anna", "a/b", "it's", "größe", "a\0b", "😀", "x" * 256])
def test_a_notice_says_who_is_erased_to_the_holder_of_the_key(user: str) -> None:
    notice = SECRET.erase(user)
    assert SECRET.read(notice) == Erase(SECRET.name_of(user), hash64(user))
    assert erased_in(notice) == SECRET.name_of(user)


def test_a_notice_holds_neither_the_id_nor_its_hash_nor_anything_another_key_can_read() -> None:
    notice = SECRET.erase("anna")
    assert b"anna" not in notice
    assert hash64("anna").to_bytes(8, "little") not in notice
    assert hashlib.sha256(b"anna").digest() not in notice
    with pytest.raises(WrongKey, match=r"secret\.key"):
        OTHER.read(notice)
    assert SECRET.name_of("anna") != OTHER.name_of("anna")


def test_the_name_is_what_sql_makes_of_salt_and_id() -> None:
    made = hashlib.sha256((SECRET.salt + "anna").encode()).hexdigest()
    assert SECRET.name_of("anna").hex() == made


def test_a_notice_of_what_is_swept_comes_back_and_erases_nobody() -> None:
    assert SECRET.read(swept(7)) == Swept(7)
    assert erased_in(swept(7)) is None


@pytest.mark.parametrize("notice", [b"\x03", b"\x01", b"\x02" + bytes(7), bytes(49)])
def test_what_is_no_notice_is_refused(notice: bytes) -> None:
    with pytest.raises(ValueError, match="no notice"):
        SECRET.read(notice)


def test_the_latest_erasure_of_a_person_counts_and_stands_until_it_is_swept() -> None:
    erasures = Erasures(keep_days=10)
    erasures.add(ANNA, 5, 100)
    erasures.add(BEN, 6, 200)
    erasures.add(ANNA, 9, 300)
    assert erasures.unswept == (Erasure(BEN, 6, 200), Erasure(ANNA, 9, 300))
    erasures.sweep(6, 400)
    assert erasures.unswept == (Erasure(ANNA, 9, 300),)
    assert erasures.get(BEN) == Erasure(BEN, 6, 200, 400)
    assert erasures.get(b"c" * 32) is None


def test_a_dump_brings_back_what_was_known() -> None:
    erasures = Erasures(keep_days=10)
    erasures.add(ANNA, 5, 100)
    erasures.add(BEN, 6, 200)
    erasures.sweep(5, 300)
    again = Erasures(keep_days=10)
    again.load(erasures.dump())
    assert list(again) == list(erasures)
    assert again.unswept == (Erasure(BEN, 6, 200),)


def test_finished_erasures_are_forgotten_with_their_age_and_number_others_never() -> None:
    erasures = Erasures(keep_days=10)
    erasures.add(ANNA, 1, 0)
    erasures.sweep(1, 1)
    erasures.add(BEN, 2, 0)
    erasures.sweep(1, 10 * DAY_MS)
    assert erasures.get(ANNA) is not None
    erasures.sweep(1, 10 * DAY_MS + 1)
    assert erasures.get(ANNA) is None
    assert erasures.get(BEN) == Erasure(BEN, 2, 0)
    for number in range(ERASURES_MAX + 3):
        erasures.add(number.to_bytes(32), number + 3, 0)
    erasures.sweep(ERASURES_MAX + 5, 1)
    assert erasures.get(BEN) is None  # the oldest
    assert len(list(erasures)) == ERASURES_MAX
