"""Questions about figures: from a query string to a whole answer, for all who carry requests.

Quart and the lane both answer by these, so that no client can tell which of the two it got.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Protocol

import trio
from msgspec import Struct

from engine.answers import counters, experiments, marketplace, revenue, services, users
from web import wire
from web.embedding import FAMILIES
from web.errors import NotFound
from web.ingest import NothingAsked
from web.live import CountersAsked, chosen, wanted
from web.wire import Reply

Answering = Callable[..., Awaitable[Any]]
"""Makes the answer's Struct of the route's parameters, those of its path by name."""


class Answers(Protocol):
    """What the engine answers."""

    async def services(self, asked: services.Asked) -> services.Answer: ...
    async def revenue(self, asked: revenue.Asked) -> revenue.Answer: ...
    async def marketplace(self, asked: marketplace.Asked) -> marketplace.Answer: ...
    async def experiments(self, asked: experiments.Asked) -> experiments.Answer: ...
    async def users(self, asked: users.Asked) -> users.Answer: ...
    async def counters(self) -> counters.Values: ...


def families_of(service: Answers) -> dict[str, Answering]:
    """What answers the questions of each family."""
    return {family: getattr(service, family) for family in FAMILIES}


def figures_of(service: Answers) -> dict[str, Answering]:
    """The same and the counters, by the name of the route."""

    async def all_counters(asked: CountersAsked) -> counters.Answer:
        keys = wanted(asked.keys)
        return counters.Answer(data=chosen(await service.counters(), keys))

    async def one_counter(_: NothingAsked, key: str) -> counters.OneAnswer:
        found = await service.counters()
        if key not in found:
            raise NotFound(f"There is no counter {key[:64]!a}; GET /counters lists them all.")
        return counters.OneAnswer(data=counters.One(key=key, value=found[key]))

    return {**families_of(service), "counters": all_counters, "counter": one_counter}


async def replied(
    answering: Answering, asked: type[Struct], query: bytes, **path_parameters: str
) -> Reply:
    """The whole answer. Raises what reading the parameters or answering them raises."""
    found = await answering(wire.question(query, asked), **path_parameters)
    return wire.sent(await whole(wire.pieces(found)))


async def whole(pieces: Iterator[bytes]) -> bytes:
    """All pieces together, each made in a turn of its own; the first in this one."""
    made: list[bytes] = []
    for piece in pieces:
        if made:
            await trio.lowlevel.checkpoint()
        made.append(piece)
    return b"".join(made)
