"""A large request counts as its events do, however it is cut, and replays as it was taken."""

import json
import random
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.events import Batch, Body, replay
from engine.lines import Limits, decode_lines
from engine.sequence import TAKE_EVENTS_MAX, portions
from persistence.journal import Journal
from persistence.recovery import recover
from tests.harness import ANY_TIME, TEXT_BYTES_MAX, House, Record, run, unread
from tests.properties.histories import NOW_MS, history
from tests.properties.test_engine_laws import everything

LIMITS = Limits(events_max=10_000, line_bytes_max=2**18, text_bytes_max=TEXT_BYTES_MAX)
TOLD = [event for _, event in history(11, 3_000)]
TIGHT = {"services_max": 3, "experiments_max": 1, "search_terms_per_day_max": 2}

Told = list[dict[str, Any]]


def large(told: Told, *, piece_bytes: int, blanks: random.Random) -> list[Batch]:
    """What POST /track/bulk makes of events, whose body came in pieces."""
    ends = ["\n", "\n", "\r\n", "\n\n", " \n\t\n"]
    text = "".join(json.dumps(event) + blanks.choice(ends) for event in told)
    body = text.encode()
    pieces = [body[at : at + piece_bytes] for at in range(0, len(body), piece_bytes)]
    batches, rejected = run(
        decode_lines(pieces, limits=LIMITS, times=ANY_TIME, skip=False, keep=unread)
    )
    assert rejected == []
    return batches


def taken(batches: list[Batch], **config: Any) -> House:
    """A house that has taken all of it as one record."""
    return House(**config).record(Record(NOW_MS, [(b.kind, b.body) for b in batches]))


@settings(max_examples=12)
@given(
    st.integers(0, 2**32),
    st.integers(1, len(TOLD)),
    st.integers(200, 70_000),
    st.integers(1, 5),
)
def test_a_large_request_counts_as_batches_of_its_events_do(
    seed: int, events: int, piece_bytes: int, shards: int
) -> None:
    chance = random.Random(seed)
    told = chance.sample(TOLD, events)
    batches = large(told, piece_bytes=piece_bytes, blanks=chance)
    whole = taken(batches, shards=shards)
    early = House(shards=shards).large(NOW_MS, batches)
    assert everything(early) == everything(whole)
    parts = House(shards=shards)
    for start in range(0, events, 25):
        parts.track(NOW_MS, *told[start : start + 25])
    assert whole.sequencing.tally == parts.sequencing.tally
    assert everything(whole) == everything(parts)


@settings(max_examples=30)
@given(st.integers(0, 2**32), st.integers(1, 400), st.integers(100, 9_000))
def test_its_bodies_say_its_events_again_each_once_and_in_order(
    seed: int, events: int, piece_bytes: int
) -> None:
    chance = random.Random(seed)
    told = chance.sample(TOLD, events)
    batches = large(told, piece_bytes=piece_bytes, blanks=chance)
    assert [replay(batch.kind, batch.body) for batch in batches] == batches
    kept = [json.loads(line) for batch in batches for line in batch.body.splitlines() if line]
    assert [line for line in kept if line] == told


def test_a_large_request_replays_from_the_disk_as_it_was_taken(tmp_path: Path) -> None:
    batches = large(TOLD, piece_bytes=32_768, blanks=random.Random(5))
    live = taken(batches, shards=3, **TIGHT)
    journal = Journal.open(tmp_path / "journal", durability="none")
    journal.append(1, NOW_MS, [Body(b.kind, len(b.events), b.body) for b in batches])
    journal.close()
    recovered = recover(type(live.config)(data=tmp_path, shards=3, **TIGHT))
    back = House(shards=3, **TIGHT)
    back.sequencing, back.states = recovered.sequencing, list(recovered.states)
    recovered.journal.close()
    assert recovered.report.replayed_events == len(TOLD)
    assert everything(back) == everything(live)
    early = House(shards=3, **TIGHT).large(NOW_MS, batches)
    assert everything(early) == everything(live)


@given(st.lists(st.integers(1, 3 * TAKE_EVENTS_MAX), min_size=1, max_size=40))
def test_a_record_is_taken_in_portions_that_lose_nothing(sizes: list[int]) -> None:
    batches = [Batch(4, b"", range(size), ()) for size in sizes]  # type: ignore[arg-type]
    found = list(portions(batches))
    assert [batch for portion in found for batch in portion] == batches
    for portion in found:
        events = sum(len(batch.events) for batch in portion)
        assert len(portion) == 1 or events <= TAKE_EVENTS_MAX
