"""sqlglot's ClickHouse grammar, without what it knows about functions.

Every call stays a name with arguments, so one table of ours decides about all of them, and no
release of sqlglot can turn a name that we refuse into a node that we let pass. What is left of
special forms: CASE, IF, CAST, EXTRACT(unit FROM t), POSITION(needle IN s), INTERVAL, f(q)(x).
"""

import logging
from collections.abc import Sequence
from typing import Any, ClassVar, Final

import sqlglot
from sqlglot import exp
from sqlglot.dialects.clickhouse import ClickHouse
from sqlglot.errors import ParseError, SqlglotError
from sqlglot.parsers.clickhouse import ClickHouseParser

from persistence.dialect.errors import InvalidQuery, short

_SPECIAL: Final = ("CAST", "EXTRACT", "POSITION")


class _Parser(ClickHouseParser):
    FUNCTIONS: ClassVar[Any] = {}
    NO_PAREN_FUNCTIONS: ClassVar[Any] = {}
    FUNCTION_PARSERS: ClassVar[Any] = {
        name: parse
        for name, parse in ClickHouseParser.FUNCTION_PARSERS.items()
        if name in _SPECIAL
    }

    @classmethod
    def _resolve_clickhouse_agg(cls, name: str) -> tuple[str, Sequence[str]] | None:
        """Every function may have its parameters before its arguments: f(0.5)(x)."""
        return name, ()


class _Dialect(ClickHouse):
    UNESCAPED_SEQUENCES = {  # noqa: RUF012  # as in the class above
        **ClickHouse.UNESCAPED_SEQUENCES,
        "\\a": "\a",
        "\\b": "\b",
        "\\f": "\f",
        "\\n": "\n",
        "\\r": "\r",
        "\\t": "\t",
        "\\v": "\v",
    }
    Parser = _Parser


logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
"""It warns of what it does not know; we refuse that, and say so."""


def parse(text: str) -> exp.Expr:
    """The tree of the one statement in `text`. Raises InvalidQuery."""
    try:
        found = sqlglot.parse(text, read=_Dialect)
    except RecursionError:
        raise InvalidQuery("the query is nested too deeply") from None
    except ParseError as error:
        raise InvalidQuery(_where(error)) from None
    except (SqlglotError, ValueError, OverflowError, AttributeError, TypeError, IndexError):
        # The last three: on texts that are no SQL at all sqlglot trips over its own feet.
        raise InvalidQuery("the query cannot be read") from None
    trees = [tree for tree in found if tree is not None and not isinstance(tree, exp.Semicolon)]
    if not trees:
        raise InvalidQuery("the query is empty")
    if len(trees) > 1:
        raise InvalidQuery("only one statement can be run at a time")
    tree = trees[0]
    assert isinstance(tree, exp.Expr)
    return tree


def _where(error: ParseError) -> str:
    if not error.errors or not error.errors[0].get("line"):
        return "the query cannot be read"
    first = error.errors[0]
    return (
        f"syntax error at line {first['line']}, column {first['col']}, "
        f'near "{short(str(first.get("highlight") or ""))}"'
    )
