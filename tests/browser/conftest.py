"""A real browser on a real server, and whatever its console complains about fails the test.

Playwright drives the chromium of the system; it never downloads one. Nothing here is async:
Playwright's loop and Trio's stay apart, as the server is a process of its own.
"""

import fcntl
import functools
import itertools
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import APIResponse, ConsoleMessage, Page, Request, Route, expect

from tests.server import ROOT, Server, patiently, tallymark, wait_until

SCREENSHOTS = ROOT / "build" / "screenshots"
PATIENCE_MS = 60_000
"""When to believe that something hangs; no promise about speed."""

SERIOUS = frozenset({"serious", "critical"})
IMPACTS = SERIOUS | {"moderate", "minor"}

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


def serving(data: Path, *options: str) -> Server:
    """With all that the page may ask for, and queries that are not ended on a busy machine."""
    return Server(data, "--archive", *options, variables={"TALLYMARK_SQL_DEADLINE_S": "60"})


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A ready server on an empty folder."""
    with serving(tmp_path / "data") as running:
        yield running


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that never has an event, for tests that only look."""
    with serving(tmp_path_factory.mktemp("empty") / "data") as running:
        yield running


DEMO_OPTIONS = ("--durability", "none", "--load-hooks")


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Server]:
    """A server with five weeks of a small marketplace, for tests that only look."""
    with demonstrating(tmp_path_factory, worker_id) as running:
        yield running


@contextmanager
def demonstrating(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Server]:
    """A server of its own with the demonstration; it must stop without complaint."""
    own = tmp_path_factory.mktemp("demo") / "data"
    run = tmp_path_factory.getbasetemp()
    shutil.copytree(demonstration(run if worker_id == "master" else run.parent), own)
    with serving(own, *DEMO_OPTIONS) as running:
        yield running
        assert running.stop() == 0, "\n".join(map(str, running.log))


def demonstration(shared: Path) -> Path:
    """The data folder of the demonstration: whoever comes first makes it, for all workers."""
    data = shared / "demonstration" / "data"
    with (shared / "demonstration.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not data.exists():
            with serving(data, *DEMO_OPTIONS) as making:
                words = ("--days", "35", "--services", "16", "--users", "800")
                done = tallymark("demo", "--url", making.url, *words)
                assert done.returncode == 0, done.stderr
                assert making.stop() == 0, "\n".join(map(str, making.log))
    return data


@dataclass
class Complaints:
    """What a page says on its console, throws, asks of other hosts, or is refused."""

    url: str
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
        self.found.append(f"{message.type}: {message.text} ({path})")

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.found.append(f"asked another host: {request.url}")


Open = Callable[..., Page]


@pytest.fixture
def complaints() -> Complaints:
    return Complaints(url="")


@pytest.fixture
def open_page(page: Page, complaints: Complaints) -> Iterator[Open]:
    """Open an address of a server: `open_page(server, "/#/services?range=7d")`."""
    complaints.listen(page)

    def opened(server: Server, path: str = "/") -> Page:
        complaints.url = server.url
        page.set_default_timeout(PATIENCE_MS)
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
    sql = "SELECT count() AS n FROM events"
    patiently(lambda: server.client.post("/sql?fresh=1", content=sql)).raise_for_status()


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


@contextmanager
def held_back(page: Page, pattern: str, *, nth: int = 0) -> Iterator[Callable[[], None]]:
    """The answer to one GET, the first or that `nth`, comes last; yields what waits for it."""
    held: list[tuple[Route, APIResponse]] = []
    numbers = itertools.count()

    def hold(route: Route) -> None:
        if route.request.method == "GET" and next(numbers) == nth:
            held.append((route, route.fetch()))
        else:
            route.continue_()

    def is_held() -> bool:
        page.wait_for_timeout(10)  # in which what the page asks for comes here
        return bool(held)

    page.route(pattern, hold)
    yield lambda: wait_until(is_held)
    wait_until(is_held)
    ((route, answer),) = held
    route.fulfill(response=answer)
    page.unroute(pattern)


def press_at_once(page: Page, *keys: str) -> None:
    """Keys in no time: pressed one by one on a busy machine, a pair may be too slow for one."""
    page.evaluate(
        """(keys) => {
            const options = { bubbles: true, cancelable: true };
            for (const key of keys) {
                const press = new KeyboardEvent("keydown", { key, ...options });
                document.activeElement.dispatchEvent(press);
            }
        }""",
        keys,
    )


def violations(page: Page, *, impacts: frozenset[str] = IMPACTS) -> list[dict[str, Any]]:
    """What axe-core finds of such an impact: the rule, and where it is broken."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(_axe())  # not as a script of the page, which its policy would not run
    found: list[dict[str, Any]] = page.evaluate(
        """async (impacts) => {
            const { violations } = await axe.run({ resultTypes: ["violations"] });
            return violations
                .filter(({ impact }) => impacts.includes(impact))
                .map(({ id, nodes }) => ({ id, at: nodes.map(({ target }) => target) }));
        }""",
        sorted(impacts),
    )
    return found


@functools.cache
def _axe() -> str:
    """The source of axe-core, as npm has installed it."""
    path = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
    return path.read_text()
