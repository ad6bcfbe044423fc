"""The head of a request, read strictly: one reader for both lanes, before either sees a byte.

Requests are smuggled past a parser by what another parser reads differently, so whatever is
ambiguous is refused here. httptools (llhttp) is strict about most of it, and what it leaves
open is checked beside it. Sources: RFC 9112 §2-7, and what httptools 0.9 and h11 0.16 were seen
to accept, which tests/web/test_framing.py holds case by case.
"""

import re
from typing import Final

import httptools
from msgspec import Struct

from engine.errors import TallymarkError
from web.errors import BadRequest, NotImplementedHere, UnknownExpectation, UnknownVersion

HEAD_BYTES_MAX: Final = 16 * 1024
"""Request line and headers together; more is 431."""

HEADERS_MAX: Final = 100
TARGET_BYTES_MAX: Final = 8 * 1024
LENGTH_DIGITS_MAX: Final = 15
"""A petabyte is too large in any case, and no number that a parser could overflow at."""

END: Final = b"\r\n\r\n"

_TOKEN: Final = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_REQUEST_LINE: Final = re.compile(rb"(%b{1,32}) ([\x21-\x7e]+) HTTP/(\d)\.(\d)\r\n" % _TOKEN)
_ABSOLUTE: Final = re.compile(r"(?i:https?)://([^/?#]*)(.*)")
_BROKEN_LINE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n|\n[ \t]|\x00")
_HOST: Final = re.compile(r"[^\x00-\x20/?#@\\,]*")
_PLAIN_LINE: Final = b"POST / HTTP/1.1\r\n"
"""What httptools reads in place of the request line: it is to judge the headers alone."""


class HeadTooLarge(TallymarkError):
    """A request line or headers beyond what is read."""

    status = 431
    title = "Head too large"


class TargetTooLong(TallymarkError):
    """A target that no route has."""

    status = 414
    title = "Target too long"


class Head(Struct, frozen=True, kw_only=True):
    """One request's head, unambiguous.

    raw             its bytes, as they came
    path, query     of the target, as they came: the query without its question mark
    host            of the target if that is absolute, else of the header; None in HTTP/1.0 only
    site            Sec-Fetch-Site, and forwarded and proto: X-Forwarded-For and -Proto
    length          Content-Length; 0 without, None where the body is chunked
    keeps           whether the connection may carry another request after this one
    continues       whether the sender waits for 100 before the body
    upgrade         the protocol it asks for, in lower case; None for most
    is_absolute     whether the target named the host
    is_newer        HTTP/1.1, and not 1.0
    """

    raw: bytes
    method: str
    path: str
    query: bytes
    host: str | None
    content_type: str | None
    content_encoding: str | None
    accept_encoding: str | None
    authorization: str | None
    origin: str | None
    site: str | None
    cookie: str | None
    forwarded: str | None
    proto: str | None
    length: int | None
    keeps: bool
    continues: bool
    upgrade: str | None
    is_absolute: bool
    is_newer: bool


def read_head(raw: bytes) -> Head:
    """The head that `raw` is, up to and with its empty line.

    Raises a TallymarkError, after which nobody can say where the next request would begin: the
    connection has to be closed.
    """
    line = _REQUEST_LINE.match(raw)
    if line is None:
        raise BadRequest("The request line could not be read.")
    method, target, major, minor = line.groups()
    if (major, minor) not in ((b"1", b"1"), (b"1", b"0")):
        raise UnknownVersion("This service speaks HTTP/1.1 and HTTP/1.0.")
    if len(target) > TARGET_BYTES_MAX:
        raise TargetTooLong(f"The request target is longer than {TARGET_BYTES_MAX} bytes.")
    if method == b"CONNECT":
        raise NotImplementedHere("This service is not a proxy.")
    if not method.isupper():  # Hypercorn would make POST of post: RFC 9110 §9.1
        raise NotImplementedHere("Methods are written in capital letters, as in POST.")
    headers = _headers(raw[line.end() :])
    return _head(raw, method.decode(), target.decode(), headers, is_newer=minor == b"1")


