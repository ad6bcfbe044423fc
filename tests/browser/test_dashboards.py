"""A dashboard made on the page: named, filled, saved, shared, and not for others to change."""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from msgspec import json
from playwright.sync_api import Browser, Dialog, Locator, Page, expect

from persistence.control import ControlStore, Sketch
from tests.browser.conftest import (
    Complaints,
    Open,
    archived,
    demonstrating,
    event,
    held_back,
    press_at_once,
    serving,
    settled,
)
from tests.server import Server


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Iterator[Server]:
    """A server with the demonstration, where dashboards may be changed."""
    with demonstrating(tmp_path_factory, worker_id) as running:
        yield running


def test_a_dashboard_is_made_filled_saved_and_found_again(own: Server, open_page: Open) -> None:
    page = open_page(own, "/#/dashboards")
    page.get_by_role("button", name="New dashboard").click()
    page.get_by_label("Name").fill("Made by hand")
    page.get_by_role("button", name="Create dashboard").click()
    page.get_by_role("button", name="Add widget").click()
    expect(page.get_by_role("button", name="Executions as a table")).to_be_hidden()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).not_to_have_url(re.compile("edit=1"))
    page.reload()
    settled(page)
    expect(page.locator("main article")).to_have_count(1)
    expect(page.get_by_role("button", name="Executions as a table")).to_be_visible()
    boards = own.client.get("/dashboards").json()["data"]
    (made,) = [board for board in boards if board["name"] == "Made by hand"]
    assert [widget["metric"] for widget in made["widgets"]] == ["services.executions"]


@pytest.mark.parametrize("width", [1440, 390])
def test_an_added_widget_comes_into_sight(own: Server, open_page: Open, width: int) -> None:
    page = open_page(own, "/#/dashboards/services?edit=1")
    page.set_viewport_size({"width": width, "height": 800})
    settled(page)
    page.get_by_role("button", name="Add widget").click()
    expect(page.locator("main article.chosen")).to_be_in_viewport()


def test_on_a_phone_a_chosen_widget_and_its_form_are_in_sight_together(
    own: Server, open_page: Open
) -> None:
    page = open_page(own, "/#/dashboards/services?edit=1")
    page.set_viewport_size({"width": 390, "height": 844})
    settled(page)
    form = page.get_by_role("complementary", name="Settings")
    for at in (3, 0):
        widget = page.locator("main article").nth(at)
        widget.click()
        expect(form.get_by_label("Title")).to_be_in_viewport(ratio=1)
        heading = widget.get_by_role("heading", include_hidden=True)
        expect(heading).to_be_in_viewport(ratio=1)
        above, below = heading.bounding_box(), form.bounding_box()
        assert above
        assert below
        assert above["y"] + above["height"] <= below["y"]


def test_a_widget_moves_and_grows_by_keys(own: Server, open_page: Open) -> None:
    widget = {"kind": "counter", "title": "Orders", "metric": "revenue.transactionCount"}
    widget |= {"layout": {"x": 0, "y": 0, "w": 3, "h": 2}}
    board = {"name": "Moved by keys", "widgets": [widget]}
    made = own.client.post("/dashboards", json=board).json()["data"]
    page = open_page(own, f"/#/dashboards/{made['id']}?edit=1")
    settled(page)
    page.locator("main").get_by_label("Orders").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Shift+ArrowRight")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).not_to_have_url(re.compile("edit=1"))
    kept = own.client.get(f"/dashboards/{made['id']}").json()["data"]["widgets"][0]["layout"]
    assert kept == {"x": 1, "y": 0, "w": 4, "h": 2}


