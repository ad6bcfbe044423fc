"""Each case of the corpus of bad inputs, on a real server: its status, a problem, no change.

Without TLS the hot routes are on the lane and the others come through it; with TLS all of them
are Quart's.
"""

import socket
import ssl
from collections.abc import Iterator
from typing import Any, Final

import httpx
import orjson
import pytest
import trustme

from tests.server import Server
from tests.web.corpus import cases_that_need, request_of

PLAIN_TEXT: Final = "analytics_engine"
"""In the paths of Cloudflare's interface, whose refusals are texts."""


class Served:
    """A server, and how to reach it byte for byte."""

    def __init__(self, server: Server, trust: ssl.SSLContext | None) -> None:
        self.server = server
        self._trust = trust
        self._port = httpx.URL(server.url).port
        self.client = httpx.Client(
            base_url=server.url, verify=trust or False, timeout=60, trust_env=False
        )

    def ask(self, raw: bytes) -> tuple[int, str, bytes]:
        """Status, media type and body of the one answer."""
        with socket.create_connection(("127.0.0.1", self._port), timeout=60) as plain:
            if self._trust is None:
                return _asked(plain, raw)
            with self._trust.wrap_socket(plain, server_hostname="127.0.0.1") as secure:
                return _asked(secure, raw)

    def state(self) -> list[Any]:
        """What no bad input may change."""
        health = self.client.get("/health").json()
        kept = [self.client.get(path).json() for path in ("/dashboards", "/catalog/services")]
        return [health["events"], health["journal"]["lastSeq"], health["overCap"], *kept]


def _asked(connection: socket.socket, raw: bytes) -> tuple[int, str, bytes]:
    connection.sendall(raw)
    received = b""
    while piece := connection.recv(65_536):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    if headers.get("transfer-encoding") == "chunked":
        size, _, rest = body.partition(b"\r\n")
        body = rest[: int(size, 16)]
    return int(first.split()[1]), headers.get("content-type", ""), body


@pytest.fixture(scope="module", params=["lane", "quart"])
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp(request.param)
    options, trust = ["--archive", "--durability", "write"], None
    if request.param == "quart":
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1")
        issued.private_key_and_cert_chain_pem.write_to_path(folder / "both.pem")
        options += [f"--{name}={folder / 'both.pem'}" for name in ("certfile", "keyfile")]
        trust = ssl.create_default_context()
        authority.configure_trust(trust)
    with Server(folder / "data", *options) as server:
        reached = Served(server, trust)
        with reached.client:
            yield reached


def test_every_bad_input_gets_its_status_and_a_problem_and_changes_nothing(
    served: Served,
) -> None:
    before = served.state()
    wrong = []
    for one in cases_that_need(None):
        status, media, body = served.ask(request_of(one))
        if status not in one["expect_status"]:
            wrong.append((one["id"], one["why"], status, body[:200]))
        elif PLAIN_TEXT in one["path"]:
            assert media.startswith("text/plain"), one["id"]
            assert body, one["id"]
        else:
            assert media == "application/problem+json", (one["id"], media)
            told = orjson.loads(body)
            assert (told["status"], told["success"]) == (status, False), one["id"]
            assert told["detail"], one["id"]
    assert wrong == []
    assert served.state() == before
    assert [line for line in served.server.log if line.get("level") != "info"] == []
