"""The site as its editors and visitors have it."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.payload.site import EMAIL, EXAMPLE, PASSWORD, Site
from tests.server import PATIENCE_S, ROOT, Server, free_port, wait_until

SCREENSHOTS = ROOT / "build" / "screenshots"


def execution(service: str, **fields: Any) -> dict[str, Any]:
    said = {"serviceId": service, "latencyMs": 120, "success": True}
    return {"eventType": "service_execution", **said, **fields}


def track(server: Server, *events: dict[str, Any]) -> None:
    assert server.client.post("/track/batch", json=events).status_code == 200


def keep(site: Site, name: str, *widgets: dict[str, Any]) -> str:
    """Make a dashboard by the REST API, and return its id."""
    who = {"email": EMAIL, "password": PASSWORD}
    with httpx.Client(base_url=f"{site.url}/api", timeout=PATIENCE_S) as client:
        token = client.post("/users/login", json=who).raise_for_status().json()["token"]
        client.headers["Authorization"] = f"JWT {token}"
        made = client.post("/analytics-dashboards", json={"name": name, "widgets": widgets})
        return str(made.raise_for_status().json()["doc"]["id"])


def choose(field: Locator, option: str) -> None:
    """Choose in one of the admin's select fields."""
    field.locator("input[role=combobox]").click()
    field.page.get_by_role("option", name=option, exact=True).click()


def add_widget(page: Page, kind: str, title: str, metric: str, period: str) -> Locator:
    """Add a block in the admin as an editor does, and return it."""
    count = page.locator("[id^=widgets-row-]").count()
    page.get_by_role("button", name="Add Widget").click()
    page.locator(f'.thumbnail-card[title="{kind}"]').click()
    row = page.locator(f"#widgets-row-{count}")
    row.get_by_label("Title").fill(title)
    choose(row.locator(f"#field-widgets__{count}__metric"), metric)
    choose(row.locator(f"#field-widgets__{count}__range"), period)
    return row


def test_a_dashboard_made_in_the_admin_shows_live_figures_on_the_page(
    editor: Page, site: Site, server: Server
) -> None:
    track(server, execution("first", serviceName="Image Generator"), execution("first"))
    editor.goto(f"{site.url}/admin/collections/analytics-dashboards/create")
    editor.get_by_label("Name").fill("Services Performance Dashboard")
    choose(editor.locator("#field-type"), "Service performance")
    counter = add_widget(
        editor, "Counter", "Service Executions", "Service executions", "Last 24 hours"
    )
    counter.get_by_label("Live").check()
    add_widget(editor, "Line Chart", "Latency Trend", "Latency: p50, p95, p99", "Last 7 days")
    add_widget(editor, "Table", "Top Services", "Top services by executions", "Last 7 days")
    expect(editor.locator("#field-refreshInterval")).to_have_value("30")
    editor.locator("#action-save").click()
    editor.wait_for_url(re.compile(r"/analytics-dashboards/\d+"))

    editor.goto(f"{site.url}/analytics")
    board = editor.get_by_role("region", name="Services Performance Dashboard")
    figure = board.get_by_role("article", name="Service Executions").locator(".tallymark-value")
    expect(figure).to_have_text("2")
    expect(board.get_by_role("table", name="Top Services")).to_contain_text("Image Generator")
    drawn = board.get_by_role("article", name="Latency Trend").locator("svg path, svg circle")
    expect(drawn.first).to_be_attached()
    expect(board.get_by_text("Live", exact=True)).to_be_visible()
    track(server, *(execution("first") for _ in range(3)))
    expect(figure).to_have_text("5")

    editor.goto(f"{site.url}/admin")
    editor.locator(".nav-toggler").first.click()
    editor.get_by_role("link", name="Analytics", exact=True).click()
    editor.wait_for_url("**/admin/analytics")
    expect(editor).to_have_title(re.compile("^Analytics"))
    expect(editor.get_by_role("heading", name="Analytics", exact=True)).to_be_visible()
    expect(editor.locator(".tallymark-value").first).to_have_text("5")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    editor.screenshot(path=SCREENSHOTS / "payload-admin.png", full_page=True)


