"""Every view draws the demonstration, in every look, with nothing to complain about."""

from typing import Literal

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    PATIENCE_MS,
    SCREENSHOTS,
    SERIOUS,
    Open,
    event,
    execution,
    settled,
    violations,
)
from tests.server import Server

VIEWS = {
    "overview": "/",
    "services": "/#/services",
    "service": "/#/services/{service}",
    "revenue": "/#/revenue",
    "marketplace": "/#/marketplace",
    "experiments": "/#/experiments",
    "users": "/#/users",
    "dashboards": "/#/dashboards",
    "dashboard": "/#/dashboards/services",
    "editor": "/#/dashboards/services?edit=1",
    "explore": "/#/explore",
    "load": "/#/load",
    "status": "/#/status",
}
SIZES = {1440: 900, 1024: 768, 390: 844}
"""Pixels, across and down, of a desk, a tablet and a phone."""
EXAMINED = {1440, 390}
"""Where axe looks: what is special at 1024 px are widths."""
WIDTHS = [1440, 1200, 1180, 1024, 820, 721, 720, 390, 320]
"""At and beside each border between two layouts."""


def address(server: Server, view: str) -> str:
    """Where a view is; that of a service shows the busiest."""
    if "{service}" not in VIEWS[view]:
        return VIEWS[view]
    (first,) = server.client.get("/metrics/services?limit=1").json()["data"]
    return VIEWS[view].replace("{service}", first["serviceId"])


def visit(page: Page, server: Server, open_page: Open, view: str) -> None:
    open_page(server, address(server, view))
    settled(page)
    expect(page.locator("header .live")).to_contain_text("Live")


def assert_fits(page: Page, what: str = "it") -> None:
    """Nothing scrolls sideways, once the charts have taken the width that they have now."""
    fits = page.evaluate(
        """async (patienceMs) => {
            const page = document.documentElement;
            const end = performance.now() + patienceMs;
            const fits = () => page.scrollWidth <= page.clientWidth;
            do await new Promise(requestAnimationFrame);
            while (!fits() && performance.now() < end);
            return fits();
        }""",
        PATIENCE_MS,
    )
    assert fits, f"{what} scrolls sideways at {page.viewport_size}"


