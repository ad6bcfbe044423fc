"""Questions and answers on the wire: queries to Structs, Structs and failures to JSON."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeVar
from urllib.parse import parse_qsl

import msgspec
import orjson
from msgspec import UNSET, Struct, UnsetType, to_builtins

from engine.errors import (
    Fault,
    InvalidDocument,
    InvalidEvents,
    InvalidQuestion,
    TallymarkError,
    WrongMediaType,
)
from engine.refusal import expectation
from web.errors import MethodNotAllowed, RateLimited, Unauthorized
from web.grants import Asking, Grant
from web.headers import DATA_HEADERS

QUERY_BYTES_MAX: Final = 8 * 1024
"""Bytes of a query string; no question needs a tenth of it."""

ROWS_AT_ONCE: Final = 250
"""Rows encoded without a pause; a thousand services take 1.5 ms, ten thousand took 21."""

JSON: Final = "application/json"
PROBLEM_JSON: Final = "application/problem+json"

IGNORED_PARAMETER: Final = "key"
"""What beacons present in place of an Authorization header; `web.gate` has read it."""


Asked = TypeVar("Asked", bound=Struct)


class NothingAsked(Struct, frozen=True):
    """A route without parameters."""


class Reply(NamedTuple):
    """One whole answer, for whatever carries it: Quart, or a socket of our own.

    problem  what was refused, as in the problem's type; empty where nothing was
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Called:
    """One request to a handler that knows no framework.

    path     {name in the route's path: its part of the request's, decoded}
    headers  of the request, their names in small letters
    query    as in the request line, without the question mark
    asking   what of it says who asks, and `grant` what that may
    body     whole, empty where the route takes none
    """

    path: Mapping[str, str]
    headers: Mapping[str, str]
    query: bytes
    body: bytes
    asking: Asking
    grant: Grant

    def header(self, name: str) -> str | None:
        """One header, None where it is absent."""
        return self.headers.get(name.lower())


