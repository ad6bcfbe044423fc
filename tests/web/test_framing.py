"""Heads that are read, and those that two parsers might read differently."""

import pytest

from engine.errors import TallymarkError
from web.framing import HEADERS_MAX, TARGET_BYTES_MAX, read_head


def head(*lines: bytes, request: bytes = b"POST /track HTTP/1.1") -> bytes:
    return b"\r\n".join((request, *lines)) + b"\r\n\r\n"


HOST = b"Host: localhost"


def test_a_head_is_read() -> None:
    raw = head(
        b"hOST: localhost:8080",
        b"Content-Length: 12",
        b"Content-Type:\tapplication/json  ",
        b"Authorization: Bearer x",
        b"Expect: 100-Continue",
        b"X-Name: \xc3\xa9",
        request=b"POST /track/batch?onInvalid=skip&a=%20 HTTP/1.1",
    )
    found = read_head(raw)
    assert (found.method, found.path, found.query) == (
        "POST",
        "/track/batch",
        b"onInvalid=skip&a=%20",
    )
    assert (found.host, found.length, found.content_type) == (
        "localhost:8080",
        12,
        "application/json",
    )
    assert (found.authorization, found.continues, found.keeps) == ("Bearer x", True, True)
    assert (found.content_encoding, found.upgrade, found.is_newer) == (None, None, True)
    assert found.raw == raw


@pytest.mark.parametrize(
    ("lines", "keeps"),
    [
        ((b"POST / HTTP/1.1", HOST), True),
        ((b"POST / HTTP/1.1", HOST, b"Connection: Close"), False),
        ((b"POST / HTTP/1.1", HOST, b"Connection: te,\tclose"), False),
        ((b"POST / HTTP/1.1", HOST, b"Connection: keep-alive"), True),
        ((b"POST / HTTP/1.0",), False),
        ((b"POST / HTTP/1.0", b"Connection: keep-alive"), False),
    ],
)
def test_a_connection_is_kept_as_its_version_and_header_say(
    lines: tuple[bytes, ...], keeps: bool
) -> None:
    assert read_head(head(*lines[1:], request=lines[0])).keeps is keeps


def test_an_absolute_target_says_the_host() -> None:
    raw = head(b"Host: other", request=b"GET http://localhost:80/a?b HTTP/1.1")
    found = read_head(raw)
    assert (found.host, found.path, found.query) == ("localhost:80", "/a", b"b")
    bare = read_head(head(b"Host: other", request=b"GET HTTP://localhost HTTP/1.1"))
    assert (bare.host, bare.path) == ("localhost", "/")


def test_the_limits_are_what_they_say() -> None:
    longest = b"/" + b"a" * (TARGET_BYTES_MAX - 1)
    assert len(read_head(head(HOST, request=b"GET %b HTTP/1.1" % longest)).path) == 8192
    most = [b"A: b"] * (HEADERS_MAX - 1)
    assert read_head(head(HOST, *most)).host == "localhost"


CHUNKED = b"Transfer-Encoding: chunked"
LENGTH = b"Content-Length: 5"

