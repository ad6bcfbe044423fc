"""Sums that rollups do not keep, computed from the rows of the archive while it has them.

The question is a query like those of users, run in a process like theirs; its texts are quoted
as literals of the dialect. Sums come by quarter hour, of which the hours and days of every zone
consist.
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import orjson

from engine.answers.revenue import Combined
from engine.config import Config
from engine.errors import Unanswerable
from engine.rollups.revenue import ByCurrency, Sales, add_sales
from engine.timebucket import DAY_MS, iso
from persistence.dialect.errors import InvalidQuery
from web.sql import Asked, Sql

QUARTER_MS: Final = 15 * 60_000

_SALES: Final = """
SELECT intDiv(timestampMs, {quarter}) AS quarter, currency, max(_sample_interval) AS interval,
  countIf(paid) AS orders, sumIf(amountMicros, paid) AS gross, sumIf(fee, paid) AS feesGross,
  countIf(NOT paid) AS refunds, sumIf(amountMicros, NOT paid) AS refunded,
  sumIf(fee, NOT paid) AS feesRefunded
FROM (
  SELECT timestampMs, currency, amountMicros, coalesce(feeMicros, 0) AS fee, _sample_interval,
    coalesce(status, 'completed') = 'completed' AS paid
  FROM events
  WHERE index1 = {service} AND serviceId = {service} AND creatorId = {creator}{currency}
    AND eventType = 'revenue_transaction' AND coalesce(status, 'completed') != 'failed'
    AND timestamp >= toDateTime({start_s}) AND timestamp < toDateTime({end_s}))
GROUP BY quarter, currency ORDER BY quarter
"""


class Raw:
    """The rows, asked through `sql`.

    is_whole  whether every event that was ever taken came into the archive
    """

    def __init__(
        self,
        config: Config,
        sql: Sql,
        *,
        now_ms: Callable[[], int],
        is_whole: Callable[[], bool],
    ) -> None:
        self._config = config
        self._sql = sql
        self._now_ms = now_ms
        self._is_whole = is_whole

    async def sales(self, asked: Combined) -> Sequence[ByCurrency]:
        """The sales of each range. Raises Unanswerable where not all of its rows are kept."""
        start_ms = min(start for start, _ in asked.ranges_ms)
        end_ms = max(end for _, end in asked.ranges_ms)
        oldest_ms = self._now_ms() - self._config.raw_keep_days * DAY_MS
        if start_ms < oldest_ms:
            raise Unanswerable(
                f"serviceId and creatorId: both at once are answered from raw rows, which are "
                f"kept since {iso(oldest_ms, 'UTC')}. Ask for a later range, or give one."
            )
        if not self._is_whole():
            raise Unanswerable(
                "serviceId and creatorId: both at once are answered from raw rows, and the "
                "archive lacks some from a time when it was off. Give one."
            )
        text = _SALES.format(
            quarter=QUARTER_MS,
            service=_literal(asked.service),
            creator=_literal(asked.creator),
            currency="" if asked.currency is None else f" AND currency = '{asked.currency}'",
            start_s=start_ms // 1000,
            end_s=end_ms // 1000,
        )
        rows = await self._rows(text)
        if any(row["interval"] > 1 for row in rows):
            raise Unanswerable(
                "serviceId and creatorId: of this service raw rows were thinned out in the "
                "range, and their sums are estimates. Give one."
            )
        return [_within(rows, first_ms, last_ms) for first_ms, last_ms in asked.ranges_ms]

    async def _rows(self, text: str) -> list[dict[str, Any]]:
        try:
            asked = Asked(text=text, extra=True, quoted=False, fresh=True)
            answer = await self._sql.answer(asked)
        except InvalidQuery as error:
            raise Unanswerable(
                f"serviceId and creatorId: the raw rows cannot be summed ({error}). Ask for a "
                f"shorter range, or give one."
            ) from None
        found: list[dict[str, Any]] = orjson.loads(answer.body)["data"]
        return found


def _within(rows: Sequence[dict[str, Any]], start_ms: int, end_ms: int) -> ByCurrency:
    return add_sales(
        {row["currency"]: _sales(row)}
        for row in rows
        if start_ms <= row["quarter"] * QUARTER_MS < end_ms
    )


def _sales(row: dict[str, Any]) -> Sales:
    return Sales(
        orders=row["orders"],
        gross_micros=row["gross"],
        fees_gross_micros=row["feesGross"],
        refunds_micros=row["refunded"],
        refunds=row["refunds"],
        fees_refunded_micros=row["feesRefunded"],
    )


def _literal(text: str) -> str:
    """A text as the dialect reads it."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"
