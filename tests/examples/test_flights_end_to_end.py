"""The flights of New York, whole: imported over HTTP into a real server, compared with NumPy.

One import serves all tests here; it is what takes the time. What has to come out is computed by
`examples/flights/expected.py`, from the file alone.
"""

import datetime as dt
import json
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.examples.flights import EXAMPLE, script
from tests.server import Server, tallymark

pytestmark = pytest.mark.slow

expected, prepare = script("expected"), script("prepare")

NEW_YORK = ZoneInfo("America/New_York")
FLIGHTS = 336_776
SENT_AGAIN = 5_000

WIDTH_MAX = 1.01 * (1 + 1e-12)
"""High over low of an interval that may be stated; what is beyond 1 % is rounding."""


@dataclass
class Import:
    """A server that holds the flights, and the flights as NumPy reads them.

    first, last  days (from 1970-01-01) of the first and the last flight
    """

    server: Server
    file: Path
    flights: Any
    first: int
    last: int

    def run(self) -> str:
        """Import the file; returns what the command said."""
        done = tallymark(
            *("import", str(self.file), "--mapping", str(EXAMPLE / "mapping.toml")),
            *("--shift-to-end", date(self.last), "--url", self.server.url),
            patience_s=600,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    def ask(self, family: str, **asked: object) -> dict[str, Any]:
        """The answer to a question, with `today`, the day on which it was given."""
        answer = self.server.client.get(f"/metrics/{family}", params=asked).raise_for_status()
        given_at = parsedate_to_datetime(answer.headers["date"]).astimezone(NEW_YORK)
        return answer.json() | {"today": number(given_at.date())}

    def ask_range(self, family: str, first: int, last: int, **asked: object) -> dict[str, Any]:
        """The same for the days from `first` to `last`, both included."""
        return self.ask(family, startDate=date(first), endDate=date(last), **asked)


def date(day: int) -> str:
    return (dt.date(1970, 1, 1) + dt.timedelta(days=day)).isoformat()


def number(day: dt.date) -> int:
    return (day - dt.date(1970, 1, 1)).days


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Import]:
    folder = tmp_path_factory.mktemp("flights")
    file = folder / "flights.csv"
    prepare.write(file)
    yesterday = dt.datetime.now(NEW_YORK).date() - dt.timedelta(days=1)
    flights = expected.load(file, last_day=yesterday)
    first, last = int(flights.day.min()), int(flights.day.max())
    options = ("--durability", "none", "--timezone", "America/New_York")
    with Server(folder / "data", *options) as server:
        imported = Import(server, file, flights, first, last)
        imported.run()
        yield imported


def assert_same(row: dict[str, Any], carrier: Any) -> None:
    """Counts, rates and averages are equal; every percentile lies where the answer says."""
    assert row["executions"] == carrier.executions
    assert row["errors"] == {
        code: count
        for code, count in (("CANCELLED", carrier.cancelled), ("DIVERTED", carrier.diverted))
        if count
    }
    assert row["errorRate"] == carrier.error_rate
    assert row["latency"]["avg"] == carrier.average_ms
    assert row["latency"]["max"] == carrier.max_ms
    truth = {"p50": carrier.p50_ms, "p95": carrier.p95_ms, "p99": carrier.p99_ms}
    for name, true_ms in truth.items():
        low, high = row["accuracy"][name]
        assert low <= true_ms <= high
        assert low <= row["latency"][name] <= high
        assert high <= low * WIDTH_MAX
        assert not row["accuracy"]["exact"] or row["latency"][name] == true_ms


def test_every_row_of_the_file_is_counted(whole: Import) -> None:
    health = whole.server.client.get("/health").json()
    assert health["events"] == len(whole.flights.day) == FLIGHTS
    assert health["overCap"] == {}


def test_every_carrier_is_as_numpy_says(whole: Import) -> None:
    answer = whole.ask_range("services", whole.first, whole.last)
    carriers = expected.carriers(whole.flights)
    assert {row["serviceId"] for row in answer["data"]} == carriers.keys()
    assert answer["rows"] == len(carriers) == 16
    for row in answer["data"]:
        assert_same(row, carriers[row["serviceId"]])
    assert_same(answer["total"], expected.everything(whole.flights))


