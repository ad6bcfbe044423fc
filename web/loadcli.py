"""The command `tallymark load`: a run, the search for capacity, the list of profiles."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar, Unpack

import click

from engine.resolving import KEY_VARIABLE
from load.errors import LoadError

if TYPE_CHECKING:
    from load.capacity import Trial
    from load.expect import Threshold
    from load.outcome import Outcome
    from load.plan import Plan

NOT_AS_EXPECTED: Final = 4
"""The exit code where a threshold is not met, or the server counted wrongly."""

TRIAL_S: Final = 10.0
"""Seconds of one trial of `find-capacity`."""

FILE_COLUMNS: Final = 120
"""Width of the figures where they do not go to a terminal."""

_Command = TypeVar("_Command", bound=Callable[..., Any])

_OUTPUT: Final = click.Path(dir_okay=False, writable=True, path_type=Path)


class _Read(click.ParamType[Any]):
    """A word read by a function of `load` that raises LoadError."""

    def __init__(self, name: str, read: Callable[[str], Any]) -> None:
        self.name = name
        self._read = read

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> object:
        if not isinstance(value, str):
            return value
        try:
            return self._read(value)
        except LoadError as error:
            self.fail(str(error), param, ctx)


def _rate(text: str) -> float:
    from load.quantities import rate_per_s

    return rate_per_s(text)


def _duration(text: str) -> float:
    from load.quantities import duration_s

    return duration_s(text)


def _expectation(text: str) -> "list[Threshold]":
    from load.expect import parse

    return parse(text)


_RATE: Final = _Read("rate", _rate)
_DURATION: Final = _Read("duration", _duration)
_EXPECTATION: Final = _Read("thresholds", _expectation)


class _Group(click.Group):
    """A group whose first word, where it is no command, is the URL of a run."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["run", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_Group)
def load() -> None:
    """Put load on a server and measure how it copes.

    \b
      tallymark load http://127.0.0.1:8080 --profile burst --rate 10000/s
      tallymark load find-capacity http://127.0.0.1:8080
      tallymark load profiles

    Requests are sent when they are due, whether or not earlier ones were answered, and latency
    counts from then. docs/load.md says how to read the figures.
    """


class _Common(TypedDict):
    """The words that a run and a search share, as click hands them over."""

    url: str
    key: str | None
    name: str
    duration: float | None
    connections: int | None
    processes: int
    batch: int | None
    seed: int
    label: str
    is_shared: bool
    is_counted: bool


_COMMON_OPTIONS: Final = (
    click.argument("url"),
    click.option(
        "--key",
        envvar=KEY_VARIABLE,
        show_envvar=True,
        metavar="KEY",
        help="An admin key, if the server asks for one: it sends events and reads the counts.",
    ),
    click.option(
        "--profile",
        "name",
        default="steady",
        show_default=True,
        metavar="NAME|FILE.toml",
        help="What is sent when; see `tallymark load profiles`.",
    ),
    click.option(
        "--duration",
        type=_DURATION,
        metavar="60s",
        help="How long a run, or each trial, takes.",
    ),
    click.option("--connections", type=click.IntRange(1, 10_000), metavar="N"),
    click.option(
        "--processes",
        type=click.IntRange(1, 64),
        default=1,
        show_default=True,
        help="Sending processes; use more if one is too slow to keep up.",
    ),
    click.option(
        "--batch",
        type=click.IntRange(1, 10_000),
        metavar="N",
        help="Events a request: 1 to /track, 25 to /track/batch, more to /track/bulk.",
    ),
    click.option(
        "--seed",
        type=int,
        default=2025,
        show_default=True,
        help="Another seed makes other events.",
    ),
    click.option(
        "--label",
        default="load",
        show_default=True,
        help="Begins all names that are sent; runs at the same time need different ones.",
    ),
    click.option(
        "--shared",
        "is_shared",
        is_flag=True,
        help="Others send events too: check exactly only what carries the label.",
    ),
    click.option(
        "--check/--no-check",
        "is_counted",
        default=True,
        show_default=True,
        help="Compare the server's counts with what it acknowledged.",
    ),
)


def _common_options(command: _Command) -> _Command:
    for option in reversed(_COMMON_OPTIONS):
        command = option(command)
    return command


