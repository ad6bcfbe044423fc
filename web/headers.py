"""What answers tell browsers about themselves, besides what is in them."""

from collections.abc import Sequence
from typing import Final

_OWN: Final = (
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)

DATA_HEADERS: Final = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
    *_OWN,
)
"""Of answers that are no pages: nothing in them runs, even where one is opened as a page.

Those of the ingest routes are not among them: pages of any origin may read those.
"""

_PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors "
)

_PAGE: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
)

PAGE_HEADERS: Final = (
    *_PAGE,
    ("Content-Security-Policy", _PAGE_POLICY + "'none'"),
    *_OWN,
)
"""Of pages and what they are made of: only our own files, no code in the page, in no frame."""


def frameable(ancestors: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Those of a page that may stand in frames of these origins; none: of our own alone."""
    allowed = " ".join(ancestors) or "'self'"
    return (
        *_PAGE,
        ("Content-Security-Policy", _PAGE_POLICY + allowed),
        # A page that isolates itself may frame only what agrees to be read by others.
        ("Cross-Origin-Resource-Policy", "cross-origin"),
    )
