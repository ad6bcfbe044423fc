"""The progress of an import, kept in a small file beside the data, where a second run goes on.

The server's window of remembered event ids ends after days or millions of events; beyond it
this file alone keeps rows from being counted twice. It is replaced whole, so it is never half a
file, and it may lag behind: rows that it does not know of are sent again inside that window.
"""

import datetime as dt
import os
from pathlib import Path
from typing import Final, Self

import msgspec
from msgspec import Struct

from load.errors import LoadError, ProgressMismatch

SUFFIX: Final = ".tallymark-progress.json"
VERSION: Final = 1


class ImportProgress(Struct, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """What a progress file says.

    import_key    of `history.import_key`: file content, event type and series
    mapping       digest of the mapping that was used last
    target        URL of the server
    shift_to_end  the date as it was asked for, None where history was not moved
    shift_days    what that came to
    settled_row   every row up to this one is acknowledged
    is_whole      the last row of the file is settled
    """

    version: int = VERSION
    import_key: str
    mapping: str
    target: str
    shift_to_end: dt.date | None
    shift_days: int
    settled_row: int = 0
    is_whole: bool = False

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """The progress that was written, None where there is no such file.

        Raises ProgressMismatch where it cannot be understood.
        """
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return None
        except OSError as why:
            raise ProgressMismatch(f"{path} cannot be read: {why.strerror}.") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as why:
            raise ProgressMismatch(
                f"{path} is not a progress file of this version ({why}). Import with --restart "
                f"to begin anew and replace it."
            ) from None

    def save(self, path: Path) -> None:
        """Replace the file whole. Raises LoadError where the folder cannot be written."""
        draft = path.with_name(path.name + ".tmp")
        try:
            with draft.open("wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(self)) + b"\n")
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as why:
            raise LoadError(
                f"{path}, where the import keeps its progress, cannot be written "
                f"({why.strerror}): copy the data to a folder that can."
            ) from None

    def continues(self, earlier: Self) -> bool:
        """Whether `earlier` belongs to this very import.

        Another file, event type or server: no. A corrected mapping: yes. Raises
        ProgressMismatch where the rest would be shifted by other days than the first rows.
        """
        if (earlier.import_key, earlier.target) != (self.import_key, self.target):
            return False
        if earlier.is_whole or earlier.settled_row == 0:
            return True
        if earlier.shift_to_end != self.shift_to_end:
            raise ProgressMismatch(
                f"This import was begun with {_asked(earlier.shift_to_end)} and its first "
                f"{earlier.settled_row:,} rows are there: go on with the same, or begin anew "
                f"with --restart."
            )
        return True


def beside(path: Path) -> Path:
    """Where the progress of importing `path` is kept."""
    return path.with_name(path.name + SUFFIX)


def _asked(shift_to_end: dt.date | None) -> str:
    return "no --shift-to-end" if shift_to_end is None else f"--shift-to-end {shift_to_end}"
