"""What the export process is asked, and how it begins to answer.

Separate from `persistence.exportworker`, so that the server does not load the database.
"""

from typing import Final

from msgspec import Struct

from persistence.archive.columns import Hidden
from persistence.tabular import Format

READY: Final = b"ready\n"
GONE: Final = b"gone\n"

FAULT: Final = b"\xff"
"""In the file of the progress, before the text that says why there will be no whole export."""


class Wanted(Struct, frozen=True, kw_only=True):
    """One export: events of `files` from `start_ms` up to before `end_ms`.

    hidden        rows that nobody may see
    memory_bytes  what the database may use
    progress_fd   a file that the process has been given, into which it writes how many percent
                  are done, a byte each, and where it fails FAULT and why; None where nobody
                  asks
    """

    files: tuple[str, ...]
    hidden: Hidden
    format: Format
    start_ms: int
    end_ms: int
    event_type: str | None
    service: str | None
    user: str | None
    memory_bytes: int
    progress_fd: int | None = None