def _plan(common: _Common, *, rate_per_s: float | None, duration_s: float | None) -> "Plan":
    import msgspec

    from load.connection import Target
    from load.plan import plan_of

    plan = plan_of(
        Target(common["url"], common["key"]),
        common["name"],
        rate_per_s=rate_per_s,
        duration_s=duration_s,
        batch=common["batch"],
        connections=common["connections"],
    )
    return msgspec.structs.replace(
        plan,
        processes=min(common["processes"], plan.connections),
        seed=common["seed"],
        label=common["label"],
        is_counted=common["is_counted"],
        is_shared=common["is_shared"],
    )


@load.command("run")
@_common_options
@click.option("--rate", type=_RATE, metavar="10000/s", help="Events a second.")
@click.option(
    "--expect",
    type=_EXPECTATION,
    default=(),
    metavar="'p99<10ms,errors=0'",
    help=f"Thresholds; exit code {NOT_AS_EXPECTED} if one is not met.",
)
@click.option(
    "--json", "json_file", type=_OUTPUT, metavar="FILE", help="Write all figures as JSON."
)
@click.option(
    "--html", "html_file", type=_OUTPUT, metavar="FILE", help="Write a page with plots."
)
def run_(
    rate: float | None,
    expect: "Sequence[Threshold]",
    json_file: Path | None,
    html_file: Path | None,
    **common: Unpack[_Common],
) -> int:
    """Send events at a rate and check that all were counted."""
    import msgspec
    import trio
    from rich.console import Console

    from load.display import live, told
    from load.expect import judge, must_fit
    from load.run import run

    plan = _plan(common, rate_per_s=rate, duration_s=common["duration"])
    must_fit(expect, plan.profile)
    title = f"{plan.name}: {plan.rate_per_s:,.0f} events/s to {plan.target.url}"
    with live(Console(stderr=True), title=title, duration_s=plan.duration_s) as on_second:
        outcome = trio.run(functools.partial(run, plan, on_second=on_second))
    outcome = msgspec.structs.replace(outcome, expectations=judge(expect, outcome))
    printed = Console(highlight=False)
    if not printed.is_terminal:
        printed.width = FILE_COLUMNS
    printed.print(told(outcome))
    _write_files(outcome, json_file, html_file)
    return 0 if outcome.is_met else NOT_AS_EXPECTED


def _write_files(outcome: "Outcome", json_file: Path | None, html_file: Path | None) -> None:
    from load.page import page

    if json_file is not None:
        json_file.write_bytes(outcome.json() + b"\n")
    if html_file is not None:
        html_file.write_text(page(outcome), "utf-8")


@load.command("find-capacity")
@_common_options
@click.option(
    "--from",
    "first",
    type=_RATE,
    metavar="2000/s",
    default="2000/s",
    show_default=True,
    help="The first rate to try.",
)
@click.option(
    "--p99",
    type=_DURATION,
    metavar="10ms",
    default="10ms",
    show_default=True,
    help="What the 99th percentile must stay below.",
)
@click.option(
    "--json", "json_file", type=_OUTPUT, metavar="FILE", help="Write all trials as JSON."
)
def find_capacity(
    first: float, p99: float, json_file: Path | None, **common: Unpack[_Common]
) -> int:
    """Find the highest rate that the server holds.

    It holds a rate when p99 stays below that of --p99 and nothing fails.
    """
    import trio

    from load.capacity import find

    plan = _plan(common, rate_per_s=None, duration_s=common["duration"] or TRIAL_S)
    found = trio.run(
        functools.partial(
            find, plan, first_per_s=first, p99_ms=1000 * p99, on_trial=_show_trial
        )
    )
    if json_file is not None:
        json_file.write_bytes(found.json() + b"\n")
    if found.held_per_s is None:
        click.echo("No rate was held.")
        return NOT_AS_EXPECTED
    click.echo(f"Held: {found.held_per_s:,.0f} events/s with p99 below {1000 * p99:g} ms.")
    return 0


def _show_trial(trial: "Trial") -> None:
    word = "held" if trial.why is None else trial.why
    click.echo(f"{trial.rate_per_s:>12,.0f} events/s  p99 {trial.p99:8.2f} ms  {word}")


@load.command("profiles")
def profiles() -> None:
    """List the profiles."""
    from load import profile

    for name in profile.names():
        click.echo(f"{name:20} {profile.load(name).description}")
