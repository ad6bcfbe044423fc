"""Any bytes on a connection: the same requests however they are cut, and those that h11 reads.

Two readers that disagree about where a request ends are how one is smuggled past the other. So
what the lane takes from a connection must not depend on the network, and where h11, which is
far more lenient, reads the same bytes, it must have read the same requests: method, target,
body. That it refuses what we take is no matter, nor that it takes what we refuse.

The first byte seeds the cuts; the others come over the wire.
"""

import random
import socket
from typing import Final

import h11

from engine.errors import TallymarkError
from web.framing import Head, read_head
from web.line import CONTINUE, Line, State
from web.untaken import Untaken

BODY_BYTES_MAX: Final = 4_096
REQUESTS_MAX: Final = 20
HOT: Final = ("/track", "/track/batch")

Taken = tuple[str, str, bytes]
"""Method, target without its authority, body."""

WORDS: Final = (
    "POST /track HTTP/1.1\r\n", "GET /ready HTTP/1.1\r\n", "Host: a\r\n", "\r\n\r\n",
    "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "0\r\n\r\n", "5\r\n",
    "Connection: close\r\n", "Expect: 100-continue\r\n", "Upgrade: h2c\r\n", "HTTP/1.0",
    "Connection: keep-alive\r\n", "hello", ";a=b", "\t", "\x0b", "\x00", "http://b/track",
    "Transfer-Encoding: gzip, chunked\r\n", "Content-Length: 05\r\n", "\n", "\r", " ",
)  # fmt: skip


class _Keeper:
    """What the hub is to a line; answers at once, and writes down what it was given."""

    now_s = 0.0
    is_stopping = False
    body_deadline_s = 30.0

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.held = 0
        self.untaken = Untaken(BODY_BYTES_MAX)

    def read_head(self, raw: bytes) -> Head:
        return read_head(raw)

    def body_bytes_max(self, _line: Line, head: Head) -> int | None:
        return BODY_BYTES_MAX if head.path in HOT else None

    def reserve(self, size: int) -> None:
        self.held += size

    def release(self, size: int) -> None:
        self.held -= size

    def take(self, line: Line, head: Head, content: bytes) -> None:
        query = b"?" + head.query if head.query else b""
        self.taken.append((head.method, head.path + query.decode(), content))
        line.answer(b"x", is_last=line.must_close or len(self.taken) >= REQUESTS_MAX)

    def send_elsewhere(self, line: Line, head: Head, behind: bytes) -> None:
        self.taken.append((head.method, "elsewhere", b""))
        line.end()

    def refusal(self, error: TallymarkError, head: Head | None) -> bytes:
        return b"refused %d" % error.status

    def forget(self, line: Line) -> None:
        pass


def check(data: bytes) -> None:
    """The law of the module."""
    if not data:
        return
    seed, wire = data[0], data[1:60_000]
    whole, refused = _taken(wire, [len(wire)])
    cut, refused_cut = _taken(wire, _cuts(seed, len(wire)))
    assert cut == whole, "what is taken depends on how it came"
    assert refused_cut == refused, "whether it is refused depends on how it came"
    for ours, theirs in zip(whole, _h11(wire), strict=False):
        if ours[1] == "elsewhere":
            break
        assert ours == theirs, f"read as {ours} here, and as {theirs} by h11"


def _cuts(seed: int, size: int) -> list[int]:
    """Sizes of the pieces in which the wire comes; for the seed 0 bytes one by one."""
    chance = random.Random(seed)
    longest = 1 if seed == 0 else chance.choice([2, 10, 100, 1_000])
    cuts = []
    while size > 0:
        cuts.append(chance.randint(1, longest))
        size -= cuts[-1]
    return cuts


def _taken(wire: bytes, cuts: list[int]) -> tuple[list[Taken], bytes]:
    """What a line takes from the wire, and how it refuses what follows."""
    keeper = _Keeper()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        theirs.setblocking(False)
        line = Line(keeper, ours)
        at = 0
        for size in cuts:
            if line.state is State.CLOSED or line.state is State.LAST:
                break
            theirs.send(wire[at : at + size])
            at += size
            line.ready(can_read=True, is_ending=False, can_send=True)
        if line.state is not State.CLOSED:
            theirs.shutdown(socket.SHUT_WR)
            line.ready(can_read=True, is_ending=True, can_send=True)
        assert line.state in (State.CLOSED, State.LAST), line.state
        assert keeper.held == 0
        line.close()
        assert keeper.untaken.bytes == 0
        answers = b""
        try:
            while piece := theirs.recv(65_536):
                answers += piece
        except ConnectionResetError:
            pass  # what was not read overtook what was said
    return keeper.taken, answers.replace(CONTINUE, b"").lstrip(b"x")


def _h11(wire: bytes) -> list[Taken]:
    """The requests that h11 reads from the wire, as a server that answers each at once."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=16 * 1024)
    connection.receive_data(wire)
    taken: list[Taken] = []
    head: h11.Request | None = None
    body = b""
    try:
        while True:
            event = connection.next_event()
            if isinstance(event, h11.Request):
                head, body = event, b""
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                assert head is not None
                taken.append((head.method.decode(), _origin(head.target.decode()), body))
                if connection.our_state is h11.SEND_RESPONSE:
                    connection.send(h11.Response(status_code=200, headers=[]))
                    connection.send(h11.EndOfMessage())
                connection.start_next_cycle()
            else:
                break
    except (h11.RemoteProtocolError, h11.LocalProtocolError):
        pass
    return taken


def _origin(target: str) -> str:
    """The target without scheme and authority, and without a question mark before nothing."""
    path, mark, query = target.partition("?")
    target = path + mark * bool(query) + query
    lowered = target.lower()
    for scheme in ("http://", "https://"):
        if lowered.startswith(scheme):
            rest = target[len(scheme) :]
            at = min((rest.find(mark) for mark in "/?#" if mark in rest), default=len(rest))
            path = rest[at:]
            return path if path.startswith("/") else "/" + path
    return target
