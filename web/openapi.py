"""The OpenAPI 3.1 description, made from the route table and the Structs that do the work."""

from collections.abc import Iterable
from typing import Any, Final

import msgspec
from msgspec import Struct

from engine.errors import TallymarkError
from web import wire
from web.errors import BadRequest, Forbidden, Misdirected, RateLimited, Unauthorized
from web.route import Refusals, Route
from web.visits import COOKIE
from web.wire import INTERNAL, JSON, PROBLEM_JSON, Problem

ANY_ROUTE: Final = (BadRequest, Misdirected)
"""Refusals that every route may give, besides the 500 of a bug."""

WITH_KEYS: Final = (Unauthorized, Forbidden, RateLimited)
"""Refusals of every route that asks for a key, where there are keys."""

_OF_CREDENTIALS: Final = (Unauthorized.status, Forbidden.status)

DESCRIPTION: Final = (
    "Real-time analytics for marketplaces. HEAD works wherever GET does. Parameters that are "
    "unknown, empty or given twice are refused. New fields may be added to an answer, none is "
    "renamed. Every refusal is application/problem+json, except on the path of Analytics "
    "Engine: there it is text/plain, and for credentials (401, 403) application/json."
)

SECURITY: Final = {
    "key": {"type": "http", "scheme": "bearer"},
    "beacon": {"type": "apiKey", "in": "query", "name": "key"},
    "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    "token": {"type": "apiKey", "in": "query", "name": "token"},
}
"""The ways to present a key, where there are keys."""

_REF_PREFIX: Final = "#/components/schemas/"
_REF: Final = _REF_PREFIX + "{name}"

Json = dict[str, Any]


def describe(routes: Iterable[Route], *, version: str) -> Json:
    """The description of `routes`, ready to be encoded."""
    routes = tuple(routes)
    schemas = _Schemas(routes)
    paths: dict[str, Json] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Tallymark", "version": version, "description": DESCRIPTION},
        "paths": paths,
        "components": {"schemas": schemas.components, "securitySchemes": SECURITY},
    }


class _Schemas:
    """The JSON Schemas of all types that the routes name."""

    def __init__(self, routes: Iterable[Route]) -> None:
        types: list[Any] = [Problem]
        for route in routes:
            types += [route.asked, *route.takes]
            if route.answer is not None:
                types.append(route.answer)
        schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
        self._by_type = list(zip(types, map(_readable, schemas), strict=True))
        self.components: Json = {
            _short(name): _readable(schema) | {"title": _short(name)}
            for name, schema in components.items()
        }
        for asked in {route.asked for route in routes}:
            # Its fields stand as parameters; as an object it is never on the wire.
            self.components.pop(self._name(asked))

    def of(self, kind: Any) -> Json:  # noqa: ANN401  # a type, or a union of types
        """The schema of a type, most often a reference."""
        return next(schema for one, schema in self._by_type if one == kind)

    def _name(self, kind: Any) -> str:  # noqa: ANN401  # as above
        return str(self.of(kind)["$ref"]).rpartition("/")[2]


def _short(name: str) -> str:
    """`ServicesAnswer` for `engine.answers.services.Answer`, to keep namesakes apart."""
    *_, family, own = ("", *name.split("."))
    return family.capitalize() + own


def _readable(schema: Any) -> Any:  # noqa: ANN401  # any JSON
    """A schema whose references have short names."""
    if isinstance(schema, list):
        return [_readable(part) for part in schema]
    if isinstance(schema, dict):
        return {key: _readable(part) for key, part in schema.items()}
    if isinstance(schema, str) and schema.startswith(_REF_PREFIX):
        return _REF.format(name=_short(schema.removeprefix(_REF_PREFIX)))
    return schema


def _operation(route: Route, schemas: _Schemas) -> Json:
    operation: Json = {
        "operationId": route.name,
        "summary": route.summary,
        "responses": {str(route.status): _answer(route, schemas)} | _problems(route, schemas),
    }
    if route.role != "open":
        operation["description"] = f"If the server has keys: needs one of role {_roles(route)}."
        operation["security"] = [{way: []} for way in _ways(route)]
    parameters = [_path_parameter(name) for name in route.path_parameters]
    parameters += _query_parameters(route.asked)
    if parameters:
        operation["parameters"] = parameters
    if route.takes:
        bodies = [schemas.of(kind) for kind in route.takes]
        schema = bodies[0] if len(bodies) == 1 else {"anyOf": bodies}
        operation["requestBody"] = {
            "required": True,
            "content": {media: {"schema": schema} for media in route.takes_media},
        }
    return operation


def _roles(route: Route) -> str:
    return "admin" if route.role == "admin" else f"{route.role} or admin"


def _ways(route: Route) -> list[str]:
    """The ways to present a key for this route."""
    ways = ["key", "beacon" if route.role == "write" else "session"]
    return [*ways, "token"] if route.takes_token else ways


def _answer(route: Route, schemas: _Schemas) -> Json:
    if route.media is None:
        return {"description": route.summary}
    schema = {} if route.answer is None else schemas.of(route.answer)
    content = {media: {"schema": schema} for media in (route.media, *route.formats)}
    return {"description": route.summary, "content": content}


def _problems(route: Route, schemas: _Schemas) -> Json:
    asked = () if route.role == "open" else WITH_KEYS
    refusals: Refusals = (*dict.fromkeys((*route.refusals, *asked, *ANY_ROUTE)),)
    problem = {PROBLEM_JSON: {"schema": schemas.of(Problem)}}
    of_credentials = problem
    if route.plain:
        problem = {"text/plain": {"schema": {"type": "string"}}}
        of_credentials = {JSON: {"schema": {"type": "object"}}}
    titles: dict[int, list[str]] = {}
    for refusal in refusals:
        titles.setdefault(refusal.status, []).append(refusal.title)
    titles[INTERNAL.status] = [INTERNAL.title]
    return {
        str(status): {
            "description": ", or ".join(titles[status]) + ".",
            "content": of_credentials if status in _OF_CREDENTIALS else problem,
        }
        for status in sorted(titles)
    }


def _path_parameter(name: str) -> Json:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _query_parameters(asked: type[Struct]) -> list[Json]:
    _, components = msgspec.json.schema_components([asked])
    (schema,) = components.values()
    return [
        _query_parameter(name, field, required=name in schema["required"])
        for name, field in schema["properties"].items()
    ]


def _query_parameter(name: str, field: Json, *, required: bool) -> Json:
    # In a query there is no null: a parameter that may be None may be left out.
    kinds = [kind for kind in field.get("anyOf", [field]) if kind != {"type": "null"}]
    schema = dict(kinds[0]) if len(kinds) == 1 else {"anyOf": kinds}
    default = field.get("default")
    if default is not None:
        schema["default"] = default
    parameter: Json = {"name": name, "in": "query", "required": required, "schema": schema}
    if "description" in schema:
        parameter["description"] = schema.pop("description")
    return parameter


def every_refusal(routes: Iterable[Route]) -> set[type[TallymarkError]]:
    """All refusals that any of the routes may give."""
    return {*ANY_ROUTE, *WITH_KEYS}.union(*(route.refusals for route in routes))


def encoded(routes: Iterable[Route], *, version: str) -> bytes:
    """The description as it is sent."""
    return wire.encode(describe(routes, version=version))
