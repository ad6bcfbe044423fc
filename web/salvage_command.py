"""What `tallymark salvage` prints."""

import time
from collections.abc import Iterator
from pathlib import Path

import click
import orjson

from engine.codec import SEQUENCE
from persistence.salvaging import Lost, Salvaged, salvage


def run(data: Path, *, timezone: str | None, as_json: bool) -> None:
    """Salvage what can be, and say what is lost."""
    found = salvage(data, timezone=timezone, now_ms=time.time_ns() // 1_000_000)
    if as_json:
        lost = [
            {"source": one.source, "keptSeq": one.kept_seq, "reason": one.reason}
            for one in found.lost
        ]
        told = {"seq": found.seq, "whole": list(found.whole), "lost": lost}
        click.echo(orjson.dumps(told, option=orjson.OPT_INDENT_2))
    else:
        click.echo("\n".join(_lines(found)))


def _lines(found: Salvaged) -> Iterator[str]:
    yield f"snapshot   {found.seq}, behind which the journal goes on"
    yield f"whole      {', '.join(found.whole) or 'nothing'}"
    for one in found.lost:
        yield f"lost       {one.source}: {_what(one, found.seq)} ({one.reason})"


def _what(one: Lost, seq: int) -> str:
    if one.source == SEQUENCE:
        known = (
            "which event ids had come, which names were admitted and how many events there were"
        )
    else:
        known = "the figures of a share of the services, users and experiments"
    return f"{known}, from number {one.kept_seq + 1} to {seq}"
