"""`make bench-memory`: what the state occupies by part, each case in a process of its own.

The state is built by what the service itself builds it with, `Sequencing` and `ShardState`,
from calls made up for each service and day: enough of them that cells hold sketches and no
longer single values. Then everything is dumped, as the barrier of a snapshot does it, and the
peak is that of the process. Without --whole there are 100 services and not 1,000.
"""

import argparse
import gc
import os
import platform
import re
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, thread_time
from typing import Final, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from engine.actors.measures import memory_of
from engine.codec import SEQUENCE, STATE_FORMAT, Dump, shard_source
from engine.columns import Keys
from engine.config import Config
from engine.decoding import decode_many
from engine.events import AcceptedTimes
from engine.group import Group
from engine.intake import KLL_DAYS, Failure
from engine.sequence import Sequencing
from engine.state import ShardState
from engine.timebucket import DAY_MS, HOUR_MS, Calendar
from persistence.recovery import recover
from persistence.snapshot import SnapshotStore

T = TypeVar("T")

START_MS: Final = 1_735_689_600_000
"""2025-01-01T00:00Z, the first day of what is built."""

KEEP_DAYS: Final = 400
HOUR_DAYS: Final = 8
CALLS_A_DAY: Final = 300
"""Beyond `DAY_EXACT_MAX`, so that the cells of days hold sketches."""

CALLS_AN_HOUR: Final = 100
"""Beyond `HOUR_EXACT_MAX`."""

CODES: Final = 3
USERS: Final = 1_000_000
ACTIVE_A_DAY: Final = 25_000
IDS: Final = 10_000_000
IDS_A_STEP: Final = 4_000
IDS_A_DUMP: Final = 1_000_000
NAMES_OVER: Final = 10_000
BATCH: Final = 25
MIB: Final = 2**20


class Built:
    """One state, and how many of what it holds."""

    def __init__(self, data: Path = Path()) -> None:
        self.config = Config(data=data, keep_days=KEEP_DAYS)
        self.shards = self.config.shards
        self.held: dict[str, int] = {}
        calendar = Calendar(self.config.timezone)
        self.sequencing = Sequencing(self.config, calendar)
        self.states = [ShardState(self.config, calendar) for _ in range(self.shards)]
        self.window = self.sequencing._window
        """Ids go straight into it: of events there would have to be as many."""

    def write(self) -> None:
        """Write everything as a full snapshot, each source as it is made."""
        dumps = {SEQUENCE: Dump(True, self.sequencing.dump(full=True))} | {
            shard_source(number): Dump(True, state.dump(full=True))
            for number, state in enumerate(self.states)
        }
        meta = {
            "format": STATE_FORMAT,
            "timezone": self.config.timezone,
            "shards": self.shards,
            "written_ms": START_MS,
        }
        store = SnapshotStore(self.config.data / "snapshots")
        store.load_newest()
        store.checkpoint(1, meta, dumps)


@dataclass(frozen=True, slots=True)
class Found:
    """What one case took.

    dump_*     while all of it is written
    again_*    in a process that starts on what was written
    estimates  {part: bytes} as the service tells them, in steps that took `told_s`
    """

    case: str
    held: dict[str, int]
    before_bytes: int
    after_bytes: int
    dump_peak_bytes: int
    dump_bytes: int
    dump_s: float
    build_s: float
    told_s: list[float]
    estimates: dict[str, int]
    again_bytes: int = 0
    again_peak_bytes: int = 0
    again_s: float = 0.0

    @property
    def growth_bytes(self) -> int:
        return self.after_bytes - self.before_bytes


def main() -> None:
    """Run the cases that the command line asks for, and print what they took."""
    parser = argparse.ArgumentParser(prog="python -m bench.memory", description=__doc__)
    parser.add_argument("--whole", action="store_true", help="1,000 services, not 100")
    parser.add_argument("cases", nargs="*", choices=[*CASES, []], help="default: all of them")
    words = parser.parse_args()
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    print(f"{now}, {os.cpu_count()} cores {platform.machine()}, Python ", end="")
    print(f"{platform.python_version()}, load average {load}")
    services = 1_000 if words.whole else 100
    for case in words.cases or CASES:
        with TemporaryDirectory() as data:
            found = _in_a_process(measured, case, services, Path(data))
            print(_told(_in_a_process(restarted, found, Path(data))), flush=True)


def _in_a_process(call: Callable[..., "Found"], *args: object) -> "Found":
    # What another left in the allocator would hide what this takes.
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(call, *args).result()


def restarted(found: Found, data: Path) -> Found:
    """The same, brought back here from the folder."""
    _build_days(Built(), 2, old=2, recent=1, hours=1)
    started = perf_counter()
    state = recover(Config(data=data, keep_days=KEEP_DAYS))
    again_s = perf_counter() - started
    gc.collect()
    state.journal.close()
    return replace(
        found,
        again_bytes=_status("VmRSS"),
        again_peak_bytes=_status("VmHWM"),
        again_s=again_s,
    )