def test_a_save_at_once_is_not_one_over_what_somebody_else_has_changed(
    own: Server, page: Page, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("412")
    path = f"/dashboards/{made_by_itself(own, 'Of two')}"
    with held_back(page, f"**{path}", nth=1) as version_asked:  # the first is what is edited
        open_page(own, f"/#{path}?edit=1")
        page.get_by_label("Name").fill("Of mine")
        version_asked()
        assert own.client.put(path, json={"name": "Of another", "widgets": []}).is_success
        page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Could not save the dashboard")).to_be_visible()
    assert own.client.get(path).json()["data"]["name"] == "Of another"


def test_a_save_whose_version_could_not_be_found_out_changes_nothing_and_can_be_repeated(
    own: Server, page: Page, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("ERR_FAILED")
    path = f"/dashboards/{made_by_itself(own, 'Version unknown')}"
    open_page(own, f"/#{path}")
    settled(page)
    page.route(f"**{path}", lambda route: route.abort())
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Name").fill("Version known")
    page.get_by_role("button", name="Save", exact=True).click()
    said = page.locator(".toast")
    expect(said).to_contain_text("Could not save the dashboard. The server does not answer.")
    assert own.client.get(path).json()["data"]["name"] == "Version unknown"
    page.unroute(f"**{path}")
    with page.expect_request(lambda request: request.method == "PUT") as saving:
        page.get_by_role("button", name="Save", exact=True).click()
    assert saving.value.headers["if-match"]
    expect(page).not_to_have_url(re.compile("edit=1"))
    assert own.client.get(path).json()["data"]["name"] == "Version known"


def test_a_save_whose_version_came_late_is_not_one_over_what_somebody_else_has_changed(
    own: Server, page: Page, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("ERR_FAILED")
    complaints.expect("412")
    path = f"/dashboards/{made_by_itself(own, 'Of two, late')}"
    open_page(own, f"/#{path}")
    settled(page)
    page.route(f"**{path}", lambda route: route.abort())
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("Name").fill("Of mine, late")
    page.unroute(f"**{path}")
    assert own.client.put(path, json={"name": "Of another, early", "widgets": []}).is_success
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Could not save the dashboard")).to_be_visible()
    assert own.client.get(path).json()["data"]["name"] == "Of another, early"


def test_a_dashboard_without_a_name_is_told_that_it_needs_one(
    own: Server, open_page: Open
) -> None:
    path = f"/dashboards/{made_by_itself(own, 'To be without')}"
    page = open_page(own, f"/#{path}?edit=1")
    page.get_by_label("Name").fill(" ")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".toast")).to_have_text(
        "Could not save the dashboard. It needs a name."
    )
    assert own.client.get(path).json()["data"]["name"] == "To be without"


def test_figures_of_a_last_day_say_of_which_on_a_dashboard(
    own: Server, open_page: Open
) -> None:
    page = open_page(own, "/#/dashboards/users?range=28d")
    settled(page)
    today = dt.datetime.now(dt.UTC)
    monthly = page.get_by_role("article", name="Monthly users")
    expect(monthly).to_contain_text(f"on {today:%b} {today.day}")


@pytest.mark.parametrize("content", ["name,widgets\nSales,3", "", "{"])
def test_a_file_that_is_no_dashboard_is_refused_by_its_name(
    own: Server, open_page: Open, content: str
) -> None:
    page = open_page(own, "/#/dashboards")
    settled(page)
    file = {"name": "sales.json", "mimeType": "application/json", "buffer": content.encode()}
    page.get_by_label("Import").set_input_files(files=[file])  # type: ignore[list-item]
    said = page.locator(".toast")
    expect(said).to_contain_text(
        "Could not import the dashboard. “sales.json” is not a JSON file."
    )
    expect(said).not_to_contain_text("body")


@pytest.mark.parametrize("content", ['{"name": "Sales"}', '[{"format": "csv"}]', "null", "3"])
def test_a_file_of_json_that_is_no_dashboard_is_refused_as_such(
    own: Server, open_page: Open, content: str
) -> None:
    page = open_page(own, "/#/dashboards")
    settled(page)
    file = {"name": "sales.json", "mimeType": "application/json", "buffer": content.encode()}
    page.get_by_label("Import").set_input_files(files=[file])  # type: ignore[list-item]
    expect(page.locator(".toast")).to_contain_text(
        "Could not import the dashboard. “sales.json” is not a dashboard exported by Tallymark."
    )


def test_a_dashboard_that_is_not_there_is_told_and_leads_to_those_that_are(
    own: Server, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("404")
    page = open_page(own, "/#/dashboards/gone")
    main = page.locator("main")
    expect(main).to_contain_text("There is no such dashboard.")
    expect(main).not_to_contain_text(re.compile("GET|404"))
    expect(page.get_by_role("button", name="Retry")).to_have_count(0)
    main.get_by_role("link", name="All dashboards").click()
    expect(page.get_by_role("link", name="Users", exact=True).last).to_be_visible()
    expect(page).to_have_url(re.compile("#/dashboards$"))


def test_what_was_not_found_is_told_alike_on_a_dashboard_and_on_the_marketplace(
    own: Server, open_page: Open
) -> None:
    told = []
    for view in ("marketplace", "dashboards/marketplace"):
        page = open_page(own, f"/#/{view}?range=28d")
        settled(page)
        table = page.get_by_role("table", name="Search terms")
        terms, shares = (table.locator(f"td:nth-child({at})") for at in (1, 3))
        told.append(dict(zip(terms.all_inner_texts(), shares.all_inner_texts(), strict=True)))
    marketplace, dashboard = told
    assert any(share.endswith("%") for share in marketplace.values())
    assert marketplace.items() <= dashboard.items()


LIVE = {"kind": "counter", "title": "Now", "metric": "counters.executions:today"}
ROWS = {"kind": "table", "title": "Rows", "metric": "sql"}
ROWS |= {"filters": {"sql": "SELECT count() AS n FROM events"}}
SOLD = {"kind": "lineChart", "title": "Sold", "metric": "revenue.gmv"}
SUM = {"kind": "counter", "title": "Sum", "metric": "revenue.gmv"}


@pytest.mark.parametrize(
    ("widgets", "offered"),
    [
        ([LIVE, ROWS], []),
        ([LIVE, ROWS, SOLD], ["Last 7 days"]),
        ([LIVE, SOLD | {"range": "28d"}], ["Own periods"]),
        ([LIVE, SUM], ["Last 7 days", "vs"]),
    ],
    ids=["live and SQL", "a chart", "a chart of its own period", "a figure"],
)
def test_what_the_header_of_a_dashboard_offers_changes_something_on_it(
    own: Server, open_page: Open, widgets: list[dict[str, object]], offered: list[str]
) -> None:
    board = {"name": f"Offers {offered}", "widgets": widgets}
    made = own.client.post("/dashboards", json=board)
    page = open_page(own, f"/#/dashboards/{made.json()['data']['id']}")
    settled(page)
    expect(page.locator("main article")).to_have_count(len(widgets))
    controls = page.locator("header .controls")
    for words in ("Last 7 days", "Own periods", "vs"):
        button = controls.get_by_role("button", name=re.compile(rf"^{words}\b"))
        expect(button).to_have_count(offered.count(words))
    page.keyboard.press("d")  # the key of the period
    expect(page.get_by_role("dialog", name="Period")).to_have_count(1 if offered else 0)


def test_what_is_edited_is_what_is_kept_and_not_what_was_shown_long_before(
    own: Server, page: Page, open_page: Open
) -> None:
    path = f"/dashboards/{made_by_itself(own, 'Shown long before')}"
    open_page(own, f"/#{path}")
    settled(page)
    assert own.client.put(path, json={"name": "Changed since", "widgets": []}).is_success
    page.get_by_role("button", name="Edit", exact=True).click()
    expect(page.get_by_label("Name")).to_have_value("Changed since")
    page.get_by_role("button", name="Add widget").click()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).not_to_have_url(re.compile("edit=1"))
    kept = own.client.get(path).json()["data"]
    assert (kept["name"], len(kept["widgets"])) == ("Changed since", 1)


def test_a_query_is_added_to_what_is_kept_and_not_to_what_was_listed_long_before(
    own: Server, page: Page, open_page: Open
) -> None:
    path = f"/dashboards/{made_by_itself(own, 'Listed before')}"
    open_page(own, "/#/dashboards?add=SELECT%20count()%20AS%20n%20FROM%20events")
    settled(page)
    assert own.client.put(path, json={"name": "Altered since", "widgets": []}).is_success
    row = page.get_by_role("row").filter(has_text="Listed before")
    row.get_by_role("button", name="Add here").click()
    expect(page).to_have_url(re.compile(f"#{path}"))
    kept = own.client.get(path).json()["data"]
    assert (kept["name"], len(kept["widgets"])) == ("Altered since", 1)


def test_what_was_changed_before_that_was_known_stays_but_is_not_saved_over_it(
    own: Server, page: Page, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("412")
    path = f"/dashboards/{made_by_itself(own, 'Shown before')}"
    open_page(own, f"/#{path}")
    settled(page)
    assert own.client.put(path, json={"name": "Changed meanwhile", "widgets": []}).is_success
    with held_back(page, f"**{path}"):
        page.get_by_role("button", name="Edit", exact=True).click()
        page.get_by_label("Name").fill("Of mine")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_text("Could not save the dashboard")).to_be_visible()
    expect(page.get_by_label("Name")).to_have_value("Of mine")
    assert own.client.get(path).json()["data"]["name"] == "Changed meanwhile"


@pytest.mark.parametrize(
    ("is_shared", "lost"),
    [
        (False, "Its 6\u00a0widgets go with it."),
        (True, "widgets and its read-only link go with it."),
    ],
)
def test_what_goes_with_a_dashboard_is_said_before(
    own: Server, open_page: Open, is_shared: bool, lost: str
) -> None:
    if is_shared:
        own.client.post("/dashboards/users/share").raise_for_status()
    else:
        own.client.delete("/dashboards/users/share")
    page = open_page(own, "/#/dashboards/users")
    page.get_by_role("button", name="Share", exact=True).click()
    page.get_by_role("button", name="Delete …").click()
    expect(page.get_by_role("dialog", name="Delete")).to_contain_text(lost)


def test_a_link_shows_its_dashboard_to_others_and_nothing_to_change(
    own: Server, browser: Browser, complaints: Complaints
) -> None:
    share = own.client.post("/dashboards/revenue/share").json()["data"]
    complaints.url = own.url
    context = browser.new_context(viewport={"width": 1024, "height": 768})
    page = context.new_page()
    complaints.listen(page)
    page.goto(own.url + share["path"])
    settled(page)
    expect(page.locator("h1")).to_have_text("Revenue")
    expect(page.locator("main article")).to_have_count(6)
    expect(page.locator("nav")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("Edit|Save|Delete"))).to_have_count(0)
    urls = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    paths = {urlsplit(url).path for url in urls if "/metrics/" in url}
    assert any(path.startswith("/embed/revenue/metrics/") for path in paths)
    assert own.client.delete("/dashboards/revenue/share").status_code == 204
    assert complaints.left == []
    complaints.expect("404")
    page.reload()
    expect(page.locator("main")).to_contain_text("does not open a dashboard")
    context.close()


