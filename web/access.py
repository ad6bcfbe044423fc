"""Which host names and which pages are our own, where that decides who may do what."""

import ipaddress
from collections.abc import Collection
from typing import Final

from web.errors import Forbidden, Misdirected

_CHANGES_NOTHING: Final = frozenset({"GET", "HEAD", "OPTIONS"})

LOCAL_NAMES: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`; any name but localhost may lead anywhere."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def must_be_our_host(host: str | None, allowed_hosts: Collection[str]) -> None:
    """Refuse a Host header that is neither a local name nor an allowed one; any port will do.

    Without it any web page could point a name of its own at 127.0.0.1 and read, as its own
    origin, what is meant for this machine alone. Raises Misdirected.
    """
    name = _without_port(host or "").lower()
    if name in LOCAL_NAMES or name in {allowed.lower() for allowed in allowed_hosts}:
        return
    raise Misdirected(
        "This service answers only to 127.0.0.1, [::1], localhost and the names given by "
        "--allowed-host; the Host header names another one."
    )


def must_be_our_page(
    method: str, *, host: str | None, origin: str | None, site: str | None
) -> None:
    """Refuse a change if a browser says that a page of another origin asks for it.

    host, origin, site  the headers Host, Origin and Sec-Fetch-Site, None where absent

    Clients that are no browsers send none of these, and may. Raises Forbidden.
    """
    if method not in _CHANGES_NOTHING and not is_our_page(host, origin, site):
        raise Forbidden("Pages of other origins may send events, and change nothing else.")


def is_our_page(host: str | None, origin: str | None, site: str | None) -> bool:
    """Whether a request comes from a page of ours, or from no page at all."""
    if site is None:  # browsers of old, and those that reach us by plain HTTP
        return origin is None or origin.partition("://")[2] == host
    return site in ("same-origin", "none")


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isascii() and port.isdigit() else host
