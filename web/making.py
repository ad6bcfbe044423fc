"""Making the rows of a report, as pieces of its file, whatever it contains."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, NamedTuple, Protocol

import trio
from msgspec import Struct

from engine.answers.common import PeriodAsked
from engine.answers.families import must_be_answerable
from engine.config import Config
from engine.timebucket import iso
from persistence.tabular import MEDIA, TextFormat
from web import exports, tables
from web.errors import archive_off, recovering
from web.exporting import EventsWanted, Export, Exports
from web.exports import EventsChosen
from web.reports import OF_FAMILY, SqlReport
from web.sql import Archived, Asked, Sql
from web.sqlreport import SqlRows


class Rows(Protocol):
    """The rows of one report.

    percent  how far they are; None where nobody knows
    rows     how many there are so far; None where they are not counted
    """

    @property
    def percent(self) -> int | None: ...

    @property
    def rows(self) -> int | None: ...

    def pieces(self) -> AsyncGenerator[bytes, None]:
        """The file. Raises TallymarkError, CutShort, and Ended where a process has failed."""
        ...


Answer = Callable[[Any], Awaitable[tables.Answer]]


class File(NamedTuple):
    """What the file of a report will be called, and what it will be."""

    name: str
    media: str


class Makers:
    """Makes reports.

    answers  by family, what answers a question of it
    """

    def __init__(
        self,
        config: Config,
        archived: Archived,
        answers: Mapping[str, Answer],
        exporting: Exports,
        sql: Sql | None,
    ) -> None:
        self._config = config
        self._archived = archived
        self._answers = answers
        self._exporting = exporting
        self._sql = sql

    async def check(self, asked: Struct, *, now_ms: int) -> File:
        """Refuse what no report can be made of. Raises TallymarkError."""
        if not self._archived.is_found:
            raise recovering()
        match asked:
            case SqlReport():
                if self._sql is None:
                    raise archive_off()
                await self._sql.check(_query(asked), asked.format)
                day = iso(now_ms, self._config.timezone)[:10]
                return File(exports.file_name("query", day, asked.format), MEDIA[asked.format])
            case EventsChosen():
                if not self._config.archive:
                    raise archive_off()
                return File(self._events(asked, now_ms).file_name, MEDIA[asked.format])
        family, format_ = _family(asked)
        assert isinstance(asked, PeriodAsked)
        must_be_answerable(asked)
        period = exports.period_of(asked, self._config, now_ms=now_ms)
        return File(exports.file_name(family, period.label, format_), MEDIA[format_])

    def rows(self, asked: Struct, *, now_ms: int) -> Rows:
        """The rows of a report that was asked for at `now_ms`."""
        match asked:
            case SqlReport():
                return SqlRows(
                    self._config, self._archived, _query(asked), asked.format, now_ms=now_ms
                )
            case EventsChosen():
                return _EventRows(
                    self._exporting,
                    self._events(asked, now_ms).wanted,
                    self._config.report_deadline_s,
                )
        family, format_ = _family(asked)
        return _FamilyRows(self._answers[family], asked, format_)

    def _events(self, asked: EventsChosen, now_ms: int) -> exports.Events:
        return exports.events(asked, self._config, fresh=True, now_ms=now_ms)


class _EventRows:
    rows = None

    def __init__(self, exporting: Exports, wanted: EventsWanted, deadline_s: float) -> None:
        self._exporting = exporting
        self._wanted = wanted
        self._deadline_s = deadline_s
        self._export: Export | None = None

    @property
    def percent(self) -> int | None:
        return 0 if self._export is None else self._export.percent

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        export = await self._exporting.open(self._wanted, deadline_s=self._deadline_s)
        self._export = export
        async with aclosing(export):
            async for piece in export:
                yield piece


class _FamilyRows:
    percent = None
    rows = None

    def __init__(self, answer: Answer, asked: Struct, format_: TextFormat) -> None:
        self._answer = answer
        self._asked = asked
        self._format = format_

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        found = await self._answer(self._asked)
        for piece in tables.table(found, self._format):
            yield piece
            await trio.lowlevel.checkpoint()


def _query(asked: SqlReport) -> Asked:
    return Asked(text=asked.sql, extra=True, quoted=False)


def _family(asked: Struct) -> tuple[str, TextFormat]:
    family = next(name for name, kind in OF_FAMILY.items() if isinstance(asked, kind))
    format_: TextFormat = getattr(asked, "format")  # noqa: B009  # of a type made at run time
    return family, format_
