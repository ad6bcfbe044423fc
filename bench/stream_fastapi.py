"""The live stream as many would write it: FastAPI on uvicorn (uvloop), one frame a second.

With `sse` each subscriber has an EventSourceResponse of sse-starlette, which puts every event
into words for itself; with `once` a frame is encoded once and its bytes are handed to all.
"""

import asyncio
import json
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse
from sse_starlette import EventSourceResponse

KEYS = 80
"""About as many counters as Tallymark has in a frame."""


class Broadcast:
    """The newest figures, and an event that tells of them."""

    def __init__(self) -> None:
        self.figures: dict[str, object] = {}
        self.frame = b""
        self.news = asyncio.Event()

    async def run(self) -> None:
        tick = 0
        while True:
            await asyncio.sleep(1)
            tick += 1
            counters = {f"executions:2026-11-{number:02}": tick for number in range(KEYS)}
            self.figures = {
                "type": "update",
                "timestamp": time.time_ns() // 1_000_000,
                "counters": counters,
            }
            self.frame = b"data: %b\n\n" % json.dumps(self.figures).encode()
            news, self.news = self.news, asyncio.Event()
            news.set()


broadcast = Broadcast()


@asynccontextmanager
async def life(_: FastAPI) -> AsyncIterator[None]:
    task = asyncio.create_task(broadcast.run())
    yield
    task.cancel()


app = FastAPI(lifespan=life)


async def events() -> AsyncIterator[dict[str, str]]:
    while True:
        await broadcast.news.wait()
        yield {"data": json.dumps(broadcast.figures)}


async def frames() -> AsyncIterator[bytes]:
    while True:
        await broadcast.news.wait()
        yield broadcast.frame


@app.get("/stream", response_model=None)
async def stream() -> StreamingResponse | EventSourceResponse:
    if sys.argv[1] == "sse":
        return EventSourceResponse(events())
    return StreamingResponse(frames(), media_type="text/event-stream")


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listener])
