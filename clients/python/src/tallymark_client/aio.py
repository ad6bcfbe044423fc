"""The client for asyncio and Trio, through httpx: the extra `[async]`."""

import math
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import anyio
import httpx
from anyio.abc import TaskGroup

from tallymark_client.events import Collectors, Event
from tallymark_client.outbox import BATCH_EVENTS_MAX, Answer, Drop, Outbox, Stats, body_of, log
from tallymark_client.retry import delay_s, hurried_s, parsed_retry_after_s
from tallymark_client.timing import Timed
from tallymark_client.transport import BATCH_PATH, headers_of


class AsyncTallymark(Collectors):
    """`async with AsyncTallymark(url) as t:`; a task of the block sends while the block runs.

    The arguments are those of `Tallymark`, and so are `track` and the collectors: they return
    at once. The end of the block sends what is left, for at most `close_timeout_s`.
    """

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        flush_events: int = BATCH_EVENTS_MAX,
        flush_interval_s: float = 1.0,
        queue_events_max: int = 10_000,
        on_drop: Callable[[Drop], object] | None = None,
        timeout_s: float = 10.0,
        close_timeout_s: float = 10.0,
    ) -> None:
        self._url = url.rstrip("/") + BATCH_PATH
        self._flush_events = flush_events
        self._flush_interval_s = flush_interval_s
        self._close_timeout_s = close_timeout_s
        self._outbox = Outbox(queue_events_max, on_drop)
        self._http = httpx.AsyncClient(headers=headers_of(key), timeout=timeout_s)
        self._due = anyio.Event()
        self._settled = anyio.Event()
        self._flush_until = 0
        self._tasks: TaskGroup | None = None

    async def __aenter__(self) -> Self:
        self._tasks = anyio.create_task_group()
        await self._tasks.__aenter__()
        self._tasks.start_soon(self._run)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        assert self._tasks is not None
        try:
            # A cancelled block still gets its moment: what was tracked is to arrive.
            with anyio.CancelScope(shield=True):
                await self.flush(self._close_timeout_s)
        finally:
            self._outbox.is_closed = True
            self._outbox.report(self._outbox.abandon("unsent when the client was closed"))
            self._tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await self._http.aclose()
        return await self._tasks.__aexit__(kind, error, traceback)

    def track(self, event: Event) -> None:
        """Take an event as it looks on the wire. Never raises, and never waits."""
        try:
            drop = self._outbox.put(dict(event), now_ms=_now_ms())
            self._outbox.report([] if drop is None else [drop])
            if len(self._outbox) in (1, self._flush_events):
                self._due.set()
        except Exception:
            log.exception("an event could not be taken")

    def timed(self, service_id: str, **fields: object) -> Timed:
        """Time a block or a function, and report it as one execution."""
        return Timed(self, service_id, **fields)

    def stats(self) -> Stats:
        """What became of the events so far."""
        return self._outbox.stats()

    async def flush(self, timeout_s: float = 10.0) -> bool:
        """Send now what is queued; whether all of it was delivered or dropped in this time."""
        until = self._outbox.put_count
        self._flush_until = until
        self._due.set()
        with anyio.move_on_after(timeout_s):
            while self._outbox.settled_count < until:
                await self._settled.wait()
        return self._outbox.settled_count >= until

    async def _run(self) -> None:
        failures = 0
        while True:
            await self._wait_for_work()
            batch = self._outbox.batch()
            answer = await self._send(body_of(batch, sent_at_ms=_now_ms()))
            drops = self._outbox.settle(len(batch), answer)
            self._settled.set()
            self._settled = anyio.Event()
            self._outbox.report(drops or [])
            failures = 0 if drops is not None else failures + 1
            if failures:
                asked_s = parsed_retry_after_s(answer.retry_after, now_s=time.time())
                await self._pause(delay_s(failures, retry_after_s=asked_s), asked_s)

    async def _pause(self, wait_s: float, asked_s: float | None) -> None:
        """Wait before sending again, and not to the end where somebody flushes or closes."""
        first_s = hurried_s(wait_s, retry_after_s=asked_s)
        await anyio.sleep(first_s)
        with anyio.move_on_after(wait_s - first_s):
            while self._flush_until <= self._outbox.settled_count:
                await self._due.wait()
                self._due = anyio.Event()

    async def _wait_for_work(self) -> None:
        """Wait until there is a batch worth sending."""
        while not self._is_due():
            wait_s = self._flush_interval_s if len(self._outbox) else math.inf
            with anyio.move_on_after(wait_s) as moment:
                await self._due.wait()
            self._due = anyio.Event()
            if moment.cancelled_caught and len(self._outbox):
                return

    def _is_due(self) -> bool:
        if not len(self._outbox):
            return False
        is_asked = self._flush_until > self._outbox.settled_count
        return is_asked or len(self._outbox) >= self._flush_events

    async def _send(self, body: bytes) -> Answer:
        try:
            response = await self._http.post(self._url, content=body)
        except httpx.HTTPError as error:
            return Answer(0, detail=f"{type(error).__name__}: {error}")
        retry_after = response.headers.get("Retry-After")
        return Answer(response.status_code, response.content, retry_after)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
