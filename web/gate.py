"""Who may: every credential becomes a grant here, for both lanes, or is refused.

Keys are found by their digest. What was found is remembered by the very text of the header, so
a client that repeats its head costs one look-up; all of that is forgotten as soon as a key is
added or revoked, and a grant knows whether its key still works. Where there never was a key,
whoever reaches this machine by its own names may do everything.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from math import inf
from time import monotonic
from typing import Final, Literal, NamedTuple, Protocol
from urllib.parse import parse_qsl

from engine.config import Config
from engine.errors import Overloaded
from persistence.keys import Entry, Role, SessionEntry, digest_of, role_of
from web.access import is_our_page, must_be_our_host, must_be_our_page
from web.addresses import Addresses
from web.errors import Forbidden, Unauthorized
from web.rates import Rates

Needed = Role | Literal["open"]

KNOWN_MAX: Final = 4_096
"""Texts of headers that are remembered with what they grant; only those of keys that work."""

SESSION_MS: Final = 8 * 3_600_000
SESSIONS_MAX: Final = 10_000
TOKEN_MS: Final = 60_000
TOKENS_MAX: Final = 10_000
TOKEN_BYTES: Final = 32

COOKIE: Final = "tallymark_session"
SECURE_COOKIE: Final = "__Host-tallymark_session"
"""Over HTTPS: browsers take it from this very host alone, and never by plain HTTP."""

_MAY: Final[Mapping[Role, str]] = {"write": "write", "read": "read", "admin": "administer"}


class Guarded(Protocol):
    """What a route says of who may ask for it; see `web.route.Route`."""

    @property
    def role(self) -> Needed: ...

    @property
    def is_shared(self) -> bool: ...

    @property
    def takes_token(self) -> bool: ...


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


class Token(NamedTuple):
    """What a token in an address opens, once, and until when."""

    grant: Grant
    expires_ms: int


class Asking(NamedTuple):
    """What of a request says who asks; headers as they came, None where absent.

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


