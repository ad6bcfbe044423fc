"""One load run: processes that send, an audience that looks, and the check of the counts."""

import datetime as dt
import fcntl
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from subprocess import PIPE
from typing import Any, Final

import msgspec
import trio
from msgspec import Struct

from load import audience, check, profile, worker
from load.connection import BROKEN, Connection, Endpoint, Target, plainly
from load.driver import Ending, Interval
from load.errors import LoadError, Unreachable
from load.outcome import (
    Distribution,
    Gathering,
    Machine,
    Outcome,
    Reads,
    Second,
    outcome_of,
    summed,
)
from load.plan import Plan, jobs, options_of
from load.tally import Tally
from load.worker import Failed, Ready, Start

START_NS: Final = 100_000_000
"""From the word to the first request, so that no process hears it too late."""

PIPE_BYTES: Final = 1 << 20
"""Room for what a process says: one that must wait for a reader is late with its requests."""


async def run(plan: Plan, *, on_second: Callable[[Second], None] = lambda _: None) -> Outcome:
    """Do it. Raises Unreachable where nothing answers, Uncountable, LoadError."""
    if Endpoint.of(plan.target).is_tls:
        raise LoadError(
            f"{plan.target.url}: load is sent over plain HTTP only. Give the address of the "
            f"server itself, not of the proxy that speaks TLS."
        )
    started = dt.datetime.now(dt.UTC)
    machine = Machine.here()
    corners = profile.rates(plan.profile, plan.rate_per_s, plan.duration_s)
    gathered = Gathering(
        corners=None if plan.closed_loop else corners,
        workers=plan.processes,
        has_audience=plan.profile.has_audience,
        duration_s=plan.duration_s,
        on_second=on_second,
    )
    period = check.period(started, plan.duration_s)
    before = await _counted(plan, period) if plan.is_counted else Tally()
    endings: list[Ending] = []
    await _send(plan, gathered, endings)
    gathered.end()
    counts = []
    if plan.is_counted:
        counts = check.compare(
            before,
            await _counted(plan, period),
            acknowledged=summed(ending.acknowledged for ending in endings),
            unknown=summed(ending.unknown for ending in endings),
            shared=plan.is_shared,
        )
    return outcome_of(
        gathered,
        endings,
        started_at=started.isoformat(timespec="seconds"),
        machine=machine,
        options=options_of(plan),
        counts=counts,
        reads=_reads(plan, gathered),
    )


async def _counted(plan: Plan, period: str) -> Tally:
    """The server's counts. Raises Unreachable, Uncountable."""
    connection = Connection(Endpoint.of(plan.target))

    async def ask(path: str) -> Mapping[str, Any]:
        try:
            answer = await connection.get(path)
        except BROKEN as failure:
            raise _unreachable(plan.target, plainly(failure)) from None
        if answer.status != 200:
            raise check.Uncountable(
                f"The server's counts cannot be read: GET {path} was answered with "
                f"{answer.status}, {answer.detail()} Try --no-check."
            )
        return answer.document()

    try:
        return await check.counted(ask, label=plan.label, period=period)
    finally:
        await connection.close()


def _unreachable(target: Target, reason: str) -> Unreachable:
    return Unreachable(
        f"Nothing answers at {target.url}: {reason}. Start the server with `tallymark serve`, "
        f"or name another."
    )


# -- processes --------------------------------------------------------------------------------


async def _send(plan: Plan, gathered: Gathering, endings: list[Ending]) -> None:
    """Run all processes from their start to their end."""
    crew = _Crew(plan.processes + plan.profile.has_audience)
    try:
        async with trio.open_nursery() as nursery:
            for job in jobs(plan):
                nursery.start_soon(_work, job, crew, gathered, endings)
            if plan.profile.has_audience:
                nursery.start_soon(_attend, plan, crew, gathered)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt):
            raise KeyboardInterrupt from None
        failure: BaseException | None = group.subgroup(LoadError)
        if failure is None:
            raise
        while isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
        raise failure from None


class _Crew:
    """All processes wait for the last of them to be ready, and start at one instant."""

    def __init__(self, size: int) -> None:
        self._missing = size
        self._ready = trio.Event()
        self._start_ns = 0

    async def start(self) -> Start:
        """Called by each when it is ready; returns the common start."""
        self._missing -= 1
        if not self._missing:
            self._start_ns = time.monotonic_ns() + START_NS
            self._ready.set()
        await self._ready.wait()
        return Start(self._start_ns)


async def _work(
    job: worker.Job, crew: _Crew, gathered: Gathering, endings: list[Ending]
) -> None:
    async with _process("load.worker", job) as process:
        while True:
            match msgspec.json.decode(await process.line(), type=worker.Line):
                case Ready():
                    await process.tell(await crew.start())
                case Failed(reason):
                    raise _unreachable(job.target, reason)
                case Interval() as interval:
                    gathered.tell(interval)
                case Ending() as ending:
                    endings.append(ending)
                    return


async def _attend(plan: Plan, crew: _Crew, gathered: Gathering) -> None:
    job = audience.Job(
        target=plan.target,
        queries_per_s=plan.profile.audience.queries_per_s,
        subscribers=plan.profile.audience.subscribers,
        duration_s=plan.duration_s,
    )
    async with _process("load.audience", job) as process:
        while True:
            match msgspec.json.decode(await process.line(), type=audience.Line):
                case Ready():
                    await process.tell(await crew.start())
                case audience.Heard() as heard:
                    gathered.hear(heard)
                case audience.Left():
                    return


class _Process:
    """A process of ours, which is sent lines and answers with lines."""

    def __init__(self, process: trio.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin, process.stdout
        self._received = bytearray()

    async def tell(self, told: Struct) -> None:
        """Raises LoadError where it has ended."""
        try:
            await self._stdin.send_all(msgspec.json.encode(told) + b"\n")
        except trio.BrokenResourceError:
            raise _ended_early() from None

    async def line(self) -> bytes:
        """The next line. Raises LoadError where it has ended."""
        while (end := self._received.find(b"\n")) < 0:
            data = await self._stdout.receive_some()
            if not data:
                raise _ended_early()
            self._received += data
        line = bytes(self._received[:end])
        del self._received[: end + 1]
        return line


def _ended_early() -> LoadError:
    return LoadError("A process of the run ended early; its output is above.")


@asynccontextmanager
async def _process(module: str, job: Struct) -> AsyncIterator[_Process]:
    """A process that has been given its job; it does not outlive the block."""
    process = await trio.lowlevel.open_process(
        [sys.executable, "-m", module], stdin=PIPE, stdout=PIPE
    )
    try:
        if isinstance(process.stdout, trio.lowlevel.FdStream) and sys.platform == "linux":
            fcntl.fcntl(process.stdout.fileno(), fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        ours = _Process(process)
        await ours.tell(job)
        yield ours
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    await pipe.aclose()


def _reads(plan: Plan, gathered: Gathering) -> Reads | None:
    if not plan.profile.has_audience:
        return None
    return Reads(
        latencies=Distribution.of(gathered.reads),
        errors=dict(gathered.reads_failed),
        frames=gathered.frames,
        frames_expected=plan.profile.audience.subscribers * max(int(plan.duration_s) - 1, 0),
    )
