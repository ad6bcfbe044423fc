"""A proxy that loses requests and answers by a fixed plan, before a server that may die."""

import http.client
import socket
import struct
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

from tests.server import PATIENCE_S

Fault = Literal["refused", "lost", "unanswered", "none"]

PLAN: dict[int, Fault] = {3: "refused", 6: "lost", 9: "unanswered", 13: "unanswered"}
"""What befalls a request, by its number modulo ROUND; at all others nothing does."""

ROUND = 16


class FaultyProxy:
    """`with FaultyProxy(server.url) as proxy:`, and clients send to `proxy.url`.

    refused     503 with Retry-After, nothing reaches the server
    lost        the connection is reset, nothing reaches the server
    unanswered  the server has taken it, and the connection is reset before the answer
    """

    def __init__(self, target: str) -> None:
        self.target = target
        self.seen: Counter[Fault] = Counter()
        self.passed = 0
        self._news = threading.Condition()
        self._count = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                proxy._answer(self)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        class Listener(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that was killed or reset is no news here."""

        self._server = Listener(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(PATIENCE_S)

    def wait_for_passed(self, requests: int) -> None:
        """Wait until so many requests were answered by the server."""
        with self._news:
            assert self._news.wait_for(lambda: self.passed >= requests, PATIENCE_S)

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers["Content-Length"]))
        with self._news:
            self._count += 1
            fault = PLAN.get(self._count % ROUND, "none")
            self.seen[fault] += 1
        if fault == "refused":
            handler.send_response(503)
            handler.send_header("Retry-After", "0")
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        if fault == "lost":
            _reset(handler)
            return
        try:
            status, answer = self._forward(handler, body)
        except (OSError, http.client.HTTPException):  # the server is dead at the moment
            _reset(handler)
            return
        if fault == "unanswered":
            _reset(handler)
            return
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(answer)))
        handler.end_headers()
        handler.wfile.write(answer)
        with self._news:
            self.passed += 1
            self._news.notify_all()

    def _forward(self, handler: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        parts = urlsplit(self.target)
        line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=PATIENCE_S)
        try:
            kind = handler.headers["Content-Type"]
            line.request("POST", handler.path, body, {"Content-Type": kind})
            response = line.getresponse()
            return response.status, response.read()
        finally:
            line.close()


def _reset(handler: BaseHTTPRequestHandler) -> None:
    """Close the connection so that the other side sees a reset and not an end."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True