def test_a_shared_dashboard_shows_the_rows_of_its_query_and_not_its_text(
    own: Server, open_page: Open
) -> None:
    secret = (
        "SELECT blob2 AS service, count() AS n FROM events GROUP BY service ORDER BY n DESC"
    )
    layout = {"x": 0, "y": 0, "w": 6, "h": 4}
    widget = {"kind": "table", "title": "Busiest", "metric": "sql", "layout": layout}
    board = {"name": "With a query", "widgets": [widget | {"filters": {"sql": secret}}]}
    made = own.client.post("/dashboards", json=board).json()["data"]
    share = own.client.post(f"/dashboards/{made['id']}/share").json()["data"]
    page = open_page(own, share["path"])
    settled(page)
    busiest = own.client.get("/metrics/services?limit=1").json()["data"][0]["serviceId"]
    expect(page.get_by_role("article", name="Busiest")).to_contain_text(busiest)
    urls = page.evaluate("performance.getEntriesByType('resource').map((one) => one.name)")
    assert [url for url in urls if "/queries/" in url]
    assert not [url for url in urls if urlsplit(url).path == "/sql"]
    assert "GROUP BY" not in page.content()


def test_the_form_takes_several_filters_and_the_figure_fits_all_of_them(
    server: Server, open_page: Open
) -> None:
    sales = [
        event(
            "revenue_transaction",
            orderId=f"{service} {creator} {currency} {n}",
            amount=10,
            serviceId=service,
            creatorId=creator,
            currency=currency,
        )
        for service, creator, currency, many in (
            ("s-1", "c-1", "USD", 3),
            ("s-1", "c-1", "EUR", 4),
            ("s-1", "c-2", "USD", 5),
            ("s-2", "c-1", "USD", 6),
        )
        for n in range(many)
    ]
    assert server.client.post("/track/batch", json=sales).status_code == 200
    archived(server)
    widget = {"kind": "counter", "title": "Orders", "metric": "revenue.transactionCount"}
    widget |= {"layout": {"x": 0, "y": 0, "w": 3, "h": 2}}
    made = server.client.post("/dashboards", json={"name": "Filtered", "widgets": [widget]})
    path = f"/dashboards/{made.json()['data']['id']}"
    page = open_page(server, f"/#{path}?edit=1")
    orders = page.get_by_role("article", name="Orders")
    for given, count in (
        ({"Service id": "s-1"}, 12),
        ({"Creator id": "c-1"}, 7),
        ({"Currency": "USD"}, 3),
        ({"Creator id": ""}, 8),
    ):
        settled(page)
        page.locator("main").get_by_label("Orders").first.click()
        for name, value in given.items():
            page.get_by_role("textbox", name=name).fill(value)
            page.keyboard.press("Tab")
        expect(orders.get_by_text(re.compile(rf"^{count}$"))).to_be_visible()
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).not_to_have_url(re.compile("edit=1"))
    kept = server.client.get(path).json()["data"]["widgets"][0]["filters"]
    assert kept == {"serviceId": "s-1", "currency": "USD"}


