"""The queue of the Python client: what each answer means for the events in it."""

import json

import pytest
from tallymark_client.events import event_of
from tallymark_client.outbox import Answer, Drop, Outbox, body_of

VIEW = event_of("marketplace_view", service_id="s-1", user_id=None)


def outbox(events: int, *, limit: int = 100) -> Outbox:
    made = Outbox(limit)
    for _ in range(events):
        assert made.put(VIEW, now_ms=1) is None
    return made


def test_an_event_is_camel_case_and_without_what_is_none() -> None:
    assert VIEW == {"eventType": "marketplace_view", "serviceId": "s-1"}


def test_each_event_gets_an_id_and_a_time_and_keeps_its_own() -> None:
    box = outbox(2)
    box.put(VIEW | {"eventId": "mine", "timestamp": 7}, now_ms=1)
    first, second, own = map(json.loads, box.batch())
    assert first["eventId"] != second["eventId"]
    assert (first["timestamp"], own["eventId"], own["timestamp"]) == (1, "mine", 7)


def test_a_batch_has_at_most_25_events_and_stays_until_it_is_answered() -> None:
    box = outbox(30)
    assert len(box.batch()) == 25
    assert box.batch() == box.batch()
    assert box.settle(25, Answer(200, b'{"rejected":[]}')) == []
    assert len(box.batch()) == 5


def test_a_batch_stays_below_what_a_body_may_have() -> None:
    box = Outbox(100)
    for _ in range(3):
        box.put(VIEW | {"unknown": "x" * 500_000}, now_ms=1)
    assert len(box.batch()) == 1


@pytest.mark.parametrize("status", [0, 408, 429, 500, 503, 507])
def test_what_may_pass_leaves_everything_in_place(status: int) -> None:
    box = outbox(2)
    before = box.batch()
    assert box.settle(2, Answer(status)) is None
    assert box.batch() == before


@pytest.mark.parametrize("status", [301, 401, 403, 404])
def test_what_is_refused_for_good_is_dropped(status: int) -> None:
    box = outbox(2)
    drops = box.settle(2, Answer(status, b'{"detail":"because"}'))
    assert drops is not None
    assert [drop.detail for drop in drops] == [f"{status}: because"] * 2
    assert box.stats().dropped == {"refused": 2}


def test_one_faulty_event_is_dropped_and_the_others_are_delivered() -> None:
    box = outbox(3)
    answer = b'{"count":2,"rejected":[{"index":1,"path":"$.a","message":"no"}]}'
    (drop,) = box.settle(3, Answer(200, answer)) or []
    assert (drop.reason, drop.detail) == ("refused", "$.a: no")
    assert (box.delivered, len(box)) == (2, 0)


@pytest.mark.parametrize("status", [400, 413, 422])
def test_a_body_that_is_refused_goes_in_halves_and_then_whole_again(status: int) -> None:
    box = outbox(60)
    assert box.settle(25, Answer(status)) == []
    assert len(box.batch()) == 12
    box.settle(12, Answer(200, b"{}"))
    assert len(box.batch()) == 25


@pytest.mark.parametrize("status", [400, 413, 422])
def test_of_a_body_that_is_refused_one_event_is_dropped_and_no_more(status: int) -> None:
    box = outbox(25)
    poisoned = box.batch()[7]
    while batch := box.batch():
        box.settle(len(batch), Answer(status if poisoned in batch else 200, b"{}"))
    assert box.stats().dropped == {"refused": 1}
    assert box.delivered == 24


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("a\ud83d", "a\ufffd"),
        ("\ude00b", "\ufffdb"),
        ("\ud83d\ude00", "\N{GRINNING FACE}"),
        ("\\ud83d", "\\ud83d"),
        ("\N{GRINNING FACE}", "\N{GRINNING FACE}"),
    ],
)
def test_half_an_emoji_is_sent_as_the_sign_for_what_is_no_letter(text: str, sent: str) -> None:
    box = outbox(0)
    box.put(event_of("marketplace_search", search_query=text), now_ms=1)
    (encoded,) = box.batch()
    assert json.loads(encoded)["searchQuery"] == sent
    assert b"\\ud83d" not in encoded.replace(b"\\\\", b"")


def test_the_last_one_fits_and_one_more_is_dropped() -> None:
    box = outbox(3, limit=3)
    drop = box.put(VIEW, now_ms=1)
    assert drop is not None
    assert drop.reason == "queue-full"


@pytest.mark.parametrize(
    "wrong", [object(), float("nan"), {1: {2}}], ids=["object", "nan", "set"]
)
def test_what_is_no_json_is_dropped(wrong: object) -> None:
    drop = outbox(0).put(VIEW | {"value": wrong}, now_ms=1)
    assert drop is not None
    assert drop.reason == "unserialisable"


def test_a_failing_on_drop_is_logged_and_goes_no_further(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(drop: Drop) -> None:
        raise RuntimeError("ours")

    Outbox(1, fail).report([Drop(VIEW, "closed")])
    assert "on_drop has failed" in caplog.text


def test_a_body_says_when_it_was_sent() -> None:
    assert json.loads(body_of([b"1", b"2"], sent_at_ms=9)) == {"sentAt": 9, "events": [1, 2]}
