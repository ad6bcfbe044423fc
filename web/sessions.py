"""The routes for signing in: a key becomes a cookie for the page, or a token for a stream."""

import datetime as dt
from collections.abc import Awaitable, Callable

from msgspec import Struct

from persistence.keys import Role
from web import wire
from web.errors import Forbidden
from web.grants import Grant
from web.keyring import Keyring
from web.visits import COOKIE, SECURE_COOKIE, SESSION_MS, TOKEN_MS, token_in
from web.wire import Called, NothingAsked, Reply


class Session(Struct, frozen=True, kw_only=True, rename="camel"):
    """Who asks.

    `keys` is false where the service asks for none; `expiresAt` is null for a key itself.
    """

    role: Role
    keys: bool
    expires_at: dt.datetime | None


class StreamToken(Struct, frozen=True, kw_only=True, rename="camel"):
    """What opens one GET /stream, as `?token=`."""

    token: str
    expires_in_s: int


class Sessions:
    """Answers by a keyring.

    handlers  {name of the route: what answers it}
    """

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._gate = keyring.gate
        self.handlers: dict[str, Callable[[Called], Awaitable[Reply]]] = {
            "session": self.told,
            "signIn": self.sign_in,
            "signOut": self.sign_out,
            "streamToken": self.stream_token,
        }

    async def told(self, called: Called) -> Reply:
        """GET /session."""
        wire.question(called.query, NothingAsked)
        return wire.answered(self._session(called.grant))

    async def sign_in(self, called: Called) -> Reply:
        """POST /session, with the key in the Authorization header; a cookie is not enough."""
        wire.question(called.query, NothingAsked)
        grant = called.grant
        if not self._gate.is_asked:
            return wire.answered(self._session(grant))
        if grant.key is None or grant.session is not None:
            raise Forbidden("A session is made with a key, not with another session.")
        token = await self._keyring.sign_in(grant.key)
        made = self._gate.visits.session_of(token)
        assert made is not None, "it was made a moment ago"
        cookie = self._cookie(called, token, SESSION_MS // 1000)
        reply = wire.answered(self._session(made))
        return reply._replace(headers=(*reply.headers, ("Set-Cookie", cookie)))

    async def sign_out(self, called: Called) -> Reply:
        """DELETE /session: also of one that is over, or never was."""
        wire.question(called.query, NothingAsked)
        token = token_in(called.asking.cookie)
        if token is not None:
            await self._keyring.sign_out(token)
        reply = wire.nothing()
        cookie = self._cookie(called, "", 0)
        return reply._replace(headers=(*reply.headers, ("Set-Cookie", cookie)))

    async def stream_token(self, called: Called) -> Reply:
        """POST /stream/tokens."""
        wire.question(called.query, NothingAsked)
        token = self._gate.visits.new_token(called.grant)
        made = StreamToken(token=token, expires_in_s=TOKEN_MS // 1000)
        return wire.answered(made, status=201)

    def _session(self, grant: Grant) -> Session:
        expires_at = None
        if grant.session is not None:
            expires_at = dt.datetime.fromtimestamp(grant.expires_ms / 1000, dt.UTC)
        return Session(
            role=grant.role or "read", keys=self._gate.is_asked, expires_at=expires_at
        )

    def _cookie(self, called: Called, token: str, seconds: int) -> str:
        is_secure = self._gate.is_secure(called.asking)
        name = SECURE_COOKIE if is_secure else COOKIE
        secure = "; Secure" if is_secure else ""
        return f"{name}={token}; Max-Age={seconds}; Path=/; HttpOnly; SameSite=Strict{secure}"
