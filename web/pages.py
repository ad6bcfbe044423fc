"""The pages: the dashboard at /, its files, shared dashboards, and the reference at /docs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from engine.config import Config
from web import wire
from web.assets import Asset, cache_of, read_assets
from web.errors import NotFound
from web.grants import must_may
from web.headers import PAGE_HEADERS, frameable
from web.home import home
from web.reference import page_of
from web.wire import Called, NothingAsked, Reply

BUILT: Final = Path(__file__).parent / "static"
"""Where `make ui` puts the page, and a wheel carries it."""

INDEX: Final = "index.html"

STYLE: Final = Path(__file__).parent / "reference.css"

_NOT_BUILT: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Tallymark</title>
<link rel="stylesheet" href="/docs/style.css">
</head>
<body>
<main>
<h1>Tallymark is running</h1>
<p>Events are taken and questions answered. Only the dashboard is missing: this is a copy of the
source in which it has not been built.</p>
<p>Install <strong>Node.js 20 or newer</strong> (with npm), then run this in the folder of the
source and start the service again:</p>
<pre><code>make ui</code></pre>
<p>An installed package has the dashboard in it and needs no Node.js. Until then:
<a href="/docs">all routes</a>, <a href="/health">how the service does</a>,
<a href="/counters">the live counters</a>.</p>
</main>
</body>
</html>
"""


class Pages:
    """The pages of one server, all read before it begins."""

    def __init__(self, config: Config, *, description: dict[str, Any], version: str) -> None:
        self._version = version
        self._built: Mapping[str, Asset] = read_assets(BUILT)
        not_built = Asset.of(_NOT_BUILT.encode(), ".html")
        self._index = self._built.get(INDEX, not_built)
        self._reference = Asset.of(page_of(description).encode(), ".html")
        self._style = Asset.of(STYLE.read_bytes(), ".css")
        self._frameable = frameable(config.embed_ancestors)

    async def home(self, called: Called) -> Reply:
        """GET /: the page for whoever takes HTML, the names of the routes for all others."""
        if "text/html" in (called.header("Accept") or ""):
            return self._index.reply(called, PAGE_HEADERS)
        must_may(called.grant, "read")
        wire.question(called.query, NothingAsked)
        reply = wire.answered(home(self._version))
        return reply._replace(headers=(*reply.headers, ("Vary", "Accept")))

    async def asset(self, called: Called) -> Reply:
        """GET /ui/{path}: a file of the built page."""
        path = called.path["path"]
        found = self._built.get(path)
        if found is None:
            raise NotFound("The page has no such file.")
        return found.reply(called, PAGE_HEADERS, cache=cache_of(path))

    async def shared(self, called: Called) -> Reply:
        """GET /embed/{dashboard}: the page, which asks for what its token opens."""
        return self._index.reply(called, self._frameable)

    async def reference(self, called: Called) -> Reply:
        """GET /docs."""
        return self._reference.reply(called, PAGE_HEADERS)

    async def style(self, called: Called) -> Reply:
        """GET /docs/style.css."""
        return self._style.reply(called, PAGE_HEADERS)
