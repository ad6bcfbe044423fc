"""What a run came to: the figures, second by second and in all, as the JSON file holds them."""

import os
import platform
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from load import check
from load.audience import Heard
from load.driver import Ending, Interval
from load.latency import PERCENTILES, Latencies
from load.schedule import Corner, due_before
from load.tally import Tally

CURVE: Final = tuple(100 * (1 - 10 ** (-step / 20)) for step in range(101))
"""Percents of the distribution's plot: twenty steps for each further nine, five nines."""

LATE_MS: Final = 2.0
"""Where the generator itself is late by more, at p99, latencies are partly its own."""


class Second(Struct, frozen=True, kw_only=True, rename="camel"):
    """One second of the run; latencies are of the requests acknowledged in it, in ms.

    offered    events that are due in it by the course of the rate; None in a closed loop
    events     acknowledged
    errors     requests refused or lost
    reads_p99  of metric queries; frames: of the live stream, of all subscribers
    """

    second: int
    offered: float | None
    events: int
    errors: int
    p50: float
    p99: float
    max: float
    reads_p99: float | None = None
    frames: int | None = None


class Distribution(Struct, frozen=True, kw_only=True, rename="camel"):
    """Latencies in ms; `histogram` is the HDR histogram in µs, compressed, in base64."""

    count: int
    mean: float
    max: float
    percentiles: dict[str, float]
    curve: list[tuple[float, float]]
    histogram: str

    @classmethod
    def of(cls, latencies: Latencies) -> "Distribution":
        """The figures of a histogram."""
        return cls(
            count=latencies.count,
            mean=latencies.mean_ms,
            max=latencies.max_ms,
            percentiles={f"p{p:g}": ms for p, ms in latencies.curve(PERCENTILES)},
            curve=latencies.curve(CURVE),
            histogram=latencies.encoded(),
        )

    def percentile_ms(self, percent: float) -> float:
        """Any percentile, of the histogram."""
        return Latencies.decoded(self.histogram).percentile_ms(percent)


