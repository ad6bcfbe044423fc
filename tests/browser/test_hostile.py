"""What events carry is text and nothing else, however it looks, wherever the page shows it."""

from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Dialog, Page, expect

from tests.browser.conftest import Open, event, execution, serving, settled
from tests.browser.test_views import WIDTHS, assert_fits
from tests.server import Server

HOSTILE = [
    "<img src=x onerror=alert(1)>",
    '"><script>alert(1)</script>',
    "a/b?c=d&e#f%2F%00'\"`",
    "../../etc/passwd",
    "__proto__",
    "constructor",
    "שירות חיפוש מתקדם",
    "\u202edlrow olleh\u202c 🎉",
    "x" * 200,
]
VIEWS = ["/", "/#/services", "/#/marketplace", "/#/experiments", "/#/revenue", "/#/explore"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Every text that an event may have is one of these names."""
    with serving(tmp_path_factory.mktemp("hostile") / "data") as running:
        send(running)
        yield running


def send(server: Server) -> None:
    for name in HOSTILE:
        own = {"serviceId": name, "serviceName": name, "category": name[:64]}
        failed = execution(**own, success=False, errorCode=name[:64], userId=name)
        trial = {"experimentId": name, "experimentName": name, "variantName": name[:64]}
        batch = [
            failed,
            event("marketplace_search", searchQuery=name),
            event("marketplace_view", **own, userId=name),
            event("experiment_view", variantIndex=0, userId="a", **trial),
            event("experiment_view", variantIndex=1, userId="b", **trial),
            event("revenue_transaction", orderId=name, amount=5, currency="USD", **own),
        ]
        assert server.client.post("/track/batch", json=batch).status_code == 200


def refuse(dialog: Dialog) -> None:
    raise AssertionError(f"a script of an event ran: {dialog.message}")


def planted(page: Page) -> int:
    return int(page.locator("main img, main iframe, script:not([src]), main b").count())


def test_no_text_of_an_event_becomes_markup_or_breaks_a_width(
    hostile: Server, page: Page, open_page: Open
) -> None:
    page.on("dialog", refuse)
    for view in VIEWS:
        open_page(hostile, view)
        settled(page)
        assert planted(page) == 0, view
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 800})
            assert_fits(page, view)
        page.set_viewport_size({"width": 1440, "height": 900})


def test_every_name_leads_to_its_own_page(hostile: Server, page: Page, open_page: Open) -> None:
    for name in HOSTILE:
        open_page(hostile, f"/#/services/{quote(name, safe='')}")
        settled(page)
        expect(page.locator("h1")).to_have_text(name.strip())
        expect(page.locator(".stat-figure").first).to_have_text("1")


def test_a_name_given_on_the_page_is_text_too_and_can_be_taken_back(
    hostile: Server, page: Page, open_page: Open
) -> None:
    page.on("dialog", refuse)
    open_page(hostile, "/#/services/constructor")
    settled(page)
    page.get_by_role("button", name="Name constructor").click()
    box = page.get_by_role("dialog")
    box.get_by_label("Name", exact=True).fill("Ours <b>now</b>")
    box.get_by_role("button", name="Keep this name").click()
    expect(page.locator("h1")).to_have_text("Ours <b>now</b>")
    named = hostile.client.get("/catalog/services/constructor").json()["data"]
    assert named["name"] == "Ours <b>now</b>"
    page.get_by_role("button", name="Name Ours").click()
    page.get_by_role("button", name="Leave it to the events").click()
    expect(page.locator("h1")).to_have_text("constructor")


def test_a_variant_gets_its_name_on_the_page(
    hostile: Server, page: Page, open_page: Open
) -> None:
    open_page(hostile, "/#/experiments")
    settled(page)
    page.get_by_role("button", name="Name constructor").click()
    page.get_by_role("dialog").get_by_label("Variant B").fill("The new one")
    page.get_by_role("button", name="Keep this name").click()
    row = page.get_by_role("article", name="constructor", exact=True)
    expect(row).to_contain_text("B · The new one")
    expect(row).to_contain_text("A · constructor")
