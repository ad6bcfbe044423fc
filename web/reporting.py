"""Reports: exports that are made while nobody waits, and kept as files for a while.

A report is on disk before its request is answered, so after a restart, or a crash in the
middle, whatever was not finished is made again. A few are made at a time, in the order of
arrival.
"""

import secrets
from collections.abc import Callable, Iterator
from contextlib import aclosing
from typing import Final, TypeVar

import msgspec
import trio

from engine.config import Config
from engine.errors import DiskFull, LimitReached, Overloaded, TallymarkError
from persistence.reports import Report, ReportStore
from web import reports, wire
from web.archiving import ArchiveLate
from web.errors import CutShort, Forbidden, NotFound, ReportUnfinished
from web.filebytes import FileBytes
from web.grants import Grant
from web.making import Makers, Rows
from web.reports import Told, ToldList
from web.sqlprocess import Ended
from web.wire import Called, NothingAsked, Reply

WRITE_BYTES: Final = 1024 * 1024

RETRY_S: Final = 1.0
"""Between two tries where what a report needs is not there yet."""

DEATHS_MAX: Final = 3
"""How often the process that makes a report may fail."""

STARTS_MAX: Final = 10
"""How often a report is begun before it is blamed for ending its process."""

OWNER_LETTERS: Final = 16
"""Of a key's digest; enough to tell keys apart."""

EXPIRY_S: Final = 30.0
"""Between two looks for what has expired."""

T = TypeVar("T")


class ReportFailed(TallymarkError):
    """A report that cannot be made as it was asked for; its text becomes the reason."""


class Course:
    """One report while it is made; cancel `scope` to give it up."""

    def __init__(self) -> None:
        self.rows: Rows | None = None
        self.size_bytes = 0
        self.scope = trio.CancelScope()
        self.ended = trio.Event()


