"""Export in Explore: all rows of the query that is there, as a file."""

import re
from collections.abc import Iterator
from pathlib import Path

import orjson
import polars as pl
import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Complaints, Open, archived, execution, serving
from tests.server import ENDLESS, Server

QUERY = "SELECT serviceId AS s, count() AS n FROM events GROUP BY s ORDER BY s"
ROWS = [{"s": "s-1", "n": 2}, {"s": "s-2", "n": 1}]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with three events in its archive."""
    with serving(tmp_path_factory.mktemp("rows") / "data") as running:
        calls = [execution(), execution(), execution(serviceId="s-2")]
        assert running.client.post("/track/batch", json=calls).status_code == 200
        archived(running)
        yield running


def test_the_rows_of_a_query_become_a_file_of_the_chosen_format(
    rows: Server, open_page: Open
) -> None:
    page = open_page(rows, "/#/explore")
    page.get_by_label("Query").get_by_role("textbox").fill(QUERY)
    contents: dict[str, bytes] = {}
    for name in ("CSV", "JSON, a line a row", "JSON, one array", "Arrow"):
        page.get_by_role("button", name="Export").click()
        formats = page.get_by_role("dialog", name="Export")  # the result has a "CSV" of its own
        with page.expect_download() as download:
            formats.get_by_role("button", name=name, exact=True).click()
        assert download.value.suggested_filename.startswith("query_")
        contents[name] = Path(download.value.path()).read_bytes()
        expect(page.get_by_role("button", name="Export")).to_be_enabled()
    assert contents["CSV"] == b"s,n\r\ns-1,2\r\ns-2,1\r\n"
    assert [orjson.loads(line) for line in contents["JSON, a line a row"].splitlines()] == ROWS
    assert orjson.loads(contents["JSON, one array"]) == ROWS
    assert pl.read_ipc_stream(contents["Arrow"]).to_dicts() == ROWS


def test_what_cannot_be_exported_is_told(
    rows: Server, open_page: Open, complaints: Complaints
) -> None:
    complaints.expect("422")
    page = open_page(rows, "/#/explore")
    page.get_by_label("Query").get_by_role("textbox").fill("SELECT nope FROM events")
    page.get_by_role("button", name="Export").click()
    page.get_by_role("dialog", name="Export").get_by_role("button", name="CSV").click()
    expect(page.get_by_text("unable to find type of column")).to_be_visible()


def test_a_long_export_says_how_far_it_is(server: Server, open_page: Open) -> None:
    calls = [execution(latencyMs=n) for n in range(25)]
    for _ in range(16):
        assert server.client.post("/track/batch", json=calls).status_code == 200
    archived(server)
    page = open_page(server, "/#/explore")
    page.get_by_label("Query").get_by_role("textbox").fill(ENDLESS)
    page.get_by_role("button", name="Export").click()
    page.get_by_role("dialog", name="Export").get_by_role("button", name="CSV").click()
    said = page.get_by_role("button", name=re.compile(r"Exporting … [1-9]\d?\s%, 0\.0\sMB"))
    expect(said).to_be_visible()
    (report,) = server.client.get("/exports").json()["data"]
    assert server.client.delete(f"/exports/{report['id']}").status_code == 204