def look_at(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": SIZES[width]})


def assert_is_fit(page: Page, view: str, width: int) -> None:
    """It fits its width, and axe finds nothing serious in it; a picture of it is kept."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    assert_fits(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-theme", scheme)
        page.screenshot(path=SCREENSHOTS / f"{view}-{scheme}-{width}.png", full_page=True)
        if width in EXAMINED:
            assert violations(page, impacts=SERIOUS) == [], scheme


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("view", VIEWS)
def test_a_view_is_fit_to_be_shown(
    demo: Server, page: Page, open_page: Open, view: str, width: int
) -> None:
    look_at(page, width)
    visit(page, demo, open_page, view)
    expect(page.locator("h1")).to_have_count(1)
    assert page.locator(".state.error").all_inner_texts() == []
    assert_is_fit(page, view, width)


def tables_beyond_their_panels(page: Page) -> list[str]:
    """Those that are drawn over what is beside them, and not scrolled in a box of their own."""
    found: list[str] = page.evaluate(
        """(boxes) => [...document.querySelectorAll("main .panel table")]
            .filter((table) => !table.closest(boxes))
            .filter((table) => {
                const panel = table.closest(".panel").getBoundingClientRect();
                return table.getBoundingClientRect().right > panel.right + 1;
            })
            .map((table) => table.getAttribute("aria-label"))""",
        ".scrolls, .cohorts, .twin, .widget-table, .result",
    )
    return found


@pytest.mark.parametrize("view", VIEWS)
def test_no_view_needs_sideways_scrolling(
    demo: Server, page: Page, open_page: Open, view: str
) -> None:
    visit(page, demo, open_page, view)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert_fits(page)
        assert tables_beyond_their_panels(page) == [], width


def test_words_of_forty_letters_and_single_rows_fit(
    server: Server, page: Page, open_page: Open
) -> None:
    name = "Kundendatenverarbeitungsschnittstelle-01"
    sold = {"serviceId": name, "takeRate": 15, "creatorId": name}
    failed = {"success": False, "errorCode": name.upper().replace("-", "_")}
    batch = [
        *[execution(serviceId=name, userId="u-1", **failed)] * 12,  # enough for a notice
        event("revenue_transaction", orderId="o-1", amount=1_000, currency="JPY", **sold),
        event("revenue_transaction", orderId="o-2", amount=0.125, currency="BHD", **sold),
        event("marketplace_search", searchQuery=name),
    ]
    assert server.client.post("/track/batch", json=batch).status_code == 200
    for view in ("overview", "services", "service", "revenue", "marketplace", "users"):
        visit(page, server, open_page, view)
        if view == "service":
            expect(page.locator(".notice")).to_contain_text("Error rate rose")
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert_fits(page)


def columns_that_run_over(page: Page) -> list[str]:
    """The heads that are wider than their columns, and what is named of a table that is cut."""
    found: list[str] = page.evaluate(
        """() => [
            ...[...document.querySelectorAll("main th")]
                .filter((head) => head.scrollWidth > head.clientWidth)
                .map((head) => head.innerText),
            ...[...document.querySelectorAll("main .table-box")]
                .filter((box) => box.scrollWidth > box.clientWidth)
                .map((box) => box.getAttribute("aria-label")),
        ]"""
    )
    return found


@pytest.mark.parametrize("view", ["overview", "services", "revenue", "experiments", "users"])
def test_at_a_desk_every_column_has_room_for_its_head(
    demo: Server, page: Page, open_page: Open, view: str
) -> None:
    visit(page, demo, open_page, view)
    for width in (1440, 1240, 1180, 1024):
        page.set_viewport_size({"width": width, "height": 800})
        assert_fits(page)
        assert columns_that_run_over(page) == [], width


@pytest.mark.parametrize("width", SIZES)
def test_the_first_steps_are_fit_to_be_shown(
    empty: Server, page: Page, open_page: Open, width: int
) -> None:
    look_at(page, width)
    open_page(empty)
    expect(page.get_by_text("Send the first event")).to_be_visible()
    expect(page.locator("header .live")).to_contain_text("Listening")
    assert_is_fit(page, "first-run", width)


def test_the_reference_needs_no_sideways_scrolling_and_says_nothing_wrong(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/docs")
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert_fits(page)
    assert violations(page, impacts=SERIOUS) == []


def test_the_reference_breaks_no_name_on_a_phone(
    demo: Server, page: Page, open_page: Open
) -> None:
    look_at(page, 390)
    open_page(demo, "/docs")
    route = page.locator("section", has=page.get_by_text("/metrics/experiments", exact=True))
    name = route.get_by_text("experimentId", exact=True).bounding_box()
    assert name is not None
    assert name["height"] < 24  # one line
    expect(route.locator("li").first).to_have_text("200 ExperimentsAnswer")


def test_a_kiosk_shows_figures_and_nothing_to_operate(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/#/dashboards/services?kiosk=1")
    settled(page)
    header = page.locator("header")
    expect(header.locator(".live")).to_be_visible()
    expect(header.locator(".period-shown")).to_be_visible()
    expect(header.locator(".controls")).to_be_hidden()


def test_on_paper_charts_are_light_and_no_table_is_longer_than_two_months(
    demo: Server, page: Page, open_page: Open
) -> None:
    page.emulate_media(color_scheme="dark")
    visit(page, demo, open_page, "overview")
    root = page.locator("html")
    expect(root).to_have_attribute("data-theme", "dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print", color_scheme="dark")
    expect(root).to_have_attribute("data-theme", "light")
    expect(page.locator("nav").first).to_be_hidden()
    expect(page.locator(".period-shown")).to_be_visible()
    expect(page.locator(".period-shown")).to_contain_text(", UTC")
    assert page.locator(".twin.many").count() > 0
    assert page.locator(".twin.many:visible").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(root).to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_with_the_systems_colours_what_is_pressed_can_be_told(
    demo: Server, page: Page, open_page: Open, scheme: Literal["light", "dark"]
) -> None:
    page.emulate_media(forced_colors="active", color_scheme=scheme)
    visit(page, demo, open_page, "users")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"users-forced-{scheme}-1440.png", full_page=True)
    ground = "(button) => getComputedStyle(button).backgroundColor"
    segments = page.get_by_role("group", name="Figure")
    pressed = segments.locator("[aria-pressed=true]").evaluate(ground)
    highlight = page.evaluate(
        """() => {
            const probe = document.createElement("div");
            probe.style.cssText = "forced-color-adjust: none; background: Highlight";
            document.body.append(probe);
            return getComputedStyle(probe).backgroundColor;
        }"""
    )
    assert pressed == highlight
    assert pressed != segments.locator("[aria-pressed=false]").first.evaluate(ground)
