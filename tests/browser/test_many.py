"""A thousand services: the table stays short, and finds, sorts and turns its pages at once."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, execution, serving, settled
from tests.browser.test_views import WIDTHS, assert_fits
from tests.server import Server

SERVICES = 1_000
PAGE_ROWS = 50
BATCH = 25
FIRST, SECOND = re.compile("1 . 50 of 1,000"), re.compile("51 . 100 of 1,000")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One execution each, and one more of s-0777; every tenth fails."""
    with serving(tmp_path_factory.mktemp("many") / "data") as running:
        for at in range(0, SERVICES, BATCH):
            calls = [
                execution(
                    serviceId=f"s-{no:04}",
                    serviceName=f"Service number {no}",
                    latencyMs=no,
                    **({} if no % 10 else {"success": False, "errorCode": "TIMEOUT"}),
                    category=f"c-{no % 7}",
                )
                for no in range(at, at + BATCH)
            ]
            assert running.client.post("/track/batch", json=calls).status_code == 200
        busiest = [execution(serviceId="s-0777", latencyMs=777)]
        assert running.client.post("/track/batch", json=busiest).status_code == 200
        yield running


def test_a_page_of_them_is_in_the_table_and_the_others_are_a_step_away(
    many: Server, page: Page, open_page: Open
) -> None:
    open_page(many, "/#/services")
    settled(page)
    expect(page.locator("main tbody tr")).to_have_count(PAGE_ROWS)
    expect(page.locator("main tbody tr").first).to_contain_text("Service number 777")
    expect(page.locator(".pager")).to_contain_text(FIRST)
    further = page.get_by_role("button", name="Further rows")
    further.press("Enter")
    expect(page.locator(".pager")).to_contain_text(SECOND)
    expect(further).to_be_focused()
    assert page.evaluate("scrollY") == 0
    page.get_by_role("button", name="Earlier rows").click()
    expect(page.locator(".pager")).to_contain_text(FIRST)
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": 800})
        assert_fits(page)


def test_sorting_and_searching_begin_at_the_first_page(
    many: Server, page: Page, open_page: Open
) -> None:
    open_page(many, "/#/services")
    settled(page)
    page.get_by_role("button", name="Further rows").click()
    page.get_by_role("columnheader", name="p95").get_by_role("button").first.click()
    expect(page.locator("main tbody tr").first).to_contain_text("Service number 999")
    expect(page.locator(".pager")).to_contain_text(FIRST)
    page.get_by_role("button", name="With errors").click()
    expect(page.locator("main tbody tr")).to_have_count(100)
    page.locator("[data-search]").fill("number 77")
    expect(page.locator("main tbody tr")).to_have_count(1)
    page.get_by_role("button", name="With errors").click()
    expect(page.locator("main tbody tr")).to_have_count(11)
    page.locator("[data-search]").fill("s-0123")
    expect(page.locator("main tbody tr")).to_have_count(1)
    page.locator("[data-search]").fill("nobody has this name")
    page.get_by_role("button", name="Show all services").click()
    expect(page.locator("main tbody tr")).to_have_count(PAGE_ROWS)


def test_the_overview_counts_them_all(many: Server, page: Page, open_page: Open) -> None:
    open_page(many, "/")
    settled(page)
    expect(page.get_by_role("link", name="All 1,000 services")).to_be_visible()
    expect(page.locator("nav").first).to_contain_text("1,000")
