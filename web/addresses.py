"""Where a request comes from, behind proxies that are trusted to say so."""

import ipaddress
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

SITE_BITS: Final = 64
"""Bits of an IPv6 address that count: one customer has all the rest to choose from."""

KNOWN_MAX: Final = 4_096
FORWARDED_MAX: Final = 512
"""Characters at the header's end that are read and remembered: no chain of proxies has more."""


class Addresses:
    """Reads addresses.

    trusted  addresses and networks of the proxies whose X-Forwarded-For is believed
    """

    def __init__(self, trusted: Sequence[str]) -> None:
        self._trusted = [ipaddress.ip_network(one, strict=False) for one in trusted]
        self._known = lru_cache(KNOWN_MAX)(self._of)

    def of(self, peer: str, forwarded: str | None) -> str:
        """The address that counts, from that of the connection and X-Forwarded-For."""
        if forwarded is None or not self._trusted:
            return self._known(peer, "")
        return self._known(peer, forwarded[-FORWARDED_MAX:])

    def is_trusted(self, peer: str) -> bool:
        """Whether this is one of the proxies."""
        address = _read(peer)
        return address is not None and self._is_proxy(address)

    def _of(self, peer: str, forwarded: str) -> str:
        """Proxies append whom they were asked by, so it is read from its end: the first address
        that is no proxy of ours is the one that nobody could make up.
        """
        address = _read(peer)
        if address is None:
            return ""
        for text in reversed(forwarded.split(",")):
            if not self._is_proxy(address):
                break
            before = _read(text.strip())
            if before is None:
                break
            address = before
        return _holder(address)

    def _is_proxy(self, address: Address) -> bool:
        return any(address in network for network in self._trusted)


def _read(text: str) -> Address | None:
    text = text.partition("%")[0]
    if text.startswith("["):  # as some proxies write IPv6, with a port or without
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _holder(address: Address) -> str:
    if isinstance(address, ipaddress.IPv6Address) and not address.is_loopback:
        return str(ipaddress.ip_network((address, SITE_BITS), strict=False))
    return str(address)
