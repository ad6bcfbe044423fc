"""The live counters as a stream of server-sent events: one frame per tick, shared by all.

Memory is bounded by the number of subscribers: each holds one slot for the newest frame, and a
slow reader finds only that. Frames carry absolute figures, so a lost frame is no loss.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final

import orjson
import trio
from msgspec import Meta, Struct

from engine.errors import InvalidQuestion, Overloaded, TallymarkError
from web.errors import TooManyStreams
from web.grants import ANYBODY, Grant

Counters = Mapping[str, int | float | None]

TICK_S: Final = 1.0
HEARTBEAT_S: Final = 12.0
"""Silence after which a comment is sent; proxies give up a connection after 15 s and more."""

OFFERS_AT_ONCE: Final = 100
"""Frames given out without a pause; each may be a system call of 10 µs."""

RETRY_MS: Final = 2_000
KEYS_MAX: Final = 100

STREAM_MEDIA: Final = "text/event-stream"
GREETING: Final = b'data: {"type":"connected"}\n\nretry: %d\n\n' % RETRY_MS
HEARTBEAT: Final = b": heartbeat\n\n"

KeyList = Annotated[
    str,
    Meta(min_length=1, max_length=4096, description="names of counters, separated by commas"),
]


class CountersAsked(Struct, frozen=True):
    """The parameters of GET /counters."""

    keys: KeyList | None = None


class StreamAsked(Struct, frozen=True):
    """The parameters of GET /stream."""

    interval: Annotated[int, Meta(ge=1, le=10, description="seconds between frames")] = 1
    keys: KeyList | None = None
    token: (
        Annotated[str, Meta(max_length=64, description="one of POST /stream/tokens")] | None
    ) = None


def wanted(keys: str | None) -> tuple[str, ...] | None:
    """The names in a `keys` parameter, sorted and each once; None for all of them."""
    if keys is None:
        return None
    names = {name.strip() for name in keys.split(",")}
    if "" in names or len(names) > KEYS_MAX:
        raise InvalidQuestion(
            f"keys: Expected 1 to {KEYS_MAX} names of counters, separated by commas."
        )
    return tuple(sorted(names))


def chosen(counters: Counters, keys: tuple[str, ...] | None) -> dict[str, int | float | None]:
    """The counters asked for. Raises InvalidQuestion for a name that does not exist."""
    if keys is None:
        return dict(counters)
    unknown = [key for key in keys if key not in counters]
    if unknown:
        raise InvalidQuestion(
            f"keys: there is no counter {', '.join(ascii(key[:64]) for key in unknown)}; "
            f"GET /counters lists them all."
        )
    return {key: counters[key] for key in keys}


class Live:
    """The subscribers, and the task that makes their frames while there are any."""

    def __init__(
        self,
        counters: Callable[[], Awaitable[Counters]],
        now_ms: Callable[[], int],
        *,
        is_welcome: Callable[[Grant], bool],
        subscribers_max: int,
    ) -> None:
        self._is_welcome = is_welcome
        self._counters = counters
        self._now_ms = now_ms
        self._subscribers_max = subscribers_max
        self._subscribers: set[Subscriber] = set()
        self._somebody = trio.Event()
        self._ended = False
        self._life = trio.CancelScope()

    @property
    def subscribers(self) -> int:
        """How many listen now."""
        return len(self._subscribers)

    def must_have_room(self) -> None:
        """Raises TooManyStreams where another subscriber would be one too many."""
        if len(self._subscribers) >= self._subscribers_max:
            raise TooManyStreams(
                f"All {self._subscribers_max} places for streams are taken.", retry_after_s=5
            )
        if self._ended:
            raise Overloaded("The service is stopping.")

    async def run(self) -> None:
        """Make frames until `end`; sleeps while nobody listens."""
        with self._life:
            while True:
                if not self._subscribers:
                    # Made by who waits for it: an event that others may put in the place of
                    # this one would be set, and nobody wait for it.
                    self._somebody = trio.Event()
                    await self._somebody.wait()
                await self._tick_while_heard()

    def end(self) -> None:
        """End all streams, at once and for good."""
        self._ended = True
        self._life.cancel()
        subscribers, self._subscribers = self._subscribers, set()
        for subscriber in subscribers:
            subscriber.end()

    def end_unwelcome(self) -> None:
        """End the streams of those whose key has been revoked, or whose session is over."""
        over = [one for one in self._subscribers if not self._is_welcome(one.grant)]
        for subscriber in over:
            self.leave(subscriber)
            subscriber.end()

    def enter(self, subscriber: "Subscriber") -> None:
        """Take a place; if none is left the stream ends at once."""
        if self._ended or len(self._subscribers) >= self._subscribers_max:
            subscriber.end()
            return
        self._subscribers.add(subscriber)
        self._somebody.set()

    def leave(self, subscriber: "Subscriber") -> None:
        """Give the place back."""
        self._subscribers.discard(subscriber)

    async def _tick_while_heard(self) -> None:
        started = trio.current_time()
        tick = 0
        while self._subscribers:
            tick += 1
            await trio.sleep_until(started + tick * TICK_S)
            await self._tick()
            # After a standstill go on from here, and do not make up for it.
            tick = max(tick, int((trio.current_time() - started) / TICK_S))

    async def _tick(self) -> None:
        due = [subscriber for subscriber in self._subscribers if subscriber.is_due()]
        if not due:
            return
        frames: dict[tuple[str, ...] | None, bytes] = {}
        try:
            counters = await self._counters()
            now_ms = self._now_ms()
        except TallymarkError:  # recovering, or stopping: heartbeats tell that we are there
            frames = {subscriber.keys: HEARTBEAT for subscriber in due}
            counters, now_ms = {}, 0
        for number, subscriber in enumerate(due, 1):
            frame = frames.get(subscriber.keys)
            if frame is None:
                frame = frames[subscriber.keys] = _frame(now_ms, counters, subscriber.keys)
            subscriber.offer(frame)
            if number % OFFERS_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()


class Subscriber:
    """One stream, of whatever carries it: which frames it gets, and when.

    grant  what opened it
    """

    grant: Grant = ANYBODY

    def __init__(self, *, keys: tuple[str, ...] | None, interval_ticks: int) -> None:
        self.keys = keys
        self._interval_ticks = interval_ticks
        self._ticks_left = 1  # the first frame comes with the next tick, whatever the interval

    def is_due(self) -> bool:
        """Count one tick; whether it is time for a frame, as it stays until one is offered."""
        self._ticks_left -= 1
        return self._ticks_left <= 0

    def offer(self, frame: bytes) -> None:
        """Give it the newest frame; one that was not taken yet is lost."""
        self._ticks_left = self._interval_ticks
        self.put(frame)

    def put(self, frame: bytes) -> None:
        """Send the frame, or have it ready."""
        raise NotImplementedError

    def end(self) -> None:
        """End the stream before its next frame."""
        raise NotImplementedError


def _frame(now_ms: int, counters: Counters, keys: tuple[str, ...] | None) -> bytes:
    # A counter of a day that has meanwhile left the last seven is simply no longer in it.
    shown = counters if keys is None else {k: counters[k] for k in keys if k in counters}
    update = {"type": "update", "timestamp": now_ms, "counters": shown}
    return b"id: %d\ndata: %b\n\n" % (now_ms, orjson.dumps(update))
