"""Whether the server counts exactly what it acknowledged: its own figures before and after.

What a run sends is labelled, so most figures are asked for this label alone, and other data in
the server does not matter. Two figures have no label, all events of /health and sessions; if
others write at the same time these are lower bounds.
"""

import datetime as dt
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, Literal
from urllib.parse import quote

from msgspec import Struct

from load import mixture
from load.errors import LoadError
from load.tally import EVENTS, FIGURES, Tally

Ask = Callable[[str], Awaitable[Mapping[str, Any]]]
"""From a path with its query to the JSON object that the server answers."""

OF_ALL: Final = (EVENTS, "sessions")
"""Figures that the server tells for everybody together."""


class Uncountable(LoadError):
    """The server's counts cannot be read, so nothing can be said of them."""


class Row(Struct, frozen=True, kw_only=True):
    """One figure.

    acknowledged  what the acknowledged requests add up to
    unknown       what those add up to whose outcome nobody knows: the server may have it or not
    counted       by how much the server's figure has grown
    """

    figure: str
    acknowledged: int
    unknown: int
    counted: int
    verdict: Literal["exact", "within", "others write too", "lost", "too many"]

    @property
    def is_right(self) -> bool:
        """Whether the server counted what it should have."""
        return self.verdict not in ("lost", "too many")


def period(now: dt.datetime, duration_s: float) -> str:
    """The query of a period that holds the run, whatever the server's reporting zone."""
    last = now + dt.timedelta(seconds=duration_s)
    day = dt.timedelta(days=1)
    return f"startDate={(now - day).date()}&endDate={(last + day).date()}"


async def counted(ask: Ask, *, label: str, period: str) -> Tally:
    """What the server has counted under this label, and in all. Raises Uncountable."""
    found: Tally = Tally()
    try:
        for category in map(quote, mixture.categories(label)):
            services = await ask(f"/metrics/services?{period}&category={category}&limit=1")
            total = services["total"]
            found["executions"] += total["executions"]
            found["failed executions"] += sum(total["errors"].values())
            market = (await ask(f"/metrics/marketplace?{period}&category={category}"))["data"]
            for figure in ("searches", "views", "conversions"):
                found[figure] += market[figure]
        for creator in map(quote, mixture.creators(label)):
            revenue = (await ask(f"/metrics/revenue?{period}&creatorId={creator}"))["data"]
            money = revenue["byCurrency"].get(mixture.CURRENCY, {})
            found["transactions"] += money.get("transactionCount", 0)
            found["cents"] += round(100 * money.get("gmv", 0))
        for name in map(quote, mixture.experiments(label)):
            known = await ask(f"/metrics/experiments?{period}&experimentId={name}")
            for one in known["data"]:
                for variant in one["variants"]:
                    found["experiment views"] += variant["views"]
                    found["experiment conversions"] += variant["conversions"]
        found["sessions"] = (await ask(f"/metrics/users?{period}"))["data"]["sessions"]
        health = await ask("/health")
        found[EVENTS] = health["events"] - health["duplicates"]
    except (KeyError, TypeError, AttributeError) as error:
        raise Uncountable(
            f"The server's counts cannot be read: its answers have no {error}. Try --no-check."
        ) from error
    return found


def compare(
    before: Tally, after: Tally, *, acknowledged: Tally, unknown: Tally, shared: bool
) -> list[Row]:
    """Every figure: what it should have grown by, and what it has.

    shared  others may write to the server meanwhile
    """
    return [
        Row(
            figure=figure,
            acknowledged=acknowledged[figure],
            unknown=unknown[figure],
            counted=after[figure] - before[figure],
            verdict=_verdict(
                after[figure] - before[figure],
                acknowledged[figure],
                unknown[figure],
                shared=shared and figure in OF_ALL,
            ),
        )
        for figure in FIGURES
    ]


def _verdict(
    counted: int, acknowledged: int, unknown: int, *, shared: bool
) -> Literal["exact", "within", "others write too", "lost", "too many"]:
    if counted < acknowledged:
        return "lost"
    if counted == acknowledged:
        return "exact"
    if counted <= acknowledged + unknown:
        return "within"
    return "others write too" if shared else "too many"
