"""One function from the body of POST /track* to its acknowledgement: bytes in, bytes out.

It knows no framework, so that whatever carries a request can call it. Its answers may be read
by pages of any origin: a key that writes is public, and no cookie counts here.
"""

from dataclasses import dataclass
from enum import Enum
from functools import cache
from typing import Final, Literal, Protocol

from msgspec import UNSET, Struct, UnsetType

from engine.config import Config
from engine.decoding import decode_lenient, decode_many, decode_one
from engine.errors import Fault, TallymarkError, WrongMediaType
from engine.events import AcceptedTimes, Batch
from web import wire
from web.wire import Internal, Reply

CORS_HEADERS: Final = (("Access-Control-Allow-Origin", "*"),)
PREFLIGHT_HEADERS: Final = (
    *CORS_HEADERS,
    ("Access-Control-Allow-Methods", "POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "Content-Type, Authorization"),
    ("Access-Control-Max-Age", "86400"),
)
PREFLIGHT: Final = Reply(204, PREFLIGHT_HEADERS, b"")

MEDIA_TYPES: Final = ("application/json", "text/plain")
"""The second is what a beacon sends, so that it needs no preflight."""

_AS_USUAL: Final = frozenset({None, "", *MEDIA_TYPES})


class Acceptor(Protocol):
    """What is needed of the engine; the errors of `accept` become the refusal."""

    @property
    def config(self) -> Config: ...

    def accepted_times(self) -> AcceptedTimes: ...

    async def accept(self, batch: Batch) -> None: ...


class Kind(Enum):
    """The ingest routes."""

    ONE = "/track"
    MANY = "/track/batch"


class NothingAsked(Struct, frozen=True):
    """A route without parameters."""


class BatchAsked(Struct, frozen=True, rename="camel"):
    """The parameters of POST /track/batch; without one it is all or nothing."""

    on_invalid: Literal["skip"] | None = None


class Taken(Struct, frozen=True):
    """The event is kept, and counted in whatever is asked from now on."""

    success: Literal[True] = True


class BatchTaken(Struct, frozen=True):
    """`count` events are kept, duplicates included; `rejected` where skipping was asked."""

    count: int
    rejected: list[Fault] | UnsetType = UNSET
    success: Literal[True] = True


@dataclass(frozen=True, slots=True)
class Decoded:
    """Events that are to be kept, and the answer once they are."""

    batch: Batch
    answer: Reply


async def take(
    engine: Acceptor,
    kind: Kind,
    body: bytes,
    *,
    query: bytes = b"",
    content_type: str | None = None,
    content_encoding: str | None = None,
) -> Reply:
    """Decode, keep, acknowledge, or say why not.

    Returns once the events are as durable as the configuration promises; the arguments are
    those of `decode`. What is no TallymarkError is a bug and is raised.
    """
    try:
        decoded = decode(
            engine,
            kind,
            body,
            query=query,
            content_type=content_type,
            content_encoding=content_encoding,
        )
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
    """The first half of `take`, which waits for nothing.

    body          whole, and within the limit: whoever reads it from the network sees to that
    query         as in the request line, without the question mark
    content_type  and content_encoding as in the request's head, None where absent

    Raises the TallymarkError that `refused` words.
    """
    _must_be_readable(content_type, content_encoding)
    return _DECODERS[kind](engine, body, query)


def refused(error: TallymarkError | Internal, kind: Kind) -> Reply:
    """A refusal that pages of any origin may read."""
    reply = wire.refused(error, kind.value)
    return reply._replace(headers=reply.headers + CORS_HEADERS)


def _decode_one(engine: Acceptor, body: bytes, query: bytes) -> Decoded:
    wire.question(query, NothingAsked)
    text_bytes_max = engine.config.event_text_bytes_max
    batch = decode_one(body, times=engine.accepted_times(), text_bytes_max=text_bytes_max)
    return Decoded(batch, _taken(None))


def _decode_many(engine: Acceptor, body: bytes, query: bytes) -> Decoded:
    asked = wire.question(query, BatchAsked)
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
    return Decoded(batch, _answered(BatchTaken(len(batch.events), rejected)))


_DECODERS: Final = {Kind.ONE: _decode_one, Kind.MANY: _decode_many}


@cache  # the same few dozen answers all day
def _taken(count: int | None) -> Reply:
    return _answered(Taken() if count is None else BatchTaken(count))


def _answered(answer: Taken | BatchTaken) -> Reply:
    reply = wire.answered(answer)
    return reply._replace(headers=reply.headers + CORS_HEADERS)


def _must_be_readable(content_type: str | None, content_encoding: str | None) -> None:
    if content_encoding and content_encoding.strip().lower() != "identity":
        raise WrongMediaType(
            f"Content-Encoding {content_encoding[:64]!a} is not read here; "
            f"send the body as it is."
        )
    if content_type in _AS_USUAL:
        return
    media, *parameters = (part.strip().lower() for part in str(content_type).split(";"))
    charsets = [p.partition("=")[2].strip('" ') for p in parameters if p.startswith("charset")]
    if media not in MEDIA_TYPES or not set(charsets) <= {"utf-8", "utf8"}:
        raise WrongMediaType(
            f"Content-Type {str(content_type)[:64]!a} is not read here; send "
            f"{' or '.join(MEDIA_TYPES)}, in UTF-8."
        )
