"""The failures a caller is meant to handle, each with what it knows and its HTTP status."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final


class TallymarkError(Exception):
    """The root of all failures that are not bugs; its text is fit for the user's eyes."""

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Internal error"

    retry_after_s: int | None = None
    """When the same may well succeed; None where time alone changes nothing."""


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """What is wrong with one event: its place in the batch, the JSON path in it, and why."""

    index: int
    path: str
    message: str


class MalformedBody(TallymarkError):
    """A body that is not JSON as a whole, whatever its beginning would have meant."""

    status = 400
    title = "Malformed body"


class InvalidEvents(TallymarkError):
    """Well-formed JSON that is not what the route takes; names every faulty event it found."""

    status = 422
    title = "Invalid event"

    def __init__(self, detail: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(detail)
        self.faults = faults


class InvalidDocument(TallymarkError):
    """Well-formed JSON that is not what the route keeps; the fault names the path in it."""

    status = 422
    title = "Invalid document"

    def __init__(self, detail: str, faults: tuple[Fault, ...]) -> None:
        super().__init__(detail)
        self.faults = faults


class TooLarge(TallymarkError):
    """A body, or the texts of one event, above the limit that the message names."""

    status = 413
    title = "Too large"


class WrongMediaType(TallymarkError):
    """A Content-Type or Content-Encoding that the route does not read."""

    status = 415
    title = "Unsupported media type"


class InvalidQuestion(TallymarkError):
    """A query parameter that cannot be understood; names it and says what is accepted."""

    status = 422
    title = "Invalid parameter"


class Unanswerable(TallymarkError):
    """A clear question whose exact answer is not kept (any more); never approximated."""

    status = 422
    title = "Not answerable exactly"


class Overloaded(TallymarkError):
    """A bounded queue is full: nothing was taken, the sender may try again."""

    status = 503
    title = "Overloaded"

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        super().__init__(detail)
        self.retry_after_s = retry_after_s


class NotReady(Overloaded):
    """The service is still recovering, or is stopping."""

    title = "Not ready"


class DiskFull(TallymarkError):
    """The journal could not grow; it was cut back to its last whole record, and goes on."""

    status = 507
    title = "Disk full"


class JournalFailed(TallymarkError):
    """A write or fsync failed, so what is on disk is unknown: no ingest until a restart."""

    status = 503
    title = "Journal failed"


class NameTaken(TallymarkError):
    """Two of a kind may not have one name."""

    status = 409
    title = "Name taken"


class LimitReached(TallymarkError):
    """There are as many of a kind as there may be; the message names the setting."""

    status = 409
    title = "Limit reached"


class ChangedMeanwhile(TallymarkError):
    """What was to be replaced is no longer what the caller had read."""

    status = 412
    title = "Changed meanwhile"


_NO_START: Final = (
    "Tallymark does not start on a journal with a hole: restore the file, or move it away to "
    "accept the loss."
)


class Corruption(TallymarkError):
    """Bytes on disk that were once whole and no longer are; never raised for a torn tail.

    advice  what to do; of a start over a damaged journal unless given
    """

    title = "Corruption"

    def __init__(
        self, path: Path, offset_bytes: int, reason: str, *, advice: str = _NO_START
    ) -> None:
        super().__init__(f"{path} is damaged at byte {offset_bytes}: {reason}. {advice}")
        self.path = path
        self.offset_bytes = offset_bytes
        self.reason = reason


class UnusableControlStore(TallymarkError):
    """The file of dashboards and names is damaged, or of a newer version; it stays as it is."""

    title = "Unusable control store"


class FolderInUse(TallymarkError):
    """Another process holds the data folder."""

    title = "Data folder in use"


class UnusableFolder(TallymarkError):
    """The data folder, or something in it, cannot be made, read or written."""

    title = "Unusable data folder"

    def __init__(self, where: Path | str, error: OSError) -> None:
        reason = error.strerror or error
        super().__init__(f"The data folder cannot be used: {where}: {reason}.")


class InvalidSetting(TallymarkError):
    """A setting that cannot be read, or that contradicts another; names it and its source."""

    title = "Invalid setting"
