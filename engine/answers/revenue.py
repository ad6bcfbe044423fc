"""Revenue: from the question to money by currency, and in one currency where that is honest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Final

from msgspec import UNSET, Struct, UnsetType, structs

from engine.answers.common import (
    TOP_DEFAULT,
    Frame,
    Known,
    Limit,
    PeriodAsked,
    Plan,
    Range,
    Text,
    starts,
)
from engine.config import Currency
from engine.money import mean_units, units
from engine.rollups import names, revenue
from engine.rollups.revenue import ByCurrency, Image, Question, Sales


class Asked(PeriodAsked, frozen=True, kw_only=True, rename="camel"):
    """The parameters of GET /metrics/revenue."""

    service_id: Text | None = None
    creator_id: Text | None = None
    currency: Currency | None = None
    limit: Limit = TOP_DEFAULT


class InCurrency(Struct, frozen=True, kw_only=True, rename="camel"):
    """All figures in one currency; rates in percent, null where the denominator is 0."""

    gmv: float
    mrr: float
    take_rate: float | None
    creator_earnings: float
    transaction_count: int
    avg_order_value: float | None
    gross_gmv: float
    refunds: float
    fees: float


class TopService(Struct, frozen=True, kw_only=True, rename="camel"):
    """A service by what it sold; null where its currencies cannot be added."""

    id: str
    name: str
    gmv: float | None
    transaction_count: int


class Step(Struct, frozen=True, kw_only=True, rename="camel"):
    """One step of the series; null where its currencies cannot be added."""

    start: str
    gmv: float | None
    transaction_count: int
    refunds: float | None


class Figures(Struct, frozen=True, kw_only=True, rename="camel"):
    """Money in `currency`; null with a `reason` where amounts in several cannot be added.

    If sales can be added and recurring revenue is in other currencies, mrr alone is null.
    topServices is empty if a creator was asked for without a service.
    """

    gmv: float | None
    mrr: float | None
    take_rate: float | None
    creator_earnings: float | None
    transaction_count: int
    avg_order_value: float | None
    gross_gmv: float | None
    refunds: float | None
    fees: float | None
    currency: str
    reason: str | None
    by_currency: dict[str, InCurrency]
    top_services: list[TopService]
    period: str
    series: list[Step] | UnsetType = UNSET


class Answer(Struct, kw_only=True):
    """GET /metrics/revenue."""

    data: Figures
    range: Range
    previous: Figures | UnsetType = UNSET


NOTHING: Final = Sales()


def question(planned: Plan, asked: Asked, frame: Frame) -> Question:
    """What to ask of every shard."""
    # Recurring revenue at the end of the period, but never at a time that is not yet known.
    today_end_ms = frame.calendar.day_end_ms(frame.today)
    return Question(
        span=planned.span,
        service=asked.service_id,
        creator=asked.creator_id,
        currency=asked.currency,
        mrr_at_ms=min(planned.period.end_ms, today_end_ms),
        buckets=planned.spans,
    )


@dataclass(frozen=True, slots=True)
class Combined:
    """A question for what rollups have no sums of: what one creator sold of one service.

    ranges_ms  each from its first up to before its second instant: the period, then the series
    """

    service: str
    creator: str
    currency: str | None
    ranges_ms: tuple[tuple[int, int], ...]


def combined(planned: Plan, asked: Asked) -> Combined | None:
    """What to ask of the raw rows; None where the shards know it all."""
    if asked.service_id is None or asked.creator_id is None:
        return None
    period = planned.period
    return Combined(
        service=asked.service_id,
        creator=asked.creator_id,
        currency=asked.currency,
        ranges_ms=(
            (period.start_ms, period.end_ms),
            *((bucket.start_ms, bucket.end_ms) for bucket in planned.buckets),
        ),
    )


def with_sales(images: Sequence[Image], service: str, sales: Sequence[ByCurrency]) -> Image:
    """The shards' recurring revenue, beside sales of one service that came from elsewhere."""
    now, *series = sales
    return Image(
        now=now,
        series=tuple(series),
        mrr_micros=revenue.merged(images).mrr_micros,
        by_service={service: now} if now else {},
    )


