"""One function from the body of POST /track* to its acknowledgement: bytes in, bytes out.

It knows no framework, so whatever carries a request can call it. Pages of any origin may read
its answers: a write key is public, and no cookie counts here.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from functools import cache
from typing import Final, Literal, NamedTuple, Protocol

from msgspec import UNSET, Struct, UnsetType

from engine.actors.room import Room
from engine.actors.slicing import Pace, collected
from engine.config import Config
from engine.decoding import decode_lenient, decode_many, decode_one
from engine.errors import Fault, TallymarkError, WrongMediaType
from engine.events import AcceptedTimes, Batch
from engine.facts import Kept
from engine.lines import Limits, decode_lines
from web import wire
from web.headers import opened
from web.rates import free
from web.unpack import Bytes, Packing, packing_of, unpacked
from web.wire import Internal, Reply

PREFLIGHT_HEADERS: Final = (
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "Content-Type, Content-Encoding, Authorization"),
    ("Access-Control-Max-Age", "86400"),
)
PREFLIGHT: Final = Reply(204, PREFLIGHT_HEADERS, b"")

MEDIA_TYPES: Final = ("application/json", "text/plain")
"""The second is what a beacon sends, so that it needs no preflight."""

BULK_MEDIA_TYPES: Final = ("application/x-ndjson", *MEDIA_TYPES)
"""Whatever it is called: one event a line."""

REJECTED_BYTES: Final = 1024 * 1024
"""About what the faults of 10,000 events take: there must be room to tell of them."""

_AS_USUAL: Final = frozenset({None, "", *MEDIA_TYPES})


class Acceptor(Protocol):
    """What is needed of the engine; the errors of `accept` become the refusal."""

    @property
    def config(self) -> Config: ...

    @property
    def pace(self) -> Pace: ...

    @property
    def bulk_room(self) -> Room: ...

    def accepted_times(self) -> AcceptedTimes: ...

    async def accept(self, batch: Batch) -> None: ...

    def keep(self, batch: Batch) -> Kept: ...

    async def accept_kept(self, kept: Sequence[Kept]) -> None: ...


class Kind(Enum):
    """The ingest routes."""

    ONE = "/track"
    MANY = "/track/batch"
    BULK = "/track/bulk"

    @property
    def media_types(self) -> tuple[str, ...]:
        """What a body of this route may be called."""
        return BULK_MEDIA_TYPES if self is _BULK else MEDIA_TYPES

    def body_bytes_max(self, config: Config) -> int:
        """Bytes that a body of this route may have as it is sent."""
        return config.bulk_bytes_max if self is _BULK else config.body_bytes_max


_ONE: Final = Kind.ONE
_BULK: Final = Kind.BULK
"""As names of the module: finding a member by its class takes 0.3 µs."""


class BatchAsked(Struct, frozen=True, rename="camel"):
    """The parameters of POST /track/batch and /track/bulk; without one all or nothing."""

    on_invalid: Literal["skip"] | None = None


_ALL_OR_NOTHING: Final = BatchAsked()


class Taken(Struct, frozen=True):
    """The event is on disk, and in every later answer."""

    success: Literal[True] = True


class BatchTaken(Struct, frozen=True, kw_only=True):
    """`count` events are kept, duplicates included; `rejected` if skipping was asked for."""

    success: Literal[True] = True
    count: int
    rejected: list[Fault] | UnsetType = UNSET


class Decoded(NamedTuple):
    """Events that are to be kept, and the answer once they are."""

    batch: Batch
    answer: Reply


async def take(
    engine: Acceptor,
    kind: Kind,
    body: Bytes,
    *,
    query: bytes = b"",
    content_type: str | None = None,
    content_encoding: str | None = None,
    spend: Callable[[int], None] = free,
) -> Reply:
    """Decode, keep, acknowledge, or say why not.

    spend  told how many events there are, before they are kept

    Returns once the events are as durable as the configuration promises; the arguments are
    those of `decode`. What is no TallymarkError is a bug and is raised.
    """
    try:
        if kind is _BULK:
            packing = _packing(kind, content_type, content_encoding)
            return _answered(await _take_bulk(engine, body, query, packing, spend))
        decoded = decode(
            engine,
            kind,
            bytes(body),
            query=query,
            content_type=content_type,
            content_encoding=content_encoding,
        )
        spend(len(decoded.batch.events))
        if decoded.batch.events:
            await engine.accept(decoded.batch)
    except TallymarkError as error:
        return refused(error, kind)
    return decoded.answer


def decode(
    engine: Acceptor,
    kind: Kind,
    body: bytes,
    *,
    query: bytes,
    content_type: str | None,
    content_encoding: str | None,
) -> Decoded:
    """The first half of `take`, which waits for nothing; not for bulk, which may take long.

    body          whole, and within `kind.body_bytes_max`: whoever reads it sees to that
    query         as in the request line, without the question mark
    content_type  and content_encoding as in the request's head, None where absent

    Raises the TallymarkError that `refused` words.
    """
    assert kind is not _BULK
    if _packing(kind, content_type, content_encoding) is not None:
        raise WrongMediaType(
            f"Only POST {Kind.BULK.value} reads Content-Encoding {content_encoding}; send the "
            f"body uncompressed."
        )
    return (_decode_one if kind is _ONE else _decode_many)(engine, body, query)


def refused(error: TallymarkError | Internal, kind: Kind) -> Reply:
    """A refusal that pages of any origin may read."""
    reply = wire.refused(error, kind.value)
    return reply._replace(headers=opened(reply.headers))


def _decode_one(engine: Acceptor, body: bytes, query: bytes) -> Decoded:
    if query:
        wire.question(query, wire.NothingAsked)
    text_bytes_max = engine.config.event_text_bytes_max
    batch = decode_one(body, times=engine.accepted_times(), text_bytes_max=text_bytes_max)
    return Decoded(batch, _taken(None))


def _decode_many(engine: Acceptor, body: bytes, query: bytes) -> Decoded:
    asked = wire.question(query, BatchAsked) if query else _ALL_OR_NOTHING
    times, config = engine.accepted_times(), engine.config
    text_bytes_max, events_max = config.event_text_bytes_max, config.batch_events_max
    if asked.on_invalid is None:
        batch = decode_many(
            body, events_max=events_max, times=times, text_bytes_max=text_bytes_max
        )
        return Decoded(batch, _taken(len(batch.events)))
    batch, rejected = decode_lenient(
        body, events_max=events_max, times=times, text_bytes_max=text_bytes_max
    )
    answer = BatchTaken(count=len(batch.events), rejected=rejected)
    return Decoded(batch, _answered(wire.encode(answer)))


@cache  # the same few dozen answers all day
def _taken(count: int | None) -> Reply:
    return _answered(wire.encode(Taken() if count is None else BatchTaken(count=count)))


def _answered(content: bytes) -> Reply:
    reply = wire.sent(content)
    return reply._replace(headers=opened(reply.headers))


async def _take_bulk(
    engine: Acceptor,
    body: Bytes,
    query: bytes,
    packing: Packing | None,
    spend: Callable[[int], None],
) -> bytes:
    """The encoded answer, in slices: it lists every event that was skipped, maybe thousands."""
    asked = wire.question(query, BatchAsked)
    config, times = engine.config, engine.accepted_times()
    limits = Limits(
        events_max=config.bulk_events_max,
        line_bytes_max=config.bulk_line_bytes_max,
        text_bytes_max=config.event_text_bytes_max,
    )
    size_bytes = config.bulk_bytes_max if packing else len(body)
    async with engine.bulk_room.hold(size_bytes) as held:
        pieces = unpacked(body, packing, bytes_max=config.bulk_bytes_max)
        skip = asked.on_invalid is not None
        steps = decode_lines(pieces, limits=limits, times=times, skip=skip, keep=engine.keep)
        kept, rejected = await engine.pace.run(steps)
        count = sum(len(some.facts) for some in kept)
        held.shrink(sum(some.bytes for some in kept))
        spend(count)
        if kept:
            await engine.accept_kept(kept)
    answer = BatchTaken(count=count, rejected=rejected if skip else UNSET)
    return b"".join(await engine.pace.run(collected(wire.pieces(answer, rows="rejected"))))


def _packing(
    kind: Kind, content_type: str | None, content_encoding: str | None
) -> Packing | None:
    """How the body is packed. Raises WrongMediaType where it is not read here."""
    if content_type not in _AS_USUAL:
        _must_be_readable(str(content_type), kind)
    return packing_of(content_encoding) if content_encoding else None


def _must_be_readable(content_type: str, kind: Kind) -> None:
    media, is_utf_8 = wire.media_of(content_type)
    if media not in kind.media_types or not is_utf_8:
        raise WrongMediaType(
            f"Content-Type {content_type[:64]!a} is not read here; send "
            f"{' or '.join(kind.media_types)}, in UTF-8."
        )
