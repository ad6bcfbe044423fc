"""What the commands hear from a server, whatever answers at its URL."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from load.connection import Target
from load.errors import LoadError, Unreachable
from tests.server import PATIENCE_S, free_port
from web.export_command import growing
from web.remote import body_of, replied


class Said:
    """A listener that says the same to all, and what it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.asked: list[bytes] = []
        self._answer = answer
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                self.asked.append(connection.recv(65_536))
                connection.sendall(self._answer)

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextmanager
def saying(answer: bytes) -> Iterator[Said]:
    said = Said(answer)
    thread = threading.Thread(target=said.serve)
    thread.start()
    try:
        yield said
    finally:
        said.end()
        thread.join(PATIENCE_S)


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 nonsense\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: %b\r\n" % (b"x" * 70_000),
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
        b"",
    ],
)
def test_whatever_does_not_speak_http_is_told_in_one_sentence(answer: bytes) -> None:
    with saying(answer) as said:
        with pytest.raises(Unreachable, match="No server answers at http://127"):
            replied(Target(said.url), "/counters")


def test_nobody_at_an_address_is_told_in_the_words_of_the_system() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(Unreachable) as told:
        replied(Target(url), "/counters")
    assert str(told.value) == f"No server answers at {url}: Connection refused."


def test_a_refusal_that_ends_before_it_is_whole_is_told_as_a_refusal() -> None:
    with saying(b"HTTP/1.1 503 No\r\nContent-Length: 100\r\n\r\n{") as said:
        with pytest.raises(LoadError, match="refused what was asked and did not say why"):
            replied(Target(said.url), "/counters")


def test_the_reason_of_a_refusal_is_what_the_command_says() -> None:
    body = b'{"detail":"not now"}'
    with saying(b"HTTP/1.1 503 No\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)) as said:
        with pytest.raises(LoadError, match=r"^not now$"):
            body_of(replied(Target(said.url), "/counters"))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_nobody_is_sent_elsewhere_with_the_key(status: int) -> None:
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n") as elsewhere:
        to = elsewhere.url.encode()
        moved = b"HTTP/1.1 %d Moved\r\nLocation: %b/x\r\nContent-Length: 0\r\n\r\n"
        with saying(moved % (status, to)) as said:
            with pytest.raises(LoadError, match=f"moved to '{elsewhere.url}/x'"):
                replied(Target(said.url, "secret"), "/counters")
        assert b"Bearer secret" in said.asked[0]
        assert elsewhere.asked == []


@pytest.mark.parametrize("place", [b"http://[", b"file:///etc", b"http://\xe9\xff/", b""])
def test_a_place_that_is_no_url_is_told_like_any_other(place: bytes) -> None:
    moved = b"HTTP/1.1 302 Moved\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % place
    with (
        saying(moved) as said,
        pytest.raises(LoadError, match=r"^The server has moved to .*; give its URL as that\.$"),
    ):
        replied(Target(said.url), "/sql")


def test_a_body_that_ends_before_it_is_whole_is_told_in_one_sentence() -> None:
    with saying(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") as said:
        with pytest.raises(Unreachable, match="ended before it was complete"):
            body_of(replied(Target(said.url), "/counters"))


def test_a_file_that_grows_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    output = tmp_path / "events.csv"
    with growing(output) as file:
        file.write(b"x")
        assert not output.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["events.csv"]


def test_it_says_of_the_output_alone_that_it_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"none/events.csv cannot be written: No such file"):
        with growing(tmp_path / "none" / "events.csv"):
            raise AssertionError("it cannot be opened")
    (tmp_path / "a" / "events.csv").mkdir(parents=True)
    with pytest.raises(LoadError, match=r"events.csv cannot be written: Is a directory"):
        with growing(tmp_path / "a" / "events.csv") as file:
            file.write(b"x")
    with pytest.raises(LoadError, match=r"manifest cannot be read: No such file"):
        with growing(tmp_path / "events.csv"):
            (tmp_path / "manifest").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
