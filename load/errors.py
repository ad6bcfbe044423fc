"""What stops a load command: each failure says what is wrong, where, and what to do.

`load/` speaks only HTTP and imports nothing from the engine, so its errors have a root of their
own.
"""


class LoadError(Exception):
    """The root of all failures that are not bugs; its text is fit for the user's eyes."""


class Unreachable(LoadError):
    """Nothing answers at the URL, or no longer, or what answers is not Tallymark."""


class Refused(LoadError):
    """The server will never take this batch; `row` is the first faulty one, None if unknown."""

    def __init__(self, message: str, *, status: int, detail: str, row: int | None) -> None:
        super().__init__(message)
        self.status = status
        self.detail = detail
        self.row = row


class InvalidMapping(LoadError):
    """A mapping file that cannot be read or contradicts itself."""


class UnreadableHistory(LoadError):
    """A history file that cannot be read as the mapping says; names file, row and column."""


class ProgressMismatch(LoadError):
    """A progress file that belongs to another import than the one asked for."""
