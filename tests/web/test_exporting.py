"""The processes behind exports: one each, as many as may, gone with whoever wanted them."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pytest
import trio

from engine.config import Config
from engine.errors import NotReady
from persistence.archive.columns import Hidden, source_of
from persistence.key import UnusableKey
from tests.archives import EPOCH
from tests.children import children
from tests.handles import no_handles
from tests.sqlworkers import written
from web.errors import CutShort
from web.exporting import EventsWanted, Export, Exports, TooManyExports
from web.piped import NotStarted

ROWS = 20_000
ALL = EventsWanted(format="ndjson", start_ms=0, end_ms=2**50)


class Files:
    """An archive of files, each set of them once; the last set for good."""

    is_found = True

    def __init__(self, *sets: list[str]) -> None:
        self._sets = list(sets)

    def hidden(self) -> Hidden:
        return Hidden("", ())

    def parts(self, start_ms: int, end_ms: int) -> list[Path]:
        files = self._sets.pop(0) if len(self._sets) > 1 else self._sets[0]
        return [Path(file) for file in files]

    async def fresh(self) -> None:
        pass


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Far more than pipes and channels hold."""
    path = tmp_path_factory.mktemp("export") / "rows.parquet"
    return written(path, ({"seq": n, "category": "x" * 50} for n in range(ROWS)))