class Reports:
    """The reports of a data folder. None is made before `run`, or after `end`.

    handlers  {name of the route: what answers it}
    """

    def __init__(
        self,
        config: Config,
        makers: Makers,
        *,
        now_ms: Callable[[], int],
        log: Callable[..., object],
    ) -> None:
        self._config = config
        self._makers = makers
        self._now_ms = now_ms
        self._log = log
        self._store = ReportStore(config.data)
        self._disk = trio.CapacityLimiter(1)
        self._taking = trio.Lock()
        self._loading = trio.Lock()
        self._is_loaded = False
        self._reports: dict[str, Report] = {}
        self._courses: dict[str, Course] = {}
        self._news = trio.Event()
        self._life = trio.CancelScope()
        self.handlers = {
            "reports": self.list,
            "createReport": self.create,
            "report": self.get,
            "removeReport": self.remove,
        }

    # -- routes -------------------------------------------------------------------------------

    async def list(self, called: Called) -> Reply:
        """GET /exports."""
        wire.question(called.query, NothingAsked)
        await self._load()
        newest_first = reversed(self._reports.values())
        return wire.answered(ToldList([self._told(report) for report in newest_first]))

    async def create(self, called: Called) -> Reply:
        """POST /exports. Raises LimitReached, DiskFull, and what is wrong with the request."""
        wire.question(called.query, NothingAsked)
        wanted = reports.wanted_in(called.body)
        owner = _owner(called.grant)
        await self._load()
        async with self._taking:
            self._must_have_room(owner)
            now_ms = self._now_ms()
            file = await self._makers.check(wanted.asked, now_ms=now_ms)
            report = Report(
                id=secrets.token_hex(16),
                asked=wanted.content,
                owner=owner,
                file_name=file.name,
                media=file.media,
                created_ms=now_ms,
            )
            await self._take(report)
        reply = wire.answered(self._told(report), status=202)
        location = ("Location", f"/exports/{report.id}")
        return reply._replace(headers=(*reply.headers, location))

    async def get(self, called: Called) -> Reply:
        """GET /exports/{report}."""
        wire.question(called.query, NothingAsked)
        await self._load()
        return wire.answered(self._told(self._one(called.path["report"])))

    async def remove(self, called: Called) -> Reply:
        """DELETE /exports/{report}; one that is being made is given up. Raises Forbidden."""
        wire.question(called.query, NothingAsked)
        await self._load()
        report = self._one(called.path["report"])
        if not called.grant.may("admin") and report.owner != _owner(called.grant):
            raise Forbidden(
                "The report belongs to another key: only that or an admin key removes it."
            )
        await self._forget(report.id)
        return wire.nothing()

    async def headers_of(self, key: str) -> tuple[tuple[str, str], ...]:
        """Those of GET /exports/{report}/file. Raises NotFound, ReportUnfinished."""
        await self._load()
        report = self._one(key)
        if report.status != "done":
            why = f": {report.reason}" if report.reason else ""
            raise ReportUnfinished(f"The report is {self._told(report).status}{why}")
        return (
            *wire.sent(b"", media=report.media).headers,
            ("Content-Disposition", f'attachment; filename="{report.file_name}"'),
            ("Content-Length", str(report.size_bytes)),
        )

    async def open(self, key: str) -> FileBytes:
        """The bytes of that file, also where the report is removed meanwhile."""
        return FileBytes(await self._in_thread(lambda: self._store.open_rows(key)))

    async def forget_people(self, up_to_ms: int) -> None:
        """Remove the files that may name somebody, and give up those that are being made.

        up_to_ms  epoch ms; what was asked for later is made of what may be seen then
        """
        await self._load()
        for report in list(self._reports.values()):
            is_begun = report.status == "done" or report.id in self._courses
            if (
                is_begun
                and report.created_ms <= up_to_ms
                and reports.names_people(report.asked)
            ):
                await self._forget(report.id)

    # -- life ---------------------------------------------------------------------------------

    async def run(self) -> None:
        """Make reports until `end`."""
        with self._life:
            await self._load()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._expire)
                for _ in range(self._config.reports_running_max):
                    nursery.start_soon(self._work)

    def end(self) -> None:
        """Give up what is being made; the next start makes it again."""
        self._life.cancel()

    async def _work(self) -> None:
        while True:
            report = next(self._in_line(), None)
            if report is None:
                await self._news.wait()
            else:
                await self._carry_out(report)

    def _in_line(self) -> Iterator[Report]:
        for report in self._reports.values():
            if report.status == "queued" and report.id not in self._courses:
                yield report

    async def _carry_out(self, report: Report) -> None:
        course = Course()
        self._courses[report.id] = course
        try:
            with course.scope:
                report = msgspec.structs.replace(report, starts=report.starts + 1)
                await self._say(report)
                ended = await self._ended(report, course)
                await self._say(msgspec.structs.replace(ended, finished_ms=self._now_ms()))
        finally:
            del self._courses[report.id]
            course.ended.set()

    async def _ended(self, report: Report, course: Course) -> Report:
        """The report once it is made, or has failed."""
        try:
            with trio.fail_after(self._config.report_deadline_s):
                await self._made(report, course)
        except trio.TooSlowError:
            reason = f"It took longer than {self._config.report_deadline_s} seconds."
        except TallymarkError as error:
            reason = str(error)
        except OSError as error:
            reason = f"Its file cannot be written: {error.strerror or error}."
        except Exception as bug:  # as in a request: it fails, and nothing else does
            self._log("report failed", id=report.id, exc_info=bug)
            reason = wire.INTERNAL.detail
        else:
            return msgspec.structs.replace(
                report,
                status="done",
                rows=None if course.rows is None else course.rows.rows,
                size_bytes=course.size_bytes,
            )
        self._log("report failed", id=report.id, reason=reason)
        return msgspec.structs.replace(report, status="failed", reason=reason)

    async def _made(self, report: Report, course: Course) -> None:
        """Get its file onto disk, whole."""
        if report.starts > STARTS_MAX:
            raise ReportFailed(f"It was begun {STARTS_MAX} times and never finished.")
        asked = reports.wanted_in(report.asked).asked
        deaths = 0
        while True:
            course.rows = self._makers.rows(asked, now_ms=report.created_ms)
            try:
                await self._written(report, course, course.rows)
                return
            except (Overloaded, ArchiveLate):  # what it needs is on its way
                await trio.sleep(RETRY_S)
            except (CutShort, Ended) as failure:
                deaths += 1
                if deaths == DEATHS_MAX:
                    reason = failure.reason if isinstance(failure, CutShort) else None
                    raise ReportFailed(
                        reason or "The process that makes it has failed."
                    ) from None

    async def _written(self, report: Report, course: Course, rows: Rows) -> None:
        store, key = self._store, report.id
        course.size_bytes = 0
        handle = await self._in_thread(lambda: store.begin(key))
        try:
            async with aclosing(rows.pieces()) as pieces:
                held = bytearray()
                async for piece in pieces:
                    held += piece
                    if len(held) >= WRITE_BYTES:
                        await self._add(handle, held, course)
                        held = bytearray()
                await self._add(handle, held, course)
            await self._in_thread(lambda: store.finish(key, handle))
        except BaseException:
            with trio.CancelScope(shield=True):
                await self._in_thread(lambda: store.give_up(key))
            raise
        finally:
            store.close(handle)

    async def _add(self, handle: int, piece: bytearray, course: Course) -> None:
        config = self._config
        course.size_bytes += len(piece)
        if course.size_bytes > config.report_bytes_max:
            raise ReportFailed(
                f"Its file is larger than the {config.report_bytes_max} bytes that "
                f"report_bytes_max allows: ask for a shorter period, or less of it."
            )
        if self._bytes_of_all() > config.reports_bytes_max:
            raise ReportFailed(
                f"The files of all reports together are larger than the "
                f"{config.reports_bytes_max} bytes that reports_bytes_max allows: delete some."
            )
        await self._in_thread(lambda: self._store.write(handle, piece))

    def _bytes_of_all(self) -> int:
        done = sum(report.size_bytes for report in self._reports.values())
        return done + sum(course.size_bytes for course in self._courses.values())

    async def _expire(self) -> None:
        while True:
            now_ms = self._now_ms()
            for report in list(self._reports.values()):
                until_ms = reports.expires_at(report, self._config.report_keep_hours)
                if until_ms is not None and until_ms <= now_ms:
                    await self._forget(report.id)
            await trio.sleep(EXPIRY_S)

    # -- inside -------------------------------------------------------------------------------

    async def _load(self) -> None:
        """Know what the disk says, from the first time on."""
        async with self._loading:
            if self._is_loaded:
                return
            found, damaged = await self._in_thread(self._store.load)
            for path in damaged:
                self._log("report skipped", path=str(path), reason="it cannot be read")
            self._reports.update((report.id, report) for report in found)
            self._is_loaded = True

    def _one(self, key: str) -> Report:
        found = self._reports.get(key)
        if found is None:
            raise NotFound(
                f"There is no report {key[:64]!a}, or no longer; GET /exports lists them all."
            )
        return found

    def _told(self, report: Report) -> Told:
        course = self._courses.get(report.id)
        percent = None
        if course is not None and report.status == "queued":
            rows = course.rows
            percent = None if rows is None else rows.percent
            report = msgspec.structs.replace(
                report,
                status="running",
                size_bytes=course.size_bytes,
                rows=None if rows is None else rows.rows,
            )
        return reports.shown(report, keep_hours=self._config.report_keep_hours, percent=percent)

    def _must_have_room(self, owner: str) -> None:
        known = self._reports.values()
        if len(known) >= self._config.reports_max:
            raise LimitReached(
                f"There are {len(known)} reports already, as many as reports_max allows. "
                f"Delete one first."
            )
        own = sum(report.owner == owner for report in known)
        if own >= self._config.reports_per_owner_max:
            raise LimitReached(
                f"{own} reports of yours are kept already, as many as reports_per_owner_max "
                f"allows. Delete one first."
            )

    async def _take(self, report: Report) -> None:
        """Get it onto disk, and then in line."""
        try:
            await self._in_thread(lambda: self._store.keep(report))
        except OSError as error:
            reason = error.strerror or error
            raise DiskFull(f"The report cannot be kept on the disk: {reason}.") from error
        self._reports[report.id] = report
        self._news.set()
        self._news = trio.Event()

    async def _say(self, report: Report) -> None:
        """Make it known, and write it to disk as far as that works."""
        try:
            await self._in_thread(lambda: self._store.keep(report))
        except OSError as error:  # a restart would make it again
            self._log("report failed", id=report.id, reason=error.strerror or str(error))
        if report.id in self._reports:
            self._reports[report.id] = report

    async def _forget(self, key: str) -> None:
        """Remove all of it; what is being made is given up first."""
        self._reports.pop(key, None)
        course = self._courses.get(key)
        if course is not None:
            course.scope.cancel()
            await course.ended.wait()
        try:
            await self._in_thread(lambda: self._store.remove(key))
        except OSError as error:  # a restart would have it again
            self._log("report failed", id=key, reason=error.strerror or str(error))

    async def _in_thread(self, call: Callable[[], T]) -> T:
        return await trio.to_thread.run_sync(call, limiter=self._disk)


def _owner(grant: Grant) -> str:
    """Whose report it is: a key, but not its secret; empty if no key was asked for."""
    return "" if grant.key is None else grant.key.digest.hex()[:OWNER_LETTERS]
