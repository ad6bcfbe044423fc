"""Behind a proxy of the manual: streams flow, uploads pass, clients keep their address."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from tests.keys import made
from tests.proxies.recipes import NAMES, Proxy
from tests.server import Server, wait_until

EVENT = {"eventType": "marketplace_view", "serviceId": "s-1"}
BULK_BYTES_MAX = 16 * 2**20
PER_S = 5


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def keys(data: Path) -> dict[str, dict[str, str]]:
    """{role: headers of who has a key of it}"""
    roles = ("write", "read", "admin")
    return {role: {"Authorization": f"Bearer {made(data, role)}"} for role in roles}


@pytest.fixture
def server(data: Path, keys: dict[str, dict[str, str]]) -> Iterator[Server]:
    variables = {"TALLYMARK_TRUSTED_PROXIES": "127.0.0.1"}
    limits = ("--address-requests-per-s-max", str(PER_S), "--rate-burst-s", "1")
    with Server(data, *limits, "--load-hooks", variables=variables) as server:
        yield server


@pytest.fixture(params=NAMES)
def proxy(
    request: pytest.FixtureRequest, server: Server, authority: trustme.CA, tmp_path: Path
) -> Iterator[Proxy]:
    folder = tmp_path / "proxy"
    folder.mkdir()
    with Proxy(request.param, folder, authority).running(server.url) as proxy:
        yield proxy


def bulk(size_bytes: int) -> bytes:
    """Events of about so many bytes, fewer than there may be."""
    line = json.dumps({**EVENT, "category": "c" * 4_000}).encode() + b"\n"
    return line * (size_bytes // len(line)) + b"\n" * (size_bytes % len(line))


def test_events_are_taken_and_counted(proxy: Proxy, keys: dict[str, dict[str, str]]) -> None:
    with proxy.client() as client:
        assert client.post("/track", json=EVENT).status_code == 401
        assert client.post("/track", json=EVENT, headers=keys["write"]).status_code == 200
        asked = client.get("/counters/views:today", headers=keys["read"])
        assert asked.json()["data"]["value"] == 1
        assert client.get("/", headers={"Accept": "text/html"}).status_code == 200


def test_a_stream_flows_and_does_not_come_in_lumps(
    proxy: Proxy, keys: dict[str, dict[str, str]]
) -> None:
    """What is told after each event arrives before the next event is sent."""
    with proxy.client() as client, proxy.client() as sender:
        with client.stream("GET", "/stream", headers=keys["read"]) as stream:
            assert stream.status_code == 200
            lines = stream.iter_lines()
            for number in range(1, 4):
                sent = sender.post("/track", json=EVENT, headers=keys["write"])
                assert sent.status_code == 200
                wait_for(lines, f'"views:today":{number}')


def wait_for(lines: Iterator[str], text: str) -> None:
    for line in lines:
        if text in line.replace(" ", ""):
            return
    raise AssertionError(f"the stream ended before {text}")


@pytest.mark.parametrize("beyond", [0, 1])
def test_an_upload_as_large_as_it_may_be_passes_and_a_larger_one_is_refused(
    proxy: Proxy, keys: dict[str, dict[str, str]], beyond: int
) -> None:
    with proxy.client() as client:
        body = bulk(BULK_BYTES_MAX + beyond)
        answer = client.post("/track/bulk", content=body, headers=keys["write"])
        assert answer.status_code == (413 if beyond else 200)


def test_each_client_counts_by_its_own_address_and_cannot_make_one_up(
    proxy: Proxy, keys: dict[str, dict[str, str]]
) -> None:
    def statuses(client: httpx.Client) -> list[int]:
        return [
            client.get(
                "/counters/views:today",
                headers=keys["read"] | {"X-Forwarded-For": f"10.0.0.{number}"},
            ).status_code
            for number in range(60)
        ]

    with proxy.client() as greedy, proxy.client(address="127.0.0.2") as other:
        assert 429 in statuses(greedy)
        assert other.get("/counters/views:today", headers=keys["read"]).status_code == 200


def test_a_session_is_of_https_and_of_this_page(
    proxy: Proxy, keys: dict[str, dict[str, str]]
) -> None:
    page = {"Origin": proxy.url, "Sec-Fetch-Site": "same-origin"}
    with proxy.client() as client:
        cookie = client.post("/session", headers=keys["read"] | page).headers["Set-Cookie"]
        assert cookie.startswith("__Host-tallymark_session=")
        assert "Secure" in cookie
        assert client.get("/session", headers=page).json()["role"] == "read"
        foreign = {"Origin": "https://evil.example"}
        assert client.delete("/session", headers=foreign).status_code in (401, 403)
        old = {"Origin": proxy.url}  # a browser of before Sec-Fetch-Site
        assert client.delete("/session", headers=old).status_code == 204


def test_no_key_is_in_the_log_of_the_proxy(
    proxy: Proxy, keys: dict[str, dict[str, str]]
) -> None:
    key = keys["write"]["Authorization"].removeprefix("Bearer ")
    with proxy.client() as client:
        assert client.post(f"/track?key={key}", json=EVENT).status_code == 200
    if proxy.log is not None:
        log = proxy.log
        wait_until(lambda: '"POST /track"' in log.read_text())
    for path in proxy.folder.rglob("*"):
        if path.is_file():
            assert key.encode() not in path.read_bytes(), path