def measured(case: str, services: int, data: Path) -> Found:
    """Build one case here and write it to the folder."""
    _build_days(Built(), 2, old=2, recent=1, hours=1)  # what is made once for a process
    gc.collect()
    before_bytes, started = _status("VmRSS"), perf_counter()
    built = Built(data)
    CASES[case](built, services)
    gc.collect()
    estimates, told_s = _looked(memory_of(built.sequencing, built.states))
    after_bytes, build_s = _status("VmRSS"), perf_counter() - started
    Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here on
    started = perf_counter()
    built.write()
    dump_s = perf_counter() - started
    files = (data / "snapshots").iterdir()
    return Found(
        case=case,
        held=built.held,
        before_bytes=before_bytes,
        after_bytes=after_bytes,
        dump_peak_bytes=_status("VmHWM"),
        dump_bytes=sum(path.stat().st_size for path in files),
        dump_s=dump_s,
        build_s=build_s,
        told_s=told_s,
        estimates=estimates,
    )


# -- cases ------------------------------------------------------------------------------------


def _old(built: Built, services: int) -> None:
    _build_days(built, services, old=KEEP_DAYS - KLL_DAYS, recent=0, hours=0)
    built.held["service-days before"] = services * (KEEP_DAYS - KLL_DAYS)


def _recent(built: Built, services: int) -> None:
    _build_days(built, services, old=0, recent=KLL_DAYS, hours=0)
    built.held["service-days of the last 35"] = services * KLL_DAYS


def _hours(built: Built, services: int) -> None:
    """Hours, and the days in which they lie, which case `recent` tells alone."""
    _build_days(built, services, old=0, recent=0, hours=HOUR_DAYS)
    built.held["hour cells"] = services * HOUR_DAYS * 24
    built.held["their service-days"] = services * HOUR_DAYS


def _services(built: Built, services: int) -> None:
    _build_days(
        built,
        services,
        old=KEEP_DAYS - KLL_DAYS,
        recent=KLL_DAYS - HOUR_DAYS,
        hours=HOUR_DAYS,
    )
    built.held["services"] = services


