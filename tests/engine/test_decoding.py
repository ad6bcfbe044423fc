import json
from typing import Any

import msgspec
import pytest

from engine import decoding, events
from engine.errors import InvalidEvents, MalformedBody, TooLarge
from engine.events import ABSENT, SENT_AT_MS_END, AcceptedTimes, Batch, Kind

DAY_MS = 86_400_000
NOW_MS = 1_794_007_200_000  # 2026-11-06T23:20:00Z
TIMES = AcceptedTimes(NOW_MS - 400 * DAY_MS, NOW_MS + 300_000, NOW_MS)
TEXT_MAX = 16_384

CALL = {"eventType": "service_execution", "serviceId": "s", "latencyMs": 1, "success": True}
SALE = {
    "eventType": "revenue_transaction",
    "orderId": "o",
    "amount": 1,
    "currency": "USD",
    "serviceId": "s",
}
SEARCH = {"eventType": "marketplace_search", "searchQuery": ""}
VIEW = {"eventType": "marketplace_view", "serviceId": "s"}
PURCHASE = {"eventType": "marketplace_conversion", "serviceId": "s"}
SHOWN = {"eventType": "experiment_view", "experimentId": "x", "variantIndex": 0}
GOAL = {"eventType": "experiment_conversion", "experimentId": "x", "variantIndex": 63}
SESSION = {"eventType": "user_session", "sessionId": "s", "duration": 0}
EVERY = [CALL, SALE, SEARCH, VIEW, PURCHASE, SHOWN, GOAL, SESSION]

FULL: dict[str, dict[str, Any]] = {
    "service_execution": {"executionId": "e", "errorCode": "E", "serviceName": "n"},
    "revenue_transaction": {
        "takeRate": 100,
        "creatorId": "c",
        "status": "completed",
        "billingInterval": "month",
        "billingIntervalCount": 1,
        "subscriptionId": "s",
    },
    "marketplace_search": {"resultCount": 0},
    "marketplace_view": {"serviceName": "n"},
    "marketplace_conversion": {"orderId": "o", "amount": 0, "currency": "EUR"},
    "experiment_view": {"experimentName": "n", "variantName": "v"},
    "experiment_conversion": {"experimentName": "n", "variantName": "v", "value": -1.5},
    "user_session": {"cohort": "2025-10"},
}
COMMON = {"eventId": "i", "timestamp": NOW_MS, "userId": "u", "sessionId": "s", "category": "c"}


def one(event: Any, **more: Any) -> Batch:
    body = json.dumps({**event, **more}, ensure_ascii=False).encode()
    return decoding.decode_one(body, times=TIMES, text_bytes_max=TEXT_MAX)


def many(told: Any, events_max: int = 25) -> Batch:
    return decoding.decode_many(
        json.dumps(told).encode(), events_max=events_max, times=TIMES, text_bytes_max=TEXT_MAX
    )


def lenient(told: Any) -> tuple[Batch, list[Any]]:
    return decoding.decode_lenient(
        json.dumps(told).encode(), events_max=25, times=TIMES, text_bytes_max=TEXT_MAX
    )


def refused(event: Any, **more: Any) -> str:
    with pytest.raises(InvalidEvents) as refusal:
        one(event, **more)
    return str(refusal.value)


# -- the eight types --------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVERY, ids=lambda e: e["eventType"])
def test_an_event_needs_nothing_but_what_the_contract_requires(event: dict[str, Any]) -> None:
    decoded = one(event).events[0]
    given = set(event) - {"eventType"}
    fields = dict(zip(decoded.__struct_encode_fields__, decoded.__struct_fields__, strict=True))
    absent = {
        wire: getattr(decoded, name) for wire, name in fields.items() if wire not in given
    }
    assert set(absent.values()) == {None}


@pytest.mark.parametrize("event", EVERY, ids=lambda e: e["eventType"])
def test_every_required_field_is_missed(event: dict[str, Any]) -> None:
    for name in event.keys() - {"eventType"}:
        less = {key: value for key, value in event.items() if key != name}
        assert refused(less) == f"Object missing required field `{name}` (at $)."


