"""A small data folder with everything in it, as a release leaves one behind.

`python -m tests.golden.folder` writes the folder of NEWEST and its answers, and refuses to do
so again: what lies there is what later versions have to load. A new version of a format gets a
folder of its own beside it: `folder-v1` is of the first release, `folder-v2` of the first with
snapshots that can be mended.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
import trio

from engine.config import Config
from engine.events import Batch, Kind, replay
from persistence import key
from persistence.control import ControlStore, Entry, Sketch
from tests.archives import House
from tests.living import Life, batch, everything, living
from tests.properties.histories import DAY_MS, history

HERE: Final = Path(__file__).parent
NEWEST: Final = 2
NOW_MS: Final = 1_790_078_400_000  # 22 September 2026, 12:00 UTC
DAYS: Final = 4
EVENTS: Final = 280
EVENTS_KEPT: Final = 80
"""In the folders from the second on, which are so small that each version can have one."""

SETTINGS: Final[dict[str, Any]] = {
    "timezone": "Europe/Berlin",
    "shards": 2,
    "segment_bytes_max": 16_384,
    "dedupe_ids_max": 10_000,
    "durability": "fsync",
}
SKETCH: Final = Sketch("board-1", "Golden", b'{"name":"Golden","type":"custom","widgets":[]}')
NAMED: Final = Entry("services", "svc-0", b'{"name":"Zero"}', NOW_MS)
SECRET_NAME: Final = "golden"


def folder_of(version: int) -> Path:
    """What is never written again."""
    return HERE / f"folder-v{version}"


def copy_of(version: int, data: Path) -> Path:
    """A folder to live on, `data`, which must not exist."""
    shutil.copytree(folder_of(version), data)
    for path in data.glob(key.NAME):  # a checkout knows no mode
        path.chmod(key.MODE)
    return data


def answers_of(version: int) -> dict[str, Any]:
    """What its own version answered, see `answers`."""
    stored: dict[str, Any] = json.loads(_answers_path(version).read_text())
    return stored


def _answers_path(version: int) -> Path:
    return HERE / f"folder-v{version}.json"


@asynccontextmanager
async def served(data: Path) -> AsyncIterator[Life]:
    """An engine on the folder, on the day after its last event."""
    config = Config(data=data, **SETTINGS)
    async with living(config, now_ms=NOW_MS, end="crash") as life:
        yield life


async def answers(data: Path) -> dict[str, Any]:
    """All that is asked of the folder, as JSON holds it."""
    async with served(data) as life:
        metrics = await everything(life.engine)
    house = House(data, **SETTINGS)
    rows = [
        {name: value for name, value in msgspec.to_builtins(row).items() if value is not None}
        for row in house.rows()
    ]
    tally = msgspec.to_builtins(house.manifest.tally)
    house.journal.close()
    store = ControlStore.open(data, now_ms=NOW_MS)
    boards = [(board.name, board.content.decode()) for board in store.dashboards()]
    names = [(one.kind, one.id, one.content.decode()) for one in store.entries()]
    secret = store.secret(SECRET_NAME).hex()
    store.close()
    told = {"metrics": metrics, "tally": tally, "boards": boards, "names": names}
    plain: dict[str, Any] = json.loads(json.dumps({**told, "secret": secret, "rows": rows}))
    return plain


async def make(data: Path, count: int = EVENTS) -> None:
    """Fill the folder: days of events, each ended by a snapshot and the last by a crash."""
    events = [event | {"timestamp": None} for _, event in history(7, count)]
    for day in range(DAYS):
        now_ms = NOW_MS - (DAYS - 1 - day) * DAY_MS
        some = events[day * len(events) // DAYS : (day + 1) * len(events) // DAYS]
        batches = _of_all_kinds(some) if day == DAYS - 1 else _arrays(some)
        await _live(data, now_ms, batches, end="crash" if day == DAYS - 1 else "stop")
    store = ControlStore.open(data, now_ms=NOW_MS)
    store.add(SKETCH, now_ms=NOW_MS, dashboards_max=10)
    store.put(NAMED, entries_max=10)
    store.secret(SECRET_NAME)
    store.close()


async def _live(
    data: Path, now_ms: int, batches: list[Batch], *, end: Literal["stop", "crash"]
) -> None:
    config = Config(data=data, **SETTINGS)
    async with living(config, now_ms=now_ms, archived_seq=lambda: 0, end=end) as life:
        for one in batches:
            await life.engine.accept(one)
    house = House(data, **SETTINGS)
    house.now_ms = now_ms
    house.follow().close()
    house.journal.close()


def _arrays(told: list[dict[str, Any]]) -> list[Batch]:
    return [batch(*told[start : start + 25]) for start in range(0, len(told), 25)]


def _of_all_kinds(told: list[dict[str, Any]]) -> list[Batch]:
    """The events as all that a body can be: one, an array, an envelope, lines."""
    one, some, lines, rest = told[0], told[1:10], told[10:20], told[20:]
    envelope = json.dumps({"sentAt": NOW_MS - 60_000, "events": some})
    return [
        replay(Kind.ONE, json.dumps(one).encode()),
        replay(Kind.ENVELOPE, envelope.encode()),
        replay(Kind.LINES, "\n".join(map(json.dumps, lines)).encode()),
        *_arrays(rest),
    ]


def main() -> None:
    """Write the newest folder and its answers, unless they are there."""
    kept = folder_of(NEWEST)
    if kept.exists():
        sys.exit(f"{kept} is there, and is never written again.")
    kept.mkdir()
    trio.run(make, kept, EVENTS_KEPT)
    with tempfile.TemporaryDirectory() as folder:
        told = trio.run(answers, Path(shutil.copytree(kept, Path(folder) / "data")))
    _answers_path(NEWEST).write_text(json.dumps(told, indent=0, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
