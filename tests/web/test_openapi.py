"""The description says what the application does, all of it and nothing else."""

import re
from pathlib import Path
from typing import Any

import msgspec
import orjson
import pytest

from engine.config import Config
from tests.asked import ANSWERS, EVENTS
from web.app import create_app
from web.control import Control
from web.openapi import describe
from web.routes import ROUTES
from web.service import LateEngine

DESCRIPTION = describe(ROUTES, version="1.2.3")
OPERATIONS = {
    (method.upper(), path): operation
    for path, operations in DESCRIPTION["paths"].items()
    for method, operation in operations.items()
}
API_PAGE = Path(__file__).parents[2] / "docs" / "api.md"


def faults(value: Any, schema: dict[str, Any], at: str = "$", *, whole: bool) -> list[str]:
    """What of `value` is not as its schema says; `whole` asks for required fields too."""
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return faults(value, DESCRIPTION["components"]["schemas"][name], at, whole=whole)
    if "anyOf" in schema:
        tried = [faults(value, kind, at, whole=whole) for kind in schema["anyOf"]]
        return min(tried, key=len)
    if "enum" in schema:
        return [] if value in schema["enum"] else [f"{at}: {value!r}"]
    match schema.get("type"):
        case "object" if isinstance(value, dict):
            return _object_faults(value, schema, at, whole=whole)
        case "array" if isinstance(value, list):
            each = schema.get("prefixItems") or [schema["items"]] * len(value)
            pairs = zip(value, each, strict=True)
            return [f for one, kind in pairs for f in faults(one, kind, f"{at}[]", whole=whole)]
        case kind:
            return [] if _is(value, kind) else [f"{at}: {value!r} is not {kind}"]


def _object_faults(
    value: dict[str, Any], schema: dict[str, Any], at: str, *, whole: bool
) -> list[str]:
    known = schema.get("properties", {})
    found = [f"{at}.{n} is missing" for n in schema.get("required", []) if n not in value]
    found = found if whole else []
    for name, part in value.items():
        inside = known.get(name, schema.get("additionalProperties"))
        if not isinstance(inside, dict):
            found.append(f"{at}.{name} is unknown")
        else:
            found += faults(part, inside, f"{at}.{name}", whole=whole)
    return found


def _is(value: Any, kind: str | None) -> bool:
    kinds: dict[str | None, Any] = {
        "string": str,
        "boolean": bool,
        "integer": int,
        "number": (int, float),
        "null": type(None),
        "object": dict,
        "array": list,
    }
    return isinstance(value, kinds[kind]) and (kind == "boolean" or not isinstance(value, bool))


def body_schema(path: str) -> dict[str, Any]:
    content = OPERATIONS["POST", path]["requestBody"]["content"]
    return content["application/json"]["schema"]


def answer_schema(method: str, path: str) -> dict[str, Any]:
    content = OPERATIONS[method, path]["responses"]["200"]["content"]
    return content["application/json"]["schema"]