def _users(built: Built, _: int) -> None:
    chance = np.random.default_rng(2)
    hashes = chance.integers(1, 2**64, USERS, np.uint64)
    keys = Keys(built.shards)
    for day in range(KEEP_DAYS):
        # A newcomer's share each day, and others at random.
        new = hashes[day * USERS // KEEP_DAYS : (day + 1) * USERS // KEEP_DAYS]
        active = np.unique(np.concatenate([new, chance.choice(hashes, ACTIVE_A_DAY)]))
        at_ms = START_MS + day * DAY_MS
        for shard, state in enumerate(built.states):
            mine = active[active % np.uint64(built.shards) == shard]
            times = chance.integers(at_ms, at_ms + DAY_MS, len(mine))
            table = np.stack([mine.view(np.int64), times])
            state.fold(Group(at_ms, keys, active=table, facts=len(mine)))
    _settle(built)
    built.held["users"] = USERS


def _ids(built: Built, _: int) -> None:
    """The window turns over twice: it is full, and has forgotten as many."""
    chance = np.random.default_rng(3)
    for step in range(0, 2 * IDS, IDS_A_STEP):
        hashes = chance.integers(1, 2**64, IDS_A_STEP, np.uint64)
        built.window.duplicates(hashes, START_MS + step // 100)
        if step % IDS_A_DUMP == 0:
            for _piece in built.window.dumping(full=False):
                pass
    built.held["event ids"] = len(built.window)


def _names(built: Built, _: int) -> None:
    """As many services as the cap admits, and some more that count together."""
    at_most = built.config.services_max
    for first in range(0, at_most + NAMES_OVER, BATCH):
        calls = [_call(number) for number in range(first, first + BATCH)]
        times = AcceptedTimes(START_MS - DAY_MS, START_MS + DAY_MS, START_MS)
        batch = decode_many(
            msgspec.json.encode(calls), events_max=BATCH, times=times, text_bytes_max=2**14
        )
        groups = built.sequencing.take(START_MS, [batch])
        for state, group in zip(built.states, groups, strict=True):
            if group.facts:
                state.fold(group)
    _settle(built)
    over = built.sequencing.over_cap()["services"]
    assert over == NAMES_OVER, f"{over} counted in __other__"
    built.held["services admitted"] = at_most


def _together(built: Built, services: int) -> None:
    for case in (_services, _users, _ids):
        case(built, services)


Case = Callable[[Built, int], None]
CASES: Final[dict[str, Case]] = {
    "old": _old,
    "recent": _recent,
    "hours": _hours,
    "users": _users,
    "ids": _ids,
    "names": _names,
    "together": _together,
}


# -- calls ------------------------------------------------------------------------------------


def _call(number: int) -> dict[str, object]:
    return {
        "eventType": "service_execution",
        "serviceId": f"service-{number:06d}",
        "success": True,
        "latencyMs": 20.0 + number % 100,
    }


def _build_days(built: Built, services: int, *, old: int, recent: int, hours: int) -> None:
    """Days one after the other, as they come: calls in one hour, of the last in each."""
    keys = Keys(built.shards)
    for number in range(services):
        keys.number((f"service-{number:06d}", "text"))
    chance = np.random.default_rng(1)
    start = KEEP_DAYS - hours - recent - old
    today_ms = START_MS + (KEEP_DAYS - 1) * DAY_MS
    for day in range(start, KEEP_DAYS - hours - recent):
        _fold(built, keys, chance, START_MS + day * DAY_MS)
    # By now the days before are old, and so are the hours of all that follow but the last.
    for day in range(KEEP_DAYS - hours - recent, KEEP_DAYS - hours):
        _fold(built, keys, chance, START_MS + day * DAY_MS, received_ms=today_ms)
    for day in range(KEEP_DAYS - hours, KEEP_DAYS):
        for hour in range(24):
            at_ms = START_MS + day * DAY_MS + hour * HOUR_MS
            _fold(built, keys, chance, at_ms, calls=CALLS_AN_HOUR)
    if not hours:
        for state in built.states:
            _tick(state, keys, today_ms)
    _settle(built)


def _fold(
    built: Built,
    keys: Keys,
    chance: np.random.Generator,
    at_ms: int,
    *,
    received_ms: int | None = None,
    calls: int = CALLS_A_DAY,
) -> None:
    """So many calls of every service in the hour that begins at `at_ms`; one in 50 fails."""
    numbers = np.repeat(np.arange(len(keys)), calls)
    homes = keys.homes(numbers)
    for shard, state in enumerate(built.states):
        mine = numbers[homes == shard]
        table = np.stack([mine, _times(chance, at_ms, len(mine)), _latencies(chance, mine)])
        failures: list[Failure] = [
            (number, at_ms, f"error-{place % CODES}")
            for place, number in enumerate(mine[::50].tolist())
        ]
        state.fold(
            Group(received_ms or at_ms, keys, calls=table, failures=failures, facts=len(mine))
        )


def _times(chance: np.random.Generator, at_ms: int, count: int) -> NDArray[np.int64]:
    return chance.integers(at_ms, at_ms + HOUR_MS, count)


def _latencies(chance: np.random.Generator, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Lognormal about a median of each service's own, 10 to 500 ms, as bits."""
    median = 10.0 * 50.0 ** ((numbers % 97) / 96)
    return (median * chance.lognormal(0.0, 0.6, len(numbers))).view(np.int64)


def _tick(state: ShardState, keys: Keys, at_ms: int) -> None:
    """One call of today, then the next hour: days grow old by what comes later."""
    one = np.array([[0], [at_ms], [0]], np.int64)
    state.fold(Group(at_ms, keys, calls=one, facts=1))
    state.fold(Group(at_ms + HOUR_MS, keys))


def _settle(built: Built) -> None:
    for state in built.states:
        for _ in chain(state.settle(), state.services.settle()):
            pass
        state.users.days.settle()


# -- figures ----------------------------------------------------------------------------------


def _looked(steps: Generator[None, None, T]) -> tuple[T, list[float]]:
    """What the steps lead to, and the processor time of each."""
    took_s = []
    while True:
        started = thread_time()
        try:
            next(steps)
        except StopIteration as end:
            value: T = end.value
            return value, took_s
        took_s.append(thread_time() - started)


def _status(name: str) -> int:
    """A figure of /proc/self/status, in bytes."""
    found = re.search(
        rf"^{name}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE
    )
    assert found, name
    return 1024 * int(found[1])


def _told(found: Found) -> str:
    each = "  ".join(
        f"{found.growth_bytes / count:,.1f} B of {count:,} {what}"
        for what, count in found.held.items()
    )
    told_bytes = sum(found.estimates.values())
    lines = [
        f"{found.case:9} {each}",
        f"resident {_mib(found.before_bytes)} -> {_mib(found.after_bytes)} MiB, "
        f"in a full snapshot {_mib(found.dump_peak_bytes)} MiB "
        f"({_mib(found.dump_bytes)} MiB written, {found.dump_s:.1f} s); "
        f"built in {found.build_s:.0f} s",
        f"after a restart {_mib(found.again_bytes)} MiB, at its peak "
        f"{_mib(found.again_peak_bytes)} MiB, {found.again_s:.1f} s",
        f"told in {1000 * sum(found.told_s):.1f} ms, {1000 * max(found.told_s):.1f} at once, "
        f"as {_mib(told_bytes)} MiB: " + ", ".join(_parts(found.estimates)),
    ]
    return ("\n" + 10 * " ").join(lines)


def _parts(estimates: dict[str, int]) -> Sequence[str]:
    return [f"{part} {_mib(size)}" for part, size in estimates.items() if size > MIB // 10]


def _mib(size: int) -> str:
    return f"{size / MIB:,.1f}"


if __name__ == "__main__":
    main()
