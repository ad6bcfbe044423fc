"""What the terminal shows of a run: a table while it goes on, and the figures at the end."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from load.outcome import Outcome, Reads, Second

SECONDS_SHOWN: Final = 10
_BARS: Final = "▁▂▃▄▅▆▇█"
_HISTORY: Final = 60


@contextmanager
def live(
    console: Console, *, title: str, duration_s: float
) -> Iterator[Callable[[Second], None]]:
    """A table of the last seconds, one after the other; silent without a terminal."""
    seconds: list[Second] = []
    if not console.is_terminal:
        yield seconds.append
        return
    with Live(console=console, transient=True, auto_refresh=False) as shown:

        def tell(second: Second) -> None:
            seconds.append(second)
            shown.update(_running(title, seconds, duration_s), refresh=True)

        shown.update(_running(title, seconds, duration_s), refresh=True)
        yield tell


def _running(title: str, seconds: list[Second], duration_s: float) -> RenderableType:
    has_reads = any(second.reads_p99 is not None for second in seconds)
    table = Table(box=None, pad_edge=False, header_style="bold")
    heads = ["second", "offered/s", "acknowledged/s", "p50 ms", "p99 ms", "max ms", "errors"]
    for head in heads + (["reads p99 ms", "frames"] if has_reads else []):
        table.add_column(head, justify="right")
    for one in seconds[-SECONDS_SHOWN:]:
        cells: list[str | Text] = [
            str(one.second),
            "" if one.offered is None else f"{one.offered:,.0f}",
            f"{one.events:,}",
            f"{one.p50:.2f}",
            f"{one.p99:.2f}",
            f"{one.max:.2f}",
            Text(f"{one.errors:,}", style="bold red" if one.errors else ""),
        ]
        if has_reads:
            cells += [f"{one.reads_p99 or 0:.2f}", f"{one.frames or 0:,}"]
        table.add_row(*cells)
    done = ProgressBar(total=duration_s, completed=len(seconds), width=40)
    p99 = Text("p99 ") + Text(sparkline([one.p99 for one in seconds[-_HISTORY:]]), "cyan")
    return Group(Text(title, style="bold"), done, table, p99)


def sparkline(values: list[float]) -> str:
    """One character for each value, by its share of the largest."""
    largest = max(values, default=0.0)
    if largest <= 0:
        return _BARS[0] * len(values)
    steps = len(_BARS) - 1
    return "".join(_BARS[round(steps * value / largest)] for value in values)


def told(outcome: Outcome) -> RenderableType:
    """The figures of a whole run."""
    parts: list[RenderableType] = [_figures(outcome)]
    if outcome.counts:
        parts += [Text(), _counts(outcome)]
    if outcome.expectations:
        parts += [Text(), _expectations(outcome)]
    parts += [Text(line, style="yellow") for line in remarks(outcome)]
    return Group(*parts)


def remarks(outcome: Outcome) -> list[str]:
    """What a reader of the figures should know, in sentences."""
    found = []
    if outcome.generator.is_late:
        found.append(
            f"The generator was itself late (p99 {outcome.generator.lateness_p99:.1f} ms): the "
            f"latencies are partly its own. Give it more --processes, or a machine of its own."
        )
    if outcome.unsent:
        found.append(
            f"{outcome.unsent:,} requests were due and never sent: every connection was busy. "
            f"The server does not keep up, or --connections are too few."
        )
    found += [f"{status}: {said}" for status, said in outcome.samples.items()]
    return found


def _figures(outcome: Outcome) -> Table:
    options, latencies = outcome.options, outcome.latencies
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim")
    table.add_column()
    rows = [
        ("profile", f"{options.profile}, {options.duration_s:g} s, {_load(outcome)}"),
        ("acknowledged", f"{outcome.events:,} events in {outcome.requests:,} requests"),
        ("rate", f"{outcome.rate_per_s:,.0f} events/s of {options.rate_per_s:,.0f} asked for"),
        (
            "latency ms",
            "  ".join(f"{name} {ms:.2f}" for name, ms in latencies.percentiles.items())
            + f"  max {latencies.max:.2f}  mean {latencies.mean:.2f}",
        ),
        ("errors", errors_in_words(outcome)),
    ]
    if outcome.reads is not None:
        reads = outcome.reads
        p50, p99 = (reads.latencies.percentiles[name] for name in ("p50", "p99"))
        rows.append((
            "reads",
            f"{reads.latencies.count:,} queries, p50 {p50:.2f} ms, p99 {p99:.2f} ms, "
            f"{_failed(reads)}; {reads.frames:,} frames of the stream",
        ))  # fmt: skip
    rows.append((
        "generator",
        f"{outcome.generator.cpu_s:.2f} s of CPU; itself late by p99 "
        f"{outcome.generator.lateness_p99:.2f} ms, most {outcome.generator.lateness_max:.2f}",
    ))  # fmt: skip
    for name, text in rows:
        table.add_row(name, text)
    return table


def _load(outcome: Outcome) -> str:
    options = outcome.options
    processes = f", {options.processes} processes" if options.processes > 1 else ""
    return f"{options.batch} events a request over {options.connections} connections{processes}"


def _failed(reads: Reads) -> str:
    """How many queries and streams failed, each with its reason."""
    reasons = [
        f"{count:,} {'refused with ' * reason.isdigit()}{reason}"
        for reason, count in reads.errors.items()
    ]
    return f"{sum(reads.errors.values()):,} failed" + f" ({', '.join(reasons)})" * bool(reasons)


def errors_in_words(outcome: Outcome) -> str:
    """Refused, lost and unsent requests, each with its reason."""
    if not outcome.errors:
        return "none"
    parts = [f"{count:,} refused with {status}" for status, count in outcome.refused.items()]
    parts += [f"{count:,} lost: {reason}" for reason, count in outcome.lost.items()]
    if outcome.unsent:
        parts.append(f"{outcome.unsent:,} never sent")
    if outcome.settled:
        parts.append(f"{outcome.settled:,} of the lost found an answer later")
    return f"{'; '.join(parts)} ({outcome.error_percent:.2f} %)"


def _counts(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("counted by the server")
    for head in ("acknowledged", "unknown", "counted", ""):
        table.add_column(head, justify="right")
    for row in outcome.counts:
        table.add_row(
            row.figure,
            f"{row.acknowledged:,}",
            f"{row.unknown:,}" if row.unknown else "",
            f"{row.counted:,}",
            Text(row.verdict, style="green" if row.is_right else "bold red"),
        )
    return table


def _expectations(outcome: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("expected")
    table.add_column("measured", justify="right")
    table.add_column("")
    for one in outcome.expectations:
        word = Text("met", style="green") if one.met else Text("not met", style="bold red")
        table.add_row(one.threshold, f"{one.measured:,.2f}", word)
    return table
