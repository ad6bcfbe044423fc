"""The flights: what NumPy expects is what the mapping sends, and its figures by hand."""

import datetime as dt
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from load.history import read
from load.mapping import EventMapping
from tests.examples.flights import EXAMPLE, script

LAST_DAY = dt.date(2026, 3, 12)  # so that March's change of clocks lies in the data
NEW_YORK = ZoneInfo("America/New_York")

expected, prepare = script("expected"), script("prepare")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("flights") / "flights.csv"
    prepare.write(path)
    return path


@pytest.fixture(scope="module")
def sample(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The heading and every 80th flight: some of each day of the year."""
    path = tmp_path_factory.mktemp("flights") / "sample.csv"
    with published.open() as whole:
        lines = [line for number, line in enumerate(whole) if number % 80 == 0]
    path.write_text("".join(lines))
    return path


def test_the_file_is_whole(published: Path) -> None:
    with published.open() as file:
        assert sum(1 for _ in file) == 336_776 + 1


def test_numpy_and_the_mapping_read_the_same_out_of_the_file(sample: Path) -> None:
    flights = expected.load(sample, last_day=LAST_DAY)
    mapping = EventMapping.load(EXAMPLE / "mapping.toml")
    events = [event for _, event in read(sample, mapping, LAST_DAY)]
    assert len(events) == len(flights.at_ms) > 4_000
    assert [event["timestamp"] for event in events] == flights.at_ms.tolist()
    assert [event["serviceId"] for event in events] == flights.carrier.tolist()
    assert [event["category"] for event in events] == flights.origin.tolist()
    assert [event.get("userId", "") for event in events] == flights.tail.tolist()
    assert [event["latencyMs"] for event in events] == flights.latency_ms.tolist()
    assert [not event["success"] for event in events] == flights.has_failed.tolist()
    codes = np.array([event.get("errorCode", "") for event in events])
    assert (codes == "CANCELLED").tolist() == flights.is_cancelled.tolist()
    assert (codes == "DIVERTED").tolist() == flights.is_diverted.tolist()


@pytest.mark.parametrize("zone", ["America/New_York", "UTC", "Asia/Kolkata"])
def test_days_are_cut_in_the_zone_that_is_asked_for(sample: Path, zone: str) -> None:
    flights = expected.load(sample, last_day=LAST_DAY, zone=ZoneInfo(zone))
    days = [
        dt.datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date().toordinal() - 719_163
        for at_ms in flights.at_ms.tolist()
    ]
    assert days == flights.day.tolist()


def flights_of(*seen: tuple[str, int]) -> object:
    """Flights of (tail, day), all of one carrier and well."""
    tails, days = zip(*seen, strict=True)
    nothing = np.zeros(len(seen))
    return expected.Flights(
        at_ms=nothing.astype(np.int64),
        day=np.array(days),
        carrier=np.array(["UA"] * len(seen)),
        origin=np.array(["EWR"] * len(seen)),
        tail=np.array(tails),
        latency_ms=np.arange(1.0, len(seen) + 1),
        is_cancelled=nothing.astype(bool),
        is_diverted=nothing.astype(bool),
    )


def test_figures_of_a_few_flights_by_hand() -> None:
    flights = flights_of(("a", 1), ("b", 1), ("a", 2), ("", 2))
    figures = expected.everything(flights)
    assert (figures.executions, figures.average_ms) == (4, 2.5)
    assert (figures.p50_ms, figures.p95_ms) == (2.0, 4.0)
    assert expected.planes(flights, first=2, last=2) == 1
    assert expected.planes(flights, first=1, last=2) == 2


def test_retention_counts_from_the_first_day_ever_and_only_days_that_are_over() -> None:
    flights = flights_of(("a", 1), ("a", 8), ("b", 2), ("c", 0), ("c", 3), ("d", 3))
    # a and b begin within days 1 to 2; a came back on its day 7, b did not; c began before.
    assert expected.retention(flights, first=1, last=2, after_days=7, today=10) == 50
    # On day 9 b's day 7 is not over.
    assert expected.retention(flights, first=1, last=2, after_days=7, today=9) == 100
    assert expected.retention(flights, first=1, last=2, after_days=30, today=10) is None


def test_churn_is_of_the_period_before_of_equal_length() -> None:
    flights = flights_of(("a", 1), ("b", 2), ("b", 3), ("c", 0), ("d", 4))
    assert expected.churn(flights, first=3, last=4) == 50
    assert expected.churn(flights, first=0, last=1) is None
