"""Any body: refused with a reason, or events that can be replayed, counted, kept and asked.

The last four matter most. An event that is acknowledged and then cannot be counted would end
the process, and end it again at every start.

The first byte says how the body is sent; the others are the body.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import duckdb
import msgspec

from engine import decoding, events
from engine.decoding import NOT_JSON
from engine.errors import TallymarkError
from engine.events import AcceptedTimes, Batch
from engine.lines import Limits, decode_lines
from persistence.archive.partfile import PartWriter
from persistence.archive.rows import KINDS, Taking, Told
from tests.harness import House, Record, run, unread
from web.unpack import packing_of, unpacked

NOW_MS: Final = 1_759_492_800_000
TIMES: Final = AcceptedTimes(NOW_MS - 400 * 86_400_000, NOW_MS + 600_000, NOW_MS)
TEXT_BYTES_MAX: Final = 16_384
UNPACKED_BYTES_MAX: Final = 2**20
LIMITS: Final = Limits(events_max=200, line_bytes_max=65_536, text_bytes_max=TEXT_BYTES_MAX)
BATCHES_A_HOUSE: Final = 500

WORDS: Final = (
    *(kind.tag for kind in KINDS.values()),
    *("eventType", "eventId", "timestamp", "userId", "sessionId", "category", "serviceId"),
    *("latencyMs", "success", "executionId", "errorCode", "serviceName", "orderId", "amount"),
    *("currency", "takeRate", "creatorId", "status", "billingInterval", "subscriptionId"),
    *("billingIntervalCount", "searchQuery", "resultCount", "experimentId", "variantIndex"),
    *("experimentName", "variantName", "value", "duration", "cohort", "sentAt", "events"),
    *("null", "true", "false", "1e308", "-0.0", "1e-320", "9007199254740993", "\\u0000"),
    *("\\ud83d\\ude00", "2025-10-03T12:00:00Z", "2025-10-03T12:00:00+05:45", "USD", "JPY"),
    *("month", "year", "refunded", "failed", "completed", "1759492800000", "\x1f\x8b\x08"),
)


class Counting:
    """Houses that count what was accepted, each for some hundred batches, then asked all."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        self._begin()

    def _begin(self) -> None:
        self._house = House(data=None, shards=2)
        self._taking = Taking(self._house.config)
        self._rows = PartWriter()
        self._seq = 1
        self._batches = 0

    def count(self, batch: Batch) -> None:
        """Count a batch as live, replay and the archive do."""
        self._house.record(Record(NOW_MS, [(batch.kind, batch.body)]))
        self._rows.add(self._taking.take([Told(self._seq, NOW_MS, [batch])]))
        self._seq += len(batch.events)
        self._batches += 1
        if self._batches == BATCHES_A_HOUSE:
            self.ask()
            self._begin()

    def ask(self) -> None:
        """Ask for everything, before a dump and behind it: as JSON, so no NaN, and the same.

        Before that the rows are written, and are as many as the tally says.
        """
        if self._taking.tally.rows:
            path = Path(self._folder.name) / "a.parquet"
            self._rows.write(path)
            found = duckdb.execute("SELECT count(*) FROM read_parquet(?)", [str(path)])
            assert found.fetchone() == (self._taking.tally.rows,)
        house = self._house
        live = _answers(house)
        house.snapshot(full=True)
        assert _answers(house.restarted()) == live
        assert house.counters(NOW_MS) is not None


def _answers(house: House) -> str:
    month = {"startDate": "2025-09-04", "endDate": "2025-10-03"}
    families = (house.revenue, house.marketplace, house.users)
    told = [family(NOW_MS, **month) for family in families]
    told.append(house.services(NOW_MS, **month, limit=10_000)["total"]["executions"])
    told.append([one["experimentId"] for one in house.experiments(NOW_MS)["data"]])
    return json.dumps(told, sort_keys=True, allow_nan=False)


_counting = Counting()


def check(data: bytes) -> None:
    """The law of the module."""
    if not data:
        return
    for batch in _accepted(data[0] % 7, data[1:]):
        try:
            again = events.replay(batch.kind, batch.body)
        except (msgspec.MsgspecError, *NOT_JSON) as failure:
            raise AssertionError(f"accepted, and not replayed: {batch.body!r}") from failure
        assert again.events == batch.events
        assert again.times_ms == batch.times_ms
        assert again.sent_at_ms == batch.sent_at_ms
        _counting.count(batch)


def settle() -> None:
    """Ask for what was counted since the last time, however little that is."""
    _counting.ask()


def _accepted(way: int, body: bytes) -> Iterator[Batch]:
    """The batches that the body is, sent this way; none where it is refused."""
    limits = {"times": TIMES, "text_bytes_max": TEXT_BYTES_MAX}
    try:
        if way == 0:
            yield decoding.decode_one(body, **limits)
        elif way == 1:
            yield decoding.decode_many(body, events_max=25, **limits)
        elif way == 2:
            batch, faults = decoding.decode_lenient(body, events_max=25, **limits)
            assert batch.events or faults
            if batch.events:
                yield batch
        else:
            packing = (None, None, "gzip", "zstd")[way - 3]
            pieces = unpacked(body, packing_of(packing), bytes_max=UNPACKED_BYTES_MAX)
            lines = decode_lines(pieces, limits=LIMITS, times=TIMES, skip=way != 3, keep=unread)
            yield from run(lines).kept
    except TallymarkError as refusal:
        assert 400 <= refusal.status < 500, refusal
