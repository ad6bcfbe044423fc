"""Service performance: from the question to rows of counts, rates and percentiles."""

from collections.abc import Callable, Generator, Sequence
from math import ceil, sqrt
from typing import Annotated, Final

from msgspec import UNSET, Meta, Struct, UnsetType

from engine.answers.common import (
    Frame,
    Granularity,
    Known,
    Limit,
    PeriodAsked,
    Plan,
    Range,
    Text,
    percent,
    plan,
    starts,
)
from engine.cells import OTHER
from engine.errors import InvalidQuestion, Unanswerable
from engine.quantile import Quantile
from engine.rollups import names, services
from engine.rollups.services import Image, Part, Question, Row
from engine.timebucket import quoted

NO_CODE: Final = "(none)"
"""Stands for the error code of failures that carried none."""


class Asked(PeriodAsked, frozen=True, kw_only=True, rename="camel"):
    """The parameters of GET /metrics/services."""

    service_id: Text | None = None
    category: Text | None = None
    limit: Limit = 100
    sort: Annotated[str, Meta(description="a row's field, descending with - before it")] = (
        "-executions"
    )
    trend: Annotated[bool, Meta(description="add each row's executions by bucket")] = False


class Latency(Struct, frozen=True, kw_only=True):
    """Milliseconds, failed executions included; null without executions."""

    p50: float | None
    p95: float | None
    p99: float | None
    avg: float | None
    max: float | None


class LatencyAccuracy(Struct, frozen=True, kw_only=True):
    """The interval [low, high] in which each percentile certainly lies."""

    exact: bool
    p50: tuple[float, float] | None
    p95: tuple[float, float] | None
    p99: tuple[float, float] | None


class Before(Struct, frozen=True, kw_only=True, rename="camel"):
    """A row's figures in the period before."""

    executions: int
    error_rate: float | None
    p95: float | None


class ServiceRow(Struct, frozen=True, kw_only=True, rename="camel"):
    """One service, or all that were asked for in one."""

    service_id: str | UnsetType = UNSET
    service_name: str | UnsetType = UNSET
    category: str | UnsetType | None = UNSET
    executions: int
    latency: Latency
    error_rate: float | None
    success_rate: float | None
    errors: dict[str, int]
    period: str
    accuracy: LatencyAccuracy
    trend: tuple[int, ...] | UnsetType = UNSET
    previous: Before | UnsetType = UNSET


class Step(Struct, frozen=True, kw_only=True):
    """One step of the series, all rows together."""

    start: str
    executions: int
    errors: int
    p50: float | None
    p95: float | None
    p99: float | None


class Answer(Struct, frozen=True, kw_only=True):
    """GET /metrics/services; `rows` counts the services found, also beyond the limit."""

    data: list[ServiceRow]
    total: ServiceRow
    rows: int
    range: Range
    series: list[Step] | UnsetType = UNSET
    previous: ServiceRow | UnsetType = UNSET


TREND_DEFAULT: Final[Granularity] = "day"


def question(planned: Plan, asked: Asked, frame: Frame, *, shards: int = 1) -> Question:
    """What to ask of every shard. Raises InvalidQuestion or Unanswerable.

    shards  among how many the services are spread: each sends its share of the rows and some
            more, and `is_enough` says whether that was all that is needed
    """
    must_know_the_sort(asked)
    trend: Plan | None = None
    if asked.trend:
        trend = planned if planned.spans else plan(_by_day(asked), frame)
    return Question(
        span=planned.span,
        service=asked.service_id,
        category=asked.category,
        limit=_share(asked.limit, shards),
        sort=asked.sort.removeprefix("-"),
        descending=asked.sort.startswith("-"),
        buckets=planned.spans,
        trend=trend.spans if trend else (),
        previous=planned.before.span if planned.before else None,
    )


def must_know_the_sort(asked: Asked) -> None:
    """Raises InvalidQuestion for an order that there is not."""
    if asked.sort.removeprefix("-") not in SORTS:
        raise InvalidQuestion(
            f"sort: {asked.sort[:64]!a} is not known. Accepted are {', '.join(SORTS)}, "
            f"each also with - before it for descending."
        )


def _share(limit: int, shards: int) -> int:
    """So many that of the best `limit` rows some shard holds more once in a thousand times."""
    mean = limit / shards
    return min(limit, ceil(mean + 2.5 * sqrt(mean) + 1))


def is_enough(asked: Asked, images: Sequence[Image]) -> bool:
    """Whether the best rows of all are among those that the shards sent."""
    beyond = [image.next for image in images if image.next is not None]
    if not beyond:
        return True
    field, descending = asked.sort.removeprefix("-"), asked.sort.startswith("-")
    rank, sign = services.RANKS[field], -1 if descending else 1

    def place(service: str, executions: int, failures: int) -> tuple[float, str]:
        return sign * rank(executions, failures), service

    sent = sorted(
        place(row.service, row.now.executions, row.now.failures)
        for image in images
        for row in image.rows
    )
    first = min(place(one.service, one.executions, one.failures) for one in beyond)
    return len(sent) >= asked.limit and sent[asked.limit - 1] < first


def _by_day(asked: Asked) -> PeriodAsked:
    return PeriodAsked(
        start_date=asked.start_date,
        end_date=asked.end_date,
        timezone=asked.timezone,
        granularity=TREND_DEFAULT,
    )


