"""The archive beside a server: fresh on request, back after a death, never in the way."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from engine.config import Config
from persistence.archive import manifest as manifests
from persistence.archive.manifest import BadManifest
from persistence.archive.talk import Begin, encode
from tests.archives import House, rows_of
from tests.handles import no_handles
from tests.living import NOW_MS, Life, batch, config_of, living, view
from tests.server import ROOT, environment
from web.archiving import ArchiveLate, Archiving

DAY_MS = 86_400_000
FOREVER = 2**53


class Beside:
    """A living engine, and its archive in a process of its own."""

    def __init__(self, life: Life, archiving: Archiving) -> None:
        self.engine = life.engine
        self.life = life
        self.archiving = archiving

    async def track(self, *told: dict[str, Any]) -> None:
        await self.engine.accept(batch(*told))

    async def fresh_rows(self) -> list[str]:
        """The index of every row, by number, once all that was accepted is there."""
        await self.archiving.fresh(self.engine.taken_seq, deadline_s=60)
        files = [str(path) for path in self.archiving.parts(0, FOREVER)]
        return [row["index1"] for row in rows_of(files)]


@contextlib.asynccontextmanager
async def beside(config: Config, **how: Any) -> AsyncIterator[Beside]:
    async with living(config) as life, trio.open_nursery() as nursery:
        archiving = Archiving(config, log=life.note, **how)
        await nursery.start(archiving.run, life.engine)
        yield Beside(life, archiving)
        archiving.stop()


async def test_a_fresh_look_sees_every_event_that_was_acknowledged(tmp_path: Path) -> None:
    async with beside(config_of(tmp_path)) as house:
        assert await house.fresh_rows() == []
        for number in range(5):
            await house.track(view(f"s{number}"), view("b", timestamp=NOW_MS - 3 * DAY_MS))
            assert (await house.fresh_rows())[-2:] == [f"s{number}", "b"]
        health = house.archiving.health()
        assert (health.state, health.lag, health.rows) == ("running", 0, 10)


async def test_without_being_asked_it_sees_every_event_soon(tmp_path: Path) -> None:
    async with beside(config_of(tmp_path)) as house:
        await house.track(view("s"))
        with trio.fail_after(60):
            while house.archiving.covered_seq < 1:
                await house.archiving.moved()


@pytest.mark.parametrize("durability", ["write", "none"])
async def test_it_sees_what_other_durabilities_hold_back(
    tmp_path: Path, durability: str
) -> None:
    async with beside(config_of(tmp_path, durability=durability)) as house:
        await house.track(view("s"))
        assert await house.fresh_rows() == ["s"]


async def test_a_killed_process_comes_back_and_goes_on_where_it_was(tmp_path: Path) -> None:
    async with beside(config_of(tmp_path)) as house:
        for number in range(3):
            await house.track(view(f"s{number}", eventId=f"{number}"), view(eventId="0"))
            rows = await house.fresh_rows()
            process = house.archiving.health().process
            assert process is not None
            os.kill(process, signal.SIGKILL)
        assert rows == ["s0", "s1", "s2"]
        await house.track(view("last"))  # ingest does not notice
        assert await house.fresh_rows() == ["s0", "s1", "s2", "last"]
        assert house.archiving.health().restarts >= 3
        assert "archive process failed" in house.life.logged


async def test_a_stop_leaves_nothing_unarchived(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    async with beside(config) as house:
        await house.track(*[view() for _ in range(25)])
    manifest = manifests.read(config.data / "archive")
    assert manifest is not None
    assert (manifest.covered_seq, manifest.rows) == (25, 25)


async def test_signals_to_the_whole_group_do_not_end_it_before_its_work_is_done(
    tmp_path: Path,
) -> None:
    config = config_of(tmp_path)
    async with beside(config) as house:
        assert await house.fresh_rows() == []
        await house.archiving.moved()  # it lives, and has said so
        process = house.archiving.health().process
        assert process is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            os.kill(process, number)
        await house.track(view())
        assert house.archiving.health().restarts == 0
    manifest = manifests.read(config.data / "archive")
    assert manifest is not None
    assert manifest.covered_seq == 1


def test_a_process_whose_server_was_killed_ends_without_a_word(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "persistence.archive.process"]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=environment(),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()  # as the system closes it, before it ends this process as well
        process.stdin.write(encode(Begin(config_of(tmp_path), 0)))
        process.stdin.flush()
        assert process.stderr.read() == b""
        assert process.wait() == 1


async def test_a_damaged_manifest_is_a_failure_that_says_what_to_do(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    (config.data / "archive").mkdir(parents=True)
    (config.data / "archive" / "manifest.json").write_text("{")
    async with beside(config) as house:
        await house.track(view())
        with pytest.raises(ArchiveLate, match="tallymark archive --rebuild"):
            await house.archiving.fresh(1, deadline_s=60)
        assert house.archiving.health().state == "failed"


@pytest.mark.parametrize("content", ["{", '{"format":99}'])
async def test_of_a_manifest_that_cannot_be_understood_nobody_was_let_go(
    tmp_path: Path, content: str
) -> None:
    config = config_of(tmp_path)
    (config.data / "archive").mkdir(parents=True)
    (config.data / "archive" / "manifest.json").write_text(content)
    archiving = Archiving(config, log=print)
    assert not archiving.has_let_go(1)
    assert archiving.let_go_seq(1) == 0


async def test_a_manifest_that_cannot_be_opened_ends_nothing(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    (config.data / "archive" / "manifest.json").mkdir(parents=True)
    archiving = Archiving(config, log=print)
    assert archiving.health().files == 0
    assert archiving.let_go_seq(1) == 0
    with pytest.raises(BadManifest, match="it cannot be read: Is a directory"):
        archiving.parts(0, FOREVER)


async def test_parts_are_those_of_the_days_asked_for(tmp_path: Path) -> None:
    async with beside(config_of(tmp_path)) as house:
        for days in range(3):
            await house.track(view(f"s{days}", timestamp=NOW_MS - days * DAY_MS))
            await house.fresh_rows()
        (path,) = house.archiving.parts(NOW_MS - DAY_MS, NOW_MS - DAY_MS + 1)
        assert [row["index1"] for row in rows_of([str(path)])] == ["s1"]


async def test_an_archive_that_is_off_says_so_and_keeps_no_journal(tmp_path: Path) -> None:
    async with beside(config_of(tmp_path, archive=False)) as house:
        await house.track(view())
        assert house.archiving.health().state == "off"
        assert house.archiving.trimmable_seq() is None
        with pytest.raises(ArchiveLate, match="does not reach event 1: it is off") as late:
            await house.archiving.fresh(1)
        assert late.value.retry_after_s is None
        assert house.archiving.parts(0, FOREVER) == []


async def test_an_archive_that_cannot_go_on_says_why_and_is_not_started_again(
    tmp_path: Path,
) -> None:
    other = House(tmp_path / "other")
    other.track(NOW_MS, *[view() for _ in range(9)])
    other.follow().close()
    config = config_of(tmp_path)
    config.data.mkdir()
    (tmp_path / "other" / "archive").rename(config.data / "archive")
    async with beside(config) as house:
        await house.track(view())
        with pytest.raises(ArchiveLate, match="covers number 9, and the journal ends at 0"):
            await house.archiving.fresh(10, deadline_s=60)
        health = house.archiving.health()
        assert (health.state, health.restarts) == ("failed", 0)
        assert house.life.logged == ["archive failed"]
        await house.track(view())  # ingest does not notice


@pytest.mark.parametrize(
    ("place", "reason"), [("archive", "exists"), ("archive/lock", "Is a directory")]
)
async def test_what_a_restart_may_cure_is_told_until_it_is_cured(
    tmp_path: Path, place: str, reason: str
) -> None:
    config = config_of(tmp_path)
    in_the_way = config.data / place
    if place == "archive":
        config.data.mkdir()
        in_the_way.touch()
    else:
        in_the_way.mkdir(parents=True)
    async with beside(config) as house:
        await house.track(view())
        with trio.fail_after(60):
            while house.archiving.health().reason is None:
                await house.archiving.moved()
        with pytest.raises(ArchiveLate, match=reason) as late:
            await house.archiving.fresh(1, deadline_s=0)
        assert late.value.retry_after_s == 1
        in_the_way.rmdir() if in_the_way.is_dir() else in_the_way.unlink()
        assert await house.fresh_rows() == ["s"]
        health = house.archiving.health()
        assert (health.state, health.reason) == ("running", None)


async def test_a_process_that_does_not_answer_is_late_and_does_not_hold_up_the_stop(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    deaf = (sys.executable, "-c", "import time; time.sleep(1000)")
    config = config_of(tmp_path)
    async with trio.open_nursery() as nursery:
        archiving = Archiving(config, log=lambda *_, **__: None, command=deaf)
        engine = Standing()
        await nursery.start(archiving.run, engine)
        with pytest.raises(ArchiveLate, match="it is starting and covers 0"):
            await archiving.fresh(1)
        assert archiving.trimmable_seq() == 0
        archiving.stop()


async def test_a_process_that_keeps_dying_is_started_again_ever_less_often(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    waits: list[float] = []
    dying = (sys.executable, "-c", "raise SystemExit(7)")
    async with trio.open_nursery() as nursery:

        def note(_event: str, **facts: float) -> None:
            assert facts["code"] == 7
            waits.append(facts["again_in_s"])
            if len(waits) == 6:
                archiving.stop()

        archiving = Archiving(config_of(tmp_path), log=note, command=dying)
        await nursery.start(archiving.run, Standing())
    assert waits == [0.5, 2.0, 10.0, 10.0, 10.0, 10.0]


async def test_a_process_for_which_there_is_no_file_is_started_when_there_is_one(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    codes: list[int | None] = []
    want = contextlib.ExitStack()
    dying = (sys.executable, "-c", "raise SystemExit(7)")

    def note(_event: str, **facts: Any) -> None:
        codes.append(facts["code"])
        if facts["code"] is None:
            assert facts["reason"].endswith("cannot be started: Too many open files.")
            want.close()
        else:
            archiving.stop()

    archiving = Archiving(config_of(tmp_path), log=note, command=dying)
    async with trio.open_nursery() as nursery:
        want.enter_context(no_handles())
        await nursery.start(archiving.run, Standing())
    assert codes == [None, 7]


class Standing:
    """A journal in which nothing happens."""

    taken_seq = 1

    async def durable_seq(self) -> int:
        return 1


def test_the_server_itself_does_not_load_duckdb() -> None:
    question = "import sys, web.main, web.cli; print('duckdb' in sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", question],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout == "False\n"
