"""Without a mouse, and by ear: every control has a name, focus goes in, around and back."""

import re
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open, settled
from tests.browser.test_views import SIZES, VIEWS, address
from tests.server import Server

NAMELESS = re.compile(
    r"^\s*- (button|link|textbox|searchbox|combobox|checkbox|dialog|img|navigation|group"
    r"|figure|table|spinbutton)(?! \")( \[[^]]*\])*:?\s*$",
    re.MULTILINE,
)
"""A line of Playwright's tree of roles in which no name follows the role."""

STOPS_MAX = 400
"""More stops of the Tab key than any view has: whoever needs them is caught in a ring."""


@dataclass(frozen=True)
class Opens:
    """A control, and what it opens."""

    view: str
    button: str
    box: str


POPOVERS = [
    Opens("overview", "Live", "Live state"),
    Opens("overview", "Last 7 days", "Period"),
    Opens("dashboard", "Share", "More"),
    Opens("explore", "Examples", "Examples"),
    Opens("explore", "Export", "Export"),
]
DIALOGS = [
    Opens("service", "Name ", "Name this service"),
    Opens("experiments", "Name Checkout", "Name this experiment"),
    Opens("dashboards", "New dashboard", "New dashboard"),
    Opens("dashboards", "Delete Revenue", "Delete"),
]


def shown(case: Opens) -> str:
    return f"{case.view}: {case.box}"


def opener(page: Page, case: Opens) -> Locator:
    return page.get_by_role("button", name=case.button).first


def box_of(page: Page, case: Opens) -> Locator:
    return page.get_by_role("dialog", name=case.box)


def expect_focus_in(box: Locator) -> None:
    expect(box.and_(box.page.locator(":focus-within"))).to_have_count(1)


def opened(page: Page, case: Opens) -> Locator:
    """The box, opened by a key; focus is in it."""
    box = box_of(page, case)
    opener(page, case).press("Enter")
    expect(box).to_be_visible()
    expect_focus_in(box)
    return box


def closed_by_escape(page: Page, case: Opens) -> None:
    """The box is gone, and focus is back where it was opened."""
    page.keyboard.press("Escape")
    expect(box_of(page, case)).to_have_count(0)
    expect(opener(page, case)).to_be_focused()


AT_ONCE = """([button, name]) => new Promise((tell) => {
    const open = () => [...document.querySelectorAll("[role=dialog]")].find(
        (one) => one.getAttribute("aria-label").startsWith(name));
    const watch = new MutationObserver(() => {
        if (open() === undefined) return;
        watch.disconnect();
        const isInside = open().contains(document.activeElement);
        const press = { key: "Escape", bubbles: true, cancelable: true };
        document.activeElement.dispatchEvent(new KeyboardEvent("keydown", press));
        setTimeout(() => tell([isInside, open() === undefined]));
    });
    watch.observe(document.body, { childList: true, subtree: true });
    button.click();
})"""
"""Presses Escape as soon as a box is there, before it is drawn: whether focus was in it by
then, and whether it closed."""


@pytest.mark.parametrize("case", [*POPOVERS, *DIALOGS], ids=shown)
def test_what_opens_takes_keys_from_its_first_moment(
    demo: Server, page: Page, open_page: Open, case: Opens
) -> None:
    open_page(demo, address(demo, case.view))
    settled(page)
    button = opener(page, case)
    button.focus()
    assert page.evaluate(AT_ONCE, [button.element_handle(), case.box]) == [True, True]