@pytest.mark.parametrize("airport", ["EWR", "JFK", "LGA"])
def test_every_carrier_of_one_airport_is_as_numpy_says(whole: Import, airport: str) -> None:
    answer = whole.ask_range("services", whole.first, whole.last, category=airport)
    carriers = expected.carriers(whole.flights, whole.flights.origin == airport)
    assert {row["serviceId"] for row in answer["data"]} == carriers.keys()
    for row in answer["data"]:
        assert_same(row, carriers[row["serviceId"]])


@pytest.mark.parametrize(("first", "days"), [(0, 1), (107, 1), (200, 7), (334, 31)])
def test_a_part_of_the_year_is_as_numpy_says(whole: Import, first: int, days: int) -> None:
    first += whole.first
    flights = whole.flights
    inside = (flights.day >= first) & (flights.day < first + days)
    answer = whole.ask_range("services", first, first + days - 1)
    carriers = expected.carriers(flights, inside)
    assert {row["serviceId"] for row in answer["data"]} == carriers.keys()
    for row in answer["data"]:
        assert_same(row, carriers[row["serviceId"]])


def test_flights_a_day_add_up_to_the_days_of_the_file(whole: Import) -> None:
    answer = whole.ask_range("services", whole.first, whole.last, granularity="day")
    counted = [step["executions"] for step in answer["series"]]
    days = whole.flights.day - whole.first
    assert counted == [int((days == day).sum()) for day in range(len(counted))]
    assert sum(counted) == FLIGHTS


def test_the_planes_of_every_day_and_of_30_days_are_as_numpy_says(whole: Import) -> None:
    answer = whole.ask_range("users", whole.first, whole.last, granularity="day")
    steps = answer["data"]["series"]
    assert len(steps) == whole.last - whole.first + 1
    for day, step in enumerate(steps, whole.first):
        assert step["start"].startswith(date(day))
        assert step["dau"] == expected.planes(whole.flights, first=day, last=day)
        assert step["mau"] == expected.planes(whole.flights, first=day - 29, last=day)
    for figure, steps_figure in (("dau", "dau"), ("mau", "mau")):
        accuracy = answer["data"]["accuracy"][figure]
        assert accuracy == {"exact": True, "relativeError": 0, "level": 1}
        assert answer["data"][figure] == steps[-1][steps_figure]


@pytest.mark.parametrize(
    ("first", "last"), [(0, 364), (0, 0), (30, 59), (300, 340), (358, 364)]
)
def test_the_return_of_new_planes_is_as_numpy_says(
    whole: Import, first: int, last: int
) -> None:
    first, last = first + whole.first, last + whole.first
    answer = whole.ask_range("users", first, last)
    retention = answer["data"]["retention"]
    curve = {point["day"]: point["percent"] for point in answer["data"]["curve"]}
    for after_days in (1, 7, 30):
        truth = expected.retention(
            whole.flights, first=first, last=last, after_days=after_days, today=answer["today"]
        )
        assert retention[f"day{after_days}"] == curve[after_days] == truth
    assert answer["data"]["accuracy"]["retention"]["exact"]


@pytest.mark.parametrize(
    ("first", "last"), [(30, 59), (180, 186), (335, 364), (364, 364), (0, 6)]
)
def test_the_loss_of_planes_is_as_numpy_says(whole: Import, first: int, last: int) -> None:
    first, last = first + whole.first, last + whole.first
    churn_rate = whole.ask_range("users", first, last)["data"]["churnRate"]
    assert churn_rate == expected.churn(whole.flights, first=first, last=last)


def test_a_second_import_adds_nothing(whole: Import) -> None:
    before = whole.ask_range("services", whole.first, whole.last)
    _forget_the_last_rows(whole.file)
    assert whole.run().startswith(f"{SENT_AGAIN:,} events acknowledged")
    health = whole.server.client.get("/health").json()
    assert (health["events"], health["duplicates"]) == (FLIGHTS + SENT_AGAIN, SENT_AGAIN)
    assert whole.ask_range("services", whole.first, whole.last) == before


def _forget_the_last_rows(file: Path) -> None:
    """As if the progress file had been lagging when the import was cut off."""
    path = file.with_name(file.name + ".tallymark-progress.json")
    progress = json.loads(path.read_bytes())
    assert (progress["settledRow"], progress["isWhole"]) == (FLIGHTS, True)
    path.write_text(
        json.dumps(progress | {"settledRow": FLIGHTS - SENT_AGAIN, "isWhole": False})
    )
