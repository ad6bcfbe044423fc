"""`tallymark export`: events or figures into a file, from a server or from a data folder."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import urlencode

import msgspec
import trio

from engine.config import Config
from engine.errors import TallymarkError
from load.connection import Target
from load.errors import LoadError
from web import exports, wire
from web.errors import CutShort
from web.exporting import Exports
from web.exports import EventsAsked
from web.remote import replied
from web.sql_command import Folder

PIECE_BYTES: Final = 64 * 1024
PATIENT_S: Final = 10**9
"""The deadline where nobody else waits."""

_CUT: Final = "The export ended before it was whole, and nothing was kept. Try again."


def query_of(parameters: tuple[str, ...], format_name: str) -> str:
    """The query of GET /export, from NAME=VALUE. Raises LoadError."""
    pairs = []
    for parameter in parameters:
        name, is_pair, value = parameter.partition("=")
        if not is_pair:
            raise LoadError(f"--with takes NAME=VALUE, got {parameter!a}.")
        pairs.append((name, value))
    return urlencode([*pairs, ("format", format_name)])


def export(
    what: str, query: str, *, source: Path | Target, output: Path, config: Config
) -> None:
    """Write an export into `output`, whole or not at all.

    what    events, or a family of metrics
    query   as of GET /export/{what}
    output  a file; `-` is stdout
    Raises LoadError, TallymarkError.
    """
    with growing(output) as file:
        if isinstance(source, Target):
            with replied(source, f"/export/{what}?{query}") as reply:
                copied(reply, file)
            return
        if what != "events":
            raise LoadError(f"A folder has events alone; ask a server (--url) for {what}.")
        asked = wire.question(query.encode(), EventsAsked)
        trio.run(partial(_from_folder, asked, source, config, file))


@contextmanager
def growing(output: Path) -> Iterator[BinaryIO]:
    """A file beside `output` that takes its place when all went well; `-` is stdout."""
    if str(output) == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    beside = output.with_name(f"{output.name}.part")
    try:
        with beside.open("wb") as file:
            yield file
        beside.replace(output)
    except OSError as error:
        reason = error.strerror or error
        # Of a write the system names no file; where it names another, that is the fault.
        if error.filename in (None, str(beside)):
            raise LoadError(f"{output} cannot be written: {reason}.") from None
        raise LoadError(f"{error.filename} cannot be read: {reason}.") from None
    finally:
        beside.unlink(missing_ok=True)


def copied(reply: BinaryIO, file: BinaryIO) -> None:
    """Write all of an answer into a file. Raises LoadError where it ends too early."""
    while piece := _read(reply):
        file.write(piece)


def _read(reply: BinaryIO) -> bytes:
    try:
        return reply.read(PIECE_BYTES)
    except (OSError, HTTPException):
        raise LoadError(_CUT) from None


async def _from_folder(asked: EventsAsked, data: Path, config: Config, file: BinaryIO) -> None:
    now_ms = time.time_ns() // 1_000_000
    wanted, _ = exports.events(asked, config, fresh=False, now_ms=now_ms)
    config = msgspec.structs.replace(config, archive=True, export_deadline_s=PATIENT_S)
    exporting = Exports(config, Folder(data), log=lambda *_, **__: None)
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(exporting.run)
        try:
            async for piece in await exporting.open(wanted):
                file.write(piece)
        except (TallymarkError, OSError) as error:
            failure = error
        except CutShort as cut:
            failure = LoadError(cut.reason or _CUT)
        exporting.end()
    if failure is not None:
        raise failure
