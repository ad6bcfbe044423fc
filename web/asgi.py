"""Quart-Trio's side of a connection, corrected in three places."""

import trio
from hypercorn.typing import ASGIReceiveCallable, ASGISendCallable, ASGISendEvent
from quart import Request
from quart_trio.asgi import TrioASGIHTTPConnection, TrioASGIWebsocketConnection

from web.errors import CutShort


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


class NoWebsocket(TrioASGIWebsocketConnection):
    """The answer to whoever asks for a websocket, of which there are none: 403."""

    async def __call__(self, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Close before it is open."""
        await send({"type": "websocket.close", "code": 1000, "reason": None})