class _Headers:
    """The pairs that httptools finds, names in lower case."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def on_header(self, name: bytes, value: bytes) -> None:
        self.pairs.append(
            (name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t"))
        )


def _headers(block: bytes) -> dict[str, list[str]]:
    if _BROKEN_LINE.search(block):
        raise BadRequest("A line of the head is broken or folded.")
    found = _Headers()
    parser = httptools.HttpRequestParser(found)
    try:
        parser.feed_data(_PLAIN_LINE + block)
    except httptools.HttpParserUpgrade:
        pass  # said after the headers, which are all that was to be read
    except httptools.HttpParserError as error:
        raise BadRequest(f"The head could not be read: {error}.") from None
    if len(found.pairs) > HEADERS_MAX:
        raise HeadTooLarge(f"A request may have {HEADERS_MAX} headers; this one has more.")
    headers: dict[str, list[str]] = {}
    for name, value in found.pairs:
        headers.setdefault(name, []).append(value)
    return headers


def _head(
    raw: bytes, method: str, target: str, headers: dict[str, list[str]], *, is_newer: bool
) -> Head:
    host = _host(headers, is_newer=is_newer)
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is not None:  # its authority counts and Host does not: RFC 9112 §3.2.2
        host, target = absolute[1], absolute[2]
        target = target if target.startswith("/") else "/" + target
    elif not target.startswith("/") and (target, method) != ("*", "OPTIONS"):
        raise BadRequest("The target is not a path.")
    if "#" in target:
        raise BadRequest("The target has a fragment, which a request must not have.")
    path, _, query = target.partition("?")
    tokens = _tokens(headers, "connection")
    return Head(
        raw=raw,
        method=method,
        path=path,
        query=query.encode(),
        host=host,
        content_type=_joined(headers, "content-type"),
        content_encoding=_joined(headers, "content-encoding"),
        accept_encoding=_joined(headers, "accept-encoding"),
        authorization=_joined(headers, "authorization"),
        origin=_joined(headers, "origin"),
        site=_joined(headers, "sec-fetch-site"),
        cookie=_joined(headers, "cookie", by="; "),
        forwarded=_joined(headers, "x-forwarded-for"),
        proto=_joined(headers, "x-forwarded-proto"),
        length=_length(headers, is_newer=is_newer),
        keeps=is_newer and "close" not in tokens,
        continues=_continues(headers, is_newer=is_newer),
        upgrade=_upgrade(headers) if "upgrade" in tokens else None,
        is_absolute=absolute is not None,
        is_newer=is_newer,
    )


def _host(headers: dict[str, list[str]], *, is_newer: bool) -> str | None:
    hosts = headers.get("host", [])
    if len(hosts) > 1 or (is_newer and not hosts):
        raise BadRequest("A request must have exactly one Host header.")
    if not hosts:
        return None
    if not _HOST.fullmatch(hosts[0]):
        raise BadRequest("The Host header is not a host name.")
    return hosts[0]


def _length(headers: dict[str, list[str]], *, is_newer: bool) -> int | None:
    """httptools has refused most of this already; a second pair of eyes costs nothing here."""
    codings = headers.get("transfer-encoding")
    if codings is not None:
        if [coding.lower() for coding in codings] != ["chunked"] or not is_newer:
            raise BadRequest("The only transfer coding that is read here is chunked.")
        if "content-length" in headers:
            raise BadRequest("A request with a chunked body must have no Content-Length.")
        return None
    lengths = headers.get("content-length", ["0"])
    if len(lengths) > 1 or not (lengths[0].isascii() and lengths[0].isdigit()):
        raise BadRequest("Content-Length must be one number.")
    if len(lengths[0]) > LENGTH_DIGITS_MAX:
        raise BadRequest("Content-Length is too large a number.")
    return int(lengths[0])


def _continues(headers: dict[str, list[str]], *, is_newer: bool) -> bool:
    expectations = _tokens(headers, "expect")
    if not expectations or not is_newer:  # RFC 9110 §10.1.1: not in HTTP/1.0
        return False
    if expectations != {"100-continue"}:
        raise UnknownExpectation("The only expectation that is known here is 100-continue.")
    return True


def _upgrade(headers: dict[str, list[str]]) -> str | None:
    wanted = _joined(headers, "upgrade")
    return None if wanted is None else wanted.lower()


def _tokens(headers: dict[str, list[str]], name: str) -> set[str]:
    values = ",".join(headers.get(name, ())).lower().split(",")
    return {value.strip(" \t") for value in values} - {""}


def _joined(headers: dict[str, list[str]], name: str, *, by: str = ", ") -> str | None:
    values = headers.get(name)
    return None if values is None else by.join(values)
