"""What is longer, larger or smaller than usual is drawn whole, or is cut visibly."""

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, event, execution, serving, settled
from tests.server import Server, wait_until

LONG = " ".join(["A service whose name is very long"] * 5)
BATCH_MAX = 25


@pytest.fixture(scope="module")
def extreme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with few events, of which none is ordinary; tests only look."""
    with serving(tmp_path_factory.mktemp("extreme") / "data") as running:
        events = extreme_events()
        for first in range(0, len(events), BATCH_MAX):
            batch = events[first : first + BATCH_MAX]
            assert running.client.post("/track/batch", json=batch).status_code == 200
        name = {"name": LONG, "category": "translations"}
        assert running.client.put("/catalog/services/long-id", json=name).status_code == 200
        yield running


def extreme_events() -> list[dict[str, Any]]:
    sold = {"serviceId": "long-id", "takeRate": 15, "creatorId": "c-1"}
    variants = [
        event(
            "experiment_view",
            experimentId="five",
            variantIndex=variant,
            userId=f"u-{n}-{variant}",
        )
        for variant in range(5)
        for n in range(4)
    ]
    return [
        execution(serviceId="long-id", latencyMs=1e9),
        execution(serviceId="fast", latencyMs=0.0004),
        event("revenue_transaction", orderId="o-1", amount=1e15, currency="USD", **sold),
        event("revenue_transaction", orderId="o-2", amount=1_234_567, currency="JPY", **sold),
        event("marketplace_search", searchQuery=LONG, resultCount=0),
        event("marketplace_view", serviceId="long-id", sessionId="s-1"),
        *variants,
    ]


FIGURES_CUT = """() => [...document.querySelectorAll("main .stat-figure")]
    .filter((box) => box.scrollWidth > box.clientWidth)
    .map((box) => box.innerText)"""


def test_a_figure_too_wide_for_its_cell_is_drawn_smaller_and_not_cut(
    demo: Server, page: Page, open_page: Open
) -> None:
    for address in ("/#/revenue", "/#/dashboards/revenue"):
        open_page(demo, address)
        settled(page)
        # In whatever is shown now: cut off, it would read as another sum.
        page.evaluate(
            """() => document.querySelectorAll("main .figure-text").forEach((figure) => {
                figure.style.setProperty("--ems", "10");
                figure.textContent = "$123,456,789.00";
            })"""
        )
        for width in (1440, 1280, 1181, 1101, 721, 390, 320):
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate(FIGURES_CUT) == [], (address, width)


def test_a_quadrillion_is_read_to_its_last_digit(
    extreme: Server, page: Page, open_page: Open
) -> None:
    open_page(extreme, "/#/revenue?currency=USD")
    settled(page)
    gmv = page.locator(".stat", has_text="GMV").first
    expect(gmv).to_contain_text("$1,000,000,000,000,000")
    assert page.evaluate(FIGURES_CUT) == []
    expect(page.get_by_text("−$0.00")).to_have_count(0)


@pytest.mark.parametrize("view", ["/", "/#/services", "/#/revenue", "/#/marketplace"])
def test_a_long_name_takes_two_lines_and_says_the_rest_in_its_title(
    extreme: Server, page: Page, open_page: Open, view: str
) -> None:
    open_page(extreme, view)
    settled(page)
    names = page.locator("main .row-link", has_text="A service whose name")
    expect(names.first).to_have_attribute("title", LONG)
    for name in names.all():
        lines = name.evaluate(
            "(link) => link.clientHeight / parseFloat(getComputedStyle(link).lineHeight)"
        )
        assert lines <= 2.1, view


def test_a_long_title_leaves_room_for_the_id_beside_it(
    extreme: Server, page: Page, open_page: Open
) -> None:
    open_page(extreme, "/#/services/long-id")
    settled(page)
    chip = page.get_by_title("Copy the id")
    expect(chip).to_have_text("long-id")
    assert chip.evaluate("(chip) => chip.scrollWidth <= chip.clientWidth")


def test_decades_from_a_microsecond_to_days_have_room_for_what_they_are_called(
    extreme: Server, page: Page, open_page: Open
) -> None:
    open_page(extreme, "/#/services")
    settled(page)
    boxes = page.locator(".strip-head [aria-hidden]").evaluate_all(
        """(labels) => labels
            .map((label) => label.getBoundingClientRect())
            .map(({ left, right }) => [left, right])"""
    )
    assert len(boxes) >= 3
    for (_, right), (left, _) in itertools.pairwise(boxes):
        assert right < left
    expect(page.locator("tr", has_text="fast")).to_contain_text("< 0.1\u00a0ms")


@pytest.mark.parametrize("width", [390, 820])
def test_where_plots_stand_below_their_rows_the_rates_have_a_scale(
    extreme: Server, page: Page, open_page: Open, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    open_page(extreme, "/#/experiments")
    settled(page)
    ticks = page.locator(".plot-row text")
    assert ticks.count() >= 2
    expect(ticks.first).to_have_text("0\u00a0%")
    box = ticks.first.bounding_box()
    assert box is not None
    assert box["height"] < 20  # of 11 to 13 px, whatever the drawing is stretched to


def test_where_load_runs_are_off_none_is_offered(
    extreme: Server, page: Page, open_page: Open
) -> None:
    open_page(extreme, "/#/load")
    expect(page.locator("main")).to_contain_text("Load runs are off.")
    expect(page.get_by_role("button", name="Start")).to_have_count(0)


def test_a_dashboard_whose_widgets_have_periods_of_their_own_offers_none(
    demo: Server, page: Page, open_page: Open
) -> None:
    open_page(demo, "/#/dashboards/revenue")
    settled(page)
    button = page.get_by_role("button", name="Own periods")
    button.click()
    expect(page.get_by_role("dialog", name="Period")).to_contain_text("has a period of its own")
    expect(page.get_by_role("button", name="Last 90 days")).to_have_count(0)
    expect(page.get_by_placeholder("Find a zone")).to_be_visible()


@pytest.mark.parametrize("width", [1440, 820, 390])
def test_a_figure_with_a_period_of_its_own_says_which_however_narrow_it_is(
    demo: Server, page: Page, open_page: Open, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_page(demo, "/#/dashboards/services")
    settled(page)
    own = page.locator("main .kind-counter .panel-head .unit")
    assert own.count() > 1
    expect(own).to_have_text(["last 24 hours"] * own.count())
    cut = own.evaluate_all(
        """(captions) => captions.filter((caption) => {
            const words = document.createRange();
            words.selectNodeContents(caption);
            const [inner, outer] = [words, caption].map((one) => one.getBoundingClientRect());
            return inner.bottom > outer.bottom + 1 || inner.right > outer.right + 1;
        }).length"""
    )
    assert cut == 0


@pytest.mark.parametrize("width", [1440, 1025, 1024, 961, 820])
def test_beside_its_buttons_a_dashboard_has_its_whole_name(
    demo: Server, page: Page, open_page: Open, width: int
) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    open_page(demo, "/#/dashboards/services")
    settled(page)
    title = page.locator("h1")
    expect(title).to_have_text("Service performance")
    expect(page.locator("header .live")).to_contain_text(
        "Live"
    )  # as long as it connects it is wider
    assert title.evaluate("(box) => box.scrollWidth <= box.clientWidth"), width


def test_a_service_with_nothing_in_the_period_has_the_name_that_is_known_of_it(
    server: Server, open_page: Open
) -> None:
    seen = execution(serviceId="s-1", serviceName="Of this week")
    server.client.post("/track", json=seen).raise_for_status()
    told = {"name": "Of the catalog"}
    server.client.put("/catalog/services/s-2", json=told).raise_for_status()
    for id_, name in (("s-1", "Of this week"), ("s-2", "Of the catalog")):
        page = open_page(server, f"/#/services/{id_}?range=yesterday")
        expect(page.locator("h1")).to_have_text(name)


def test_recent_failures_stand_in_columns(demo: Server, page: Page, open_page: Open) -> None:
    (worst,) = demo.client.get("/metrics/services?limit=1&sort=-errorRate").json()["data"]
    open_page(demo, f"/#/services/{worst['serviceId']}")
    settled(page)
    lefts = page.locator(".failures li .mono").evaluate_all(
        "(codes) => codes.map((code) => Math.round(code.getBoundingClientRect().left))"
    )
    assert len(lefts) > 1
    assert len(set(lefts)) == 1


@pytest.mark.parametrize("scale", ["Linear", "Log"])
def test_charts_below_each_other_have_an_hour_at_one_place(
    demo: Server, page: Page, open_page: Open, scale: str
) -> None:
    open_page(demo, "/#/services/web-scraper")
    settled(page)
    page.get_by_role("button", name=scale, exact=True).click()
    lefts = page.locator("main .u-over").evaluate_all(
        "(plots) => plots.map((plot) => plot.getBoundingClientRect().left)"
    )
    assert len(lefts) == 2
    assert lefts[0] == lefts[1]


def test_the_axis_of_long_latencies_ticks_at_whole_minutes_and_hours(
    extreme: Server, page: Page, open_page: Open
) -> None:
    # What is drawn on a canvas is nowhere in the page: it is written down as it is drawn.
    page.add_init_script(
        """window.drawn = [];
        const fillText = CanvasRenderingContext2D.prototype.fillText;
        CanvasRenderingContext2D.prototype.fillText = function (text, ...rest) {
            drawn.push(text);
            return fillText.call(this, text, ...rest);
        };"""
    )
    slow = [execution(serviceId="slow", latencyMs=ms) for ms in (65_000, 1_000_000)]
    assert extreme.client.post("/track/batch", json=slow).status_code == 200
    open_page(extreme, "/#/services/slow")
    settled(page)

    def draws(*ticks: str) -> bool:
        drawn = page.evaluate("drawn.map((text) => text.replace('\\u00a0', ' '))")
        return set(ticks) <= set(drawn)

    wait_until(lambda: draws("5 min", "10 min", "15 min", "20 min"))
    page.get_by_role("button", name="Log", exact=True).click()
    wait_until(lambda: draws("1 min", "10 min", "1 h"))


def test_more_is_given_back_than_sold_and_the_shares_say_so(
    server: Server, page: Page, open_page: Open
) -> None:
    sale = event("revenue_transaction", orderId="o-1", amount=20, currency="USD", serviceId="s")
    refund = sale | {"orderId": "o-2", "amount": 250.5, "status": "refunded"}
    assert server.client.post("/track", json=refund).status_code == 200
    steps = page.get_by_role("region", name="From gross to earnings")
    open_page(server, "/#/revenue")
    expect(steps).to_contain_text("No sales in this period, and $250.50 of earlier ones")
    assert server.client.post("/track", json=sale).status_code == 200
    page.reload()
    gmv = steps.get_by_role("listitem").filter(has_text="GMV")
    expect(gmv).to_contain_text("\N{MINUS SIGN}$230.50")
    share = gmv.locator(".part")
    expect(share).to_have_text("\N{MINUS SIGN}1,152.5\u00a0%")
    lines = "(part) => part.clientHeight / parseFloat(getComputedStyle(part).lineHeight)"
    assert share.evaluate(lines) <= 1.1


def test_a_variant_that_is_alone_has_no_chance_to_win(
    server: Server, page: Page, open_page: Open
) -> None:
    seen = [
        event("experiment_view", experimentId="alone", variantIndex=0, userId=f"u-{n}")
        for n in range(20)
    ]
    assert server.client.post("/track/batch", json=seen).status_code == 200
    open_page(server, "/#/experiments")
    row = page.get_by_role("row", name="Variant A")
    expect(row).to_contain_text("baseline")
    expect(row.get_by_role("cell").last).to_have_text("\N{EN DASH}")


def test_the_strip_of_long_latencies_is_marked_in_minutes_and_hours(
    extreme: Server, page: Page, open_page: Open
) -> None:
    open_page(extreme, "/#/services")
    settled(page)
    marks = page.locator(".strip-head [aria-hidden]")
    expect(marks.last).to_have_text(re.compile("\u00a0(min|h)$"))
    for mark in marks.all_inner_texts():
        assert "k" not in mark
