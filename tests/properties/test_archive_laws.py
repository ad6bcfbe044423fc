"""The archive holds every event once, whatever happens to it and however it is merged."""

import datetime as dt
import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.sequence import Sequencing, portions
from engine.timebucket import Calendar
from persistence.archive.rows import batches_of
from tests.archives import DAY_MS, EPOCH, House, true_rows, view
from tests.properties.histories import NOW_MS, history

STEPS = st.lists(
    st.sampled_from(["follow", "crash", "close", "merge", "ids", "an hour later"]),
    max_size=12,
)


@settings(max_examples=12)
@given(seed=st.integers(0, 10**6), events=st.integers(0, 250), steps=STEPS)
@example(seed=1398, events=68, steps=[])  # the same event comes three times
def test_rows_of_any_history_are_its_events_once_however_often_it_crashes(
    seed: int, events: int, steps: list[str]
) -> None:
    told = history(seed, events)
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), segment_bytes_max=8192, raw_keep_days=20)
        house.now_ms = NOW_MS
        house.tell(told)
        ends = [record.last_seq for record in house.journal.replay(0)]
        for place, step in enumerate(steps):
            match step:
                case "follow":
                    house.follow(ends[place * len(ends) // len(steps)] if ends else 0)
                case "crash":
                    house.crash()
                case "close":
                    house.close()
                case "merge":
                    house.merge()
                case "ids":
                    house.archiver.keep_ids()
                case _:
                    house.now_ms += 2 * 3_600_000
        house.follow().merge()
        oldest = EPOCH + dt.timedelta(milliseconds=house.now_ms - 20 * DAY_MS)
        true = true_rows(told, raw_keep_days=20)
        found = house.rows()
        numbers = {row["seq"] for row in found}
        # What is older than the raw keep by now goes file by file: some of it may be left.
        assert [row for row in true if row["seq"] in numbers] == found
        assert {row["seq"] for row in true if row["timestamp"] >= oldest} <= numbers
        tally = house.manifest.tally
        assert tally.events == len(told)
        assert tally.rows == len(true) == len(found) + house.manifest.dropped
        assert tally.events == tally.rows + tally.duplicates + tally.too_old


@pytest.mark.parametrize("cut", [5, 30, 100])
def test_rows_do_not_depend_on_where_parts_are_cut(tmp_path: Path, cut: int) -> None:
    told = history(3, 300)
    house = House(tmp_path, thin_above_per_s=2)
    house.tell(told)
    records = list(house.journal.replay(0))
    for record in records[::cut]:
        house.follow(record.last_seq)
        house.close() if record.first_seq % 2 else house.crash()
    whole = House(tmp_path / "other", thin_above_per_s=2)
    whole.tell(told)
    assert house.follow().rows() == whole.follow().rows()
    assert house.manifest.tally == whole.manifest.tally
    assert whole.manifest.tally.thinned > 0


@settings(max_examples=5)
@given(seed=st.integers(0, 10**6), ids_max=st.sampled_from([16, 100, 1_000]))
def test_the_archive_drops_what_the_metrics_drop_however_small_the_window(
    seed: int, ids_max: int
) -> None:
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder), dedupe_ids_max=ids_max)
        for number in range(20):
            events = [view(eventId=f"{chance.randrange(3 * ids_max)}") for _ in range(600)]
            count = chance.choice([1, 600, 600])
            batches = [events[n : n + 25] for n in range(0, count, 25)]
            house.append(NOW_MS + number * DAY_MS // 4, batches * chance.choice([1, 5]))
        sequencing = Sequencing(house.config, Calendar("UTC"))
        for record in house.journal.replay(0):
            for portion in portions(list(batches_of(record.bodies))):
                sequencing.take(record.received_ms, portion)
            if chance.random() < 0.3:
                house.follow(record.last_seq)
                house.close() if chance.random() < 0.5 else house.crash()
        tally = house.follow().manifest.tally
        counted = sequencing.tally
        assert (tally.events, tally.duplicates) == (counted.events, counted.duplicates)
        assert tally.rows == len(house.rows()) == counted.events - counted.duplicates