REFUSED = {
    "length and chunks": (400, head(HOST, LENGTH, CHUNKED)),
    "chunks and length": (400, head(HOST, CHUNKED, LENGTH)),
    "two lengths, equal": (400, head(HOST, LENGTH, LENGTH)),
    "two lengths, different": (400, head(HOST, LENGTH, b"Content-Length: 6")),
    "a list of lengths": (400, head(HOST, b"Content-Length: 5, 5")),
    "length with a plus": (400, head(HOST, b"Content-Length: +5")),
    "length below zero": (400, head(HOST, b"Content-Length: -1")),
    "length in hexadecimal": (400, head(HOST, b"Content-Length: 0x5")),
    "no length in the header": (400, head(HOST, b"Content-Length:")),
    "a length that overflows": (400, head(HOST, b"Content-Length: 18446744073709551621")),
    "a length beyond a petabyte": (400, head(HOST, b"Content-Length: 1000000000000000")),
    "a folded line": (400, head(HOST, b"A: b\r\n c")),
    "a folded transfer coding": (400, head(HOST, b"Transfer-Encoding:\r\n chunked")),
    "a bare line feed": (400, b"POST / HTTP/1.1\nHost: localhost\n\r\n\r\n"),
    "a bare line feed between headers": (400, head(HOST, b"A: b\nC: d")),
    "a bare carriage return": (400, head(HOST, b"A: b\rC: d")),
    "a bare carriage return before the end": (400, head(HOST, b"A: b\r")),
    "a null byte in a value": (400, head(HOST, b"A: b\x00c")),
    "a null byte in a name": (400, head(HOST, b"A\x00: b")),
    "a blank before the colon": (400, head(HOST, b"Content-Length : 5")),
    "no colon": (400, head(HOST, b"nonsense")),
    "no name": (400, head(HOST, b": b")),
    "a name that is no token": (400, head(HOST, b"A(b): c")),
    "an unknown coding": (400, head(HOST, b"Transfer-Encoding: xchunked")),
    "the identity coding": (400, head(HOST, b"Transfer-Encoding: identity")),
    "chunked twice": (400, head(HOST, b"Transfer-Encoding: chunked, chunked")),
    "chunked in two headers": (400, head(HOST, CHUNKED, CHUNKED)),
    "chunked and identity": (400, head(HOST, CHUNKED, b"Transfer-Encoding: identity")),
    "a packed transfer": (400, head(HOST, b"Transfer-Encoding: gzip, chunked")),
    "a vertical tab in the coding": (400, head(HOST, b"Transfer-Encoding: \x0bchunked")),
    "chunks in HTTP/1.0": (400, head(HOST, CHUNKED, request=b"POST / HTTP/1.0")),
    "no host": (400, head()),
    "two hosts": (400, head(HOST, HOST)),
    "a host with a blank": (400, head(b"Host: a b")),
    "a host with a path": (400, head(b"Host: localhost/x")),
    "a host with a user": (400, head(b"Host: a@localhost")),
    "two hosts in one": (400, head(b"Host: localhost,evil")),
    "HTTP/1.2": (505, head(HOST, request=b"GET / HTTP/1.2")),
    "HTTP/9.9": (505, head(HOST, request=b"GET / HTTP/9.9")),
    "the preface of HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\n"),
    "HTTP/0.9": (400, b"GET /\r\n\r\n"),
    "no version": (400, head(HOST, request=b"GET /")),
    "half a version": (400, head(HOST, request=b"GET / HTTP/1")),
    "a version in small letters": (400, head(HOST, request=b"GET / http/1.1")),
    "two blanks after the method": (400, head(HOST, request=b"GET  / HTTP/1.1")),
    "two blanks before the version": (400, head(HOST, request=b"GET /  HTTP/1.1")),
    "a blank behind the version": (400, head(HOST, request=b"GET / HTTP/1.1 ")),
    "a tab in the request line": (400, head(HOST, request=b"GET\t/ HTTP/1.1")),
    "a blank before the method": (400, head(HOST, request=b" GET / HTTP/1.1")),
    "a method that is no token": (400, head(HOST, request=b"G@T / HTTP/1.1")),
    "raw bytes in the target": (400, head(HOST, request=b"GET /\xff HTTP/1.1")),
    "a fragment": (400, head(HOST, request=b"GET /a#b HTTP/1.1")),
    "a target that is no path": (400, head(HOST, request=b"GET track HTTP/1.1")),
    "a target of another scheme": (400, head(HOST, request=b"GET ftp://localhost/ HTTP/1.1")),
    "a method in small letters": (501, head(HOST, request=b"post /track HTTP/1.1")),
    "a method in mixed letters": (501, head(HOST, request=b"Post /track HTTP/1.1")),
    "a proxy": (501, head(HOST, request=b"CONNECT localhost:80 HTTP/1.1")),
    "another expectation": (417, head(HOST, b"Expect: 200-ok")),
    "a target too long": (
        414,
        head(HOST, request=b"GET /%b HTTP/1.1" % (b"a" * TARGET_BYTES_MAX)),
    ),
    "too many headers": (431, head(HOST, *[b"A: b"] * HEADERS_MAX)),
    "a TLS greeting": (400, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_ambiguous_or_unknown_is_refused(name: str) -> None:
    status, raw = REFUSED[name]
    with pytest.raises(TallymarkError) as caught:
        read_head(raw)
    assert caught.value.status == status
