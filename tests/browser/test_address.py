"""The address holds what is looked at: period, filter, theme; back and reload keep it."""

import datetime as dt
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, press_at_once, settled
from tests.server import Server


def asked(page: Page, path: str) -> list[str]:
    """The addresses below `path` that the page has asked for so far."""
    urls = page.evaluate("performance.getEntriesByType('resource').map(one => one.name)")
    return [url for url in urls if path in url]


def test_the_range_in_the_address_is_the_one_that_is_asked_for(
    demo: Server, open_page: Open
) -> None:
    first, last = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days) for days in (9, 5))
    page = open_page(demo, f"/#/revenue?range={first}..{last}")
    settled(page)
    assert [url for url in asked(page, "/metrics/revenue") if f"startDate={first}" in url]
    expect(page.locator("header")).to_contain_text(f"{first:%b} {first.day}")


def test_a_chosen_range_is_written_into_the_address_and_back_undoes_it(
    demo: Server, open_page: Open
) -> None:
    page = open_page(demo, "/#/revenue")
    settled(page)
    page.locator("header [aria-haspopup=dialog]").click()
    page.get_by_role("dialog", name="Period").get_by_text("Last 7 days").click()
    expect(page).to_have_url(re.compile("range=7d"))
    page.reload()
    settled(page)
    expect(page.locator("header")).to_contain_text("Last 7 days")
    page.go_back()
    expect(page).not_to_have_url(re.compile("range=7d"))


@pytest.mark.parametrize(
    ("view", "odd", "told"),
    [
        ("revenue", "granularity=fortnight", "granularity"),
        ("", "compare=yesteryear", "compare"),
        ("marketplace", "range=soon", "range"),
        ("services", "tz=Mars/Olympus", "time zone"),
        ("services", "sort=-foo", "sort"),
        ("revenue", "currency=euros", "currency"),
    ],
)
def test_a_value_that_means_nothing_is_told_and_taken_out_of_the_address(
    demo: Server, open_page: Open, view: str, odd: str, told: str
) -> None:
    page = open_page(demo, f"/#/{view}?{odd}&kiosk=1")
    value = odd.partition("=")[2]
    expect(page.locator(".toast")).to_contain_text(f"“{value}” is no {told} that this page")
    expect(page).to_have_url(f"{demo.url}/#/{view}?kiosk=1")
    settled(page)
    expect(page.locator(".toast")).to_have_count(1)
    assert page.locator(".state.error").all_inner_texts() == []


def test_an_address_of_no_view_is_told_and_put_right(demo: Server, open_page: Open) -> None:
    page = open_page(demo, "/#/nowhere/at-all?range=28d")
    expect(page.locator(".toast")).to_contain_text("There is no view “nowhere/at-all”.")
    expect(page).to_have_url(f"{demo.url}/#/?range=28d")
    expect(page.locator("h1")).to_have_text("Overview")
    settled(page)


def test_the_overview_may_be_asked_for_by_its_name(demo: Server, open_page: Open) -> None:
    page = open_page(demo, "/#/overview?range=28d")
    expect(page).to_have_url(f"{demo.url}/#/?range=28d")
    settled(page)
    expect(page.locator(".toast")).to_have_count(0)


def test_a_search_in_the_services_narrows_the_table(demo: Server, open_page: Open) -> None:
    page = open_page(demo, "/#/services")
    settled(page)
    names = [row["serviceName"] for row in demo.client.get("/metrics/services").json()["data"]]
    page.locator("[data-search]").fill(names[0])
    expect(page.locator("main tbody tr")).to_have_count(
        sum(names[0].lower() in name.lower() for name in names)
    )


def test_the_theme_of_the_system_is_taken_and_a_choice_outlives_a_reload(
    demo: Server, open_page: Open
) -> None:
    page = open_page(demo)
    page.emulate_media(color_scheme="dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name=re.compile("^Theme")).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


def test_the_whole_page_is_small_and_asks_nobody_else(demo: Server, open_page: Open) -> None:
    page = open_page(demo)
    settled(page)
    sizes = page.evaluate(
        """performance.getEntriesByType("resource")
            .concat(performance.getEntriesByType("navigation"))
            .filter((one) => /[/](ui[/].*)?$/.test(new URL(one.name).pathname))
            .map((one) => one.encodedBodySize)"""
    )
    assert sizes
    assert sum(sizes) <= 300 * 1024


def test_it_can_be_used_by_keyboard_alone(demo: Server, open_page: Open) -> None:
    page = open_page(demo, "/#/services")
    settled(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=re.compile("Skip"))).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("d")
    period = page.get_by_role("dialog", name="Period")
    expect(period).to_be_visible()
    page.keyboard.press("Escape")
    expect(period).to_be_hidden()
    press_at_once(page, "g", "m")
    expect(page.locator("h1")).to_have_text("Marketplace")
    page.keyboard.press("c")
    expect(page).to_have_url(re.compile("compare=off"))
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    page.go_back()
    page.go_back()
    expect(page.locator("h1")).to_have_text("Services")
    page.locator("main tbody tr a").first.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("#/services/."))
