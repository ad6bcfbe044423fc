"""What Tallymark should say of the flights, computed by NumPy from the file alone.

Nothing of Tallymark is used: the meanings are those of its documentation, written once more.

    python expected.py flights.csv 2026-11-20 [ZONE]

prints the figures for a history whose latest departure was moved to that date, and whose days
are cut in ZONE (the reporting zone of the server; New York unless given).
"""

import csv
import datetime as dt
import sys
from operator import itemgetter
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt

NEW_YORK = ZoneInfo("America/New_York")
MINUTE_MS = 60_000
MISSING = ("", "NA")
COLUMNS = (
    *("year", "month", "day", "hour", "minute"),
    *("carrier", "origin", "tailnum", "dep_time", "air_time"),
)

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Texts = npt.NDArray[np.str_]


class Flights(NamedTuple):
    """One entry for each flight, in the order of the file.

    at_ms       epoch ms of the scheduled departure, after shifting
    day         date of it in the reporting zone, in days from 1970-01-01
    carrier     is the service
    tail        is the user, '' where there is none
    latency_ms  time in the air, 0 where the flight did not arrive
    """

    at_ms: Ints
    day: Ints
    carrier: Texts
    origin: Texts
    tail: Texts
    latency_ms: Floats
    is_cancelled: Bools
    is_diverted: Bools

    @property
    def has_failed(self) -> Bools:
        """Cancelled or diverted."""
        return self.is_cancelled | self.is_diverted


class Carrier(NamedTuple):
    """One row of /metrics/services; rates in percent, latencies in ms, rank ceil(q·n)."""

    executions: int
    errors: int
    cancelled: int
    diverted: int
    error_rate: float
    average_ms: float
    max_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float


def load(path: Path, *, last_day: dt.date, zone: ZoneInfo = NEW_YORK) -> Flights:
    """Read flights.csv, moved by whole days so that its latest departure is on `last_day`.

    last_day  in New York, whose clocks the file shows
    zone      in which days are cut
    """
    columns = _columns(path)
    year, month, date = (columns[name].astype(int) for name in ("year", "month", "day"))
    minute = columns["hour"].astype(int) * 60 + columns["minute"].astype(int)
    local_day = _days(year, month, date)
    local_day += (last_day - dt.date(1970, 1, 1)).days - int(local_day.max())
    at_ms = _instants_ms(local_day, minute)
    is_cancelled = np.isin(columns["dep_time"], MISSING)
    no_air_time = np.isin(columns["air_time"], MISSING)
    minutes = np.where(no_air_time, "0", columns["air_time"]).astype(float)
    return Flights(
        at_ms=at_ms,
        day=_day_in(zone, at_ms),
        carrier=columns["carrier"],
        origin=columns["origin"],
        tail=np.where(np.isin(columns["tailnum"], MISSING), "", columns["tailnum"]),
        latency_ms=np.where(is_cancelled, 0.0, minutes * MINUTE_MS),
        is_cancelled=is_cancelled,
        is_diverted=no_air_time & ~is_cancelled,
    )


def carriers(flights: Flights, chosen: Bools | None = None) -> dict[str, Carrier]:
    """{carrier: figures}, of the chosen flights or of all."""
    kept = np.ones(len(flights.day), bool) if chosen is None else chosen
    return {
        str(carrier): _carrier(flights, kept & (flights.carrier == carrier))
        for carrier in np.unique(flights.carrier[kept])
    }


def everything(flights: Flights) -> Carrier:
    """All carriers as one."""
    return _carrier(flights, np.ones(len(flights.day), bool))


def planes(flights: Flights, *, first: int, last: int) -> int:
    """Distinct tail numbers on the days from `first` to `last`, both included.

    One day gives dau, the 30 days that end with a day give mau.
    """
    within = (flights.day >= first) & (flights.day <= last) & (flights.tail != "")
    return len(np.unique(flights.tail[within]))


def retention(
    flights: Flights, *, first: int, last: int, after_days: int, today: int
) -> float | None:
    """Percent of the planes first seen within [first, last] that flew again `after_days` later.

    today  the day of the question: counted are only planes for which that day is over
    None without any.
    """
    active = _active_days(flights)
    begun = {tail: min(days) for tail, days in active.items()}
    cohort = [
        tail for tail, day in begun.items() if first <= day <= last and day + after_days < today
    ]
    if not cohort:
        return None
    came_back = sum(begun[tail] + after_days in active[tail] for tail in cohort)
    return 100 * came_back / len(cohort)


