"""Who may: as long as there are no keys, those who reach us by a name of this machine."""

from collections.abc import Collection
from typing import Final

from web.errors import Misdirected

LOCAL_NAMES: Final = frozenset({"127.0.0.1", "[::1]", "localhost"})


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
        "--allowed-host; the request came for another one."
    )


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isascii() and port.isdigit() else host
