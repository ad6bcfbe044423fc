"""One connection as a state machine of plain callbacks: cut into requests, answer in order.

It reads only while it waits for a request, takes one request at a time, and holds at most one
head, one body and one answer. No exception leaves it.
"""

import socket
from collections.abc import Awaitable, Callable
from enum import Enum
from math import inf
from typing import Final, Protocol

import structlog
import trio

from engine.errors import TallymarkError
from web import body
from web.chunks import Chunks
from web.errors import BadRequest, SlowHead
from web.framing import END, HEAD_BYTES_MAX, Head, HeadTooLarge
from web.untaken import Untaken

IDLE_S: Final = 75.0
"""For how long a connection may do nothing between two requests."""

HEAD_S: Final = 10.0
"""From the first byte of a head to its last."""

SEND_S: Final = 10.0
"""For how long the other side may take nothing of an answer."""

STREAM_SEND_S: Final = 30.0
"""The same for a stream, where frames are skipped meanwhile."""

DRAIN_S: Final = 2.0
"""After a refusal that ends the connection: else a reset could overtake the answer."""

STEPS_AT_ONCE: Final = 32
"""After which others have a turn: 16 requests answered at once, about a millisecond."""

RECEIVE_BYTES: Final = 64 * 1024
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

log = structlog.get_logger()


class State(Enum):
    """What a connection is waiting for."""

    HEAD = "the next request"
    BODY = "the rest of a body"
    ANSWER = "us"
    STREAM = "the next frame"
    ELSEWHERE = "whoever has it"
    LAST = "the other side to take the last answer"
    CLOSED = "nothing"


_HEAD: Final = State.HEAD
_BODY: Final = State.BODY
_ANSWER: Final = State.ANSWER
_STREAM: Final = State.STREAM
_ELSEWHERE: Final = State.ELSEWHERE
_LAST: Final = State.LAST
_CLOSED: Final = State.CLOSED
"""As names of the module: finding a member by its class takes 0.3 µs, 30 times a request."""


class Keeper(Protocol):
    """What a line needs of the hub that keeps it."""

    @property
    def now_s(self) -> float: ...

    @property
    def is_stopping(self) -> bool: ...

    @property
    def body_deadline_s(self) -> float: ...

    @property
    def untaken(self) -> Untaken: ...

    def read_head(self, raw: bytes) -> Head: ...

    def body_bytes_max(self, line: "Line", head: Head) -> int | None:
        """None: this request is not for us, but for `send_elsewhere`."""

    def start(self, work: Callable[..., Awaitable[None]]) -> None: ...

    def reserve(self, size: int) -> None: ...

    def release(self, size: int) -> None: ...

    def take(self, line: "Line", head: Head, content: bytes) -> None:
        """Answer it by `line.answer`, `refuse` or `stream`, now or later, exactly once."""

    def send_elsewhere(self, line: "Line", head: Head, behind: bytes) -> None: ...

    def refusal(self, error: TallymarkError, head: Head | None) -> bytes: ...

    def forget(self, line: "Line") -> None: ...


