"""The client for threads: `track` puts an event into a queue, a thread of its own sends it."""

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from tallymark_client.events import Collectors, Event
from tallymark_client.outbox import BATCH_EVENTS_MAX, Answer, Drop, Outbox, Stats, body_of, log
from tallymark_client.retry import delay_s, hurried_s, parsed_retry_after_s
from tallymark_client.timing import Timed
from tallymark_client.transport import Connection

EXIT_TIMEOUT_S: Final = 5.0
"""How long the end of the process waits for what is queued."""


class Tallymark(Collectors):
    """Sends events in the background; no method but this constructor raises.

    url               where Tallymark listens
    key               a write key, where the service has keys
    flush_events      how many waiting events are sent at once, without waiting for more
    flush_interval_s  how long a single event waits for company
    queue_events_max  how many may wait; one more is dropped, and told
    on_drop           told of every event that will not arrive; default: a warning in the log
    sync_mode         send in `track` itself, for short-lived processes: it returns when the
                      event has arrived, or is dropped after `timeout_s`
    timeout_s         of one request

    One client is enough for a process, and all its threads may use it. After a fork the child
    has an empty queue and a thread of its own; what waited is the parent's to send.
    """

    _flush_until: int  # the count of events put up to which somebody waits

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        flush_events: int = BATCH_EVENTS_MAX,
        flush_interval_s: float = 1.0,
        queue_events_max: int = 10_000,
        on_drop: Callable[[Drop], object] | None = None,
        sync_mode: bool = False,
        timeout_s: float = 10.0,
    ) -> None:
        self._connection = Connection(url, key=key, timeout_s=timeout_s)
        self._flush_events = flush_events
        self._flush_interval_s = flush_interval_s
        self._queue_events_max = queue_events_max
        self._on_drop = on_drop
        self._sync_mode = sync_mode
        self._timeout_s = timeout_s
        self._begin()
        _clients.add(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def track(self, event: Event) -> None:
        """Take an event as it looks on the wire. Never raises, never waits for the network."""
        try:
            self._take(dict(event))
        except Exception:
            log.exception("an event could not be taken")

    def timed(self, service_id: str, **fields: object) -> Timed:
        """Time a block or a function, and report it as one execution: see `Timed`."""
        return Timed(self, service_id, **fields)

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Send now what is queued; whether all of it was delivered or dropped in this time."""
        with self._news:
            until = self._outbox.put_count
            self._flush_until = max(self._flush_until, until)
            self._news.notify_all()
            return self._news.wait_for(lambda: self._outbox.settled_count >= until, timeout_s)

    def close(self, timeout_s: float = 10.0) -> bool:
        """Flush, then stop; what is left is dropped, and told. Whether nothing was left."""
        deadline_s = time.monotonic() + timeout_s
        with self._news:
            self._outbox.is_closed = True
        is_all_sent = self.flush(timeout_s)
        with self._news:
            drops = self._outbox.abandon(f"unsent {timeout_s} s after close")
            self._has_ended = True
            self._news.notify_all()
        self._outbox.report(drops)
        self._end_connection(deadline_s)
        _clients.discard(self)
        return is_all_sent

    def stats(self) -> Stats:
        """What became of the events so far."""
        with self._news:
            return self._outbox.stats()

    def _end_connection(self, deadline_s: float) -> None:
        if self._thread is None:
            with self._sending_here:
                self._connection.close()
        elif self._thread is not threading.current_thread():  # on_drop may close, in the thread
            self._thread.join(max(0.0, deadline_s - time.monotonic()))

    def _begin(self) -> None:
        self._news = threading.Condition()
        self._outbox = Outbox(self._queue_events_max, self._on_drop)
        self._flush_until = 0
        self._has_ended = False
        self._sending_here = threading.Lock()  # one connection, so one sender
        self._thread: threading.Thread | None = None

    def _begin_in_child(self) -> None:
        self._connection.forget()
        self._begin()

    def _take(self, event: Event) -> None:
        with self._news:
            drop = self._outbox.put(event, now_ms=_now_ms())
            if drop is None and not self._sync_mode:
                self._wake()
        if drop is not None:
            self._outbox.report([drop])
        elif self._sync_mode:
            self._send_here()

    def _wake(self) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="tallymark", daemon=True)
            self._thread.start()
        if len(self._outbox) in (1, self._flush_events):
            self._news.notify_all()

    def _run(self) -> None:
        failures = 0
        while self._wait_for_work():
            answer, is_settled = self._send_one(None)
            failures = 0 if is_settled else failures + 1
            if failures:
                self._pause(failures, answer)
        self._connection.close()

    def _wait_for_work(self) -> bool:
        """Wait until there is a batch worth sending; False: the end."""
        with self._news:
            self._news.wait_for(lambda: len(self._outbox) > 0 or self._has_ended)
            self._news.wait_for(self._is_due, self._flush_interval_s)
            return not self._has_ended

    def _is_due(self) -> bool:
        return len(self._outbox) >= self._flush_events or self._is_hurried()

    def _send_one(self, deadline_s: float | None) -> tuple[Answer, bool]:
        """Send the next batch; its answer, and whether it is done with."""
        with self._news:
            batch = self._outbox.batch()
            first = self._outbox.settled_count
        if not batch:
            return Answer(200), True
        body = body_of(batch, sent_at_ms=_now_ms())
        answer = self._connection.send(body, deadline_s=deadline_s)
        with self._news:
            if self._outbox.settled_count != first:  # abandoned meanwhile
                return answer, True
            drops = self._outbox.settle(len(batch), answer)
            self._news.notify_all()
        self._outbox.report(drops or [])
        return answer, drops is not None

    def _pause(self, failures: int, answer: Answer) -> None:
        """Wait before sending again, and not to the end where somebody flushes or closes."""
        asked_s = _asked_s(answer)
        wait_s = delay_s(failures, retry_after_s=asked_s)
        first_s = hurried_s(wait_s, retry_after_s=asked_s)
        with self._news:
            if not self._news.wait_for(lambda: self._has_ended, first_s):
                self._news.wait_for(self._is_hurried, wait_s - first_s)

    def _is_hurried(self) -> bool:
        return self._has_ended or self._flush_until > self._outbox.settled_count

    def _send_here(self) -> None:
        """Send until the queue is empty or the time is up, in the thread of the caller."""
        deadline_s = time.monotonic() + self._timeout_s
        failures = 0
        with self._sending_here:
            while len(self._outbox):
                answer, is_settled = self._send_one(deadline_s)
                failures = 0 if is_settled else failures + 1
                wait_s = delay_s(failures, retry_after_s=_asked_s(answer)) if failures else 0.0
                if time.monotonic() + wait_s >= deadline_s:
                    self._give_up(answer)
                elif wait_s:
                    time.sleep(wait_s)

    def _give_up(self, answer: Answer) -> None:
        with self._news:
            why = answer.detail or str(answer.status)
            drops = self._outbox.abandon(f"unsent after {self._timeout_s} s: {why}")
        self._outbox.report(drops)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _asked_s(answer: Answer) -> float | None:
    return parsed_retry_after_s(answer.retry_after, now_s=time.time())


_clients: weakref.WeakSet[Tallymark] = weakref.WeakSet()


def _at_exit() -> None:
    for client in list(_clients):
        client.close(EXIT_TIMEOUT_S)


def _after_fork() -> None:
    for client in list(_clients):
        client._begin_in_child()


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
