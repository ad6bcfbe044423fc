"""Share links: a token that opens one dashboard and nothing else, until sharing is ended."""

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256
from typing import Final

SECRET: Final = "share"  # noqa: S105  # what it is called in the control store
SHARE_BYTES: Final = 16
TOKEN_BYTES: Final = 24
"""Of the digest: 192 bits, 32 letters in a link."""


class Shares:
    """Makes and checks tokens: an HMAC over a dashboard's id and its share.

    The secret never leaves the control store's file; taking a link back forgets the share, and
    the next one is another.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @staticmethod
    def new() -> bytes:
        """A share that nothing was ever signed with."""
        return secrets.token_bytes(SHARE_BYTES)

    def token(self, dashboard: str, share: bytes) -> str:
        """The token of a dashboard, letters that a URL carries as they are."""
        signed = hmac.digest(self._secret, share + dashboard.encode(), sha256)
        return urlsafe_b64encode(signed[:TOKEN_BYTES]).decode()

    def opens(self, token: str, dashboard: str, share: bytes) -> bool:
        """Whether `token` is the one of this dashboard; takes as long for any that is not."""
        expected = self.token(dashboard, share)
        return hmac.compare_digest(token.encode(errors="replace"), expected.encode())
