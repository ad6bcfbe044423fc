"""Whose rows are hidden in an archive that is read without asking a server.

The people whom the manifest names, and those whose erasure stands in the journal beyond what
the archive has read: a server that was killed at that moment will take them out when it starts
again.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from engine.erasure import erased_in
from engine.errors import Corruption
from persistence import key
from persistence.archive.columns import Gone, Hidden
from persistence.archive.follower import Follower, JournalGap
from persistence.archive.manifest import Manifest, Tombstone
from persistence.journal import JOURNAL_FOLDER

NO_END: Final = 2**62
"""Later than every number."""


def hidden_in(data: Path, manifest: Manifest) -> Hidden:
    """What nobody may see of the archive of the data folder `data`."""
    tombstones = [*manifest.erasing, *_waiting(data, manifest.covered_seq)]
    if not tombstones:
        return Hidden("", ())
    latest = {one.name: one.seq for one in sorted(tombstones, key=lambda one: one.seq)}
    gone = tuple(Gone(name, seq, None) for name, seq in latest.items())
    return Hidden(key.of(data).salt, gone)


def _waiting(data: Path, covered_seq: int) -> Iterator[Tombstone]:
    """Of notices in the journal that the archive has not come to."""
    follower = Follower(data / JOURNAL_FOLDER, after_seq=covered_seq)
    try:
        while record := follower.take(NO_END):
            if record.notice is not None and (name := erased_in(record.notice)) is not None:
                yield Tombstone(name.hex(), record.first_seq)
    except (Corruption, JournalGap, FileNotFoundError):
        return  # its end, or a server is writing there; what is damaged a start will tell
