"""One sending process: `python -m load.worker`, told what to do by lines of JSON.

It reads its job, opens its connections, says `{"ready": true}`, reads the instant to start at,
and then writes one line per second and one at the end. It ends when its parent goes away.
"""

import gc
import signal
import sys
import time
from collections.abc import Iterator
from typing import Final, Literal

import msgspec
from msgspec import Struct

from load.connection import Endpoint, Target
from load.driver import SECOND_NS, Driver, Ending, Interval
from load.payload import Form, templates
from load.profile import Data
from load.schedule import arrivals_ns
from load.sockets import Sending, Where

OPEN_S_MAX: Final = 10.0


class Job(Struct, frozen=True, kw_only=True):
    """What one of `workers` processes does.

    templates    how many bodies it makes, to be sent again and again with other ids
    run          makes event ids unique among runs
    corners      the course of requests a second of all workers together
    closed_loop  send whenever a connection is free, for as long as `corners` go
    route        where to post, and in which form
    drain_s      after the end, for what is still due or on its way
    settle_s     after that, for asking again about what was lost
    """

    target: Target
    run: str
    label: str
    seed: int
    data: Data
    batch: int
    templates: int
    form: Form
    route: str
    corners: tuple[tuple[float, float], ...]
    arrivals: Literal["even", "poisson"]
    closed_loop: bool
    worker: int
    workers: int
    connections: int
    timeout_s: float
    drain_s: float
    settle_s: float


class Start(Struct, frozen=True):
    """When to begin, of `time.monotonic_ns`."""

    start_ns: int


class Ready(Struct, frozen=True, tag=True):
    """All connections are open."""


class Failed(Struct, frozen=True, tag=True):
    """Nothing could be connected to."""

    reason: str


Line = Ready | Failed | Interval | Ending
"""What a worker writes, one on a line."""


def main() -> None:
    """Do one job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's, which ends us
    told = sys.stdin.buffer.readline()
    if not told:
        return
    job = msgspec.json.decode(told, type=Job)
    bodies = templates(
        run=job.run,
        worker=job.worker,
        seed=job.seed,
        label=job.label,
        data=job.data,
        batch=job.batch,
        form=job.form,
        count=job.templates,
    )
    endpoint = Endpoint.of(job.target)
    headers = [*endpoint.headers, ("Content-Type", job.form.media_type)]
    where = Where.of(endpoint.host, endpoint.port, endpoint.prefix + job.route, headers)
    sending = Sending(where, bodies, connections=job.connections, timeout_s=job.timeout_s)
    try:
        sending.open(OPEN_S_MAX)
    except OSError as error:
        write(Failed(error.strerror or str(error)))
        return
    # Nothing made from here on is circular, and a collection would be somebody's latency.
    gc.disable()
    write(Ready())
    told = sys.stdin.buffer.readline()
    if not told:
        return
    start_ns = msgspec.json.decode(told, type=Start).start_ns
    end_ns = start_ns + int(job.corners[-1][0] * SECOND_NS)
    driver = Driver(bodies, _due_ns(job), start_ns=start_ns, end_ns=end_ns)
    give_up_ns = end_ns + int(job.drain_s * SECOND_NS)
    before_s = time.process_time()
    sending.run(
        driver,
        start_ns=start_ns,
        give_up_ns=give_up_ns,
        settled_ns=give_up_ns + int(job.settle_s * SECOND_NS),
        on_interval=write,
    )
    write(driver.ending(time.process_time() - before_s))
    sending.close()


def _due_ns(job: Job) -> Iterator[int] | None:
    if job.closed_loop:
        return None
    return arrivals_ns(
        job.corners,
        arrivals=job.arrivals,
        seed=job.seed,
        worker=job.worker,
        workers=job.workers,
    )


def write(line: Struct) -> None:
    """Tell the parent; raises BrokenPipeError where it has gone."""
    sys.stdout.buffer.write(msgspec.json.encode(line) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
