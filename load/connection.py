"""One kept HTTP/1.1 connection: posts batches to a Tallymark server, or asks any for a path.

h11 over Trio streams, and not httpx on Trio: measured on one machine against a server that
answers at once, client CPU for a batch of 25 events: 200 to 280 µs against 715 to 840.
"""

from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import h11
import orjson
import trio

from load.errors import LoadError, Unreachable

ANSWER_S_MAX: Final = 30.0
"""After so long without an answer the batch is sent again on a new connection."""

PAUSE_S_MAX: Final = 60.0
"""A Retry-After that asks for more is not believed."""

ANSWER_BYTES_MAX: Final = 1 << 20
_RECEIVE_BYTES: Final = 16_384

BROKEN: Final = (
    OSError,
    trio.BrokenResourceError,
    trio.ClosedResourceError,
    trio.TooSlowError,
    h11.RemoteProtocolError,
)
"""What `post` raises where no whole answer came."""

NOBODY: Final = (OSError, h11.RemoteProtocolError)
"""Those of `BROKEN` by which nobody listens, or somebody who does not speak HTTP."""


class Target(NamedTuple):
    """Where events go. `url` is the server's root, `key` a write key or None."""

    url: str
    key: str | None = None


class Answer(NamedTuple):
    """A whole answer, whatever its status."""

    status: int
    headers: dict[bytes, bytes]
    body: bytes

    def document(self) -> dict[str, Any]:
        """The JSON object that the body is, {} where it is none."""
        try:
            document = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return {}
        return document if isinstance(document, dict) else {}

    def detail(self) -> str:
        """Why, of a problem."""
        document = self.document()
        return str(document.get("detail") or document.get("title") or "no reason was given")

    def retry_after_s(self) -> float | None:
        """Seconds to wait; None where the server does not say, or names a date."""
        text = self.headers.get(b"retry-after", b"")
        return min(float(text), PAUSE_S_MAX) if text.isdigit() else None


class Endpoint(NamedTuple):
    """A target taken apart: whom to connect to, and what every request begins with.

    prefix  of every path, where the server is not at the root of its host
    """

    url: str
    host: str
    port: int
    is_tls: bool
    prefix: str
    headers: list[tuple[str, str]]

    @property
    def path(self) -> str:
        """Where batches go."""
        return self.prefix + "/track/batch"

    @classmethod
    def of(cls, target: Target) -> "Endpoint":
        """Raises Unreachable for what is not a URL, LoadError for what is not a key."""
        try:
            parts = urlsplit(target.url)
            port = parts.port
        except ValueError as why:
            raise Unreachable(f"{target.url} is not a URL: {why}.") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise Unreachable(
                f"{target.url} is not a URL of a server: expected http://HOST:PORT."
            )
        headers = [
            ("Host", parts.netloc.rpartition("@")[2]),
            ("Accept", "application/json"),
        ]
        if target.key is not None:
            if not (target.key.isascii() and target.key.isprintable()):
                raise LoadError("The key holds characters that no header can carry.")
            headers.append(("Authorization", f"Bearer {target.key}"))
        is_tls = parts.scheme == "https"
        return cls(
            url=target.url.rstrip("/"),
            host=parts.hostname,
            port=port or (443 if is_tls else 80),
            is_tls=is_tls,
            prefix=parts.path.rstrip("/"),
            headers=headers,
        )


class Connection:
    """One kept connection; opened when needed, closed after anything unexpected."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._stream: trio.abc.Stream | None = None
        self._http = h11.Connection(h11.CLIENT)

    async def post(self, body: bytes) -> Answer:
        """Send a batch. Raises one of `BROKEN`; the next call opens a new connection."""
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
        return await self._ask("POST", self._endpoint.path, headers, body)

    async def get(self, path: str) -> Answer:
        """Ask; `path` begins after the prefix. Raises as `post` does."""
        return await self._ask("GET", self._endpoint.prefix + path, [], b"")

    async def _ask(
        self, method: str, path: str, headers: list[tuple[str, str]], body: bytes
    ) -> Answer:
        headers = [*self._endpoint.headers, *headers]
        request = h11.Request(method=method, target=path, headers=headers)
        try:
            with trio.fail_after(ANSWER_S_MAX):
                if self._stream is None:
                    self._stream = await self._opened()
                answer = await self._exchange(self._stream, request, body)
        except BaseException:
            await self.close()
            raise
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        else:
            await self.close()
        return answer

    async def close(self) -> None:
        """Forget the connection without ceremony."""
        stream, self._stream = self._stream, None
        self._http = h11.Connection(h11.CLIENT)
        if stream is not None:
            await trio.aclose_forcefully(stream)

    async def _opened(self) -> trio.abc.Stream:
        host, port = self._endpoint.host, self._endpoint.port
        if self._endpoint.is_tls:
            return await trio.open_ssl_over_tcp_stream(host, port, https_compatible=True)
        return await trio.open_tcp_stream(host, port)

    async def _exchange(
        self, stream: trio.abc.Stream, request: h11.Request, body: bytes
    ) -> Answer:
        http = self._http
        head, data = http.send(request), http.send(h11.Data(data=body)) if body else b""
        http.send(h11.EndOfMessage())
        await stream.send_all((head or b"") + (data or b""))
        return await self._answer(stream)

    async def _answer(self, stream: trio.abc.Stream) -> Answer:
        status, headers, body = 0, {}, bytearray()
        is_silent = True
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                data = await stream.receive_some(_RECEIVE_BYTES)
                if not data and is_silent:
                    raise trio.BrokenResourceError("the connection was closed unanswered")
                is_silent = False
                self._http.receive_data(bytes(data))
            elif isinstance(event, h11.Response):
                status, headers = event.status_code, dict(event.headers)
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > ANSWER_BYTES_MAX:
                    raise trio.BrokenResourceError("the answer is longer than any of Tallymark")
            elif isinstance(event, h11.EndOfMessage):
                return Answer(status, headers, bytes(body))


def plainly(failure: BaseException) -> str:
    """What went wrong, in the words of the system."""
    # Trio wraps what the system said in one error for all addresses of a host.
    while isinstance(failure.__cause__, BaseException):
        failure = failure.__cause__
        if isinstance(failure, BaseExceptionGroup):
            failure = failure.exceptions[0]
    if isinstance(failure, trio.TooSlowError):
        return f"no answer within {ANSWER_S_MAX:.0f} seconds"
    if isinstance(failure, OSError) and failure.strerror:
        return failure.strerror
    return str(failure) or type(failure).__name__
