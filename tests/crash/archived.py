"""The archive of a real server: its process, and the rows that are in it."""

import os
import signal
from collections import Counter
from pathlib import Path

import duckdb

from persistence.archive import manifest as manifests
from tests.server import Server


def archive_of(server: Server) -> dict[str, object]:
    found: dict[str, object] = server.client.get("/health").raise_for_status().json()["archive"]
    return found


def kill_archive(server: Server) -> None:
    """Kill the archive's process, if it lives just now."""
    process = archive_of(server)["process"]
    if isinstance(process, int):
        try:
            os.kill(process, signal.SIGKILL)
        except ProcessLookupError:
            return


def ids_in(data: Path) -> Counter[str]:
    """How often each event id is a row."""
    manifest = manifests.read(data / "archive")
    assert manifest is not None
    files = [str(data / "archive" / file.name) for file in manifest.files]
    found = duckdb.connect().execute('SELECT "eventId" FROM read_parquet(?)', [files])
    return Counter(name for (name,) in found.fetchall())
