"""Marketplace activity: from the question to the funnel and the most frequent searches."""

from collections.abc import Iterable, Sequence

from msgspec import UNSET, Struct, UnsetType

from engine.answers.common import (
    TOP_DEFAULT,
    Known,
    Limit,
    PeriodAsked,
    Plan,
    Range,
    Text,
    percent,
    starts,
)
from engine.rollups import marketplace, names
from engine.rollups.marketplace import SEARCHES, WITHOUT_RESULT, Activity, Image, Question


class Asked(PeriodAsked, frozen=True, kw_only=True, rename="camel"):
    """The parameters of GET /metrics/marketplace."""

    category: Text | None = None
    service_id: Text | None = None
    limit: Limit = TOP_DEFAULT


class TopService(Struct, frozen=True, kw_only=True):
    """A service by its views."""

    id: str
    name: str
    views: int


class TopCategory(Struct, frozen=True, kw_only=True):
    """A category by its views."""

    category: str
    views: int


class TopSearch(Struct, frozen=True, kw_only=True, rename="camel"):
    """A search term: how often it was searched, and how often it is known to find nothing."""

    query: str
    searches: int
    without_result: int


class Step(Struct, frozen=True, kw_only=True):
    """One step of the series."""

    start: str
    searches: int
    views: int
    conversions: int


class Figures(Struct, frozen=True, kw_only=True, rename="camel"):
    """Events counted; conversionRate is percent of views."""

    searches: int
    views: int
    conversions: int
    conversion_rate: float | None
    top_services: list[TopService]
    top_categories: list[TopCategory]
    top_searches: list[TopSearch]
    period: str
    series: list[Step] | UnsetType = UNSET


class Answer(Struct, kw_only=True):
    """GET /metrics/marketplace."""

    data: Figures
    range: Range
    previous: Figures | UnsetType = UNSET


def question(planned: Plan, asked: Asked) -> Question:
    """What to ask of every shard."""
    return Question(
        span=planned.span,
        service=asked.service_id,
        category=asked.category,
        buckets=planned.spans,
    )


def figures(planned: Plan, asked: Asked, images: Sequence[Image], known: Known) -> Figures:
    """Merge the shards' images."""
    whole = marketplace.merged(images)
    now = whole.now
    terms = sorted(whole.terms.items(), key=lambda term: (-term[1][SEARCHES], term[0]))
    return Figures(
        searches=now.searches,
        views=now.views,
        conversions=now.conversions,
        conversion_rate=percent(now.conversions, now.views),
        top_services=[
            TopService(
                id=service, name=known.get((names.SERVICE, service, 0), service), views=n
            )
            for service, n in _most(whole.views.items(), asked.limit)
        ],
        top_categories=[
            TopCategory(category=category, views=n)
            for category, n in _most(whole.categories.items(), asked.limit)
        ],
        top_searches=[
            TopSearch(
                query=query, searches=counts[SEARCHES], without_result=counts[WITHOUT_RESULT]
            )
            for query, counts in terms[: asked.limit]
        ],
        period=planned.period.label,
        series=_series(planned, whole.series) if planned.buckets else UNSET,
    )


def _series(planned: Plan, activities: Sequence[Activity]) -> list[Step]:
    return [
        Step(start=at, searches=a.searches, views=a.views, conversions=a.conversions)
        for at, a in zip(starts(planned), activities, strict=True)
    ]


def _most(counts: Iterable[tuple[str, int]], limit: int) -> list[tuple[str, int]]:
    """The largest counts above 0, ties by name."""
    found = [count for count in counts if count[1]]
    return sorted(found, key=lambda count: (-count[1], count[0]))[:limit]
