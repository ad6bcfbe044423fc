"""The refusals that HTTP knows and the engine does not."""

from engine.errors import NotReady, Overloaded, TallymarkError


def recovering() -> NotReady:
    """What a request is told that needs the state before it is there."""
    return NotReady("Tallymark is still recovering its state. Try again in a second.")


def archive_off() -> NotReady:
    """What a request is told that needs the archive where there is none."""
    return NotReady("There is no archive to read from: it is off (`archive = false`).")


class CutShort(Exception):
    """An answer under way that cannot be completed: its connection ends before it does.

    reason  None where nobody knows
    """

    def __init__(self, reason: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason


class NotFound(TallymarkError):
    """No such route, or nothing of that name behind it."""

    status = 404
    title = "Not found"


class LoadHooksOff(NotFound):
    """The routes of load runs, where the operator has not asked for them."""

    title = "Load hooks off"


class LoadRunUnderWay(TallymarkError):
    """A second load run while one is under way."""

    status = 409
    title = "Load run under way"


class Unauthorized(TallymarkError):
    """No key, or none that works: which of the two is not said."""

    status = 401
    title = "Unauthorized"


class ReportUnfinished(TallymarkError):
    """The file of a report that is not there: it is in line, being made, or has failed."""

    status = 409
    title = "Report unfinished"


class Forbidden(TallymarkError):
    """The request is understood, and whoever makes it may not."""

    status = 403
    title = "Forbidden"


class MethodNotAllowed(TallymarkError):
    """The path exists, the method does not; `allowed` are those that do, sorted."""

    status = 405
    title = "Method not allowed"

    def __init__(self, method: str, path: str, allowed: tuple[str, ...]) -> None:
        super().__init__(f"{path} does not take {method}; it takes {', '.join(allowed)}.")
        self.allowed = allowed


class SlowBody(TallymarkError):
    """A body that was not there whole at its deadline."""

    status = 408
    title = "Body too slow"


class SlowHead(TallymarkError):
    """A head that was not there whole at its deadline."""

    status = 408
    title = "Head too slow"


class Misdirected(TallymarkError):
    """A Host header by which this service is not known."""

    status = 421
    title = "Misdirected request"


class BadRequest(TallymarkError):
    """A request that could not be read at all."""

    status = 400
    title = "Bad request"


class UnknownVersion(TallymarkError):
    """A version of HTTP that is not spoken here."""

    status = 505
    title = "Unknown version"


class UnknownExpectation(TallymarkError):
    """An Expect header other than 100-continue."""

    status = 417
    title = "Unknown expectation"


class NotImplementedHere(TallymarkError):
    """A method that means something to a proxy and nothing here, or nothing to anybody."""

    status = 501
    title = "Not implemented"


class TooManyConnections(Overloaded):
    """All places for connections, or for the bodies under way, are taken."""

    title = "Too many connections"


class TooManyStreams(Overloaded):
    """All places for subscribers of the live stream are taken."""

    title = "Too many streams"


class RateLimited(Overloaded):
    """More than somebody may do in a second.

    policy    which limit it is
    quota     units that its bucket holds
    window_s  in which an empty one fills
    """

    status = 429
    title = "Too many requests"

    def __init__(self, policy: str, *, quota: int, window_s: int, retry_after_s: int) -> None:
        super().__init__(
            f"The limit {policy!a} is reached. Try again in {retry_after_s} s.", retry_after_s
        )
        self.policy = policy
        self.quota = quota
        self.window_s = window_s
