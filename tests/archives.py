"""A journal and its archive without processes: events in, rows out, the oracle beside them."""

import datetime as dt
import itertools
import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb

from engine import events
from engine.config import Config
from engine.events import Body, Kind
from persistence import key
from persistence.archive.archiver import Archiver
from persistence.archive.columns import STORED, source_of
from persistence.archive.manifest import Manifest
from persistence.archive.parquet import Merger
from persistence.journal import Journal
from tests.properties.oracle import Told, instant_ms

DAY_MS = 86_400_000
NOW_MS = 1_790_078_400_000  # 22 September 2026, 12:00 UTC
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  as the files have it: UTC, without saying so


class House:
    """A data folder with a journal that is written and an archive that follows it."""

    def __init__(self, data: Path, **settings: Any) -> None:
        given = {
            "durability": "write",
            "snapshot_interval_s": 10**9,
            "dedupe_ids_max": 10_000,
            **settings,
        }
        self.config = Config(data=data, **given)
        self.now_ms = NOW_MS
        self.log: list[str] = []
        self.journal = Journal.open(
            data / "journal",
            durability=self.config.durability,
            segment_bytes_max=self.config.segment_bytes_max,
        )
        self._archiver: Archiver | None = None

    def track(self, received_ms: int, *told: dict[str, Any]) -> int:
        """Append one record of one batch; returns its last number."""
        return self.append(received_ms, [told])

    def append(self, received_ms: int, batches: Iterable[Sequence[dict[str, Any]]]) -> int:
        """Append one record; returns its last number."""
        bodies = [Body(Kind.ARRAY, len(told), json.dumps(told).encode()) for told in batches]
        self.journal.append(self.journal.last_seq + 1, received_ms, bodies)
        return self.journal.last_seq

    def erase(self, received_ms: int, user_id: str) -> int:
        """Append the notice that somebody is erased; its number."""
        body = Body(Kind.NOTICE, 1, key.of(self.config.data).erase(user_id))
        self.journal.append(self.journal.last_seq + 1, received_ms, [body])
        return self.journal.last_seq

    def tell(self, told: Told, *, batch: int = 25) -> None:
        """Append a history: what was received at the same time is one record."""
        for received_ms, group in itertools.groupby(told, key=lambda one: one[0]):
            alike = [event for _, event in group]
            self.append(
                received_ms, [alike[n : n + batch] for n in range(0, len(alike), batch)]
            )

    @property
    def archiver(self) -> Archiver:
        """The archive at work; opened where it is not."""
        if self._archiver is None:
            self._archiver = Archiver(
                self.config,
                journal_seq=self.journal.last_seq,
                clock_ms=lambda: self.now_ms,
                log=lambda event, **_: self.log.append(event),
            )
        return self._archiver

    def follow(self, up_to_seq: int | None = None) -> "House":
        """Archive all that the journal holds, or up to a number."""
        last_seq = self.journal.last_seq if up_to_seq is None else up_to_seq
        while self.archiver.follow(last_seq):
            pass
        return self

    def crash(self) -> "House":
        """Lose what the archive has in memory alone."""
        self._archiver = None
        return self

    def close(self) -> "House":
        """End the archive as a clean stop does."""
        self.archiver.close()
        return self.crash()

    def merge(self) -> "House":
        """Do all merging that is due."""
        with Merger(self.archiver.store.temp) as merger:
            while self.archiver.upkeep(merger):
                pass
        return self

    @property
    def manifest(self) -> Manifest:
        return self.archiver.store.manifest

    @property
    def files(self) -> list[str]:
        return [str(self.archiver.store.path_of(file)) for file in self.manifest.files]

    def rows(self) -> list[dict[str, Any]]:
        """All rows with the columns of the files, by number."""
        return rows_of(self.files)


def rows_of(files: Sequence[str]) -> list[dict[str, Any]]:
    """All rows of these files, by number."""
    names = [column.name for column in STORED]
    found = duckdb.connect().execute(f"SELECT * FROM {source_of(files)} ORDER BY seq")
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def view(service: str = "s", **fields: Any) -> dict[str, Any]:
    """One view of a service."""
    return {"eventType": "marketplace_view", "serviceId": service, **fields}


def true_rows(told: Told, *, raw_keep_days: int = 90) -> list[dict[str, Any]]:
    """What the rows of a history ought to be, worked out the slow way."""
    seen: set[str] = set()
    rows = []
    for seq, (received_ms, event) in enumerate(told, start=1):
        name = event.get("eventId")
        if name is not None and name in seen:
            continue
        seen.add(name)
        stamp = event.get("timestamp")
        at_ms = received_ms if stamp is None else instant_ms(stamp)
        if at_ms >= received_ms - raw_keep_days * DAY_MS:
            rows.append(_true_row(seq, received_ms, at_ms, event))
    return rows


def _true_row(seq: int, received_ms: int, at_ms: int, event: dict[str, Any]) -> dict[str, Any]:
    keys = ("serviceId", "experimentId", "userId", "sessionId", "searchQuery")
    found = [event[key] for key in keys if event.get(key) is not None]
    amount, rate = event.get("amount"), event.get("takeRate")
    micros = None if amount is None else round(Decimal(str(amount)) * 10**6)
    fee = None if rate is None or micros is None else round(micros * Decimal(str(rate)) / 100)
    made = {
        "index1": found[0] if found else "",
        "blob2": event.get("serviceId", event.get("experimentId", "")),
        "timestamp": EPOCH + dt.timedelta(seconds=at_ms // 1000),
        "timestampMillis": at_ms % 1000,
        "_sample_interval": 1,
        "seq": seq,
        "receivedAt": EPOCH + dt.timedelta(milliseconds=received_ms),
        "amountMicros": micros,
        "feeMicros": fee,
    }
    return {column.name: made.get(column.name, event.get(column.name)) for column in STORED}


def decoded(*told: dict[str, Any]) -> events.Batch:
    """What a request with these events becomes."""
    return events.replay(Kind.ARRAY, json.dumps(told).encode())