def test_every_route_and_method_is_described_and_the_reverse(
    config: Config, control: Control
) -> None:
    app = create_app(LateEngine(config), config, control)
    served = {
        (method, re.sub(r"<(?:rest:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    # HEAD goes with GET, as the description says in words.
    assert {path for method, path in served if method == "HEAD"} == {
        path for method, path in served if method == "GET"
    }
    assert {route for route in served if route[0] != "HEAD"} == set(OPERATIONS)


def test_every_parameter_is_described_and_the_reverse() -> None:
    for route in ROUTES:
        described = OPERATIONS[route.method, route.path].get("parameters", [])
        asked = [("path", field) for field in re.findall(r"{(\w+)}", route.path)] + [
            ("query", field.encode_name) for field in msgspec.structs.fields(route.asked)
        ]
        assert [(one["in"], one["name"]) for one in described] == asked, route.path


def test_every_reference_leads_somewhere() -> None:
    text = orjson.dumps(DESCRIPTION).decode()
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', text))
    assert named == named & set(DESCRIPTION["components"]["schemas"])
    assert not [name for name in named if "." in name]


def test_parameters_alone_are_no_schemas_of_their_own() -> None:
    assert not [name for name in DESCRIPTION["components"]["schemas"] if "Asked" in name]


def test_every_operation_says_how_it_fails() -> None:
    for (method, path), operation in OPERATIONS.items():
        problems = {
            status: answer["content"]
            for status, answer in operation["responses"].items()
            if int(status) >= 400
        }
        assert "500" in problems, (method, path)
        plain = "analytics_engine" in path  # what its clients read
        for status, content in problems.items():
            of_key = "application/json" if status in {"401", "403"} else "text/plain"
            media = of_key if plain else "application/problem+json"
            assert list(content) == [media], (method, path, status)


async def test_what_is_served_is_the_description(config: Config, control: Control) -> None:
    client = create_app(LateEngine(config), config, control).test_client()
    served = orjson.loads(await (await client.get("/openapi.json")).get_data())
    assert served["openapi"] == "3.1.0"
    assert served["paths"] == DESCRIPTION["paths"]


def test_every_route_and_parameter_occurs_in_the_page_for_users() -> None:
    text = " ".join(API_PAGE.read_text().split())
    missing = [route.path for route in ROUTES if f" {route.path}" not in text]
    for route in ROUTES:
        missing += [
            name
            for name in route.asked.__struct_encode_fields__
            if not re.search(rf"\b{name}\b", text)
        ]
    assert missing == []


# -- the examples with which the service was asked for ------------------------------------


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event["eventType"])
def test_each_event_of_the_first_description_is_what_the_schema_takes(
    event: dict[str, Any],
) -> None:
    assert faults(event, body_schema("/track"), whole=True) == []
    assert faults([event, event], body_schema("/track/batch"), whole=True) == []


def test_an_event_without_what_it_needs_is_not_what_the_schema_takes() -> None:
    event = {"eventType": "marketplace_view", "serviceId": 5}
    assert faults(event, body_schema("/track"), whole=True) != []


@pytest.mark.parametrize("route", ANSWERS, ids=lambda route: route[1])
def test_each_answer_of_the_first_description_is_part_of_what_the_schema_gives(
    route: tuple[str, str],
) -> None:
    assert faults(ANSWERS[route], answer_schema(*route), whole=False) == []


REPORT = {"family": "services", "startDate": "2025-10-01", "endDate": "2025-10-03"}


async def _set_up(client: Any) -> tuple[str, str]:
    """A dashboard that shows everything, the token of its link, and a name in the catalog."""
    families = ["services", "revenue", "marketplace", "experiments", "users"]
    widgets = [
        {"kind": "table", "title": "All", "metric": metric}
        for metric in [*families, "counters.views:today"]
    ]
    board = {"name": "Everything", "widgets": widgets}
    made = await (await client.post("/dashboards", json=board)).get_json()
    shared = await client.post(f"/dashboards/{made['data']['id']}/share")
    for kind in ("services", "experiments"):
        await client.put(f"/catalog/{kind}/pricing-test", json={"name": "Pricing"})
    return made["data"]["id"], (await shared.get_json())["data"]["token"]


async def test_what_is_answered_is_what_the_schema_says(
    service: LateEngine, config: Config, control: Control
) -> None:
    config = msgspec.structs.replace(config, load_hooks=True)
    client = create_app(service, config, control).test_client()
    started = await client.post("/load/runs", json={"rate": 1})
    run = orjson.loads(await started.get_data())
    for event in EVENTS:
        assert (await client.post("/track", json=event)).status_code == 200
    assert (await client.post("/track/batch", json=EVENTS)).status_code == 200
    board, token = await _set_up(client)
    report = orjson.loads(await (await client.post("/exports", json=REPORT)).get_data())
    assert (await client.delete("/users/anna")).status_code == 202
    wrong = {}
    for route in ROUTES:
        if route.method != "GET" or route.answer is None:
            continue
        path = route.path.replace("{key}", "views:today").replace("{dashboard}", board)
        path = (
            path.replace("{userId}", "anna")
            .replace("{run}", run["data"]["id"])
            .replace("{report}", report["id"])
        )
        path = path.replace("{id}", board if "dashboards" in path else "pricing-test")
        always = f"?token={token}" if "/embed/" in path else "?"
        always += "&keys=views:today" if path.endswith("/counters") else ""
        queries = ["", "&granularity=day&compare=previous"] if "/metrics/" in path else [""]
        for query in (always + query for query in queries):
            reply = await client.get(path + query)
            answer = orjson.loads(await reply.get_data())
            if reply.status_code != 200:
                wrong[path + query] = [answer["detail"]]
            else:
                found = faults(answer, answer_schema("GET", route.path), whole=True)
                wrong |= {path + query: found} if found else {}
    assert wrong == {}
