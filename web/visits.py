"""Who has signed in: sessions of the page's cookie, and tokens that open one stream.

Both are secrets that we generate and keep only as digests, and they end with the key that they
were swapped for.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from engine.errors import Overloaded
from persistence.keys import SessionEntry, digest_of
from web.grants import Grant, Key

SESSION_MS: Final = 8 * 3_600_000
SESSIONS_MAX: Final = 10_000
TOKEN_MS: Final = 60_000
TOKENS_MAX: Final = 10_000
TOKEN_BYTES: Final = 32

COOKIE: Final = "tallymark_session"
SECURE_COOKIE: Final = "__Host-tallymark_session"
"""Over HTTPS: browsers take it from this very host alone, and never by plain HTTP."""


class Token(NamedTuple):
    """What a token in an address opens, once, and until when."""

    grant: Grant
    expires_ms: int


class Visits:
    """The sessions and tokens of one server."""

    def __init__(self, *, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._sessions: dict[bytes, Grant] = {}
        self._tokens: dict[bytes, Token] = {}

    def take_sessions(self, entries: Iterable[SessionEntry], keys: Mapping[bytes, Key]) -> None:
        """Let in those who have signed in before a restart, with a key that still works."""
        for entry in entries:
            key = keys.get(entry.key)
            if key is not None:
                self._sessions[entry.digest] = _session(key, entry)

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
        return grant if grant is not None and grant.is_good(self._now_ms()) else None

    def has_session(self, digest: bytes) -> bool:
        """Whether a session is open, by the digest of its token."""
        return digest in self._sessions

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
            raise Overloaded("Too many tokens are still unused.", retry_after_s=60)
        token = secrets.token_urlsafe(TOKEN_BYTES)
        self._tokens[digest_of(token)] = Token(grant._replace(role="read"), now_ms + TOKEN_MS)
        return token

    def take_token(self, query: bytes) -> Grant | None:
        """What the token in a query grants, this once; None where it is none that holds."""
        given = dict(parse_qsl(query.decode(errors="replace")))
        found = self._tokens.pop(digest_of(given.get("token", "")), None)
        if found is None or found.expires_ms <= self._now_ms():
            return None
        return found.grant


def token_in(cookie: str | None) -> str | None:
    """The session's token in a Cookie header; that which only HTTPS can set comes first."""
    if cookie is None:
        return None
    pairs = [pair.strip().partition("=") for pair in cookie.split(";")]
    found = {name: value for name, _, value in reversed(pairs)}
    return found.get(SECURE_COOKIE) or found.get(COOKIE) or None


def _session(key: Key, entry: SessionEntry) -> Grant:
    return Grant(key.role, key, entry.expires_ms, entry.digest)
