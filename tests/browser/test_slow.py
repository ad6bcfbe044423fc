"""A slow network: a frame at once, nothing that jumps, nothing asked for twice."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import PATIENCE_MS, Open
from tests.browser.test_views import SIZES, VIEWS, address
from tests.server import Server, wait_until

LATENCY_MS = 60
BYTES_A_SECOND = 250_000
SHIFT_MAX = 0.1
"""What counts as good on the scale of web.dev/articles/cls; most views have below 0.01."""

WATCH = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, sources } of list.getEntries())
    shifts.push([value, ...sources.map(({ node }) => node?.nodeName + "." + node?.className)]);
}).observe({ type: "layout-shift", buffered: true });
"""


IN_SIGHT = """async (patienceMs) => {
  const isSeen = (part) => {
    const { top, bottom } = part.getBoundingClientRect();
    return bottom > 0 && top < innerHeight;
  };
  const end = performance.now() + patienceMs;
  const isBusy = () => [...document.querySelectorAll("[aria-busy=true]")].some(isSeen);
  while (isBusy() && performance.now() < end) await new Promise(requestAnimationFrame);
  return !isBusy();
}"""
"""Until nothing that a reader sees is loading, without scrolling; false if it never comes."""


class Questions:
    """What is asked while the same is on its way."""

    def __init__(self, page: Page) -> None:
        self.repeated: list[str] = []
        self._open: set[tuple[str, str, str | None]] = set()
        page.on("request", self._asked)
        page.on("requestfinished", self._ended)
        page.on("requestfailed", self._ended)

    @staticmethod
    def _key(request: Request) -> tuple[str, str, str | None]:
        return request.method, request.url, request.post_data

    def _asked(self, request: Request) -> None:
        is_ours = not request.url.endswith("/icon.svg")  # which the browser itself asks for
        if is_ours and self._key(request) in self._open:
            self.repeated.append(request.url)
        self._open.add(self._key(request))

    def _ended(self, request: Request) -> None:
        self._open.discard(self._key(request))


@pytest.fixture
def slow(page: Page) -> Iterator[Page]:
    """A page that gets everything late and slowly."""
    network = page.context.new_cdp_session(page)
    network.send("Network.enable")
    network.send(
        "Network.emulateNetworkConditions",
        {
            "offline": False,
            "latency": LATENCY_MS,
            "downloadThroughput": BYTES_A_SECOND,
            "uploadThroughput": BYTES_A_SECOND,
        },
    )
    page.add_init_script(WATCH)
    yield page
    network.detach()


@pytest.mark.parametrize("width", [1440, 390])
def test_nothing_jumps_while_answers_arrive_and_none_is_asked_for_twice(
    demo: Server, slow: Page, open_page: Open, width: int
) -> None:
    slow.set_viewport_size({"width": width, "height": SIZES[width]})
    questions = Questions(slow)
    for view in VIEWS:
        slow.goto("about:blank")
        open_page(demo, address(demo, view))
        expect(slow.get_by_role("heading", level=1)).to_be_visible()
        assert slow.evaluate(IN_SIGHT, PATIENCE_MS), view
        shifts = slow.evaluate("shifts")
        assert sum(shift[0] for shift in shifts) <= SHIFT_MAX, (view, shifts)
        assert questions.repeated == [], view


def test_the_frame_is_there_before_the_code(demo: Server, page: Page, open_page: Open) -> None:
    held: list[Route] = []
    page.route("**/assets/*.js", lambda route: held.append(route), times=1)
    page.goto(demo.url, wait_until="commit")
    expect(page.get_by_text("Loading …")).to_be_visible()
    assert page.locator(".nav").bounding_box() is not None

    def is_held() -> bool:
        page.wait_for_timeout(10)  # in which what the page asks for comes here
        return bool(held)

    wait_until(is_held)
    held[0].continue_()
    expect(page.get_by_role("heading", level=1, name="Overview")).to_be_visible()
    expect(page.get_by_text("Loading …")).to_have_count(0)
