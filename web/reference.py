"""The page /docs: the OpenAPI description as one HTML page, made once, without any script."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any, Final

Json = dict[str, Any]

_METHODS: Final = ("get", "post", "put", "delete", "options")

_HEAD: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tallymark: all routes</title>
<link rel="icon" href="/ui/icon.svg">
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<a class="skip" href="#routes">Skip to the routes</a>
"""


def page_of(description: Json) -> str:
    """The whole page."""
    info = description["info"]
    return "".join(
        [
            _HEAD,
            f"<header><h1>{escape(info['title'])} {escape(info['version'])}</h1>",
            f"<p>{escape(info['description'])} The same for machines: ",
            '<a href="/openapi.json">/openapi.json</a>.</p></header>\n',
            f"<nav aria-label='Routes'><ul>{''.join(_contents(description))}</ul></nav>\n",
            '<main id="routes">\n<h2>Routes</h2>\n',
            *_operations(description),
            '<h2 id="types">Types</h2>\n',
            *_types(description["components"]["schemas"]),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _each(description: Json) -> Iterator[tuple[str, str, Json]]:
    for path, operations in description["paths"].items():
        for method in _METHODS:
            if method in operations:
                yield method.upper(), path, operations[method]


def _contents(description: Json) -> Iterator[str]:
    for method, path, operation in _each(description):
        name = escape(operation["operationId"])
        yield f'<li><a href="#{name}"><b>{method}</b> {escape(path)}</a></li>'


def _operations(description: Json) -> Iterator[str]:
    for method, path, operation in _each(description):
        name = escape(operation["operationId"])
        yield f'<section id="{name}"><h3><b>{method}</b> <code>{escape(path)}</code></h3>\n'
        yield f"<p>{escape(operation['summary'])}</p>\n"
        if "parameters" in operation:
            yield from _parameters(operation["parameters"])
        if "requestBody" in operation:
            yield from _body(operation["requestBody"])
        yield from _answers(operation["responses"])
        yield "</section>\n"


def _parameters(parameters: list[Json]) -> Iterator[str]:
    yield "<table><thead><tr><th>parameter</th><th>in</th><th>type</th><th>meaning</th></tr>"
    yield "</thead><tbody>"
    for one in parameters:
        name = escape(one["name"]) + (" (required)" if one["required"] else "")
        meaning = escape(one.get("description", ""))
        yield f"<tr><td><code>{name}</code></td><td>{one['in']}</td>"
        yield f"<td>{_type(one['schema'])}</td><td>{meaning}</td></tr>"
    yield "</tbody></table>\n"


def _body(body: Json) -> Iterator[str]:
    media, content = next(iter(body["content"].items()))
    kinds = " or ".join(map(escape, body["content"]))
    yield f"<p>Body, {kinds}: {_type(content['schema'])}</p>\n" if media else ""


def _answers(responses: Json) -> Iterator[str]:
    yield "<ul>"
    for status, answer in sorted(responses.items()):
        kinds = [_type(one["schema"]) for one in answer.get("content", {}).values()]
        told = kinds[0] if kinds and int(status) < 300 else ""
        yield f"<li><code>{status}</code> {told or escape(answer['description'])}</li>"
    yield "</ul>\n"


def _types(schemas: Json) -> Iterator[str]:
    for name, schema in sorted(schemas.items()):
        yield f'<section id="type-{escape(name)}"><h3>{escape(name)}</h3>\n'
        if "description" in schema:
            yield f"<p>{escape(schema['description'])}</p>\n"
        if "properties" in schema:
            yield "<table><thead><tr><th>field</th><th>type</th></tr></thead><tbody>"
            required = schema.get("required", ())
            for field, kind in schema["properties"].items():
                told = escape(field) + ("" if field in required else "?")
                yield f"<tr><td><code>{told}</code></td><td>{_type(kind)}</td></tr>"
            yield "</tbody></table>\n"
        else:
            yield f"<p>{_type(schema)}</p>\n"
        yield "</section>\n"


def _type(schema: Json) -> str:
    """A type in words, a named one as a link to where it is explained."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#type-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(map(_type, schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    kind = schema.get("type", "")
    if kind == "array":
        items = schema.get("items")
        return f"list of {_type(items)}" if isinstance(items, dict) else "list"
    limits = {name: schema[name] for name in _LIMITS if name in schema}
    told = ", ".join(f"{_LIMITS[name]} {json.dumps(one)}" for name, one in limits.items())
    return escape(f"{kind} ({told})" if told else str(kind))


_LIMITS: Final = {
    "minimum": "from",
    "maximum": "to",
    "exclusiveMaximum": "below",
    "minLength": "length from",
    "maxLength": "length to",
    "default": "default",
}
