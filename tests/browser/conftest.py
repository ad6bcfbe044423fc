"""A real browser on a real server, and whatever its console complains about fails the test.

Playwright drives the chromium of the system; it never downloads one. Nothing here is async:
Playwright's loop and Trio's stay apart, as the server is a process of its own.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import ConsoleMessage, Page, Request, expect

from tests.server import ROOT, Server, tallymark

SCREENSHOTS = ROOT / "build" / "screenshots"
PATIENCE_MS = 30_000
"""When to believe that something hangs; no promise about speed."""

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="session")
def base_url() -> None:
    """Ours have many; and the plugin's own fixture is made in a way of which pytest warns."""


@pytest.fixture(scope="session")
def browser_type_launch_args(browser_type_launch_args: dict[str, Any]) -> dict[str, Any]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found, "The tests in a browser need chromium: apt-get install chromium fonts-inter."
    # In containers: no sandbox as root, little shared memory, no GPU.
    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    return {**browser_type_launch_args, "executable_path": found, "args": flags}


@pytest.fixture(scope="session")
def browser_context_args(browser_context_args: dict[str, Any]) -> dict[str, Any]:
    return {
        **browser_context_args,
        "viewport": {"width": 1440, "height": 900},
        "locale": "en-US",
        "timezone_id": "UTC",
        "color_scheme": "light",
        "reduced_motion": "reduce",
    }


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A ready server on an empty folder, with all that the page may ask for."""
    with Server(tmp_path / "data", "--archive") as running:
        yield running


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with five weeks of a small marketplace, for tests that only look."""
    options = ("--durability", "none", "--archive", "--load-hooks")
    with Server(tmp_path_factory.mktemp("demo") / "data", *options) as running:
        words = ("--days", "35", "--services", "16", "--users", "800")
        done = tallymark("demo", "--url", running.url, *words)
        assert done.returncode == 0, done.stderr
        yield running
        if running.stop() != 0:
            raise AssertionError("\n".join(map(str, running.log)))


@dataclass
class Complaints:
    """What a page says on its console, throws, asks of other hosts, or is refused."""

    url: str
    served: set[str]
    found: list[str] = field(default_factory=list)
    expected: list[str] = field(default_factory=list)

    def expect(self, pattern: str) -> None:
        """From now on this is no complaint: a test that breaks something on purpose."""
        self.expected.append(pattern)

    def listen(self, page: Page) -> None:
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.found.append(f"thrown: {error}"))
        page.on("request", self._asked)

    @property
    def left(self) -> list[str]:
        return [one for one in self.found if not any(re.search(p, one) for p in self.expected)]

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        path = urlsplit(message.location.get("url", "")).path
        if "404" in message.text and path not in self.served:
            return  # a part that may be left out; the page asks whether it is there
        self.found.append(f"{message.type}: {message.text} ({path})")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.found.append(f"asked another host: {request.url}")


Open = Callable[..., Page]


@pytest.fixture
def complaints() -> Complaints:
    return Complaints(url="", served=set())


@pytest.fixture
def open_page(page: Page, complaints: Complaints) -> Iterator[Open]:
    """Open an address of a server: `open_page(server, "/#/services?range=7d")`."""
    complaints.listen(page)

    def opened(server: Server, path: str = "/") -> Page:
        complaints.url = server.url
        complaints.served = set(server.client.get("/openapi.json").json()["paths"])
        page.goto(server.url + path)
        return page

    yield opened
    assert complaints.left == []


def event(kind: str, **fields: Any) -> dict[str, Any]:
    """An event of today."""
    return {"eventType": kind, **fields}


def execution(**fields: Any) -> dict[str, Any]:
    return event(
        "service_execution", **{"serviceId": "s-1", "latencyMs": 12, "success": True} | fields
    )


def archived(server: Server) -> None:
    """Wait until raw rows can be asked; the archive comes up after the server."""
    while server.client.post("/sql?fresh=1", content="SELECT 1").status_code == 503:
        pass


def settled(page: Page) -> None:
    """Wait until no part is loading any more; what loads when it comes into sight is shown."""
    expect(page.locator("main")).to_be_visible()
    page.evaluate(
        """async (patienceMs) => {
            const end = performance.now() + patienceMs;
            for (;;) {
                const busy = document.querySelector('[aria-busy="true"]');
                if (busy === null || performance.now() > end) break;
                busy.scrollIntoView();
                await new Promise(requestAnimationFrame);
            }
            scrollTo(0, 0);
        }""",
        PATIENCE_MS,
    )
    expect(page.locator('[aria-busy="true"]')).to_have_count(0)


def axe() -> str:
    """The source of axe-core, as npm has installed it."""
    path = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
    return path.read_text()
