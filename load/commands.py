"""The two commands that send, `demo` and `import`, with a progress bar on a terminal.

Plain functions: the command line passes them its options already parsed, and prints a
LoadError.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import trio
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from load import extent, history, marketplace, resume, sender
from load.connection import Target
from load.mapping import EventMapping
from load.resume import ImportProgress

SAVED_EVERY_ROWS: Final = 10_000
"""How far a progress file may lag: at most so many rows are sent twice after a crash."""

SEED: Final = 2025


class Summary(NamedTuple):
    """What a command did. `skipped_rows` were acknowledged in an earlier run."""

    events: int
    skipped_rows: int
    duration_s: float

    def line(self, url: str) -> str:
        """One line for the terminal."""
        rate = self.events / self.duration_s if self.duration_s > 0 else 0.0
        text = f"{self.events:,} events acknowledged by {url} in {self.duration_s:.1f} s"
        if self.events:
            text += f" ({rate:,.0f} a second)"
        if self.skipped_rows:
            text += f"; {self.skipped_rows:,} rows were there from an earlier run"
        return text + "."


async def run_demo(
    *,
    target: Target,
    end_ms: int,
    seed: int = SEED,
    days: int,
    services: int = extent.SERVICES_MAX,
    users: int,
    connections: int = sender.CONNECTIONS,
    console: Console | None = None,
) -> Summary:
    """Post the demonstration marketplace that ends at `end_ms`, which is usually now.

    Run again, it adds only what has "happened" since: see `load.marketplace`.
    Raises Unreachable, Refused, or LoadError for numbers out of range.
    """
    console = console or Console(stderr=True)
    first_ms = marketplace.first_ms(end_ms, days)
    reached_ms = first_ms
    begun_s = trio.current_time()
    events = marketplace.generate(seed, end_ms, days=days, services=services, users=users)

    def rows() -> Iterator[sender.Row]:
        nonlocal reached_ms
        for row, event in enumerate(events, 1):
            reached_ms = event["timestamp"]
            yield row, event

    with _bar(console, "demo", total=end_ms - first_ms) as advance:
        sent = await sender.send(
            rows(),
            target=target,
            connections=connections,
            on_progress=lambda progress: advance(reached_ms - first_ms, progress.events),
        )
    summary = Summary(sent.events, 0, trio.current_time() - begun_s)
    console.print(summary.line(target.url), highlight=False, soft_wrap=True)
    return summary


async def run_import(
    paths: Sequence[Path],
    *,
    mapping_path: Path,
    target: Target,
    shift_to_end: dt.date | None = None,
    restart: bool = False,
    connections: int = sender.CONNECTIONS,
    console: Console | None = None,
) -> Summary:
    """Import history files, one after the other, as the mapping says.

    All files are read once before anything is sent, so that a fault in the last row is found
    before the first is counted. Files are shifted together. What an earlier run has settled is
    left out, unless `restart`.
    Raises one of `load.errors`.
    """
    console = console or Console(stderr=True)
    mapping = EventMapping.load(mapping_path)
    with console.status("reading the files once, to find faults before anything is sent"):
        imports = _prepared(
            paths, mapping, target=target, shift_to_end=shift_to_end, restart=restart
        )
    begun_s = trio.current_time()
    events = skipped_rows = 0
    for one in imports:
        skipped_rows += one.progress.settled_row
        if one.progress.is_whole:
            console.print(
                f"{one.path}: all rows were acknowledged by {target.url} in an earlier run; "
                f"--restart sends them again.",
                highlight=False,
                soft_wrap=True,
            )
            continue
        if one.is_corrected:
            console.print(
                f"{one.path}: the mapping has changed since this import was begun; rows 1 to "
                f"{one.progress.settled_row:,} stay as they were sent.",
                highlight=False,
                soft_wrap=True,
            )
        with _bar(console, one.path.name, total=one.rows) as advance:
            events += await _import_one(one, mapping, target, advance, connections=connections)
    summary = Summary(events, skipped_rows, trio.current_time() - begun_s)
    console.print(summary.line(target.url), highlight=False, soft_wrap=True)
    return summary


class _Import(NamedTuple):
    path: Path
    rows: int
    progress: ImportProgress
    is_corrected: bool


def _prepared(
    paths: Sequence[Path],
    mapping: EventMapping,
    *,
    target: Target,
    shift_to_end: dt.date | None,
    restart: bool,
) -> list[_Import]:
    surveys = [history.survey(path, mapping) for path in paths]
    days = 0 if shift_to_end is None else history.shift_days(surveys, mapping, shift_to_end)
    imports = []
    for path, found in zip(paths, surveys, strict=True):
        progress = ImportProgress(
            import_key=history.import_key(path, mapping),
            mapping=mapping.digest(),
            target=target.url.rstrip("/"),
            shift_to_end=shift_to_end,
            shift_days=days,
        )
        earlier = None if restart else ImportProgress.load(resume.beside(path))
        is_corrected = False
        if earlier is not None and progress.continues(earlier):
            progress.settled_row = earlier.settled_row
            progress.is_whole = earlier.is_whole
            is_corrected = earlier.settled_row > 0 and earlier.mapping != progress.mapping
        imports.append(_Import(path, found.rows, progress, is_corrected))
    return imports


async def _import_one(
    one: _Import,
    mapping: EventMapping,
    target: Target,
    advance: Callable[[int, int], None],
    *,
    connections: int,
) -> int:
    """Send what is not settled and keep the progress file; returns the events acknowledged."""
    progress, kept_at = one.progress, resume.beside(one.path)
    settled_before = saved_row = progress.settled_row
    progress.save(kept_at)  # a folder that cannot be written is found before the first event

    def settle(sent: sender.Progress) -> None:
        nonlocal saved_row
        progress.settled_row = max(settled_before, sent.settled_row)
        advance(progress.settled_row, sent.events)
        if progress.settled_row - saved_row >= SAVED_EVERY_ROWS:
            saved_row = progress.settled_row
            progress.save(kept_at)

    rows = history.read(one.path, mapping.shifted(progress.shift_days))
    try:
        sent = await sender.send(
            _after(settled_before, rows),
            target=target,
            connections=connections,
            on_progress=settle,
            row_label=f"{one.path}, row",
        )
        progress.settled_row, progress.is_whole = one.rows, True
    finally:
        progress.save(kept_at)
    return sent.events


def _after(
    settled_row: int, rows: Iterator[tuple[int, Mapping[str, Any]]]
) -> Iterator[sender.Row]:
    return (row for row in rows if row[0] > settled_row)


@contextmanager
def _bar(console: Console, name: str, *, total: int) -> Iterator[Callable[[int, int], None]]:
    """A bar to be moved by (how far of `total`, events so far); silent without a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[events]:,} events"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(name, total=total, events=0)
        yield lambda reached, events: bar.update(task, completed=reached, events=events)
