"""What waits to be sent, and what an answer does to it; no thread, no socket and no clock."""

import json
import uuid
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from logging import getLogger
from typing import Any, Final, Literal

from tallymark_client.events import Event
from tallymark_client.retry import is_passing

BATCH_EVENTS_MAX: Final = 25
"""What `/track/batch` takes."""

BATCH_BYTES_MAX: Final = 900_000
"""Below the 1 MiB that the service takes as a body, for events with large unknown fields."""

_REFUSALS_OF_A_BODY: Final = (400, 413, 422)
"""One event can be the cause of these for all of its batch, so the batch goes again in halves
until that one is alone; whole again once something was taken."""

Reason = Literal["queue-full", "unserialisable", "refused", "closed"]
"""Why an event was dropped: no room, no JSON, not what the service takes, or still unsent."""

log = getLogger("tallymark_client")


@dataclass(frozen=True, slots=True)
class Drop:
    """An event that will not arrive, and why."""

    event: Mapping[str, Any]
    reason: Reason
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Stats:
    """What became of the events so far; `delivered` are those with an acknowledgement."""

    queued: int
    delivered: int
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for a batch; status 0: nothing did, and detail says why."""

    status: int
    body: bytes = b""
    retry_after: str | None = None
    detail: str = ""


@dataclass(slots=True)
class _Item:
    event: Event
    encoded: bytes


@dataclass(slots=True)
class Outbox:
    """A bounded queue whose head stays in it until the service has answered for it.

    queue_events_max  events in it, the batch on its way included; one more is dropped
    on_drop           called once for every drop; what it raises is logged

    `len(outbox) + delivered + dropped == events put` holds after every call. Whoever shares
    it between threads holds a lock around every call but `report`.
    """

    queue_events_max: int
    on_drop: Callable[[Drop], object] | None = None
    put_count: int = 0
    delivered: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    is_closed: bool = False
    _items: deque[_Item] = field(default_factory=deque)
    _batch_events_max: int = BATCH_EVENTS_MAX

    def __len__(self) -> int:
        return len(self._items)

    @property
    def settled_count(self) -> int:
        """How many of the events put have been delivered or dropped."""
        return self.put_count - len(self._items)

    def stats(self) -> Stats:
        return Stats(len(self._items), self.delivered, dict(self.dropped))

    def put(self, event: Event, *, now_ms: int) -> Drop | None:
        """Take an event, with an id and a timestamp where it has none; a Drop if it cannot."""
        self.put_count += 1
        given = {name: value for name, value in event.items() if value is not None}
        whole = {"eventId": str(uuid.uuid4()), "timestamp": now_ms} | given
        if self.is_closed:
            return self._drop(whole, "closed", "tracked after close")
        if len(self._items) >= self.queue_events_max:
            return self._drop(whole, "queue-full", f"{self.queue_events_max} events wait")
        try:
            text = json.dumps(whole, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            return self._drop(whole, "unserialisable", str(error))
        self._items.append(_Item(whole, _utf8(text)))
        return None

    def batch(self) -> list[bytes]:
        """The events to send next, encoded; they stay at the head until `settle`."""
        chosen: list[bytes] = []
        room_bytes = BATCH_BYTES_MAX
        for item in self._items:
            room_bytes -= len(item.encoded) + 1
            if len(chosen) == self._batch_events_max or (chosen and room_bytes < 0):
                break
            chosen.append(item.encoded)
        return chosen

    def settle(self, count: int, answer: Answer) -> list[Drop] | None:
        """What an answer means for the first `count` events; None: send them again later."""
        if answer.status == 0 or is_passing(answer.status):
            return None
        if answer.status in _REFUSALS_OF_A_BODY and count > 1:
            self._batch_events_max = count // 2
            return []
        items = [self._items.popleft() for _ in range(count)]
        if answer.status != 200:
            detail = f"{answer.status}: {_problem(answer.body)}"
            return [self._drop(item.event, "refused", detail) for item in items]
        self._batch_events_max = BATCH_EVENTS_MAX
        refused = _rejected(answer.body)
        self.delivered += sum(index not in refused for index in range(count))
        return [
            self._drop(item.event, "refused", refused[index])
            for index, item in enumerate(items)
            if index in refused
        ]

    def abandon(self, detail: str) -> list[Drop]:
        """Drop all that is left."""
        items, self._items = self._items, deque()
        return [self._drop(item.event, "closed", detail) for item in items]

    def report(self, drops: list[Drop]) -> None:
        """Tell of drops; to be called without a lock, as it runs code of the caller."""
        for drop in drops:
            if self.on_drop is None:
                log.warning("an event was dropped (%s): %s", drop.reason, drop.detail)
                continue
            try:
                self.on_drop(drop)
            except Exception:
                log.exception("on_drop has failed")

    def _drop(self, event: Event, reason: Reason, detail: str) -> Drop:
        self.dropped[reason] += 1
        return Drop(event, reason, detail)


def body_of(batch: list[bytes], *, sent_at_ms: int) -> bytes:
    """A batch as the body of a request; `sentAt` lets the service correct our clock."""
    return b'{"sentAt":%d,"events":[%s]}' % (sent_at_ms, b",".join(batch))


def _utf8(text: str) -> bytes:
    """The text as UTF-8, in which half a surrogate pair becomes U+FFFD, as in a browser.

    Half a pair is what is left of an emoji that was cut in two. JSON could only escape it, and
    a reader of Unicode then takes none of the body.
    """
    try:
        return text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").encode()


def _rejected(body: bytes) -> dict[int, str]:
    try:
        faults = json.loads(body).get("rejected") or []
        return {fault["index"]: f"{fault['path']}: {fault['message']}" for fault in faults}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _problem(body: bytes) -> str:
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return body[:200].decode(errors="replace")
