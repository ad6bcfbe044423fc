"""What `tallymark archive` prints: the archive day by day, its flaws, what was done to it."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import click
import orjson

from engine.config import Config
from persistence.archive.checking import Flaw, check, manifest_of
from persistence.archive.manifest import File, Manifest
from persistence.archive.rebuilding import rebuild
from persistence.archive.salvaging import Lost


def told(manifest: Manifest, flaws: list[Flaw] | None) -> dict[str, Any]:
    """All of it as JSON holds it; `flaws` is null where nothing was checked."""
    tally = manifest.tally
    return {
        "coveredSeq": manifest.covered_seq,
        "rows": manifest.rows,
        "sizeBytes": manifest.size_bytes,
        "events": tally.events,
        "duplicates": tally.duplicates,
        "tooOld": tally.too_old,
        "thinned": tally.thinned,
        "dropped": manifest.dropped,
        "erased": manifest.erased,
        "erasing": len(manifest.erasing),
        "gaps": [[gap.first_seq, gap.last_seq] for gap in manifest.gaps],
        "days": [_day(name, files) for name, files in sorted(_by_folder(manifest).items())],
        "flaws": None if flaws is None else [[str(f.path), f.reason] for f in flaws],
    }


def show(data: Path, *, is_checked: bool, as_json: bool) -> list[Flaw]:
    """Print the archive of a data folder; the flaws that a check has found."""
    manifest = manifest_of(data)
    flaws = list(check(data, manifest)) if is_checked else None
    found = told(manifest, flaws)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(_lines(found)))
    return flaws or []


def remake(config: Config) -> None:
    """Rebuild the archive, and print the outcome."""
    done = rebuild(config, log=lambda event, **facts: click.echo(f"{event} {facts}", err=True))
    click.echo(
        f"{done.kept_rows:,} rows kept, {done.new_rows:,} written from the journal, in "
        f"{done.files} files; every event up to number {done.covered_seq:,} is covered"
    )
    for one in done.lost:
        click.echo(_loss(one, done.journal_seq), err=True)


def _loss(lost: Lost, journal_seq: int) -> str:
    """Which file could not be read, and what of it the journal no longer had."""
    numbers = f"numbers {lost.first_seq:,} to {lost.last_seq:,}"
    rows = "its rows" if lost.rows is None else f"its {lost.rows:,} rows"
    if not lost.last_seq:
        what = "by its name the archive never had it"
    elif lost.first_seq >= journal_seq:
        what = f"{rows} ({numbers}) were taken from the journal"
    elif lost.last_seq < journal_seq:
        what = f"{rows} ({numbers}) are lost"
    else:
        what = f"of {rows} ({numbers}) those before number {journal_seq:,} are lost"
    return f"{lost.path} was put aside: {lost.reason}; {what}"


def _by_folder(manifest: Manifest) -> dict[str, list[File]]:
    folders: dict[str, list[File]] = defaultdict(list)
    for file in manifest.files:
        folders[file.name.partition("/")[0]].append(file)
    return folders


def _day(name: str, files: list[File]) -> dict[str, Any]:
    return {
        "folder": name,
        "files": len(files),
        "rows": sum(file.rows for file in files),
        "events": sum(file.weight for file in files),
        "sizeBytes": sum(file.size_bytes for file in files),
        "firstSeq": min(file.first_seq for file in files),
        "lastSeq": max(file.last_seq for file in files),
    }


def _lines(found: dict[str, Any]) -> list[str]:
    head = ("files", "rows", "events", "bytes", "numbers")
    widths = (7, 14, 14, 16, 24)
    words = "".join(f"{word:>{width}}" for word, width in zip(head, widths, strict=True))
    lines = [f"{'folder':<12}{words}"]
    for day in found["days"]:
        numbers = f"{day['firstSeq']:,} to {day['lastSeq']:,}"
        lines.append(
            f"{day['folder']:<12}{day['files']:>7,}{day['rows']:>14,}{day['events']:>14,}"
            f"{day['sizeBytes']:>16,}{numbers:>24}"
        )
    lines += [
        f"rows       {found['rows']:,}; bytes {found['sizeBytes']:,}",
        f"left out   {found['duplicates']:,} duplicates, {found['tooOld']:,} too old, "
        f"{found['thinned']:,} thinned; {found['dropped']:,} rows dropped for their age, "
        f"{found['erased']:,} erased; {found['erasing']:,} people are being erased",
        f"covers     every event up to number {found['coveredSeq']:,}",
    ]
    lines += [f"gap        numbers {first:,} to {last:,}" for first, last in found["gaps"]]
    if found["flaws"] is not None:
        lines.append(f"checked    {len(found['flaws'])} flaws")
    return lines
