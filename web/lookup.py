"""Names of services from a database service over HTTP (`db_url`), fetched in the background.

An answer never waits for it: it takes what is known, and names that are missing are looked up
for the next answer. A source that fails is left alone for a while, longer each time, and what
was known stays.
"""

from dataclasses import dataclass
from typing import Final, overload
from urllib.parse import quote, urlsplit

import structlog
import trio

from engine.cells import OTHER
from engine.config import Config
from engine.rollups import names
from load.connection import BROKEN, Answer, Connection, Endpoint, Target

WORKERS: Final = 4
"""Look-ups at one time."""

FAILURES_MAX: Final = 5
"""Failures in a row after which the source is left alone."""

PAUSE_S: Final = 15.0
PAUSE_S_MAX: Final = 480.0
"""For how long: doubled with each pause that ended in another failure."""

NAME_MAX: Final = 200
NOT_FOUND: Final = 404

_NO_PATH: Final = frozenset({"", ".", "..", OTHER})
"""Ids that would lead to another path than their own, or that stand for many."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Found:
    """What the source said about an id: a name or that it has none, believed until `until`."""

    name: str | None
    until: float


class Breaker:
    """Whether the source may be asked: not for a while after it has failed often in a row."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause_s = PAUSE_S
        self._closed_until = 0.0
        self._is_trying = False

    @property
    def is_open(self) -> bool:
        """Whether nothing may be asked now; after a pause one look-up at a time may."""
        if self._failures < FAILURES_MAX:
            return False
        return self._is_trying or trio.current_time() < self._closed_until

    def begin(self) -> None:
        """A look-up begins."""
        self._is_trying = True

    def succeeded(self) -> None:
        """A look-up was answered."""
        if self._failures >= FAILURES_MAX:
            log.info("db_url answers again")
        self._failures = 0
        self._pause_s = PAUSE_S
        self._is_trying = False

    def failed(self, reason: str) -> None:
        """A look-up was not answered."""
        self._failures += 1
        self._is_trying = False
        if self._failures >= FAILURES_MAX and not self.is_open:
            self._closed_until = trio.current_time() + self._pause_s
            log.warning("db_url fails", reason=reason, pause_s=self._pause_s)
            self._pause_s = min(2 * self._pause_s, PAUSE_S_MAX)


class LookUp:
    """The names found so far, and the task that looks up those that were missing."""

    def __init__(self, config: Config) -> None:
        parts = urlsplit(config.db_url)
        self._endpoint = Endpoint.of(Target(f"{parts.scheme}://{parts.netloc}"))
        self._path = parts.path + ("?" + parts.query if parts.query else "")
        self._ttl_s = config.db_ttl_s
        self._timeout_s = config.db_timeout_ms / 1000
        self._names_max = config.db_names_max
        self._found: dict[str, Found] = {}
        self._wanted: set[str] = set()
        self._to_workers, self._from_answers = trio.open_memory_channel[str](self._names_max)
        self._breaker = Breaker()

    def name(self, service: str) -> str | None:
        """The name as far as it is known now; looks it up for the next time where it is not."""
        found = self._found.get(service)
        if found is None or found.until <= trio.current_time():
            self._want(service)
        return None if found is None else found.name

    async def run(self) -> None:
        """Look up what is wanted until cancelled."""
        async with trio.open_nursery() as nursery:
            for _ in range(WORKERS):
                nursery.start_soon(self._work)

    def _want(self, service: str) -> None:
        if service in self._wanted or service in _NO_PATH or self._breaker.is_open:
            return
        try:
            self._to_workers.send_nowait(service)
        except trio.WouldBlock:  # the next answer will want it again
            return
        self._wanted.add(service)

    async def _work(self) -> None:
        connection = Connection(self._endpoint)
        async for service in self._from_answers:
            if not self._breaker.is_open:
                self._breaker.begin()
                await self._look_up(connection, service)
            self._wanted.discard(service)
            if not self._from_answers.statistics().current_buffer_used:
                # Else the source does so one day, and the next look-up fails without a reason.
                await connection.close()

    async def _look_up(self, connection: Connection, service: str) -> None:
        path = self._path.replace("{id}", quote(service, safe=""))
        try:
            with trio.fail_after(self._timeout_s):
                answer = await connection.get(path)
        except BROKEN as failure:
            self._breaker.failed(f"{type(failure).__name__}: {failure}")
            return
        if answer.status not in (200, NOT_FOUND):
            self._breaker.failed(f"status {answer.status}")
            return
        self._breaker.succeeded()
        self._remember(service, _name_in(answer))

    def _remember(self, service: str, name: str | None) -> None:
        self._found.pop(service, None)  # so that the first is the one not asked for longest
        if len(self._found) >= self._names_max:
            del self._found[next(iter(self._found))]
        self._found[service] = Found(name, trio.current_time() + self._ttl_s)


class Overlay:
    """The names of one answer: the catalog's, else the source's, else those of events."""

    __slots__ = ("_carried", "_catalog", "_look_up")

    def __init__(
        self,
        catalog: dict[names.Key, str],
        look_up: LookUp | None,
        carried: dict[names.Key, str],
    ) -> None:
        self._catalog = catalog
        self._look_up = look_up
        self._carried = carried

    @overload
    def get(self, key: names.Key, /) -> str | None: ...

    @overload
    def get(self, key: names.Key, default: str, /) -> str: ...

    def get(self, key: names.Key, default: str | None = None, /) -> str | None:
        """The name of a key, `default` where nobody knows one."""
        name = self._catalog.get(key)
        if name is None and self._look_up is not None and key[0] == names.SERVICE:
            name = self._look_up.name(key[1])
        return self._carried.get(key, default) if name is None else name


def _name_in(answer: Answer) -> str | None:
    """The name in {"name": …} or {"data": {"name": …}}."""
    document = answer.document()
    inner = document.get("data")
    name = (inner if isinstance(inner, dict) else document).get("name")
    return name[:NAME_MAX] if isinstance(name, str) and name else None
