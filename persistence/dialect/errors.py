"""Why a query is not run, in words for the person who wrote it."""

from collections.abc import Iterable
from difflib import SequenceMatcher, get_close_matches

from engine.errors import TallymarkError

PREFIX = "Input was invalid: "
"""How Analytics Engine begins every refusal; clients cut it off again."""


class InvalidQuery(TallymarkError):
    """A query that is not of this dialect, or that asks for what is not there."""

    status = 422
    title = "Invalid query"

    def __init__(self, reason: str) -> None:
        super().__init__(reason if reason.startswith(PREFIX) else PREFIX + reason)


class QueryTooLong(TallymarkError):
    """A query whose text is above `sql_text_bytes_max`."""

    status = 413
    title = "Query too long"


def unknown_column(
    name: str, known: Iterable[str] = (), *, quoted: bool = False
) -> InvalidQuery:
    """The words that clients look for, and a column that may be meant.

    quoted  it stood in double quotes, as texts do elsewhere
    """
    told = f'unable to find type of column: "{short(name)}"'
    hint = meant(name, known)
    if quoted and not hint:
        hint = "; a text stands in single quotes"
    return InvalidQuery(told + hint)


def meant(name: str, known: Iterable[str]) -> str:
    """What a refusal says behind a name that there is not: one that is much like it, if any.

    Of several that are as much like it, such as blob1 to blob9, it is the first.
    """
    told = name[:64].lower()
    spelled = {one.lower(): one for one in known}
    near = set(get_close_matches(told, spelled, n=max(1, len(spelled)), cutoff=0.75))
    if not near:
        return ""
    likest = max(
        (one for one in spelled if one in near),
        key=lambda one: SequenceMatcher(None, one, told).ratio(),
    )
    return f'; did you mean "{short(spelled[likest])}"?'


def short(text: str) -> str:
    """A piece of a query as an error shows it: printable, and not long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:64])
    return shown + "..." if len(text) > 64 else shown
