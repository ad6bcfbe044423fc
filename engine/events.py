"""The eight events: decoded and validated in one pass, with the instants they happened at.

The raw bytes are what the journal keeps, so the rules here are part of its format: a body that
was accepted once must decode to the same events for as long as the journal is kept.
Duplicate JSON keys: the last wins. Texts may hold U+0000. A time without an offset is UTC.
"""

import dataclasses
import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, cast

import msgspec
from msgspec import Meta, Struct

from engine.errors import Fault, InvalidEvents, MalformedBody, TooLarge
from engine.money import CURRENCIES

ID_BYTES_MAX: Final = 256
EVENT_ID_BYTES_MAX: Final = 128
COHORT_BYTES_MAX: Final = 64
VARIANTS_MAX: Final = 64
FAULTS_MAX: Final = 100
"""Faults listed in one refusal; a batch with more is told the first hundred."""

AMOUNT_MAX: Final = 1e15
"""Above it a double no longer holds a thousandth of the currency unit."""

SKEW_MS_MIN: Final = 1_000
"""A sender's clock that is off by less is believed: the way here takes time too."""

ABSENT: Final = -1
"""In a list of instants: the event carries none, so it happened when it was received."""

# msgspec counts letters; `_byte_faults` counts bytes, for the rare text that is not ASCII.
Id = Annotated[str, Meta(min_length=1, max_length=ID_BYTES_MAX)]
EventId = Annotated[str, Meta(min_length=1, max_length=EVENT_ID_BYTES_MAX)]
Cohort = Annotated[str, Meta(min_length=1, max_length=COHORT_BYTES_MAX)]
if TYPE_CHECKING:
    CurrencyCode = str
else:
    CurrencyCode = Literal[tuple(sorted(CURRENCIES))]
Amount = Annotated[float, Meta(ge=0, le=AMOUNT_MAX)]
NotNegative = Annotated[float, Meta(ge=0)]
VariantIndex = Annotated[int, Meta(ge=0, lt=VARIANTS_MAX)]
Instant = dt.datetime | int | float
"""ISO 8601 text, or epoch milliseconds."""


class _Common(
    Struct, frozen=True, kw_only=True, rename="camel", tag_field="eventType", gc=False
):
    event_id: EventId | None = None
    timestamp: Instant | None = None
    user_id: Id | None = None
    session_id: Id | None = None
    category: str | None = None


class ServiceExecution(_Common, frozen=True, kw_only=True, tag="service_execution", gc=False):
    """One call of a service; `latency_ms` counts whether or not it succeeded."""

    service_id: Id
    latency_ms: NotNegative
    success: bool
    execution_id: Id | None = None
    error_code: str | None = None
    service_name: str | None = None


class RevenueTransaction(
    _Common, frozen=True, kw_only=True, tag="revenue_transaction", gc=False
):
    """One payment; `refunded` carries the positive amount that is given back."""

    order_id: Id
    amount: Amount
    currency: CurrencyCode
    service_id: Id
    take_rate: Annotated[float, Meta(ge=0, le=100, description="percent")] | None = None
    creator_id: Id | None = None
    status: Literal["completed", "refunded", "failed"] | None = None
    billing_interval: Literal["day", "week", "month", "year"] | None = None
    billing_interval_count: Annotated[int, Meta(ge=1, le=1000)] | None = None
    subscription_id: Id | None = None


class MarketplaceSearch(_Common, frozen=True, kw_only=True, tag="marketplace_search", gc=False):
    """One search; a `result_count` of 0 makes it a search that found nothing."""

    search_query: str
    result_count: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


class MarketplaceView(_Common, frozen=True, kw_only=True, tag="marketplace_view", gc=False):
    """One view of a service's page."""

    service_id: Id
    service_name: str | None = None


class MarketplaceConversion(
    _Common, frozen=True, kw_only=True, tag="marketplace_conversion", gc=False
):
    """One purchase that came of looking; its amount counts as revenue by its payment."""

    service_id: Id
    order_id: Id | None = None
    amount: Amount | None = None
    currency: CurrencyCode | None = None


class ExperimentView(_Common, frozen=True, kw_only=True, tag="experiment_view", gc=False):
    """One unit was shown one variant."""

    experiment_id: Id
    variant_index: VariantIndex
    experiment_name: str | None = None
    variant_name: str | None = None


class ExperimentConversion(
    _Common, frozen=True, kw_only=True, tag="experiment_conversion", gc=False
):
    """One unit reached the goal."""

    experiment_id: Id
    variant_index: VariantIndex
    experiment_name: str | None = None
    variant_name: str | None = None
    value: float | None = None


class UserSession(_Common, frozen=True, kw_only=True, tag="user_session", gc=False):
    """One finished session of `duration` milliseconds."""

    session_id: Id
    duration: NotNegative
    cohort: Cohort | None = None


Event = (
    ServiceExecution
    | RevenueTransaction
    | MarketplaceSearch
    | MarketplaceView
    | MarketplaceConversion
    | ExperimentView
    | ExperimentConversion
    | UserSession
)
EVENT_TYPES: Final[tuple[type[Event], ...]] = Event.__args__


