"""Revenue: integers of a millionth of a currency unit, by currency, never added across them.

A cell is one service, one creator, or all of them, in one currency and one hour or day.
Recurring revenue is kept beside the cells, as one row per payment of a subscription, so that
MRR can be computed for any day of the past.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from engine.cells import Cells, Dumped, Horizon, Owner, Slots, add_counts
from engine.footprint import counts_bytes
from engine.subscriptions import Payment, Subscriptions
from engine.timebucket import Calendar, Span

COMPLETED: Final = 0
REFUNDED: Final = 1

Fact = tuple[str, str, str, int, int, int, int]
"""(service, creator or '', currency, at_ms, COMPLETED or REFUNDED, amount, fee), in micros"""

SPOTS_MAX: Final = 16_384
"""Services with a creator in one currency and hour whose six cells are found at once; not
beyond the next dump, by which they must be marked as changed again."""

Key = tuple[str, str, str]
"""(ALL, SERVICE or CREATOR; the id or ''; currency)"""

ALL: Final = ""
SERVICE: Final = "s"
CREATOR: Final = "c"

ORDERS, GROSS, FEES, REFUNDS, REFUND_COUNT, REFUND_FEES = range(6)
WIDTH: Final = 6


@dataclass(frozen=True, slots=True)
class Question:
    """Which revenue; of both a service and a creator the recurring one alone is known here.

    mrr_at_ms  the instant at which recurring revenue is told
    """

    span: Span
    service: str | None
    creator: str | None
    currency: str | None
    mrr_at_ms: int
    buckets: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True)
class Sales:
    """What was sold in one currency; amounts and fees in micros, all of them positive."""

    orders: int = 0
    gross_micros: int = 0
    fees_gross_micros: int = 0
    refunds_micros: int = 0
    refunds: int = 0
    fees_refunded_micros: int = 0

    @property
    def gmv_micros(self) -> int:
        return self.gross_micros - self.refunds_micros

    @property
    def fees_micros(self) -> int:
        return self.fees_gross_micros - self.fees_refunded_micros


ByCurrency = dict[str, Sales]


@dataclass(frozen=True, slots=True)
class Image:
    """One shard's answer; `merged` puts several into one.

    mrr_micros  {currency: micros a month}
    by_service  {service: {currency: sales}}; empty where one creator was asked for
    """

    now: ByCurrency
    series: tuple[ByCurrency, ...]
    mrr_micros: dict[str, int]
    by_service: dict[str, ByCurrency]


class Revenue:
    """Sales, refunds and subscriptions of one shard."""

    name: Final = "revenue"

    def __init__(self, calendar: Calendar, *, subscriptions_max: int) -> None:
        self._calendar = calendar
        self._cells: Cells[Key, list[int]] = Cells("cell")
        self._currencies: set[str] = set()
        self._spots: dict[tuple[str, str, str, tuple[int, int]], tuple[list[int], ...]] = {}
        self.subscriptions = Subscriptions(places_max=subscriptions_max)
        self._paid: list[Payment] = []  # since the last dump
        self._dumped = 0

    def fold(self, facts: Iterable[Fact]) -> None:
        """Count the transactions; failed ones do not come here."""
        cut = self._calendar.cut
        spots = self._spots
        if len(spots) > SPOTS_MAX:
            spots.clear()
        for service, creator, currency, at_ms, status, amount, fee in facts:
            spot = (service, creator, currency, cut(at_ms))
            cells = spots.get(spot)
            if cells is None:
                cells = spots[spot] = self._cells_of(*spot)
            if status == COMPLETED:
                for counts in cells:
                    counts[ORDERS] += 1
                    counts[GROSS] += amount
                    counts[FEES] += fee
            else:
                for counts in cells:
                    counts[REFUND_COUNT] += 1
                    counts[REFUNDS] += amount
                    counts[REFUND_FEES] += fee

    def _cells_of(
        self, service: str, creator: str, currency: str, cut: tuple[int, int]
    ) -> tuple[list[int], ...]:
        """Of hour and day: all sales, the service's and the creator's."""
        self._currencies.add(currency)
        keys = [(ALL, "", currency), (SERVICE, service, currency)]
        if creator:
            keys.append((CREATOR, creator, currency))
        return tuple(
            cells.setdefault(key, [0] * WIDTH)
            for cells in self._cells.places(cut)
            for key in keys
        )

    def fold_payments(self, payments: Iterable[Payment]) -> None:
        """Take payments and refunds of subscriptions that this shard owns."""
        self._paid += [payment for payment in payments if self.subscriptions.take(payment)]

    def expire(self, horizon: Horizon) -> None:
        """Forget cells older than `horizon`, and payments that ended before it."""
        self._spots.clear()
        self._cells.expire(horizon)
        if horizon.day > 0:
            self.subscriptions.expire(self._calendar.day_start_ms(horizon.day))

    # -- answer -------------------------------------------------------------------------------

    @property
    def cells(self) -> int:
        """How many cells there are."""
        return self._cells.count

    def memory_bytes(self) -> Iterator[int]:
        """About what the cells occupy, to be added up; subscriptions say it themselves."""
        return self._cells.memory_bytes(counts_bytes)

    def image(self, question: Question) -> Generator[None, None, Image]:
        """What this shard knows of the question; yields between pieces of work."""
        if question.service is not None and question.creator is not None:
            mrr = yield from self._mrr(question)
            return Image({}, tuple({} for _ in question.buckets), mrr, {})
        now = self._sales(question, question.span)
        yield
        series = []
        for bucket in question.buckets:
            series.append(self._sales(question, bucket))
            yield
        mrr = yield from self._mrr(question)
        by_service = yield from self._by_service(question)
        return Image(now, tuple(series), mrr, by_service)

    def _sales(self, question: Question, span: Span) -> ByCurrency:
        return _chosen(self._totals(*_which(question), span), question.currency)

    def sales(self, span: Span) -> ByCurrency:
        """All that was sold in the cells of `span`."""
        return _chosen(self._totals(ALL, "", span), None)

    def _totals(self, kind: str, wanted: str, span: Span) -> dict[str, list[int]]:
        totals: dict[str, list[int]] = {}
        for cells in self._cells.within(span):
            for currency in self._currencies:
                counts = cells.get((kind, wanted, currency))
                if counts is not None:
                    _add(totals, currency, counts)
        return totals

    def _by_service(self, question: Question) -> Generator[None, None, dict[str, ByCurrency]]:
        totals: dict[str, dict[str, list[int]]] = {}
        if question.creator is not None:
            return {}  # sums are by service or by creator, and not by both
        for cells in self._cells.within(question.span):
            for (kind, service, currency), counts in cells.items():
                if kind == SERVICE and question.service in (None, service):
                    _add(totals.setdefault(service, {}), currency, counts)
            yield
        chosen = {name: _chosen(sums, question.currency) for name, sums in totals.items()}
        return {name: sales for name, sales in chosen.items() if sales}

    def _mrr(self, question: Question) -> Generator[None, None, dict[str, int]]:
        totals: dict[str, int] = {}
        for payment in self.subscriptions.in_force(question.mrr_at_ms):
            if payment is None:
                yield
                continue
            _, _, _, month_micros, currency, service, creator = payment
            if question.service not in (None, service):
                continue
            if question.creator not in (None, creator):
                continue
            if question.currency in (None, currency):
                totals[currency] = totals.get(currency, 0) + month_micros
        return totals

    # -- keep ---------------------------------------------------------------------------------

    def dump(self, *, full: bool) -> Dumped:
        """The slots that changed since the last dump, or all."""
        self._spots.clear()
        yield from self._cells.dump(full=full, dumped=list)
        if full:
            self._dumped = 0
            paid = self.subscriptions.all()
        else:
            paid = self._paid
        if paid:
            yield ("payments", self._dumped), paid
        self._dumped += len(paid)
        self._paid = []

    def load(self, slots: Slots, owner: Owner) -> None:
        """Take back what one former shard dumped: those of its keys that `owner` says."""

        def owns(key: Key) -> bool:
            return owner.key(key[1]) if key[0] == SERVICE else owner.unkeyed

        for slot, content in sorted(slots.items()):
            if slot[0] != "payments":
                self._cells.load(
                    slot, content, loaded=list, merge=add_counts, owns=owns, same=owner.same
                )
                self._currencies.update(owner.same(key[2]) for key, _ in content)
                continue
            for payment in content:
                if owner.hash(payment[0]):
                    *numbers, currency, service, creator = payment
                    texts = map(owner.same, (currency, service, creator))
                    self.subscriptions.take((*numbers, *texts))
            self._dumped = max(self._dumped, slot[1] + len(content))


def _which(question: Question) -> tuple[str, str]:
    if question.service is not None:
        return SERVICE, question.service
    if question.creator is not None:
        return CREATOR, question.creator
    return ALL, ""


def _add(totals: dict[str, list[int]], currency: str, counts: Sequence[int]) -> None:
    sums = totals.get(currency)
    if sums is None:
        totals[currency] = list(counts)
    else:
        add_counts(sums, counts)


def _chosen(totals: dict[str, list[int]], currency: str | None) -> ByCurrency:
    return {
        name: Sales(
            orders=sums[ORDERS],
            gross_micros=sums[GROSS],
            fees_gross_micros=sums[FEES],
            refunds_micros=sums[REFUNDS],
            refunds=sums[REFUND_COUNT],
            fees_refunded_micros=sums[REFUND_FEES],
        )
        for name, sums in totals.items()
        if currency in (None, name)
    }


def merged(images: Sequence[Image]) -> Image:
    """All shards' answers in one."""
    by_service: dict[str, list[ByCurrency]] = {}
    for image in images:
        for service, sales in image.by_service.items():
            by_service.setdefault(service, []).append(sales)
    return Image(
        now=add_sales([image.now for image in images]),
        series=tuple(
            add_sales(bucket) for bucket in zip(*(i.series for i in images), strict=True)
        ),
        mrr_micros=_add_micros([image.mrr_micros for image in images]),
        by_service={
            # Nearly always: a service is in one shard.
            service: parts[0] if len(parts) == 1 else add_sales(parts)
            for service, parts in by_service.items()
        },
    )


def add_sales(parts: Iterable[ByCurrency]) -> ByCurrency:
    """The sales of all parts together, by currency."""
    totals: dict[str, Sales] = {}
    for part in parts:
        for currency, b in part.items():
            a = totals.get(currency, Sales())
            totals[currency] = Sales(
                a.orders + b.orders,
                a.gross_micros + b.gross_micros,
                a.fees_gross_micros + b.fees_gross_micros,
                a.refunds_micros + b.refunds_micros,
                a.refunds + b.refunds,
                a.fees_refunded_micros + b.fees_refunded_micros,
            )
    return totals


def _add_micros(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    totals: dict[str, int] = {}
    for part in parts:
        for currency, micros in part.items():
            totals[currency] = totals.get(currency, 0) + micros
    return totals
