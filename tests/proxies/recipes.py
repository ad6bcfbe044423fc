"""The recipes of docs/operations.md, run as they stand but for names, ports and paths."""

import re
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import trustme

from tests.server import PATIENCE_S, ROOT, free_port

MANUAL = (ROOT / "docs" / "operations.md").read_text()
NAMES = ("nginx", "caddy")


def recipe(name: str) -> str:
    """The block of the manual that configures a proxy."""
    fence = {"nginx": "```nginx\n", "caddy": "```caddy\n"}[name]
    assert MANUAL.count(fence) == 1
    return MANUAL.partition(fence)[2].partition("```")[0]


class Proxy:
    """A proxy in front of a server, and clients of it.

    log  where it writes down requests; None for Caddy, which does not unless it is told to
    """

    def __init__(self, name: str, folder: Path, authority: trustme.CA) -> None:
        self.name = name
        self.folder = folder
        self.port = free_port()
        self.log = folder / "access.log" if name == "nginx" else None
        self._trust = ssl.create_default_context()
        authority.configure_trust(self._trust)
        issued = authority.issue_cert("localhost")
        self.certificate, self.key = folder / "fullchain.pem", folder / "privkey.pem"
        issued.private_key_pem.write_to_path(self.key)
        for piece in issued.cert_chain_pems:
            piece.write_to_path(self.certificate, append=True)

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}"

    def client(self, *, address: str = "127.0.0.1", **headers: str) -> httpx.Client:
        """A client that comes from an address of this machine."""
        transport = httpx.HTTPTransport(verify=self._trust, local_address=address)
        return httpx.Client(
            base_url=self.url, transport=transport, timeout=PATIENCE_S, headers=headers
        )

    def words(self, server_url: str) -> list[str]:
        """How the proxy is started; its configuration is written."""
        made = {"nginx": self._nginx, "caddy": self._caddy}[self.name](server_url)
        return [str(word) for word in made]

    def _nginx(self, server_url: str) -> list[object]:
        text = recipe("nginx")
        for old, new in (
            ("listen 443 ssl", f"listen 127.0.0.1:{self.port} ssl"),
            ("tally.example", "localhost"),
            ("/etc/tls/fullchain.pem", str(self.certificate)),
            ("/etc/tls/privkey.pem", str(self.key)),
            ("http://127.0.0.1:8080", server_url),
            ("/var/log/nginx/tally.log", str(self.log)),
        ):
            assert old in text, old
            text = text.replace(old, new)
        temp = "".join(
            f"{kind}_temp_path {self.folder / kind};\n"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        path = self.folder / "nginx.conf"
        path.write_text(
            f"daemon off; master_process off; pid {self.folder / 'nginx.pid'};\n"
            f"error_log {self.folder / 'error.log'};\nevents {{}}\nhttp {{\n{temp}{text}}}\n"
        )
        return [shutil.which("nginx") or "/usr/sbin/nginx", "-c", path, "-p", self.folder]

    def _caddy(self, server_url: str) -> list[object]:
        text = recipe("caddy")
        for old, new in (
            ("tally.example", self.url),
            ("127.0.0.1:8080", server_url.removeprefix("http://")),
        ):
            assert old in text, old
            text = text.replace(old, new)
        site = re.sub(r"\{\n", f"{{\n\ttls {self.certificate} {self.key}\n", text, count=1)
        path = self.folder / "Caddyfile"
        options = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"
        path.write_text(options + site)
        return ["caddy", "run", "--config", path, "--adapter", "caddyfile"]

    @contextmanager
    def running(self, server_url: str) -> Iterator["Proxy"]:
        """The proxy at work in front of the server."""
        with (self.folder / "output.log").open("wb") as output:
            process = subprocess.Popen(
                self.words(server_url), stdout=output, stderr=subprocess.STDOUT
            )
            try:
                self._wait(process)
                yield self
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(PATIENCE_S)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            told = (self.folder / "output.log").read_text()
            assert process.poll() is None, told
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("it does not listen")
