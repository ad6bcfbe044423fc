"""The command `tallymark`: serve, keys, demo, import, load, verify, archive, sql and more.

What a command needs is imported when it runs: `tallymark version` should not wait for NumPy.

Exit codes: 0 done, 1 failed, 2 wrong words or settings, 3 damaged data, 4 a load run that
was not as expected, 130 interrupted.
"""

import datetime as dt
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import orjson

from engine.errors import Corruption, InvalidSetting, TallymarkError
from engine.resolving import KEY_VARIABLE, written
from load.errors import LoadError
from load.extent import DAYS, DAYS_MAX, SERVICES_MAX, USERS, USERS_MIN
from persistence.files import NO_ROOM
from persistence.tabular import Format
from web import options, settings
from web.keycli import keys
from web.loadcli import load
from web.printing import table

FAILED: Final = 1
WRONG_WORDS: Final = 2
DAMAGED: Final = 3
INTERRUPTED: Final = 130

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2

DEFAULT_URL: Final = "http://127.0.0.1:8080"

_Command = TypeVar("_Command", bound=Callable[..., Any])


def _key_option(text: str) -> Callable[[_Command], _Command]:
    """`--key`; the environment keeps it out of the list of processes and of the history."""
    return click.option(
        "--key", envvar=KEY_VARIABLE, show_envvar=True, metavar="KEY", help=text
    )


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="tallymark", message="%(version)s")
def tallymark() -> None:
    """Self-hosted analytics for marketplaces: exact counts, bounded estimates, nothing lost.

    \b
    Exit codes:
      0    done
      1    failed; the reason is on stderr
      2    wrong arguments or settings
      3    damaged data; file and byte are on stderr
      4    load: a threshold was not met, or the server counted wrongly
      130  interrupted
    """


@tallymark.command()
@options.of_settings
def serve(config_file: Path | None, **given: options.Given) -> int:
    """Run the server until SIGTERM, Ctrl-C, or its terminal is closed.

    A second SIGTERM or Ctrl-C ends it at once.

    Every setting is an option (keep_days: --keep-days 800), and may also be set in a TOML file
    or in the environment (TALLYMARK_KEEP_DAYS=800). Below are the main ones;
    docs/configuration.md lists them all, `tallymark config` shows what is in force.
    """
    config = options.resolved(config_file, given).config
    from web import main as server

    return server.serve(config)


@tallymark.command()
@options.of_settings
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object instead of a table."
)
def config(config_file: Path | None, as_json: bool, **given: options.Given) -> None:
    """Print every setting, its value, and where the value came from."""
    resolved = options.resolved(config_file, given)
    values = {name: getattr(resolved.config, name) for name in resolved.origins}
    if as_json:
        both = {
            name: {"value": value, "origin": resolved.origins[name]}
            for name, value in values.items()
        }
        click.echo(orjson.dumps(both, default=_plain, option=orjson.OPT_INDENT_2))
        return
    rows = [(name, written(value), resolved.origins[name]) for name, value in values.items()]
    click.echo(table(("setting", "value", "from"), rows))


@tallymark.command()
@click.option("--url", default=DEFAULT_URL, show_default=True, help="Where the server is.")
@_key_option("A write key, if the server asks for one.")
@click.option(
    "--seed", type=int, default=2025, show_default=True, help="Another seed makes other data."
)
@click.option("--days", type=click.IntRange(1, DAYS_MAX), default=DAYS, show_default=True)
@click.option(
    "--services",
    type=click.IntRange(1, SERVICES_MAX),
    default=SERVICES_MAX,
    show_default=True,
)
@click.option("--users", type=click.IntRange(min=USERS_MIN), default=USERS, show_default=True)
@click.option("--connections", type=click.IntRange(1, 1_000), default=16, show_default=True)
def demo(
    url: str,
    key: str | None,
    *,
    seed: int,
    days: int,
    services: int,
    users: int,
    connections: int,
) -> None:
    """Fill a server with a believable marketplace that ends now.

    The same seed makes the same marketplace; run again, only what is new is added.
    """
    import trio

    from load.commands import run_demo
    from load.connection import Target

    end_ms = time.time_ns() // 1_000_000

    async def send() -> None:
        await run_demo(
            target=Target(url, key),
            end_ms=end_ms,
            seed=seed,
            days=days,
            services=services,
            users=users,
            connections=connections,
        )

    trio.run(send)


