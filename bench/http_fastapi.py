"""What many would write: FastAPI, uvicorn (uvloop, httptools) and Pydantic, counting in memory.

With a file's name as argument it keeps each body there, and syncs it before it answers.
"""

import asyncio
import os
import socket
import sys
from collections import Counter
from typing import Annotated, Literal

import uvicorn
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field


class Event(BaseModel):
    eventId: str | None = None  # noqa: N815  # as on the wire, like all of them
    timestamp: int | None = None
    userId: str | None = None  # noqa: N815
    sessionId: str | None = None  # noqa: N815
    category: str | None = None


class Execution(Event):
    eventType: Literal["service_execution"]  # noqa: N815
    serviceId: str  # noqa: N815
    latencyMs: float = Field(ge=0)  # noqa: N815
    success: bool
    errorCode: str | None = None  # noqa: N815


class Transaction(Event):
    eventType: Literal["revenue_transaction"]  # noqa: N815
    serviceId: str  # noqa: N815
    orderId: str  # noqa: N815
    amount: float = Field(ge=0)
    currency: str


class Search(Event):
    eventType: Literal["marketplace_search"]  # noqa: N815
    searchQuery: str  # noqa: N815
    resultCount: int | None = None  # noqa: N815


class Visit(Event):
    eventType: Literal["marketplace_view", "marketplace_conversion"]  # noqa: N815
    serviceId: str  # noqa: N815


class Trial(Event):
    eventType: Literal["experiment_view", "experiment_conversion"]  # noqa: N815
    experimentId: str  # noqa: N815
    variantIndex: int = Field(ge=0, le=63)  # noqa: N815


class Session(Event):
    eventType: Literal["user_session"]  # noqa: N815
    duration: float = Field(ge=0)


AnyEvent = Annotated[
    Execution | Transaction | Search | Visit | Trial | Session, Field(discriminator="eventType")
]
app = FastAPI()
counted: Counter[tuple[str, str | None]] = Counter()
journal = os.open(sys.argv[1], os.O_CREAT | os.O_APPEND | os.O_WRONLY) if sys.argv[1:] else None


def keep(body: bytes) -> None:
    os.write(journal, body)
    os.fdatasync(journal)


async def take(events: list[AnyEvent], request: Request) -> dict[str, bool]:
    if journal is not None:
        await asyncio.to_thread(keep, await request.body())
    for event in events:
        counted[event.eventType, getattr(event, "serviceId", None)] += 1
    return {"success": True}


@app.post("/track")
async def track(event: AnyEvent, request: Request) -> dict[str, bool]:
    return await take([event], request)


@app.post("/track/batch")
async def track_batch(events: list[AnyEvent], request: Request) -> dict[str, bool]:
    return await take(events, request)


if __name__ == "__main__":
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    print(listener.getsockname()[1], flush=True)
    uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).run([listener])
