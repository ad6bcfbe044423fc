"""An outcome to be judged and shown: ten seconds at 10,000 events/s, with a few errors."""

from typing import Any

from load.check import Row
from load.latency import Latencies
from load.outcome import Distribution, Generator, Machine, Options, Outcome, Second


def an_outcome(**changes: Any) -> Outcome:
    """Latencies are 0.1 to 10 ms, evenly."""
    seconds = [
        Second(second=n, offered=1e4, events=9_990, errors=n == 3, p50=5, p99=9.9, max=10)
        for n in range(10)
    ]
    fields: dict[str, Any] = {
        "started_at": "2026-11-22T12:00:00+00:00",
        "machine": Machine(system="Linux x86_64", python="3.11", cores=2, load_average=0.5),
        "options": Options(
            profile="steady",
            target="http://127.0.0.1:8080/<x>",
            rate_per_s=1e4,
            duration_s=10,
            batch=25,
            connections=32,
            processes=1,
            seed=1,
            label="load",
            shared=False,
        ),
        "rate_per_s": 9_990.0,
        "requests": 3_996,
        "events": 99_900,
        "errors": 5,
        "refused": {"503": 2},
        "lost": {"no answer in time": 1},
        "unsent": 2,
        "settled": 1,
        "samples": {"503": "The queue is <full>."},
        "latencies": Distribution.of(Latencies.of(range(100, 10_001, 100))),
        "reads": None,
        "generator": Generator(cpu_s=1.5, lateness_p99=0.1, lateness_max=1.0),
        "counts": [
            Row(figure="events", acknowledged=9, unknown=0, counted=9, verdict="exact"),
        ],
        "seconds": seconds,
    }
    return Outcome(**(fields | changes))