class Reads(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the audience saw; a subscriber should see a frame in every second but one."""

    latencies: Distribution
    errors: dict[str, int]
    frames: int
    frames_expected: int


class Generator(Struct, frozen=True, kw_only=True, rename="camel"):
    """What the load generator itself needed, and how late it was by its own fault, in ms."""

    cpu_s: float
    lateness_p99: float
    lateness_max: float

    @property
    def is_late(self) -> bool:
        """Whether the latencies may be its own rather than the server's."""
        return self.lateness_p99 > LATE_MS


class Machine(Struct, frozen=True, kw_only=True, rename="camel"):
    """Where the generator ran, and how busy that was at the start."""

    system: str
    python: str
    cores: int
    load_average: float

    @classmethod
    def here(cls) -> "Machine":
        """This machine, now."""
        return cls(
            system=f"{platform.system()} {platform.machine()}",
            python=platform.python_version(),
            cores=os.cpu_count() or 1,
            load_average=round(os.getloadavg()[0], 2),
        )


class Options(Struct, frozen=True, kw_only=True, rename="camel"):
    """How the run was asked for."""

    profile: str
    target: str
    rate_per_s: float
    duration_s: float
    batch: int
    connections: int
    processes: int
    seed: int
    label: str
    shared: bool


class Verdict(Struct, frozen=True, kw_only=True):
    """One threshold: as it was asked for, what was measured, whether that is within."""

    threshold: str
    measured: float
    met: bool


class Outcome(Struct, frozen=True, kw_only=True, rename="camel"):
    """All of it.

    rate_per_s  events acknowledged before the end, by the duration
    refused     {status: requests}; the server kept nothing of them
    lost        {reason: requests} without an answer; `settled` of them found one later
    unsent      requests that were due, and for which no connection came free in time
    counts      the server's own counts against what it acknowledged; empty where not asked for
    """

    started_at: str
    machine: Machine
    options: Options
    rate_per_s: float
    requests: int
    events: int
    errors: int
    refused: dict[str, int]
    lost: dict[str, int]
    unsent: int
    settled: int
    samples: dict[str, str]
    latencies: Distribution
    reads: Reads | None
    generator: Generator
    counts: list[check.Row]
    expectations: list[Verdict] = []
    seconds: list[Second]

    @property
    def error_percent(self) -> float:
        """Requests that were due and not acknowledged, in percent of all."""
        return 100 * self.errors / max(self.requests + self.errors, 1)

    @property
    def is_counted_right(self) -> bool:
        """Whether the server counted what it acknowledged."""
        return all(row.is_right for row in self.counts)

    @property
    def is_met(self) -> bool:
        """Whether all thresholds are met, and the counts are right."""
        return self.is_counted_right and all(one.met for one in self.expectations)

    def json(self) -> bytes:
        """As the JSON file holds it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


class Gathering:
    """Adds up what the processes report, and hands on each second once all have reported it."""

    def __init__(
        self,
        *,
        corners: Sequence[Corner] | None,
        workers: int,
        has_audience: bool,
        duration_s: float,
        on_second: Callable[[Second], None],
    ) -> None:
        """`corners` are the course of events a second; None in a closed loop."""
        self.latencies = Latencies()
        self.lateness = Latencies()
        self.refused: Counter[str] = Counter()
        self.lost: Counter[str] = Counter()
        self.requests = self.events = self.events_in_time = 0
        self.reads = Latencies()
        self.reads_failed: Counter[str] = Counter()
        self.frames = 0
        self.seconds: list[Second] = []
        self._corners = corners
        self._workers = workers
        self._has_audience = has_audience
        self._duration_s = duration_s
        self._on_second = on_second
        self._told: dict[int, list[Interval]] = {}
        self._heard: dict[int, tuple[Heard, float]] = {}

    def tell(self, interval: Interval) -> None:
        """What a worker saw."""
        self.lateness.merge(Latencies.of(interval.lateness_us))
        self.refused.update(interval.refused)
        self.lost.update(interval.lost)
        self.requests += interval.requests
        self.events += interval.events
        if interval.second < self._duration_s:
            self.events_in_time += interval.events
        told = self._told.setdefault(interval.second, [])
        told.append(interval)
        self._close_if_whole(interval.second)

    def hear(self, heard: Heard) -> None:
        """What the audience saw."""
        latencies = Latencies.of(heard.latencies_us)
        self.reads.merge(latencies)
        self.reads_failed.update(heard.failed)
        self.frames += heard.frames
        self._heard[heard.second] = heard, latencies.percentile_ms(99)
        self._close_if_whole(heard.second)

    def end(self) -> None:
        """Hand on the seconds that not every worker has reported."""
        for second in sorted(self._told):
            self._close(second)
        self.seconds.sort(key=lambda one: one.second)

    def _close_if_whole(self, second: int) -> None:
        is_heard = second in self._heard or not self._has_audience
        if is_heard and len(self._told.get(second, ())) == self._workers:
            self._close(second)

    def _close(self, second: int) -> None:
        told = self._told.pop(second)
        latencies = Latencies.of(us for interval in told for us in interval.latencies_us)
        self.latencies.merge(latencies)
        (_, p50), (_, p99) = latencies.curve((50.0, 99.0))
        heard = self._heard.pop(second, None)
        offered = None
        if self._corners is not None:
            offered = due_before(self._corners, second + 1.0)
            offered -= due_before(self._corners, float(second))
        found = Second(
            second=second,
            offered=offered,
            events=sum(interval.events for interval in told),
            errors=sum(
                sum(interval.refused.values()) + sum(interval.lost.values())
                for interval in told
            ),
            p50=p50,
            p99=p99,
            max=latencies.max_ms,
            reads_p99=None if heard is None else heard[1],
            frames=None if heard is None else heard[0].frames,
        )
        self.seconds.append(found)
        self._on_second(found)


def outcome_of(
    gathered: Gathering,
    endings: Iterable[Ending],
    *,
    started_at: str,
    machine: Machine,
    options: Options,
    counts: list[check.Row],
    reads: Reads | None,
) -> Outcome:
    """Put the whole together."""
    samples: dict[str, str] = {}
    unsent, settled, cpu_s = 0, 0, 0.0
    for ending in endings:
        samples.update(ending.samples)
        unsent += ending.unsent
        settled += ending.settled
        cpu_s += ending.cpu_s
    errors = sum(gathered.refused.values()) + sum(gathered.lost.values()) + unsent
    return Outcome(
        started_at=started_at,
        machine=machine,
        options=options,
        rate_per_s=gathered.events_in_time / options.duration_s,
        requests=gathered.requests,
        events=gathered.events,
        errors=errors,
        refused=dict(gathered.refused),
        lost=dict(gathered.lost),
        unsent=unsent,
        settled=settled,
        samples=samples,
        latencies=Distribution.of(gathered.latencies),
        reads=reads,
        generator=Generator(
            cpu_s=cpu_s,
            lateness_p99=gathered.lateness.percentile_ms(99),
            lateness_max=gathered.lateness.max_ms,
        ),
        counts=counts,
        seconds=gathered.seconds,
    )


def summed(tallies: Iterable[dict[str, int]]) -> Tally:
    """Tallies of several workers as one."""
    found = Tally()
    for tally in tallies:
        found.update(tally)
    return found
