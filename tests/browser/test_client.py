"""The TypeScript client on a page of another origin: what waits when the page goes arrives."""

import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import PATIENCE_MS
from tests.clients.typescript.package import install_into
from tests.server import PATIENCE_S, Server

PAGE = """<!doctype html><title>A site</title><script type="module">
import { createClient, trackMarketplaceView as view } from
  "./node_modules/@tallymark/client/dist/index.js";
const url = new URLSearchParams(location.search).get("url");
window.client = createClient({ url, key: "public", flushIntervalMs: 3_600_000 });
window.view = (serviceId, category) => client.track(view({ serviceId, category }));
</script>"""


class Site(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a site that has the client installed."""
    folder: Path = tmp_path_factory.mktemp("site")
    install_into(folder)
    (folder / "index.html").write_text(PAGE)
    listener = ThreadingHTTPServer(("127.0.0.1", 0), partial(Site, directory=str(folder)))
    thread = threading.Thread(target=listener.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{listener.server_port}"
    listener.shutdown()
    listener.server_close()
    thread.join(PATIENCE_S)


def opened(page: Page, site: str, server: Server) -> None:
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{site}/?url={server.url}")
    page.wait_for_function("window.view !== undefined")


def views(server: Server) -> int:
    return int(server.client.get("/metrics/marketplace").json()["data"]["views"])


def wait_for_views(server: Server, count: int) -> None:
    """Follow the live stream, an update a second, until so many are counted."""
    updates = 0
    with server.client.stream("GET", "/stream?keys=views:today") as stream:
        for line in stream.iter_lines():
            if f'"views:today":{count}' in line:
                return
            updates += "update" in line
            assert updates < PATIENCE_S, line


def test_a_page_of_another_origin_sends_with_a_key(
    page: Page, site: str, server: Server
) -> None:
    opened(page, site, server)
    assert page.evaluate("view('s-1'), client.flush(60_000)")
    assert page.evaluate("client.stats.delivered") == 1
    assert views(server) == 1


def test_what_waits_when_the_page_is_left_arrives_by_beacon(
    page: Page, site: str, server: Server
) -> None:
    opened(page, site, server)
    page.evaluate("for (let n = 0; n < 24; n++) view('s-1', 'x'.repeat(2000))")
    assert views(server) == 0
    page.goto("about:blank")
    wait_for_views(server, 24)
