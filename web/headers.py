"""Headers that tell browsers what they may do with an answer."""

from collections.abc import Sequence
from typing import Final

_ALWAYS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)
_NO_STORE: Final = ("Cache-Control", "no-store")
_OWN: Final = (
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)

DATA_HEADERS: Final = (
    *_ALWAYS,
    _NO_STORE,
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    *_OWN,
)
"""Of answers that are no pages: nothing in them runs, even where one is opened as a page."""

OPEN_HEADERS: Final = (*_ALWAYS, _NO_STORE, ("Access-Control-Allow-Origin", "*"))
"""Of ingest: pages of any origin may read its answers, in which there is nothing to guard."""

INTERVAL_HEADER: Final = "Tallymark-Sample-Interval"
"""One row of so many was read, where a query has a budget."""

MARK_HEADERS: Final = {
    "estimate": "Tallymark-Estimated-Columns",
    "sample": "Tallymark-Sample-Columns",
}
"""Which columns tell of all rows as well as a sample can, and which of the sample alone: their
places, from 1."""

_WHEN_AGAIN: Final = ("Retry-After", "RateLimit", "RateLimit-Policy")
_EXPOSED: Final = ("ETag", *_WHEN_AGAIN, INTERVAL_HEADER, *MARK_HEADERS.values())
"""Headers that a page of another origin sees no more of than their answer says it may."""

_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
)

PAGE_HEADERS: Final = (
    *_ALWAYS,
    ("Content-Security-Policy", _PAGE_POLICY + "'none'"),
    *_OWN,
)
"""Of pages and what they are made of: only our own files, no code in the page, in no frame."""


def frameable(ancestors: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Those of a page that may stand in frames of these origins; none: of our own alone."""
    allowed = " ".join(ancestors) or "'self'"
    return (
        *_ALWAYS,
        ("Content-Security-Policy", _PAGE_POLICY + allowed),
        # A page that isolates itself may frame only what agrees to be read by others.
        ("Cross-Origin-Resource-Policy", "cross-origin"),
    )


def shared(
    headers: Sequence[tuple[str, str]], origin: str | None
) -> tuple[tuple[str, str], ...]:
    """Headers of an answer that pages of this one origin may read, by a key and no cookie."""
    return (
        *headers,
        ("Access-Control-Allow-Origin", origin or ""),
        ("Access-Control-Expose-Headers", ", ".join(_EXPOSED)),
        ("Vary", "Origin"),
    )


def opened(headers: Sequence[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Headers of an answer as ingest gives them: without what is for data alone."""
    own = [one for one in headers if one not in DATA_HEADERS]
    if any(name in _WHEN_AGAIN for name, _ in own):
        own.append(("Access-Control-Expose-Headers", ", ".join(_WHEN_AGAIN)))
    return (*own, *OPEN_HEADERS)