class Envelope(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A batch that tells the sender's clock, so that instants a second off or more mend."""

    events: list[Event]
    sent_at: Instant | None = None


class Kind:
    """How a body in the journal is to be read; the numbers are for good."""

    ONE: Final = 1
    ARRAY: Final = 2
    ENVELOPE: Final = 3


class Batch(NamedTuple):
    """One request's events and the bytes that say them again.

    events      in the order of the body
    times_ms    same length: epoch ms as the sender gave it, or ABSENT
    sent_at_ms  the sender's clock at sending, or ABSENT
    """

    kind: int
    body: bytes
    events: Sequence[Event]
    times_ms: Sequence[int]
    sent_at_ms: int = ABSENT


class Body(NamedTuple):
    """A batch as the journal keeps it: a Kind, how many events, and the bytes as received."""

    kind: int
    events: int
    data: bytes


class AcceptedTimes(NamedTuple):
    """First and last instant, both included, that an event received at `now_ms` may carry."""

    first_ms: int
    last_ms: int
    now_ms: int

    def for_sender(self, sent_at_ms: int) -> "AcceptedTimes":
        """The same limits by the clock of a sender for whom it was `sent_at_ms`, or ABSENT."""
        skew_ms = correction_ms(self.now_ms, sent_at_ms)
        return AcceptedTimes(self.first_ms - skew_ms, self.last_ms - skew_ms, self.now_ms)


_one: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(cast(Any, Event))
_array: Final = msgspec.json.Decoder(list[Event])
_envelope: Final = msgspec.json.Decoder(Envelope)
_raw_array: Final = msgspec.json.Decoder(list[msgspec.Raw])


class _RawEnvelope(Struct, frozen=True, rename="camel", gc=False):
    events: list[msgspec.Raw]
    sent_at: Instant | None = None


_raw_envelope: Final = msgspec.json.Decoder(_RawEnvelope)

_NOT_JSON: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MS: Final = dt.timedelta(milliseconds=1)


def instant_ms(instant: Instant | None) -> int:
    """Epoch ms, rounded down, of a decoded instant; ABSENT for None, 0 for any before 1970."""
    if instant is None:
        return ABSENT
    if isinstance(instant, dt.datetime):
        if instant.tzinfo is None:
            instant = instant.replace(tzinfo=dt.UTC)
        return max(0, (instant - _EPOCH) // _MS)
    return max(0, int(instant))


def replay(kind: int, body: bytes) -> Batch:
    """The batch that was accepted as `body`; no limit is checked twice.

    Raises msgspec.DecodeError and its kind where the body was never an accepted one.
    """
    sent_at_ms = ABSENT
    if kind == Kind.ONE:
        events: list[Event] = [_one.decode(body)]
    elif kind == Kind.ARRAY:
        events = _array.decode(body)
    else:
        envelope = _envelope.decode(body)
        events, sent_at_ms = envelope.events, instant_ms(envelope.sent_at)
    times_ms = [
        at if type(at := event.timestamp) is int and at >= 0 else instant_ms(at)
        for event in events
    ]
    return Batch(kind, body, events, times_ms, sent_at_ms)


def decode_one(body: bytes, *, times: AcceptedTimes, text_bytes_max: int) -> Batch:
    """The one event of `POST /track`. Raises MalformedBody, InvalidEvents or TooLarge."""
    try:
        batch = replay(Kind.ONE, body)
    except msgspec.ValidationError as refusal:
        _must_be_json(body)
        raise _invalid([_fault(0, refusal)], of=1) from None
    except _NOT_JSON as refusal:
        raise _malformed(refusal) from None
    return _checked(batch, times=times, text_bytes_max=text_bytes_max)


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
        _must_fit(len(raws), events_max)
        faults = [fault for i, raw in enumerate(raws) if (fault := _fault_of(i, raw))]
        raise _invalid(faults or [_fault(0, refusal)], of=len(raws)) from None
    except _NOT_JSON as refusal:
        raise _malformed(refusal) from None
    _must_fit(len(batch.events), events_max)
    return _checked(batch, times=times, text_bytes_max=text_bytes_max)


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
    _must_fit(len(raws), events_max)
    times = times.for_sender(sent_at_ms)
    good: list[bytes] = []
    events: list[Event] = []
    faults: list[Fault] = []
    for index, raw in enumerate(raws):
        piece = bytes(raw)
        try:
            one = decode_one(piece, times=times, text_bytes_max=text_bytes_max)
        except (InvalidEvents, TooLarge) as refusal:
            faults.append(_renumbered(index, refusal))
        else:
            good.append(piece)
            events += one.events
    times_ms = [instant_ms(e.timestamp) for e in events]
    joined = b"[" + b",".join(good) + b"]"
    if kind == Kind.ENVELOPE:
        told = b"" if sent_at_ms == ABSENT else b'"sentAt":%d,' % sent_at_ms
        joined = b'{%b"events":%b}' % (told, joined)
    return Batch(kind, joined, events, times_ms, sent_at_ms), faults


def _kind_of(body: bytes) -> int:
    return Kind.ENVELOPE if body.lstrip(b" \t\r\n")[:1] == b"{" else Kind.ARRAY


def _pieces(kind: int, body: bytes) -> tuple[int, list[msgspec.Raw]]:
    try:
        if kind == Kind.ARRAY:
            return ABSENT, _raw_array.decode(body)
        envelope = _raw_envelope.decode(body)
    except msgspec.ValidationError as refusal:
        raise _invalid([_fault(0, refusal)], of=1) from None
    return instant_ms(envelope.sent_at), envelope.events


def _must_fit(count: int, events_max: int) -> None:
    if not 1 <= count <= events_max:
        raise InvalidEvents(f"A batch holds 1 to {events_max} events, this one {count}.")


def _must_be_json(body: bytes) -> None:
    # Only after a ValidationError, which stops at the first wrong value: what follows it may
    # not be JSON at all, and that is the graver fault.
    try:
        msgspec.json.decode(body)
    except _NOT_JSON as refusal:
        raise _malformed(refusal) from None


def _malformed(refusal: Exception) -> MalformedBody:
    if isinstance(refusal, RecursionError):
        return MalformedBody("The body is nested too deeply.")
    if isinstance(refusal, UnicodeDecodeError):
        return MalformedBody("The body is not valid UTF-8.")
    return MalformedBody(f"The body is not valid JSON: {refusal}.")


def _fault(index: int, refusal: Exception) -> Fault:
    message, _, path = str(refusal).rpartition(" - at `")
    if not message:
        return Fault(index, "$", str(refusal))
    return Fault(index, path.rstrip("`"), message)


def _fault_of(index: int, raw: msgspec.Raw) -> Fault | None:
    try:
        _one.decode(raw)
    except (msgspec.ValidationError, RecursionError) as refusal:
        return _fault(index, refusal)
    return None


def _renumbered(index: int, refusal: InvalidEvents | TooLarge) -> Fault:
    if isinstance(refusal, InvalidEvents) and refusal.faults:
        return dataclasses.replace(refusal.faults[0], index=index)
    return Fault(index, "$", str(refusal))


def _invalid(faults: list[Fault], *, of: int) -> InvalidEvents:
    first = faults[0]
    where = f"event {first.index}, {first.path}" if of > 1 else first.path
    detail = f"{first.message} (at {where})"
    if len(faults) > 1:
        detail = f"{len(faults)} of {of} events are not valid; the first: {detail}"
    return InvalidEvents(f"{detail}.", tuple(faults[:FAULTS_MAX]))


def _checked(batch: Batch, *, times: AcceptedTimes, text_bytes_max: int) -> Batch:
    """What msgspec cannot say: instants, and sizes in bytes. Returns `batch`."""
    body = batch.body
    faults = _time_faults(batch, times)
    # A text in JSON never takes fewer bytes than its UTF-8, and one that is plain ASCII takes
    # as many as it has letters, which msgspec has counted: both loops are for rare bodies.
    if not body.isascii() or b"\\" in body:
        faults += _byte_faults(batch.events)
    if len(body) > text_bytes_max:
        _must_have_short_texts(batch.events, text_bytes_max)
    if faults:
        raise _invalid(sorted(faults), of=len(batch.events))
    return batch


def _time_faults(batch: Batch, times: AcceptedTimes) -> list[Fault]:
    # The instants are mended when the batch gets its number, a little later than now; here
    # that is near enough, for the limits are minutes and years.
    first_ms, last_ms, _ = times.for_sender(batch.sent_at_ms)
    if first_ms <= min(batch.times_ms) and max(batch.times_ms) <= last_ms:
        return []
    return [
        Fault(index, "$.timestamp", f"Expected an instant between {_iso(times)}")
        for index, at_ms in enumerate(batch.times_ms)
        if at_ms != ABSENT and not first_ms <= at_ms <= last_ms
    ]


def correction_ms(received_ms: int, sent_at_ms: int) -> int:
    """What to add to a sender's instants: 0 where its clock is right or was not told."""
    if sent_at_ms == ABSENT:
        return 0
    skew_ms = received_ms - sent_at_ms
    return skew_ms if abs(skew_ms) > SKEW_MS_MIN else 0


def _iso(times: AcceptedTimes) -> str:
    first, last = (
        dt.datetime.fromtimestamp(ms / 1000, dt.UTC).isoformat(timespec="seconds")
        for ms in times[:2]
    )
    return f"{first} and {last}"


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
        texts = (getattr(event, name) for name in event.__struct_fields__)
        total = sum(len(text.encode()) for text in texts if isinstance(text, str))
        if total > text_bytes_max:
            raise TooLarge(
                f"The texts of event {index} take {total} bytes together, more than the "
                f"{text_bytes_max} that one event may."
            )


def index_key(event: Event) -> str:
    """What an event is about: the key whose shard owns it, and index1 of its raw row."""
    key: str = (
        getattr(event, "service_id", "")
        or getattr(event, "experiment_id", "")
        or event.user_id
        or event.session_id
        or str(getattr(event, "search_query", ""))
    )
    return key
