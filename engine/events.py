"""The eight events: decoded and validated in one pass, with the instants they happened at.

The raw bytes are what the journal keeps, so the rules here are part of its format: a body that
was accepted once must decode to the same events for as long as the journal is kept.
Duplicate JSON keys: the last wins. Texts may hold U+0000. A time without an offset is UTC.
"""

import datetime as dt
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, NamedTuple, cast

import msgspec
from msgspec import Meta, Struct

from engine.errors import Fault, InvalidEvents
from engine.money import CURRENCIES
from engine.refusal import NAMED

ID_BYTES_MAX: Final = 256
EVENT_ID_BYTES_MAX: Final = 128
COHORT_BYTES_MAX: Final = 64
VARIANTS_MAX: Final = 64
AMOUNT_MAX: Final = 1e15
"""Above it a double no longer holds a thousandth of the currency unit."""

SKEW_MS_MIN: Final = 1_000
"""A sender's clock that is off by less is believed: the way here takes time too."""

SENT_AT_MS_END: Final = 253_402_300_800_000
"""10000-01-01T00:00Z: a clock that is years off is corrected, a number beyond it is no time."""

ABSENT: Final = -1
"""In a list of instants: the event carries none, so it happened when it was received."""

# msgspec counts letters; engine.decoding counts bytes, for the rare text that is not ASCII.
Id = Annotated[str, Meta(min_length=1, max_length=ID_BYTES_MAX)]
EventId = Annotated[str, Meta(min_length=1, max_length=EVENT_ID_BYTES_MAX)]
Cohort = Annotated[str, Meta(min_length=1, max_length=COHORT_BYTES_MAX)]
if TYPE_CHECKING:
    CurrencyCode = str
else:
    CurrencyCode = Annotated[
        Literal[tuple(sorted(CURRENCIES))],
        Meta(extra={NAMED: "a code of ISO 4217 in capitals, such as USD"}),
    ]
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
    """One call of a service; its latency counts whether or not it succeeded."""

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
    """One search; a result count of 0 makes it a search that found nothing."""

    search_query: str
    result_count: Annotated[int, Meta(ge=0, lt=2**53)] | None = None


class MarketplaceView(_Common, frozen=True, kw_only=True, tag="marketplace_view", gc=False):
    """One view of a service's page."""

    service_id: Id
    service_name: str | None = None


class MarketplaceConversion(
    _Common, frozen=True, kw_only=True, tag="marketplace_conversion", gc=False
):
    """One purchase; revenue counts its amount only as a revenue_transaction."""

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


class Envelope(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A batch with the time by the sender's clock, by which its timestamps are corrected."""

    events: list[Event]
    sent_at: Instant | None = None


class Kind:
    """How a body in the journal is to be read; the numbers are for good."""

    ONE: Final = 1
    ARRAY: Final = 2
    ENVELOPE: Final = 3
    LINES: Final = 4
    NOTICE: Final = 5  # no event: engine.erasure


class Batch(NamedTuple):
    """One request's events, or some of a large one's, and the bytes that say them again.

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
        """The same limits by the clock of a sender for whom it was `sent_at_ms`, or ABSENT.

        Raises InvalidEvents where no clock can have said so.
        """
        if sent_at_ms >= SENT_AT_MS_END:
            fault = Fault(0, "$.sentAt", "Expected an instant before the year 10000")
            raise InvalidEvents(f"{fault.message} (at {fault.path}).", (fault,))
        skew_ms = correction_ms(self.now_ms, sent_at_ms)
        return AcceptedTimes(self.first_ms - skew_ms, self.last_ms - skew_ms, self.now_ms)


_one: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(cast(Any, Event))
_array: Final = msgspec.json.Decoder(list[Event])
_envelope: Final = msgspec.json.Decoder(Envelope)


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


def decode_event(raw: bytes | msgspec.Raw) -> Event:
    """One event; raises msgspec.ValidationError and its kind where it is none."""
    return _one.decode(raw)


def replay(kind: int, body: bytes) -> Batch:
    """The batch that was accepted as `body`; no limit is checked twice.

    Raises msgspec.DecodeError and its kind where the body was never an accepted one.
    """
    sent_at_ms = ABSENT
    if kind == Kind.ONE:
        events: list[Event] = [_one.decode(body)]
    elif kind == Kind.ARRAY:
        events = _array.decode(body)
    elif kind == Kind.LINES:
        events = _one.decode_lines(body)
    elif kind == Kind.ENVELOPE:
        envelope = _envelope.decode(body)
        events, sent_at_ms = envelope.events, instant_ms(envelope.sent_at)
    else:
        raise msgspec.DecodeError(f"this version knows no body of kind {kind}")
    times_ms = [
        at if type(at := event.timestamp) is int and at >= 0 else instant_ms(at)
        for event in events
    ]
    return Batch(kind, body, events, times_ms, sent_at_ms)


def correction_ms(received_ms: int, sent_at_ms: int) -> int:
    """What to add to a sender's instants: 0 if its clock is right or not known."""
    if sent_at_ms == ABSENT:
        return 0
    skew_ms = received_ms - sent_at_ms
    return skew_ms if abs(skew_ms) > SKEW_MS_MIN else 0


def instants_ms(batch: Batch, received_ms: int) -> Sequence[int]:
    """The instants of a batch by our clock: of an event without a timestamp, `received_ms`."""
    skew_ms = correction_ms(received_ms, batch.sent_at_ms)
    if not skew_ms and ABSENT not in batch.times_ms:
        return batch.times_ms
    return [received_ms if at_ms == ABSENT else at_ms + skew_ms for at_ms in batch.times_ms]
