"""The pages: sent from memory, guarded by headers; if none is built, a word on what to do."""

import gzip
from pathlib import Path
from typing import Any

import pytest
from quart.typing import TestClientProtocol as Client

from engine.config import Config
from web import pages
from web.app import Application, create_app
from web.control import Control
from web.service import LateEngine

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8", "Accept-Encoding": "gzip, br"}
SCRIPT = b"// " + b"tally " * 1_000


@pytest.fixture
def client(
    service: LateEngine,
    config: Config,
    control: Control,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Client:
    """The application over a page that was built."""
    built = tmp_path / "static"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<!doctype html><title>Tallymark</title>")
    (built / "theme.js").write_text("'use strict'")
    (built / "assets" / "main-BYz1.js").write_bytes(SCRIPT)
    (built / "secret.py").write_text("never sent")
    (tmp_path / "outside.js").write_text("never sent")
    monkeypatch.setattr(pages, "BUILT", built)
    return create_app(service, config, control).test_client()


@pytest.fixture
def unbuilt(
    service: LateEngine,
    config: Config,
    control: Control,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Client:
    monkeypatch.setattr(pages, "BUILT", tmp_path / "nothing")
    return create_app(service, config, control).test_client()


def is_guarded(headers: Any) -> bool:
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    return (
        policy["default-src"] == "'none'"
        and policy["frame-ancestors"] == "'none'"
        and policy.get("script-src", "'self'") == policy.get("style-src", "'self'") == "'self'"
        and headers["X-Content-Type-Options"] == "nosniff"
        and headers["Referrer-Policy"] == "no-referrer"
        and headers["Cross-Origin-Opener-Policy"] == "same-origin"
        and headers["Cross-Origin-Resource-Policy"] == "same-origin"
    )


async def test_browsers_get_the_page_and_all_others_the_routes(client: Client) -> None:
    page = await client.get("/?kiosk=1", headers=BROWSER)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-cache"
    assert b"<title>Tallymark</title>" in await page.get_data()
    for accept in ("application/json", "*/*", None):
        home = await client.get("/", headers={"Accept": accept} if accept else {})
        assert (await home.get_json())["service"] == "Tallymark"
        assert "Accept" in home.headers["Vary"]


async def test_without_a_build_it_says_what_to_install(unbuilt: Client) -> None:
    text = (await (await unbuilt.get("/", headers=BROWSER)).get_data()).decode()
    assert "make ui" in text
    assert "Node.js 20 or newer" in text
    assert (await (await unbuilt.get("/")).get_json())["service"] == "Tallymark"


async def test_files_that_never_change_are_kept_and_the_others_asked_for_again(
    client: Client,
) -> None:
    script = await client.get("/ui/assets/main-BYz1.js")
    assert script.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert script.headers["Content-Type"] == "text/javascript; charset=utf-8"
    assert await script.get_data() == SCRIPT
    theme = await client.get("/ui/theme.js")
    assert theme.headers["Cache-Control"] == "no-cache"
    tag = {"If-None-Match": theme.headers["ETag"]}
    again = await client.get("/ui/theme.js", headers=tag)
    assert (again.status_code, await again.get_data()) == (304, b"")
    assert is_guarded(again.headers)


async def test_files_are_packed_for_whom_takes_that(client: Client) -> None:
    packed = await client.get("/ui/assets/main-BYz1.js", headers=BROWSER)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(await packed.get_data()) == SCRIPT
    for coding in ("br", "gzip;q=0", ""):
        plain = await client.get("/ui/assets/main-BYz1.js", headers={"Accept-Encoding": coding})
        assert "Content-Encoding" not in plain.headers
        assert plain.headers["ETag"] != packed.headers["ETag"]
        assert "Accept-Encoding" in plain.headers["Vary"]


@pytest.mark.parametrize(
    "path",
    [
        "../outside.js",
        "..%2foutside.js",
        "%2e%2e/outside.js",
        "assets/../../outside.js",
        "/etc/passwd",
        "..%5coutside.js",
        "assets/%00",
        "secret.py",
        "assets",
        "assets/",
        "index.html/",
        "",
    ],
)
async def test_nothing_but_files_of_the_page_is_sent(client: Client, path: str) -> None:
    reply = await client.get(f"/ui/{path}")
    assert reply.status_code == 404
    assert b"never sent" not in await reply.get_data()


async def test_every_page_and_answer_is_guarded(client: Client) -> None:
    for path in (
        "/",
        "/ui/theme.js",
        "/docs",
        "/docs/style.css",
        "/metrics/services",
        "/dashboards",
        "/openapi.json",
        "/nope",
        "/counters/nope",
    ):
        for headers in ({}, BROWSER):
            reply = await client.get(path, headers=headers)
            assert is_guarded(reply.headers), path
            if reply.headers["Content-Type"].endswith("json"):
                assert reply.headers["Cache-Control"] == "no-store", path


async def test_pages_of_any_origin_may_still_read_what_ingest_says(client: Client) -> None:
    reply = await client.post("/track", data=b"{}")
    assert reply.headers["Access-Control-Allow-Origin"] == "*"
    assert "Cross-Origin-Resource-Policy" not in reply.headers


async def test_the_reference_names_every_route_and_nothing_of_others(
    client: Client, app: Application
) -> None:
    text = (await (await client.get("/docs")).get_data()).decode()
    described = (await (await client.get("/openapi.json")).get_json())["paths"]
    assert [path for path in described if f"<code>{path}</code>" not in text] == []
    assert "<script" not in text
    assert "://" not in text
    assert "<style" not in text
