"""`tallymark export --sql`: all rows of a query into a file, with progress on the way.

A server makes a report, which is removed there once it has arrived; a folder is read directly.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import msgspec
import orjson
import trio
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn

from engine.config import Config
from engine.errors import TallymarkError
from load.connection import Target
from load.errors import LoadError
from persistence.tabular import Format
from web.export_command import PATIENT_S, copied, growing
from web.remote import body_of, replied
from web.sql import Asked
from web.sql_command import Folder
from web.sqlprocess import Ended
from web.sqlreport import SqlRows

POLL_S: Final = 0.5
"""Between two questions about the progress of a report."""

MB: Final = 1_000_000

Tell = Callable[[int | None, str], None]
"""Hears of a percent, None where nobody knows, and of what else there is to say."""


def export(
    query: str,
    format_: Format,
    *,
    source: Path | Target,
    output: Path,
    config: Config,
    console: Console | None = None,
) -> None:
    """Write the rows of a query into `output`, whole or not at all.

    output   a file; `-` is stdout
    console  where progress is shown, if it is a terminal; stderr unless given
    Raises LoadError, TallymarkError.
    """
    console = console or Console(stderr=True)
    with growing(output) as file, _bar(console) as tell:
        if isinstance(source, Target):
            _from_server({"sql": query, "format": format_}, source, file, tell)
        else:
            trio.run(partial(_from_folder, query, format_, source, config, file, tell))


def _from_server(wanted: dict[str, str], target: Target, file: BinaryIO, tell: Tell) -> None:
    body = orjson.dumps(wanted)
    media = "application/json"
    report = _read(body_of(replied(target, "/exports", method="POST", body=body, media=media)))
    path = f"/exports/{report['id']}"
    try:
        while report["status"] in ("queued", "running"):
            tell(report["progress"], f"{report['sizeBytes'] / MB:.1f} MB, {report['status']}")
            time.sleep(POLL_S)
            report = _read(body_of(replied(target, path)))
        if report["status"] != "done":
            raise LoadError(report["reason"])
        with replied(target, f"{path}/file") as reply:
            copied(reply, file)
    finally:
        with suppress(LoadError):
            body_of(replied(target, path, method="DELETE"))


def _read(body: bytes) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(body)
    return found


async def _from_folder(
    query: str, format_: Format, data: Path, config: Config, file: BinaryIO, tell: Tell
) -> None:
    config = msgspec.structs.replace(config, archive=True, report_deadline_s=PATIENT_S)
    asked = Asked(text=query, extra=True, quoted=False)
    now_ms = time.time_ns() // 1_000_000
    rows = SqlRows(config, Folder(data), asked, format_, now_ms=now_ms)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_tell_of, rows, tell)
        try:
            async with aclosing(rows.pieces()) as pieces:
                async for piece in pieces:
                    file.write(piece)
        except (TallymarkError, OSError) as error:
            failure = error
        except Ended:
            failure = LoadError("The query ended the process that ran it: it needs too much.")
        nursery.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _tell_of(rows: SqlRows, tell: Tell) -> None:
    while True:
        tell(rows.percent, f"{rows.rows:,} rows")
        await trio.sleep(POLL_S)


@contextmanager
def _bar(console: Console) -> Iterator[Tell]:
    columns = (
        TextColumn("export"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[also]}"),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("export", total=None, also="")

        def tell(percent: int | None, also: str) -> None:
            total = None if percent is None else 100
            bar.update(task, total=total, completed=percent or 0, also=also)

        yield tell