def test_a_widget_that_can_never_show_its_metric_says_so(own: Server, open_page: Open) -> None:
    wrong = [("counter", "services.nope"), ("lineChart", "revenue.mrr"), ("table", "users.dau")]
    widgets = [{"kind": kind, "title": kind, "metric": metric} for kind, metric in wrong]
    made = own.client.post("/dashboards", json={"name": "By guess", "widgets": widgets})
    page = open_page(own, f"/#/dashboards/{made.json()['data']['id']}")
    for kind, metric in wrong:
        widget = page.get_by_role("article", name=kind)
        expect(widget.get_by_text(f"cannot show {metric}")).to_be_visible()
        expect(widget.get_by_role("heading", name=kind)).to_be_visible()


def test_the_form_says_how_a_widget_is_shown_that_was_not_made_with_it(
    own: Server, open_page: Open
) -> None:
    widget = {"kind": "barChart", "title": "Rates", "metric": "experiments.variants"}
    made = own.client.post("/dashboards", json={"name": "By the API", "widgets": [widget]})
    page = open_page(own, f"/#/dashboards/{made.json()['data']['id']}?edit=1")
    settled(page)
    page.locator("main").get_by_label("Rates").first.click()
    expect(page.get_by_label("Shown as")).to_have_value("barChart")