class Gate:
    """The grants of one server.

    is_asked       whether keys are asked for at all
    counts_events  whether events are limited
    writers        {text of an Authorization header: what it grants}, those that may write
    """

    def __init__(
        self, config: Config, *, now_ms: Callable[[], int], is_exposed: bool = False
    ) -> None:
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
        self._sessions: dict[bytes, Grant] = {}
        self._tokens: dict[bytes, Token] = {}
        self._limit()

    def _limit(self) -> None:
        config = self._config

        def rates(name: str, per_s: float) -> Rates | None:
            burst_s = config.rate_burst_s
            if not per_s:
                return None
            return Rates(name, per_s=per_s, burst_s=burst_s, clock_s=monotonic)

        self._key_events = rates("key-events", config.key_events_per_s_max)
        self._address_events = rates("address-events", config.address_events_per_s_max)
        self._key_requests = rates("key-requests", config.key_requests_per_s_max)
        self._address_requests = rates("address-requests", config.address_requests_per_s_max)
        self.counts_events = bool(self._key_events or self._address_events)
        self._failures = Rates(
            "failed-keys",
            per_s=config.failed_keys_per_minute_max / 60,
            burst_s=60,
            clock_s=monotonic,
        )

    # -- what there is ------------------------------------------------------------------------

    @property
    def has_keys(self) -> bool:
        """Whether any key works."""
        return bool(self._keys)

    def take(self, entries: list[Entry]) -> None:
        """Go by these keys from now on; what others have been granted ends."""
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
        # A key that was revoked is no reason to open the doors: asked for once, always.
        self.is_asked = bool(entries) or self._is_exposed
        self.writers.clear()
        self._known.clear()

    def take_sessions(self, entries: list[SessionEntry]) -> None:
        """Let in those who have signed in before a restart."""
        for entry in entries:
            key = self._keys.get(entry.key)
            if key is not None:
                self._sessions[entry.digest] = _session(key, entry)

    def uses(self) -> list[bytes]:
        """The keys that were used since this was last asked."""
        used = [key for key in self._keys.values() if key.is_used]
        for key in used:
            key.is_used = False
        gone, self._last_used = self._last_used, []
        return gone + [key.digest for key in used]

    # -- who asks -----------------------------------------------------------------------------

    def admit(self, route: Guarded, asking: Asking) -> Grant:
        """What whoever asks may, which is enough for the route.

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
        """A key in the address, where it is seen by many: only one that writes, and no more."""
        if b"key=" not in asking.query:
            return STRANGER
        given = parse_qsl(asking.query.decode(errors="replace"))
        secrets_given = [value for name, value in given if name == "key"]
        grant = self._of_key(secrets_given[0]) if len(secrets_given) == 1 else None
        if grant is None:
            return self._failed("write", asking)
        if grant.role != "write":
            raise Forbidden("A key in an address may be one that writes, and no other.")
        return grant

    def _of_cookie(self, asking: Asking) -> Grant | None:
        token = token_in(asking.cookie)
        if token is None or not is_our_page(asking.host, asking.origin, asking.site):
            return None
        return self.session_of(token)

    def _of_token(self, asking: Asking) -> Grant | None:
        given = dict(parse_qsl(asking.query.decode(errors="replace")))
        found = self._tokens.pop(digest_of(given.get("token", "")), None)
        if found is None or found.expires_ms <= self._now_ms() or not self.is_good(found.grant):
            return None
        return found.grant

    def _failed(self, needed: Needed, asking: Asking) -> Grant:
        """A key that does not work: counted, so that guessing is slow and seen."""
        address = self.address_of(asking)
        self._failures.must_have_left(address)
        self._failures.spend(address)
        raise _unauthorized(needed)

    # -- sessions and tokens ------------------------------------------------------------------

    def new_session(self, key: Key) -> tuple[str, SessionEntry]:
        """A token for a cookie, and what is to be kept of it; it is good at once."""
        now_ms = self._now_ms()
        if len(self._sessions) >= SESSIONS_MAX:
            self.ended_sessions()
        if len(self._sessions) >= SESSIONS_MAX:
            raise Overloaded("There are too many sessions.", retry_after_s=60)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        entry = SessionEntry(digest_of(token), key.digest, now_ms + SESSION_MS)
        self._sessions[entry.digest] = _session(key, entry)
        return token, entry

    def session_of(self, token: str) -> Grant | None:
        """What a session grants; None where there is none that holds."""
        grant = self._sessions.get(digest_of(token))
        return grant if grant is not None and self.is_good(grant) else None

    def end_session(self, token: str) -> bytes | None:
        """Forget a session; its digest, None where there is none."""
        digest = digest_of(token)
        return digest if self._sessions.pop(digest, None) is not None else None

    def ended_sessions(self) -> list[bytes]:
        """Forget those that are over; their digests."""
        now_ms = self._now_ms()
        over = [digest for digest, one in self._sessions.items() if not one.is_good(now_ms)]
        for digest in over:
            del self._sessions[digest]
        return over

    def new_token(self, grant: Grant) -> str:
        """A token for the address of one stream."""
        now_ms = self._now_ms()
        if len(self._tokens) >= TOKENS_MAX:
            tokens = self._tokens.items()
            self._tokens = {digest: one for digest, one in tokens if one.expires_ms > now_ms}
        if len(self._tokens) >= TOKENS_MAX:
            raise Overloaded("There are too many tokens that nobody uses.", retry_after_s=60)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._tokens[digest_of(token)] = Token(grant._replace(role="read"), now_ms + TOKEN_MS)
        return token

    def is_good(self, grant: Grant) -> bool:
        """Whether a grant still holds."""
        if grant is ANYBODY:
            return not self.is_asked
        if grant.session is not None and grant.session not in self._sessions:
            return False
        return grant.is_good(self._now_ms())

    # -- how much -----------------------------------------------------------------------------

    def address_of(self, asking: Asking) -> str:
        """Who asks, as an address; of many that belong together, their network."""
        return self._addresses.of(asking.peer, asking.forwarded)

    def is_secure(self, asking: Asking) -> bool:
        """Whether it came by HTTPS, to us or to a proxy that we trust."""
        if self._config.certfile:
            return True
        return asking.proto == "https" and self._addresses.is_trusted(asking.peer)

    def count_request(self, grant: Grant, asking: Asking) -> None:
        """Count one request that brings no events. Raises RateLimited."""
        for rates, holder in (
            (self._key_requests, grant.key and grant.key.digest),
            (self._address_requests, self._address_requests and self.address_of(asking)),
        ):
            if rates is not None and holder is not None:
                rates.must_have_left(holder)
                rates.spend(holder)

    def events(self, grant: Grant, asking: Asking) -> Callable[[int], None]:
        """What to call with the number of events that a request brings.

        Raises RateLimited where those before it were too many.
        """
        of_key, of_address = self._key_events, self._address_events
        key = grant.key and grant.key.digest
        address = self.address_of(asking) if of_address is not None else ""
        if of_key is not None and key is not None:
            of_key.must_have_left(key)
            of_key.spend(key)
        if of_address is not None:
            of_address.must_have_left(address)
            of_address.spend(address)

        def spend(events: int) -> None:
            if of_key is not None and key is not None:
                of_key.spend(key, events - 1)  # the first is paid for, whatever it was
            if of_address is not None:
                of_address.spend(address, events - 1)

        return spend


def must_may(grant: Grant, needed: Needed) -> None:
    """Raises Unauthorized, or Forbidden for a key that is not enough."""
    if needed == "open" or grant.may(needed):
        return
    if grant.role is None:
        raise _unauthorized(needed)
    raise Forbidden(
        f"This key may {_MAY[grant.role]}, and this asks for one that may {_MAY[needed]}."
    )


def _unauthorized(needed: Needed) -> Unauthorized:
    may = "read" if needed == "open" else _MAY[needed]
    return Unauthorized(f"This asks for a key that may {may}: Authorization: Bearer KEY.")


def token_in(cookie: str | None) -> str | None:
    """The session's token in a Cookie header; that which only HTTPS can set comes first."""
    if cookie is None:
        return None
    pairs = [pair.strip().partition("=") for pair in cookie.split(";")]
    found = {name: value for name, _, value in reversed(pairs)}
    return found.get(SECURE_COOKIE) or found.get(COOKIE) or None


def _session(key: Key, entry: SessionEntry) -> Grant:
    return Grant(key.role, key, entry.expires_ms, entry.digest)