def test_keys_are_for_the_view_that_is_shown_from_its_first_moment(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/#/explore")
    settled(page)
    page.keyboard.press("Escape")
    page.evaluate(
        """() => {
            const press = (key) => document.body.dispatchEvent(
                new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
            const watch = new MutationObserver(() => {
                if (document.querySelector("h1").textContent !== "Marketplace") return;
                watch.disconnect();
                press("c");
            });
            const all = { childList: true, characterData: true, subtree: true };
            watch.observe(document.body, all);
            press("g");
            press("m");
        }"""
    )
    expect(page).to_have_url(re.compile("#/marketplace.*compare=off"))


def test_a_pair_of_keys_counts_from_when_they_were_pressed(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/#/services")
    settled(page)
    page.evaluate(
        """() => {
            const press = (key) => new KeyboardEvent("keydown", { key, bubbles: true });
            const [first, second] = [press("g"), press("m")];
            document.body.dispatchEvent(first);
            const end = performance.now() + 1_500;
            while (performance.now() < end) continue;  // as a page does that draws a lot
            document.body.dispatchEvent(second);
        }"""
    )
    expect(page.locator("h1")).to_have_text("Marketplace")


@pytest.mark.parametrize("view", VIEWS)
def test_every_control_has_a_name(demo: Server, page: Page, open_page: Open, view: str) -> None:
    open_page(demo, address(demo, view))
    settled(page)
    tree = page.locator("body").aria_snapshot()
    assert NAMELESS.findall(tree) == [], tree
    assert len(re.findall(r"^\s*- main", tree, re.MULTILINE)) == 1
    assert len(re.findall(r"- heading .*\[level=1\]", tree)) == 1


@pytest.mark.parametrize("view", ["overview", "explore", "editor", "users"])
def test_tab_goes_through_a_view_and_out_of_it_and_is_seen(
    demo: Server, page: Page, open_page: Open, view: str
) -> None:
    open_page(demo, address(demo, view))
    settled(page)
    unseen = """() => {
        const now = document.activeElement;
        if (now === document.body) return "left";
        const around = [now, now.closest(".editor-panel, .file-button")];
        const ringOf = (one) => (one === null ? "none" : getComputedStyle(one).outlineStyle);
        const isRinged = around.some((one) => ringOf(one) !== "none");
        const { top, bottom, width } = now.getBoundingClientRect();
        const isThere = bottom > 0 && top < innerHeight && width > 0;
        return isRinged && isThere ? null : now.outerHTML.slice(0, 200);
    }"""
    for stop in range(STOPS_MAX):
        if view == "explore" and page.evaluate("document.activeElement.tagName") == "TEXTAREA":
            page.keyboard.press("Escape")  # as its description says
        page.keyboard.press("Tab")
        found = page.evaluate(unseen)
        if found == "left":
            assert stop > 10
            return
        assert found is None, found
    pytest.fail("the Tab key never leaves the page")


@pytest.mark.parametrize("case", POPOVERS, ids=shown)
def test_what_hangs_from_a_button_takes_focus_and_gives_it_back(
    demo: Server, page: Page, open_page: Open, case: Opens
) -> None:
    open_page(demo, address(demo, case.view))
    settled(page)
    opened(page, case)
    closed_by_escape(page, case)
    box = opened(page, case)
    for _ in range(STOPS_MAX):
        page.keyboard.press("Tab")
        if box.count() == 0:
            break
    expect(box).to_have_count(0)  # it closes when focus leaves it, and covers nothing


@pytest.mark.parametrize("case", DIALOGS, ids=shown)
def test_a_dialog_keeps_focus_until_it_is_closed(
    demo: Server, page: Page, open_page: Open, case: Opens
) -> None:
    open_page(demo, address(demo, case.view))
    settled(page)
    box = opened(page, case)
    for keys in ["Tab"] * 12 + ["Shift+Tab"] * 12:
        page.keyboard.press(keys)
        expect_focus_in(box)
    closed_by_escape(page, case)


def test_a_period_chosen_by_keys_is_taken_and_focus_stays_with_it(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/#/services")
    settled(page)
    page.keyboard.press("d")
    expect(page.get_by_role("button", name="Last 7 days", exact=True)).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("range=28d"))
    expect(page.locator("header [aria-haspopup=dialog]")).to_be_focused()


def test_another_view_is_told_to_those_who_listen(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/")
    settled(page)
    page.get_by_role("navigation").get_by_role("link", name="Revenue").press("Enter")
    expect(page.get_by_role("status").filter(has_text=re.compile("^Revenue$"))).to_have_count(1)


ON_PHONE = [
    *POPOVERS,
    *DIALOGS,
    Opens("users", "More", "More views"),
    Opens("services", "Menu", "More views"),
]


@pytest.mark.parametrize("height", [844, 450])
@pytest.mark.parametrize("case", ON_PHONE, ids=shown)
def test_what_opens_on_a_phone_or_at_twice_the_size_is_within_reach(
    demo: Server, page: Page, open_page: Open, case: Opens, height: int
) -> None:
    # 720 pixels across and 450 down are what is left of a desk's 1440 and 900 at 200 %.
    width = 390 if height == SIZES[390] else 720
    page.set_viewport_size({"width": width, "height": height})
    open_page(demo, address(demo, case.view))
    settled(page)
    box = opened(page, case)
    covered = box.evaluate(
        """(box) => [...box.querySelectorAll("button, a, input")]
            .filter((one) => !one.disabled)
            .filter((one) => {
                one.scrollIntoView({ block: "nearest" });
                const { left, top, width, height } = one.getBoundingClientRect();
                const [x, y] = [left + width / 2, top + height / 2];
                const there = document.elementFromPoint(x, y);
                return there === null || !(one.contains(there) || there.contains(one));
            })
            .map((one) => one.textContent)"""
    )
    assert covered == []
    page.keyboard.press("Escape")
    expect(box).to_have_count(0)
