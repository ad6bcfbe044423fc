"""`tallymark sql`: a query to a server, or over the archive of a folder, printed as a table."""

from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import orjson
import trio
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.config import Config
from engine.errors import TallymarkError
from load.connection import Target
from load.errors import LoadError
from persistence.archive import manifest as manifests
from persistence.archive.columns import Hidden
from persistence.archive.hiding import hidden_in
from persistence.archive.manifest import ARCHIVE_FOLDER, Manifest
from web.remote import body_of, replied
from web.sql import Answer, Asked, Sql
from web.wire import JSON

WIDTH: Final = 120
"""Columns of a table where nobody looks: a file, a pipe."""


class Folder:
    """The archive of a folder, whether or not a server runs on it."""

    is_found = True

    def __init__(self, data: Path) -> None:
        self._data = data
        self._folder = data / ARCHIVE_FOLDER
        self._manifest = manifests.read(self._folder)
        if self._manifest is None:
            raise LoadError(f"{data} has no archive; a server with `archive = true` makes one.")

    def parts(self, start_ms: int, end_ms: int) -> list[Path]:
        """The files that may hold rows of that time."""
        found = manifests.between(self._manifest or Manifest(), start_ms, end_ms)
        return [self._folder / file.name for file in found]

    def hidden(self) -> Hidden:
        """What these files hold, and nobody may see any more."""
        return hidden_in(self._data, self._manifest or Manifest())

    async def fresh(self) -> None:
        """Nobody can say what else there is."""


class Told(NamedTuple):
    """The body of an answer, and whether it is that of FORMAT JSON, which a table can show."""

    body: bytes
    is_json: bool


def ask(query: str, *, source: Path | Target, config: Config) -> Told:
    """Ask a server, or the archive of a folder. Raises LoadError, TallymarkError."""
    if isinstance(source, Target):
        reply = replied(source, "/sql?fresh=1", method="POST", body=query.encode())
        return Told(body_of(reply), reply.headers.get_content_type() == JSON)
    answer = trio.run(partial(_from_folder, query, source, config))
    return Told(answer.body, answer.media == JSON)


def with_format(query: str, name: str | None) -> str:
    """The query with its FORMAT, which comes last."""
    return query if name is None else f"{query.rstrip().rstrip(';')}\nFORMAT {name}"


def show(body: bytes) -> None:
    """Print an answer in FORMAT JSON as a table, and how many rows it has."""
    answer = orjson.loads(body)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    names = [column["name"] for column in answer["meta"]]
    for column in answer["meta"]:
        number = column["type"].startswith(("Int", "UInt", "Float"))
        table.add_column(Text(column["name"]), justify="right" if number else "left")
    for row in answer["data"]:
        table.add_row(*(_cell(row.get(name)) for name in names))
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(WIDTH, 24 * len(names)))
    console.print(table)
    console.print(f"{answer['rows']:,} row{'' if answer['rows'] == 1 else 's'}")


def _cell(value: object) -> Text:
    match value:
        case None:
            return Text("null", style="dim")
        case str():
            return Text(value)
        case float():
            return Text(f"{value:,.6g}" if abs(value) < 1e6 else f"{value:,.2f}")
        case int():
            return Text(f"{value:,}")
        case _:
            return Text(orjson.dumps(value).decode())


async def _from_folder(query: str, data: Path, config: Config) -> Answer:
    sql = Sql(config, Folder(data), log=lambda *_, **__: None)
    failure: TallymarkError | None = None
    answer: Answer | None = None
    async with trio.open_nursery() as nursery:
        await nursery.start(sql.run)
        try:
            answer = await sql.answer(Asked(text=query, extra=True, quoted=False))
        except TallymarkError as refused:
            failure = refused
        sql.stop()
    if failure is not None:
        raise failure
    assert answer is not None
    return answer