class Converter:
    """Adds money of several currencies where rates make it one; None where they do not.

    The result is in the reporting currency, or in the one other currency that all is in.
    """

    def __init__(self, reporting: str, rates: Mapping[str, Decimal], found: set[str]) -> None:
        self._rates = {reporting: Decimal(1), **rates}
        self.currency = reporting
        self.reason: str | None = None
        missing = sorted(found - set(self._rates))
        if missing and len(found) == 1:
            self.currency = missing[0]
            self._rates = {self.currency: Decimal(1)}
        elif missing:
            self.reason = (
                f"There are amounts in {', '.join(sorted(found))}, and no rate is set for "
                f"{', '.join(missing)}: see byCurrency, or set currency_rates."
            )

    def micros(self, by_currency: Mapping[str, int]) -> int | None:
        """The sum in `currency`, rounded half to even once for each currency."""
        if self.reason is not None or not by_currency.keys() <= self._rates.keys():
            return None
        return sum([self._converted(code, n) for code, n in by_currency.items()])

    def _converted(self, code: str, micros: int) -> int:
        if code == self.currency:  # of thousands of services most need no more
            return micros
        return int((Decimal(micros) * self._rates[code]).to_integral_value(ROUND_HALF_EVEN))

    def sales(self, by_currency: ByCurrency) -> Sales | None:
        """All sales as if they were made in `currency`."""
        gross, fees, refunds, refunded = (
            self.micros({code: getattr(s, field) for code, s in by_currency.items()})
            for field in (
                "gross_micros",
                "fees_gross_micros",
                "refunds_micros",
                "fees_refunded_micros",
            )
        )
        if gross is None or fees is None or refunds is None or refunded is None:
            return None
        return Sales(
            orders=orders(by_currency),
            gross_micros=gross,
            fees_gross_micros=fees,
            refunds_micros=refunds,
            refunds=sum(s.refunds for s in by_currency.values()),
            fees_refunded_micros=refunded,
        )


def figures(
    planned: Plan, asked: Asked, frame: Frame, images: Sequence[Image], known: Known
) -> Figures:
    """Merge the shards' images."""
    whole = revenue.merged(images)
    config = frame.config
    sold = {*whole.now, *filter(None, [asked.currency])}
    recurring = set(whole.mrr_micros)
    # Sales choose the currency: what was subscribed to before the period makes them no mixture.
    converter = Converter(config.reporting_currency, config.currency_rates, sold or recurring)
    mrr = converter.micros(whole.mrr_micros)
    sales = converter.sales(whole.now)
    reason = converter.reason
    if reason is None and mrr is None:
        rated = {config.reporting_currency, *config.currency_rates}
        reason = _without_mrr(recurring, sold, (recurring | sold) - rated)
    nulls = Figures(
        gmv=None,
        mrr=None,
        take_rate=None,
        creator_earnings=None,
        transaction_count=orders(whole.now),
        avg_order_value=None,
        gross_gmv=None,
        refunds=None,
        fees=None,
        currency=converter.currency,
        reason=reason,
        by_currency={
            code: _in_currency(whole.now.get(code, NOTHING), whole.mrr_micros.get(code, 0))
            for code in sorted(sold | recurring)
        },
        top_services=_top(whole.by_service, converter, asked.limit, known),
        period=planned.period.label,
        series=_series(planned, whole.series, converter) if planned.buckets else UNSET,
    )
    if sales is None:
        return nulls
    told = structs.asdict(_in_currency(sales, mrr or 0))
    return structs.replace(nulls, **told | {"mrr": None if mrr is None else told["mrr"]})


def _without_mrr(recurring: set[str], sold: set[str], missing: set[str]) -> str:
    """Why recurring revenue has no sum beside sales that have one."""
    return (
        f"Recurring revenue is in {', '.join(sorted(recurring))}, the other figures are in "
        f"{', '.join(sorted(sold))}, and no rate is set for "
        f"{', '.join(sorted(missing))}: see byCurrency, or set currency_rates."
    )


def _in_currency(sales: Sales, mrr_micros: int) -> InCurrency:
    gmv, fees = sales.gmv_micros, sales.fees_micros
    return InCurrency(
        gmv=units(gmv),
        mrr=units(mrr_micros),
        take_rate=100 * fees / gmv if gmv else None,
        creator_earnings=units(gmv - fees),
        transaction_count=sales.orders,
        avg_order_value=mean_units(sales.gross_micros, sales.orders) if sales.orders else None,
        gross_gmv=units(sales.gross_micros),
        refunds=units(sales.refunds_micros),
        fees=units(fees),
    )


def _top(
    by_service: Mapping[str, ByCurrency], converter: Converter, limit: int, known: Known
) -> list[TopService]:
    rows = []
    for service, sales in by_service.items():
        gmv = converter.micros({code: s.gmv_micros for code, s in sales.items()})
        rows.append((gmv, orders(sales), service))
    rows.sort(key=lambda row: (-(row[0] or 0), -row[1], row[2]))
    return [
        TopService(
            id=service,
            name=known.get((names.SERVICE, service, 0), service),
            gmv=None if gmv is None else units(gmv),
            transaction_count=count,
        )
        for gmv, count, service in rows[:limit]
    ]


def _series(planned: Plan, steps: Sequence[ByCurrency], converter: Converter) -> list[Step]:
    rows = []
    for at, sales in zip(starts(planned), steps, strict=True):
        one = converter.sales(sales)
        rows.append(
            Step(
                start=at,
                gmv=None if one is None else units(one.gmv_micros),
                transaction_count=orders(sales),
                refunds=None if one is None else units(one.refunds_micros),
            )
        )
    return rows


def orders(by_currency: ByCurrency) -> int:
    """Completed transactions in all currencies."""
    return sum(sales.orders for sales in by_currency.values())
