"""Reports without a server: what fails in one fails there alone."""

from pathlib import Path
from typing import Any

import orjson
import pytest
import trio

from engine.config import Config
from engine.errors import DiskFull
from persistence.archive.columns import Hidden
from tests.handles import no_growth
from web.exporting import Exports
from web.grants import ANYBODY, Asking
from web.making import Makers
from web.reporting import Reports
from web.wire import Called


class Ready:
    """A service without files."""

    is_found = True

    def parts(self, start_ms: int, end_ms: int) -> list[Path]:
        return []

    def hidden(self) -> Hidden:
        return Hidden("", ())

    async def fresh(self) -> None:
        return


async def broken(_: Any) -> Any:
    raise ZeroDivisionError


async def test_a_bug_fails_its_report_and_no_other_and_the_log_has_it(tmp_path: Path) -> None:
    log: list[dict[str, Any]] = []
    config = Config(data=tmp_path)
    exporting = Exports(config, Ready(), log=print)
    makers = Makers(config, Ready(), {"users": broken}, exporting, None)
    reports = Reports(
        config,
        makers,
        now_ms=lambda: 1_760_000_000_000,
        log=lambda _, **facts: log.append(facts),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(exporting.run)
        nursery.start_soon(reports.run)
        asked = [b'{"family":"users"}', b'{"family":"events","format":"json"}']
        made = [await reports.create(called(body)) for body in asked]
        keys = [orjson.loads(reply.body)["id"] for reply in made]
        with trio.fail_after(60):
            told = [await ended(reports, key) for key in keys]
        reports.end()
        exporting.end()
    assert [one["status"] for one in told] == ["failed", "done"]
    assert "log of the service" in told[0]["reason"]
    assert isinstance(log[0]["exc_info"], ZeroDivisionError)


async def test_one_that_cannot_be_written_down_is_refused_and_the_next_is_made(
    tmp_path: Path,
) -> None:
    config = Config(data=tmp_path)
    exporting = Exports(config, Ready(), log=print)
    makers = Makers(config, Ready(), {}, exporting, None)
    reports = Reports(config, makers, now_ms=lambda: 1_760_000_000_000, log=print)
    async with trio.open_nursery() as nursery:
        await nursery.start(exporting.run)
        nursery.start_soon(reports.run)
        asked = called(b'{"family":"events","format":"json"}')
        with no_growth(beyond_bytes=0), pytest.raises(DiskFull, match="File too large"):
            await reports.create(asked)
        made = await reports.create(asked)
        with trio.fail_after(60):
            told = await ended(reports, orjson.loads(made.body)["id"])
        reports.end()
        exporting.end()
    assert told["status"] == "done"


def called(body: bytes = b"", **path: str) -> Called:
    asking = Asking("POST", b"", None, None, None, None, None, "", None)
    return Called(path, {}, b"", body, asking, ANYBODY)


async def ended(reports: Reports, key: str) -> dict[str, Any]:
    while True:
        reply = await reports.get(called(report=key))
        found: dict[str, Any] = orjson.loads(reply.body)
        if found["finishedAt"] is not None:
            return found
        await trio.sleep(0.02)
