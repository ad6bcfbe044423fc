"""From a body to a batch: decoded and checked in one pass, or refused with all its faults."""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from engine.errors import (
    Fault,
    InvalidDocument,
    InvalidEvents,
    MalformedBody,
    TallymarkError,
    TooLarge,
)
from engine.events import (
    ABSENT,
    COHORT_BYTES_MAX,
    EVENT_ID_BYTES_MAX,
    ID_BYTES_MAX,
    AcceptedTimes,
    Batch,
    Event,
    Instant,
    Kind,
    decode_event,
    instant_ms,
    replay,
)
from engine.refusal import told

FAULTS_MAX: Final = 100
"""Faults listed in one refusal; of a batch with more, the first hundred."""

FAULT_CHARS_MAX: Final = 300
"""Characters of one fault's message, which may quote what was sent."""


Document = TypeVar("Document")

_raw_array: Final = msgspec.json.Decoder(list[msgspec.Raw])


class _RawEnvelope(Struct, frozen=True, rename="camel", gc=False):
    events: list[msgspec.Raw]
    sent_at: Instant | None = None


_raw_envelope: Final = msgspec.json.Decoder(_RawEnvelope)

_any_json: Final = msgspec.json.Decoder(float_hook=len)
"""Decodes whatever is JSON. By default a number beyond a double, such as 1e400, is refused like
a letter out of place, though the grammar allows it and an unknown field may hold it."""


NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are not JSON; a ValidationError is a DecodeError too."""


def decode_one(body: bytes, *, times: AcceptedTimes, text_bytes_max: int) -> Batch:
    """The one event of `POST /track`. Raises MalformedBody, InvalidEvents or TooLarge."""
    try:
        batch = replay(Kind.ONE, body)
    except msgspec.ValidationError as refusal:
        _must_be_json(body)
        raise invalid([_fault(0, refusal)], of=1) from None
    except NOT_JSON as refusal:
        raise _malformed(refusal) from None
    has_long = len(body) > text_bytes_max
    return checked(batch, times=times, text_bytes_max=text_bytes_max, has_long=has_long)


def decode_many(
    body: bytes, *, events_max: int, times: AcceptedTimes, text_bytes_max: int
) -> Batch:
    """The array or envelope of `POST /track/batch`, all or nothing.

    Raises MalformedBody, TooLarge, or InvalidEvents with every faulty event.
    """
    kind = _kind_of(body)
    try:
        batch = replay(kind, body)
    except msgspec.ValidationError as refusal:
        _must_be_json(body)
        _, raws = _pieces(kind, body)
        must_fit(len(raws), events_max)
        faults = [fault for i, raw in enumerate(raws) if (fault := _fault_of(i, raw))]
        raise invalid(faults or [_fault(0, refusal)], of=len(raws)) from None
    except NOT_JSON as refusal:
        raise _malformed(refusal) from None
    must_fit(len(batch.events), events_max)
    has_long = len(body) > text_bytes_max
    return checked(batch, times=times, text_bytes_max=text_bytes_max, has_long=has_long)


def decode_lenient(
    body: bytes, *, events_max: int, times: AcceptedTimes, text_bytes_max: int
) -> tuple[Batch, list[Fault]]:
    """The good events of an array or envelope, and what is wrong with the others.

    The batch's body holds the good ones alone, joined anew, so that a replay reads just them.
    Raises MalformedBody, or InvalidEvents where it is no list of events at all.
    """
    kind = _kind_of(body)
    _must_be_json(body)
    sent_at_ms, raws = _pieces(kind, body)
    must_fit(len(raws), events_max)
    times = times.for_sender(sent_at_ms)
    good: list[bytes] = []
    events: list[Event] = []
    faults: list[Fault] = []
    for index, raw in enumerate(raws):
        piece = bytes(raw)
        try:
            one = decode_one(piece, times=times, text_bytes_max=text_bytes_max)
        except (InvalidEvents, TooLarge) as refusal:
            faults.append(renumbered(index, refusal))
        else:
            good.append(piece)
            events += one.events
    times_ms = [instant_ms(e.timestamp) for e in events]
    joined = b"[" + b",".join(good) + b"]"
    if kind == Kind.ENVELOPE:
        told = b"" if sent_at_ms == ABSENT else b'"sentAt":%d,' % sent_at_ms
        joined = b'{%b"events":%b}' % (told, joined)
    return Batch(kind, joined, events, times_ms, sent_at_ms), faults


def decode_document(body: bytes, kind: type[Document]) -> Document:
    """A JSON document that is not an event. Raises MalformedBody or InvalidDocument."""
    try:
        return msgspec.json.decode(body, type=kind)
    except msgspec.ValidationError as refusal:
        _must_be_json(body)
        raise invalid_document(refusal, kind) from None
    except NOT_JSON as refusal:
        raise _malformed(refusal) from None


def invalid_document(refusal: Exception, kind: object) -> InvalidDocument:
    """The refusal of a document that should have been a `kind`, by what msgspec said of it."""
    fault = _fault(0, refusal, kind)
    return InvalidDocument(f"{fault.message} (at {fault.path}).", (fault,))


def _kind_of(body: bytes) -> int:
    return Kind.ENVELOPE if body.lstrip(b" \t\r\n")[:1] == b"{" else Kind.ARRAY


def _pieces(kind: int, body: bytes) -> tuple[int, list[msgspec.Raw]]:
    try:
        if kind == Kind.ARRAY:
            return ABSENT, _raw_array.decode(body)
        envelope = _raw_envelope.decode(body)
    except msgspec.ValidationError as refusal:
        raise invalid([_fault(0, refusal)], of=1) from None
    return instant_ms(envelope.sent_at), envelope.events


def must_fit(count: int, events_max: int) -> None:
    """Raises InvalidEvents where a batch has none, or too many."""
    if not 1 <= count <= events_max:
        raise InvalidEvents(f"A batch holds 1 to {events_max} events, this one {count}.")


def _must_be_json(body: bytes) -> None:
    # Only after a ValidationError, which stops at the first wrong value: what follows it may
    # not be JSON at all, and that is the graver fault.
    try:
        _any_json.decode(body)
    except NOT_JSON as refusal:
        raise _malformed(refusal) from None


def _malformed(refusal: Exception) -> MalformedBody:
    if isinstance(refusal, RecursionError):
        return MalformedBody("The body is nested too deeply.")
    if isinstance(refusal, UnicodeDecodeError):
        return MalformedBody("The body is not valid UTF-8.")
    return MalformedBody(f"The body is not valid JSON: {refusal}.")


def _fault(index: int, refusal: Exception, kind: object = Event) -> Fault:
    """What msgspec refused in a `kind`, as the fault of what has this place in a batch."""
    message, path = told(refusal, kind)
    return Fault(index, path, message[:FAULT_CHARS_MAX])


def _fault_of(index: int, raw: msgspec.Raw) -> Fault | None:
    try:
        decode_event(raw)
    except (msgspec.ValidationError, RecursionError) as refusal:
        return _fault(index, refusal)
    return None


def renumbered(index: int, refusal: TallymarkError) -> Fault:
    """What is wrong with one event that was decoded alone, as the fault of its batch."""
    if isinstance(refusal, InvalidEvents) and refusal.faults:
        return dataclasses.replace(refusal.faults[0], index=index)
    return Fault(index, "$", str(refusal))


def invalid(faults: list[Fault], *, of: int) -> InvalidEvents:
    """The refusal of a batch of `of` events, at least one of them faulty."""
    first = faults[0]
    where = f"event {first.index}, {first.path}" if of > 1 else first.path
    detail = f"{first.message} (at {where})"
    if len(faults) > 1:
        detail = f"{len(faults)} of {of} events are not valid; the first: {detail}"
    return InvalidEvents(f"{detail}.", tuple(faults[:FAULTS_MAX]))


def checked(
    batch: Batch, *, times: AcceptedTimes, text_bytes_max: int, has_long: bool
) -> Batch:
    """What msgspec cannot say: instants, and sizes in bytes. Returns `batch`.

    has_long  whether an event may take more than `text_bytes_max` in the body

    Raises InvalidEvents or TooLarge.
    """
    body = batch.body
    faults = _time_faults(batch, times)
    # A text in JSON never takes fewer bytes than its UTF-8, and one that is plain ASCII takes
    # as many as it has letters, which msgspec has counted: both loops are for rare bodies.
    if not body.isascii() or b"\\" in body:
        faults += _byte_faults(batch.events)
    if has_long:
        _must_have_short_texts(batch.events, text_bytes_max)
    if faults:
        raise invalid(sorted(faults), of=len(batch.events))
    return batch


def _time_faults(batch: Batch, times: AcceptedTimes) -> list[Fault]:
    # The instants are mended when the batch gets its number, a little later than now; here
    # that is near enough, for the limits are minutes and years.
    if batch.sent_at_ms != ABSENT:
        times = times.for_sender(batch.sent_at_ms)
    first_ms, last_ms, _ = times
    latest_ms = max(batch.times_ms)
    if latest_ms == ABSENT or (latest_ms <= last_ms and min(batch.times_ms) >= first_ms):
        return []
    return [
        Fault(index, "$.timestamp", _beyond(at_ms, times))
        for index, at_ms in enumerate(batch.times_ms)
        if at_ms != ABSENT and not first_ms <= at_ms <= last_ms
    ]


def _beyond(at_ms: int, times: AcceptedTimes) -> str:
    first, last = (
        dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat(timespec="seconds")
        for ms in times[:2]
    )
    in_seconds = times.first_ms <= at_ms * 1000 <= times.last_ms
    hint = "; a number is epoch milliseconds, and this one would be seconds" * in_seconds
    return f"Expected an instant between {first} and {last}{hint}"


_BYTES_MAX: Final = {
    "event_id": EVENT_ID_BYTES_MAX,
    "cohort": COHORT_BYTES_MAX,
    **dict.fromkeys(
        (
            "user_id", "session_id", "service_id", "execution_id", "order_id", "creator_id",
            "subscription_id", "experiment_id",
        ),
        ID_BYTES_MAX,
    ),
}  # fmt: skip


def _byte_faults(events: Sequence[Event]) -> list[Fault]:
    faults = []
    for index, event in enumerate(events):
        for name, bytes_max in _BYTES_MAX.items():
            text = getattr(event, name, None)
            if text is not None and len(text.encode()) > bytes_max:
                path = "$." + _camel(name)
                faults.append(
                    Fault(index, path, f"Expected `str` of at most {bytes_max} bytes")
                )
    return faults


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(word.title() for word in rest)


def _must_have_short_texts(events: Sequence[Event], text_bytes_max: int) -> None:
    for index, event in enumerate(events):
        # Its JSON holds all of its texts; to write it takes a quarter of looking at each.
        if len(msgspec.json.encode(event)) <= text_bytes_max:
            continue
        texts = (getattr(event, name) for name in event.__struct_fields__)
        total = sum(len(text.encode()) for text in texts if isinstance(text, str))
        if total > text_bytes_max:
            which = f"event {index}" if len(events) > 1 else "the event"
            raise TooLarge(
                f"The texts of {which} take {total} bytes together, more than the "
                f"{text_bytes_max} that one event may."
            )
