"""User SQL: a few worker processes, each with one query at a time, and one more kept warm.

A query has a deadline from the moment a worker takes it. At the deadline the worker interrupts
itself; half a second later it is killed, whatever it is doing, and the warm one takes its
place. A worker that crashes takes nothing with it but the query that crashed it.
"""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import msgspec
import trio

from engine.config import Config
from engine.errors import NotReady, Overloaded, TallymarkError
from persistence.archive.columns import Hidden
from persistence.archive.troubled import missing, unopened
from persistence.dialect.errors import InvalidQuery, QueryTooLong
from persistence.tabular import Format
from web.errors import archive_off, recovering
from web.piped import NotStarted
from web.sqlprocess import START_S, Ended, Json, Worker

GRACE_S: Final = 0.5
"""How long after its deadline a worker may live; as in `persistence.sqlworker`."""

LATE_S: Final = 3.0
"""How long a worker may take to start before another is started beside it; it takes 0.3 s."""

RESTART_S: Final = 1.0
"""Between two starts where the first failed."""

ATTEMPTS: Final = 3
"""How often files that were merged away meanwhile are looked up again."""

LATEST_MS: Final = 2**53
"""Later than every event."""


class TooManyQueries(Overloaded):
    """No more queries may wait."""

    status = 429
    title = "Too many queries"


