"""What `tallymark verify` says of an audit, for people and for machines."""

from collections.abc import Iterator
from typing import Any

from persistence.audit import Audit


def told(found: Audit, *, now_ms: int) -> dict[str, Any]:
    """The audit as JSON holds it; ages are as of `now_ms`."""
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
