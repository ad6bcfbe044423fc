import pytest

from engine.codec import pack, unpack_all

VALUES = [
    None, True, 0, -1, 2**63, 2**64 - 1, 2**64, 10**40, -(2**63), -(2**63) - 1, -(10**40), 1.5,
    "", "größe", "a\0b", b"", b"\xff", (), (1, ("x", (2,))), {}, {"a": 1, 2: (3,)},
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_was_packed_comes_back(value: object) -> None:
    assert list(unpack_all(pack(value))) == [value]


def test_many_values_come_back_one_behind_the_other() -> None:
    assert list(unpack_all(b"".join(map(pack, VALUES)))) == VALUES


def test_lists_come_back_as_tuples() -> None:
    assert list(unpack_all(pack([1, [2]]))) == [(1, (2,))]


def test_nothing_is_no_value() -> None:
    assert list(unpack_all(b"")) == []


def test_bytes_that_end_within_a_value_are_refused() -> None:
    data = pack((1, "abc", 2**70, b"xy"))
    for cut in range(1, len(data)):
        with pytest.raises(ValueError, match=r"end within a value|exceeds max"):
            list(unpack_all(data[:cut]))


def test_what_a_snapshot_cannot_hold_is_a_bug() -> None:
    with pytest.raises(TypeError, match="a snapshot cannot hold a set"):
        pack({1, 2})


def test_a_map_whose_key_is_a_map_was_never_packed_here() -> None:
    with pytest.raises(ValueError, match="never packed here"):
        list(unpack_all(b"\x81\x80\x00"))
