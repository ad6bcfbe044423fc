"""The example site with Payload in a real browser, beside a real Tallymark."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import (
    Complaints,
    base_url,
    browser_context_args,
    browser_type_launch_args,
)
from tests.payload.site import EMAIL, PASSWORD, Site
from tests.server import Server, tallymark

__all__ = ["base_url", "browser_context_args", "browser_type_launch_args"]

expect.set_options(timeout=60_000)


@pytest.fixture(scope="session")
def keys() -> dict[str, str]:
    """A key of each role that the site has."""
    made = {role: tallymark("keys", "new", "--role", role) for role in ("read", "admin")}
    return {role: done.stdout.strip() for role, done in made.items()}


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, keys: dict[str, str]) -> Iterator[Server]:
    """One with keys, for all tests: each has services of its own."""
    folder = tmp_path_factory.mktemp("tallymark")
    file = folder / "keys"
    file.touch(mode=0o600)
    file.write_text("".join(f"{key} {role}\n" for role, key in keys.items()))
    with Server(folder / "data", "--keys-file", str(file)) as running:
        running.client.headers["Authorization"] = f"Bearer {keys['admin']}"
        yield running


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site, installed and built once."""
    site = Site.install(tmp_path_factory.mktemp("site") / "site")
    site.build()
    return site


@pytest.fixture(scope="session")
def site(
    built: Site,
    server: Server,
    keys: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Site]:
    """The site, running, on an empty database with one user."""
    given = {"TALLYMARK_READ_KEY": keys["read"], "TALLYMARK_ADMIN_KEY": keys["admin"]}
    with built.running(server.url, tmp_path_factory.mktemp("database"), **given) as url:
        built.url = url
        yield built


@pytest.fixture
def visitor(page: Page, site: Site) -> Iterator[Page]:
    """A page of somebody who has not signed in; what its console says fails the test."""
    page.set_default_timeout(60_000)
    complaints = Complaints(url=site.url)
    complaints.expect(r"status of 401")  # that is how the browser tells of each refusal
    complaints.listen(page)
    yield page
    assert complaints.left == []


@pytest.fixture
def editor(visitor: Page, site: Site) -> Page:
    """A page of somebody who has signed in to the admin."""
    visitor.goto(f"{site.url}/admin/login")
    visitor.fill("#field-email", EMAIL)
    visitor.fill("#field-password", PASSWORD)
    visitor.click("button[type=submit]")
    visitor.wait_for_url("**/admin")
    return visitor
