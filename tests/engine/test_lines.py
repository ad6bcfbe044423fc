"""Events one a line: which bodies are taken, which refused, and that no step takes many."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.decoding import FAULTS_MAX
from engine.errors import InvalidEvents, MalformedBody, TooLarge
from engine.events import AcceptedTimes, Kind, replay
from engine.lines import Limits, _has_line_beyond, decode_lines
from tests.harness import run, unread

VIEW = b'{"eventType":"marketplace_view","serviceId":"s-%d"}'
NO_VIEW = b'{"eventType":"marketplace_view"}'
LATE = b'{"eventType":"marketplace_view","serviceId":"s","timestamp":99}'
TIMES = AcceptedTimes(1_000, 2_000, 1_500)
LIMITS = Limits(events_max=1_000, line_bytes_max=500, text_bytes_max=200)


def decoded(*pieces, skip=False, limits=LIMITS):
    return run(decode_lines(pieces, limits=limits, times=TIMES, skip=skip, keep=unread))


def services(batches):
    return [event.service_id for batch in batches for event in batch.events]


@pytest.mark.parametrize(
    "body",
    [
        VIEW % 0 + b"\n" + VIEW % 1,
        VIEW % 0 + b"\n" + VIEW % 1 + b"\n",
        VIEW % 0 + b"\r\n" + VIEW % 1 + b"\r\n",
        b"\n\r\n \t\n" + VIEW % 0 + b"\n\n   \n" + VIEW % 1 + b"\n \n\n",
        b"  " + VIEW % 0 + b"  \n\t" + VIEW % 1 + b"\t",
    ],
)
def test_lines_are_events_and_blank_ones_are_nothing(body):
    for size in (1, 2, 7, 30, len(body)):
        pieces = [body[start : start + size] for start in range(0, len(body), size)]
        batches, rejected = decoded(*pieces)
        assert services(batches) == ["s-0", "s-1"]
        assert rejected == []
        assert {batch.kind for batch in batches} == {Kind.LINES}
        for batch in batches:
            assert replay(batch.kind, batch.body) == batch


def test_blank_lines_are_not_kept():
    (batch,), _ = decoded(b"\n" * 5_000 + VIEW % 0 + b"\n" * 5_000 + VIEW % 1 + b"\n" * 5_000)
    assert batch.body == VIEW % 0 + b"\n" + VIEW % 1


@pytest.mark.parametrize("body", [b"", b"\n", b" \r\n\t\n"])
@pytest.mark.parametrize("skip", [False, True])
def test_no_event_at_all_is_invalid(body, skip):
    with pytest.raises(InvalidEvents, match="1 to 1000 events, this one 0"):
        decoded(body, skip=skip)


def test_one_faulty_event_refuses_all_and_every_one_is_named_by_its_number():
    body = b"\n".join([VIEW % 0, b"", NO_VIEW, VIEW % 1, LATE, b'{"eventType":"x"}'])
    with pytest.raises(InvalidEvents, match="3 of 5 events are not valid") as refusal:
        decoded(body[:60], body[60:])
    named = [(fault.index, fault.path) for fault in refusal.value.faults]
    assert named == [(1, "$"), (3, "$.timestamp"), (4, "$.eventType")]


def test_of_many_faults_the_first_hundred_are_named():
    with pytest.raises(InvalidEvents, match="150 of 150 events") as refusal:
        decoded(*[NO_VIEW + b"\n"] * 150)
    assert [fault.index for fault in refusal.value.faults] == list(range(FAULTS_MAX))


def test_faulty_events_are_left_out_and_named_where_that_is_asked():
    lines = [VIEW % 0, NO_VIEW, b"{", VIEW % 1, b"\xff", b"[" * 2_000, VIEW % 2 + VIEW % 3]
    limits = LIMITS._replace(line_bytes_max=2_000)
    batches, rejected = decoded(b"\n".join(lines), skip=True, limits=limits)
    assert services(batches) == ["s-0", "s-1"]
    assert [fault.index for fault in rejected] == [1, 2, 4, 5, 6]
    assert {fault.path for fault in rejected} == {"$"}
    assert batches[0].body == VIEW % 0 + b"\n" + VIEW % 1
    assert replay(Kind.LINES, batches[0].body) == batches[0]


def test_every_event_may_be_left_out():
    batches, rejected = decoded(NO_VIEW, skip=True)
    assert (batches, len(rejected)) == ([], 1)


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"nonsense",
        b"\xef\xbb\xbf" + VIEW % 1,
        b'{"eventType":"marketplace_view","serviceId":"\xff"}',
        b'{"eventType":"marketplace_view","serviceId":"\\ud800"}',
        b"[" * 400,
        VIEW % 1 + b"," + VIEW % 2,
        VIEW % 1 + b" " + VIEW % 2,
        b'{"eventType":"marketplace_view",\n"serviceId":"s"}',
        b'{"a":NaN}',
        b"\0",
    ],
)
def test_a_line_that_is_no_json_refuses_all_also_behind_a_faulty_event(line):
    with pytest.raises(MalformedBody, match="Event 1: "):
        decoded(VIEW % 0 + b"\n" + line + b"\n" + VIEW % 3)
    with pytest.raises(MalformedBody, match="Event 2: "):
        decoded(NO_VIEW + b"\n" + NO_VIEW + b"\n" + line)


@pytest.mark.parametrize("line", [b"[]", b"1", b"null", b'"text"', b"[%b]" % (VIEW % 1)])
def test_a_line_that_is_json_and_no_object_is_a_faulty_event(line):
    with pytest.raises(InvalidEvents) as refusal:
        decoded(VIEW % 0 + b"\n" + line)
    assert [fault.index for fault in refusal.value.faults] == [1]


@pytest.mark.parametrize("skip", [False, True])
def test_as_many_events_as_may_be_and_not_one_more(skip):
    limits = LIMITS._replace(events_max=300)
    for faulty in (b"", NO_VIEW + b"\n"):
        lines = [VIEW % 0 + b"\n"] * (299 if faulty else 300)
        if not faulty or skip:
            batches, rejected = decoded(*lines, faulty, limits=limits, skip=skip)
            assert len(services(batches)) + len(rejected) == 300
        with pytest.raises(InvalidEvents, match="1 to 300 events, this one more"):
            decoded(*lines, faulty, VIEW % 0, limits=limits, skip=skip)


@pytest.mark.parametrize("skip", [False, True])
def test_a_line_as_long_as_may_be_and_not_one_byte_more(skip):
    at_limit = VIEW % 0 + b" " * (LIMITS.line_bytes_max - len(VIEW % 0))
    for pieces in ([at_limit, b"\n"], [VIEW % 1 + b"\n" + at_limit + b"\n" + VIEW % 2]):
        assert "s-0" in services(decoded(*pieces, skip=skip)[0])
    for pieces in (
        [at_limit + b" \n"],
        [at_limit, b" "],
        [VIEW % 1 + b"\n" + at_limit + b" \n" + VIEW % 2],
    ):
        with pytest.raises(TooLarge, match="500 bytes"):
            decoded(*pieces, skip=skip)


def test_texts_too_long_refuse_all_or_are_left_out():
    long = json.dumps(
        {"eventType": "marketplace_view", "serviceId": "s", "category": "x" * 200}
    ).encode()
    with pytest.raises(TooLarge, match="Event 1: The texts of the event take 201 bytes"):
        decoded(VIEW % 0 + b"\n" + long)
    batches, rejected = decoded(VIEW % 0 + b"\n" + long, skip=True)
    assert (len(batches), [fault.index for fault in rejected]) == (1, [1])


def test_what_a_fault_repeats_is_short():
    batches, (fault,) = decoded(b'{"eventType":"%b"}' % (b"x" * 450), skip=True)
    assert batches == []
    assert len(fault.message) == 300


def test_each_piece_and_each_faulty_line_is_a_step():
    good = decode_lines(
        [VIEW % 0 + b"\n"] * 50, limits=LIMITS, times=TIMES, skip=True, keep=unread
    )
    assert sum(1 for _ in good) >= 50
    faulty = (NO_VIEW + b"\n") * 900
    steps = decode_lines([faulty], limits=LIMITS, times=TIMES, skip=True, keep=unread)
    assert sum(1 for _ in steps) >= 900


def test_a_body_of_an_unknown_kind_is_not_guessed_at():
    with pytest.raises(Exception, match="no body of kind 9"):
        replay(9, VIEW % 0)


@given(st.lists(st.integers(0, 12), max_size=12), st.integers(1, 10), st.booleans())
def test_a_line_that_is_too_long_is_found_wherever_it_stands(sizes, bytes_max, ends):
    chunk = b"\n".join(b"x" * size for size in sizes) + b"\n" * ends
    assert _has_line_beyond(chunk, bytes_max) == (max(sizes, default=0) > bytes_max)
