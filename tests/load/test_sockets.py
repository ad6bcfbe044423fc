"""The parser of answers, which reads no more of HTTP than a load run needs."""

import pytest

from load.sockets import ANSWER_BYTES_MAX, Answer, NotHttp, Where, parse

WHOLE = b"HTTP/1.1 200 OK\r\nX: y\r\nContent-Length: 5\r\n\r\nhello"


def test_a_whole_answer_is_its_status_its_body_and_its_size() -> None:
    assert parse(WHOLE + b"HTTP/1.1 503") == Answer(200, len(WHOLE), b"hello", closes=False)


@pytest.mark.parametrize("size", range(len(WHOLE)))
def test_an_answer_that_is_not_there_whole_is_no_answer_yet(size: int) -> None:
    assert parse(WHOLE[:size]) is None


@pytest.mark.parametrize(
    ("head", "closes"),
    [
        (b"HTTP/1.1 204 No Content\r\n\r\n", False),
        (b"HTTP/1.1 503 X\r\nCONTENT-LENGTH:0\r\nConnection: Close\r\n\r\n", True),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", True),
    ],
)
def test_it_knows_when_the_connection_is_not_kept(head: bytes, closes: bool) -> None:
    found = parse(head)
    assert found is not None
    assert (found.closes, found.size, found.body) == (closes, len(head), b"")


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc X\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (ANSWER_BYTES_MAX + 1),
        b"x" * (ANSWER_BYTES_MAX + 1),
    ],
)
def test_what_it_does_not_read_is_said_to_be_no_answer(data: bytes) -> None:
    with pytest.raises(NotHttp):
        parse(data)


def test_a_request_begins_with_what_all_have_in_common() -> None:
    head = Where.of("h", 1, "/track", [("Host", "h:1"), ("X", "y")]).head
    assert head == b"POST /track HTTP/1.1\r\nHost: h:1\r\nX: y\r\nContent-Length: "
