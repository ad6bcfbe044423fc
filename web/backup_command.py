"""What `tallymark backup` and `tallymark restore` print."""

import time
from pathlib import Path
from typing import Any

import click
import orjson

from persistence.backup import Backup, back_up
from persistence.restoring import restore


def make(data: Path, target: Path, *, copies: bool, as_json: bool) -> None:
    """Take a backup, and say what it holds."""
    made = back_up(data, target, now_ms=time.time_ns() // 1_000_000, copies=copies)
    if as_json:
        click.echo(orjson.dumps(_told(made), option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(_lines(made)))


def take_back(source: Path, data: Path, *, as_json: bool) -> None:
    """Restore a backup, and say what was proved."""
    restored = restore(source, data)
    proved = {
        "events": restored.events,
        "duplicates": restored.duplicates,
        "replayed": restored.replayed,
    }
    if as_json:
        found = _told(restored.backup) | {"start": proved}
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        return
    click.echo("\n".join(_lines(restored.backup)))
    click.echo(
        f"a start    counts {restored.events:,} events, {restored.duplicates:,} of them "
        f"duplicates; {restored.replayed:,} were replayed"
    )


def _told(backup: Backup) -> dict[str, Any]:
    return {
        "version": backup.version,
        "madeMs": backup.made_ms,
        "lastSeq": backup.last_seq,
        "snapshotSeq": backup.snapshot_seq,
        "archivedSeq": backup.archived_seq,
        "rows": backup.rows,
        "files": len(backup.files),
        "sizeBytes": backup.size_bytes,
    }


def _lines(backup: Backup) -> list[str]:
    return [
        f"files      {len(backup.files):,}, {backup.size_bytes:,} bytes, all checked",
        f"journal    up to number {backup.last_seq:,}, snapshot up to {backup.snapshot_seq:,}",
        f"archive    {backup.rows:,} rows, every event up to number {backup.archived_seq:,}",
    ]
