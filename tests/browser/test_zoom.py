"""A drag or a click goes into a chart, a double click or a button comes out of it again."""

import datetime as dt
import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import Open, settled
from tests.server import Server


def plot_of(page: Page, name: str) -> Locator:
    return page.get_by_role("figure", name=name).locator(".u-over")


def drag(page: Page, plot: Locator, *, first: float, last: float) -> None:
    """Over the plot, between two fractions of its width."""
    plot.scroll_into_view_if_needed()
    box = plot.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + first * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + last * box["width"], y, steps=4)
    page.mouse.up()


@contextmanager
def drawn_anew(plot: Locator) -> Iterator[None]:
    """What is done changes the range: after it the plot is another, of the new figures."""
    plot.evaluate("(over) => { over.id = 'before'; }")
    yield
    expect(plot).not_to_have_id("before")


def test_a_double_click_goes_back_out_of_a_range_one_drag_at_a_time(
    demo: Server, open_page: Open
) -> None:
    page = open_page(demo, "/#/marketplace?range=28d&compare=off&granularity=week")
    settled(page)
    plot = plot_of(page, "Conversion rate")
    with drawn_anew(plot):
        drag(page, plot, first=0.3, last=0.9)
    expect(page).to_have_url(re.compile(r"range=\d{4}-"))
    expect(page).not_to_have_url(re.compile("granularity"))
    outer = page.url
    with drawn_anew(plot):
        drag(page, plot, first=0.4, last=0.6)
    expect(page).not_to_have_url(outer)
    with drawn_anew(plot):
        plot.dblclick()
    expect(page).to_have_url(outer)
    with drawn_anew(plot):
        plot.dblclick()
    expect(page).to_have_url(re.compile("range=28d&compare=off&granularity=week$"))
    expect(page.get_by_role("button", name=re.compile("^Back to "))).to_have_count(0)


def test_where_a_click_opens_a_day_a_double_click_comes_back_from_it(
    demo: Server, open_page: Open
) -> None:
    page = open_page(demo, "/#/revenue?compare=off")
    settled(page)
    plot = plot_of(page, "GMV")
    box = plot.bounding_box()
    assert box is not None
    with drawn_anew(plot):
        plot.click(position={"x": box["width"] - 50, "y": 60})
    expect(page).to_have_url(re.compile(r"range=\d{4}-\d\d-\d\d\.\."))
    day = page.url
    plot.click(position={"x": 100, "y": 60})  # is one click still, and opens an hour
    expect(page).to_have_url(re.compile(r"range=[^&]*T\d\d:00"))
    page.go_back()
    expect(page).to_have_url(day)
    settled(page)
    plot.dblclick()
    expect(page).to_have_url(re.compile(r"#/revenue\?compare=off$"))


def test_a_day_of_which_the_hours_are_gone_is_shown_as_one(
    demo: Server, open_page: Open
) -> None:
    page = open_page(demo, "/#/revenue")
    settled(page)
    plot_of(page, "GMV").click()  # in the middle, two weeks ago
    expect(page).to_have_url(re.compile(r"range=\d{4}-\d\d-\d\d\.\."))
    settled(page)
    assert page.locator(".state.error").all_inner_texts() == []
    expect(page.get_by_role("figure", name="GMV").locator("tbody tr")).to_have_count(1)


def test_a_button_says_where_it_leads_back_to_on_every_width_and_view(
    demo: Server, open_page: Open
) -> None:
    page = open_page(demo, "/#/revenue?range=7d")
    settled(page)
    drag(page, plot_of(page, "GMV"), first=0.2, last=0.5)
    back = page.get_by_role("button", name="Back to last 7 days")
    for width in (1440, 1181, 1024, 721, 390):
        page.set_viewport_size({"width": width, "height": 800})
        expect(back).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    page.evaluate("location.hash = location.hash.replace('revenue', 'services')")
    expect(page.locator("h1")).to_have_text("Services")
    back.press("Enter")
    expect(page).to_have_url(re.compile(r"#/services\?range=7d$"))


def test_a_name_is_not_cut_for_the_button(demo: Server, page: Page, open_page: Open) -> None:
    page.set_viewport_size({"width": 820, "height": 800})
    first, last = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days) for days in (9, 2))
    open_page(demo, f"/#/services/background-remover?range={first}..{last}")
    settled(page)
    title = page.locator("h1")
    expect(title).to_have_text("Background Remover")
    assert title.evaluate("(h1) => h1.scrollWidth <= h1.clientWidth")


def test_of_a_range_that_came_in_a_link_the_way_leads_to_that_of_the_view(
    demo: Server, open_page: Open
) -> None:
    first, last = (dt.datetime.now(dt.UTC).date() - dt.timedelta(days) for days in (9, 2))
    page = open_page(demo, f"/#/revenue?range={first}..{last}")
    settled(page)
    page.get_by_role("button", name="Back to last 28 days").click()
    expect(page).to_have_url(re.compile("#/revenue$"))
