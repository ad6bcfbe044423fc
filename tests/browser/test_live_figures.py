"""What is acknowledged is on the page a moment later, without anybody touching it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Complaints, Open, event, execution, settled
from tests.server import Server, free_port


def expect_figure(page: Page, label: str, text: str) -> None:
    stat = page.locator(".stat", has=page.get_by_text(label, exact=True)).first
    expect(stat.locator(".stat-figure")).to_have_text(text)


def test_events_that_come_in_change_the_figures_without_a_reload(
    server: Server, open_page: Open
) -> None:
    server.client.post("/track", json=execution())
    page = open_page(server)
    expect_figure(page, "Executions", "1")
    page.evaluate("window.sameDocument = true")
    batch = [execution(success=False, errorCode="TIMEOUT") for _ in range(3)]
    assert server.client.post("/track/batch", json=batch).status_code == 200
    expect_figure(page, "Executions", "4")
    expect_figure(page, "Errors", "3")
    server.client.post("/track", json=event("marketplace_search", searchQuery="a"))
    expect_figure(page, "Searches", "1")
    assert page.evaluate("window.sameDocument") is True


def test_a_live_figure_on_a_dashboard_is_shown_and_follows(
    server: Server, open_page: Open
) -> None:
    server.client.post("/track", json=execution())
    layout = {"x": 0, "y": 0, "w": 4, "h": 2}
    widget = {"kind": "counter", "title": "Now", "metric": "counters.executions:today"}
    board = {"name": "Live", "widgets": [widget | {"layout": layout}]}
    made = server.client.post("/dashboards", json=board).json()["data"]
    page = open_page(server, f"/#/dashboards/{made['id']}")
    figure = page.get_by_role("article", name="Now").locator(".stat-figure")
    expect(figure).to_have_text("1")
    expect(figure).to_be_in_viewport(ratio=1)
    settled(page)
    server.client.post("/track", json=execution())
    expect(figure).to_have_text("2")


def test_a_newcomer_sees_how_to_send_the_first_event_and_watches_it_arrive(
    server: Server, open_page: Open
) -> None:
    page = open_page(server)
    expect(page.get_by_text(f"{server.url}/track").first).to_be_visible()
    server.client.post("/track", json=execution(serviceId="hello-world", latencyMs=42))
    expect(page.get_by_text("hello-world").last).to_be_visible()
    page.get_by_role("button", name=re.compile("overview", re.IGNORECASE)).or_(
        page.get_by_role("link", name=re.compile("Go to the overview", re.IGNORECASE))
    ).first.click()
    expect_figure(page, "Executions", "1")


def test_a_lost_stream_is_told_and_comes_back_by_itself(
    tmp_path: Path, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("Failed to load resource|ERR_")
    with Server(tmp_path / "data", "--port", str(free_port())) as server:
        server.client.post("/track", json=execution())
        page = open_page(server)
        live = page.locator("header .live")
        expect(live).to_contain_text("Live")
        server.kill()
        expect(live).to_contain_text(re.compile("Reconnecting|Stale"))
        server.start()
        server.client.post("/track", json=execution())
        expect(live).to_contain_text("Live")
        expect_figure(page, "Executions", "2")


NO_PANEL_ASKS_AGAIN_BY_ITSELF = """
    for (const [name, fromMs] of [["setTimeout", 4000], ["setInterval", 30000]]) {
        const given = window[name];
        window[name] = (act, ms, ...rest) => (ms >= fromMs ? 0 : given(act, ms, ...rest));
    }
"""


def test_what_failed_in_an_outage_is_asked_again_as_soon_as_live_figures_come(
    tmp_path: Path, page: Page, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("Failed to load resource|ERR_")
    page.add_init_script(NO_PANEL_ASKS_AGAIN_BY_ITSELF)
    with Server(tmp_path / "data", "--port", str(free_port())) as server:
        server.client.post("/track", json=execution())
        open_page(server)
        live = page.locator("header .live")
        expect(live).to_contain_text("Live")
        server.kill()
        page.evaluate("location.hash = '#/services/s-1'")
        failed = page.locator("main").get_by_text("Could not load this service.")
        expect(failed).to_be_visible()
        server.start()
        expect(live).to_contain_text("Live")
        expect(failed).to_have_count(0)
        expect_figure(page, "Executions", "1")


@pytest.mark.parametrize("view", ["services", "revenue"])
def test_figures_of_a_view_are_those_of_the_answer(
    demo: Server, open_page: Open, view: str
) -> None:
    page = open_page(demo, f"/#/{view}?range=28d")
    settled(page)
    if view == "services":
        rows = demo.client.get("/metrics/services").json()["rows"]
        expect(page.locator("main tbody tr")).to_have_count(rows)
    else:
        expect(page.locator("main .stat")).not_to_have_count(0)