@tallymark.command("import")
@click.argument(
    "files",
    metavar="FILE...",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@click.option(
    "--mapping",
    "mapping_path",
    required=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="TOML file that says which column becomes which field.",
)
@click.option("--url", default=DEFAULT_URL, show_default=True, help="Where the server is.")
@_key_option("A write key, if the server asks for one.")
@click.option(
    "--shift-to-end",
    type=click.DateTime(["%Y-%m-%d"]),
    metavar="DATE",
    help="Move old history by whole days, so that its last day is DATE.",
)
@click.option(
    "--restart", is_flag=True, help="Send all rows again, including those already acknowledged."
)
@click.option("--connections", type=click.IntRange(1, 1_000), default=16, show_default=True)
def import_(
    files: tuple[Path, ...],
    mapping_path: Path,
    url: str,
    key: str | None,
    *,
    shift_to_end: dt.datetime | None,
    restart: bool,
    connections: int,
) -> None:
    """Import history from CSV or NDJSON files.

    It is sent over the same routes as live events. An interrupted import continues where it
    stopped; running it twice counts nothing twice.
    """
    import trio

    from load.commands import run_import
    from load.connection import Target

    async def send() -> None:
        await run_import(
            files,
            mapping_path=mapping_path,
            target=Target(url, key),
            shift_to_end=shift_to_end.date() if shift_to_end else None,
            restart=restart,
            connections=connections,
        )

    trio.run(send)


@tallymark.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def verify(folder: Path, as_json: bool) -> int:
    """Check every byte of the data folder DIR.

    Says what is there and what is damaged, and changes nothing. Stop the server on DIR first,
    or check a copy of DIR.
    """
    from web import findings

    found = findings.of(folder)
    told = findings.told(found, now_ms=time.time_ns() // 1_000_000)
    if as_json:
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(findings.lines(told)))
    for line in findings.complaints(found):
        _complain(line)
    return DAMAGED if found.damages else 0


@tallymark.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--timezone", help="The zone of the data's days, if no snapshot tells it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def salvage(folder: Path, timezone: str | None, *, as_json: bool) -> None:
    """Make a damaged data folder DIR start again, with some loss.

    A last resort, when there is no backup: for a server that refuses to start because every
    snapshot is damaged. Keeps the undamaged parts, and prints what is lost. Copy DIR first.
    """
    from web import salvage_command

    salvage_command.run(folder, timezone=timezone, as_json=as_json)


@tallymark.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.argument("target", metavar="BACKUP", type=click.Path(path_type=Path))
@click.option("--copy", "copies", is_flag=True, help="Copy every file; share none with DIR.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def backup(folder: Path, target: Path, *, copies: bool, as_json: bool) -> None:
    """Back up the data folder DIR to the new folder BACKUP.

    Every byte is checked. A server may be running on DIR; it is not held up.
    """
    from web import backup_command

    backup_command.make(folder, target, copies=copies, as_json=as_json)


@tallymark.command()
@click.argument("source", metavar="BACKUP", type=click.Path(path_type=Path))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def restore(source: Path, folder: Path, *, as_json: bool) -> None:
    """Make the new data folder DIR from a backup.

    Every byte is checked, and the folder is started once to see what it counts.
    """
    from web import backup_command

    backup_command.take_back(source, folder, as_json=as_json)


@tallymark.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--check",
    "is_checked",
    is_flag=True,
    help="Read every file and compare it with the manifest.",
)
@click.option(
    "--rebuild", "is_rebuilt", is_flag=True, help="Rebuild it; stop the server first."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def archive(folder: Path, *, is_checked: bool, is_rebuilt: bool, as_json: bool) -> int:
    """List, check or rebuild the archive of the data folder DIR.

    Lists it by day. --rebuild merges the files to one a day and adds what the journal still
    holds.
    """
    from web import archive_command

    if is_rebuilt:
        resolved = settings.read({"data": str(folder)}, os.environ, None)
        archive_command.remake(resolved.config)
    flaws = archive_command.show(folder, is_checked=is_checked, as_json=as_json)
    for flaw in flaws:
        _complain(f"{flaw.path} is damaged: {flaw.reason}.")
    return DAMAGED if flaws else 0


@tallymark.command()
@click.argument("query")
@click.option("--url", help=f"Where the server is; without --url and --data: {DEFAULT_URL}.")
@_key_option("A read key, if the server asks for one.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Read the archive in the data folder DIR instead of asking a server.",
)
@click.option(
    "--format", "format_name", metavar="FORMAT", help="Print JSON, CSV, … instead of a table."
)
def sql(
    query: str, *, url: str | None, key: str | None, data: Path | None, format_name: str | None
) -> None:
    """Run a query over every event and print a table.

    `-` reads the query from stdin. docs/sql.md has the dialect and worked questions.
    """
    from load.connection import Target
    from web import sql_command

    if data is not None and url is not None:
        raise click.UsageError("Give --data or --url, not both.")
    text = sys.stdin.read() if query == "-" else query
    config = settings.read({}, os.environ, None).config
    told = sql_command.ask(
        sql_command.with_format(text, format_name),
        source=data or Target(url or DEFAULT_URL, key),
        config=config,
    )
    if told.is_json and format_name is None:
        sql_command.show(told.body)
    else:
        click.echo(told.body, nl=told.is_json)


@tallymark.command()
@click.argument(
    "folder",
    metavar="[DIR]",
    required=False,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--url", help=f"Where the server is; without --url and DIR: {DEFAULT_URL}.")
@_key_option("A read key, if the server asks for one.")
@click.option(
    "--of",
    "what",
    type=click.Choice(["events", "services", "revenue", "marketplace", "experiments", "users"]),
    help="What to export, by default events; from a folder, events only.",
)
@click.option(
    "--sql",
    "query",
    metavar="QUERY",
    help="Export all rows of this query instead; `-` reads it from stdin.",
)
@click.option(
    "--format",
    "format_name",
    type=click.Choice(["csv", "json", "ndjson", "parquet", "arrow"]),
    default="csv",
    show_default=True,
    help="Parquet only for events, Arrow only for events and queries.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path, allow_dash=True),
    default="-",
    metavar="FILE",
    help="Where to write, by default stdout; FILE appears once it is complete.",
)
@click.option(
    "--with",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter of GET /export, such as startDate=2025-10-01; repeatable.",
)
def export(
    folder: Path | None,
    *,
    url: str | None,
    key: str | None,
    what: str | None,
    query: str | None,
    format_name: Format,
    output: Path,
    parameters: tuple[str, ...],
) -> None:
    """Write events, figures, or the rows of a query to a file.

    They come from a server, or from the archive in the data folder DIR, whether or not a server
    runs on it. docs/cli.md has examples.
    """
    from load.connection import Target
    from web import export_command, report_command

    if folder is not None and url is not None:
        raise click.UsageError("Give DIR or --url, not both.")
    source = folder or Target(url or DEFAULT_URL, key)
    config = settings.read({}, os.environ, None).config
    if query is None:
        words = export_command.query_of(parameters, format_name)
        export_command.export(
            what or "events", words, source=source, output=output, config=config
        )
        return
    if what is not None or parameters:
        raise click.UsageError(
            "--sql takes no --of and no --with: the query says what to export."
        )
    if format_name == "parquet":
        raise click.UsageError(
            "The rows of a query can be csv, json, ndjson or arrow, but not parquet."
        )
    text = sys.stdin.read() if query == "-" else query
    report_command.export(text, format_name, source=source, output=output, config=config)


@tallymark.command()
@click.argument("user")
@click.option("--url", help=f"Where the server is; without --url and --data: {DEFAULT_URL}.")
@_key_option("An admin key, if the server asks for one.")
@click.option(
    "--data",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Erase from the data folder DIR; stop its server first.",
)
@click.option("--wait/--no-wait", default=True, help="Wait until nothing is left on disk.")
def forget(
    user: str, *, url: str | None, key: str | None, data: Path | None, wait: bool
) -> None:
    """Erase a person from all events so far.

    USER is the userId. docs/privacy.md says what stays.
    """
    from load.connection import Target
    from web import forget_command

    if data is None:
        forget_command.from_server(user, Target(url or DEFAULT_URL, key), waits=wait)
        return
    if url is not None:
        raise click.UsageError("Give --data or --url, not both.")
    config = settings.read({"data": str(data)}, os.environ, None).config
    forget_command.from_folder(user, config)


@tallymark.command("version")
def version_() -> None:
    """Print the version."""
    try:
        click.echo(f"tallymark {version('tallymark')}")
    except PackageNotFoundError:
        click.echo("tallymark, not installed: run from its source")


tallymark.add_command(keys)
tallymark.add_command(load)


def _plain(value: object) -> str:
    """A path or a decimal as JSON holds it."""
    return str(value)


def _complain(message: str) -> None:
    """One line on stderr, whatever line breaks a message may have picked up."""
    click.echo(f"tallymark: {' '.join(message.split())}", err=True)


def run(words: Sequence[str]) -> int:
    """Do what the command line says; returns the exit code. Bugs leave it as they are."""
    try:
        code = tallymark.main(list(words), prog_name="tallymark", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return WRONG_WORDS
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "tallymark"
        _complain(f"{error.format_message()} See `{where} --help`.")
        return WRONG_WORDS
    except InvalidSetting as error:
        _complain(str(error))
        return WRONG_WORDS
    except Corruption as error:
        _complain(str(error))
        return DAMAGED
    except (TallymarkError, LoadError) as error:
        _complain(str(error))
        return FAILED
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:  # `tallymark config | head`: whoever listened has heard enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except OSError as error:  # a file of somebody else's, a disk that is full or only read
        if (error.filename is None and error.errno not in NO_ROOM) or error.strerror is None:
            raise
        where = "" if error.filename is None else f"{error.filename}: "
        _complain(f"{where}{error.strerror}.")
        return FAILED
    return code if isinstance(code, int) else 0


def _open_what_is_closed() -> None:
    """Have a stdin, stdout and stderr, also where whoever has started us closed them.

    Else the first files that are opened take their numbers, and what is printed is written
    into those.
    """
    while (handle := os.open(os.devnull, os.O_RDWR)) <= STDERR:
        pass
    os.close(handle)
    sys.stdin = sys.stdin or os.fdopen(STDIN)
    sys.stdout = sys.stdout or os.fdopen(STDOUT, "w")
    sys.stderr = sys.stderr or os.fdopen(STDERR, "w")


def main() -> None:
    """The entry point of the installed command."""
    _open_what_is_closed()
    code = run(sys.argv[1:])
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody listens any more
            stream.flush()
    # Without Python's own farewell, which frees millions of cells one by one and has the
    # sketch library print every object that it still knows; files are closed and synced.
    os._exit(code)


if __name__ == "__main__":
    main()
