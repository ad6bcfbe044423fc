"""Sends events in batches over a few kept connections, repeating each until it is acknowledged.

A batch may be sent twice, after a 503 or where a connection broke before its answer: every
event must carry an eventId, by which the server counts it once. Memory is bounded by one batch
for each connection: rows are taken from the iterator only when a connection is free for them.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import orjson
import trio

from load.connection import BROKEN, NOBODY, Answer, Connection, Endpoint, Target, plainly
from load.errors import LoadError, Refused, Unreachable

BATCH_EVENTS_MAX: Final = 25
CONNECTIONS: Final = 16
"""So many batches may be on their way, and share a group and its fsync in the server. Measured
on a busy 2-core machine: 80,000 rows in 8 s with 16 and 22 s with 4, for 6 and 8 s of the
server's CPU; 48 gained nothing more."""

# Overloaded, stopping, disk full, and what a proxy says when the server behind it restarts.
_TRY_AGAIN: Final = frozenset({429, 502, 503, 504, 507})

Row = tuple[int, Mapping[str, Any]]
"""A number that names the event to the user, rising, and the event as the API takes it."""


class Progress(NamedTuple):
    """How far the sending is.

    events       acknowledged, duplicates too
    settled_row  every row up to this one is acknowledged; 0 before the first
    """

    events: int
    settled_row: int


class Patience(NamedTuple):
    """How long trouble is borne: pauses double from `first_s` to `longest_s`."""

    first_s: float = 0.1
    longest_s: float = 5.0
    total_s: float = 60.0


PATIENCE: Final = Patience()


async def send(
    rows: Iterable[Row],
    *,
    target: Target,
    on_progress: Callable[[Progress], None],
    row_label: str = "event",
    connections: int = CONNECTIONS,
    patience: Patience = PATIENCE,
) -> Progress:
    """Send all rows and return once the last is acknowledged.

    on_progress  called after each acknowledged batch, from the event loop: must be quick
    row_label    how a message names a row, such as "flights.csv, row"

    Raises Unreachable, Refused, and what iterating over `rows` raises.
    """
    sending = _Sending(rows, Endpoint.of(target), on_progress, row_label, patience)
    try:
        async with trio.open_nursery() as nursery:
            for _ in range(connections):
                nursery.start_soon(sending.work, nursery.cancel_scope)
    except BaseExceptionGroup as group:
        if group.subgroup(KeyboardInterrupt):
            raise KeyboardInterrupt from None
        raise
    if sending.failure is not None:
        raise sending.failure
    return sending.progress


class _Sending:
    """One call of `send`: what its connections share."""

    def __init__(
        self,
        rows: Iterable[Row],
        endpoint: Endpoint,
        on_progress: Callable[[Progress], None],
        row_label: str,
        patience: Patience,
    ) -> None:
        self.progress = Progress(0, 0)
        self.failure: LoadError | None = None
        self._rows: Iterator[Row] = iter(rows)
        self._endpoint = endpoint
        self._on_progress = on_progress
        self._row_label = row_label
        self._patience = patience
        self._was_answered = False
        self._pause_until = -1.0
        # {number of a batch: last row before it}, in the order of the file, for the batches
        # that are on their way: the first of them is where a second run has to begin.
        self._on_the_way: dict[int, int] = {}
        self._numbers = itertools.count()
        self._last_row = 0

    async def work(self, everyone: trio.CancelScope) -> None:
        """Send batches on one connection until none is left or one of all connections fails."""
        connection = Connection(self._endpoint)
        try:
            while batch := list(itertools.islice(self._rows, BATCH_EVENTS_MAX)):
                number = next(self._numbers)
                self._on_the_way[number], self._last_row = self._last_row, batch[-1][0]
                await self._deliver(connection, batch)
                self._acknowledge(number, len(batch))
        except LoadError as failure:
            # Kept and not raised, so that a caller sees one error and not a group of them.
            self.failure = self.failure or failure
            everyone.cancel()
        finally:
            await connection.close()

    def _acknowledge(self, number: int, events: int) -> None:
        del self._on_the_way[number]
        settled_row = next(iter(self._on_the_way.values()), self._last_row)
        self.progress = Progress(self.progress.events + events, settled_row)
        self._on_progress(self.progress)

    async def _deliver(self, connection: Connection, batch: list[Row]) -> None:
        body = orjson.dumps([event for _, event in batch])
        begun_s = trio.current_time()
        pause_s = self._patience.first_s
        while True:
            # One refusal holds all connections back, and keeps them from running far ahead.
            await trio.sleep_until(self._pause_until)
            wait_s, reason = pause_s, ""
            try:
                answer = await connection.post(body)
            except BROKEN as failure:
                reason = plainly(failure)
                # Nothing there, or nothing that speaks HTTP; a connection that was opened and
                # then cut may be a server on its way up or down.
                if not self._was_answered and isinstance(failure, NOBODY):
                    raise self._unreachable(reason) from None
            else:
                if answer.status == 200:
                    self._must_be_ours(answer)
                    return
                if answer.status not in _TRY_AGAIN:
                    raise self._refused(answer, batch)
                self._was_answered = True
                reason = f"{answer.status}, {answer.detail()}"
                asked_s = answer.retry_after_s()
                wait_s = pause_s if asked_s is None else asked_s
            now_s = trio.current_time()
            if now_s + wait_s - begun_s > self._patience.total_s:
                raise self._gave_up(now_s - begun_s, reason, batch)
            self._pause_until = max(self._pause_until, now_s + wait_s)
            pause_s = min(2 * pause_s, self._patience.longest_s)

    def _must_be_ours(self, answer: Answer) -> None:
        if answer.document().get("success") is not True:
            raise Unreachable(
                f"What answers at {self._endpoint.url} is not Tallymark: its answer to "
                f"POST {self._endpoint.path} has no success in it."
            )
        self._was_answered = True

    def _unreachable(self, reason: str) -> Unreachable:
        return Unreachable(
            f"Nothing answers at {self._endpoint.url}: {reason}. Start the server with "
            f"`tallymark serve`, or name another with --url."
        )

    def _gave_up(self, after_s: float, reason: str, batch: list[Row]) -> Unreachable:
        return Unreachable(
            f"{self._endpoint.url} took nothing for {after_s:.0f} seconds ({reason}). Not "
            f"acknowledged from {self._row_label} {batch[0][0]} on: run the command again "
            f"later, what was acknowledged is not counted twice."
        )

    def _refused(self, answer: Answer, batch: list[Row]) -> Refused:
        detail = answer.detail()
        row = _faulty_row(answer, batch)
        if row is None:
            what = f"{self._endpoint.url} refused {self._row_label} {batch[0][0]} and following"
        else:
            what = f"{self._endpoint.url} refused {self._row_label} {row}"
        return Refused(
            f"{what} with {answer.status}: {detail}",
            status=answer.status,
            detail=detail,
            row=row,
        )


def _faulty_row(answer: Answer, batch: list[Row]) -> int | None:
    match answer.document().get("errors"):
        case [{"index": int(index)}, *_] if 0 <= index < len(batch):
            return batch[index][0]
    return batch[0][0] if len(batch) == 1 else None
