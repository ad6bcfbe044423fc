"""ASGI middleware: every HTTP request is reported as one execution of a service."""

import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

from tallymark_client.events import Sink, event_of
from tallymark_client.outbox import log

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

FAILURE_STATUS: Final = 500
"""From here on a request has failed; what the caller did wrong is no failure of the service."""


def service_of(scope: Scope) -> str:
    """`GET /items/{id}`: the method and the route as the framework has matched it.

    `GET *` where no route is known. The path as asked is never used: it may hold ids, of which
    each would become a service of its own.
    """
    path = getattr(scope.get("route"), "path", None)
    return f"{scope['method']} {path if isinstance(path, str) else '*'}"


class TallymarkMiddleware:
    """app.add_middleware(TallymarkMiddleware, client=t), or TallymarkMiddleware(app, t).

    service_id  names the service of a request, once it was answered; None: do not report it
    user_id     names its user, or None
    """

    def __init__(
        self,
        app: App,
        client: Sink,
        *,
        service_id: Callable[[Scope], str | None] = service_of,
        user_id: Callable[[Scope], str | None] = lambda scope: None,
    ) -> None:
        self._app = app
        self._client = client
        self._service_id = service_id
        self._user_id = user_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 0
        started_s = time.perf_counter()

        async def noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        error_code: str | None = None
        try:
            await self._app(scope, receive, noting)
        except BaseException as error:
            error_code = type(error).__name__
            raise
        finally:
            if error_code is None and (status >= FAILURE_STATUS or status == 0):
                error_code = str(status) if status else "NO_RESPONSE"
            self._report(scope, started_s, error_code)

    def _report(self, scope: Scope, started_s: float, error_code: str | None) -> None:
        latency_ms = (time.perf_counter() - started_s) * 1000
        try:
            service_id, user_id = self._service_id(scope), self._user_id(scope)
        except Exception:  # naming is the application's code, and must not fail its request
            log.exception("a request could not be named")
            return
        if service_id is None:
            return
        self._client.track(
            event_of(
                "service_execution",
                service_id=service_id,
                latency_ms=latency_ms,
                success=error_code is None,
                error_code=error_code,
                user_id=user_id,
            )
        )
