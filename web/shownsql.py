"""The queries of shared dashboards: run as they are stored, once for everybody who looks.

A link may be shown in a hundred frames, so an answer is kept for a while, and a query that is
running answers everybody who asks for it meanwhile. A viewer can name a query but never write
one: its name is a digest of its text, which a changed dashboard no longer shows.
"""

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

import trio
from msgspec import structs

from engine.errors import TallymarkError
from web.dashboards import Dashboard, Widget
from web.sql import Answer

TEXT: Final = "sql"
"""The filter of a widget that is its query."""

NAME: Final = "query"
"""What stands in its place where a token shows the widget."""

NAME_LETTERS: Final = 32

KEPT_MAX: Final = 64
"""Answers kept at the same time; beyond it each is run when it is asked for."""

KEPT_BYTES_MAX: Final = 1 << 20
"""Bytes of an answer that is kept; no widget shows more."""


def name_of(text: str) -> str:
    """What a query is called by those who may look at its rows."""
    return sha256(text.encode(errors="surrogatepass")).hexdigest()[:NAME_LETTERS]


def query_named(board: Dashboard, name: str) -> str | None:
    """The query of a dashboard that is called so; None where it holds none."""
    for widget in board.widgets:
        text = _query_of(widget)
        if text is not None and name_of(text) == name:
            return text
    return None


def without_queries(board: Dashboard) -> Dashboard:
    """The dashboard as it is shown: each query is named, and its text stays here."""
    return structs.replace(board, widgets=tuple(_shown(widget) for widget in board.widgets))


def _query_of(widget: Widget) -> str | None:
    return widget.filters.get(TEXT) if widget.family == "sql" else None


def _shown(widget: Widget) -> Widget:
    if widget.family != "sql":
        return widget
    text = _query_of(widget)
    filters = {} if text is None else {NAME: name_of(text)}
    return structs.replace(widget, filters=filters)


@dataclass(slots=True)
class _Kept:
    """One query that runs or has been run: what came of it, and how long that serves."""

    told: trio.Event = field(default_factory=trio.Event)
    outcome: Answer | TallymarkError | None = None
    until_s: float = math.inf


class ShownQueries:
    """Runs queries, each once for all who wait for it; an answer serves for `keep_s` more.

    What is kept is bounded by `KEPT_MAX` and `KEPT_BYTES_MAX`; a refusal is told to those who
    wait and then forgotten. Times are those of Trio's clock.
    """

    def __init__(self, run: Callable[[str], Awaitable[Answer]], *, keep_s: float) -> None:
        self._run = run
        self._keep_s = keep_s
        self._kept: dict[str, _Kept] = {}

    async def answer(self, text: str) -> Answer:
        """The rows of a query, at most `keep_s` old. Raises what running it raises."""
        while True:
            kept = self._kept.get(text)
            if kept is None or kept.until_s <= trio.current_time():
                kept = await self._fresh(text)
            else:
                await kept.told.wait()
            match kept.outcome:
                case Answer() as answer:
                    return answer
                case TallymarkError() as refusal:
                    raise refusal.with_traceback(None)
                case None:  # who ran it has gone away: the next of those who wait runs it
                    continue

    async def _fresh(self, text: str) -> _Kept:
        self._forget_old()
        kept = self._kept[text] = _Kept()
        try:
            kept.outcome = await self._run(text)
        except TallymarkError as refusal:
            kept.outcome = refusal
        finally:
            kept.until_s = trio.current_time() + self._worth_s(kept.outcome)
            kept.told.set()
        return kept

    def _worth_s(self, outcome: Answer | TallymarkError | None) -> float:
        is_small = isinstance(outcome, Answer) and len(outcome.body) <= KEPT_BYTES_MAX
        return self._keep_s if is_small and len(self._kept) <= KEPT_MAX else 0.0

    def _forget_old(self) -> None:
        now_s = trio.current_time()
        for text in [text for text, kept in self._kept.items() if kept.until_s <= now_s]:
            del self._kept[text]
