"""Time in one zone: the hour and day cells that time is cut into.

Time is cut at quarter hours. Two neighbouring quarter hours belong to one hour cell if
the clock on the wall shows the same hour under the same offset from UTC at their beginnings: a
repeated hour is two cells, and a shift of half an hour (Lord Howe) makes a cell of 30 minutes.
A day cell begins with the first quarter hour whose local date has come, and days never go back.
Hour cells partition time, day cells partition time, and every hour lies in one day.

Why quarters: since 2011 every offset and every change of offset in the IANA database falls on a
quarter hour, except one minute at Antarctica/Casey in 2022, whose change is counted 14 minutes
late; so do all offsets since 1980. Zone data come from the `tzdata` package and never from the
operating system, so that replay cuts alike on every machine with the same lock file.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Final, Literal
from zoneinfo import ZoneInfo

from engine.errors import InvalidQuestion, Unanswerable

MINUTE_MS: Final = 60_000
QUARTER_MS: Final = 900_000
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 86_400_000
QUARTERS_AN_HOUR: Final = 4
CUTS_MAX: Final = 65_536
"""Quarter hours remembered by a calendar (682 days, about 10 MB); beyond it starts afresh."""
DAY_STARTS_MAX: Final = 4_096
QUOTED_MAX: Final = 64
"""Characters of what somebody sent that a message repeats."""
FAR_MS: Final = 253_402_214_400_000
"""9999-12-31T00:00Z, where `add_interval` stops: as good as never."""

Interval = Literal["day", "week", "month", "year"]


@lru_cache(maxsize=1)
def zone_names() -> frozenset[str]:
    """Every zone of the `tzdata` package, aliases included."""
    return frozenset((files("tzdata") / "zones").read_text("ascii").split())


@lru_cache(maxsize=1_024)
def _zone_data(zone: str) -> ZoneInfo:
    path = files("tzdata").joinpath("zoneinfo", *zone.split("/"))
    with path.open("rb") as stream:
        return ZoneInfo.from_file(stream, key=zone)


def quoted(text: str) -> str:
    """What somebody sent, fit for a message: escaped and of bounded length."""
    return ascii(text if len(text) <= QUOTED_MAX else f"{text[:QUOTED_MAX]}...")


def is_zone(zone: str) -> bool:
    """Whether `zone` names a zone exactly; safe with any text, as no path is made of it."""
    return zone in zone_names()


def zone_info(zone: str) -> ZoneInfo:
    """The rules of a zone by its IANA name. Raises InvalidQuestion for anything else."""
    if not is_zone(zone):
        raise InvalidQuestion(
            f"timezone: {quoted(zone)} is not a zone of the IANA database. Accepted is a name "
            f'such as "UTC", "Europe/Zurich" or "America/New_York".'
        )
    return _zone_data(zone)


@dataclass(frozen=True, slots=True)
class Span:
    """The cells that cover a stretch of time exactly, without gap or overlap, each in order.

    days   day cells, as `date.toordinal()` of the local date
    hours  hour cells, as the number of the quarter hour at which they begin
    """

    days: tuple[int, ...]
    hours: tuple[int, ...]


class Calendar:
    """How one zone cuts time into hour and day cells.

    An hour cell is named by the number of its first quarter hour (epoch ms // 900_000), a day
    cell by the ordinal of its local date. What is remembered is bounded, and several threads
    may ask one calendar, as each memory is one dict that is only set and cleared.
    """

    __slots__ = ("_cuts", "_day_starts", "_rules", "zone")

    def __init__(self, zone: str) -> None:
        self._rules = zone_info(zone)
        self.zone = zone
        self._cuts: dict[int, tuple[int, int]] = {}
        self._day_starts: dict[int, int] = {}

    def cut(self, at_ms: int) -> tuple[int, int]:
        """The hour and the day cell that hold an instant; 80 ns when its quarter is known."""
        quarter = at_ms // QUARTER_MS
        try:
            return self._cuts[quarter]
        except KeyError:
            return self._cut_anew(quarter)

    def _cut_anew(self, quarter: int) -> tuple[int, int]:
        cut = (self._hour_of(quarter), self._day_of(quarter))
        if len(self._cuts) >= CUTS_MAX:
            self._cuts.clear()
        self._cuts[quarter] = cut
        return cut

    def _local(self, quarter: int) -> datetime:
        return datetime.fromtimestamp(quarter * QUARTER_MS // 1000, self._rules)

    def _clock_hour(self, quarter: int) -> tuple[timedelta | None, int]:
        """What makes neighbouring quarters one hour cell: equal offset and hour."""
        local = self._local(quarter)
        return local.utcoffset(), local.hour

    def _hour_of(self, quarter: int) -> int:
        clock_hour = self._clock_hour(quarter)
        first = quarter
        while self._clock_hour(first - 1) == clock_hour:
            first -= 1
        return first

    def _day_of(self, quarter: int) -> int:
        """The latest date that has begun: where clocks go back over midnight, it stays."""
        day = self._local(quarter).toordinal()
        while self._day_start(day + 1) <= quarter:
            day += 1
        return day

    def _day_start(self, day: int) -> int:
        """The first quarter hour whose local date is `day` or later."""
        known = self._day_starts.get(day)
        if known is not None:
            return known
        midnight = datetime.combine(date.fromordinal(day), datetime.min.time(), self._rules)
        quarter = epoch_ms(midnight) // QUARTER_MS
        before = quarter - 3 * QUARTERS_AN_HOUR
        # Where the clocks change around midnight it may be skipped or come twice: search then,
        # from an hour that is surely of the day before.
        if self._local(before).utcoffset() != self._local(quarter).utcoffset():
            quarter = before
        while self._local(quarter).toordinal() < day:
            quarter += 1
        if len(self._day_starts) >= DAY_STARTS_MAX:
            self._day_starts.clear()
        self._day_starts[day] = quarter
        return quarter

    def day_of(self, at_ms: int) -> int:
        """The day cell that holds an instant."""
        return self.cut(at_ms)[1]

    def hour_start_ms(self, hour: int) -> int:
        """The first instant of an hour cell."""
        return hour * QUARTER_MS

    def hour_end_ms(self, hour: int) -> int:
        """The first instant after an hour cell: mostly, not always, an hour after its start.

        Any quarter hour of the cell will do for `hour`.
        """
        clock_hour = self._clock_hour(hour)
        end = hour + QUARTERS_AN_HOUR
        while self._clock_hour(end - 1) != clock_hour:
            end -= 1
        return end * QUARTER_MS

    def _is_left_out(self, day: int) -> bool:
        """Whether the zone skipped this date, as Pacific/Apia did 2011-12-30."""
        return self._day_start(day) == self._day_start(day + 1)

    def day_start_ms(self, day: int) -> int:
        """The first instant of a local day, also where its midnight does not exist."""
        return self._day_start(day) * QUARTER_MS

    def day_end_ms(self, day: int) -> int:
        """The first instant after a local day; its start, if the zone left that date out."""
        return self._day_start(day + 1) * QUARTER_MS

    def iso_day(self, day: int) -> str:
        """The date of a day cell, as 2026-11-10."""
        return date.fromordinal(day).isoformat()

    def hours_of(self, start_ms: int, end_ms: int) -> list[int]:
        """The hour cells that lie wholly in [start_ms, end_ms), in order."""
        hour = self.cut(start_ms)[0]
        if self.hour_start_ms(hour) < start_ms:
            hour = self.hour_end_ms(hour) // QUARTER_MS
        hours = []
        while (hour_end_ms := self.hour_end_ms(hour)) <= end_ms:
            hours.append(hour)
            hour = hour_end_ms // QUARTER_MS
        return hours

    def span(self, start_ms: int, end_ms: int, *, hours_from: int) -> Span:
        """The fewest cells that cover [start_ms, end_ms): whole days, hours at the edges.

        hours_from  quarter hour from which on hour cells are kept; day cells are taken as kept

        Raises Unanswerable where an edge lies inside an hour, or its hours are kept no longer.
        """
        self._check_edges(start_ms, end_ms)
        first = self.day_of(start_ms)
        if self.day_start_ms(first) < start_ms:
            first += 1
        end = self.day_of(end_ms)
        if first >= end:
            return Span((), self._kept_hours(start_ms, end_ms, hours_from))
        days = tuple(day for day in range(first, end) if not self._is_left_out(day))
        hours = self._kept_hours(start_ms, self.day_start_ms(first), hours_from)
        return Span(days, hours + self._kept_hours(self.day_start_ms(end), end_ms, hours_from))

    def _check_edges(self, start_ms: int, end_ms: int) -> None:
        for edge_ms, moves in ((start_ms, "begins"), (end_ms, "ends")):
            if self.hour_start_ms(self.cut(edge_ms)[0]) != edge_ms:
                raise Unanswerable(
                    f"The range {moves} at {iso(edge_ms, self.zone)}, inside an hour of the "
                    f"reporting zone {self.zone}, and figures are kept for whole hours of that "
                    f"zone. Choose full hours of {self.zone}, or its whole days."
                )

    def _kept_hours(self, start_ms: int, end_ms: int, hours_from: int) -> tuple[int, ...]:
        hours = tuple(self.hours_of(start_ms, end_ms))
        if hours and hours[0] < hours_from:
            kept_from = iso(self.hour_start_ms(hours_from), self.zone)
            raise Unanswerable(
                f"The range needs the hour that begins at "
                f"{iso(self.hour_start_ms(hours[0]), self.zone)}, and hours are kept since "
                f"{kept_from} only. Ask for whole days of the reporting zone {self.zone}."
            )
        return hours


def add_interval(at_ms: int, interval: Interval, count: int) -> int:
    """The instant `count` intervals later by the calendar of UTC, at most FAR_MS.

    A month that is too short ends on its last day: 31 January and a month is 28 or 29 February.
    """
    if interval in ("day", "week"):
        return min(at_ms + count * DAY_MS * (7 if interval == "week" else 1), FAR_MS)
    at = datetime.fromtimestamp(at_ms // DAY_MS * (DAY_MS // 1000), UTC)
    months = at.year * 12 + at.month - 1 + count * (12 if interval == "year" else 1)
    year, month = months // 12, months % 12 + 1
    if year > 9998:
        return FAR_MS
    month_end = (date(year, month, 28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    day = datetime(year, month, min(at.day, month_end.day), tzinfo=UTC)
    return epoch_ms(day) + at_ms % DAY_MS


def iso(at_ms: int, zone: str) -> str:
    """An instant as ISO 8601 with the offset of `zone`; milliseconds only if there are any."""
    at = datetime.fromtimestamp(at_ms // 1000, zone_info(zone))
    at = at.replace(microsecond=at_ms % 1000 * 1000)
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds")


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_ms(at: datetime) -> int:
    """Epoch ms, rounded down; in integers, as `timestamp()` is a float."""
    return (at - _EPOCH) // timedelta(milliseconds=1)