class Problem(Struct, frozen=True, kw_only=True):
    """Why a request was refused (RFC 9457); `success` is for clients that look no further."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | UnsetType = UNSET
    errors: tuple[Fault, ...] | UnsetType = UNSET
    success: Literal[False] = False


@dataclass(frozen=True, slots=True)
class Internal:
    """What is said about a failure that is a bug: nothing about its inside."""

    status: int = 500
    title: str = "Internal error"
    detail: str = "Something failed that should not have; the log of the service says what."


INTERNAL: Final = Internal()


def encode(answer: object) -> bytes:
    """An answer as JSON. A figure that is not a number leaves as null, never as NaN."""
    return orjson.dumps(to_builtins(answer, str_keys=True))


def pieces(answer: Struct, *, rows: str = "data") -> Iterator[bytes]:
    """The same, cut where its rows are many, so that others can be served in between.

    rows  the field that may hold them; whatever else it holds is encoded as it is
    """
    found = getattr(answer, rows, None)
    if not isinstance(found, list) or len(found) <= ROWS_AT_ONCE:
        yield encode(answer)
        return
    around = encode(msgspec.structs.replace(answer, **{rows: []}))
    opening, brackets, closing = around.partition(f'"{rows}":[]'.encode())
    yield opening + brackets[:-1]
    for first in range(0, len(found), ROWS_AT_ONCE):
        piece = encode(found[first : first + ROWS_AT_ONCE])[1:-1]
        yield b"," + piece if first else piece
    yield brackets[-1:] + closing


def answered(answer: object, *, status: int = 200) -> Reply:
    """An answer that nobody may keep: figures change with every event."""
    return sent(encode(answer), status=status)


def sent(body: bytes, *, status: int = 200, media: str = JSON) -> Reply:
    """Bytes that are ready, with the headers that every answer has."""
    return Reply(status, (("Content-Type", media), *DATA_HEADERS), body)


def nothing() -> Reply:
    """Done, and nothing to say about it."""
    return Reply(204, DATA_HEADERS, b"")


def refused(error: TallymarkError | Internal, path: str | None) -> Reply:
    """A failure as problem+json.

    path  without its query, which may hold a key; None where it could not be read
    """
    problem = Problem(
        type=problem_type(error.title),
        title=error.title,
        status=error.status,
        detail=error.detail if isinstance(error, Internal) else str(error),
        instance=UNSET if path is None else path,
        errors=_faults(error),
    )
    reply = sent(encode(problem), status=error.status, media=PROBLEM_JSON)
    return reply._replace(
        headers=reply.headers + headers_of(error), problem=problem_slug(error.title)
    )


def problem_type(title: str) -> str:
    """The URI reference that stands for a kind of problem; docs/problems.md lists them all."""
    return f"/problems/{problem_slug(title)}"


def problem_slug(title: str) -> str:
    """The last part of that reference."""
    return title.lower().replace(" ", "-")


def must_be_json(content_type: str | None) -> None:
    """Refuse a body that is not declared as JSON, for which a page of another origin would have
    to ask first. Raises WrongMediaType.
    """
    media, is_utf_8 = media_of(content_type or "")
    if media != JSON or not is_utf_8:
        given = ascii(content_type[:64]) if content_type else "none"
        raise WrongMediaType(
            f"This route reads a body of Content-Type {JSON}, in UTF-8, and got {given}."
        )


def media_of(content_type: str) -> tuple[str, bool]:
    """The media type in small letters, and whether its charset, where it says one, is UTF-8."""
    media, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = {p.partition("=")[2].strip('" ') for p in parameters if p.startswith("charset")}
    return media, charsets <= {"utf-8", "utf8"}


def question(query: bytes, asked: type[Asked], bytes_max: int = QUERY_BYTES_MAX) -> Asked:
    """The parameters of a query string, each at most once, known and not empty.

    Raises InvalidQuestion, which names the parameter and what is expected.
    """
    texts = _pairs(query, asked.__struct_encode_fields__, bytes_max) if query else {}
    return asked_in(texts, asked)


def asked_in(texts: dict[str, str], asked: type[Asked]) -> Asked:
    """Known parameters as what they mean. Raises InvalidQuestion, as `question` does."""
    for name, text in texts.items():
        if not text:
            raise InvalidQuestion(f"{name} is empty: give it a value, or leave it out.")
    try:
        found = msgspec.convert(texts, asked, strict=False)
        _must_not_be_null(texts, found)
        return found
    except msgspec.ValidationError as refusal:
        missing = str(refusal).removeprefix("Object missing required field `")
        if missing != str(refusal):
            raise InvalidQuestion(f"{missing.rstrip('`')} is required.") from None
        said, _, place = str(refusal).rpartition(" - at `$.")
        name = place.rstrip("`")
        said = said.removesuffix(", got `str`")  # all of them are
        expected = expectation(asked, f"$.{name}") or said
        raise InvalidQuestion(f"{name}: {expected}, got {_shown(texts[name])}.") from None


def _must_not_be_null(texts: dict[str, str], found: Struct) -> None:
    """Where a choice may be left out, msgspec takes the word null for leaving it out."""
    if "null" not in map(str.lower, texts.values()):
        return
    for field in msgspec.structs.fields(found):
        name = field.encode_name
        if name in texts and getattr(found, field.name) is None:
            expected = expectation(type(found), f"$.{name}") or "Expected a value"
            raise InvalidQuestion(f"{name}: {expected}, got {_shown(texts[name])}.")


def _pairs(query: bytes, known: tuple[str, ...], bytes_max: int) -> dict[str, str]:
    if len(query) > bytes_max:
        raise InvalidQuestion(f"The query is longer than {bytes_max} bytes.")
    try:
        pairs = parse_qsl(query.decode(), keep_blank_values=True, errors="strict")
    except UnicodeDecodeError:
        raise InvalidQuestion("The query is not valid UTF-8.") from None
    texts: dict[str, str] = {}
    for name, text in pairs:
        if name == IGNORED_PARAMETER:
            continue
        if name not in known:
            takes = f"it takes {', '.join(known)}" if known else "it takes none"
            raise InvalidQuestion(f"{_shown(name)} is not a parameter of this route: {takes}.")
        if name in texts:
            raise InvalidQuestion(f"{name} is given more than once.")
        texts[name] = text
    return texts


def _shown(text: str) -> str:
    return ascii(text if len(text) <= 64 else text[:64] + "...")


def _faults(error: TallymarkError | Internal) -> tuple[Fault, ...] | UnsetType:
    if isinstance(error, InvalidEvents | InvalidDocument) and error.faults:
        return error.faults
    return UNSET


def headers_of(error: TallymarkError | Internal) -> tuple[tuple[str, str], ...]:
    """What a refusal says in headers: when to come again, what else to do."""
    match error:
        case RateLimited():
            return (
                ("Retry-After", str(error.retry_after_s)),
                ("RateLimit-Policy", f'"{error.policy}";q={error.quota};w={error.window_s}'),
                ("RateLimit", f'"{error.policy}";r=0;t={error.retry_after_s}'),
            )
        case Unauthorized():
            return (("WWW-Authenticate", 'Bearer realm="tallymark"'),)
        case MethodNotAllowed():
            return (("Allow", ", ".join(error.allowed)),)
        case TallymarkError(retry_after_s=int(seconds)):
            return (("Retry-After", str(seconds)),)
        case _:
            return ()
