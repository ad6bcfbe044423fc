"""When to send again: full jitter below an exponential ceiling, and what Retry-After asks."""

import random
from email.utils import parsedate_to_datetime
from typing import Final

FIRST_CEILING_S: Final = 0.25
CEILING_MAX_S: Final = 30.0
RETRY_AFTER_MAX_S: Final = 300.0
"""A longer Retry-After is cut to this: a mistaken header must not silence a client for good."""

HURRIED_S: Final = 1.0
"""Of the wait that is ours to choose, what somebody who flushes or closes still waits."""


def is_passing(status: int) -> bool:
    """Whether the same request may be answered better later."""
    return status in (408, 429) or status >= 500


def delay_s(failures: int, *, retry_after_s: float | None) -> float:
    """How long to wait after so many failures in a row, at least one.

    Full jitter: anywhere below the ceiling, so that clients which failed together do not come
    back together. What the server asked for is waited in any case, the jitter comes on top.
    """
    ceiling = min(CEILING_MAX_S, FIRST_CEILING_S * 2 ** min(failures - 1, 10))
    jitter = random.uniform(0.0, ceiling)  # noqa: S311  # nothing to guess here
    return jitter + min(retry_after_s or 0.0, RETRY_AFTER_MAX_S)


def hurried_s(wait_s: float, *, retry_after_s: float | None) -> float:
    """How much of `wait_s` is waited even where somebody flushes: all that was asked for."""
    asked_s = min(retry_after_s or 0.0, RETRY_AFTER_MAX_S)
    return asked_s + min(wait_s - asked_s, HURRIED_S)


def parsed_retry_after_s(value: str | None, *, now_s: float) -> float | None:
    """The seconds that a Retry-After asks for, as seconds or as a date; None: no sense."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - now_s)
    except (ValueError, OverflowError):
        return None
