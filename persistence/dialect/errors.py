"""Why a query is not run, in words for the person who wrote it."""

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


def unknown_column(name: str) -> InvalidQuery:
    """The words that clients look for."""
    return InvalidQuery(f'unable to find type of column: "{short(name)}"')


def short(text: str) -> str:
    """A piece of a query as an error shows it: printable, and not long."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:64])
    return shown + "..." if len(text) > 64 else shown