def test_the_form_drops_filters_that_were_kept_before_they_were_checked(
    tmp_path: Path, open_page: Open, complaints: Complaints
) -> None:
    widget = {"kind": "counter", "title": "Orders", "metric": "revenue.transactionCount"}
    widget |= {"layout": {"x": 0, "y": 0, "w": 3, "h": 2}}
    filters = {"serviceId": "s-1", "currency": "usd", "limit": "0", "creatorId": ""}
    old = {"name": "Old", "widgets": [widget | {"filters": filters}]}
    data = tmp_path / "data"
    data.mkdir()
    ControlStore.open(data, now_ms=0, first=[Sketch("old", "Old", json.encode(old))]).close()
    complaints.expect("422")
    with serving(data) as server:
        sale = event(
            "revenue_transaction", orderId="o", amount=10, currency="USD", serviceId="s-1"
        )
        assert server.client.post("/track", json=sale).status_code == 200
        page = open_page(server, "/#/dashboards/old?edit=1")
        orders = page.get_by_role("article", name="Orders")
        settled(page)
        page.locator("main").get_by_label("Orders").first.click()
        page.get_by_role("textbox", name="limit").fill("")
        page.get_by_role("textbox", name="Currency").fill("")
        page.keyboard.press("Tab")
        expect(page.get_by_role("textbox", name="limit")).to_have_count(0)
        expect(orders.get_by_text(re.compile("^1$"))).to_be_visible()
        page.get_by_role("button", name="Save", exact=True).click()
        expect(page).not_to_have_url(re.compile("edit=1"))
        kept = server.client.get("/dashboards/old").json()["data"]["widgets"][0]["filters"]
        assert kept == {"serviceId": "s-1"}