def test_a_visitor_who_has_not_signed_in_sees_no_figures(
    visitor: Page, site: Site, server: Server
) -> None:
    track(server, execution("secret"))
    keep(site, "Secret", {"blockType": "table", "metric": "services.services", "live": True})
    visitor.goto(f"{site.url}/analytics")
    refusal = visitor.get_by_text("Could not load this. Sign in to see the figures.")
    expect(refusal.first).to_be_visible()
    expect(visitor.locator(".tallymark-live")).to_have_text("Sign in to see the figures.")
    assert "secret" not in visitor.content()
    visitor.get_by_role("link", name="Sign in").click()
    visitor.wait_for_url("**/admin/login?redirect=%2Fanalytics")
    visitor.goto(f"{site.url}/admin/analytics")
    visitor.wait_for_url("**/admin/login**")
    for path in ("/analytics-dashboards", "/tallymark/counters", "/tallymark/stream"):
        answer = httpx.get(f"{site.url}/api{path}", timeout=PATIENCE_S)
        assert answer.status_code in (401, 403), path


def test_the_keys_stay_on_the_server(editor: Page, site: Site, keys: dict[str, str]) -> None:
    sent: list[str] = []
    editor.on("request", lambda request: sent.append(str(request.all_headers())))
    keep(site, "Keyed", {"blockType": "counter", "metric": "services.executions"})
    for path in ("/analytics", "/admin/analytics"):
        editor.goto(site.url + path)
        expect(editor.locator(".tallymark-value, .tallymark-scroll").first).to_be_visible()
        sent.append(editor.content())
    built = [path for path in (site.folder / ".next/static").rglob("*") if path.is_file()]
    assert built
    told = "".join(sent).encode() + b"".join(path.read_bytes() for path in built)
    assert not any(key.encode() in told for key in keys.values())


def test_browsers_ask_a_service_without_keys_themselves_where_it_lets_them(
    page: Page, built: Site, tmp_path: Path
) -> None:
    port = free_port()
    settings = tmp_path / "open.toml"
    settings.write_text(f'cors_origins = ["http://localhost:{port}"]')
    with (
        Server(tmp_path / "data", "--config", str(settings)) as without_keys,
        built.running(
            without_keys.url,
            tmp_path,
            port,
            NEXT_PUBLIC_ANALYTICS_API_URL=without_keys.url,
            SITE_EMPTY="",
        ) as url,
    ):
        track(without_keys, execution("direct"))
        page.set_default_timeout(60_000)
        page.goto(f"{url}/analytics")
        figure = page.get_by_role("article", name="Service Executions")
        expect(figure.locator(".tallymark-value")).to_have_text("1")
        expect(page.get_by_text("Live", exact=True)).to_be_visible()
        track(without_keys, execution("direct"))
        expect(figure.locator(".tallymark-value")).to_have_text("2")


def test_a_service_has_the_name_that_its_document_has(
    editor: Page, site: Site, server: Server
) -> None:
    track(server, execution("named", category="named"))
    widget = {
        "blockType": "table",
        "metric": "services.services",
        "filters": {"category": "named"},
    }
    number = keep(site, "Names", widget)
    view = f"{site.url}/admin/analytics?dashboard={number}"
    editor.goto(view)
    expect(editor.get_by_role("row", name=re.compile("^named"))).to_be_visible()
    editor.goto(f"{site.url}/admin/collections/services/create")
    editor.get_by_label("Title").fill("Name of the Document")
    editor.get_by_label("Service Id").fill("named")
    editor.locator("#action-save").click()
    editor.wait_for_url(re.compile(r"/collections/services/\d+"))
    editor.goto(view)
    expect(editor.get_by_role("row", name=re.compile("^Name of the Document"))).to_be_visible()


def test_who_leaves_the_page_leaves_the_stream(
    editor: Page, site: Site, server: Server
) -> None:
    number = keep(
        site, "Left", {"blockType": "counter", "metric": "counters.views.today", "live": True}
    )
    editor.goto(f"{site.url}/admin/analytics?dashboard={number}")
    expect(editor.get_by_text("Live", exact=True)).to_be_visible()
    wait_until(lambda: subscribers(server) == 1)  # those of earlier pages have left as well
    editor.goto("about:blank")
    with server.client.stream("GET", "/stream?keys=views:today") as stream:
        for line in stream.iter_lines():  # one a second, and it counts itself
            if "update" in line and subscribers(server) == 1:
                return
    raise AssertionError("the stream has ended")