def answer(
    planned: Plan, asked: Asked, images: Sequence[Image], known: Known
) -> Generator[None, None, Answer]:
    """Merge the shards' images; yields between rows, so that the caller may pause.

    Raises Unanswerable where executions in the category asked for may count with others.
    """
    if asked.category is not None and any(image.may_be_in_other for image in images):
        raise Unanswerable(
            f"category: {quoted(asked.category)} may be counted with others: of a service "
            f"with more than service_categories_max categories the later ones are counted as "
            f"{OTHER}. Ask /sql, or for another service."
        )
    label = planned.period.label
    field, descending = asked.sort.removeprefix("-"), asked.sort.startswith("-")
    found = sorted((row for image in images for row in image.rows), key=lambda row: row.service)
    rank = services.RANKS.get(field)
    if rank is not None:  # nothing is reckoned for rows that are not shown
        found.sort(
            key=lambda row: rank(row.now.executions, row.now.failures), reverse=descending
        )
        del found[asked.limit :]
    rows: list[ServiceRow] = []
    for row in found:
        rows.append(_row(row, label, known, asked))
        yield
    rows.sort(key=SORTS[field], reverse=descending)
    series = []
    for start, parts in zip(
        starts(planned), zip(*(image.series for image in images), strict=True), strict=True
    ):
        series.append(_step(start, services.merged(parts)))
        yield
    total = services.merged([image.total for image in images])
    return Answer(
        data=rows[: asked.limit],
        total=_figures(total, label),
        rows=sum(image.rows_all for image in images),
        range=planned.range,
        series=series if planned.buckets else UNSET,
        previous=_previous(planned, images),
    )


def _previous(planned: Plan, images: Sequence[Image]) -> ServiceRow | UnsetType:
    if planned.before is None:
        return UNSET
    parts = [image.previous for image in images if image.previous is not None]
    return _figures(services.merged(parts), planned.before.period.label)


def _row(row: Row, label: str, known: Known, asked: Asked) -> ServiceRow:
    return _figures(
        row.now,
        label,
        service_id=row.service,
        service_name=known.get((names.SERVICE, row.service, 0), row.service),
        category=row.category or None,
        trend=row.trend if asked.trend else UNSET,
        previous=UNSET if row.previous is None else _before(row.previous),
    )


def _figures(
    part: Part,
    label: str,
    *,
    service_id: str | UnsetType = UNSET,
    service_name: str | UnsetType = UNSET,
    category: str | UnsetType | None = UNSET,
    trend: tuple[int, ...] | UnsetType = UNSET,
    previous: Before | UnsetType = UNSET,
) -> ServiceRow:
    p50, p95, p99 = part.percentiles
    count = part.executions
    return ServiceRow(
        service_id=service_id,
        service_name=service_name,
        category=category,
        executions=count,
        latency=Latency(
            p50=_value(p50),
            p95=_value(p95),
            p99=_value(p99),
            avg=part.latency.avg_ms,
            max=part.latency.max_ms if count else None,
        ),
        error_rate=percent(part.failures, count),
        success_rate=percent(count - part.failures, count),
        errors=_errors(part),
        period=label,
        accuracy=LatencyAccuracy(
            exact=part.latency.is_exact,
            p50=_interval(p50),
            p95=_interval(p95),
            p99=_interval(p99),
        ),
        trend=trend,
        previous=previous,
    )


def _errors(part: Part) -> dict[str, int]:
    errors: dict[str, int] = {}
    for code, count in sorted(part.failures_by_code.items()):
        named = code or NO_CODE  # which somebody may have sent as a code, too
        errors[named] = errors.get(named, 0) + count
    return errors


def _before(part: Part) -> Before:
    return Before(
        executions=part.executions,
        error_rate=percent(part.failures, part.executions),
        p95=_value(part.percentiles[1]),
    )


def _step(start: str, part: Part) -> Step:
    p50, p95, p99 = part.percentiles
    return Step(
        start=start,
        executions=part.executions,
        errors=part.failures,
        p50=_value(p50),
        p95=_value(p95),
        p99=_value(p99),
    )


def _value(quantile: Quantile | None) -> float | None:
    return None if quantile is None else quantile.value


def _interval(quantile: Quantile | None) -> tuple[float, float] | None:
    return None if quantile is None else (quantile.low, quantile.high)


def _or_least(value: float | None) -> float:
    return -1.0 if value is None else value


SORTS: Final[dict[str, Callable[[ServiceRow], float | str]]] = {
    "executions": lambda row: row.executions,
    "errorRate": lambda row: _or_least(row.error_rate),
    "successRate": lambda row: _or_least(row.success_rate),
    "p50": lambda row: _or_least(row.latency.p50),
    "p95": lambda row: _or_least(row.latency.p95),
    "p99": lambda row: _or_least(row.latency.p99),
    "avg": lambda row: _or_least(row.latency.avg),
    "max": lambda row: _or_least(row.latency.max),
    "serviceId": lambda row: str(row.service_id),
    "serviceName": lambda row: str(row.service_name),
    "category": lambda row: str(row.category or ""),
}
"""What rows can be sorted by, and how; ties go by service id."""
