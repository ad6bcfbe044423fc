"""The floor of the HTTP benchmark: Trio and httptools, a task per connection, nothing else.

It reads requests with their bodies and answers them all alike, so that what a service costs
beyond that is its own.
"""

from contextlib import suppress

import httptools
import trio

ANSWER = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 16\r\n\r\n"
    b'{"success":true}'
)


class _Request:
    def __init__(self) -> None:
        self.is_whole = False
        self.url = b""
        self.body = bytearray()

    def on_message_begin(self) -> None:
        self.body.clear()

    def on_url(self, url: bytes) -> None:
        self.url = url

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.is_whole = True


async def _serve(stream: trio.SocketStream) -> None:
    request = _Request()
    parser = httptools.HttpRequestParser(request)
    with suppress(trio.BrokenResourceError):  # whoever measures leaves without a word
        async for data in stream:
            parser.feed_data(data)
            if request.is_whole:
                request.is_whole = False
                await stream.send_all(ANSWER)


async def _listen() -> None:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    print(listeners[0].socket.getsockname()[1], flush=True)
    await trio.serve_listeners(_serve, listeners)


if __name__ == "__main__":
    trio.run(_listen)