@pytest.mark.parametrize("event", EVERY, ids=lambda e: e["eventType"])
def test_every_optional_field_is_taken(event: dict[str, Any]) -> None:
    more = {**COMMON, **FULL[event["eventType"]]}
    decoded = one({**more, **event}).events[0]
    fields = zip(decoded.__struct_encode_fields__, decoded.__struct_fields__, strict=True)
    values = {wire: getattr(decoded, name) for wire, name in fields}
    assert values == {k: v for k, v in {**more, **event}.items() if k != "eventType"}


@pytest.mark.parametrize("event", EVERY, ids=lambda e: e["eventType"])
def test_null_in_an_optional_field_is_absent(event: dict[str, Any]) -> None:
    nulls = dict.fromkeys({**COMMON, **FULL[event["eventType"]]}.keys() - event.keys())
    assert one(event, **nulls).events == one(event).events


def test_null_in_a_required_field_is_refused() -> None:
    assert refused(CALL, serviceId=None) == "Expected `str`, got `null` (at $.serviceId)."


def test_unknown_fields_are_ignored_and_unknown_types_are_not() -> None:
    assert one(VIEW, colour="red", deep={"er": [1]}).events == one(VIEW).events
    assert refused(VIEW, eventType="click") == (
        "Expected one of service_execution, revenue_transaction, marketplace_search, "
        "marketplace_view, marketplace_conversion, experiment_view, experiment_conversion, "
        "user_session, got 'click' (at $.eventType)."
    )
    assert refused({}) == "Object missing required field `eventType` (at $)."


# -- limits -----------------------------------------------------------------------------------

IDS = [
    (CALL, "serviceId"), (CALL, "executionId"), (CALL, "userId"), (CALL, "sessionId"),
    (SALE, "orderId"), (SALE, "creatorId"), (SALE, "subscriptionId"), (SALE, "serviceId"),
    (VIEW, "serviceId"), (PURCHASE, "orderId"), (SHOWN, "experimentId"),
    (GOAL, "experimentId"), (SESSION, "sessionId"),
]  # fmt: skip


@pytest.mark.parametrize(("event", "name"), IDS)
def test_an_id_has_1_to_256_bytes(event: dict[str, Any], name: str) -> None:
    one(event, **{name: "x" * 256})
    assert refused(event, **{name: "x" * 257}) == (
        f"Expected `str` of length <= 256 (at $.{name})."
    )
    assert refused(event, **{name: ""}) == f"Expected `str` of length >= 1 (at $.{name})."


def test_an_id_is_measured_in_bytes_and_not_in_letters() -> None:
    one(CALL, serviceId="é" * 128)
    message = "Expected `str` of at most 256 bytes (at $.serviceId)."
    assert refused(CALL, serviceId="é" * 128 + "x") == message
    escaped = json.dumps({**CALL, "serviceId": "é" * 129}).encode()
    assert escaped.isascii()
    with pytest.raises(InvalidEvents, match="at most 256 bytes"):
        decoding.decode_one(escaped, times=TIMES, text_bytes_max=TEXT_MAX)


def test_an_event_id_has_1_to_128_bytes() -> None:
    one(VIEW, eventId="x" * 128)
    one(VIEW, eventId="é" * 64)
    assert refused(VIEW, eventId="x" * 129) == "Expected `str` of length <= 128 (at $.eventId)."
    assert refused(VIEW, eventId="é" * 64 + "x") == (
        "Expected `str` of at most 128 bytes (at $.eventId)."
    )
    assert refused(VIEW, eventId="") == "Expected `str` of length >= 1 (at $.eventId)."


def test_a_cohort_has_1_to_64_bytes() -> None:
    one(SESSION, cohort="x" * 64)
    assert refused(SESSION, cohort="x" * 65) == "Expected `str` of length <= 64 (at $.cohort)."
    assert refused(SESSION, cohort="é" * 33) == (
        "Expected `str` of at most 64 bytes (at $.cohort)."
    )


