"""What people set up, as one component: keys, dashboards, the catalog, look-ups."""

from collections.abc import Awaitable, Callable
from typing import Self

import trio

from engine.answers.common import Known
from engine.config import Config
from engine.state import Names
from persistence.control import ControlStore
from web.catalog import Catalog
from web.dashboards import Dashboards
from web.keyring import Keyring
from web.lookup import LookUp, Overlay
from web.sessions import Sessions
from web.sharing import SECRET, Shares
from web.starters import first_dashboards
from web.wire import Called, Reply

Handler = Callable[[Called], Awaitable[Reply]]


class Control:
    """Made over an open store; `run` belongs in the life of the server.

    handlers    {name of the route: what answers it}
    dashboards  for the routes that a share token opens
    keyring     the keys, and the gate that they open
    """

    def __init__(
        self,
        store: ControlStore,
        config: Config,
        *,
        keyring: Keyring,
        now_ms: Callable[[], int],
    ) -> None:
        self.keyring = keyring
        self._store = store
        self._thread = trio.CapacityLimiter(1)
        self._look_up = LookUp(config) if config.db_url else None
        self._catalog = Catalog(store, config, thread=self._thread, now_ms=now_ms)
        self.dashboards = Dashboards(
            store, config, Shares(store.secret(SECRET)), thread=self._thread, now_ms=now_ms
        )
        self._sessions = Sessions(keyring)
        self.handlers = self._handlers()

    @classmethod
    def open(cls, config: Config, *, now_ms: Callable[[], int], admin_key: str = "") -> Self:
        """Over the store of the data folder. Blocks.

        admin_key  one that works besides those of the store; none where it is empty

        Raises UnusableControlStore, or InvalidSetting for keys that are not keys.
        """
        store = ControlStore.open(config.data, now_ms=now_ms(), first=first_dashboards())
        try:
            keyring = Keyring.open(config, admin_key=admin_key, now_ms=now_ms)
        except BaseException:
            store.close()
            raise
        return cls(store, config, keyring=keyring, now_ms=now_ms)

    def close(self) -> None:
        """Close the store."""
        self.keyring.close()
        self._store.close()

    def over(self, carried: Names, /) -> Known:
        """The names of an answer, those that events carried being known."""
        return Overlay(self._catalog.names, self._look_up, carried)

    async def run(self) -> None:
        """Look up names, where there is a source of them, until cancelled."""
        if self._look_up is not None:
            await self._look_up.run()

    def _handlers(self) -> dict[str, Handler]:
        boards, catalog = self.dashboards, self._catalog
        return {
            **self._sessions.handlers,
            "dashboards": boards.list,
            "createDashboard": boards.create,
            "importDashboard": boards.take_over,
            "dashboard": boards.get,
            "replaceDashboard": boards.replace,
            "deleteDashboard": boards.remove,
            "exportDashboard": boards.export,
            "shareDashboard": boards.share,
            "unshareDashboard": boards.unshare,
            "namedServices": catalog.listing("services"),
            "namedService": catalog.getting("services"),
            "nameService": catalog.putting("services"),
            "unnameService": catalog.dropping("services"),
            "namedExperiments": catalog.listing("experiments"),
            "namedExperiment": catalog.getting("experiments"),
            "nameExperiment": catalog.putting("experiments"),
            "unnameExperiment": catalog.dropping("experiments"),
        }
