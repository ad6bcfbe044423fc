"""One synthetic load run inside the process: what is asked for, and what becomes of it.

It drives `load.driver` over the very function that ingest requests go through, and then asks
the engine for its counts, as `tallymark load` does from outside.
"""

import datetime as dt
import secrets
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Any, Final, Literal, Protocol

import msgspec
import trio
from msgspec import UNSET, Meta, Struct, UnsetType

from engine.actors.health import Health
from engine.answers import experiments, marketplace, revenue, services, users
from load import check, profile
from load.driver import SECOND_NS, Driver, drive, now_ns
from load.outcome import Distribution, Gathering, Second
from load.payload import TEMPLATE_EVENTS, Form, Template, templates
from load.schedule import arrivals_ns
from load.tally import Tally
from web import ingest, wire
from web.ingest import Acceptor, Kind

LABEL: Final = "load-run"
"""Names everything that a run sends, so that live figures can be told from it."""

SEED: Final = 2025
DRAIN_NS: Final = 5 * SECOND_NS


class Counting(Acceptor, Protocol):
    """What a run needs of an engine: to take events, and to say what it has counted."""

    def health(self) -> Health: ...
    async def services(self, asked: services.Asked) -> services.Answer: ...
    async def revenue(self, asked: revenue.Asked) -> revenue.Answer: ...
    async def marketplace(self, asked: marketplace.Asked) -> marketplace.Answer: ...
    async def experiments(self, asked: experiments.Asked) -> experiments.Answer: ...
    async def users(self, asked: users.Asked) -> users.Answer: ...


class NewRun(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """POST /load/runs: a profile of the package, and what it leaves open."""

    profile: str = "steady"
    rate: Annotated[float, Meta(gt=0, description="events a second")] = 1_000.0
    duration_s: Annotated[float, Meta(gt=0)] = 10.0
    target: Literal["scratch", "live"] = "scratch"


class Run(Struct, frozen=True, kw_only=True, rename="camel"):
    """One run. Rates are events a second, latencies ms from the intended instant.

    refused  {status: requests}; unsent: requests for which there was no time
    latency  {"p50": ms, ...}; empty before the first acknowledgement
    counts   the engine's own counts against what it acknowledged, when it is over
    seconds  second by second; absent in the list of runs
    reason   why it failed
    """

    id: str
    status: Literal["running", "finished", "stopped", "failed"]
    profile: str
    rate: float
    duration_s: float
    target: Literal["scratch", "live"]
    started_at: str
    requests: int
    events: int
    refused: dict[str, int]
    unsent: int
    latency: dict[str, float]
    counts: list[check.Row]
    seconds: list[Second] | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class OneRun(Struct, frozen=True):
    """One run, with its seconds."""

    data: Run


class Course:
    """One run: what was asked, what has become of it so far."""

    def __init__(self, asked: NewRun, found: profile.Profile) -> None:
        self.id = secrets.token_hex(8)
        self.asked = asked
        self.stop = trio.Event()
        self.has_ended = trio.Event()
        self.news = trio.Event()
        self.seconds: list[Second] = []
        self._profile = found
        self._started = dt.datetime.now(dt.UTC)
        self._corners = profile.rates(found, asked.rate, asked.duration_s)
        self._gathered = Gathering(
            corners=self._corners,
            workers=1,
            has_audience=False,
            duration_s=asked.duration_s,
            on_second=self._second,
        )
        self._unsent = 0
        self._counts: list[check.Row] = []
        self._reason: str | None = None

    async def carry_out(self, engine: Counting) -> None:
        """Send all of it to `engine`, and check what that has counted."""
        asked, found = self.asked, self._profile
        form = Form.of(found.batch)
        bodies: list[Template] = await trio.to_thread.run_sync(
            partial(
                templates,
                run=self.id,
                worker=0,
                seed=SEED,
                label=LABEL,
                data=found.data,
                batch=found.batch,
                form=form,
                count=TEMPLATE_EVENTS // found.batch,
            )
        )
        kind = Kind(form.route)

        async def sink(body: bytes) -> tuple[int, bytes]:
            reply = await ingest.take(engine, kind, body)
            return reply.status, reply.body

        period = check.period(self._started, asked.duration_s)
        ask = partial(_ask, engine)
        before = await check.counted(ask, label=LABEL, period=period)
        start_ns = now_ns()
        end_ns = start_ns + int(asked.duration_s * SECOND_NS)
        corners = [(at_s, rate / found.batch) for at_s, rate in self._corners]
        due_ns = arrivals_ns(corners, arrivals=found.arrivals, seed=SEED)
        driver = Driver(bodies, due_ns, start_ns=start_ns, end_ns=end_ns)
        await drive(
            driver,
            sink,
            templates=bodies,
            senders=found.connections,
            start_ns=start_ns,
            give_up_ns=end_ns + DRAIN_NS,
            stop=self.stop,
            on_interval=self._gathered.tell,
        )
        ending = driver.ending(cpu_s=0.0)
        self._unsent = ending.unsent
        self._counts = check.compare(
            before,
            await check.counted(ask, label=LABEL, period=period),
            acknowledged=Tally(ending.acknowledged),
            unknown=Tally(ending.unknown),
            shared=asked.target == "live",
        )

    def fail(self, reason: str) -> None:
        """It could not be carried out."""
        self._reason = reason

    def end(self) -> None:
        """Whatever became of it, it is over."""
        self.has_ended.set()
        self._tell()

    def told(self) -> Run:
        """How it stands, without its seconds."""
        gathered, asked = self._gathered, self.asked
        latencies = Distribution.of(gathered.latencies)
        figures = latencies.percentiles | {"max": latencies.max, "mean": latencies.mean}
        return Run(
            id=self.id,
            status=self._status(),
            profile=asked.profile,
            rate=asked.rate,
            duration_s=asked.duration_s,
            target=asked.target,
            started_at=self._started.isoformat(timespec="milliseconds"),
            requests=gathered.requests,
            events=gathered.events,
            refused=dict(gathered.refused),
            unsent=self._unsent,
            latency=figures if latencies.count else {},
            counts=self._counts,
            reason=UNSET if self._reason is None else self._reason,
        )

    def one(self) -> OneRun:
        """How it stands, with its seconds."""
        return OneRun(data=msgspec.structs.replace(self.told(), seconds=list(self.seconds)))

    def _status(self) -> Literal["running", "finished", "stopped", "failed"]:
        if not self.has_ended.is_set():
            return "running"
        if self._reason is not None:
            return "failed"
        return "stopped" if self.stop.is_set() else "finished"

    def _second(self, second: Second) -> None:
        self.seconds.append(second)
        self._tell()

    def _tell(self) -> None:
        self.news.set()
        self.news = trio.Event()


async def _ask(engine: Counting, path: str) -> Mapping[str, Any]:
    """Ask an engine in this process as one would ask it over HTTP."""
    route, _, query = path.partition("?")
    if route == "/health":
        health = engine.health()
        return {"events": health.events, "duplicates": health.duplicates}
    routes: Mapping[str, tuple[type[Any], Callable[[Any], Awaitable[Struct]]]] = {
        "/metrics/services": (services.Asked, engine.services),
        "/metrics/revenue": (revenue.Asked, engine.revenue),
        "/metrics/marketplace": (marketplace.Asked, engine.marketplace),
        "/metrics/experiments": (experiments.Asked, engine.experiments),
        "/metrics/users": (users.Asked, engine.users),
    }
    asked, answer = routes[route]
    found = msgspec.to_builtins(await answer(wire.question(query.encode(), asked)))
    assert isinstance(found, dict)
    return found
