import json

import pytest

from engine import events
from engine.erasure import KEY_BYTES, Secret
from engine.events import Kind
from engine.pseudonyms import Pseudonyms
from tests.properties.histories import history

VEIL = Pseudonyms(Secret(bytes(range(KEY_BYTES))))


def body_of(kind: int, told: list[dict[str, object]]) -> bytes:
    if kind == Kind.ONE:
        return json.dumps(told[0]).encode()
    if kind == Kind.LINES:
        return b"\n".join(json.dumps(one).encode() for one in told)
    if kind == Kind.ARRAY:
        return json.dumps(told).encode()
    return json.dumps({"sentAt": "2026-11-22T10:00:00Z", "events": told}).encode()


@pytest.mark.parametrize("kind", [Kind.ONE, Kind.ARRAY, Kind.ENVELOPE, Kind.LINES])
def test_the_body_says_what_the_events_say_and_nothing_but_ids_has_changed(kind: int) -> None:
    told = [event for _, event in history(7, 300)]
    for start in range(0, 300, 25):
        plain = events.replay(kind, body_of(kind, told[start : start + 25]))
        kept = VEIL.applied(plain)
        again = events.replay(kept.kind, kept.body)
        assert (again.events, again.times_ms) == (kept.events, plain.times_ms)
        assert again.sent_at_ms == plain.sent_at_ms
        for before, after in zip(plain.events, again.events, strict=True):
            for name in before.__struct_fields__:
                is_id = name in ("user_id", "session_id") and getattr(before, name) is not None
                assert (getattr(before, name) == getattr(after, name)) is not is_id
        assert b"user-" not in kept.body
        assert b"session-" not in kept.body


def test_a_pseudonym_is_the_same_each_time_and_another_for_each_id_kind_and_key() -> None:
    batch = events.replay(
        Kind.ONE,
        b'{"eventType":"user_session","userId":"u","sessionId":"u","duration":1,"email":"x"}',
    )
    (event,) = VEIL.applied(batch).events
    assert event.user_id == VEIL.of_user("u") != VEIL.of_user("v")
    assert event.session_id not in (None, "u", event.user_id)
    assert Pseudonyms(Secret(bytes(KEY_BYTES))).of_user("u") != event.user_id
    assert b"email" not in VEIL.applied(batch).body
    assert [len(part) for part in event.user_id.split("-")] == [8, 4, 4, 4, 12]
