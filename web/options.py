"""Settings as options of the command line: all are accepted, the main ones are in its help."""

import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec
from msgspec.inspect import BoolType, DictType, VarTupleType

from engine.resolving import SETTINGS, Resolved
from web import settings

Given = str | bool | tuple[str, ...] | None
"""What click hands over for an option; one of `_LEFT_OUT` where it was not given."""

_LEFT_OUT: Final = (None, ())

_Command = TypeVar("_Command", bound=Callable[..., Any])

_MAIN: Final = (
    ("data", "DIR", "Folder of the journal, the snapshots and the archive."),
    ("host", "ADDRESS", "Address to listen on."),
    ("port", "PORT", "TCP port; 0 takes a free one and logs which."),
    ("keys_file", "FILE", "More keys than those of `tallymark keys`, one per line; mode 0600."),
    ("certfile", "FILE", "TLS certificate and its chain; needs --keyfile."),
    ("keyfile", "FILE", "Private key of the certificate."),
    ("durability", "fsync|write|none", "What an acknowledgement waits for."),
    ("shards", "N", "Tasks that share the counting; may change at a restart."),
    ("timezone", "ZONE", "IANA zone of hours and days; chosen once for a data folder."),
    ("reporting_currency", "CODE", "Currency of figures that are not split by currency."),
    ("snapshot_interval_s", "SECONDS", "Time between snapshots."),
    ("stop_deadline_s", "SECONDS", "How long a clean stop may take."),
    ("log_level", "LEVEL", "debug, info, warning or error."),
    ("log_format", "console|json", "Lines for people, or one JSON object per line."),
    ("archive", "", "Keep every event in Parquet files; on by default."),
    ("load_hooks", "", "Let POST /load/runs put load on this process."),
    ("pseudonymise", "", "Store a keyed hash instead of each userId and sessionId."),
    (
        "allowed_hosts",
        "NAME",
        "A name that the Host header may have besides those of loopback; repeatable.",
    ),
    (
        "allow_public",
        "",
        "Listen beyond loopback without keys, because a proxy keeps strangers out.",
    ),
)
"""(setting, what stands for its value, help), in the order of the help."""

_ALSO: Final[Mapping[str, str]] = {"allowed_hosts": "--allowed-host"}


def of_settings(command: _Command) -> _Command:
    """Add all settings as options; values stay texts, which `settings.read` checks."""
    shown = [name for name, _, _ in _MAIN]
    for name in SETTINGS:
        if name not in shown:
            command = _option(name, is_shown=False)(command)
    for name, metavar, text in reversed(_MAIN):
        command = _option(name, metavar=metavar, text=text)(command)
    return click.option(
        "--config",
        "config_file",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="TOML file of settings; default: TALLYMARK_CONFIG, else ./tallymark.toml.",
    )(command)


def resolved(config_file: Path | None, given: Mapping[str, Given]) -> Resolved:
    """The settings in force, with what the command line says. Raises InvalidSetting."""
    said = {
        name: ",".join(value) if isinstance(value, tuple) else value
        for name, value in given.items()
        if value not in _LEFT_OUT
    }
    return settings.read(said, os.environ, config_file)


def _option(
    name: str, *, metavar: str | None = None, text: str | None = None, is_shown: bool = True
) -> Callable[[_Command], _Command]:
    """One setting: a switch that can be turned both ways, a list, or a text."""
    word = name.replace("_", "-")
    option = partial(click.option, help=text, hidden=not is_shown)
    match msgspec.inspect.type_info(SETTINGS[name]):
        case BoolType():
            return option(f"--{word}/--no-{word}", name, default=None)
        case VarTupleType() | DictType():
            also = [_ALSO[name]] if name in _ALSO else []
            return option(*also, f"--{word}", name, multiple=True, metavar=metavar)
        case _:
            return option(f"--{word}", name, metavar=metavar)
