"""What `tallymark verify` says about a data folder, for people and for machines."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import Corruption
from persistence.audit import Audit, audit
from persistence.soundness import Damage, damages


class Found(NamedTuple):
    """What is there, and what is damaged.

    audit  what a start would do; None where it would be refused, which `damages` then explain
    """

    audit: Audit | None
    damages: tuple[Damage, ...]


def of(folder: Path) -> Found:
    """Read the whole folder. Raises as `audit` does, but for damage."""
    try:
        found, refusal = audit(folder), None
    except Corruption as corruption:
        found, refusal = None, corruption
    bad = tuple(damages(folder))
    if refusal is not None and not any(one.path == refusal.path for one in bad):
        bad = (Damage(refusal.path, refusal.offset_bytes, refusal.reason), *bad)
    return Found(found, bad)


def told(found: Found, *, now_ms: int) -> dict[str, Any]:
    """It as JSON holds it; ages are as of `now_ms`."""
    damaged = [
        {"file": str(one.path), "byte": one.offset_bytes, "reason": one.reason}
        for one in found.damages
    ]
    there = {} if found.audit is None else _there(found.audit, now_ms)
    return {"starts": found.audit is not None, **there, "damages": damaged}


def _there(found: Audit, now_ms: int) -> dict[str, Any]:
    return {
        "segments": len(found.segments),
        "records": found.records,
        "events": found.events,
        "firstSeq": found.first_seq,
        "lastSeq": found.last_seq,
        "journalBytes": found.size_bytes,
        "tornTailBytes": found.torn.size_bytes if found.torn else 0,
        "replayedEvents": found.replayed_events,
        "loaded": found.loaded.path.name if found.loaded else None,
        "snapshots": [
            {
                "name": one.path.name,
                "seq": one.seq,
                "ageS": max(0, now_ms - one.written_ms) // 1_000,
                "bytes": one.size_bytes,
                "flaw": one.flaw,
            }
            for one in found.snapshots
        ],
    }


def lines(told: dict[str, Any]) -> Iterator[str]:
    """The same, line by line."""
    if not told["starts"]:
        yield "a start    would be refused"
        return
    yield (
        f"journal    {told['events']:,} events in {told['records']:,} records, "
        f"{told['segments']:,} segments, {told['journalBytes']:,} bytes"
    )
    yield f"numbers    {told['firstSeq']} to {told['lastSeq']}"
    if told["tornTailBytes"]:
        yield f"torn tail  {told['tornTailBytes']:,} bytes that a start cuts off"
    for one in told["snapshots"]:
        state = f"{one['bytes']:,} bytes" if one["flaw"] is None else "damaged"
        yield f"snapshot   {one['seq']}, {one['ageS']:,} s old, {state}"
    loaded = told["loaded"] or "no snapshot"
    yield f"a start    loads {loaded} and replays {told['replayedEvents']:,} events"


def complaints(found: Found) -> Iterator[str]:
    """A line for each damage, and what it means for a start."""
    for one in found.damages:
        yield f"{one.path} is damaged at byte {one.offset_bytes}: {one.reason}."
    if found.audit is not None and found.damages:
        yield "A start is possible all the same: docs/operations.md says what it would lack."
