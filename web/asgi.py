"""Quart-Trio's side of a connection, corrected in three places, and its request."""

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent
from quart import Request
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection
from quart_trio.wrappers import TrioRequest

from web.errors import CutShort
from web.untaken import Untaken


class Asked(TrioRequest):
    """Quart's request, which counts what of its answer has not gone out yet."""

    _untaken: Untaken | None = None
    _bytes = 0

    def answered(self, untaken: Untaken, size: int) -> None:
        """So many bytes are made, and lie here until `gone`, or others take their place."""
        self.gone()
        self._untaken, self._bytes = untaken, size
        untaken.bytes += size

    def gone(self) -> None:
        """The answer is out, or nobody waits for it."""
        if self._untaken is not None:
            self._untaken.bytes -= self._bytes
            self._untaken = None


class Connection(TrioASGIHTTPConnection):
    """Quart's side of one request, which lets the server finish with it.

    The last message of an answer makes Hypercorn say that the client is gone, at which Quart
    cancels the very task that is sending it: a connection to be closed then stayed open.
    """

    async def handle_request(  # type: ignore[override]  # as Quart-Trio itself does
        self, nursery: trio.Nursery, request: Request, send: ASGISendCallable
    ) -> None:
        """Answer; the last message is seen through."""

        async def send_through(message: ASGISendEvent) -> None:
            is_last = message["type"] == "http.response.body" and not message["more_body"]
            with trio.CancelScope(shield=is_last):
                await send(message)

        try:
            await super().handle_request(nursery, request, send_through)
        except CutShort:
            nursery.cancel_scope.cancel()  # without its end the answer is known to lack it
        finally:
            assert isinstance(request, Asked)
            request.gone()


class NoWebsocket(TrioASGIWebsocketConnection):
    """The answer to whoever asks for a websocket, of which there are none: 403."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Close before it is open."""
        await send({"type": "websocket.close", "code": 1000, "reason": None})
