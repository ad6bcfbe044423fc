"""Requests for SQL: two paths, two dialects, two forms of refusal.

On /sql a refusal is problem+json as everywhere; on the path of Analytics Engine it is plain
text, because that is what its clients show, and parameters that those clients add are ignored.
"""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Final, Literal
from urllib.parse import parse_qsl

import orjson
from msgspec import Meta, Struct

from engine.config import Config
from engine.errors import InvalidQuestion, NotReady, Overloaded, TallymarkError, TooLarge
from persistence.dialect.errors import InvalidQuery, QueryTooLong
from web import body, wire
from web.headers import INTERVAL_HEADER, MARK_HEADERS
from web.sql import Asked, Sql, TooManyQueries
from web.wire import Internal, Reply

REFUSALS: Final[tuple[type[TallymarkError], ...]] = (
    InvalidQuery,
    InvalidQuestion,
    QueryTooLong,
    TooManyQueries,
    Overloaded,
    NotReady,
)
"""The refusals that any query may get."""

PLAIN: Final = "text/plain; charset=utf-8"
COMPATIBLE: Final = re.compile(r"/client/v4/accounts/[^/]+/analytics_engine/sql")
QUOTED: Final = "output_format_json_quote_64bit_integers"

CREDENTIALS: Final = {401: 10_000, 403: 9_109}
"""{status: code} of a refusal of credentials, by which Cloudflare's clients know them."""

_BUDGET: Final = re.compile(r"([1-9][0-9]{0,5})(ms|s)")
_ANY_BYTES: Final = "surrogateescape"
URL_BYTES_MAX: Final = 64 * 1024
"""Bytes of a query string that holds a query, percent-encoded."""


Budget = Annotated[
    str,
    Meta(
        pattern=r"^[1-9][0-9]{0,5}(ms|s)$(?!\n)",
        description="time after which an answer over a sample will do, such as 200ms or 2s",
    ),
]


class SqlSent(Struct, frozen=True):
    """The parameters of POST /sql."""

    fresh: Literal["0", "1"] = "0"
    budget: Budget | None = None
    output_format_json_quote_64bit_integers: Literal["0", "1"] = "0"


class SqlAsked(SqlSent, frozen=True):
    """The parameters of GET /sql."""

    query: str | None = None


class CompatibleSent(Struct, frozen=True):
    """The parameters of the path of Analytics Engine that are read; others are ignored."""

    fresh: Literal["0", "1"] = "0"
    budget: Budget | None = None
    output_format_json_quote_64bit_integers: Literal["0", "1"] = "1"


class CompatibleAsked(CompatibleSent, frozen=True):
    """The same for GET."""

    query: str | None = None


async def sent(chunks: AsyncIterator[bytes], stated_bytes: int | None, config: Config) -> str:
    """The query that a body is, whatever its Content-Type.

    Raises QueryTooLong, InvalidQuery, SlowBody.
    """
    try:
        content = await body.read(
            chunks,
            stated_bytes=stated_bytes,
            bytes_max=config.sql_text_bytes_max,
            deadline_s=config.body_deadline_s,
        )
    except TooLarge:
        raise QueryTooLong(
            f"The query has more than {config.sql_text_bytes_max} bytes, the most that is read."
        ) from None
    return _decoded(content)


async def superset(sql: Sql, query: bytes, text: str | None) -> Reply:
    """The answer of /sql; `text` is None where the query stands in the URL."""
    asked = wire.question(query, SqlAsked if text is None else SqlSent, URL_BYTES_MAX)
    told = text if text is not None else getattr(asked, "query", None)
    return await _answered(
        sql,
        Asked(
            text=told or "",
            extra=True,
            quoted=asked.output_format_json_quote_64bit_integers == "1",
            fresh=asked.fresh == "1",
            budget_s=_seconds(asked.budget),
        ),
    )


async def compatible(sql: Sql, query: bytes, text: str | None) -> Reply:
    """The answer of the path of Analytics Engine."""
    told = query[:URL_BYTES_MAX].decode(errors=_ANY_BYTES)
    given = dict(parse_qsl(told, errors=_ANY_BYTES))
    in_url = given.get("query", "").encode(errors=_ANY_BYTES)
    return await _answered(
        sql,
        Asked(
            text=text if text is not None else _decoded(in_url),
            extra=False,
            quoted=given.get(QUOTED) != "0",
            fresh=given.get("fresh") == "1",
            budget_s=_seconds(given.get("budget")),
        ),
    )


def refused_plainly(error: TallymarkError | Internal) -> Reply:
    """A refusal as the clients of Analytics Engine read it: text, and of credentials JSON."""
    if error.status in CREDENTIALS:
        told = {"code": CREDENTIALS[error.status], "message": str(error)}
        envelope = {"result": None, "success": False, "errors": [told], "messages": []}
        reply = wire.sent(orjson.dumps(envelope), status=error.status, media=wire.JSON)
        return _marked(reply, error)
    text = error.detail if isinstance(error, Internal) else str(error)
    return _marked(wire.sent(text.encode(), status=error.status, media=PLAIN), error)


def _marked(reply: Reply, error: TallymarkError | Internal) -> Reply:
    return reply._replace(
        headers=reply.headers + wire.headers_of(error), problem=wire.problem_slug(error.title)
    )


def _decoded(content: bytes | bytearray) -> str:
    try:
        return content.decode("utf-8-sig")  # files of some editors begin with a mark
    except UnicodeDecodeError:
        raise InvalidQuery("the query is not UTF-8") from None


def _seconds(budget: str | None) -> float | None:
    """A budget; where parameters are not checked, one that cannot be read is ignored."""
    found = None if budget is None else _BUDGET.fullmatch(budget)
    return None if found is None else int(found[1]) * (1 if found[2] == "s" else 0.001)


async def _answered(sql: Sql, asked: Asked) -> Reply:
    answer = await sql.answer(asked)
    reply = wire.sent(answer.body, media=answer.media)
    if answer.interval is None:
        return reply
    told = [(INTERVAL_HEADER, str(answer.interval))]
    for mark, name in MARK_HEADERS.items():
        places = [str(at) for at, one in enumerate(answer.marks, 1) if one == mark]
        if places:
            told.append((name, ", ".join(places)))
    return reply._replace(headers=(*reply.headers, *told))
