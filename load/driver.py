"""One worker's run without any input or output: what is due, and what became of it.

Open loop: a request is due at its intended instant, whatever became of those before, and its
latency counts from there. One that finds no free connection waits, and the wait is part of
its latency: no slow answer hides how many others it kept from being asked (no coordinated
omission).

Whoever drives it, `load.sockets` over HTTP or `drive` over a sink, calls `take` once `next_ns`
has come and something is free to send, and then `acknowledge`, `refuse` or `lose`.
"""

import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple, Protocol

import trio
from msgspec import Struct

from load.payload import Template, stamp
from load.tally import EVENTS, Tally, times

NEVER_NS: Final = 2**63
SECOND_NS: Final = 1_000_000_000

AGAIN_NS: Final = SECOND_NS // 5
"""Pause before a lost request that was refused is sent once more."""

SAMPLES_MAX: Final = 10
"""Kinds of refusals of which a report shows the reason."""


class Interval(Struct, frozen=True, kw_only=True, tag=True):
    """What one worker saw in one second, counted from the start.

    requests, events  acknowledged in it
    refused, lost     {status: requests}; {reason: requests whose outcome is unknown}
    latencies_us      of the acknowledged requests
    lateness_us       of the worker itself: how long each request that was due waited although
                      something was free to send it
    """

    second: int
    requests: int
    events: int
    refused: dict[str, int]
    lost: dict[str, int]
    latencies_us: list[int]
    lateness_us: list[int]


class Ending(Struct, frozen=True, kw_only=True, tag=True):
    """What one worker says at its end.

    acknowledged  what all acknowledged requests add up to, those settled later included
    unknown       what the requests add up to of which nobody knows whether they were taken
    unsent        requests that were due and never sent
    settled       lost requests that a second sending brought to an answer
    samples       {status: what the first such refusal said}
    """

    acknowledged: dict[str, int]
    unknown: dict[str, int]
    unsent: int
    settled: int
    samples: dict[str, str]
    cpu_s: float


class Request(NamedTuple):
    """A request on its way; `is_again` where it was lost before: its latency means nothing."""

    template: int
    stamp: bytes
    intended_ns: int
    sent_ns: int
    is_again: bool


