"""The processes behind SQL: they are replaced when they die, and leave with the service."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.config import Config
from engine.errors import NotReady
from persistence.archive.columns import Hidden
from tests.children import children
from tests.handles import no_handles
from tests.sqlworkers import many, written
from web import queries
from web.sql import Asked, Sql

SLOW = (
    "SELECT count() AS n FROM events a JOIN events b ON a.blob1 = b.blob1 "
    "JOIN events c ON b.blob1 = c.blob1 WHERE a.double1 * b.double1 < c.double1"
)


class Files:
    """An archive of the files given."""

    def __init__(self, *files: str) -> None:
        self._files = [Path(file) for file in files]
        self.is_found = True

    def hidden(self) -> Hidden:
        return Hidden("", ())

    def parts(self, start_ms: int, end_ms: int) -> list[Path]:
        return self._files

    async def fresh(self) -> None:
        pass


@asynccontextmanager
async def asking(archived: Files, **settings: Any) -> AsyncIterator[Sql]:
    log: list[str] = []
    sql = Sql(Config(**settings), archived, log=lambda event, **_: log.append(event))
    async with trio.open_nursery() as nursery:
        await nursery.start(sql.run)
        yield sql
        sql.stop()
    assert log == []


def asked(text: str) -> Asked:
    return Asked(text=text, extra=True, quoted=False)


async def answer(sql: Sql, text: str = "SELECT 1 AS x FORMAT TabSeparated") -> bytes:
    return (await sql.answer(asked(text))).body


async def test_a_worker_that_was_killed_is_replaced() -> None:
    async with asking(Files(), sql_workers=1) as sql:
        assert await answer(sql) == b"1\n"
        killed = sql.process_ids
        for process in killed:
            os.kill(process, signal.SIGKILL)
            gone = partial(os.waitid, os.P_PID, process, os.WEXITED | os.WNOWAIT)
            await trio.to_thread.run_sync(gone)
        assert await answer(sql) == b"1\n"
        assert not set(killed) & set(sql.process_ids)


async def test_a_worker_that_hangs_as_it_starts_holds_up_no_query() -> None:
    others = children("sqlworker")
    async with asking(Files(), sql_workers=1) as sql:
        while not (starting := children("sqlworker") - others):
            await trio.lowlevel.checkpoint()
        (hangs,) = starting
        os.kill(hangs, signal.SIGSTOP)
        assert sql.process_ids == []
        assert await answer(sql) == b"1\n"
    with pytest.raises(ProcessLookupError):
        os.kill(hangs, 0)


async def test_workers_for_which_there_are_no_files_start_when_there_are_some() -> None:
    reasons: list[str] = []
    failed = trio.Event()

    def note(event: str, *, reason: str) -> None:
        assert event == "sql worker failed"
        reasons.append(reason)
        failed.set()

    sql = Sql(Config(sql_workers=1), Files(), log=note)
    async with trio.open_nursery() as nursery:
        with no_handles():
            await nursery.start(sql.run)
            await failed.wait()
        assert await answer(sql) == b"1\n"
        sql.stop()
    assert reasons[0] == "A process that is needed cannot be started: Too many open files."


async def test_a_query_whose_worker_is_killed_is_refused_and_the_next_is_right(
    tmp_path: Path,
) -> None:
    rows = [{"latencyMs": float(n)} for n in range(2_000)]
    file = written(tmp_path / "rows.parquet", rows)
    async with asking(Files(file), sql_workers=1, sql_deadline_s=60) as sql:
        assert await answer(sql) == b"1\n"
        (busy,) = sql.process_ids[-1:]
        async with trio.open_nursery() as nursery:

            async def refused() -> None:
                with pytest.raises(Exception, match="ended the process that ran it"):
                    await answer(sql, SLOW)

            nursery.start_soon(refused)
            while busy in sql.process_ids:
                await trio.lowlevel.checkpoint()
            os.kill(busy, signal.SIGKILL)
        assert await answer(sql) == b"1\n"


async def test_a_query_that_is_given_up_takes_its_worker_along(tmp_path: Path) -> None:
    rows = [{"latencyMs": float(n)} for n in range(2_000)]
    file = written(tmp_path / "rows.parquet", rows)
    async with asking(Files(file), sql_workers=1, sql_deadline_s=60) as sql:
        assert await answer(sql) == b"1\n"
        (busy,) = sql.process_ids[-1:]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(answer, sql, SLOW)
            while busy in sql.process_ids:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        with pytest.raises(ProcessLookupError):
            os.kill(busy, 0)
        assert await answer(sql) == b"1\n"


async def test_after_a_stop_no_process_is_left_and_nothing_is_answered() -> None:
    async with asking(Files(), sql_workers=1) as sql:
        assert await answer(sql) == b"1\n"
        processes = sql.process_ids
    for process in processes:
        with pytest.raises(ProcessLookupError):
            os.kill(process, 0)
    with pytest.raises(NotReady):
        await answer(sql)


async def test_nothing_is_answered_before_the_service_has_recovered() -> None:
    files = Files()
    files.is_found = False
    async with asking(files, sql_workers=1) as sql:
        with pytest.raises(NotReady):
            await answer(sql)
        files.is_found = True
        assert await answer(sql) == b"1\n"


async def test_every_format_says_which_columns_are_estimates(tmp_path: Path) -> None:
    file = many(tmp_path / "a.parquet", 1, rows=140_000)
    text = "SELECT 1 AS one, count() AS n, avg(double1) AS ms, uniq(index1) AS u FROM events"
    async with asking(Files(file)) as sql:
        for format_ in ("CSV", "JSON", "Arrow"):
            reply = await queries.superset(sql, b"budget=1ms", f"{text} FORMAT {format_}")
            headers = dict(reply.headers)
            assert headers["Tallymark-Sample-Interval"] == "4"
            assert headers["Tallymark-Estimated-Columns"] == "2, 3"
            assert headers["Tallymark-Sample-Columns"] == "4"
