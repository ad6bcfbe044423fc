"""A service with keys: the page asks for one, keeps none, and lets go of it."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    SCREENSHOTS,
    Complaints,
    Open,
    execution,
    serving,
    settled,
    violations,
)
from tests.keys import keys, listed, made
from tests.server import Server


@pytest.fixture(scope="module")
def keyed(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Server, dict[str, str]]]:
    """A server with a few events, and a key of each role."""
    data = tmp_path_factory.mktemp("keyed") / "data"
    found = {role: made(data, role) for role in ("write", "read", "admin")}
    with serving(data, "--load-hooks") as server:
        sent = {"Authorization": f"Bearer {found['write']}"}
        assert server.client.post("/track", json=execution(), headers=sent).status_code == 200
        server.client.headers["Authorization"] = f"Bearer {found['admin']}"
        yield server, found


def sign_in(page: Page, key: str) -> None:
    page.get_by_label("Key").fill(key)
    page.get_by_role("button", name="Show the figures").click()


def signed_in(page: Page, key: str) -> None:
    """Sign in with a key that works, and wait until the page has begun anew with it."""
    sign_in(page, key)
    expect(page.locator("nav").first).to_be_visible()
    settled(page)


def test_the_page_asks_for_a_key_and_shows_figures_with_it(
    keyed: tuple[Server, dict[str, str]], open_page: Open, complaints: Complaints
) -> None:
    server, found = keyed
    page = open_page(server, "/#/services")
    heading = page.get_by_role("heading", name="This service asks for a key")
    expect(heading).to_be_visible()
    expect(page.get_by_label("Key")).to_be_focused()
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=SCREENSHOTS / "sign-in.png")
    assert violations(page) == []
    complaints.expect("status of 40[13]")
    sign_in(page, "tm_r_" + "x" * 43)
    expect(page.get_by_role("alert")).to_have_text("No such key works here.")
    sign_in(page, found["write"])
    expect(page.get_by_role("alert")).to_contain_text("may send events")
    signed_in(page, found["read"])
    expect(heading).not_to_be_visible()
    expect(page.locator("main tbody tr")).to_have_count(1)
    expect(page.locator("header")).to_contain_text(re.compile("live", re.IGNORECASE))
    stored = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert "tm_" not in stored
    assert "tallymark_session" not in stored


def test_the_stream_runs_by_the_cookie(
    keyed: tuple[Server, dict[str, str]], open_page: Open
) -> None:
    server, found = keyed
    page = open_page(server, "/")
    signed_in(page, found["read"])
    counted = server.client.get("/counters/executions:today").json()["data"]["value"]
    sent = [execution(), execution()]
    assert server.client.post("/track/batch", json=sent).status_code == 200
    frame = page.evaluate(
        """() => new Promise((resolve, reject) => {
            const source = new EventSource("/stream?keys=executions:today");
            source.onmessage = ({ data }) => {
                const frame = JSON.parse(data);
                if (frame.type !== "update") return;
                source.close();
                resolve(frame.counters);
            };
            source.onerror = () => reject("refused");
        })"""
    )
    assert frame == {"executions:today": counted + 2}


def test_signing_out_and_a_revoked_key_lead_back_to_the_question(
    keyed: tuple[Server, dict[str, str]], open_page: Open, complaints: Complaints
) -> None:
    server, _ = keyed
    key = made(server.data, "read")
    page = open_page(server, "/")
    heading = page.get_by_role("heading", name="This service asks for a key")
    signed_in(page, key)
    page.get_by_role("button", name="Sign out").click()
    expect(heading).to_be_visible()
    assert page.context.cookies() == []
    signed_in(page, key)
    complaints.expect("status of 401")
    newest = [row["id"] for row in listed(server.data) if row["role"] == "read"][-1]
    assert keys("revoke", newest, data=server.data).returncode == 0
    expect(heading).to_be_visible()


def test_signing_out_asks_before_changes_are_lost_and_before_the_session_is(
    keyed: tuple[Server, dict[str, str]], open_page: Open, complaints: Complaints
) -> None:
    server, found = keyed
    complaints.expect("status of 401|ERR_FAILED")
    made_now = server.client.post("/dashboards", json={"name": "Mine", "widgets": []})
    page = open_page(server, f"/#/dashboards/{made_now.json()['data']['id']}?edit=1")
    signed_in(page, found["admin"])
    ended: list[str] = []
    page.on(
        "request", lambda asked: ended.append(asked.url) if asked.method == "DELETE" else None
    )
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.type), dialog.accept()))
    name = page.get_by_label("Name")
    question = page.get_by_role("dialog", name="Leave without saving?")
    name.fill("Mine again")
    page.get_by_role("button", name="Sign out").click()
    question.get_by_role("button", name="Keep editing").click()
    expect(question).to_have_count(0)
    expect(name).to_have_value("Mine again")
    assert ended == []
    page.route("**/session", lambda asked: asked.abort())
    page.get_by_role("button", name="Sign out").click()
    question.get_by_role("button", name="Leave").click()
    expect(page.get_by_text("Could not sign out.")).to_be_visible()
    expect(question).to_have_count(0)
    page.get_by_role("link", name="Revenue", exact=True).click()
    question.get_by_role("button", name="Keep editing").click()  # it is asked as before
    page.unroute("**/session")
    page.get_by_role("button", name="Sign out").click()
    question.get_by_role("button", name="Leave").click()
    expect(page.get_by_role("heading", name="This service asks for a key")).to_be_visible()
    assert dialogs == []


def test_a_shared_dashboard_needs_no_key(
    keyed: tuple[Server, dict[str, str]], open_page: Open
) -> None:
    server, _ = keyed
    boards = server.client.get("/dashboards").json()["data"]
    shared = server.client.post(f"/dashboards/{boards[0]['id']}/share").json()
    page = open_page(server, shared["data"]["path"])
    settled(page)
    expect(page.get_by_role("heading", name=boards[0]["name"])).to_be_visible()


def test_nobody_is_asked_to_sign_out_where_no_key_is_asked_for(
    demo: Server, open_page: Open
) -> None:
    page = open_page(demo, "/")
    settled(page)
    expect(page.get_by_role("button", name="Sign out")).to_have_count(0)


def test_the_first_steps_say_where_their_key_comes_from(
    tmp_path: Path, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("status of 401")
    key = made(tmp_path / "data", "admin")
    with serving(tmp_path / "data") as server:
        page = open_page(server)
        sign_in(page, key)
        expect(page.get_by_text("Send the first event")).to_be_visible()
        expect(page.locator("main")).to_contain_text("tallymark keys add --role write")
