"""Who may do what: every credential becomes a grant here, for both lanes, or is refused.

Keys are found by their digest. What was found is remembered under the very text of the header,
so a client that repeats its head costs one look-up; all of that is forgotten as soon as a key
is added or revoked, and a grant knows whether its key still works. As long as there has never
been a key, whoever reaches this machine by one of its own names may do everything.
"""

import hmac
from collections.abc import Callable, Iterable
from typing import Final, Protocol
from urllib.parse import parse_qsl

from engine.config import Config
from persistence.keys import Entry, SessionEntry, digest_of, role_of
from web.access import is_our_page, must_be_our_host, must_be_our_page
from web.addresses import Addresses
from web.allowance import Allowance
from web.errors import Forbidden
from web.grants import ANYBODY, STRANGER, Asking, Grant, Key, Needed, must_may, unauthorized
from web.visits import Visits, token_in

KNOWN_MAX: Final = 4_096
"""Texts of headers that are remembered with their grants; only those of keys that work."""


class Guarded(Protocol):
    """What a route says about who may use it; see `web.route.Route`."""

    @property
    def role(self) -> Needed: ...

    @property
    def is_shared(self) -> bool: ...

    @property
    def takes_token(self) -> bool: ...


class Gate:
    """The grants of one server.

    is_asked   whether keys are asked for at all
    writers    {text of an Authorization header: what it grants}, those that may write
    allowance  how much whoever is let in may do
    visits     sessions and tokens, which are grants as well
    """

    def __init__(self, config: Config, *, now_ms: Callable[[], int], is_exposed: bool) -> None:
        """is_exposed  whether others reach the port: then keys are asked for from the start"""
        self.is_asked = is_exposed
        self.writers: dict[str, Grant] = {}
        self._config = config
        self._now_ms = now_ms
        self._is_exposed = is_exposed
        self._origins = frozenset(config.cors_origins)
        self._addresses = Addresses(config.trusted_proxies)
        self._keys: dict[bytes, Key] = {}
        self._last_used: list[bytes] = []  # of keys that are revoked
        self._known: dict[str, Grant] = {}
        self.allowance = Allowance(config, self._addresses)
        self.visits = Visits(now_ms=now_ms)

    # -- what there is ------------------------------------------------------------------------

    @property
    def has_keys(self) -> bool:
        """Whether any key works."""
        return bool(self._keys)

    def take(self, entries: list[Entry]) -> None:
        """Use these keys from now on; grants of other keys end."""
        keys: dict[bytes, Key] = {}
        for entry in entries:
            if entry.revoked_ms is None:
                known = self._keys.get(entry.digest)
                keys[entry.digest] = known or Key(entry.digest, entry.role)
        for digest, key in self._keys.items():
            key.is_live = digest in keys
            if key.is_used and not key.is_live:
                self._last_used.append(digest)
        self._keys = keys
        # Revoking a key does not open the doors again: once keys were needed, they always are.
        self.is_asked = bool(entries) or self._is_exposed
        self.writers.clear()
        self._known.clear()

    def take_sessions(self, entries: Iterable[SessionEntry]) -> None:
        """Let in those who have signed in before a restart."""
        self.visits.take_sessions(entries, self._keys)

    def uses(self) -> list[bytes]:
        """The keys that were used since this was last asked."""
        used = [key for key in self._keys.values() if key.is_used]
        for key in used:
            key.is_used = False
        gone, self._last_used = self._last_used, []
        return gone + [key.digest for key in used]

    # -- who asks -----------------------------------------------------------------------------

    def admit(self, route: Guarded, asking: Asking) -> Grant:
        """The grant of whoever asks, which is enough for the route.

        Raises Misdirected, Unauthorized, Forbidden or RateLimited.
        """
        needed = route.role
        if not self.is_asked:
            if not self._config.allow_public:
                must_be_our_host(asking.host, self._config.allowed_hosts)
            if not (route.is_shared and asking.origin in self._origins):
                self._must_be_our_page(needed, asking)
            return ANYBODY
        grant = self._grant(route, asking)
        if grant is STRANGER and needed == "open":  # a cookie has been asked already
            self._must_be_our_page(needed, asking)
        if grant.key is not None:
            grant.key.is_used = True
        must_may(grant, needed)
        return grant

    def allows_origin(self, origin: str | None) -> bool:
        """Whether pages of this origin may read what is shared."""
        return origin in self._origins

    def _must_be_our_page(self, needed: Needed, asking: Asking) -> None:
        if needed != "write":  # no cookie counts there, and pages of any origin may send
            must_be_our_page(
                asking.method, host=asking.host, origin=asking.origin, site=asking.site
            )

    def _grant(self, route: Guarded, asking: Asking) -> Grant:
        needed = route.role
        if asking.authorization is not None:
            grant = self._of_header(asking.authorization)
            if grant is None and needed == "open":
                return STRANGER
            return grant or self._failed(needed, asking)
        if needed == "write":
            return self._of_beacon(asking)
        if route.takes_token and b"token=" in asking.query:
            return self._of_token(asking) or STRANGER
        return self._of_cookie(asking) or STRANGER

    def _of_header(self, text: str) -> Grant | None:
        known = self._known.get(text)
        if known is not None:
            return known
        scheme, _, secret = text.partition(" ")
        grant = self._of_key(secret) if scheme.lower() == "bearer" else None
        if grant is not None:
            if len(self._known) >= KNOWN_MAX:
                self._known.clear()
                self.writers.clear()
            self._known[text] = grant
            if grant.may("write"):
                self.writers[text] = grant
        return grant

    def _of_key(self, secret: str) -> Grant | None:
        if role_of(secret) is None:
            return None
        digest = digest_of(secret)
        key = self._keys.get(digest)
        if key is None or not hmac.compare_digest(key.digest, digest):
            return None
        return Grant(key.role, key)

    def _of_beacon(self, asking: Asking) -> Grant:
        """A key in the address, where many see it: only a write key is accepted."""
        if b"key=" not in asking.query:
            return STRANGER
        given = parse_qsl(asking.query.decode(errors="replace"))
        secrets_given = [value for name, value in given if name == "key"]
        grant = self._of_key(secrets_given[0]) if len(secrets_given) == 1 else None
        if grant is None:
            return self._failed("write", asking)
        if grant.role != "write":
            raise Forbidden("A key in an address (?key=) must be a write key.")
        return grant

    def _of_cookie(self, asking: Asking) -> Grant | None:
        token = token_in(asking.cookie)
        if token is None or not is_our_page(asking.host, asking.origin, asking.site):
            return None
        return self.visits.session_of(token)

    def _of_token(self, asking: Asking) -> Grant | None:
        grant = self.visits.take_token(asking.query)
        return grant if grant is not None and self.is_good(grant) else None

    def _failed(self, needed: Needed, asking: Asking) -> Grant:
        """A key that does not work: counted, so that guessing is slow and seen."""
        self.allowance.count_failure(asking)
        raise unauthorized(needed)

    def is_good(self, grant: Grant) -> bool:
        """Whether a grant still holds."""
        if grant is ANYBODY:
            return not self.is_asked
        if grant.session is not None and not self.visits.has_session(grant.session):
            return False
        return grant.is_good(self._now_ms())

    def is_secure(self, asking: Asking) -> bool:
        """Whether it came by HTTPS, to us or to a proxy that we trust."""
        if self._config.certfile:
            return True
        return asking.proto == "https" and self._addresses.is_trusted(asking.peer)
