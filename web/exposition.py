"""GET /metrics/prometheus: our own counts and times, read when they are asked for.

Nothing is counted twice and no event pays for it: a collector turns what the parts know into
families of samples. docs/operations.md says what each of them means.
"""

from collections.abc import Callable, Iterator
from itertools import accumulate
from typing import Final, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from engine.actors.health import Health
from engine.actors.measures import Measures
from engine.distribution import Distribution
from engine.errors import JournalFailed, NotReady
from web.archiving import ArchiveHealth
from web.meter import Meter

PREFIX: Final = "tallymark_"


class Measured(Protocol):
    """What is asked of the engine; health and measures raise NotReady before there is one."""

    @property
    def is_ready(self) -> bool: ...

    @property
    def failure(self) -> JournalFailed | None: ...

    def health(self) -> Health: ...

    def measures(self) -> Measures: ...

    def archive_health(self) -> ArchiveHealth | None: ...


_END: Final = b"# EOF\n"


class _Alone(Collector):
    """One family, to be encoded by itself."""

    def __init__(self, family: Metric) -> None:
        self._family = family

    def collect(self) -> tuple[Metric]:
        """The family."""
        return (self._family,)


class Exposition(Collector):
    """All families of one server, and their text.

    subscribers  of the live stream, now; at most `subscribers_max`
    """

    def __init__(
        self,
        engine: Measured,
        meter: Meter,
        *,
        version: str,
        subscribers: Callable[[], int],
        subscribers_max: int,
    ) -> None:
        self._engine = engine
        self._meter = meter
        self._version = version
        self._subscribers = subscribers
        self._subscribers_max = subscribers_max
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def pieces(self, accept: str) -> tuple[Iterator[bytes], str]:
        """The samples in the format that an Accept header prefers, and that format's name.

        A family at a time, so that others can be served in between: all take some 3 ms.
        """
        try:
            encode, media = choose_encoder(accept)
        except (ValueError, TypeError):  # a version that is none
            encode, media = choose_encoder("")
        return self._encoded(encode), media

    def _encoded(self, encode: Callable[[Collector], bytes]) -> Iterator[bytes]:
        end = b""
        for family in self._registry.collect():
            piece = encode(_Alone(family))
            if piece.endswith(_END):  # OpenMetrics has one, behind the last family
                piece, end = piece.removesuffix(_END), _END
            yield piece
        yield end

    def collect(self) -> Iterator[Metric]:
        """The families that the registry asks for."""
        yield from self._of_the_service()
        try:
            health, measures = self._engine.health(), self._engine.measures()
        except NotReady:
            return
        yield from _of_events(health)
        yield from _of_the_queue(health)
        yield from _of_the_journal(health, measures)
        yield from _of_the_state(health, measures)
        archive = self._engine.archive_health()
        if archive is not None and archive.state != "off":
            yield from _of_the_archive(archive)

    def _of_the_service(self) -> Iterator[Metric]:
        yield InfoMetricFamily(PREFIX + "build", "What runs.", {"version": self._version})
        yield _gauge("ready", "Whether events are taken, 1 or 0.", self._engine.is_ready)
        failed = self._engine.failure is not None
        yield _gauge("journal_failed", "Whether only a restart helps, 1 or 0.", failed)
        yield _gauge("stream_subscribers", "Open streams.", self._subscribers())
        yield _gauge("stream_limit_subscribers", "Streams at most.", self._subscribers_max)
        refusals = CounterMetricFamily(
            PREFIX + "refusals", "Requests refused.", labels=["route", "problem"]
        )
        for labels, count in sorted(self._meter.refusals.items()):
            refusals.add_metric(labels, count)
        yield refusals
        answers = HistogramMetricFamily(
            PREFIX + "answer_seconds", "From a request to its answer.", labels=["route"]
        )
        for route, answer_s in sorted(self._meter.answer_s.items()):
            answers.add_metric([route], *_buckets(answer_s))
        yield answers


def _of_events(health: Health) -> Iterator[Metric]:
    yield _counter("events", "Events accepted, duplicates included.", health.events)
    yield _counter("duplicate_events", "Events dropped as duplicates.", health.duplicates)
    over = CounterMetricFamily(
        PREFIX + "over_cap_facts", "Facts counted in __other__.", labels=["kind"]
    )
    for kind, count in sorted(health.over_cap.items()):
        over.add_metric([kind], count)
    yield over


def _of_the_queue(health: Health) -> Iterator[Metric]:
    queue = health.queue
    yield _gauge("queue_events", "Events that wait to be written.", queue.depth)
    yield _gauge("queue_peak_events", "The most that ever waited.", queue.peak)
    yield _gauge("queue_limit_events", "The most that may wait.", queue.limit)
    yield _gauge("inbox_groups", "Groups that wait for the fullest shard.", max(queue.inboxes))


def _of_the_journal(health: Health, measures: Measures) -> Iterator[Metric]:
    journal, snapshot = health.journal, health.snapshot
    yield _histogram("group_events", "Events in a record.", measures.group_events)
    yield _histogram("append_seconds", "Writing a record, sync included.", measures.append_s)
    yield _histogram("sync_seconds", "Syncs of the journal.", measures.sync_s)
    yield _histogram("take_seconds", "Splitting a record over the shards.", measures.take_s)
    yield _histogram("fold_seconds", "A shard's counting of its part.", measures.fold_s)
    yield _gauge("journal_bytes", "The journal on the disk.", journal.size_bytes)
    yield _gauge("journal_seq", "The number of the last event counted.", journal.last_seq)
    yield _gauge("snapshot_seq", "The last event in the newest snapshot.", snapshot.seq)
    if snapshot.age_s is not None:
        yield _gauge("snapshot_age_seconds", "Since the newest snapshot.", snapshot.age_s)


def _of_the_state(health: Health, measures: Measures) -> Iterator[Metric]:
    cells = GaugeMetricFamily(PREFIX + "cells", "Cells in memory.", labels=["family"])
    for family, count in measures.cells.items():
        cells.add_metric([family], count)
    yield cells
    memory = GaugeMetricFamily(PREFIX + "memory_bytes", "Memory by part.", labels=["part"])
    for part, size_bytes in measures.memory_bytes.items():
        memory.add_metric([part], size_bytes)
    yield memory


def _of_the_archive(archive: ArchiveHealth) -> Iterator[Metric]:
    is_running = archive.state == "running"
    yield _gauge("archive_running", "Whether the archive goes on, 1 or 0.", is_running)
    yield _gauge("archive_lag_events", "Events that are not in it yet.", archive.lag)
    yield _gauge("archive_bytes", "The archive on the disk.", archive.size_bytes)
    yield _counter("archive_restarts", "Starts of its process again.", archive.restarts)


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(PREFIX + name, meaning, float(value))


def _counter(name: str, meaning: str, value: float) -> Metric:
    return CounterMetricFamily(PREFIX + name, meaning, float(value))


def _histogram(name: str, meaning: str, values: Distribution) -> Metric:
    family = HistogramMetricFamily(PREFIX + name, meaning, labels=[])
    family.add_metric([], *_buckets(values))
    return family


def _buckets(values: Distribution) -> tuple[list[tuple[str, float]], float]:
    """How many values were at most each bound, as Prometheus has it, and their sum."""
    bounds = [*map(str, values.bounds), "+Inf"]
    return list(zip(bounds, accumulate(values.counts), strict=True)), values.sum