def churn(flights: Flights, *, first: int, last: int) -> float | None:
    """Percent of the planes of the period before, of equal length, not seen in [first, last].

    None where the period before has none.
    """
    length = last - first + 1
    before = _seen(flights, first - length, first - 1)
    if not before:
        return None
    return 100 * len(before - _seen(flights, first, last)) / len(before)


def _columns(path: Path) -> dict[str, Texts]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        heading = next(rows)
        cells_of = itemgetter(*(heading.index(name) for name in COLUMNS))
        cells = zip(*map(cells_of, rows), strict=True)
        return dict(zip(COLUMNS, map(np.array, cells), strict=True))


def _carrier(flights: Flights, chosen: Bools) -> Carrier:
    latency_ms = flights.latency_ms[chosen]
    errors = int(flights.has_failed[chosen].sum())
    p50, p95, p99 = np.quantile(latency_ms, (0.5, 0.95, 0.99), method="inverted_cdf")
    return Carrier(
        executions=len(latency_ms),
        errors=errors,
        cancelled=int(flights.is_cancelled[chosen].sum()),
        diverted=int(flights.is_diverted[chosen].sum()),
        error_rate=100 * errors / len(latency_ms),
        average_ms=float(latency_ms.mean()),
        max_ms=float(latency_ms.max()),
        p50_ms=float(p50),
        p95_ms=float(p95),
        p99_ms=float(p99),
    )


def _seen(flights: Flights, first: int, last: int) -> set[str]:
    within = (flights.day >= first) & (flights.day <= last) & (flights.tail != "")
    return set(flights.tail[within].tolist())


def _active_days(flights: Flights) -> dict[str, set[int]]:
    active: dict[str, set[int]] = {}
    for tail, day in zip(flights.tail.tolist(), flights.day.tolist(), strict=True):
        if tail:
            active.setdefault(tail, set()).add(day)
    return active


def _days(year: Ints, month: Ints, date: Ints) -> Ints:
    months = (year - 1970) * 12 + month - 1
    days: Ints = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
    return days + date - 1


def _instants_ms(local_day: Ints, minute: Ints) -> Ints:
    """Epoch ms of New York's wall clock; its offset is looked up once for each hour."""
    hours, where = np.unique(local_day * 24 + minute // 60, return_inverse=True)
    starts_ms = [
        dt.datetime(1970, 1, 1, tzinfo=NEW_YORK).replace(hour=int(hour % 24))
        + dt.timedelta(days=int(hour // 24))
        for hour in hours
    ]
    epoch_ms = np.array([round(start.timestamp() * 1000) for start in starts_ms])
    return np.asarray(epoch_ms[where] + minute % 60 * MINUTE_MS, np.int64)


def _day_in(zone: ZoneInfo, at_ms: Ints) -> Ints:
    """Dates in a zone; offsets change on the quarter hour, so one look-up serves 15 minutes."""
    quarters, where = np.unique(at_ms // (15 * MINUTE_MS), return_inverse=True)
    days = [
        dt.datetime.fromtimestamp(int(quarter) * 900, zone).toordinal() - 719_163
        for quarter in quarters
    ]
    return np.asarray(np.array(days)[where], np.int64)


def _print(flights: Flights) -> None:
    last = int(flights.day.max())
    for name, figures in carriers(flights).items():
        print(name, *(f"{key}={value:,.6g}" for key, value in figures._asdict().items()))
    print("planes on the last day", planes(flights, first=last, last=last))
    print("planes in the last 30 days", planes(flights, first=last - 29, last=last))
    for after_days in (1, 7, 30):
        share = retention(
            flights, first=last - 59, last=last, after_days=after_days, today=last + 1
        )
        print(f"of planes new in the last 60 days, percent seen on day {after_days}:", share)
    print("churn over the last 30 days, percent", churn(flights, first=last - 29, last=last))


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        raise SystemExit("usage: python expected.py flights.csv LAST_DAY [ZONE]")
    _print(
        load(
            Path(sys.argv[1]),
            last_day=dt.date.fromisoformat(sys.argv[2]),
            zone=ZoneInfo(sys.argv[3]) if len(sys.argv) == 4 else NEW_YORK,
        )
    )
