"""One row of the route table."""

from dataclasses import dataclass
from typing import Any

from msgspec import Struct
from werkzeug.routing import BaseConverter

from engine.errors import TallymarkError
from web.grants import Needed
from web.wire import NothingAsked

Refusals = tuple[type[TallymarkError], ...]


class Rest(BaseConverter):
    """All the rest of a path, whatever it holds: Werkzeug's `path` takes no slash to begin
    with, and no line end."""

    part_isolating = False
    regex = "(?s:.+)"
    weight = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method of one path.

    name      of the handler in `web.handlers`, and the operationId
    role      what a key must be allowed, where there are keys; "open" needs none
    path      with {name} where a part of it is a parameter
    asked     the Struct of its query parameters
    answer    the type of its answer's body; None where that is not JSON of ours
    media     the media type of the answer; None where there is no body
    formats   the others that it may have instead
    takes     the types that its body may have; empty where it reads none
    refusals  besides those that any route may give
    plain     whether refusals are plain text, those of credentials JSON, and not problem+json
    rest      whether its last parameter is all the rest of the path, slashes too
    is_asking  whether it only asks, though it is no GET: pages of `cors_origins` may do so
    packs     whether its answers are compressed for clients that accept it: nothing in them is
              secret to whoever may ask
    takes_token  whether `?token=` of POST /stream/tokens opens it
    """

    name: str
    method: str
    path: str
    summary: str
    role: Needed
    asked: type[Struct] = NothingAsked
    answer: Any = None
    media: str | None = "application/json"
    formats: tuple[str, ...] = ()
    status: int = 200
    takes: tuple[Any, ...] = ()
    takes_media: tuple[str, ...] = ()
    refusals: Refusals = ()
    plain: bool = False
    rest: bool = False
    is_asking: bool = False
    packs: bool = False
    takes_token: bool = False

    @property
    def path_parameters(self) -> tuple[str, ...]:
        """The names of the parts of the path that vary."""
        parts = self.path.split("/")
        return tuple(part[1:-1] for part in parts if part.startswith("{"))

    @property
    def pattern(self) -> str:
        """The path as Quart's router takes it."""
        pattern = self.path.replace("{", "<").replace("}", ">")
        if self.rest:
            head, _, last = pattern.rpartition("<")
            return f"{head}<rest:{last}"
        return pattern

    @property
    def only_asks(self) -> bool:
        """Whether it changes nothing, so that its answer may be refused once it is made."""
        return self.method == "GET" or self.is_asking

    @property
    def is_shared(self) -> bool:
        """Whether pages of `cors_origins` may read its answers."""
        return self.role == "read" and self.only_asks
