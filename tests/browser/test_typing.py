"""What somebody has typed stays, whatever arrives meanwhile."""

import re

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, execution, held_back, settled
from tests.server import Server

MINE = "SELECT 1 AS mine"

TYPED_AT_ONCE = """(text) => new Promise((tell) => {
    const watch = new MutationObserver(() => {
        const area = document.querySelector(".editor textarea");
        if (area === null) return;
        watch.disconnect();
        area.value = text;
        area.dispatchEvent(new Event("input", { bubbles: true }));
        tell();
    });
    watch.observe(document.body, { childList: true, subtree: true });
    location.hash = "#/explore";
})"""
"""Types as soon as the editor is there, before it is drawn."""

RUN_AND_TYPED_ON = """(area) => {
    const run = { key: "Enter", ctrlKey: true, bubbles: true, cancelable: true };
    area.dispatchEvent(new KeyboardEvent("keydown", run));
    area.value += " -- and more";
    area.dispatchEvent(new Event("input", { bubbles: true }));
}"""


def test_a_query_typed_before_the_first_has_run_stays(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/#/services")
    settled(page)
    page.evaluate(TYPED_AT_ONCE, MINE)
    expect(page).to_have_url(re.compile(r"#/explore\?.*q="))  # the first, which runs by itself
    settled(page)
    expect(page.get_by_role("region", name="Result")).to_be_visible()
    expect(page.get_by_role("textbox", name="SQL query")).to_have_value(MINE)


def test_what_is_typed_while_a_query_runs_stays(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/#/explore")
    settled(page)
    area = page.get_by_role("textbox", name="SQL query")
    area.fill(MINE)
    area.evaluate(RUN_AND_TYPED_ON)
    expect(page).to_have_url(re.compile("q=SELECT%201%20AS%20mine"))
    expect(page.get_by_role("columnheader", name="mine")).to_be_visible()
    expect(area).to_have_value(f"{MINE} -- and more")


def test_a_name_typed_before_that_of_the_catalog_is_known_stays(
    server: Server, page: Page, open_page: Open
) -> None:
    assert server.client.post("/track", json=execution()).status_code == 200
    entry = "/catalog/services/s-1"
    known = {"name": "Known", "description": "Found by many"}
    assert server.client.put(entry, json=known).is_success
    open_page(server, "/#/services/s-1")
    settled(page)
    with held_back(page, "**/catalog/services"):
        page.get_by_role("button", name="Name Known").click()
        box = page.get_by_role("dialog")
        box.get_by_label("Name", exact=True).fill("Typed")
        expect(box.get_by_role("button", name="Keep this name")).to_be_disabled()
    expect(box.get_by_label("Description")).to_have_value("Found by many")
    expect(box.get_by_label("Name", exact=True)).to_have_value("Typed")
    box.get_by_role("button", name="Keep this name").click()
    expect(page.locator("h1")).to_have_text("Typed")
    kept = server.client.get(entry).json()["data"]
    assert (kept["name"], kept["description"]) == ("Typed", "Found by many")