@asynccontextmanager
async def exporting(
    *sets: list[str], log: list[str] | None = None, **settings: Any
) -> AsyncIterator[Exports]:
    noted: list[str] = []
    exports = Exports(
        Config(**settings), Files(*sets), log=lambda event, **_: noted.append(event)
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(exports.run)
        yield exports
        exports.end()
    assert noted == (log or [])
    assert exports.under_way == 0
    assert exports_running() == set()


def exports_running() -> set[int]:
    return children("exportworker")


async def whole(export: Export) -> bytes:
    return b"".join([piece async for piece in export])


async def test_an_export_is_whole_and_leaves_nothing_behind(file: str) -> None:
    async with exporting([file]) as exports:
        body = await whole(await exports.open(ALL))
        assert [orjson.loads(line)["seq"] for line in body.splitlines()] == list(range(ROWS))


async def test_without_files_there_are_columns_and_no_rows() -> None:
    async with exporting([]) as exports:
        for format_, rows in (("csv", 1), ("ndjson", 0)):
            wanted = EventsWanted(format=format_, start_ms=0, end_ms=1)
            body = await whole(await exports.open(wanted))
            assert len(body.splitlines()) == rows


async def test_a_week_around_the_first_day_of_the_epoch_is_a_period_like_any_other(
    tmp_path: Path,
) -> None:
    path = written(tmp_path / "rows.parquet", [{"timestamp": EPOCH, "seq": 1}, {"seq": 2}])
    week = EventsWanted(format="ndjson", start_ms=-518_400_000, end_ms=86_400_000)
    async with exporting([path]) as exports:
        lines = (await whole(await exports.open(week))).splitlines()
    assert [orjson.loads(line)["seq"] for line in lines] == [1]


async def test_no_more_may_run_than_the_setting_says(file: str) -> None:
    async with exporting([file], exports_max=2) as exports:
        first = await exports.open(ALL)
        second = await exports.open(ALL)
        with pytest.raises(TooManyExports) as refused:
            await exports.open(ALL)
        assert refused.value.retry_after_s > 0
        await whole(first)
        while exports.under_way == 2:
            await trio.lowlevel.checkpoint()
        third = await exports.open(ALL)
        assert await whole(second) == await whole(third)


async def test_one_for_which_there_are_no_files_is_refused_and_the_next_is_whole(
    file: str,
) -> None:
    async with exporting([file]) as exports:
        with no_handles(), pytest.raises(NotStarted, match="Too many open files"):
            await exports.open(ALL)
        assert len((await whole(await exports.open(ALL))).splitlines()) == ROWS


async def test_whoever_leaves_takes_the_process_along(file: str) -> None:
    async with exporting([file], exports_max=1) as exports:
        export = await exports.open(ALL)
        await anext(export)
        assert len(exports_running()) == 1
        await export.aclose()
        while exports.under_way:
            await trio.lowlevel.checkpoint()
        await whole(await exports.open(ALL))


async def test_one_that_takes_too_long_is_cut_short(file: str) -> None:
    async with exporting([file], export_deadline_s=1, log=["export failed"]) as exports:
        export = await exports.open(ALL)
        while exports.under_way:
            await trio.lowlevel.checkpoint()
        with pytest.raises(CutShort):
            await whole(export)


async def test_one_whose_process_is_killed_is_cut_short(file: str) -> None:
    async with exporting([file], log=["export failed"]) as exports:
        export = await exports.open(ALL)
        (process,) = exports_running()
        os.kill(process, 9)
        with pytest.raises(CutShort):
            await whole(export)


async def test_an_end_cuts_short_what_is_under_way(file: str) -> None:
    async with exporting([file]) as exports:
        export = await exports.open(ALL)
        exports.end()
        with pytest.raises(CutShort):
            await whole(export)
        with pytest.raises(NotReady):
            await exports.open(ALL)


async def test_files_that_were_merged_away_are_looked_up_again(file: str) -> None:
    gone = str(Path(file).with_name("gone.parquet"))
    async with exporting([gone], [file, gone], [file]) as exports:
        assert len((await whole(await exports.open(ALL))).splitlines()) == ROWS
    async with exporting([gone]) as exports:
        with pytest.raises(NotReady, match=r"gone\.parquet of the archive is missing"):
            await exports.open(ALL)


async def test_files_that_go_while_they_are_read_stay_whole(tmp_path: Path) -> None:
    rows = ({"seq": n, "category": "x" * 50} for n in range(ROWS))
    path = written(tmp_path / "rows.parquet", rows)
    async with exporting([path]) as exports:
        export = await exports.open(ALL)
        os.unlink(path)  # noqa: PTH108  in async code Path's own is refused
        assert len((await whole(export)).splitlines()) == ROWS


async def test_a_damaged_file_is_named_and_no_short_export(file: str, tmp_path: Path) -> None:
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(b"PAR1 and then nothing")
    async with exporting([file, str(bad)], log=["export failed"]) as exports:
        with pytest.raises(CutShort, match=f"The file {tmp_path.name}/bad.parquet of the arch"):
            await whole(await exports.open(ALL))


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    beyond = tmp_path / ("x" * 300)
    async with exporting([str(beyond)], log=["export failed"]) as exports:
        with pytest.raises(NotReady, match="cannot be read: File name too long") as refused:
            await exports.open(ALL)
    place = f"{tmp_path.name}/{beyond.name}"
    assert str(refused.value).startswith(f"The file {place} of the archive ")


class Keyless(Files):
    """An archive of which nobody can say what is hidden."""

    def hidden(self) -> Hidden:
        raise UnusableKey("it is lost")


async def test_where_nobody_can_say_what_is_hidden_no_process_is_left() -> None:
    exports = Exports(Config(), Keyless([]), log=print)
    async with trio.open_nursery() as nursery:
        await nursery.start(exports.run)
        with pytest.raises(UnusableKey):
            await exports.open(ALL)
        assert exports_running() == set()
        exports.end()


async def test_without_an_archive_there_is_nothing_to_export() -> None:
    async with exporting([], archive=False) as exports:
        with pytest.raises(NotReady):
            await exports.open(ALL)


@pytest.mark.parametrize("user", ["0b8f9f0c-6d5e-4c11-9a63-0d2f43a7e1bb", "anna"])
async def test_an_id_is_exported_as_it_was_sent_from_files_of_both_versions(
    tmp_path: Path, user: str
) -> None:
    path = written(tmp_path / "rows.parquet", [{"userId": user}, {"userId": "else"}])
    former = str(tmp_path / "former.parquet")
    with duckdb.connect() as connection:
        connection.execute(f"COPY (FROM {source_of([path])}) TO '{former}'")
    wanted = EventsWanted(format="ndjson", start_ms=0, end_ms=2**50, user=user)
    async with exporting([path, former]) as exports:
        lines = (await whole(await exports.open(wanted))).splitlines()
    assert [orjson.loads(line)["userId"] for line in lines] == [user, user]