class Archived(Protocol):
    """What SQL needs of the service: files of the archive, what of them nobody may see."""

    @property
    def is_found(self) -> bool:
        """Whether it is known by now which files there are, and what of them is hidden."""
        ...

    def parts(self, start_ms: int, end_ms: int) -> list[Path]: ...
    def hidden(self) -> Hidden: ...
    async def fresh(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A query.

    extra     the superset is allowed, not Analytics Engine's dialect alone
    quoted    integers of 64 bits are texts in JSON
    fresh     every event acknowledged so far must be seen
    budget_s  seconds after which an answer over a sample will do; None: over all rows alone
    """

    text: str
    extra: bool
    quoted: bool
    fresh: bool = False
    budget_s: float | None = None

    def read(self, config: Config, *, now_ms: int) -> Json:
        """What a worker is told about the query first."""
        return {
            "do": "read",
            "text": self.text,
            "extra": self.extra,
            "quoted": self.quoted,
            "sampled": self.budget_s is not None,
            "bytes_max": config.sql_text_bytes_max,
            "now_ms": now_ms,
            "tables": [config.sql_table],
        }


@dataclass(frozen=True, slots=True)
class Answer:
    """The body of an answer, and its media type.

    interval  of the sample that was read; None where no time budget was given
    marks     of its columns where a sample was read: see `persistence.dialect.estimates`
    """

    media: str
    body: bytes
    rows: int
    interval: int | None = None
    marks: tuple[str | None, ...] = ()


Converse = Callable[[Worker], Awaitable[Answer]]
"""What is done with a worker."""


class Sql:
    """Answers SQL. `run` is its life; until it runs, and after `stop`, `answer` is NotReady."""

    def __init__(
        self, config: Config, archived: Archived, *, log: Callable[..., object]
    ) -> None:
        self._config = config
        self._archived = archived
        self._log = log
        self._warm: list[Worker] = []
        self._alive = 0
        self._wanted = trio.Event()
        self._arrived = trio.Condition()
        self._places = trio.CapacityLimiter(config.sql_workers)
        self._asked = 0
        self._stopped = trio.Event()
        self._runs = False

    @property
    def process_ids(self) -> list[int]:
        """The process ids of the workers that wait for a query."""
        return [worker.pid for worker in self._warm]

    async def run(
        self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        """Keep one worker more than may work at a time, until `stop`."""
        self._runs = True
        task_status.started()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep)
                await self._stopped.wait()
                nursery.cancel_scope.cancel()
        finally:
            self._runs = False
            with trio.CancelScope(shield=True):
                while self._warm:
                    await self._warm.pop().end()

    def stop(self) -> None:
        """End the workers; a query that runs is refused."""
        self._stopped.set()

    async def answer(self, asked: Asked) -> Answer:
        """Run a query.

        Raises InvalidQuery, QueryTooLong, TooManyQueries, NotReady, and what `fresh` raises.
        """
        return await self._in_line(asked, partial(self._converse, asked))

    async def check(self, asked: Asked, report: Format) -> None:
        """Refuse what a report could not be made of, as `answer` does."""
        await self._in_line(asked, partial(self._read_alone, asked, report))

    async def _in_line(self, asked: Asked, converse: Converse) -> Answer:
        if not self._config.archive:
            raise archive_off()
        if not self._archived.is_found or not self._runs:
            raise recovering()
        size_bytes = len(asked.text.encode())
        if size_bytes > self._config.sql_text_bytes_max:
            raise QueryTooLong(
                f"The query has {size_bytes} bytes; {self._config.sql_text_bytes_max} is the "
                f"most that is read."
            )
        if self._asked >= self._config.sql_workers + self._config.sql_queue_max:
            raise TooManyQueries(
                f"{self._config.sql_queue_max} queries are waiting already, the most that may. "
                f"Try again in a second."
            )
        self._asked += 1
        try:
            if asked.fresh:
                await self._archived.fresh()
            async with self._places:
                return await self._with_worker(converse)
        finally:
            self._asked -= 1

    async def _with_worker(self, converse: Converse) -> Answer:
        worker = await self._take()
        done = False
        try:
            with trio.move_on_after(self._config.sql_deadline_s + GRACE_S):
                answer = await converse(worker)
                done = True
                return answer
        except Ended:
            raise InvalidQuery(
                "the query ended the process that ran it: it needs too much"
            ) from None
        except TallymarkError:
            done = True
            raise
        finally:
            if done and not self._stopped.is_set():
                self._warm.append(worker)
                await self._tell_arrived()
            else:
                self._alive -= 1
                self._wanted.set()
                await worker.end()
        raise InvalidQuery(
            f"the query took longer than {self._config.sql_deadline_s} s and was ended"
        )

    async def _read_alone(self, asked: Asked, report: Format, worker: Worker) -> Answer:
        now_ms = time.time_ns() // 1_000_000
        read = asked.read(self._config, now_ms=now_ms)
        head, _ = await worker.ask({**read, "report": report})
        refusal_in(head)
        return Answer("", b"", 0)

    async def _converse(self, asked: Asked, worker: Worker) -> Answer:
        began = trio.current_time()
        now_ms = time.time_ns() // 1_000_000
        head, body = await worker.ask(asked.read(self._config, now_ms=now_ms))
        told = _answer(head, body)
        files: list[str] = []
        for _ in range(ATTEMPTS):
            if told is not None:
                return told
            left_s = self._config.sql_deadline_s - (trio.current_time() - began)
            limits = {
                "deadline_s": self._config.sql_deadline_s,
                "left_s": max(0.001, left_s),
                "rows_max": self._config.sql_rows_max,
                "bytes_max": self._config.sql_answer_bytes_max,
                "budget_s": asked.budget_s,
            }
            hidden = self._archived.hidden()  # first: what goes meanwhile stays hidden
            files = files_of(self._archived, head)
            question = {
                "do": "run",
                "hidden": msgspec.to_builtins(hidden),
                "files": files,
                "limits": limits,
            }
            told = _answer(*await worker.ask(question))
        if told is None:
            raise NotReady(missing_of(files))
        return told

    # -- workers

    async def _take(self) -> Worker:
        with trio.move_on_after(START_S):
            while True:
                while self._warm:  # the one that worked last knows the files best
                    worker = self._warm.pop()
                    if worker.lives:
                        return worker
                    self._alive -= 1
                    self._wanted.set()
                    await worker.end()
                async with self._arrived:
                    if not self._warm:
                        await self._arrived.wait()
        raise NotReady("No process that could run the query has started. Try again.")

    async def _tell_arrived(self) -> None:
        with trio.CancelScope(shield=True):
            async with self._arrived:
                self._arrived.notify()

    async def _keep(self) -> None:
        """Start workers whenever there are too few."""
        while True:
            while self._alive <= self._config.sql_workers:
                await self._add()
            self._wanted = trio.Event()
            await self._wanted.wait()

    async def _add(self) -> None:
        """One worker more: where the first is late, whichever of two is ready first."""
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._begin, nursery.cancel_scope)
            await trio.sleep(LATE_S)
            nursery.start_soon(self._begin, nursery.cancel_scope)

    async def _begin(self, others: trio.CancelScope) -> None:
        """Start a worker, again until that succeeds; then `others` need not go on."""
        while True:
            try:
                worker = Worker(self._config)
            except NotStarted as failure:
                self._log("sql worker failed", reason=str(failure))
                await trio.sleep(RESTART_S)
                continue
            try:
                await worker.greet()
            except BaseException as failure:
                await worker.end()
                if not isinstance(failure, Ended):
                    raise
                self._log("sql worker failed", reason="it ended before it was ready")
                await trio.sleep(RESTART_S)
                continue
            self._alive += 1
            self._warm.append(worker)
            others.cancel()
            await self._tell_arrived()
            return


def files_of(archived: Archived, head: Json) -> list[str]:
    """The files of the archive that a query needs, of which a worker has said so much."""
    if not head["reads_events"]:
        return []
    first_ms, last_ms = head["first_ms"], head["last_ms"]
    found = archived.parts(
        0 if first_ms is None else max(0, first_ms),
        LATEST_MS if last_ms is None else max(0, last_ms) + 1_000,
    )
    return [str(path) for path in found]


def missing_of(files: list[str]) -> str:
    """What is said where one of these files cannot be opened."""
    for path in map(Path, files):
        try:
            path.stat()
        except FileNotFoundError:
            return missing(path)
        except OSError as error:
            return unopened(path, error)
    return "The files that are read were changed. Try again."


def refusal_in(head: Json) -> None:
    """Raise what a worker refuses: InvalidQuery, QueryTooLong, or NotReady for a bad file."""
    refused = head.get("refused")
    if refused is not None:
        if refused["status"] == NotReady.status:
            raise NotReady(refused["text"])
        if refused["status"] == QueryTooLong.status:
            raise QueryTooLong(refused["text"])
        raise InvalidQuery(refused["text"])


def _answer(head: Json, body: bytes) -> Answer | None:
    """What a message says; None where more has to be asked. Raises as `refusal_in` does."""
    refusal_in(head)
    if "media" not in head:
        return None
    marks = tuple(head.get("marks", ()))
    return Answer(head["media"], body, head["rows"], head.get("interval"), marks)