class Driver:
    """One worker's run.

    next_ns    when the next request is due, NEVER_NS where none is left
    in_flight  requests taken and not yet told of
    """

    def __init__(
        self,
        templates: Sequence[Template],
        arrivals_ns: Iterator[int] | None,
        *,
        start_ns: int,
        end_ns: int,
    ) -> None:
        """`arrivals_ns` count from the start; None: closed loop, due whenever one is free."""
        self.in_flight = 0
        self.next_ns = start_ns
        self._templates = templates
        self._arrivals_ns = arrivals_ns
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._is_settling = False
        self._number = 0
        self._lost: deque[Request] = deque()
        self._acknowledged = [0] * len(templates)  # requests, by template
        self._settled = 0
        self._unsent = 0
        self._samples: dict[str, str] = {}
        self._latencies_us: list[int] = []
        self._lateness_us: list[int] = []
        self._requests = self._events = 0
        self._refusals: Counter[str] = Counter()
        self._losses: Counter[str] = Counter()
        if arrivals_ns is not None:
            self._advance()

    @property
    def is_over(self) -> bool:
        """Whether nothing is due any more and nothing on its way."""
        return self.next_ns == NEVER_NS and not self.in_flight

    def take(self, now_ns: int, free_ns: int) -> Request:
        """The next request, which is due; to be sent at once.

        free_ns  since when there was something free to send it
        """
        assert self.next_ns <= now_ns
        self.in_flight += 1
        if self._is_settling:
            lost = self._lost.popleft()
            self.next_ns = 0 if self._lost else NEVER_NS
            return lost._replace(sent_ns=now_ns, is_again=True)
        intended_ns = self.next_ns
        self._number += 1
        if self._arrivals_ns is None:
            intended_ns = now_ns
            self.next_ns = self.next_ns if now_ns < self._end_ns else NEVER_NS
        else:
            self._lateness_us.append((now_ns - max(intended_ns, free_ns)) // 1_000)
            self._advance()
        mark = stamp(self._number, time.time_ns() // 1_000_000)
        template = self._number % len(self._templates)
        return Request(template, mark, intended_ns, now_ns, is_again=False)

    def acknowledge(self, request: Request, now_ns: int) -> None:
        """The server has taken all of it."""
        self.in_flight -= 1
        self._acknowledged[request.template] += 1
        if request.is_again:
            self._settled += 1
            return
        self._latencies_us.append((now_ns - request.intended_ns) // 1_000)
        self._requests += 1
        self._events += self._templates[request.template].tally[EVENTS]

    def refuse(self, request: Request, status: str, detail: str, now_ns: int) -> None:
        """The server has taken nothing of it, and said so."""
        self.in_flight -= 1
        if request.is_again:  # not now: what became of it the first time is still unknown
            self._lost.append(request)
            self.next_ns = now_ns + AGAIN_NS
            return
        self._refusals[status] += 1
        if len(self._samples) < SAMPLES_MAX:
            self._samples.setdefault(status, detail)

    def lose(self, request: Request, reason: str, now_ns: int) -> None:
        """No answer came: nobody knows whether it was taken, until it is settled."""
        self.in_flight -= 1
        self._lost.append(request)
        if request.is_again:
            self.next_ns = now_ns + AGAIN_NS
        else:
            self._losses[reason] += 1

    def give_up(self, now_ns: int) -> None:
        """Send nothing more, and count what has been due: the run has had its time."""
        while self.next_ns != NEVER_NS:
            self._unsent += self._arrivals_ns is not None and self.next_ns <= now_ns
            self._advance()

    def settle(self) -> None:
        """From now on lost requests are due, with their own ids: those taken count once."""
        self._is_settling = True
        self.next_ns = 0 if self._lost else NEVER_NS

    def interval(self, second: int) -> Interval:
        """What happened since the last one."""
        found = Interval(
            second=second,
            requests=self._requests,
            events=self._events,
            refused=dict(self._refusals),
            lost=dict(self._losses),
            latencies_us=self._latencies_us,
            lateness_us=self._lateness_us,
        )
        self._requests = self._events = 0
        self._refusals.clear()
        self._losses.clear()
        self._latencies_us, self._lateness_us = [], []
        return found

    def ending(self, cpu_s: float) -> Ending:
        """What the whole run came to."""
        acknowledged, unknown = Tally(), Tally()
        for template, requests in zip(self._templates, self._acknowledged, strict=True):
            acknowledged.update(times(template.tally, requests))
        for request in self._lost:
            unknown.update(self._templates[request.template].tally)
        return Ending(
            acknowledged=dict(acknowledged),
            unknown=dict(unknown),
            unsent=self._unsent,
            settled=self._settled,
            samples=self._samples,
            cpu_s=cpu_s,
        )

    def _advance(self) -> None:
        due_ns = None if self._arrivals_ns is None else next(self._arrivals_ns, None)
        self.next_ns = NEVER_NS if due_ns is None else self._start_ns + due_ns


class Sink(Protocol):
    """What takes bodies inside a process: a status as over HTTP, and the body of the answer."""

    async def __call__(self, body: bytes) -> tuple[int, bytes]: ...


async def drive(
    driver: Driver,
    sink: Sink,
    *,
    templates: Sequence[Template],
    senders: int,
    start_ns: int,
    give_up_ns: int,
    stop: trio.Event,
    on_interval: Callable[[Interval], None],
) -> None:
    """Run a driver over a sink in this process, in Trio's time, until it is over.

    senders     how many bodies may be with the sink at once
    give_up_ns  after which nothing that is due is sent
    stop        ends it before its time; what is with the sink is waited for
    """
    free = trio.Semaphore(senders)

    async def send(request: Request) -> None:
        body = request.stamp.join(templates[request.template].parts)
        status, answer = await sink(body)
        free.release()
        if status == 200:
            driver.acknowledge(request, now_ns())
        else:
            driver.refuse(request, str(status), answer.decode(errors="replace"), now_ns())

    async def tell() -> None:
        for second in itertools.count():
            await trio.sleep_until((start_ns + (second + 1) * SECOND_NS) / SECOND_NS)
            on_interval(driver.interval(second))

    async def feed(sending: trio.Nursery) -> None:
        while driver.next_ns != NEVER_NS:
            await free.acquire()
            free_ns = now_ns()
            await trio.sleep_until(driver.next_ns / SECOND_NS)
            if now_ns() > give_up_ns:
                break
            sending.start_soon(send, driver.take(now_ns(), free_ns))

    async with trio.open_nursery() as telling:
        telling.start_soon(tell)
        async with trio.open_nursery() as sending:
            async with trio.open_nursery() as feeding:
                feeding.start_soon(_cancel_at, stop, feeding)
                await feed(sending)
                feeding.cancel_scope.cancel()
            driver.give_up(now_ns())
        telling.cancel_scope.cancel()
    on_interval(driver.interval((now_ns() - start_ns) // SECOND_NS))


async def _cancel_at(stop: trio.Event, nursery: trio.Nursery) -> None:
    await stop.wait()
    nursery.cancel_scope.cancel()


def now_ns() -> int:
    """Trio's clock, which a sink's driver runs by."""
    return int(trio.current_time() * SECOND_NS)
