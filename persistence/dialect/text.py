"""What is checked before a query is parsed: its length, its nesting, and whether it is SHOW.

Parsers recurse, and so does DuckDB's: 200,000 nested sub-queries end it with a segmentation
fault. So depth is counted in the text, at the cost of one pass over at most
`sql_text_bytes_max` bytes.
"""

import re
from typing import Final

from persistence.dialect.errors import InvalidQuery, QueryTooLong

NESTING_MAX: Final = 60
"""Brackets within brackets; what people and their tools write needs a dozen."""

WORDS_MAX: Final = 4_000
"""Words, numbers, texts and signs of one query."""

_PIECES: Final = re.compile(
    r"""
      '(?:[^'\\]|\\.|'')*'          # a text, with quotes doubled or escaped
    | "(?:[^"\\]|\\.|"")*"          # a name in double quotes
    | `(?:[^`\\]|\\.|``)*`          # a name in backticks
    | --[^\n]*                      # comments
    | /\*.*?\*/
    | [(\[{] | [)\]}]
    | \w+
    | [^\s\w]
    """,
    re.VERBOSE | re.DOTALL,
)
_SHOW: Final = re.compile(
    r"\s*show\s+(tables|timezones|timezone)(?:\s+format\s+(\w+))?[\s;]*", re.IGNORECASE
)
_COMMENT: Final = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)


def check(text: str, *, bytes_max: int) -> None:
    """Refuse what is too long or too deep. Raises QueryTooLong, InvalidQuery."""
    size_bytes = len(text.encode())
    if size_bytes > bytes_max:
        raise QueryTooLong(
            f"The query has {size_bytes} bytes; {bytes_max} is the most that is read."
        )
    if "\0" in text:
        raise InvalidQuery("the query holds a NUL character")
    depth = words = 0
    for found in _PIECES.finditer(text):
        piece = found.group()
        words += 1
        if piece in "([{":
            depth += 1
            if depth > NESTING_MAX:
                raise InvalidQuery(f"more than {NESTING_MAX} nested brackets")
        elif piece in ")]}":
            depth -= 1
    if words > WORDS_MAX:
        raise InvalidQuery(f"more than {WORDS_MAX} words, numbers and signs")
    if words == 0:
        raise InvalidQuery("the query is empty")


def show(text: str) -> tuple[str, str | None] | None:
    """(`tables`, `timezones` or `timezone`; the name of a format or None), if it is a SHOW."""
    if "show" not in text[:4096].lower():
        return None
    found = _SHOW.fullmatch(_COMMENT.sub(" ", text))
    return (found.group(1).lower(), found.group(2)) if found else None