def test_texts_without_a_limit_of_their_own_may_be_empty_or_long() -> None:
    one(CALL, errorCode="", category="", serviceName="n" * 5_000)
    one(SEARCH, searchQuery="q" * 16_000)


def test_all_texts_of_an_event_together_have_16_kilobytes() -> None:
    one(SEARCH, searchQuery="q" * TEXT_MAX)
    one(SEARCH, searchQuery="é" * (TEXT_MAX // 2))
    one(SEARCH, searchQuery="q", ignored="x" * 2 * TEXT_MAX)
    for query, category in (("q" * TEXT_MAX, "c"), ("é" * (TEXT_MAX // 2), "c")):
        with pytest.raises(TooLarge) as refusal:
            one(SEARCH, searchQuery=query, category=category)
        assert refusal.value.status == 413
        assert str(refusal.value) == (
            "The texts of the event take 16385 bytes together, more than the 16384 that one "
            "event may."
        )


def test_a_batch_of_many_long_events_is_no_long_event() -> None:
    assert len(many([{**SEARCH, "searchQuery": "q" * 10_000}] * 5).events) == 5


@pytest.mark.parametrize(
    ("event", "name", "taken", "refusal"),
    [
        (CALL, "latencyMs", [0, -0.0, 0.5, 1e300], [-1e-9, "1", True]),
        (SALE, "amount", [0, 0.01, 1e15], [-0.01, 1.1e15, "1"]),
        (SALE, "takeRate", [0, 12.5, 100], [-0.1, 100.1]),
        (SALE, "billingIntervalCount", [1, 1000], [0, 1001, 1.5]),
        (SALE, "billingInterval", ["day", "week", "month", "year"], ["quarter", ""]),
        (SALE, "status", ["completed", "refunded", "failed"], ["done"]),
        (PURCHASE, "amount", [0, 1e15], [-1]),
        (SEARCH, "resultCount", [0, 2**53 - 1], [-1, 2**53, 0.5]),
        (SHOWN, "variantIndex", [0, 63], [-1, 64, 0.5, "0", True]),
        (GOAL, "variantIndex", [0, 63], [-1, 64]),
        (GOAL, "value", [-1e9, 0, 3.5], ["1"]),
        (SESSION, "duration", [0, 1e12], [-1]),
        (CALL, "success", [True, False], [0, "true", None]),
    ],
)
def test_a_value_is_taken_at_its_limit_and_refused_beyond(
    event: dict[str, Any], name: str, taken: list[Any], refusal: list[Any]
) -> None:
    for value in taken:
        one(event, **{name: value})
    for value in refusal:
        assert refused(event, **{name: value}).endswith(f"(at $.{name}).")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_that_is_not_finite_is_not_json(number: str) -> None:
    body = json.dumps(CALL).replace('"latencyMs": 1', f'"latencyMs": {number}').encode()
    with pytest.raises(MalformedBody):
        decoding.decode_one(body, times=TIMES, text_bytes_max=TEXT_MAX)


@pytest.mark.parametrize("event", [SALE, PURCHASE])
def test_a_currency_is_a_code_of_iso_4217(event: dict[str, Any]) -> None:
    one(event, currency="JPY")
    for code in ("QQQ", "usd", "US", ""):
        expected = "Expected a code of ISO 4217 in capitals, such as USD"
        assert refused(event, currency=code) == f"{expected}, got '{code}' (at $.currency)."


def test_a_value_that_is_none_of_its_choices_is_refused_with_them() -> None:
    assert refused(SALE, status="done") == (
        "Expected one of completed, failed, refunded, got 'done' (at $.status)."
    )
    assert refused(SALE, billingInterval="monthly") == (
        "Expected one of day, month, week, year, got 'monthly' (at $.billingInterval)."
    )


# -- instants ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("timestamp", "at_ms"),
    [
        (NOW_MS, NOW_MS),
        (float(NOW_MS) + 0.9, NOW_MS),
        ("2026-11-06T23:20:00Z", NOW_MS),
        ("2026-11-06T23:20:00", NOW_MS),
        ("2026-11-06t23:20:00z", NOW_MS),
        ("2026-11-06 23:20:00Z", NOW_MS),
        ("2026-11-06T23:20:00.0019Z", NOW_MS + 1),
        ("2026-11-07T04:50:00+05:30", NOW_MS),
        ("2026-11-07T05:05:00+05:45", NOW_MS),
        ("2026-11-06T13:50:00-09:30", NOW_MS),
        (None, ABSENT),
    ],
)
def test_a_timestamp_is_an_instant_in_epoch_milliseconds(timestamp: Any, at_ms: int) -> None:
    assert one(VIEW, timestamp=timestamp).times_ms == [at_ms]


@pytest.mark.parametrize(
    "timestamp",
    [
        "2026-11-06",
        "2016-12-31T23:59:60Z",
        "yesterday",
        "",
        "2026-02-30T00:00:00Z",
        str(NOW_MS),
    ],
)
def test_what_is_no_instant_is_refused(timestamp: str) -> None:
    assert refused(VIEW, timestamp=timestamp) == (
        "Invalid RFC3339 encoded datetime (at $.timestamp)."
    )


def test_seconds_in_the_place_of_milliseconds_are_told_as_such() -> None:
    assert refused(VIEW, timestamp=NOW_MS // 1000).endswith(
        "; a number is epoch milliseconds, and this one would be seconds (at $.timestamp)."
    )


def test_a_timestamp_is_at_most_five_minutes_ahead_and_400_days_old() -> None:
    for at_ms in (TIMES.first_ms, TIMES.last_ms):
        one(VIEW, timestamp=at_ms)
    message = (
        "Expected an instant between 2025-10-02T23:20:00+00:00 and 2026-11-06T23:25:00+00:00 "
        "(at $.timestamp)."
    )
    for at_ms in (TIMES.first_ms - 1, TIMES.last_ms + 1, 0, -5, 1e300, 10**30):
        assert refused(VIEW, timestamp=at_ms) == message


# -- batches ----------------------------------------------------------------------------------


def test_a_batch_has_1_to_25_events() -> None:
    assert many([VIEW] * 25).kind == Kind.ARRAY
    for count in (0, 26):
        with pytest.raises(InvalidEvents) as refusal:
            many([VIEW] * count)
        assert str(refusal.value) == f"A batch holds 1 to 25 events, this one {count}."


def test_too_many_events_are_told_before_their_faults() -> None:
    with pytest.raises(InvalidEvents, match="1 to 25 events, this one 26"):
        many([{}] * 26)


def test_every_faulty_event_is_named_by_index_and_path() -> None:
    with pytest.raises(InvalidEvents) as refusal:
        many([VIEW, {**VIEW, "serviceId": 1}, VIEW, {"eventType": "nope"}])
    assert [(f.index, f.path) for f in refusal.value.faults] == [
        (1, "$.serviceId"),
        (3, "$.eventType"),
    ]
    assert str(refusal.value) == (
        "2 of 4 events are not valid; the first: Expected `str`, got `int` "
        "(at event 1, $.serviceId)."
    )


def test_faults_that_only_we_see_are_named_too() -> None:
    with pytest.raises(InvalidEvents) as refusal:
        many([{**VIEW, "timestamp": 1}, VIEW, {**VIEW, "serviceId": "é" * 129}])
    assert [(f.index, f.path) for f in refusal.value.faults] == [
        (0, "$.timestamp"),
        (2, "$.serviceId"),
    ]


@pytest.mark.parametrize(
    "body",
    [b"", b"nul", b"[", b'{"a":1}x', b"[{]", b"\xff", b'["\xc3"]', b"[" * 5_000, b'[{"a":01}]'],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    for decode in (decoding.decode_many, decoding.decode_lenient):
        with pytest.raises(MalformedBody) as refusal:
            decode(body, events_max=25, times=TIMES, text_bytes_max=TEXT_MAX)
        assert refusal.value.status == 400
    with pytest.raises(MalformedBody):
        decoding.decode_one(body, times=TIMES, text_bytes_max=TEXT_MAX)


def test_bad_json_at_the_end_wins_over_a_bad_event_at_the_beginning() -> None:
    with pytest.raises(MalformedBody):
        decoding.decode_many(
            b'[{"eventType":"nope"},', events_max=25, times=TIMES, text_bytes_max=TEXT_MAX
        )
    with pytest.raises(MalformedBody):
        decoding.decode_one(b'{"eventType":"nope","x":[}', times=TIMES, text_bytes_max=TEXT_MAX)


@pytest.mark.parametrize("told", [1, "x", None, {}, {"events": 1}, {"events": None}, [1]])
def test_json_that_is_no_list_of_events_is_invalid(told: Any) -> None:
    with pytest.raises(InvalidEvents) as refusal:
        many(told)
    assert refusal.value.status == 422


def test_depth_in_an_unknown_field_is_refused_and_not_a_crash() -> None:
    body = b'{"eventType":"marketplace_view","serviceId":"s","x":' + b"[" * 5_000
    with pytest.raises(MalformedBody, match="nested too deeply"):
        decoding.decode_one(body, times=TIMES, text_bytes_max=TEXT_MAX)


# -- the envelope -----------------------------------------------------------------------------


def test_an_envelope_is_a_batch_that_tells_when_it_was_sent() -> None:
    batch = many({"sentAt": NOW_MS - 5_000, "events": [VIEW, {**VIEW, "timestamp": NOW_MS}]})
    assert (batch.kind, batch.sent_at_ms) == (Kind.ENVELOPE, NOW_MS - 5_000)
    assert list(batch.times_ms) == [ABSENT, NOW_MS]
    assert many({"events": [VIEW]}).sent_at_ms == ABSENT


@pytest.mark.parametrize(
    ("sent_at_ms", "added_ms"),
    [(ABSENT, 0), (NOW_MS, 0), (NOW_MS - 1_000, 0), (NOW_MS - 1_001, 1_001),
     (NOW_MS + 1_000, 0), (NOW_MS + 3_600_000, -3_600_000)],
)  # fmt: skip
def test_a_senders_clock_is_corrected_where_it_is_off_by_more_than_a_second(
    sent_at_ms: int, added_ms: int
) -> None:
    assert events.correction_ms(NOW_MS, sent_at_ms) == added_ms


def test_limits_of_time_are_those_of_the_senders_clock() -> None:
    ahead_ms = 50 * DAY_MS
    told = {"sentAt": NOW_MS + ahead_ms, "events": [{**VIEW, "timestamp": NOW_MS + ahead_ms}]}
    assert many(told).times_ms == [NOW_MS + ahead_ms]
    with pytest.raises(InvalidEvents):
        many(
            {**told, "events": [{**VIEW, "timestamp": NOW_MS}], "sentAt": NOW_MS - 401 * DAY_MS}
        )


@pytest.mark.parametrize("told", [[VIEW], {"events": [VIEW]}, {"sentAt": 5, "events": [SALE]}])
def test_replay_reads_the_very_batch_that_was_accepted(told: Any) -> None:
    batch = many(told)
    assert events.replay(batch.kind, batch.body) == batch


def test_a_journal_of_nonsense_does_not_decode() -> None:
    with pytest.raises(msgspec.DecodeError):
        events.replay(Kind.ARRAY, b"[{}")


# -- lenient ----------------------------------------------------------------------------------


def test_lenient_keeps_the_good_and_lists_the_others() -> None:
    told = [VIEW, {**VIEW, "serviceId": ""}, {**VIEW, "timestamp": 1}, CALL, 7]
    batch, faults = lenient(told)
    assert list(batch.events) == [*many([VIEW, CALL]).events]
    assert [(fault.index, fault.path) for fault in faults] == [
        (1, "$.serviceId"),
        (2, "$.timestamp"),
        (4, "$"),
    ]


def test_lenient_lists_an_event_whose_texts_are_too_long() -> None:
    batch, faults = lenient([{**SEARCH, "searchQuery": "q" * 16_385}, VIEW])
    assert len(batch.events) == 1
    assert [fault.index for fault in faults] == [0]


@pytest.mark.parametrize(
    "told",
    [
        [VIEW, {}],
        {"events": [VIEW, {}]},
        {"sentAt": NOW_MS - 9_000, "events": [{**VIEW, "timestamp": NOW_MS}, {}]},
        {"sentAt": "2026-11-06T23:19:51.5Z", "events": [{**CALL, "timestamp": NOW_MS}, {}]},
        [{}],
    ],
)
def test_replay_of_a_lenient_batch_reads_just_what_was_kept(told: Any) -> None:
    batch, faults = lenient(told)
    assert len(faults) == 1
    assert events.replay(batch.kind, batch.body) == batch


def test_a_number_beyond_a_double_is_json_and_no_latency() -> None:
    body = json.dumps(CALL).replace('"latencyMs": 1', '"latencyMs": 1e400').encode()
    with pytest.raises(InvalidEvents, match=r"Number out of range \(at \$\.latencyMs\)"):
        decoding.decode_one(body, times=TIMES, text_bytes_max=TEXT_MAX)


def test_a_number_beyond_a_double_in_an_unknown_field_is_ignored_in_a_batch_too() -> None:
    view = json.dumps(VIEW | {"unknown": 0}).encode().replace(b": 0", b": 1e400")
    limits = {"times": TIMES, "text_bytes_max": TEXT_MAX}
    assert len(decoding.decode_one(view, **limits).events) == 1
    kept, faults = decoding.decode_lenient(b"[%b,{}]" % view, events_max=25, **limits)
    assert (len(kept.events), [fault.index for fault in faults]) == (1, [1])


def test_lenient_or_not_a_good_batch_is_the_same() -> None:
    strict, (batch, faults) = many([VIEW, CALL]), lenient([VIEW, CALL])
    assert (batch.events, batch.times_ms, faults) == (strict.events, strict.times_ms, [])


# -- index key --------------------------------------------------------------------------------


def test_a_skipped_event_with_long_texts_is_named_by_its_own_place_alone() -> None:
    long = {"eventType": "marketplace_search", "searchQuery": "q" * (TEXT_MAX + 1)}
    short = {"eventType": "marketplace_search", "searchQuery": "q"}
    _, faults = decoding.decode_lenient(
        json.dumps([short, long]).encode(), events_max=25, times=TIMES, text_bytes_max=TEXT_MAX
    )
    assert [fault.index for fault in faults] == [1]
    assert faults[0].message.startswith("The texts of the event take")


@pytest.mark.parametrize("sent_at", [SENT_AT_MS_END, 1e300, 2**70])
@pytest.mark.parametrize("event", [VIEW, {**VIEW, "timestamp": NOW_MS}])
def test_a_senders_clock_beyond_every_calendar_is_refused(sent_at: float, event: Any) -> None:
    told = {"sentAt": sent_at, "events": [event]}
    with pytest.raises(InvalidEvents, match="before the year 10000") as refusal:
        many(told)
    assert [(fault.index, fault.path) for fault in refusal.value.faults] == [(0, "$.sentAt")]
    with pytest.raises(InvalidEvents, match="before the year 10000"):
        decoding.decode_lenient(
            json.dumps(told).encode(), events_max=25, times=TIMES, text_bytes_max=16_384
        )


def test_a_senders_clock_that_is_far_off_is_mended() -> None:
    at_ms = SENT_AT_MS_END - 1
    assert many({"sentAt": at_ms, "events": [VIEW]}).sent_at_ms == at_ms