def subscribers(server: Server) -> int:
    return int(server.client.get("/health").json()["stream"]["subscribers"])


EVERYTHING = (
    {"blockType": "counter", "metric": "services.executions", "live": True},
    {"blockType": "counter", "metric": "revenue.gmv", "range": "7d"},
    {"blockType": "counter", "metric": "counters.activeUsers.5m", "live": True},
    {"blockType": "lineChart", "metric": "services.latency"},
    {"blockType": "barChart", "metric": "marketplace.views", "range": "28d"},
    {"blockType": "barChart", "metric": "services.services"},
    {"blockType": "table", "metric": "services.services"},
    {"blockType": "funnel", "metric": "marketplace.funnel"},
    {"blockType": "table", "metric": "revenue.topServices"},
)


VIOLATIONS = """async () => (await axe.run(".tallymark")).violations.map(
    (one) => [one.id, one.nodes.map((node) => node.html)],
)"""
TOO_WIDE = """() => {
    const { scrollWidth, clientWidth } = document.querySelector(".tallymark");
    return scrollWidth - clientWidth;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 390])
def test_it_is_accessible_and_keeps_to_the_width(
    editor: Page, site: Site, server: Server, scheme: Any, width: int
) -> None:
    long = "A service whose name is longer than anybody would have thought"
    events = [execution(f"wide-{n}", serviceName=f"{long} {n}") for n in range(8)]
    views = [{"eventType": "marketplace_view", "serviceId": f"wide-{n}"} for n in range(8)]
    track(server, *events, *views)
    number = keep(site, "Everything", *EVERYTHING)
    editor.set_viewport_size({"width": width, "height": 1000})
    editor.emulate_media(color_scheme=scheme)
    editor.goto(f"{site.url}/admin/analytics?dashboard={number}")
    expect(editor.locator(".tallymark-panel")).to_have_count(len(EVERYTHING))
    for panel in editor.locator(".tallymark-panel").all():
        panel.scroll_into_view_if_needed()
    expect(editor.locator(".tallymark-loading")).to_have_count(0)
    expect(editor.locator(".tallymark-error")).to_have_count(0)
    editor.add_script_tag(path=ROOT / "tests/browser/node_modules/axe-core/axe.min.js")
    assert editor.evaluate(VIOLATIONS) == []
    assert editor.evaluate(TOO_WIDE) <= 0
    background = (
        "() => getComputedStyle(document.querySelector('.tallymark-panel')).backgroundColor"
    )
    is_dark = editor.evaluate(background) == "rgb(21, 23, 25)"
    assert is_dark == (scheme == "dark")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    shot = f"payload-everything-{scheme}-{width}.png"
    editor.screenshot(path=SCREENSHOTS / shot, full_page=True)


def test_what_payload_writes_for_the_site_is_up_to_date(built: Site) -> None:
    built.run("npm", "run", "generate")
    for written in ("src/payload-types.ts", "src/app/(payload)/admin/importMap.js"):
        assert (built.folder / written).read_text() == (EXAMPLE / written).read_text(), written


def test_the_readme_shows_the_site() -> None:
    readme = (ROOT / "clients/payload/README.md").read_text()
    blocks = re.findall(r"^ *```\w+\n(.*?)^ *```", readme, flags=re.DOTALL | re.MULTILINE)
    shown = {
        lines[0]: lines[1:] for lines in map(unindented, blocks) if lines[0].startswith("//")
    }
    for heading, lines in shown.items():
        if "config" in heading:
            continue  # an excerpt
        path = Path(heading.removeprefix("// ").removeprefix("src/"))
        found = (EXAMPLE / "src" / path).read_text().splitlines()
        assert [line for line in found if line != heading] == lines, path


def unindented(block: str) -> list[str]:
    return [line.removeprefix("   ") for line in block.splitlines()]
