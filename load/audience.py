"""Those who look while others write: `python -m load.audience` asks for metrics and listens.

Queries are sent open-loop, at even distances, and their latency counts from the intended
instant; subscribers of GET /stream stay for the whole run, and every second without a frame is
counted. It is started and reports as `load.worker` does.
"""

import itertools
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from typing import Final

import msgspec
import trio
from msgspec import Struct

from load.connection import BROKEN, Connection, Endpoint, Target, plainly
from load.worker import Ready, Start, write

QUERIES: Final = (
    "/metrics/services?limit=20",
    "/counters",
    "/metrics/marketplace",
    "/metrics/revenue",
    "/metrics/services?granularity=day&limit=20",
    "/metrics/users",
    "/metrics/experiments",
)
"""What a dashboard asks for, one after the other."""

QUERYING: Final = 16
"""Connections for queries; a query that finds none free waits, and its latency with it."""

FRAME: Final = b'"type":"update"'
GREETING: Final = b'"type":"connected"'
PAUSE_S: Final = 0.2

GREET_S: Final = 5.0
"""How long is waited for the streams to begin; one that does not has failed."""

DRAIN_S: Final = 5.0
"""How long after the end an answer is waited for."""

RECEIVE_BYTES: Final = 65_536


class Job(Struct, frozen=True, kw_only=True):
    """What the audience does for `duration_s`."""

    target: Target
    queries_per_s: float
    subscribers: int
    duration_s: float


class Heard(Struct, frozen=True, kw_only=True, tag=True):
    """What the audience saw in one second; {reason: queries and streams that failed}."""

    second: int
    queries: int
    frames: int
    failed: dict[str, int]
    latencies_us: list[int]


class Left(Struct, frozen=True, tag=True):
    """It is over."""


Line = Ready | Heard | Left


class _Audience:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._endpoint = Endpoint.of(job.target)
        self._latencies_us: list[int] = []
        self._queries = self._frames = 0
        self._answered = 0
        self._failed: Counter[str] = Counter()
        self._all_greeted = trio.Event()
        self._to_greet = job.subscribers

    async def attend(self) -> None:
        """Subscribe, wait for the start, ask until the end."""
        async with trio.open_nursery() as listening:
            for _ in range(self._job.subscribers):
                listening.start_soon(self._listen)
            with trio.move_on_after(GREET_S):
                if self._to_greet:
                    await self._all_greeted.wait()
            write(Ready())
            told = await trio.to_thread.run_sync(sys.stdin.buffer.readline)
            if told:
                start_ns = msgspec.json.decode(told, type=Start).start_ns
                start_s = trio.current_time() + (start_ns - time.monotonic_ns()) / 1e9
                await self._ask_until_the_end(start_s)
            listening.cancel_scope.cancel()

    async def _ask_until_the_end(self, start_s: float) -> None:
        due = int(self._job.queries_per_s * self._job.duration_s)
        end_s = start_s + self._job.duration_s
        numbers = iter(range(due))
        async with trio.open_nursery() as telling:
            telling.start_soon(self._tell, start_s)
            with trio.move_on_at(end_s + DRAIN_S):
                async with trio.open_nursery() as asking:
                    for _ in range(QUERYING):
                        asking.start_soon(self._ask, numbers, start_s)
                    await trio.sleep_until(end_s)
            telling.cancel_scope.cancel()
        # What found no answer must not be missing from what is told: it was the slowest.
        if unanswered := due - self._answered:
            self._failed["no answer in time"] += unanswered
        self._write(int(trio.current_time() - start_s))
        write(Left())

    async def _ask(self, numbers: Iterator[int], start_s: float) -> None:
        connection = Connection(self._endpoint)
        try:
            for number in numbers:
                intended_s = start_s + number / self._job.queries_per_s
                await trio.sleep_until(intended_s)
                await self._query(connection, QUERIES[number % len(QUERIES)], intended_s)
                self._answered += 1
        finally:
            await connection.close()

    async def _query(self, connection: Connection, path: str, intended_s: float) -> None:
        try:
            answer = await connection.get(path)
        except BROKEN as failure:
            self._failed[plainly(failure)] += 1
            return
        if answer.status != 200:
            self._failed[str(answer.status)] += 1
            return
        self._queries += 1
        self._latencies_us.append(int((trio.current_time() - intended_s) * 1e6))

    async def _listen(self) -> None:
        while True:
            try:
                await self._read_frames()
            except BROKEN as failure:
                self._failed[f"stream: {plainly(failure)}"] += 1
            await trio.sleep(PAUSE_S)

    async def _read_frames(self) -> None:
        endpoint = self._endpoint
        lines = [f"GET {endpoint.prefix}/stream HTTP/1.1"]
        lines += [f"{name}: {text}" for name, text in endpoint.headers]
        stream = await trio.open_tcp_stream(endpoint.host, endpoint.port)
        async with stream:
            await stream.send_all(("\r\n".join(lines) + "\r\n\r\n").encode())
            # Frames are counted by a word that each holds once; it may be cut between reads.
            kept, is_greeted = b"", False
            async for data in stream:
                seen = kept + data
                if not is_greeted and GREETING in seen:
                    is_greeted = True
                    self._greet()
                self._frames += seen.count(FRAME)
                kept = seen[-len(FRAME) + 1 :]
        self._failed["stream: it ended"] += 1

    def _greet(self) -> None:
        self._to_greet -= 1
        if self._to_greet == 0:
            self._all_greeted.set()

    async def _tell(self, start_s: float) -> None:
        for second in itertools.count():
            await trio.sleep_until(start_s + second + 1)
            self._write(second)

    def _write(self, second: int) -> None:
        write(
            Heard(
                second=second,
                queries=self._queries,
                frames=self._frames,
                failed=dict(self._failed),
                latencies_us=self._latencies_us,
            )
        )
        self._queries = self._frames = 0
        self._failed.clear()
        self._latencies_us = []


def main() -> None:
    """Do one job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    told = sys.stdin.buffer.readline()
    if told:
        trio.run(_Audience(msgspec.json.decode(told, type=Job)).attend)


if __name__ == "__main__":
    main()
