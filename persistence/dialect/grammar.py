"""sqlglot's ClickHouse grammar, without what it knows about functions.

Every call stays a name with arguments, so one table of ours decides about all of them, and no
release of sqlglot can turn a name that we refuse into a node that we let pass. What is left of
special forms: CASE, IF, CAST, EXTRACT(unit FROM t), POSITION(needle IN s), INTERVAL, f(q)(x).
"""

import logging
import re
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Final, TypeVar

import sqlglot
from sqlglot import TokenType, exp
from sqlglot.dialects.clickhouse import ClickHouse
from sqlglot.errors import ParseError, SqlglotError, TokenError
from sqlglot.generators.clickhouse import ClickHouseGenerator
from sqlglot.parsers.clickhouse import ClickHouseParser

from persistence.dialect.errors import InvalidQuery, short

KEPT: Final = 32
KEPT_CHARS_MAX: Final = 2_000
"""So many trees are kept, of texts of so many characters at most: panels ask again and again. A
tree takes up to 500 bytes a character."""

_MISSING: Final = re.compile(r"Missing (.) from \d+:(\d+)")
"""As sqlglot says it; its column counts from the begin of the text."""

_SPECIAL: Final = ("CAST", "EXTRACT", "POSITION")
_IF: Final = ("this", "true", "false")
_HALF_CLAUSES: Final = frozenset(("GROUP", "ORDER", "OFFSET"))
"""Without what belongs behind them sqlglot takes these for the name of the table."""
_AFTER_A_LAST_COMMA: Final = frozenset((TokenType.FROM, TokenType.R_PAREN))
"""ClickHouse lets a comma stand before them."""

_T = TypeVar("_T")


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

    # A text that is cut off asks for something else than the whole: sqlglot lets these pass.

    def _parse_group(self, skip_group_by_token: bool = False) -> exp.Group | None:
        group = super()._parse_group(skip_group_by_token)
        if group is not None and not any(group.args.values()):
            self.raise_error("GROUP BY of nothing")
        return group

    def _parse_alias(self, this: exp.Expr | None, explicit: bool = False) -> exp.Expr | None:
        found = super()._parse_alias(this, explicit)
        self._check_named()
        return found

    def _parse_table_alias(
        self, alias_tokens: Collection[TokenType] | None = None
    ) -> exp.TableAlias | None:
        first = self._curr
        found = super()._parse_table_alias(alias_tokens)
        self._check_named()
        is_name = first.token_type == TokenType.IDENTIFIER
        if found is not None and not is_name and first.text.upper() in _HALF_CLAUSES:
            self.raise_error("half a clause", first)
        return found

    def _parse_csv(
        self, parse_method: Callable[[], _T | None], sep: TokenType = TokenType.COMMA
    ) -> list[_T]:
        def one() -> _T | None:
            found = parse_method()
            if found is None and self._curr.token_type == sep:
                self.raise_error("nothing before a comma", self._curr)
            is_last = self._curr.token_type in _AFTER_A_LAST_COMMA
            if found is None and self._prev.token_type == sep and not is_last:
                self.raise_error("nothing behind a comma", self._prev)
            return found

        return super()._parse_csv(one, sep)

    def _parse_join(
        self,
        skip_join_token: bool = False,
        parse_bracket: bool = False,
        alias_tokens: Collection[TokenType] | None = None,
    ) -> exp.Join | None:
        at = self._index
        found = super()._parse_join(skip_join_token, parse_bracket, alias_tokens)
        if found is None and self._index > at and self._prev.token_type == TokenType.COMMA:
            self.raise_error("nothing behind a comma", self._prev)
        return found

    def _check_named(self) -> None:
        if self._prev.token_type == TokenType.ALIAS:
            self.raise_error("AS without a name", self._prev)

    def _parse_format(self) -> tuple[str, exp.Expr | None]:
        self._advance()
        name = self._parse_id_var()
        if name is None:
            self.raise_error("FORMAT without a name")
        return "format", name

    QUERY_MODIFIER_PARSERS: ClassVar[Any] = {
        **ClickHouseParser.QUERY_MODIFIER_PARSERS,
        TokenType.FORMAT: _parse_format,
    }


class _Generator(ClickHouseGenerator):
    """Special forms as they are written, where sqlglot would write them by other words."""

    TRANSFORMS: ClassVar[Any] = {
        **ClickHouseGenerator.TRANSFORMS,
        exp.If: lambda self, node: self.func("if", *(node.args[name] for name in _IF)),
        exp.StrPosition: lambda self, node: (
            f"position({self.sql(node, 'substr')} IN {self.sql(node, 'this')})"
        ),
        exp.Extract: lambda self, node: (
            f"extract({self.sql(node, 'this')} FROM {self.sql(node, 'expression')})"
        ),
        exp.Not: lambda self, node: self.negated(node),
    }

    def negated(self, node: exp.Not) -> str:
        inner = node.this
        if not isinstance(inner, exp.In | exp.Between):
            return f"NOT {self.sql(inner)}"
        word = "IN" if isinstance(inner, exp.In) else "BETWEEN"
        what = self.sql(inner, "this")
        return f"{what} NOT {word}{self.sql(inner)[len(what) + 1 + len(word) :]}"


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
    Generator = _Generator


logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
"""It warns of what it does not know; we refuse that, and say so."""


def parse(text: str) -> exp.Expr:
    """The tree of the one statement in `text`; nobody may change it. Raises InvalidQuery."""
    return _kept(text) if len(text) <= KEPT_CHARS_MAX else _parsed(text)


def _parsed(text: str) -> exp.Expr:
    try:
        found = sqlglot.parse(text, read=_Dialect)
    except RecursionError:
        raise InvalidQuery("the query is nested too deeply") from None
    except ParseError as error:
        raise InvalidQuery(_where(error)) from None
    except TokenError as error:
        raise InvalidQuery(_unclosed(error, text)) from None
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


_kept: Final = lru_cache(maxsize=KEPT)(_parsed)


def written(node: exp.Expr) -> str:
    """A piece of a text in one manner: what a column without an alias is called."""
    return node.sql(dialect=_Dialect)


def _unclosed(error: TokenError, text: str) -> str:
    """What a text that ends too early lacks: a quote by its place, where that is known."""
    found = _MISSING.fullmatch(str(error.__cause__))
    at = -1 if found is None else int(found[2])
    if found is not None and text[at : at + 1] == found[1]:
        line = text.count("\n", 0, at) + 1
        column = at - text.rfind("\n", 0, at)
        return f"syntax error at line {line}, column {column}: this {found[1]} is not closed"
    return "syntax error: a text, a name or a comment is not closed"


def _where(error: ParseError) -> str:
    if not error.errors or not error.errors[0].get("line"):
        return "the query cannot be read"
    first = error.errors[0]
    return (
        f"syntax error at line {first['line']}, column {first['col']}, "
        f'near "{short(str(first.get("highlight") or ""))}"'
    )