def asked_to_leave(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Leave without saving?")


def edited(server: Server, open_page: Open, name: str) -> Page:
    """A dashboard of its own in the editor, come to from the list, its name changed."""
    path = f"/#/dashboards/{made_by_itself(server, name)}"
    page = open_page(server, "/#/dashboards")
    page.get_by_role("link", name=f"Edit {name}").click()
    expect(page).to_have_url(f"{server.url}{path}?edit=1")
    page.get_by_label("Name").fill(f"{name} again")
    return page


def made_by_itself(server: Server, name: str) -> str:
    made = server.client.post("/dashboards", json={"name": name, "widgets": []})
    return str(made.json()["data"]["id"])


def by_navigation(page: Page) -> None:
    page.get_by_role("link", name="Revenue", exact=True).click()


def by_keys(page: Page) -> None:
    page.get_by_role("heading", name="Dashboard", exact=True).click()
    press_at_once(page, "g", "r")


def by_address(page: Page) -> None:
    page.evaluate("location.hash = '#/revenue'")


def by_going_back(page: Page) -> None:
    page.evaluate("history.back()")


def by_cancelling(page: Page) -> None:
    page.get_by_role("button", name="Cancel").click()


WAYS: list[tuple[Callable[[Page], None], str]] = [
    (by_navigation, "#/revenue$"),
    (by_keys, "#/revenue$"),
    (by_address, "#/revenue$"),
    (by_going_back, "#/dashboards$"),
    (by_cancelling, "#/dashboards/[^/?]+$"),
]


@pytest.mark.parametrize(("leave", "there"), WAYS)
def test_who_leaves_the_editor_with_changes_is_asked_and_may_stay(
    own: Server, open_page: Open, leave: Callable[[Page], None], there: str
) -> None:
    page = edited(own, open_page, f"Left {leave.__name__}")
    here = page.url
    for keep in ("Keep editing", "Escape"):
        leave(page)
        expect(asked_to_leave(page)).to_be_visible()
        expect(page.get_by_role("button", name="Keep editing")).to_be_focused()
        if keep == "Escape":
            page.keyboard.press(keep)
        else:
            page.get_by_role("button", name=keep).click()
        expect(asked_to_leave(page)).to_have_count(0)
        expect(page).to_have_url(here)
        expect(page.get_by_label("Name")).to_have_value(re.compile(" again$"))
    leave(page)
    asked_to_leave(page).get_by_role("button", name="Leave").click()
    expect(page).to_have_url(re.compile(there))
    expect(page.get_by_label("Name", exact=True)).to_have_count(0)
    page.go_back()  # the steps of the browser are those that were gone
    expect(page).to_have_url("about:blank" if leave is by_going_back else here)


def test_who_stays_in_the_editor_has_focus_where_it_was(own: Server, open_page: Open) -> None:
    page = edited(own, open_page, "Focus")
    link = page.get_by_role("link", name="Revenue", exact=True)
    link.press("Enter")
    page.get_by_role("button", name="Keep editing").press("Enter")
    expect(link).to_be_focused()
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("button", name="More", exact=True).press("Enter")
    page.get_by_role("dialog", name="More views").get_by_role("link", name="Explore").click()
    page.get_by_role("button", name="Keep editing").press("Enter")
    expect(page.locator("main")).to_be_focused()  # the link is no longer there


def test_nothing_is_asked_where_nothing_would_be_lost(own: Server, open_page: Open) -> None:
    name = "Not asked"
    page = open_page(own, f"/#/dashboards/{made_by_itself(own, name)}?edit=1")
    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.accept()

    page.on("dialog", answer)
    field = page.get_by_label("Name")
    here = page.url
    field.fill("Another")
    page.evaluate("location.hash += '&kiosk=1'")  # the editor stays, with what was changed
    expect(page.locator(".kiosk")).to_have_count(1)
    expect(field).to_have_value("Another")
    page.go_back()
    expect(page).to_have_url(here)
    field.fill(name)
    page.reload()
    by_navigation(page)
    expect(page.locator("h1")).to_have_text("Revenue")
    page.go_back()
    field.fill("Saved")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page).not_to_have_url(re.compile("edit=1"))
    expect(page.locator("h1")).to_have_text("Saved")
    page.reload()
    by_navigation(page)
    expect(page.locator("h1")).to_have_text("Revenue")
    assert asked == []


def test_a_tab_with_unsaved_changes_is_not_closed_unasked(own: Server, open_page: Open) -> None:
    page = edited(own, open_page, "Closed")
    with page.expect_event("dialog") as asking:
        page.close(run_before_unload=True)
    assert asking.value.type == "beforeunload"
    asking.value.dismiss()
    expect(page.get_by_label("Name")).to_have_value("Closed again")