class Line:
    """One connection of a hub.

    number    of its file, as the selector tells it
    state     what it waits for
    deadline  when that is over, by Trio's clock
    head      of the request under way, or of the last one
    """

    __slots__ = (
        "_chunks",
        "_discarded",
        "_has_ended",
        "_is_advancing",
        "_is_ending",
        "_is_put_off",
        "_is_readable",
        "_keeper",
        "_missing",
        "_on_gone",
        "_pieces",
        "_received",
        "_reserved",
        "_unsent",
        "deadline",
        "head",
        "number",
        "sock",
        "state",
    )

    def __init__(self, keeper: Keeper, sock: socket.socket) -> None:
        self.sock = sock
        self.number = sock.fileno()
        self.state = _HEAD
        self.deadline = keeper.now_s + IDLE_S
        self.head: Head | None = None
        self._keeper = keeper
        self._is_readable = False  # there may be something to be read
        self._is_ending = False  # the end is among it
        self._has_ended = False  # the end was read; what came before is still answered
        self._received = b""
        self._pieces: list[bytes] = []  # of the body under way
        self._missing = 0
        self._chunks: Chunks | None = None
        self._reserved = 0
        self._discarded = 0
        self._unsent = b""
        self._on_gone: Callable[[], None] | None = None
        self._is_advancing = False
        self._is_put_off = False  # there may be more to do, in the next turn

    @property
    def is_idle(self) -> bool:
        """Whether nothing is under way that a stop should wait for."""
        return self.state is _HEAD and not self._unsent and not self._is_put_off

    @property
    def must_close(self) -> bool:
        """Whether the answer to this request is the last on the connection."""
        return self._keeper.is_stopping or self.head is None or not self.head.keeps

    @property
    def peer(self) -> str:
        """The address at the other end; empty where that has gone."""
        try:
            return str(self.sock.getpeername()[0])
        except (OSError, IndexError):
            return ""

    # -- reading ------------------------------------------------------------------------------

    def ready(self, *, can_read: int, is_ending: int, can_send: int) -> None:
        """What the selector reports, each as bits that are not zero."""
        if can_read:
            self._is_readable = True
        if is_ending:
            self._is_readable = self._is_ending = True
        if can_send and self._unsent:
            self._send(b"")
        self.advance()

    def advance(self) -> None:
        """Read and cut until more bytes, or an answer, have to come, or others have a turn."""
        if self._is_advancing or self._is_put_off:
            return  # called back from inside a step: the loop below goes on
        self._is_advancing = True
        try:
            for _ in range(STEPS_AT_ONCE):
                if not self._step():
                    return
            self._is_put_off = True
            self._keeper.start(self._go_on)
        except TallymarkError as error:
            self.refuse(error)
        except Exception:  # a bug, and no reason to take the other connections with it
            log.exception("connection failed")
            self.close()
        finally:
            self._is_advancing = False

    async def _go_on(self) -> None:
        self._is_put_off = False
        self.advance()
        if self._keeper.is_stopping and self.is_idle:
            self.end()  # as in `_all_sent`

    def _step(self) -> bool:
        """One step; whether there may be another."""
        state = self.state
        if state is _HEAD:
            # No further answer for a client that has not taken the last: they may be large.
            return not self._unsent and (
                (self._received != b"" and self._cut_head()) or self._receive()
            )
        if state is _BODY:
            return self._cut_body() or self._receive()
        if state is _LAST or state is _STREAM:
            return self._discard()
        return False

    def _receive(self) -> bool:
        if not self._is_readable:
            if self._has_ended:
                self.close()
            return False
        received = self._recv()
        if received is None:
            return False
        if not received:
            self._has_ended = True
            self._is_readable = False
            return True  # what has been received may be judged now
        if self._received:
            self._received += received
        else:
            if self.state is _HEAD:
                self.deadline = self._keeper.now_s + HEAD_S
            self._received = received
        return True

    def _recv(self) -> bytes | None:
        """What has come; None if nothing has, or nothing will any more."""
        try:
            received = self.sock.recv(RECEIVE_BYTES)
        except BlockingIOError:
            self._is_readable = False
            return None
        except OSError:
            self.close()
            return None
        if len(received) < RECEIVE_BYTES and not self._is_ending:
            self._is_readable = False  # that was all; the selector will say when there is more
        return received

    def _cut_head(self) -> bool:
        received = self._received
        if received.startswith(b"\r\n"):  # one empty line before a request: RFC 9112 §2.2
            received = received[2:]
        end = received.find(END, 0, HEAD_BYTES_MAX)
        if end < 0:
            if len(received) >= HEAD_BYTES_MAX:
                raise HeadTooLarge(f"The head is larger than {HEAD_BYTES_MAX} bytes.")
            if self._has_ended:
                raise BadRequest("The request's head ends before it is complete.")
            return False
        end += len(END)
        self.head = None  # a refusal is not about the request before
        head = self.head = self._keeper.read_head(received[:end])
        self._received = received[end:]
        self._begin(head)
        return True

    def _begin(self, head: Head) -> None:
        limit = self._keeper.body_bytes_max(self, head)
        if limit is None:
            behind, self._received = self._received, b""
            self.state = _ELSEWHERE
            self.deadline = inf
            self._keeper.send_elsewhere(self, head, behind)
            return
        size = limit if head.length is None else head.length
        if size > limit:
            raise body.too_large(limit)
        self.state = _BODY
        self.deadline = self._keeper.now_s + self._keeper.body_deadline_s
        self._chunks = Chunks() if head.length is None else None
        self._missing = size  # in chunks: what it may have at most
        if head.continues and not self._received:
            self._send(CONTINUE)

    def _cut_body(self) -> bool:
        received, self._received = self._received, b""
        head = self.head
        assert head is not None
        if self._chunks is None:
            content = self._up_to_length(received)
        else:
            content = self._up_to_last_chunk(self._chunks, received)
        if content is None:
            if self._has_ended:
                raise body.cut_off()
            return False
        self.state = _ANSWER
        self.deadline = inf
        self._keeper.take(self, head, content)
        return True

    def _up_to_length(self, received: bytes) -> bytes | None:
        missing = self._missing
        if len(received) == missing and not self._pieces:  # as nearly all come
            self._hold(missing)
            return received
        self._hold(min(len(received), missing))
        if len(received) < missing:
            if received:
                self._pieces.append(received)
                self._missing = missing - len(received)
            return None
        content = received
        if len(received) > missing:
            content, self._received = received[:missing], received[missing:]
        return self._joined(content)

    def _up_to_last_chunk(self, chunks: Chunks, received: bytes) -> bytes | None:
        if received:
            self._hold(len(received))
            self._pieces.append(chunks.feed(received))
            if chunks.size > self._missing:
                raise body.too_large(self._missing)
        if not chunks.is_whole:
            return None
        self._received, self._chunks = chunks.rest, None
        return self._joined(b"")

    def _joined(self, last: bytes) -> bytes:
        if not self._pieces:
            return last
        content = b"".join((*self._pieces, last))
        self._pieces.clear()
        return content

    def _discard(self) -> bool:
        """Read what nobody wants, so that the end is noticed."""
        if not self._is_readable:
            return False
        received = self._recv()
        if received is None:
            return False
        self._discarded += len(received)
        if not received or self._discarded > body.DISCARD_BYTES_MAX:
            self.close()
            return False
        return True

    # -- answering ----------------------------------------------------------------------------

    def answer(self, rendered: bytes, *, is_last: bool) -> None:
        """Send the one answer to the request under way; the next request may follow."""
        if self.state is _CLOSED:
            return
        self._release()
        if is_last:
            self._say_last(rendered)
            return
        self.state = _HEAD
        self.deadline = self._keeper.now_s + (HEAD_S if self._received else IDLE_S)
        self._send(rendered)
        if self._is_readable or self._received or self._has_ended:
            self.advance()

    def refuse(self, error: TallymarkError) -> None:
        """Say what is wrong, and close: where the next request would begin is not known."""
        if self.state is _CLOSED or self.state is _LAST:
            return
        self._release()
        self._say_last(self._keeper.refusal(error, self.head))

    def stream(self, opening: bytes, on_gone: Callable[[], None]) -> None:
        """Begin an answer without end; `on_gone` is called once, when nobody listens."""
        if self.state is _CLOSED:
            on_gone()
            return
        self._release()
        self.state = _STREAM
        self.deadline = inf
        self._on_gone = on_gone
        self._send(opening)
        self.advance()

    def push(self, frame: bytes) -> bool:
        """Send a frame if the one before has gone out; whether it was sent."""
        if self.state is not _STREAM or self._unsent:
            return False
        self._send(frame)
        return True

    def end_stream(self, closing: bytes) -> None:
        """End the stream and the connection."""
        if self.state is not _STREAM:
            return
        if self._unsent:  # half a frame is out, and nothing can be said inside it
            self.close()
            return
        self._say_last(closing)

    def _say_last(self, rendered: bytes) -> None:
        self.state = _LAST
        self.deadline = self._keeper.now_s + DRAIN_S
        self._received = b""
        self._pieces.clear()
        self._chunks = None
        self._send(rendered)
        if self.state is _LAST and not self._unsent:
            self._hang_up()

    def _hang_up(self) -> None:
        """All is said: end our side, and give the other a moment to read it before the end."""
        try:
            self.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self.close()
            return
        self.deadline = self._keeper.now_s + DRAIN_S
        if self._has_ended:
            self.close()
        else:
            self.advance()

    def _send(self, data: bytes) -> None:
        if self._unsent:
            data = self._unsent + data
        try:
            sent = self.sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        if sent == len(data):
            if self._unsent:
                self._leave(b"")
                self._all_sent()
            return
        if sent or not self._unsent:
            patience_s = STREAM_SEND_S if self.state is _STREAM else SEND_S
            self.deadline = self._keeper.now_s + patience_s
        self._leave(data[sent:])

    def _leave(self, unsent: bytes) -> None:
        """Keep what has not gone out yet."""
        self._keeper.untaken.bytes += len(unsent) - len(self._unsent)
        self._unsent = unsent

    def _all_sent(self) -> None:
        if self.state is _LAST:
            self._hang_up()
        elif self.state is _HEAD and self._keeper.is_stopping and END not in self._received:
            self.end()  # it was not idle when the idle ones were closed, and is now
        elif self.state is _HEAD:
            self.deadline = self._keeper.now_s + (HEAD_S if self._received else IDLE_S)
        else:
            self.deadline = inf

    # -- ending -------------------------------------------------------------------------------

    def late(self) -> None:
        """The deadline is over."""
        if self._unsent or self.state is _LAST:
            self.close()
        elif self.state is _BODY:
            self.refuse(body.too_slow(self._keeper.body_deadline_s))
        elif self.state is _HEAD and self._received:
            self.refuse(SlowHead(f"The head was not complete after {HEAD_S:g} seconds."))
        else:
            self.close()

    def give_back(self, behind: bytes) -> None:
        """Whoever had the connection has answered; `behind` came after its request."""
        if self.state is _CLOSED:
            return
        self.state = _HEAD
        self.deadline = self._keeper.now_s + (HEAD_S if behind else IDLE_S)
        self._received = behind
        self._is_readable = True
        self.advance()

    def end(self) -> None:
        """Whoever had the connection has sent everything, and nothing follows."""
        if self.state is not _CLOSED:
            self._say_last(b"")

    def close(self) -> None:
        """End it at once, whatever is under way."""
        if self.state is _CLOSED:
            return
        if self.state is _ELSEWHERE:
            trio.lowlevel.notify_closing(self.sock)
        self.state = _CLOSED
        self._release()
        self._keeper.forget(self)
        self.sock.close()
        self._leave(b"")
        self._received = b""
        self._pieces.clear()
        gone, self._on_gone = self._on_gone, None
        if gone is not None:
            gone()

    def _hold(self, size: int) -> None:
        """Bytes count once they are held, not when announced: announcing costs nothing."""
        self._keeper.reserve(size)
        self._reserved += size

    def _release(self) -> None:
        if self._reserved:
            self._keeper.release(self._reserved)
            self._reserved = 0
