"""Ids of people replaced by keyed hashes before anything is kept: the same id, the same hash.

A pseudonym has the form of a UUID, which the archive keeps in 16 bytes. Bodies are encoded
again, so fields that Tallymark does not know are dropped. When this is off it costs nothing.
"""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any, Final

import msgspec
from msgspec import structs

from engine.erasure import Secret
from engine.events import ABSENT, Batch, Event, Kind

DIGEST_BYTES: Final = 16

USER, SESSION = "user", "session"


class Pseudonyms:
    """The pseudonyms of one data folder."""

    def __init__(self, secret: Secret) -> None:
        self._keys = {
            kind: secret.key_for(f"pseudonym of a {kind}") for kind in (USER, SESSION)
        }

    def of_user(self, user_id: str) -> str:
        """What stands in place of a userId."""
        return self._of(USER, user_id)

    def applied(self, batch: Batch) -> Batch:
        """The batch as it is kept: its body says what its events say."""
        events = [self._veiled(event) for event in batch.events]
        return batch._replace(events=events, body=_body(batch.kind, events, batch.sent_at_ms))

    def _veiled(self, event: Event) -> Event:
        user, session = event.user_id, event.session_id
        if user is not None:
            user = self._of(USER, user)
        if session is not None:
            session = self._of(SESSION, session)
        return structs.replace(event, user_id=user, session_id=session)

    def _of(self, kind: str, text: str) -> str:
        key = self._keys[kind]
        digits = blake2b(text.encode(), key=key, digest_size=DIGEST_BYTES).hexdigest()
        parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
        return "-".join(parts)


def _body(kind: int, events: Sequence[Event], sent_at_ms: int) -> bytes:
    told = [_told(event) for event in events]
    if kind == Kind.ONE:
        return told[0]
    if kind == Kind.LINES:
        return b"\n".join(told)
    array = b"[" + b",".join(told) + b"]"
    if kind == Kind.ARRAY:
        return array
    sent_at = b"" if sent_at_ms == ABSENT else b'"sentAt":%d,' % sent_at_ms
    return b'{%b"events":%b}' % (sent_at, array)


def _told(event: Event) -> bytes:
    fields: dict[str, Any] = msgspec.to_builtins(event)
    return msgspec.json.encode({n: value for n, value in fields.items() if value is not None})
