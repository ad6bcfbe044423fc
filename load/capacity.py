"""The highest rate that a server can hold: doubled until it cannot, then found by bisection."""

from collections.abc import Awaitable, Callable
from typing import Final

import msgspec
from msgspec import Struct

from load.outcome import Outcome
from load.plan import Plan
from load.run import run

P99_MS: Final = 10.0
"""Above it a rate is not held."""

PRECISION: Final = 0.05
FIRST_PER_S: Final = 2_000.0
HIGHEST_PER_S: Final = 2_000_000.0
"""A search that gets here measures its own generator."""

OFFERED: Final = 0.98
"""Share of the rate that must have been acknowledged within the run."""


class Trial(Struct, frozen=True, kw_only=True, rename="camel"):
    """One rate that was tried; `why` says what was not held, None where all was."""

    rate_per_s: float
    acknowledged_per_s: float
    p99: float
    errors: int
    why: str | None

    @property
    def is_held(self) -> bool:
        """Whether the server kept up with it."""
        return self.why is None


class Capacity(Struct, frozen=True, kw_only=True, rename="camel"):
    """What was found: `held_per_s` held, None where nothing did; each trial in its order."""

    held_per_s: float | None
    trials: list[Trial]

    def json(self) -> bytes:
        """As the JSON file holds it."""
        return msgspec.json.format(msgspec.json.encode(self), indent=2)


class Search:
    """The rates to try, by what became of those before.

    Where a rate is held exactly if it does not exceed some capacity, the search ends with a
    rate that is held, and is below the capacity by at most PRECISION of it.
    """

    def __init__(self, first: float) -> None:
        self.held: float | None = None
        self._failed: float | None = None
        self._first = first

    @property
    def next(self) -> float | None:
        """The rate to try now; None when it is found, or nothing is held at all."""
        if self.held is None:
            rate = self._first if self._failed is None else self._failed / 2
            return rate if rate >= 1 else None
        if self._failed is None:
            return self.held * 2 if self.held < HIGHEST_PER_S else None
        if self._failed - self.held <= PRECISION * self.held:
            return None
        return (self.held + self._failed) / 2

    def tell(self, rate: float, *, is_held: bool) -> None:
        """What became of a rate."""
        if is_held:
            self.held = rate if self.held is None else max(self.held, rate)
        else:
            self._failed = rate if self._failed is None else min(self._failed, rate)


async def find(
    plan: Plan,
    *,
    first_per_s: float = FIRST_PER_S,
    p99_ms: float = P99_MS,
    on_trial: Callable[[Trial], None],
    do: Callable[[Plan], Awaitable[Outcome]] = run,
) -> Capacity:
    """Search the highest rate of `plan` whose p99 stays below `p99_ms`, without an error.

    Raises what `load.run.run` raises.
    """
    search = Search(first_per_s)
    trials: list[Trial] = []
    while (rate := search.next) is not None:
        outcome = await do(msgspec.structs.replace(plan, rate_per_s=rate))
        trial = _trial(outcome, rate, p99_ms)
        trials.append(trial)
        on_trial(trial)
        search.tell(rate, is_held=trial.is_held)
    return Capacity(held_per_s=search.held, trials=trials)


def _trial(outcome: Outcome, rate: float, p99_ms: float) -> Trial:
    p99 = outcome.latencies.percentiles["p99"]
    why = None
    if not outcome.is_counted_right:
        why = "the server's counts differ from what it acknowledged"
    elif outcome.errors:
        why = f"{outcome.errors:,} requests refused, lost or not sent"
    elif p99 >= p99_ms:
        why = f"p99 is {p99:.1f} ms"
    elif outcome.rate_per_s < OFFERED * rate:
        why = f"{outcome.rate_per_s:,.0f} events/s came through"
    return Trial(
        rate_per_s=rate,
        acknowledged_per_s=outcome.rate_per_s,
        p99=p99,
        errors=outcome.errors,
        why=why,
    )
