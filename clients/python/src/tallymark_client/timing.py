"""Times a block or a function and reports it as one execution of a service."""

import functools
import inspect
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from tallymark_client.events import Sink, event_of

P = ParamSpec("P")
R = TypeVar("R")


class Timed:
    """A context manager and a decorator, of plain functions and of coroutine functions.

        with t.timed("resize", user_id="u-1"):
            ...

        @t.timed("resize")
        async def resize(): ...

    An exception makes it a failure with the name of its class as errorCode, and goes on.
    """

    def __init__(self, sink: Sink, service_id: str, **fields: object) -> None:
        self._sink = sink
        self._service_id = service_id
        self._fields = fields
        self._started_s: list[float] = []  # one for each block that is open

    def __enter__(self) -> Self:
        self._started_s.append(time.perf_counter())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        report(self._sink, self._service_id, self._started_s.pop(), kind, self._fields)

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def timed_coroutine(*args: P.args, **kwargs: P.kwargs) -> Any:  # noqa: ANN401  # what it returns
                with self._again():
                    return await function(*args, **kwargs)

            return cast("Callable[P, R]", timed_coroutine)

        @functools.wraps(function)
        def timed_function(*args: P.args, **kwargs: P.kwargs) -> R:
            with self._again():
                return function(*args, **kwargs)

        return timed_function

    def _again(self) -> "Timed":
        # Calls of one function overlap, in threads and tasks: each has a start of its own.
        return Timed(self._sink, self._service_id, **self._fields)


def report(
    sink: Sink,
    service_id: str,
    started_s: float,
    failure: type[BaseException] | None,
    fields: dict[str, object],
) -> None:
    """Report an execution that began at `started_s` of time.perf_counter and ends now."""
    own = {
        "service_id": service_id,
        "latency_ms": (time.perf_counter() - started_s) * 1000,
        "success": failure is None,
        "error_code": None if failure is None else failure.__name__,
    }
    sink.track(event_of("service_execution", **(own | fields)))
