"""Users: who was active on which day, who came back, who left, and how long sessions took.

Daily and monthly users, retention and churn are exact up to the bound of `userdays.UserDays`;
sessions are counted by hour and day.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.cells import Cells, Dumped, Horizon, Owner, Slots, add_counts
from engine.footprint import counts_bytes
from engine.timebucket import Calendar, Span
from engine.userdays import Distinct, UserDays

Finished = tuple[int, int, int]
"""(at_ms, sessions, their duration_us together)"""

CURVE_DAYS: Final = 30
"""Retention covers day 1 to this day after a user's first."""

SESSIONS, DURATION_US = range(2)
ALL: Final = ""


@dataclass(frozen=True, slots=True)
class Question:
    """Days in the reporting zone, in order and without gaps.

    today     the day of the asking: cohort days are only told once they are over
    windows   sets of days whose distinct users are asked for
    """

    days: Sequence[int]
    days_before: Sequence[int]
    today: int
    windows: tuple[tuple[int, ...], ...]
    session_spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Cohort:
    """Users of one first day: how many, and how many of them were active N days later.

    returned  for N = 1 … CURVE_DAYS; None while day N is not over
    """

    users: int
    returned: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Sessions:
    """Finished sessions and their whole duration."""

    count: int
    duration_us: int


@dataclass(frozen=True, slots=True)
class Image:
    """One shard's answer; counts of cohorts and churn are those of its sample."""

    sample_rate: float
    distinct: tuple[Distinct, ...]
    cohorts: dict[int, Cohort]
    were_active: int
    left: int
    sessions: tuple[Sessions, ...]


class Users:
    """The users that one shard owns, and the sessions that came to it."""

    name: Final = "users"

    def __init__(self, calendar: Calendar, *, users_max: int) -> None:
        self._calendar = calendar
        self.days = UserDays(calendar, rows_max=users_max)
        self._sessions: Cells[str, list[int]] = Cells("session")

    def fold_sessions(self, finished: Iterable[Finished]) -> None:
        """Count finished sessions."""
        for at_ms, sessions, duration_us in finished:
            for cells in self._sessions.places(self._calendar.cut(at_ms)):
                counts = cells.get(ALL)
                if counts is None:
                    counts = cells[ALL] = [0, 0]
                counts[SESSIONS] += sessions
                counts[DURATION_US] += duration_us

    def forget(self, user: int) -> Generator[None, None, None]:
        """Let go of one user; sessions, which are sums, stay counted."""
        yield from self.days.forget(user)

    def expire(self, horizon: Horizon) -> None:
        """Forget sessions and active days older than `horizon`."""
        self._sessions.expire(horizon)
        self.days.expire(horizon.day)

    def sessions(self, span: Span) -> Sessions:
        """Sessions in the cells of `span`."""
        totals = [0, 0]
        for cells in self._sessions.within(span):
            add_counts(totals, cells[ALL])
        return Sessions(totals[SESSIONS], totals[DURATION_US])

    @property
    def cells(self) -> int:
        """How many cells of sessions there are."""
        return self._sessions.count

    def memory_bytes(self) -> Iterator[int]:
        """About what the cells of sessions occupy, to be added up; users are `days`."""
        return self._sessions.memory_bytes(counts_bytes)

    def image(self, question: Question) -> Generator[None, None, Image]:
        """What this shard knows of the question; yields between pieces of work."""
        distinct = []
        for window in question.windows:
            distinct.append(self.days.distinct(window))
            yield
        cohorts = yield from self._cohorts(question)
        were, left = self.days.left(question.days_before, question.days)
        yield
        return Image(
            sample_rate=self.days.sample_rate,
            distinct=tuple(distinct),
            cohorts=cohorts,
            were_active=were,
            left=left,
            sessions=tuple(self.sessions(span) for span in question.session_spans),
        )

    def _cohorts(self, question: Question) -> Generator[None, None, dict[int, Cohort]]:
        cohorts = {}
        for day, rows in self.days.newcomers(question.days).items():
            returned = tuple(
                self.days.active_of(rows, day + n) if day + n < question.today else None
                for n in range(1, CURVE_DAYS + 1)
            )
            cohorts[day] = Cohort(len(rows), returned)
            yield
        return cohorts

    @property
    def needs_full_dump(self) -> bool:
        self.days.settle()  # what waits may be what lets go of rows
        return self.days.is_renumbered

    def dump(self, *, full: bool) -> Dumped:
        """The slots that changed since the last dump, or all."""
        yield from self._sessions.dump(full=full, dumped=list)
        yield from self.days.dump(full=full)

    def load(self, slots: Slots, owner: Owner) -> None:
        """Take back what one former shard dumped: those of its users that `owner` says."""
        for slot, content in slots.items():
            if slot[0].startswith("session/"):
                self._sessions.load(
                    slot,
                    content,
                    loaded=list,
                    merge=add_counts,
                    owns=lambda _: owner.unkeyed,
                    same=owner.same,
                )
        self.days.load(slots, owner)
