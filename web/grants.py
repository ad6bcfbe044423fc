"""What somebody may do, and what the refusal says where that is not enough."""

from collections.abc import Mapping
from math import inf
from typing import Final, Literal, NamedTuple

from persistence.keys import Role
from web.errors import Forbidden, Unauthorized

Needed = Role | Literal["open"]

_MAY: Final[Mapping[Role, str]] = {"write": "write", "read": "read", "admin": "administer"}


class Key:
    """One key that works, or worked until just now.

    is_used  since somebody last looked; the use is written down later
    """

    __slots__ = ("digest", "is_live", "is_used", "role")

    def __init__(self, digest: bytes, role: Role) -> None:
        self.digest = digest
        self.role = role
        self.is_live = True
        self.is_used = False


class Grant(NamedTuple):
    """What somebody may.

    role        None: what is open to all
    key         None where no key was asked for, or none was given
    expires_ms  when it ends by itself
    session     digest of the session's token, None where it is none
    """

    role: Role | None
    key: Key | None = None
    expires_ms: float = inf
    session: bytes | None = None

    def may(self, needed: Needed) -> bool:
        """Whether it is enough."""
        return needed == "open" or self.role in (needed, "admin")

    def is_good(self, now_ms: int) -> bool:
        """Whether it still holds."""
        return now_ms < self.expires_ms and (self.key is None or self.key.is_live)


ANYBODY: Final = Grant("admin")
STRANGER: Final = Grant(None)


class Asking(NamedTuple):
    """The parts of a request that say who asks; headers as they came, None where absent.

    query      of the target, without the question mark
    peer       address at the other end of the connection, empty where that is gone
    forwarded  X-Forwarded-For, and `proto` X-Forwarded-Proto: what a proxy says, or anybody
    """

    method: str
    query: bytes
    authorization: str | None
    cookie: str | None
    host: str | None
    origin: str | None
    site: str | None
    peer: str
    forwarded: str | None
    proto: str | None = None


def must_may(grant: Grant, needed: Needed) -> None:
    """Raises Unauthorized, or Forbidden for a key that is not enough."""
    if needed == "open" or grant.may(needed):
        return
    if grant.role is None:
        raise unauthorized(needed)
    raise Forbidden(f"This key may {_MAY[grant.role]}; this needs one that may {_MAY[needed]}.")


def unauthorized(needed: Needed) -> Unauthorized:
    """What is said to whoever has no key, or none that works."""
    may = "read" if needed == "open" else _MAY[needed]
    return Unauthorized(f"This needs a key that may {may}, sent as Authorization: Bearer KEY.")
