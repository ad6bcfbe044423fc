"""A real HTTP server on a socket, which says what a test wants it to say."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import Any

import h11
import pytest
import trio

Script = Callable[[int, list[Any]], tuple[int, dict[str, str], dict[str, Any]] | None]
"""(number of the request, its events) to status, headers and body; None cuts the connection.

Of a request without a body it is told the target in place of the events.
"""


class Server:
    """What arrived: the events of each request, their headers, and how many connections."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.batches: list[list[Any]] = []
        self.headers: list[dict[bytes, bytes]] = []
        self.targets: list[bytes] = []
        self.connections = 0
        self.url = ""

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        with suppress(trio.BrokenResourceError):  # a client that has failed resets the others
            await self._serve(stream)

    async def _serve(self, stream: trio.SocketStream) -> None:
        http = h11.Connection(h11.SERVER)
        body, target = b"", ""
        while True:
            event = http.next_event()
            if event is h11.NEED_DATA:
                http.receive_data(await stream.receive_some(65_536))
            elif isinstance(event, h11.Request):
                self.headers.append(dict(event.headers))
                self.targets.append(event.target)
                body, target = b"", event.target.decode()
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                if not await self._answer(http, stream, json.loads(body) if body else target):
                    return
                if http.our_state is h11.MUST_CLOSE:
                    return
                http.start_next_cycle()
            else:
                return

    async def _answer(
        self, http: h11.Connection, stream: trio.SocketStream, events: Any
    ) -> bool:
        self.batches.append(events)
        said = self.script(len(self.batches), events)
        if said is None:
            return False
        status, headers, document = said
        body = json.dumps(document).encode()
        lengths = [("content-length", str(len(body)))]
        response = h11.Response(status_code=status, headers=[*headers.items(), *lengths])
        data = http.send(response) + http.send(h11.Data(data=body))
        await stream.send_all(data + http.send(h11.EndOfMessage()))
        return True


@asynccontextmanager
async def _serving(script: Script) -> AsyncIterator[Server]:
    server = Server(script)
    async with trio.open_nursery() as nursery:
        serve = partial(trio.serve_tcp, server.serve, 0, host="127.0.0.1")
        [listener] = await nursery.start(serve)
        server.url = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()


@pytest.fixture
def serving() -> Callable[[Script], AbstractAsyncContextManager[Server]]:
    """`async with serving(script) as server`: `server.url` is where it listens."""
    return _serving
