"""The address that counts is the one that nobody could make up."""

import pytest

from web.addresses import Addresses

PROXIES = ("127.0.0.1", "10.0.0.0/8", "fd00::/8")


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("9.9.9.9", None, "9.9.9.9"),
        ("9.9.9.9", "1.1.1.1", "9.9.9.9"),
        ("127.0.0.1", None, "127.0.0.1"),
        ("127.0.0.1", "1.1.1.1", "1.1.1.1"),
        ("127.0.0.1", "6.6.6.6, 1.1.1.1", "1.1.1.1"),
        ("127.0.0.1", "6.6.6.6, 1.1.1.1, 10.2.3.4", "1.1.1.1"),
        ("127.0.0.1", "10.1.1.1, 10.2.3.4", "10.1.1.1"),
        ("127.0.0.1", "1.1.1.1:4711", "1.1.1.1"),
        ("127.0.0.1", "[2001:db8::1]:4711", "2001:db8::/64"),
        ("127.0.0.1", "unknown, 10.2.3.4", "10.2.3.4"),
        ("127.0.0.1", "", "127.0.0.1"),
        ("fd00::1", "2001:db8:0:0:ffff::1", "2001:db8::/64"),
        ("::ffff:127.0.0.1", "::ffff:1.1.1.1", "1.1.1.1"),
        ("::1", "1.1.1.1", "::1"),
        ("", "1.1.1.1", ""),
    ],
)
def test_what_proxies_say_counts_as_far_as_they_are_ours(
    peer: str, forwarded: str | None, address: str
) -> None:
    assert Addresses(PROXIES).of(peer, forwarded) == address


def test_a_chain_without_end_is_read_at_its_end() -> None:
    addresses = Addresses(PROXIES)
    assert addresses.of("127.0.0.1", "6.6.6.6," * 10_000 + "1.1.1.1") == "1.1.1.1"
    assert addresses.of("127.0.0.1", "10.0.0.1," * 10_000) == "127.0.0.1"


@pytest.mark.parametrize("peer", ["127.0.0.1", "9.9.9.9"])
def test_without_trusted_proxies_nobody_is_believed(peer: str) -> None:
    addresses = Addresses(())
    assert addresses.of(peer, "1.1.1.1") == peer
    assert not addresses.is_trusted(peer)
