"""Questions about figures: from a query string to a whole answer, for all who carry requests.

Quart and the lane both answer through these, so no client can tell which of the two it got.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final, Protocol

import trio
from msgspec import Struct

from engine.answers import counters, experiments, marketplace, revenue, services, users
from engine.answers.families import FAMILIES
from web import wire
from web.errors import NotFound
from web.live import CountersAsked, chosen, wanted
from web.route import Route
from web.wire import NothingAsked, Reply

Answering = Callable[..., Awaitable[Any]]
"""Makes the answer's Struct of the route's parameters, those of its path by name."""


class Answers(Protocol):
    """What the engine answers."""

    async def services(self, asked: services.Asked) -> services.Answer: ...
    async def revenue(self, asked: revenue.Asked) -> revenue.Answer: ...
    async def marketplace(self, asked: marketplace.Asked) -> marketplace.Answer: ...
    async def experiments(self, asked: experiments.Asked) -> experiments.Answer: ...
    async def users(self, asked: users.Asked) -> users.Answer: ...
    def counters_now(self) -> counters.Values | None: ...
    async def counters(self) -> counters.Values: ...


def families_of(service: Answers) -> dict[str, Answering]:
    """What answers the questions of each family."""
    return {family: getattr(service, family) for family in FAMILIES}


def figures_of(service: Answers) -> dict[str, Answering]:
    """The same and the counters, by the name of the route."""

    def live(tells: Callable[..., Struct]) -> Answering:
        async def answering(asked: Struct, **path_parameters: str) -> Struct:
            return tells(await service.counters(), asked, **path_parameters)

        return answering

    told = {name: live(tells) for name, tells in _LIVE.items()}
    return {**families_of(service), **told}


def _all_counters(found: counters.Values, asked: CountersAsked) -> counters.Answer:
    return counters.Answer(data=chosen(found, wanted(asked.keys)))


def _one_counter(found: counters.Values, _: NothingAsked, key: str) -> counters.OneAnswer:
    if key not in found:
        raise NotFound(f"There is no counter {key[:64]!a}; GET /counters lists them all.")
    return counters.OneAnswer(data=counters.One(key=key, value=found[key]))


_LIVE: Final[dict[str, Callable[..., Struct]]] = {
    "counters": _all_counters,
    "counter": _one_counter,
}
"""What makes answers of live figures, by the name of the route."""


def replied_now(
    service: Answers, route: Route, query: bytes, **path_parameters: str
) -> Reply | None:
    """The whole answer, where nobody has to be waited for. Raises as `replied` does.

    It has 2 KB, too little to compress.
    """
    tells = _LIVE.get(route.name)
    if tells is None:
        return None
    asked = wire.question(query, route.asked)
    found = service.counters_now()
    if found is None:
        return None
    return wire.sent(b"".join(wire.pieces(tells(found, asked, **path_parameters))))


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
