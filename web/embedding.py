"""What a share token opens: one dashboard, and the figures that its widgets show."""

from collections.abc import Awaitable, Callable, Iterator
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from engine.answers import counters
from engine.answers.common import PeriodAsked
from engine.answers.families import FAMILIES
from web.dashboards import Dashboard, Dashboards, OneDashboard
from web.errors import Forbidden
from web.live import KeyList, chosen, wanted
from web.shownsql import ShownQueries, query_named, without_queries
from web.sql import Answer

Token = Annotated[str, Meta(min_length=1, max_length=128)]


class ShownAsked(Struct, frozen=True):
    """The parameter that every route of a shared dashboard takes."""

    token: Token


class CountersShownAsked(ShownAsked, frozen=True):
    """The counters that a shared dashboard shows."""

    keys: KeyList


FILTERS: Final = frozenset({"serviceId", "category", "creatorId", "currency", "experimentId"})
"""Parameters that choose whose figures are answered; a token opens those of its widgets."""


def _with_token(family: str, asked: type[PeriodAsked]) -> type[Struct]:
    return msgspec.defstruct(
        f"{family.capitalize()}ShownAsked",
        [("token", Token)],
        bases=(asked,),
        frozen=True,
        kw_only=True,
        rename="camel",
    )


ASKED: Final = {family: _with_token(family, asked) for family, (asked, _) in FAMILIES.items()}
"""{family: its parameters and the token}"""


class Embedding:
    """Answers to whoever has a token; each raises NotFound where it opens nothing."""

    def __init__(
        self,
        dashboards: Dashboards,
        answers: dict[str, Callable[..., Awaitable[Any]]],
        counted: Callable[[], Awaitable[counters.Values]],
        queries: ShownQueries,
    ) -> None:
        self._dashboards = dashboards
        self._answers = answers
        self._counted = counted
        self._queries = queries

    async def dashboard(self, asked: ShownAsked, dashboard: str) -> OneDashboard:
        """The dashboard itself, without the text of its queries."""
        board = await self._dashboards.shown(dashboard, asked.token)
        return OneDashboard(without_queries(board))

    async def rows(self, asked: ShownAsked, dashboard: str, query: str) -> Answer:
        """The rows of a query that a widget holds. Raises Forbidden for any other."""
        board = await self._dashboards.shown(dashboard, asked.token)
        text = query_named(board, query)
        if text is None:
            raise _NOT_SHOWN
        return await self._queries.answer(text)

    async def live(self, asked: CountersShownAsked, dashboard: str) -> counters.Answer:
        """Live counters that a widget shows. Raises Forbidden for any other."""
        board = await self._dashboards.shown(dashboard, asked.token)
        keys = wanted(asked.keys)
        shown = {w.metric.partition(".")[2] for w in board.widgets if w.family == "counters"}
        if not shown.issuperset(keys or ()):
            raise _NOT_SHOWN
        return counters.Answer(data=chosen(await self._counted(), keys))

    def family(self, family: str) -> Callable[..., Awaitable[Any]]:
        """The figures of a family. Raises Forbidden where no widget shows them."""
        plain, _ = FAMILIES[family]

        async def answer(asked: Any, dashboard: str) -> Any:  # noqa: ANN401  # of any family
            board = await self._dashboards.shown(dashboard, asked.token)
            if dict(_filters_of(asked)) not in _filters_shown(board, family):
                raise _NOT_SHOWN
            fields = {name: getattr(asked, name) for name in plain.__struct_fields__}
            return await self._answers[family](plain(**fields))

        return answer


_NOT_SHOWN: Final = Forbidden(
    "The dashboard that this token opens does not show these figures."
)


def _filters_of(asked: Struct) -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(asked):
        value = getattr(asked, field.name)
        if field.encode_name in FILTERS and value is not None:
            yield field.encode_name, value


def _filters_shown(board: Dashboard, family: str) -> list[dict[str, str]]:
    return [
        {name: value for name, value in widget.filters.items() if name in FILTERS}
        for widget in board.widgets
        if widget.family == family
    ]
