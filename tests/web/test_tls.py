"""HTTPS and HTTP/2: a real server with a certificate of the test."""

import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import trustme
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ResponseReceived
from h2.settings import SettingCodes

from tests.keys import made
from tests.server import PATIENCE_S, Server, tallymark

REST = [(b":scheme", b"https"), (b":authority", b"localhost")]
"""Of the head of a request, behind its method and its path."""

EVENT = {"eventType": "marketplace_view", "serviceId": "s-1"}


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def files(authority: trustme.CA, tmp_path: Path) -> tuple[str, str]:
    issued = authority.issue_cert("127.0.0.1", "localhost")
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    issued.private_key_pem.write_to_path(key)
    for piece in issued.cert_chain_pems:
        piece.write_to_path(certificate, append=True)
    return str(certificate), str(key)


@pytest.fixture
def secure(files: tuple[str, str], tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "data", "--certfile", files[0], "--keyfile", files[1]) as running:
        yield running


@pytest.mark.parametrize("version", ["HTTP/1.1", "HTTP/2"])
def test_events_are_taken_and_counted_over_tls(
    secure: Server, authority: trustme.CA, version: str
) -> None:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    assert secure.url.startswith("https://127.0.0.1:")
    with httpx.Client(
        base_url=secure.url,
        verify=trust,
        http2=version == "HTTP/2",
        timeout=PATIENCE_S,
        trust_env=False,
    ) as client:
        answer = client.post("/track", json=EVENT)
        assert (answer.status_code, answer.http_version) == (200, version)
        assert client.get("/counters/views:today").json()["data"]["value"] == 1
        assert client.post("/track", content=b"{").status_code == 400
    assert secure.stop() == 0


def test_keys_and_cookies_work_by_https(
    files: tuple[str, str], tmp_path: Path, authority: trustme.CA
) -> None:
    data = tmp_path / "data"
    found = {role: made(data, role) for role in ("write", "read")}
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    with Server(data, "--certfile", files[0], "--keyfile", files[1]) as server:
        with httpx.Client(
            base_url=server.url, verify=trust, timeout=PATIENCE_S, trust_env=False
        ) as client:
            shown = {role: {"Authorization": f"Bearer {key}"} for role, key in found.items()}
            assert client.post("/track", json=EVENT).status_code == 401
            assert client.post("/track", json=EVENT, headers=shown["read"]).status_code == 403
            assert client.post("/track", json=EVENT, headers=shown["write"]).status_code == 200
            cookie = client.post("/session", headers=shown["read"]).headers["Set-Cookie"]
            assert cookie.startswith("__Host-tallymark_session=")
            assert cookie.endswith("; Secure")
            assert client.get("/counters/views:today").json()["data"]["value"] == 1


def test_a_plain_request_to_a_secure_port_ends_nothing(
    secure: Server, authority: trustme.CA
) -> None:
    with pytest.raises(httpx.TransportError):
        httpx.get(secure.url.replace("https", "http"), timeout=PATIENCE_S, trust_env=False)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    ready = httpx.get(secure.url + "/ready", verify=trust, timeout=PATIENCE_S, trust_env=False)
    assert ready.status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        [(b":method", b"CONNECT"), (b":authority", b"localhost:80")],
        [*REST, (b":method", b"G\xff"), (b":path", b"/")],
        [*REST, (b":method", b"GET"), (b":path", b"/\xff")],
        [*REST, (b":method", b"GET"), (b":path", b"/"), (b"x-\xff", b"\xff")],
    ],
)
def test_what_cannot_be_read_by_http_2_ends_nothing_and_fills_no_log(
    secure: Server, authority: trustme.CA, asked: list[tuple[bytes, bytes]]
) -> None:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    trust.set_alpn_protocols(["h2"])
    speaking = H2Connection(H2Configuration(validate_outbound_headers=False))
    speaking.initiate_connection()
    speaking.send_headers(1, asked, end_stream=True)
    host, port = secure.url.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as plain:
        with trust.wrap_socket(plain, server_hostname=host) as connection:
            connection.sendall(speaking.data_to_send())
            connection.sendall(b"what follows is no frame, so that it ends in any case")
            with suppress(ConnectionError, ssl.SSLError):
                while connection.recv(65_536):
                    pass
    ready = httpx.get(secure.url + "/ready", verify=trust, timeout=PATIENCE_S, trust_env=False)
    assert ready.status_code == 200
    assert secure.stop() == 0
    assert "connection failed" not in secure.messages


@pytest.mark.parametrize("leaves", [True, False])
def test_who_takes_nothing_of_an_answer_over_http_2_does_not_keep_the_service_from_stopping(
    secure: Server, authority: trustme.CA, *, leaves: bool
) -> None:
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    trust.set_alpn_protocols(["h2"])
    speaking = H2Connection()
    speaking.local_settings[SettingCodes.INITIAL_WINDOW_SIZE] = 0  # nothing of any body
    speaking.initiate_connection()
    path = [(b":method", b"GET"), (b":path", b"/openapi.json")]
    speaking.send_headers(1, path + REST, end_stream=True)
    host, port = secure.url.removeprefix("https://").split(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as plain:
        with trust.wrap_socket(plain, server_hostname=host) as connection:
            connection.sendall(speaking.data_to_send())
            told: list[object] = []
            while not any(isinstance(event, ResponseReceived) for event in told):
                received = connection.recv(65_536)
                assert received
                told += speaking.receive_data(received)
            if leaves:
                connection.close()
            assert secure.stop() == 0
    assert ("connections cut off" in secure.messages) is not leaves


def test_a_certificate_without_its_key_is_refused(files: tuple[str, str]) -> None:
    done = tallymark("serve", "--certfile", files[0])
    assert done.returncode == 2
    assert "TLS needs both certfile and keyfile" in done.stderr


def test_a_certificate_that_cannot_be_used_is_said_in_one_line(
    files: tuple[str, str], tmp_path: Path
) -> None:
    data = str(tmp_path / "data")
    for certificate, key in (("/nope.pem", files[1]), (files[1], files[1])):
        options = ("--certfile", certificate, "--keyfile", key, "--port", "0", "--data", data)
        done = tallymark("serve", *options, "--log-level", "error")
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert f"The certificate {certificate}, or its key {key}, cannot be used: " in line
