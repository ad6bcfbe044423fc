"""One connection to the service, by http.client: a request, and its answer or what failed."""

import http.client
import time
from typing import Final
from urllib.parse import urlsplit

from tallymark_client.outbox import Answer

BATCH_PATH: Final = "/track/batch?onInvalid=skip"
"""One faulty event must not take the others of its batch with it."""


def headers_of(key: str | None) -> dict[str, str]:
    """The headers of a batch."""
    own = {"Content-Type": "application/json", "User-Agent": "tallymark-client-python/0.1"}
    return own if key is None else own | {"Authorization": f"Bearer {key}"}


class Connection:
    """A connection that is kept open, and opened again when it has to be; one thread's.

    url      http://host:port, with a path before /track where a proxy has put one
    timeout  of each operation on the socket, in seconds
    """

    def __init__(self, url: str, *, key: str | None, timeout_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address such as https://analytics.example.com")
        self._is_secure = parts.scheme == "https"
        self._host, self._port = parts.hostname, parts.port
        self._path = parts.path.rstrip("/") + BATCH_PATH
        self._headers = headers_of(key)
        self._timeout_s = timeout_s
        self._open: http.client.HTTPConnection | None = None

    def send(self, body: bytes, *, deadline_s: float | None = None) -> Answer:
        """Send a batch; never raises.

        deadline_s  on time.monotonic, when the operation may take no longer

        A connection that was idle may have been closed meanwhile: then once more on a new one.
        """
        was_open = self._open is not None
        try:
            return self._exchange(body, deadline_s)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            if not was_open:
                return _nothing(error)
        try:
            return self._exchange(body, deadline_s)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return _nothing(error)

    def close(self) -> None:
        """Close it; `send` opens a new one."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def forget(self) -> None:
        """Leave the socket to the process that we were forked from."""
        self._open = None

    def _exchange(self, body: bytes, deadline_s: float | None) -> Answer:
        timeout_s = self._timeout_s
        if deadline_s is not None:
            timeout_s = max(0.01, min(timeout_s, deadline_s - time.monotonic()))
        if self._open is None:
            kind = (
                http.client.HTTPSConnection if self._is_secure else http.client.HTTPConnection
            )
            self._open = kind(self._host, self._port, timeout=timeout_s)
        if self._open.sock is not None:
            self._open.sock.settimeout(timeout_s)
        self._open.request("POST", self._path, body, self._headers)
        response = self._open.getresponse()
        answer = Answer(
            response.status, response.read(), response.getheader("Retry-After"), response.reason
        )
        if response.will_close:
            self.close()
        return answer


def _nothing(error: Exception) -> Answer:
    return Answer(0, detail=f"{type(error).__name__}: {error}")
