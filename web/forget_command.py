"""`tallymark forget`: erases a person, through a server or from a data folder without one."""

import time
from collections.abc import Iterator
from functools import partial
from typing import Final
from urllib.parse import quote

import click
import msgspec
import trio

from engine.config import Config
from load.connection import Target
from load.errors import LoadError
from persistence.archive import manifest as manifests
from persistence.archive.manifest import ARCHIVE_FOLDER
from persistence.audit import must_be_data_folder
from persistence.lock import hold
from persistence.recovery import recover
from persistence.reports import ReportStore
from web.archiving import Archiving
from web.forgetting import Answer, Forgetting, Progress
from web.remote import body_of, replied
from web.reports import names_people
from web.service import engine_of

PAUSE_S: Final = 0.5
"""Between two looks at its progress."""


def from_server(user_id: str, target: Target, *, waits: bool) -> None:
    """Have a server erase a person, and print the progress. Raises LoadError."""
    click.echo(f"number {_ask(user_id, target, 'DELETE').seq}: no answer tells of it any more")
    if waits:
        _tell(iter(partial(_asked_again, user_id, target), None))


def from_folder(user_id: str, config: Config) -> None:
    """Erase a person from a data folder on which no server runs.

    Raises LoadError, NotADataFolder, FolderInUse, and what a start raises.
    """
    must_be_data_folder(config.data)
    manifest = manifests.read(config.data / ARCHIVE_FOLDER)
    # Nobody reads at the same time, so former files need not stay.
    config = msgspec.structs.replace(config, archive=manifest is not None, archive_grace_s=0)
    with hold(config.data):
        trio.run(_forget, user_id, config)


def _ask(user_id: str, target: Target, method: str) -> Progress:
    path = f"/users/{quote(user_id, safe='')}"
    return msgspec.json.decode(body_of(replied(target, path, method=method)), type=Answer).data


def _asked_again(user_id: str, target: Target) -> Progress:
    time.sleep(PAUSE_S)
    return _ask(user_id, target, "GET")


def _tell(progress: Iterator[Progress]) -> None:
    """Say what is left, whenever that changes, until nothing is."""
    told = ""
    for one in progress:
        line = _line(one)
        if line != told:
            click.echo(line)
        told = line
        if one.state == "erased":
            return
        _refuse_if_held(one)


def _line(progress: Progress) -> str:
    if progress.state == "erased":
        return "erased: archive, journal and snapshots hold nothing of it"
    steps = msgspec.structs.asdict(progress.steps)
    left = ", ".join(name for name, is_done in steps.items() if not is_done)
    files = f" ({progress.archive_files} files to read)" if progress.archive_files else ""
    return f"left: {left}{files}"


def _refuse_if_held(progress: Progress) -> None:
    """Raises LoadError where damaged files may hold the person until somebody mends them."""
    if progress.is_held:
        files = "; ".join(f"archive/{one.name}: {one.reason}" for one in progress.unreadable)
        raise LoadError(
            f"The erasure is not complete: what follows could not be looked through, and may "
            f"hold the person, whom no answer tells of. Restore it, or stop the server and run "
            f"`tallymark archive DIR --rebuild`. {files}"
        )


async def _forget(user_id: str, config: Config) -> None:
    """A server without doors, for as long as it takes."""
    recovered = await trio.to_thread.run_sync(recover, config)
    archive = Archiving(config, log=_say_trouble)
    engine = engine_of(config, recovered, log=_say_trouble, archived_seq=archive.trimmable_seq)
    forgetting = Forgetting(
        engine, archive, drop_reports=partial(_drop_reports, config), log=_say_trouble
    )
    stop = trio.Event()
    async with trio.open_nursery() as archiving:
        async with trio.open_nursery() as actors:
            await actors.start(engine.run)
            await archiving.start(archive.run, engine)
            await actors.start(forgetting.run, stop)
            await forgetting.forget(user_id)
            progress = await forgetting.finished(user_id)
            click.echo(_line(progress))
            stop.set()
            engine.stop()
        archive.stop()
    _refuse_if_held(progress)


async def _drop_reports(config: Config, up_to_ms: int) -> None:
    store = ReportStore(config.data)
    for report in store.load()[0]:
        if report.created_ms <= up_to_ms and names_people(report.asked):
            store.remove(report.id)


def _say_trouble(event: str, **facts: object) -> None:
    if event.endswith("failed"):
        click.echo(f"{event}: {facts}", err=True)
